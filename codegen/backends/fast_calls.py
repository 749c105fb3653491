"""Fast calls: one function of machine code through which Python calls kernels, some 10 ns more than an empty function.

It is a built-in function as C would write it (METH_FASTCALL, `fast_call_code.py`), the same for all kernels; what differs
stands in a table (`fast_call_table.py`), which is the data of the array that it is bound to.

Arguments that are arrays of the very dtypes and shapes of the table, contiguous and aligned, go to the kernel as they are, by
position or by name, and results go to new arrays or to those of `out=`; every other call goes to the careful `fallback`, which
gives the full errors.  Kernels of a few microseconds keep the interpreter's lock, for giving it away would cost more; where
others give it away, further threads that call meanwhile go the careful way.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from codegen.backends.fast_call_table import (
    CALLED,
    DTYPE,
    EXTENTS,
    FLAGS,
    ITEMS,
    MAPPING,
    OPERATION,
    PART,
    RANK,
    SEQUENCE,
    STEP,
    TYPE,
    VALUE,
)
from codegen.backends.protocol import DirectCall

KERNEL, CALLS, LIMIT, RUNNING = 4, 7, 13, 15
NEVER = -1
# Places in NumPy's table of functions, which are part of its binary interface.
ARRAY_TYPE, SCALAR, RETURN, NEW = 2, 60, 76, 93
FASTCALL_KEYWORDS = 0x0082
# The tables in use, by their place in memory.
TABLES: WeakValueDictionary[int, Table] = WeakValueDictionary()


def nothing_runs() -> None:
    """In a forked child no kernel runs, whatever the threads of the parent were doing."""
    for table in TABLES.values():
        table[RUNNING] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=nothing_runs)


class Table(np.ndarray[Any, Any]):
    """The words of one fast call; `kept` is what they point to."""

    kept: tuple[Any, ...]


def layouts_are_known() -> bool:
    """Whether arrays and scalars of this interpreter and this NumPy lie in memory as the machine code takes them to."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8 or not getattr(
            sys, "_is_gil_enabled", lambda: True)():
        return False
    probes: list[np.ndarray[Any, Any]] = [
        np.zeros((2, 3)), np.zeros(4, np.float32), np.zeros((2, 5), np.int64).T, np.zeros((), bool)]

    def word(of: Any, offset: int) -> int:
        return ctypes.c_int64.from_address(id(of) + offset).value
    for a in probes:
        extents = [ctypes.c_int64.from_address(word(a, EXTENTS) + 8 * k).value for k in range(a.ndim)]
        flags = ctypes.c_int32.from_address(id(a) + FLAGS).value
        if (word(a, TYPE), word(a, VALUE), word(a, DTYPE)) != (id(np.ndarray), a.ctypes.data, id(a.dtype)) or extents != list(
                a.shape) or ctypes.c_int32.from_address(id(a) + RANK).value != a.ndim or bool(flags & 1) != a.flags.c_contiguous:
            return False
    pair: tuple[Any, ...] = (probes[0], probes[1])
    if word([*pair], VALUE) != 2 or word(pair, VALUE) != 2 or word(pair, ITEMS + 8) != id(pair[1]) or ctypes.c_int64.from_address(
            word(several := [*pair], ITEMS) + 8).value != id(several[1]):
        return False
    scalars = (1.25, np.float64(1.25))
    return all(ctypes.c_double.from_address(id(x) + VALUE).value == 1.25 for x in scalars) and \
        ctypes.c_float.from_address(id(single := np.float32(2.5)) + VALUE).value == single


@cache
def numpy_functions() -> tuple[int, int, int] | None:
    """The addresses of PyArray_New, PyArray_Return and PyArray_Scalar, None where NumPy's table is not the known one."""
    import numpy._core._multiarray_umath as functions_of_numpy  # type: ignore[import-not-found]

    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer_of(functions_of_numpy._ARRAY_API, None)
    if not layouts_are_known() or table is None:
        return None
    functions = (ctypes.c_int64 * (NEW + 1)).from_address(table)
    return (functions[NEW], functions[RETURN], functions[SCALAR]) if functions[ARRAY_TYPE] == id(np.ndarray) else None


