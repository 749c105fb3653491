"""Parted sections: a long section outside of the data is several, one after the other, each a function of its own.

before:  init 0: A; B; C; D          (each with many statements)
after:   init 0: A; B      init 0: C; D

Compilers take far more than twice as long for a function of twice the length.  A section is parted where nothing that one part
has named is read in the next, but for values that can be computed again; where a part gets long, what is read is stored, all
of a dtype in one buffer, in which a value that is read no more gives its place to another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Affine,
    Buffer,
    CarryingLoop,
    Let,
    Load,
    Program,
    Register,
    Section,
    Statement,
    Store,
)
from codegen.loop_ir.walks import read, statements, used_registers, written

# Statements of a part, those inside of loops counted too; of one whose values are stored for the next.
ENOUGH, MANY = 80, 320
# Named values that may be computed again for one.
SHORT = 6


class Repeated(NamedTuple):
    """A named value that is computed again, the registers that it reads, and its place among the others."""

    let: Let
    uses: Set[str]
    place: int


class Stored(NamedTuple):
    """A named value that is stored for later parts, and where: in which buffer, at which position."""

    let: Let
    buffer: str
    position: int


def part_sections(program: Program) -> Program:
    """The program with its long sections parted."""
    kept: dict[str, Buffer] = {}
    sections = tuple(part for section in program.sections for part in parts(section, kept))
    return replace(program, sections=sections, buffers=(*program.buffers, *kept.values()))


def parts(section: Section, kept: dict[str, Buffer]) -> Iterator[Section]:
    """The parts of a section; of one over the data, itself.  The buffers `kept`, by dtype, hold what is stored for later parts."""
    if section.kind == "range" or sum(1 for _ in statements(section.body)) <= ENOUGH:
        yield section
        return
    uses = [used(statement) for statement in section.body]
    last_use = {name: place for place, names in enumerate(uses) for name in names}
    again = repeatable(section.body, uses)
    ends: dict[int, list[str]] = {}
    for name, place in last_use.items():
        ends.setdefault(place, []).append(name)
    start = size = 0
    # What was named, is read further on, and is not stored.
    fresh: dict[str, Statement] = {}
    stored: dict[str, Stored] = {}
    positions = Positions(kept)
    for place, statement in enumerate(section.body):
        size += 1 if statement.__class__ is Let else sum(1 for _ in statements((statement,)))
        for name in named(statement):
            if name not in again and last_use.get(name, -1) > place:
                fresh[name] = statement
        for name in ends.get(place, ()):
            fresh.pop(name, None)
        if size >= ENOUGH and (not fresh or (size >= MANY and all(isinstance(let, Let) for let in fresh.values()))):
            body = part(section.body, uses, start, place + 1, again, stored)
            for name in [name for name in stored if last_use[name] <= place]:
                positions.give(stored.pop(name))
            for name, let in fresh.items():
                assert isinstance(let, Let)
                stored[name] = positions.take(let)
            saves = [Store(stored[name].buffer, (Affine(stored[name].position),), Register(name)) for name in fresh]
            yield replace(section, body=(*body, *saves))
            start, size, fresh = place + 1, 0, {}
    if start < len(section.body):
        yield replace(section, body=part(section.body, uses, start, len(section.body), again, stored))


class Positions:
    """The positions of the buffers `kept` at which no value stands that is still read, in one section."""

    def __init__(self, kept: dict[str, Buffer]) -> None:
        self.kept = kept
        self.free: dict[str, list[int]] = {}
        self.count: dict[str, int] = {}

    def take(self, let: Let) -> Stored:
        """A position for a named value; the buffer of its dtype is made, or made longer, where it has none left."""
        free = self.free.setdefault(let.dtype, [])
        if free:
            position = heappop(free)
        else:
            position = self.count[let.dtype] = self.count.get(let.dtype, -1) + 1
        buffer = self.kept.get(let.dtype)
        length = max(position + 1, int(buffer.shape[0]) if buffer is not None else 0)
        name = f"k{len(self.kept)}" if buffer is None else buffer.name
        self.kept[let.dtype] = Buffer(name, let.dtype, (length,), "full")
        return Stored(let, name, position)

    def give(self, stored: Stored) -> None:
        """Let another value stand where this one does."""
        heappush(self.free[stored.let.dtype], stored.position)


def repeatable(body: tuple[Statement, ...], uses: list[Set[str]]) -> dict[str, Repeated]:
    """The short values named in a body that are the same wherever they are computed again behind their first place."""
    later: set[str] = set()
    constant: set[int] = set()
    for place in reversed(range(len(body))):
        statement = body[place]
        if type(statement) is Let:
            if not later or later.isdisjoint(read(statement)):
                constant.add(place)
        else:
            later |= {name for s in statements((statement,)) for name in written(s)}
    found: dict[str, Repeated] = {}
    length: dict[str, int] = {}
    for place, statement in enumerate(body):
        if place in constant and all([name in found for name in uses[place]]):
            assert isinstance(statement, Let)
            # What it takes to compute it again, with all that it is made of.
            length[statement.register] = 1 + sum([length[name] for name in uses[place]])
            if length[statement.register] <= SHORT:
                found[statement.register] = Repeated(statement, uses[place], place)
    return found


def part(body: tuple[Statement, ...], uses: list[Set[str]], start: int, end: int,
         again: dict[str, Repeated], stored: dict[str, Stored]) -> tuple[Statement, ...]:
    """The statements of a part, behind the named values of parts before that it reads."""
    here = body[start:end]
    own = {name for statement in here for name in named(statement)}
    wanted: set[str] = set()
    pending = [name for names in uses[start:end] for name in names if name in again and name not in own]
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(again[name].uses)
    asked = {name for names in uses[start:end] for name in names if name in stored and name not in own}
    loads = [Let(name, stored[name].let.dtype, Load(stored[name].buffer, (Affine(stored[name].position),)))
             for name in sorted(asked, key=lambda name: stored[name].position)]
    return (*[again[name].let for name in sorted(wanted, key=lambda name: again[name].place)], *loads, *here)


def named(statement: Statement) -> list[str]:
    """The registers that a statement defines."""
    if type(statement) is Let:
        return [statement.register]
    found: list[str] = []
    for inner in statements((statement,)):
        if type(inner) is Let:
            found.append(inner.register)
        elif isinstance(inner, CarryingLoop):
            found += [c.name for c in inner.carried]
    return found


def used(statement: Statement) -> Set[str]:
    """The registers that a statement reads, and those in it."""
    if type(statement) is Let:
        return used_registers(statement)
    return {name for inner in statements((statement,)) for name in used_registers(inner)}
