"""Fast calls: one function of machine code through which Python calls small kernels, some 10 ns more than an empty function.

It is a built-in function as C would write it (METH_FASTCALL), the same for all kernels; what differs stands in a table of
64-bit words, which is the data of the array that it is bound to:

    fallback, array type, PyArray_New, PyArray_Return, kernel, sizes, routines, calls so far, number of arguments,
    number of outputs, form of the result, table of addresses, place of the first output in it, after how many calls all
    go to the fallback,
    for each argument: dtype, rank, extents, up to two types of scalars,
    for each output: type number, rank, extents

Arguments that are arrays of the very dtypes and shapes of the table, contiguous and aligned, go to the kernel as they are;
every other call, keywords too, goes to the careful `fallback`, which gives the full errors.  The interpreter's lock is held:
for kernels of a few microseconds, giving it away would cost more.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np

from codegen.backends.protocol import DirectCall

# Words of the head of the table, of an argument and of an output.
HEAD, ARGUMENT, OUTPUT = 14, 5, 3
KERNEL, CALLS, LIMIT = 4, 7, 13
NEVER = -1
FORMS = ("single", "list", "tuple")
# Bytes into a NumPy array (and, for VALUE, into a scalar), as CPython and NumPy lay them out; `layouts_are_known` has tried them.
TYPE, VALUE, RANK, EXTENTS, DTYPE, FLAGS = 8, 16, 24, 32, 56, 64
# Places in NumPy's table of functions, which are part of its binary interface.
ARRAY_TYPE, RETURN, NEW = 2, 76, 93
FASTCALL_KEYWORDS = 0x0082


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
    scalars = (1.25, np.float64(1.25))
    return all(ctypes.c_double.from_address(id(x) + VALUE).value == 1.25 for x in scalars) and \
        ctypes.c_float.from_address(id(single := np.float32(2.5)) + VALUE).value == single


@cache
def numpy_functions() -> tuple[int, int] | None:
    """The addresses of PyArray_New and PyArray_Return, None where NumPy's table is not the known one."""
    import numpy._core._multiarray_umath as functions_of_numpy  # type: ignore[import-not-found]

    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer_of(functions_of_numpy._ARRAY_API, None)
    if not layouts_are_known() or table is None:
        return None
    functions = (ctypes.c_int64 * (NEW + 1)).from_address(table)
    return (functions[NEW], functions[RETURN]) if functions[ARRAY_TYPE] == id(np.ndarray) else None


def bound(code: int, kernel: int, routines: Any, call: DirectCall) -> Any:
    """The built-in function for a call; `code` is the address of the machine code, `kernel` that of the kernel."""
    functions = numpy_functions()
    assert functions is not None
    new, give_back = functions
    arrays = [*call.arguments, *call.constants, *[None for _ in call.outputs], *call.scratch]
    addresses = np.array([0 if a is None else a.ctypes.data for a in arrays], np.int64)
    sizes = np.array(call.sizes, np.int64)
    extents: list[Any] = []

    def extents_of(shape: tuple[int, ...]) -> int:
        extents.append(np.array(shape, np.int64))
        return int(extents[-1].ctypes.data)
    words = [id(call.fallback), id(np.ndarray), new, give_back, kernel, sizes.ctypes.data,
             0 if routines is None else ctypes.addressof(routines), 0, len(call.arguments), len(call.outputs),
             FORMS.index(call.form), addresses.ctypes.data, len(call.arguments) + len(call.constants), NEVER]
    scalars = {"float64": (id(float), id(np.float64)), "float32": (id(np.float32), 0)}
    for a in call.arguments:
        words += [id(a.dtype), a.ndim, extents_of(a.shape), *(scalars.get(a.dtype.name, (0, 0)) if a.ndim == 0 else (0, 0))]
    for shape, dtype in call.outputs:
        words += [dtype.num, len(shape), extents_of(shape)]
    table = np.array(words, np.int64).view(Table)
    dtypes = [a.dtype for a in call.arguments]
    table.kept = (call.fallback, addresses, sizes, routines, extents, dtypes, list(call.constants), list(call.scratch))
    return function_of(code, table)


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


