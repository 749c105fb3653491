"""Fusion: loops over the same positions, one after the other, become one.

before:  for i in 0 : n; t[i] = x[i] * y[i]
         for j in 0 : n; z[j] = exp(t[j])
after:   for i in 0 : n; t[i] = x[i] * y[i]; z[i] = exp(t[i])

Two nests may be one where each position that both touch, and one of them writes, is touched in the same turn.  A loop moves
past statements that neither write what it reads nor read or write what it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    If,
    Let,
    Load,
    Loop,
    Program,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.rewriting import counted_by, moved
from codegen.loop_ir.walks import loads, statements, subvalues, used_registers
from codegen.scheduling.vector_loops import all_apart, independent

PLAIN = (Let, Store, Accumulate, Update, Assign, If)
# A body of more statements keeps its values in too many registers.
LONGEST = 40
# How many statements a loop moves past.
FURTHEST = 40


def fuse(program: Program) -> Program:
    """The program with neighbouring nests over the same positions fused."""
    return replace(program, sections=tuple(replace(s, body=fused(s.body)) for s in program.sections))


def fused(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """A body with its loops fused, outer ones first."""
    found: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            place = reached(found, statement)
            last = found[place] if place >= 0 else None
            ahead = needed(found[place + 1:], statement, last) if isinstance(last, Loop) else None
            one = together(last, statement) if isinstance(last, Loop) and ahead is not None else None
            if one is not None and ahead is not None:
                found[place:] = [*ahead, one, *[s for s in found[place + 1:] if s not in ahead]]
                continue
        found.append(statement)
    return tuple([replace(s, body=fused(s.body)) if isinstance(s, (Loop, SampleLoop, TileLoop, If)) else s for s in found])


def reached(before: Sequence[Statement], loop: Loop) -> int:
    """The place of the loop up to which a loop may move past the statements before it; −1 where there is none."""
    writes, reads_too = written_in(loop), {p[0] for s in statements((loop,)) for p in loads(s)}
    for place in range(len(before) - 1, max(len(before) - FURTHEST, 0) - 1, -1):
        statement = before[place]
        if isinstance(statement, Loop):
            return place
        if not isinstance(statement, (Let, Store, Accumulate)) or writes & {p[0] for p in loads(statement)}:
            return -1
        if not isinstance(statement, Let) and statement.buffer in writes | reads_too:
            return -1
    return -1


def needed(between: Sequence[Statement], loop: Loop, last: Loop) -> list[Statement] | None:
    """What a loop reads of the values named between it and the loop before; None where they cannot be named before that."""
    wanted = {name for s in statements((loop,)) for name in used_registers(s)}
    ahead: list[Statement] = []
    for statement in reversed(between):
        if isinstance(statement, Let) and statement.register in wanted:
            ahead.insert(0, statement)
            wanted |= used_registers(statement)
    stored = {s.buffer for s in between if isinstance(s, (Store, Accumulate))} | written_in(last)
    late = wanted & {c.name for s in statements((last,)) if isinstance(s, Loop) for c in s.carried}
    return None if late or any(p[0] in stored for let in ahead for p in loads(let)) else ahead


def together(first: Loop, second: Loop) -> Loop | None:
    """Two loops as one, None where that is not the same or not wanted."""
    if (first.lo, first.hi, first.step, first.kind) != (second.lo, second.hi, second.step, second.kind):
        return None
    if written_in(first) & {v.buffer for c in second.carried for v in subvalues(c.initial) if isinstance(v, Load)}:
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
        return replace(first, body=(*first.body, *second.body), carried=(*first.carried, *second.carried))
    assert other is not None
    if not meet_in_turn(first, second) or written_in(first) & {p[0] for s in then for p in loads(s)}:
        return None
    joined = together(inner, other)
    if joined is None:
        return None
    return replace(first, body=(*before, *then, joined), carried=(*first.carried, *second.carried))


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
    return all(all_apart([*one[name], *two[name]], first, inside) for name in one.keys() & two.keys() if name in writes)


def touched(loop: Loop) -> dict[str, list[tuple[Affine, ...]]]:
    """Where a loop reads and writes, by buffer."""
    found: dict[str, list[tuple[Affine, ...]]] = {}
    for statement in statements((loop,)):
        for name, index in loads(statement):
            found.setdefault(name, []).append(index)
        if isinstance(statement, (Store, Accumulate)):
            found.setdefault(statement.buffer, []).append(statement.index)
    return found


def written_in(loop: Loop) -> set[str]:
    """The buffers that a loop writes."""
    return {s.buffer for s in statements((loop,)) if isinstance(s, (Store, Accumulate))}
