"""The table of a fast call, of 64-bit words, and lines of machine code that read it.

The head of the table: fallback, array type, PyArray_New, PyArray_Return, kernel, sizes, routines, calls so far, number of
arguments, number of outputs, how many operations put the result together, table of addresses, place of the first output in it,
after how many calls all go to the fallback, whether the interpreter's lock is given away while the kernel runs, whether it runs
at the moment, the string "out", the operations, PyArray_Scalar;

for each argument: dtype, rank, extents, up to two types of scalars, name, bytes, how many elements of it must be
looked at, since positions follow from them, the least number that they may be, how many integers from there on (of floating
numbers the greatest), bytes of an integer (0 for floating ones);

for each output: dtype, rank, extents, type number, bytes, where in `out=` it stands (how many steps deep; and for each step:
type, entries, and whether it is a list; which entry).

An operation is a code, how many of the latest parts it takes, and an object: PART takes the next output for a part; SEQUENCE
makes a list (where the object is that type) or a tuple, MAPPING a dict with a tuple of keys, CALLED calls the object with the
entries of the latest part, which is a tuple.
"""

from __future__ import annotations

# Words of the head of the table, of an argument and of an output.
HEAD, ARGUMENT, OUTPUT, STEP, OPERATION = 19, 11, 6, 4, 3
PART, SEQUENCE, MAPPING, CALLED = range(4)
# Bytes into a NumPy array (and, for VALUE, into a scalar, a tuple and a list), as CPython and NumPy lay them out;
# `layouts_are_known` has tried them.
TYPE, VALUE, RANK, EXTENTS, DTYPE, FLAGS = 8, 16, 24, 32, 56, 64
ITEMS = 24
# C-contiguous and aligned; and writeable too.
READABLE, WRITEABLE = 0x101, 0x501


def load(name: str, kind: str, base: str, offset: str, element: str = "i64") -> str:
    """Two lines that load a field of an object, or an element of a table, one of words where nothing else is said."""
    element = "i8" if offset.isdigit() else element
    place = f"%{name}.p = getelementptr inbounds {element}, ptr {base}, i64 {offset}"
    return f"{place}\n  %{name} = load {kind}, ptr %{name}.p, align 4"


def loop(name: str, before: str, count: str, body: str, after: str, last: str, step: str = "1", first: str = "0") -> str:
    """The head of a loop from `first` to `count` that begins in block `before` and comes back from block `last`."""
    return f"""\
{name}.more:
  %{name} = phi i64 [ {first}, %{before} ], [ %{name}.next, %{last} ]
  %{name}.next = add nsw i64 %{name}, {step}
  %{name}.left = icmp slt i64 %{name}, {count}
  br i1 %{name}.left, label %{body}, label %{after}
"""


def fits(name: str, array: str, row: str, flags: int, then: str) -> str:
    """Go on at `then` if an array has the dtype, rank and extents of a row of the table and these flags, else be careful."""
    return f"""\
{name}.look:
  {load(f"{name}.dtype", "ptr", array, str(DTYPE))}
  {load(f"{name}.rank", "i32", array, str(RANK))}
  {load(f"{name}.flags", "i32", array, str(FLAGS))}
  {load(f"{name}.extents", "ptr", array, str(EXTENTS))}
  {load(f"{name}.want.dtype", "ptr", row, "0")}
  {load(f"{name}.want.rank", "i64", row, "8")}
  {load(f"{name}.want.extents", "ptr", row, "16")}
  %{name}.same.dtype = icmp eq ptr %{name}.dtype, %{name}.want.dtype
  %{name}.rank.wide = sext i32 %{name}.rank to i64
  %{name}.same.rank = icmp eq i64 %{name}.rank.wide, %{name}.want.rank
  %{name}.good.flags = and i32 %{name}.flags, {flags}
  %{name}.good = icmp eq i32 %{name}.good.flags, {flags}
  %{name}.same = and i1 %{name}.same.dtype, %{name}.same.rank
  %{name}.fits = and i1 %{name}.same, %{name}.good
  br i1 %{name}.fits, label %{name}.axis.more, label %careful

{loop(f"{name}.axis", f"{name}.look", f"%{name}.want.rank", f"{name}.axis.one", then, f"{name}.axis.one")}
{name}.axis.one:
  {load(f"{name}.extent", "i64", f"%{name}.extents", f"%{name}.axis")}
  {load(f"{name}.want", "i64", f"%{name}.want.extents", f"%{name}.axis")}
  %{name}.same.extent = icmp eq i64 %{name}.extent, %{name}.want
  br i1 %{name}.same.extent, label %{name}.axis.more, label %careful
"""


def counted(name: str, before: str, function: str, then: str) -> str:
    """Count references to all results up or down, then go on."""
    return f"""\
{loop(name, before, "%outputs", f"{name}.one", then, f"{name}.one")}
{name}.one:
  {load(f"{name}.result", "ptr", "%made", f"%{name}")}
  call void @{function}(ptr %{name}.result)
  br label %{name}.more
"""


def put(name: str, place: str, array: str, data: str) -> str:
    """Lines that note a result and its address at its place."""
    return f"""\
  %{name}.made.p = getelementptr inbounds ptr, ptr %made, i64 {place}
  store ptr {array}, ptr %{name}.made.p, align 8
  %{name}.place = add nsw i64 %first, {place}
  %{name}.address = getelementptr inbounds ptr, ptr %addresses, i64 %{name}.place
  store ptr {data}, ptr %{name}.address, align 8"""


def apart(name: str, before: str, count: str, first: str, rows: tuple[str, int, int], then: str) -> str:
    """Go on at `then` if an output lies apart from so many arrays, else be careful.

    `first` is the place of the first one's address; `rows` are where the table tells of them, the words of each, and which of
    these are its bytes.
    """
    base, words, of_bytes = rows
    return f"""\
{loop(name, before, count, f"{name}.one", then, f"{name}.one")}
{name}.one:
  %{name}.place = add nsw i64 %{name}, {first}
  {load(f"{name}.data", "ptr", "%addresses", f"%{name}.place")}
  %{name}.row = mul nsw i64 %{name}, {words}
  %{name}.at = add nsw i64 %{name}.row, {of_bytes}
  {load(f"{name}.bytes", "i64", base, f"%{name}.at")}
  %{name}.end = getelementptr inbounds i8, ptr %{name}.data, i64 %{name}.bytes
  %{name}.a = icmp ult ptr %{name}.data, %item.end
  %{name}.b = icmp ult ptr %item.data, %{name}.end
  %{name}.shared = and i1 %{name}.a, %{name}.b
  br i1 %{name}.shared, label %careful, label %{name}.more
"""
