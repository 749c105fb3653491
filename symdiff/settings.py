"""The environment variables that symdiff reads: these five, and no more but where the system says that caches go.

| variable | meaning |
|---|---|
| `SYMDIFF_DEBUG` | 2 or more: each rule that fires is told on the error stream |
| `SYMDIFF_CHECK` | anything but 0: the loop IR is checked after every pass |
| `SYMDIFF_TARGET` | the target of `compile` where the call names none |
| `SYMDIFF_THREADS` | how many threads write a kernel, and may run it where `compile` names no number; else one for each processor |
| `SYMDIFF_CACHE_DIR` | the folder for compiled kernels, instead of `symdiff` in the user's cache folder |
"""

from __future__ import annotations

import os
import sys

from symdiff.errors import ArgumentMismatch

# By platform: the variable in which the system tells where caches of the user are, and where they are unless it does.
CACHES = {
    "linux": ("XDG_CACHE_HOME", "~/.cache"), "darwin": ("XDG_CACHE_HOME", "~/Library/Caches"),
    "win32": ("LOCALAPPDATA", "~/AppData/Local"),
}


def debug_level() -> int:
    """The number in SYMDIFF_DEBUG, 0 where it is not set; raises `ArgumentMismatch` for anything else.

    >>> debug_level() >= 0
    True
    """
    text = os.environ.get("SYMDIFF_DEBUG", "") or "0"
    if not text.isdecimal():
        raise ArgumentMismatch(f"SYMDIFF_DEBUG is {text!r:.60}, no number", mend="set it to 0, 1 or 2, or not at all")
    return int(text)


def checks_programs() -> bool:
    """Whether SYMDIFF_CHECK asks for checks between passes."""
    return os.environ.get("SYMDIFF_CHECK", "0") not in ("", "0")


def default_target() -> str:
    """SYMDIFF_TARGET, or "cpu"."""
    return os.environ.get("SYMDIFF_TARGET", "") or "cpu"


def default_threads() -> int:
    """SYMDIFF_THREADS, or the number of processors that this process may use; raises `ArgumentMismatch` for no number.

    >>> default_threads() >= 1
    True
    """
    text = os.environ.get("SYMDIFF_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise ArgumentMismatch(f"SYMDIFF_THREADS is {text!r:.60}, no number of threads",
                                   mend="set it to 1 or more, or not at all")
        return int(text)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return processors or 1


def cache_folder() -> str:
    """SYMDIFF_CACHE_DIR, or the folder `symdiff` among the user's caches; empty where there is no home folder.

    >>> cache_folder().endswith("symdiff") or "SYMDIFF_CACHE_DIR" in os.environ
    True
    """
    chosen = os.environ.get("SYMDIFF_CACHE_DIR", "")
    if chosen:
        return chosen
    variable, usual = CACHES.get(sys.platform, CACHES["linux"])
    told = os.environ.get(variable, "")
    caches = told if os.path.isabs(told) else os.path.expanduser(usual)
    return os.path.join(caches, "symdiff") if os.path.isabs(caches) else ""
