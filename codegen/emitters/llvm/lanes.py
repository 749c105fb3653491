"""What a vector loop needs to know of its body: registers that it changes, its width, how many vectors to take at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import gcd

from msgspec import Struct

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Buffer,
    Call,
    CarryingLoop,
    Fold,
    IndexValue,
    Literal,
    Load,
    Loop,
    SampleLoop,
    Section,
    SizeValue,
    Statement,
    TileLoop,
    Update,
)
from codegen.loop_ir.scalars import DEAR
from codegen.loop_ir.walks import loads, panels_of, part_ends, statements, subvalues, values_of, written

# Vectors of a short loop that are written out, and those that are held in registers around it: as many as there are registers,
# of which the machine's compiler keeps some in memory, and spares the others their way there (an eighth less time on Zen 3).
MOST_WRITTEN, MOST_HELD = 8, 16
# Values in a body for which four, or two, vectors at once still fit the registers.
SHORT, MIDDLING = 12, 30
MOST_FOLDS = 8
# Values in each loop inside of a vector loop for which four natural vectors, or two, are taken as one.
FEW, SEVERAL = 8, 14


def own_registers(body: Iterable[Statement]) -> set[str]:
    """The registers that loops inside a body carry."""
    return {c.name for s in statements(tuple(body)) if isinstance(s, CarryingLoop) for c in s.carried}


def changed_registers(body: tuple[Statement, ...]) -> list[str]:
    """The registers of the outside that a body changes, in order."""
    own = own_registers(body)
    return list(dict.fromkeys(s.register for s in statements(body) if isinstance(s, (Update, Assign)) and s.register not in own))


def folds_of(body: tuple[Statement, ...]) -> dict[str, Fold]:
    """The registers of the outside that a body folds into, and how."""
    own = own_registers(body)
    return {s.register: s.op for s in statements(body) if isinstance(s, Update) and s.register not in own}


def lanes_for(body: tuple[Statement, ...], buffers: Mapping[str, Buffer], vector_bytes: int) -> int:
    """How many turns one vector takes: as many as the widest numbers in it allow."""
    widest = 4
    for statement in statements(body):
        for name in written(statement):
            widest = max(widest, BYTES[buffers[name].dtype])
        for outer in values_of(statement):
            for value in subvalues(outer):
                if isinstance(value, (Literal, Call, SizeValue, IndexValue)):
                    widest = max(widest, BYTES[value.dtype])
                elif type(value) is Load:
                    widest = max(widest, BYTES[buffers[value.buffer].dtype])
    return vector_bytes // widest


def vectors_at_once(body: tuple[Statement, ...]) -> int:
    """How many vectors a turn takes: folds wait for themselves, so several go side by side where the body is short."""
    count = folds = 0
    for statement in statements(body):
        if isinstance(statement, CarryingLoop):
            return 1
        folds += isinstance(statement, Update)
        for outer in values_of(statement):
            for value in subvalues(outer):
                count += 1
                if isinstance(value, Call) and value.function in DEAR:
                    return 1
    at_once = 4 if count <= SHORT and folds else 2 if count <= MIDDLING and folds else 1
    # Each fold takes a register for each vector.
    return max(min(at_once, MOST_FOLDS // max(folds, 1)), 1)


def vectors_in_one(body: tuple[Statement, ...]) -> int:
    """How many vectors of the processor are one of a vector loop with loops in it.

    Each inner loop then goes its way once for all of them: it reads longer pieces of rows, and its folds need not wait.
    """
    longest = 0
    for inner in [s for s in statements(body) if isinstance(s, CarryingLoop)]:
        values = [v for s in statements(inner.body) for outer in values_of(s) for v in subvalues(outer)]
        dear = any(isinstance(v, Call) and v.function in DEAR for v in values)
        if dear or any(isinstance(s, Loop) for s in statements(inner.body)):
            return 1
        longest = max(longest, len(values) + len(inner.carried))
    return 1 if longest == 0 else 4 if longest <= FEW else 2 if longest <= SEVERAL else 1


def whole_rows(section: Section) -> int:
    """A number that divides the samples of every tile of a section, where it is known from the start; 1 where none is."""
    if section.kind != "range" or not isinstance(section.extent, int) or section.extent == 0:
        return 1
    parts = [(0, section.extent)] if section.cut is None else part_ends(section.cut, section.extent)
    return gcd(*[hi - lo for lo, hi in parts], *[s.rows for s in section.body if isinstance(s, TileLoop)])


def is_written_out(loop: Loop | SampleLoop, width: int, most: int = MOST_WRITTEN) -> bool:
    """Whether a vector loop is written out: its ends are numbers, its vectors are few, and so are the values of its body."""
    if not isinstance(loop, Loop) or not isinstance(loop.lo, int) or not isinstance(loop.hi, int):
        return False
    if (loop.hi - loop.lo) // width > most or any(isinstance(s, CarryingLoop) for s in statements(loop.body)):
        return False
    values = [v for s in statements(loop.body) for outer in values_of(s) for v in subvalues(outer)]
    return len(values) <= SHORT and not any(isinstance(v, Call) and v.function in DEAR for v in values)


class HeldRow(Struct, frozen=True):
    """A row of a buffer that stays in registers: its elements, counted by `var`, in parts of (start, lanes)."""

    buffer: str
    index: tuple[Affine, ...]
    var: str
    parts: tuple[tuple[int, int], ...]


def held_rows(loop: Loop | SampleLoop, buffers: Mapping[str, Buffer], vector_bytes: int) -> dict[str, HeldRow]:
    """The rows into which short vector loops in a loop fold, and which nothing else in it touches."""
    found: dict[str, HeldRow] = {}
    for inner in loop.body if loop.kind == "serial" else ():
        if not isinstance(inner, Loop) or inner.kind != "lane" or inner.carried or not inner.body:
            continue
        width = lanes_for(inner.body, buffers, vector_bytes)
        if not is_written_out(inner, width, MOST_HELD) or not all(isinstance(s, Accumulate) for s in inner.body):
            continue
        assert isinstance(inner.lo, int) and isinstance(inner.hi, int)
        lanes = parts_of(inner.hi - inner.lo, width)
        parts = tuple(zip(accumulate([inner.lo, *lanes[:-1]]), lanes, strict=True))
        for s in inner.body:
            assert isinstance(s, Accumulate)
            row, (*others, last) = HeldRow(s.buffer, s.index, inner.var, parts), s.index or (Affine(0),)
            if last == Affine(0, ((inner.var, 1),)) and not any(i.terms for i in others):
                found[s.buffer] = row
    touched = Counter(name for s in statements(loop.body) for name in (*written(s), *(
        place[0] for place in loads(s)), *(panel.buffer for panel in panels_of(s))))
    held: dict[str, HeldRow] = {}
    for name, row in found.items():
        if touched[name] == 1 and sum(len(r.parts) for r in held.values()) + len(row.parts) <= MOST_HELD:
            held[name] = row
    return held


def parts_of(length: int, width: int) -> list[int]:
    """Lanes of the vectors of a short loop: whole vectors, then halves of them, so that none needs a mask."""
    lanes = [width] * (length // width)
    while left := length - sum(lanes):
        lanes.append(1 << left.bit_length() - 1)
    return lanes
