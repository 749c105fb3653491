"""Fusion: loops over the same positions, one after the other, become one, and what was just stored is not loaded again.

before:  for i in 0 : n; t[i] = x[i] * y[i]
         for j in 0 : n; z[j] = exp(t[j])
after:   for i in 0 : n; let v = x[i] * y[i]; t[i] = v; z[i] = exp(v)

Two nests may be one where each position that both touch, and one of them writes, is touched in the same turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Register,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, moved, replaced_value, with_values
from codegen.loop_ir.walks import buffers_of, fresh_names, statements, subvalues, values_of
from codegen.scheduling.vector_loops import apart, independent

PLAIN = (Let, Store, Accumulate, Update, Assign, If)
# A body of more statements keeps its values in too many registers.
LONGEST = 40
Place = tuple[str, tuple[Affine, ...]]


def fuse(program: Program) -> Program:
    """The program with neighbouring nests over the same positions fused."""
    fuser = Fuser(program)
    return replace(program, sections=tuple(replace(s, body=fuser.body(s.body)) for s in program.sections))


class Fuser:
    """Fuses loops; names the values that are handed on."""

    def __init__(self, program: Program) -> None:
        self.dtypes = {name: b.dtype for name, b in buffers_of(program).items()}
        self.register = fresh_names(program, "f")

    def body(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body with its loops fused, outer ones first."""
        found: list[Statement] = []
        for statement in body:
            if not isinstance(statement, Loop):
                found.append(statement)
                continue
            place = len(found) - 1
            while place > 0 and isinstance(found[place], Let):
                place -= 1
            last, between = found[place] if found else None, found[place + 1:]
            if isinstance(last, Loop) and not written_in(last) & {
                    p[0] for let in between for p in reads(let)}:
                one = together(last, statement)
                if one is not None:
                    # What is named between the two is named before both.
                    found[place:] = [*between, one]
                    continue
            found.append(statement)
        return tuple(self.inside(statement) for statement in found)

    def inside(self, statement: Statement) -> Statement:
        """A statement with the loops in it fused, and with values handed on in an innermost loop."""
        if isinstance(statement, (Loop, SampleLoop, TileLoop, If)):
            inner = self.body(statement.body)
            if isinstance(statement, Loop) and all(isinstance(s, PLAIN) for s in inner):
                inner = self.handed_on(inner, {})
            return replace(statement, body=inner)
        return statement

    def handed_on(self, body: Sequence[Statement], known: dict[Place, Value]) -> tuple[Statement, ...]:
        """A body in which what it has stored is read from a register."""
        found: list[Statement] = []
        loaded = {(v.buffer, v.index) for s in statements(tuple(body)) for outer in values_of(s) for v in subvalues(outer)
                  if isinstance(v, Load)}

        def seen(value: Value) -> Value | None:
            return known.get((value.buffer, value.index)) if isinstance(value, Load) else None
        for statement in body:
            fresh = with_values(statement, lambda v: replaced_value(v, seen))
            if isinstance(fresh, If):
                fresh = replace(fresh, body=self.handed_on(fresh.body, dict(known)))
            for name in {s.buffer for s in statements((fresh,)) if isinstance(s, (Store, Accumulate))}:
                for place in [p for p in known if p[0] == name]:
                    del known[place]
            if isinstance(fresh, Store) and (fresh.buffer, fresh.index) in loaded:
                value = fresh.value
                if not isinstance(value, (Register, Literal)):
                    name = next(self.register)
                    found.append(Let(name, self.dtypes[fresh.buffer], value))
                    value = Register(name)
                    fresh = replace(fresh, value=value)
                known[fresh.buffer, fresh.index] = value
            found.append(fresh)
        return tuple(found)


def together(first: Loop, second: Loop) -> Loop | None:
    """Two loops as one, None where that is not the same or not wanted."""
    if (first.lo, first.hi, first.step, first.kind) != (second.lo, second.hi, second.step, second.kind):
        return None
    if first.carried or second.carried:
        return None
    second = moved(replace(second, var=first.var), {second.var: counted_by(first.var)})  # type: ignore[assignment]
    one, two = parted(first.body), parted(second.body)
    if one is None or two is None:
        return None
    (before, inner), (then, other) = one, two
    if (inner is None) != (other is None):
        return None
    if inner is None:
        if len(first.body) + len(second.body) > LONGEST or not meet_in_turn(first, second) or not (
                independent(first) and independent(second)):
            return None
        return replace(first, body=(*first.body, *second.body))
    assert other is not None
    if not meet_in_turn(first, second) or written_in(first) & {p[0] for s in then for p in reads(s)}:
        return None
    joined = together(inner, other)
    return None if joined is None else replace(first, body=(*before, *then, joined))


def parted(body: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], Loop | None] | None:
    """The values before the one loop of a body, and that loop; of an innermost body all of it; None for any other."""
    front, last = body[:-1], body[-1]
    if isinstance(last, Loop) and all(isinstance(s, Let) for s in front):
        return tuple(front), last
    if all(isinstance(s, PLAIN) for s in statements(body)):
        return body, None
    return None


def meet_in_turn(first: Loop, second: Loop) -> bool:
    """Whether what both touch, and one of them writes, is touched by both in the same turn."""
    inside = {s.var for loop in (first, second) for s in statements(loop.body) if isinstance(s, Loop)}
    inside |= {s.register for loop in (first, second) for s in statements(loop.body) if isinstance(s, Let)}
    one, two = touched(first), touched(second)
    writes = written_in(first) | written_in(second)
    return all(apart([*one[name], *two[name]], first.var, inside) for name in one.keys() & two.keys() if name in writes)


def touched(loop: Loop) -> dict[str, list[tuple[Affine, ...]]]:
    """Where a loop reads and writes, by buffer."""
    found: dict[str, list[tuple[Affine, ...]]] = {}
    for statement in statements((loop,)):
        for name, index in reads(statement):
            found.setdefault(name, []).append(index)
        if isinstance(statement, (Store, Accumulate)):
            found.setdefault(statement.buffer, []).append(statement.index)
    return found


def reads(statement: Statement) -> Iterator[Place]:
    """The places that the values of a statement load."""
    for outer in values_of(statement):
        for value in subvalues(outer):
            if isinstance(value, Load):
                yield value.buffer, value.index


def written_in(loop: Loop) -> set[str]:
    """The buffers that a loop writes."""
    return {s.buffer for s in statements((loop,)) if isinstance(s, (Store, Accumulate))}
