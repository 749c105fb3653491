"""SHA-256 as Python's own library computes it: `hashlib` looks for OpenSSL first, which takes longer than a kept kernel to load.

Python's module `random` imports it in this way too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and newer
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