def bound(code: int, kernel: int, routines: Any, call: DirectCall, kept: Any = None) -> Any:
    """The built-in function for a call; `code` is the address of the machine code, `kernel` that of the kernel.

    The kernel takes addresses, sizes and the table of routines, or what else stands in its place; `kept` lives as long.
    """
    functions = numpy_functions()
    assert functions is not None
    new, give_back, scalar = functions
    arrays = [*call.arguments, *call.constants, *[None for _ in call.outputs], *call.scratch]
    addresses = np.array([0 if a is None else a.ctypes.data for a in arrays], np.int64)
    sizes = np.array(call.sizes, np.int64)
    extents: list[Any] = []

    def extents_of(shape: tuple[int, ...]) -> int:
        extents.append(np.array(shape, np.int64))
        return int(extents[-1].ctypes.data)
    objects: list[Any] = []
    operations = operations_for(call.structure, objects)
    program, paths = np.array(operations, np.int64), []
    # An input that is named out makes the word mean two things: the careful call tells.
    names = [sys.intern(name) for name in call.names]
    out = sys.intern("out")
    words = [id(call.fallback), id(np.ndarray), new, give_back, kernel, sizes.ctypes.data,
             0 if routines is None else ctypes.addressof(routines), 0, len(call.arguments), len(call.outputs),
             len(operations) // OPERATION, addresses.ctypes.data, len(call.arguments) + len(call.constants), NEVER,
             int(call.gives_lock), 0, 0 if out in names else id(out), program.ctypes.data, scalar]
    scalars = {"float64": (id(float), id(np.float64)), "float32": (id(np.float32), 0)}
    for name, a in zip(names, call.arguments, strict=True):
        low, high = call.ranges.get(name, (0, -1))
        real = isinstance(low, float)
        span = np.array([low, high]).view(np.int64).tolist() if real else [low, high - low + 1]
        words += [id(a.dtype), a.ndim, extents_of(a.shape), *(scalars.get(a.dtype.name, (0, 0)) if a.ndim == 0 else (0, 0)),
                  0 if name == out else id(name), a.nbytes, a.size if name in call.ranges else 0, *span, 0 if real else a.itemsize]
    dtypes = [a.dtype for a in call.arguments] + [dtype for _, dtype in call.outputs]
    for (shape, dtype), path in zip(call.outputs, paths_to(call.structure), strict=True):
        paths.append(np.array([len(path) // STEP, *path], np.int64))
        words += [id(dtype), len(shape), extents_of(shape), dtype.num, math.prod(shape) * dtype.itemsize, paths[-1].ctypes.data]
    table = np.array(words, np.int64).view(Table)
    table.kept = (call.fallback, addresses, sizes, routines, extents, dtypes, names, out, program, objects, paths,
                  list(call.constants), list(call.scratch), kept)
    TABLES[table.ctypes.data] = table
    return function_of(code, table)


def operations_for(tree: Any, objects: list[Any]) -> list[int]:
    """The words of the operations that put a tree together; `objects` keeps what they point to."""
    if isinstance(tree, dict):
        objects.append(tuple(tree))
        own, entries = [(MAPPING, len(tree), id(objects[-1]))], list(tree.values())
    elif isinstance(tree, (list, tuple)):
        objects.append(type(tree))
        own, entries = [(SEQUENCE, len(tree), id(list if isinstance(tree, list) else tuple))], list(tree)
        if hasattr(tree, "_fields"):
            own.append((CALLED, 1, id(type(tree))))
    else:
        return [PART, 0, 0]
    return [*(word for entry in entries for word in operations_for(entry, objects)), *(word for words in own for word in words)]


def paths_to(tree: Any) -> list[list[int]]:
    """The words of the way to each leaf; what is in a dict is not found without Python."""
    if not isinstance(tree, (dict, list, tuple)):
        return [[]]
    kind = 0 if isinstance(tree, dict) else id(type(tree))
    entries = tree.values() if isinstance(tree, dict) else tree
    return [[kind, len(tree), int(isinstance(tree, list)), k, *rest] for k, entry in enumerate(entries) for rest in paths_to(entry)]


class MethodDef(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


@cache
def definition(code: int) -> MethodDef:
    """The definition of the built-in function, which must live as long as any."""
    return MethodDef(b"kernel", code, FASTCALL_KEYWORDS, b"A compiled kernel: takes the inputs in order, returns the outputs.")


def function_of(code: int, table: Table) -> Any:
    """A built-in function bound to its table."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(definition(code)), table, None)
