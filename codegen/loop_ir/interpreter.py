"""The interpreter: runs a program on NumPy arrays, statement by statement, with exact semantics and no mercy.

It is the oracle that emitters are tested against.  Every index is checked; storage that nobody has written holds NaN
(or the least integer), so that a read before a write shows; scalars are NumPy scalars of the dtypes that the program
states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from codegen.errors import OutOfBounds
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Barrier,
    Buffer,
    Call,
    Fill,
    Fold,
    If,
    IndexValue,
    Inside,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    MatVec,
    Mirror,
    Panel,
    Program,
    Quotient,
    Register,
    Remainder,
    SampleLoop,
    Section,
    SizeValue,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.panels import extent_along
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import storage_shape, tile_rows
from symdiff.sizes import Size, value_of

Array = np.ndarray[Any, Any]
FOLDS: dict[Fold, Any] = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def interpret(program: Program, arrays: Sequence[Array], sizes: Mapping[str, int],
              cuts: Sequence[int] | None = None) -> list[Array]:
    """The outputs of a program for its arguments and constants, given in order.

    `cuts` are inner cut points: each range section then runs over the pieces one after another.
    """
    given = iter(arrays)
    rows = tile_rows(program)
    storage: dict[str, Array] = {}
    for b in program.buffers:
        if b.role in ("arg", "const"):
            storage[b.name] = next(given)
        else:
            storage[b.name] = poisoned(tuple(value_of(s, sizes) for s in storage_shape(b, rows)), b.dtype)
    with np.errstate(all="ignore"):
        for section in program.sections:
            run_section(program, section, storage, sizes, cuts)
    return [storage[b.name] for b in program.buffers if b.role == "out"]


def run_section(program: Program, section: Section, storage: dict[str, Array], sizes: Mapping[str, int],
                cuts: Sequence[int] | None = None) -> None:
    """Run one section on given storage; a range section over each piece that `cuts` leave."""
    machine = Machine(program, storage, sizes)
    if section.kind != "range" or section.extent is None:
        machine.run(section.body)
        return
    ends = [0, *(cuts or ()), value_of(section.extent, sizes)]
    for lo, hi in pairwise(ends):
        machine = Machine(program, storage, sizes)
        machine.lo, machine.hi = lo, hi
        machine.run(section.body)


def poisoned(shape: tuple[int, ...], dtype: str) -> Array:
    """An array whose contents show when they are read unwritten."""
    if dtype == "bool":
        return np.ones(shape, dtype)
    return np.full(shape, np.nan if dtype.startswith("float") else np.iinfo(dtype).min, dtype)


class Machine:
    """The state while a section runs: arrays, registers, loop variables, the present range and tile."""

    def __init__(self, program: Program, storage: dict[str, Array], sizes: Mapping[str, int]) -> None:
        self.storage, self.sizes = storage, sizes
        self.buffers: dict[str, Buffer] = {b.name: b for b in program.buffers}
        self.registers: dict[str, Any] = {}
        self.dtypes: dict[str, str] = {}
        self.variables: dict[str, int] = {}
        self.lo = self.hi = 0

    def run(self, body: tuple[Statement, ...]) -> None:
        """Run the statements in order."""
        for statement in body:
            self.step(statement)

    def step(self, statement: Statement) -> None:
        """Run one statement."""
        match statement:
            case Let(register, dtype, value):
                self.registers[register] = as_dtype(self.value(value), dtype)
            case Store(buffer, index, value):
                self.storage[buffer][self.place(buffer, index)] = self.value(value)
            case Accumulate(op, buffer, index, value):
                place, array = self.place(buffer, index), self.storage[buffer]
                array[place] = FOLDS[op](array[place], as_dtype(self.value(value), self.buffers[buffer].dtype))
            case Update(op, register, value):
                result = FOLDS[op](self.registers[register], self.value(value))
                self.registers[register] = as_dtype(result, self.dtypes[register])
            case Assign(register, value):
                self.registers[register] = as_dtype(self.value(value), self.dtypes[register])
            case If(condition, body):
                if self.value(condition):
                    self.run(body)
            case Loop(var, lo, hi, body, step):
                self.carry(statement)
                self.loop(var, range(self.size(lo), self.size(hi), step), body)
            case SampleLoop(var, body):
                self.carry(statement)
                self.loop(var, self.samples(statement), body)
            case TileLoop(_, rows, body):
                self.tiles(rows, body)
            case Fill(buffer, value):
                self.fill(buffer, value)
            case MatMul():
                self.multiply(statement)
            case MatVec(_, a, x, y, m, k, beta):
                target = self.panel(y, m, None)
                product = self.panel(a, m, k) @ self.panel(x, k, None)
                target[...] = product if beta == 0 else product + target.dtype.type(beta) * target
            case Mirror(buffer, axes):
                array = self.storage[buffer]
                count = math.prod(array.shape[array.ndim - axes:])
                array = array.reshape(*array.shape[:array.ndim - 2 * axes], count, count)
                lower = np.tril_indices(array.shape[-1], -1)
                array[..., lower[1], lower[0]] = array[..., lower[0], lower[1]]
            case Barrier():
                pass  # one thread runs it: nothing to wait for

    def carry(self, loop: Loop | SampleLoop) -> None:
        """Set the carried registers before the first turn."""
        for c in loop.carried:
            self.registers[c.name] = as_dtype(self.value(c.initial), c.dtype)
            self.dtypes[c.name] = c.dtype

    def samples(self, loop: SampleLoop) -> range:
        """The samples that a loop takes."""
        group = loop.rest or loop.step
        whole = self.lo + (self.hi - self.lo) // group * group
        return range(whole, self.hi) if loop.rest else range(self.lo, whole, loop.step)

    def loop(self, var: str, turns: range, body: tuple[Statement, ...]) -> None:
        """Run the body once for each value of the loop variable."""
        for turn in turns:
            self.variables[var] = turn
            self.run(body)

    def tiles(self, rows: int, body: tuple[Statement, ...]) -> None:
        """Run the body once for each tile of the range."""
        lo, hi = self.lo, self.hi
        for start in range(lo, hi, rows):
            self.lo, self.hi = start, min(start + rows, hi)
            self.run(body)
        self.lo, self.hi = lo, hi

    def fill(self, name: str, value: Literal) -> None:
        """Fill a buffer, or the present rows of a tile buffer."""
        buffer, array = self.buffers[name], self.storage[name]
        if buffer.role == "tile" and buffer.sample_axis is not None:
            array[(slice(None),) * buffer.sample_axis + (slice(0, self.hi - self.lo),)] = value.value
        else:
            array[...] = value.value

    def multiply(self, product: MatMul) -> None:
        """A matrix product; of a symmetric one the lower triangle alone is written."""
        a, b = self.panel(product.A, product.m, product.k), self.panel(product.B, product.k, product.n)
        c = self.panel(product.C, product.m, product.n)
        scale = c.dtype.type
        result = scale(product.alpha) * (a @ b)
        if product.beta != 0:
            result = result + scale(product.beta) * c
        if product.kind == "symmetric":
            lower = np.tril_indices(c.shape[0])
            c[lower] = result[lower]
        else:
            c[...] = result

    def panel(self, panel: Panel, rows: Size | None, columns: Size | None) -> Array:
        """A matrix or vector operand as a view."""
        array, buffer = self.storage[panel.buffer], self.buffers[panel.buffer]
        # Of axes that count as one only the first may be cut.
        extents = {panel.row_group[0]: rows}
        if panel.column_axis is not None:
            extents[panel.column_group[0]] = columns
        cut: list[int | slice] = []
        for axis, index in enumerate(panel.index):
            start = self.affine(index)
            extent = extents.get(axis)
            if axis not in extents and axis in (*panel.row_group, *panel.column_group):
                cut.append(slice(None))
                continue
            if axis not in extents:
                start -= self.lo if buffer.role == "tile" and axis == buffer.sample_axis else 0
                cut.append(start)
                stop = start + 1
            else:
                if extent is None:
                    start += 0 if buffer.role == "tile" else self.lo
                stop = start + (self.hi - self.lo if extent is None else self.size(extent_along(axis, panel, extent, buffer)))
                cut.append(slice(start, stop))
            if not 0 <= start <= stop <= array.shape[axis]:
                raise OutOfBounds(f"panel of {panel.buffer} takes {start}:{stop} of axis {axis}, which has "
                                  f"{array.shape[axis]}")
        view: Array = array[tuple(cut)]
        if panel.joined and panel.column_axis is None:
            view = view.reshape(-1)
        elif panel.joined:
            count = panel.column_axes if self.by_columns(panel) else panel.row_axes
            view = view.reshape(math.prod(view.shape[:count]), math.prod(view.shape[count:]))
        return view.T if self.by_columns(panel) else view

    def by_columns(self, panel: Panel) -> bool:
        """Whether the columns of an operand come before its rows in the buffer."""
        return panel.column_axis is not None and panel.row_axis > panel.column_axis

    def place(self, name: str, index: tuple[Affine, ...]) -> tuple[int, ...]:
        """The checked position of an element in its array."""
        buffer, array = self.buffers[name], self.storage[name]
        place = [self.affine(i) for i in index]
        if buffer.role == "tile" and buffer.sample_axis is not None:
            place[buffer.sample_axis] -= self.lo
        if not all(0 <= p < s for p, s in zip(place, array.shape, strict=True)):
            raise OutOfBounds(f"{name}{place} is outside of shape {array.shape}", where=f"turns {self.variables}")
        return tuple(place)

    def value(self, value: Value) -> Any:
        """The value as a NumPy scalar."""
        match value:
            case Literal(number, dtype):
                return np.dtype(dtype).type(number)
            case Register(name):
                return self.registers[name]
            case SizeValue(size, dtype):
                return np.dtype(dtype).type(self.size(size))
            case IndexValue(index, dtype):
                return np.dtype(dtype).type(self.affine(index))
            case Load(buffer, index):
                return self.storage[buffer][self.place(buffer, index)]
            case Inside(index, size):
                return np.bool_(0 <= self.affine(index) < self.size(size))
            case Call("select", (condition, a, b), dtype):
                # Lazy, as the language promises: the branch not taken may hold a read outside of its buffer.
                return as_dtype(self.value(a if self.value(condition) else b), dtype)
            case Call("logical_and", (a, b)):
                return np.bool_(self.value(a) and self.value(b))
            case Call(function, args, dtype):
                return as_dtype(SCALARS[function].reference(*(self.value(a) for a in args)), dtype)

    def affine(self, index: Affine) -> int:
        """The value of an index."""
        total = self.size(index.const)
        for variable, coefficient in index.terms:
            match variable:
                case Quotient(inner, divisor):
                    turn = self.affine(inner) // self.size(divisor)
                case Remainder(inner, divisor):
                    turn = self.affine(inner) % self.size(divisor)
                case _:
                    turn = self.variables[variable] if variable in self.variables else int(self.registers[variable])
            total += turn * self.size(coefficient)
        return total

    def size(self, size: Size) -> int:
        """The value of a size."""
        return value_of(size, self.sizes)


def as_dtype(value: Any, dtype: str) -> Any:
    """The value as a NumPy scalar of a dtype."""
    return np.asarray(value).astype(dtype)[()]
