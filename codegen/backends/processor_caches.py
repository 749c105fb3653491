"""The second cache of a core, as the system tells its size: what a product of matrices in registers may take."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# What is taken where nothing is told, and the ends of what is believed: virtual machines make sizes up.
USUAL, LEAST, MOST = 1 << 19, 1 << 18, 1 << 21
UNITS = {"K": 1 << 10, "M": 1 << 20}


def second_cache_bytes() -> int:
    """Bytes of the second-level cache: from sysfs on Linux, sysctl on macOS, else 512 KiB."""
    told = from_sysctl() if sys.platform == "darwin" else from_sysfs(CACHES)
    return min(max(told, LEAST), MOST) if told else USUAL


def from_sysfs(folder: Path) -> int:
    """What Linux tells, 0 if nothing: `level`, `type` and `size` of each cache, the size as 512K."""
    try:
        for cache in sorted(folder.glob("index*")):
            if (cache / "level").read_text().strip() == "2" and (cache / "type").read_text().strip() != "Instruction":
                size = (cache / "size").read_text().strip()
                return int(size[:-1]) * UNITS[size[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        pass
    return 0


def from_sysctl() -> int:
    """What macOS tells, 0 if nothing; of the faster cores, where there are two kinds."""
    try:
        ask = ctypes.CDLL(None).sysctlbyname
    except (OSError, AttributeError):
        return 0
    for name in (b"hw.perflevel0.l2cachesize", b"hw.l2cachesize"):
        found, length = ctypes.c_int64(0), ctypes.c_size_t(8)
        if ask(name, ctypes.byref(found), ctypes.byref(length), None, ctypes.c_size_t(0)) == 0 and found.value > 0:
            return found.value
    return 0
