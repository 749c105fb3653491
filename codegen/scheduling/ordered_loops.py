"""Loops of a nest in the order in which arrays lie: what counts neighbours goes inside.

before:  sample i                                     after:   for k in 0 : 50
           for k in 0 : 50                                       r = 0
             let v = exp(A[k, i] - m[k])                         sample i; r
             s[k] add= v                                           let v = exp(A[k, i] - m[k])
                                                                   r add= v
                                                                 s[k] add= r

Rows are then read as they lie, and what does not change along them is computed once.  (Loop interchange: Allen, Kennedy:
Automatic loop interchange, 1984; the register comes of `element_registers.carry`.)
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    CarryingLoop,
    Let,
    Loop,
    Nest,
    Program,
    SampleLoop,
    Statement,
    Store,
    Update,
)
from codegen.loop_ir.walks import is_told_by, loads, statements
from codegen.scheduling.vector_loops import independent


def order_loops(program: Program) -> Program:
    """The program with its nests of two loops in the better order."""
    return replace(program, sections=tuple(replace(s, body=ordered(s.body)) for s in program.sections))


def ordered(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """A body with its nests ordered, outer ones first."""
    found: list[Statement] = []
    for statement in body:
        if isinstance(statement, CarryingLoop):
            statement = turned(statement)
        if isinstance(statement, Nest):
            statement = replace(statement, body=ordered(statement.body))
        found.append(statement)
    return tuple(found)


def turned(outer: Loop | SampleLoop) -> Loop | SampleLoop:
    """The nest with its loops exchanged, where that is the same and better."""
    inner = outer.body[0] if len(outer.body) == 1 else None
    if not isinstance(inner, Loop) or inner.carried or not all(isinstance(s, (Let, Store, Accumulate, Update)) for s in inner.body):
        return outer
    if outer.kind != "serial" or inner.kind != "serial" or outer.step != 1 or (isinstance(outer, SampleLoop) and outer.rest):
        return outer
    touched = [place for s in statements(inner.body) for place in (*loads(s), *(
        [(s.buffer, s.index)] if isinstance(s, (Store, Accumulate)) else []))]
    both = [index for _, index in touched if is_told_by(index, outer.var) and is_told_by(index, inner.var)]
    if along(outer.var, both) <= along(inner.var, both) or not independent(outer) or not independent(inner):
        return outer
    return replace(inner, body=(replace(outer, body=inner.body, carried=()),), carried=outer.carried)


def along(var: str, places: Sequence[tuple[Affine, ...]]) -> int:
    """How many places are neighbours from turn to turn."""
    return sum(1 for index in places if dict(index[-1].terms).get(var) == 1)
