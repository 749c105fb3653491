"""The BLAS that SciPy brings: addresses of its routines, and how many threads it may use.

A kernel hands BLAS small products, one tile after the other: threads of BLAS would only wait for one another.  Where the
library tells its number of threads (OpenBLAS does), kernels set it to one while they run and back after.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# The routines whose addresses a kernel is given, in this order; then come the two of `thread_switch`.
ROUTINES = ("dgemm", "sgemm")
PREFIXES = ("scipy_openblas_", "openblas_")
SUFFIXES = ("", "64_")


@cache
def addresses() -> Any:
    """The table of addresses: ROUTINES, then the functions that tell and set the number of threads, null where there are none."""
    from scipy.linalg import cython_blas

    capsules = cython_blas.__pyx_capi__
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    routines = [pointer_of(capsules[r], name_of(capsules[r])) for r in ROUTINES]
    switch = [None if f is None else ctypes.cast(f, ctypes.c_void_p).value for f in thread_switch()]
    return (ctypes.c_void_p * (len(routines) + 2))(*routines, *switch)


@cache
def thread_switch() -> tuple[Any, Any]:
    """The functions that tell and that set the number of threads of BLAS; None where it has none by a known name."""
    from scipy.linalg import cython_blas

    # A lookup in a library goes on in those that it is linked to.
    library = ctypes.CDLL(cython_blas.__file__)
    for prefix in PREFIXES:
        for suffix in SUFFIXES:
            found = [getattr(library, f"{prefix}{verb}_num_threads{suffix}", None) for verb in ("get", "set")]
            if None not in found:
                return found[0], found[1]
    return None, None


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS uses one thread inside."""
    tell, put = thread_switch()
    before = 1 if tell is None else tell()
    if before == 1:
        yield
        return
    put(1)
    try:
        yield
    finally:
        put(before)
