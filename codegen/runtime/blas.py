"""The BLAS that SciPy brings: addresses of its routines, and how many threads it may use.

A kernel hands BLAS small products, one tile after the other: threads of BLAS would only wait for one another.  Where the
library tells its number of threads (OpenBLAS does), kernels set it to one while they run and back after.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

# The routines whose addresses a kernel is given, in this order; then come the two of `thread_switch`.
ROUTINES = ("dgemm", "sgemm", "dsyrk", "ssyrk")
PREFIXES = ("scipy_openblas_", "openblas_")
SUFFIXES = ("", "64_")
# The kernels of OpenBLAS for x86, by the bytes of their vectors.
KERNELS = {64: ("skylakex", "cooperlake", "sapphirerapids"), 32: ("haswell", "zen", "excavator", "steamroller", "piledriver",
           "bulldozer", "sandybridge"), 16: ("prescott", "core2", "penryn", "dunnington", "nehalem", "atom", "nano", "katmai",
           "opteron", "opteron_sse3", "barcelona", "bobcat")}


@cache
def library() -> ctypes.CDLL | None:
    """The shared library in which SciPy hands BLAS on, without the quarter of a second that importing `scipy.linalg` takes.

    None where there is no such file; a lookup in it goes on in the libraries that it is linked to.
    """
    found = importlib.util.find_spec("scipy")
    folders = [os.path.join(f, "linalg") for f in (found and found.submodule_search_locations) or ()]
    for path in [os.path.join(f, f"cython_blas{suffix}") for f in folders for suffix in EXTENSION_SUFFIXES]:
        if os.path.exists(path):
            try:
                return ctypes.CDLL(path)
            except OSError:
                return None
    return None


@cache
def addresses() -> Any:
    """The table of addresses: ROUTINES, then the functions that tell and set the number of threads, null where there are none."""
    routines = [exported(routine) for routine in ROUTINES]
    if None in routines:
        routines = handed_on()
    switch = [None if f is None else ctypes.cast(f, ctypes.c_void_p).value for f in thread_switch()]
    return (ctypes.c_void_p * (len(routines) + 2))(*routines, *switch)


def no_addresses() -> Any:
    """The table of a program that calls no routine: null addresses."""
    return (ctypes.c_void_p * (len(ROUTINES) + 2))()


def exported(routine: str) -> int | None:
    """The address of a routine of Fortran's interface by the names that libraries with integers of 32 bits give it."""
    for name in (f"scipy_{routine}_", f"{routine}_"):
        function = getattr(library(), name, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value
    return None


def handed_on() -> list[int | None]:
    """The addresses of ROUTINES that SciPy gives to compiled code."""
    from scipy.linalg import cython_blas

    capsules = cython_blas.__pyx_capi__
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return [pointer_of(capsules[r], name_of(capsules[r])) for r in ROUTINES]


@cache
def thread_switch() -> tuple[Any, Any]:
    """The functions that tell and that set the number of threads of BLAS; None where it has none by a known name."""
    for prefix in PREFIXES:
        for suffix in SUFFIXES:
            found = [getattr(library(), f"{prefix}{verb}_num_threads{suffix}", None) for verb in ("get", "set")]
            if None not in found:
                return found[0], found[1]
    return None, None


@cache
def vector_bytes() -> int:
    """The bytes of the vectors that BLAS uses, as far as the name tells that OpenBLAS gives to its kernels; 0 where none does."""
    for prefix in PREFIXES:
        for suffix in SUFFIXES:
            tell = getattr(library(), f"{prefix}get_corename{suffix}", None)
            if tell is not None:
                tell.restype = ctypes.c_char_p
                name = (tell() or b"").decode().lower()
                return next((size for size, names in KERNELS.items() if name in names), 0)
    return 0


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
