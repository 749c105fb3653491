"""Parted sections: a long section outside of the data is several, one after the other, each a function of its own.

before:  init 0: A; B; C; D          (each with many statements)
after:   init 0: A; B      init 0: C; D

Compilers take far more than twice as long for a function of twice the length.  A section is parted where nothing that one part
has named is read in the next, but for values that can be computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from codegen.loop_ir.nodes import Carried, Let, Load, Loop, Program, Register, SampleLoop, Section, Statement
from codegen.loop_ir.walks import index_variables, indices_of, statements, subvalues, values_of, written

# Statements of a part, those inside of loops counted too.
ENOUGH = 80
# Named values that may be computed again for one.
SHORT = 6


def part_sections(program: Program) -> Program:
    """The program with its long sections parted."""
    return replace(program, sections=tuple(part for section in program.sections for part in parts(section)))


def parts(section: Section) -> Iterator[Section]:
    """The parts of a section; of one over the data, itself."""
    if section.kind == "range" or sum(1 for _ in statements(section.body)) <= ENOUGH:
        yield section
        return
    last_use = {name: place for place, statement in enumerate(section.body) for name in used((statement,))}
    again = repeatable(section.body)
    body: list[Statement] = []
    size = 0
    needed = -1
    for place, statement in enumerate(section.body):
        body.append(statement)
        size += sum(1 for _ in statements((statement,)))
        needed = max([needed, *(last_use.get(name, -1) for name in named((statement,)) if name not in again)])
        if size >= ENOUGH and needed <= place:
            yield replace(section, body=(*before(body, again), *body))
            body, size = [], 0
    if body:
        yield replace(section, body=(*before(body, again), *body))


def repeatable(body: tuple[Statement, ...]) -> dict[str, Let]:
    """The short values named in a body that are the same wherever they are computed again behind their first place."""
    later: set[str] = set()
    constant: set[int] = set()
    for place in reversed(range(len(body))):
        loaded = {v.buffer for outer in values_of(body[place]) for v in subvalues(outer) if isinstance(v, Load)}
        if isinstance(body[place], Let) and not loaded & later:
            constant.add(place)
        later |= {name for s in statements((body[place],)) for name in written(s)}
    found: dict[str, Let] = {}
    length: dict[str, int] = {}
    for place, statement in enumerate(body):
        if place in constant and all(name in found for name in used((statement,))):
            assert isinstance(statement, Let)
            # What it takes to compute it again, with all that it is made of.
            length[statement.register] = 1 + sum(length[name] for name in used((statement,)))
            if length[statement.register] <= SHORT:
                found[statement.register] = statement
    return found


def before(body: list[Statement], again: dict[str, Let]) -> list[Let]:
    """The named values of parts before that a part reads."""
    own = set(named(tuple(body)))
    wanted = {name for name in used(tuple(body)) if name in again and name not in own}
    for name in reversed(again):
        if name in wanted:
            wanted |= set(used((again[name],)))
    return [let for name, let in again.items() if name in wanted]


def named(body: tuple[Statement, ...]) -> Iterator[str]:
    """The registers that statements define."""
    for statement in statements(body):
        if isinstance(statement, Let):
            yield statement.register
        elif isinstance(statement, (Loop, SampleLoop)):
            carried: tuple[Carried, ...] = statement.carried
            yield from (c.name for c in carried)


def used(body: tuple[Statement, ...]) -> Iterator[str]:
    """The registers that statements read, as values or as positions."""
    for statement in statements(body):
        for outer in values_of(statement):
            yield from (v.name for v in subvalues(outer) if isinstance(v, Register))
        for index in indices_of(statement):
            yield from index_variables(index)
