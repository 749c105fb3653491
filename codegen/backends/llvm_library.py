"""LLVM's library, loaded by the system while Python goes on to plan: it takes as long as a small formula does."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import threading
from functools import cache

FILES = {"linux": "libllvmlite.so", "darwin": "libllvmlite.dylib"}


@cache
def preload() -> None:
    """Begin to load the library that llvmlite will ask for, once in a process; elsewhere llvmlite loads it alone.

    The system is asked by a call that leaves the interpreter's lock to others, which the import of llvmlite does not.
    """
    package = importlib.util.find_spec("llvmlite")
    if sys.platform not in FILES or package is None or package.origin is None or "llvmlite" in sys.modules:
        return
    path = os.path.join(os.path.dirname(package.origin), "binding", FILES[sys.platform])
    try:
        load = ctypes.CDLL(None).dlopen
    except (AttributeError, OSError):
        return
    load.argtypes, load.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    # A path that leads nowhere gives a null address, and llvmlite's own search follows.
    loading = threading.Thread(target=load, args=(os.fsencode(path), os.RTLD_NOW), name="symdiff loads LLVM")
    loading.start()
    # A child of fork has no thread that would finish it.
    os.register_at_fork(before=loading.join)
