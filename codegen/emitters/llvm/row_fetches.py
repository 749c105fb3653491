"""Rows that an index tells are fetched some turns before they are read or added to: no processor foresees where they stand.

    for e:  p = i[e];  … x[p, :] …;  g[p, :] += …      fetches x[i[e + 16], :] and g[i[e + 16], :] at turn e

(A pose graph of 200,000 edges and 50,000 poses takes half of the time on Zen 5.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from codegen.emitters.llvm.instructions import Ssa, literal
from codegen.emitters.llvm.turns import TurnWriter
from codegen.emitters.llvm.values import LINE
from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import Accumulate, Affine, Buffer, CarryingLoop, Let, Loop, SampleLoop, Store
from codegen.loop_ir.walks import index_variables, loads, statements, used_registers
from symdiff.sizes import Size, product

# How many turns before, where a turn is straight code, and where it has loops in it.
TURNS_BEFORE, ROWS_BEFORE = 16, 4
# Smaller arrays stay in the second cache; loops of fewer turns begin without.
LEAST_BYTES, LEAST_TURNS = 1 << 18, 64
# So much of a row is fetched: after that the processor sees where this goes.
MOST_LINES = 4


class ToldRows(Struct, frozen=True):
    """The statements of a turn that tell positions, and the places that they tell: buffer and index of the first element."""

    telling: tuple[Let, ...]
    places: tuple[tuple[str, tuple[Affine, ...]], ...]
    before: int


def told_rows(loop: Loop | SampleLoop, buffers: Mapping[str, Buffer]) -> ToldRows | None:
    """What a turn of a loop reads or adds to in large arrays where an index tells, None where it is nothing."""
    if isinstance(loop, Loop) and isinstance(loop.lo, int) and isinstance(loop.hi, int) and loop.hi - loop.lo < LEAST_TURNS:
        return None
    own = {s.register for s in statements(loop.body) if isinstance(s, Let)}
    known = {loop.var}
    telling: list[Let] = []
    for s in loop.body:
        # What is computed of positions in floating numbers is read there, and tells none.
        if isinstance(s, Let) and s.dtype in ("int64", "int32"):
            read = used_registers(s)
            if read & known and not (read & own) - known:
                known.add(s.register)
                telling.append(s)
    told = known - {loop.var}
    places = dict.fromkeys([place for name, index in touched(loop) if is_large(buffers[name]) and (
        place := (name, first_element(index, told))) and any(i.terms for i in place[1])]) if told else {}
    nested = any(isinstance(s, CarryingLoop) for s in loop.body)
    return ToldRows(tuple(telling), tuple(places), (ROWS_BEFORE if nested else TURNS_BEFORE) * loop.step) if places else None


def touched(loop: Loop | SampleLoop) -> Iterator[tuple[str, tuple[Affine, ...]]]:
    """The places that the turns of a loop read or write, one by one."""
    for s in statements(loop.body):
        yield from [(place[0], place[1]) for place in loads(s)]
        if isinstance(s, (Store, Accumulate)):
            yield s.buffer, s.index


def is_large(buffer: Buffer) -> bool:
    """Whether an array may be larger than what stays in the second cache."""
    count: Size = product(buffer.shape)
    return not isinstance(count, int) or count * BYTES[buffer.dtype] >= LEAST_BYTES


def first_element(index: tuple[Affine, ...], told: set[str]) -> tuple[Affine, ...]:
    """The index of where a row begins: of its variables those that are told alone."""
    found = []
    for i in index:
        terms = tuple([(v, c) for v, c in i.terms if isinstance(v, str) and v in told])
        found.append(Affine(i.const, terms) if terms and told.issuperset(index_variables(Affine(0, terms))) else Affine(0))
    return tuple(found)


class RowFetcher(TurnWriter):
    """Writes what fetches rows ahead."""

    def __init__(self, sizes: dict[str, Ssa], buffers: Mapping[str, Buffer], rows: Mapping[str, int]) -> None:
        super().__init__(sizes, buffers, rows)
        self.rows_of: dict[int, tuple[Loop | SampleLoop, ToldRows | None]] = {}

    def fetch_rows(self, loop: Loop | SampleLoop, stop: Ssa) -> None:
        """Fetch the rows of a later turn of a loop that ends before `stop`."""
        if id(loop) not in self.rows_of:
            self.rows_of[id(loop)] = loop, told_rows(loop, self.buffers)
        rows = self.rows_of[id(loop)][1]
        if rows is None or self.mask is not None:
            return
        now, before = self.variables[loop.var], dict(self.registers)
        # At the end the last turns are fetched once more, so that positions are read where there are some.
        later = self.plus(now, literal(max(rows.before, 2 * self.lanes), "i64"))
        last = self.minus(stop, literal(self.lanes if self.lanes > 1 else loop.step, "i64"))
        self.variables[loop.var] = self.select(self.compare("icmp slt", later, last), later, last)
        for let in rows.telling:
            self.registers[let.register] = self.value(let.value)
        for name, index in rows.places:
            size = BYTES[self.buffers[name].dtype]
            long = [stride for i, stride in zip(index, self.strides[name], strict=True) if i.terms]
            bytes_of_row = min(long[-1] * size, LINE * MOST_LINES) if isinstance(long[-1], int) else LINE
            place = self.offset(name, index)
            apart = self.lanes > 1 and (place.apart is not None or place.step.name != "0")
            pointers = self.addresses(name, place, None, lambda: self.slot("i8")) if apart else [self.pointer(name, place.base)]
            for pointer in pointers:
                for position in range(0, bytes_of_row, LINE):
                    self.fetch(pointer, position, 3)
        self.variables[loop.var] = now
        self.registers.clear()
        self.registers.update(before)
