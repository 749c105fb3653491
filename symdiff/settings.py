"""The environment variables that symdiff reads: these four, and no more.

| variable | meaning |
|---|---|
| `SYMDIFF_DEBUG` | 2 or more: each rule that fires is told on the error stream |
| `SYMDIFF_CHECK` | anything but 0: the loop IR is checked after every pass |
| `SYMDIFF_TARGET` | the target of `compile` where the call names none |
| `SYMDIFF_CACHE_DIR` | the folder for kept kernels; nothing is kept on disk yet |
"""

from __future__ import annotations

import os

from symdiff.errors import ArgumentMismatch


def debug_level() -> int:
    """The number in SYMDIFF_DEBUG, 0 where it is not set; raises `ArgumentMismatch` for anything else.

    >>> debug_level() >= 0
    True
    """
    text = os.environ.get("SYMDIFF_DEBUG", "") or "0"
    if not text.isdigit():
        raise ArgumentMismatch(f"SYMDIFF_DEBUG is {text!r:.60}, no number", mend="set it to 0, 1 or 2, or not at all")
    return int(text)


def checks_programs() -> bool:
    """Whether SYMDIFF_CHECK asks for checks between passes."""
    return os.environ.get("SYMDIFF_CHECK", "0") not in ("", "0")


def default_target() -> str:
    """SYMDIFF_TARGET, or "cpu"."""
    return os.environ.get("SYMDIFF_TARGET", "") or "cpu"


def cache_folder() -> str:
    """SYMDIFF_CACHE_DIR, empty where it is not set."""
    return os.environ.get("SYMDIFF_CACHE_DIR", "")