def load(name: str, kind: str, base: str, offset: str) -> str:
    """Two lines that load a field of an object, or an element of a table of words."""
    element = "i8" if offset.isdigit() else "i64"
    place = f"%{name}.p = getelementptr inbounds {element}, ptr {base}, i64 {offset}"
    return f"{place}\n  %{name} = load {kind}, ptr %{name}.p, align 4"


CODE = f"""\
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)

define ptr @fast_call(ptr %self, ptr %args, i64 %count, ptr %names) {{
start:
  {load("table", "ptr", "%self", str(VALUE))}
  {load("array_type", "ptr", "%table", "8")}
  {load("kernel", "ptr", "%table", "32")}
  {load("sizes", "ptr", "%table", "40")}
  {load("routines", "ptr", "%table", "48")}
  {load("calls", "i64", "%table", "56")}
  {load("inputs", "i64", "%table", "64")}
  {load("outputs", "i64", "%table", "72")}
  {load("form", "i64", "%table", "80")}
  {load("addresses", "ptr", "%table", "88")}
  {load("first", "i64", "%table", "96")}
  {load("limit", "i64", "%table", "104")}
  %made = alloca ptr, i64 %outputs, align 8
  %few = icmp ne i64 %count, %inputs
  %named = icmp ne ptr %names, null
  %unlike = or i1 %few, %named
  %full = icmp eq i64 %calls, %limit
  %other = or i1 %unlike, %full
  br i1 %other, label %careful, label %more

careful:
  %fallback = load ptr, ptr %table, align 8
  %answer = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %count, ptr %names)
  ret ptr %answer

more:
  %k = phi i64 [ 0, %start ], [ %k.next, %taken ]
  %all = icmp slt i64 %k, %inputs
  br i1 %all, label %argument, label %new

argument:
  %arg.p = getelementptr inbounds ptr, ptr %args, i64 %k
  %arg = load ptr, ptr %arg.p, align 8
  {load("type", "ptr", "%arg", str(TYPE))}
  %k.row = mul nsw i64 %k, {ARGUMENT}
  %row.at = add nsw i64 %k.row, {HEAD}
  %row = getelementptr inbounds i64, ptr %table, i64 %row.at
  {load("want.rank", "i64", "%row", "8")}
  %is.array = icmp eq ptr %type, %array_type
  br i1 %is.array, label %array, label %scalar

array:
  {load("dtype", "ptr", "%arg", str(DTYPE))}
  {load("rank", "i32", "%arg", str(RANK))}
  {load("flags", "i32", "%arg", str(FLAGS))}
  {load("extents", "ptr", "%arg", str(EXTENTS))}
  %want.dtype = load ptr, ptr %row, align 8
  {load("want.extents", "ptr", "%row", "16")}
  %same.dtype = icmp eq ptr %dtype, %want.dtype
  %rank.wide = sext i32 %rank to i64
  %same.rank = icmp eq i64 %rank.wide, %want.rank
  %good.flags = and i32 %flags, 257
  %good = icmp eq i32 %good.flags, 257
  %fits.a = and i1 %same.dtype, %same.rank
  %fits = and i1 %fits.a, %good
  br i1 %fits, label %axes, label %careful

axes:
  %axis = phi i64 [ 0, %array ], [ %axis.next, %axis.good ]
  %axes.left = icmp slt i64 %axis, %want.rank
  br i1 %axes.left, label %axis.one, label %taken

axis.one:
  {load("extent", "i64", "%extents", "%axis")}
  {load("want.extent", "i64", "%want.extents", "%axis")}
  %same.extent = icmp eq i64 %extent, %want.extent
  br i1 %same.extent, label %axis.good, label %careful

axis.good:
  %axis.next = add nsw i64 %axis, 1
  br label %axes

scalar:
  {load("number.a", "ptr", "%row", "24")}
  {load("number.b", "ptr", "%row", "32")}
  %is.a = icmp eq ptr %type, %number.a
  %is.b = icmp eq ptr %type, %number.b
  %is.number = or i1 %is.a, %is.b
  br i1 %is.number, label %taken.scalar, label %careful

taken.scalar:
  %place = getelementptr inbounds i8, ptr %arg, i64 {VALUE}
  br label %taken

taken:
  %direct = phi ptr [ null, %axes ], [ %place, %taken.scalar ]
  {load("data", "ptr", "%arg", str(VALUE))}
  %from.array = icmp eq ptr %direct, null
  %address = select i1 %from.array, ptr %data, ptr %direct
  %address.p = getelementptr inbounds ptr, ptr %addresses, i64 %k
  store ptr %address, ptr %address.p, align 8
  %k.next = add nsw i64 %k, 1
  br label %more

new:
  {load("make", "ptr", "%table", "16")}
  {load("give", "ptr", "%table", "24")}
  %outs.a = mul nsw i64 %inputs, {ARGUMENT}
  %outs.at = add nsw i64 %outs.a, {HEAD}
  %outs = getelementptr inbounds i64, ptr %table, i64 %outs.at
  br label %new.more

new.more:
  %o = phi i64 [ 0, %new ], [ %o.next, %new.good ]
  %new.left = icmp slt i64 %o, %outputs
  br i1 %new.left, label %new.one, label %run

new.one:
  %o.row = mul nsw i64 %o, {OUTPUT}
  %out = getelementptr inbounds i64, ptr %outs, i64 %o.row
  %number = load i64, ptr %out, align 8
  %number.short = trunc i64 %number to i32
  {load("out.rank", "i64", "%out", "8")}
  %out.rank.short = trunc i64 %out.rank to i32
  {load("out.extents", "ptr", "%out", "16")}
  %result = call ptr %make(ptr %array_type, i32 %out.rank.short, ptr %out.extents, i32 %number.short, ptr null, ptr null,
                           i32 0, i32 0, ptr null)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %no.memory, label %new.good

no.memory:
  ret ptr null

new.good:
  %made.p = getelementptr inbounds ptr, ptr %made, i64 %o
  store ptr %result, ptr %made.p, align 8
  {load("result.data", "ptr", "%result", str(VALUE))}
  %o.place = add nsw i64 %first, %o
  %out.address = getelementptr inbounds ptr, ptr %addresses, i64 %o.place
  store ptr %result.data, ptr %out.address, align 8
  %o.next = add nsw i64 %o, 1
  br label %new.more

run:
  call void %kernel(ptr %addresses, ptr %sizes, ptr %routines)
  %calls.next = add nsw i64 %calls, 1
  store i64 %calls.next, ptr %calls.p, align 8
  %is.single = icmp eq i64 %form, 0
  br i1 %is.single, label %single, label %several

single:
  %only = load ptr, ptr %made, align 8
  %only.given = call ptr %give(ptr %only)
  ret ptr %only.given

several:
  %is.list = icmp eq i64 %form, 1
  %build = select i1 %is.list, ptr @PyList_New, ptr @PyTuple_New
  %put = select i1 %is.list, ptr @PyList_SetItem, ptr @PyTuple_SetItem
  %whole = call ptr %build(i64 %outputs)
  %no.whole = icmp eq ptr %whole, null
  br i1 %no.whole, label %no.memory, label %give.more

give.more:
  %g = phi i64 [ 0, %several ], [ %g.next, %give.one ]
  %give.left = icmp slt i64 %g, %outputs
  br i1 %give.left, label %give.one, label %done

give.one:
  %given.p = getelementptr inbounds ptr, ptr %made, i64 %g
  %given = load ptr, ptr %given.p, align 8
  %returned = call ptr %give(ptr %given)
  %ignored = call i32 %put(ptr %whole, i64 %g, ptr %returned)
  %g.next = add nsw i64 %g, 1
  br label %give.more

done:
  ret ptr %whole
}}
"""
