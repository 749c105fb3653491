"""Peeling: a loop that asks whether its neighbours are inside runs without asking, between loops over its few edges.

before:  for i in 0 : n; y[i] = x[i] + select(inside(i - 1, n), x[i - 1], 0)
after:   for i in 0 : 16; y[i] = x[i] + select(inside(i - 1, n), x[i - 1], 0)
         for i in 16 : n; y[i] = x[i] + x[i - 1]

Windows, differences and what they give to their arguments' derivatives ask so.  Edges are whole vectors, so that those of the
rest lie in memory as they did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Call,
    If,
    Inside,
    Let,
    Literal,
    Loop,
    Program,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, moved_index, replaced_value, with_values
from codegen.loop_ir.walks import WHOLE_ROWS, fresh_names, statements, subvalues, values_of
from codegen.lowering.affine import bounds
from codegen.scheduling.dead_code import drop_dead_code
from codegen.scheduling.element_registers import hand_on
from codegen.scheduling.loop_edges import MOST_APART, SHORT, edges_of
from symdiff.bounds import at_least
from symdiff.sizes import Size, combine

# A longer body is not written three times.
LONGEST = 24
# The least value of each loop variable, and how many it has.
Spans = Mapping[str, tuple[Size, Size]]


def peel(program: Program) -> Program:
    """The program with the edges of its loops peeled off, and without conditions that are known."""
    name = fresh_names(program, "p")
    fresh = replace(program, sections=tuple(replace(s, body=peeled(s.body, {}, name)) for s in program.sections))
    # Conditions kept values from going on in registers.
    return program if fresh == program else drop_dead_code(hand_on(fresh))


def peeled(body: Sequence[Statement], spans: Spans, name: Iterator[str]) -> tuple[Statement, ...]:
    """A body with its innermost loops peeled."""
    found: list[Statement] = []
    for statement in body:
        if isinstance(statement, (SampleLoop, TileLoop, If)):
            found.append(replace(statement, body=peeled(statement.body, spans, name)))
        elif type(statement) is not Loop:
            found.append(statement)
        elif any(isinstance(s, Loop) for s in statement.body):
            span = statement.lo, combine(((1, statement.hi), (-1, statement.lo)))
            found.append(replace(statement, body=peeled(statement.body, {**spans, statement.var: span}, name)))
        else:
            found += parts(statement, spans, name)
    return tuple(found)


def parts(loop: Loop, spans: Spans, name: Iterator[str]) -> list[Statement]:
    """An innermost loop in up to three."""
    loop = within(loop)
    lo, hi = inner_ends(loop) if can_be_peeled(loop) else (loop.lo, loop.hi)
    common = combine(((1, hi), (-1, lo)))
    if (lo, hi) == (loop.lo, loop.hi) or (isinstance(common, int) and common < SHORT):
        lo, hi = loop.lo, loop.hi
    edges = edges_of(loop, lo, hi, name)
    settled_parts = [settled_loop(part, spans) for part in (*edges.before, replace(loop, lo=lo, hi=hi), *edges.after)]
    # What a loop carries is read behind it, be there turns or none.
    return [part for part in settled_parts if part.carried or (part.body and not at_least(part.lo, part.hi))]


def within(loop: Loop) -> Loop:
    """A loop of which all stands under a condition, over the turns in which that holds, where it is known which ends tell."""
    condition = loop.body[0].condition if len(loop.body) == 1 and isinstance(loop.body[0], If) else None
    if loop.step != 1 or not isinstance(condition, Inside) or condition.index.terms != ((loop.var, 1),):
        return loop
    first = combine(((-1, condition.index.const),))
    last = combine(((1, first), (1, condition.size)))
    return replace(loop, lo=first if at_least(first, loop.lo) else loop.lo, hi=last if at_least(loop.hi, last) else loop.hi)


def can_be_peeled(loop: Loop) -> bool:
    """Whether a loop is short of statements, and nothing goes from turn to turn in it."""
    inside = list(statements(loop.body))
    return loop.step == 1 and not loop.carried and len(inside) <= LONGEST and all(
        isinstance(s, (Let, Store, Accumulate, If)) for s in inside)


def inner_ends(loop: Loop) -> tuple[Size, Size]:
    """Between which turns all conditions hold that do in all but a few turns; vectors begin where they began."""
    before = behind = 0
    for condition in (v for s in statements(loop.body) for outer in values_of(s) for v in subvalues(outer)):
        if isinstance(condition, Inside) and condition.index.terms == ((loop.var, 1),):
            first = combine(((-1, condition.index.const),))
            starts = combine(((1, first), (-1, loop.lo)))
            ends = combine(((1, loop.hi), (-1, first), (-1, condition.size)))
            if isinstance(starts, int) and isinstance(ends, int) and max(starts, ends) <= MOST_APART:
                before, behind = max(before, starts), max(behind, ends)
    before, behind = (-(-turns // WHOLE_ROWS) * WHOLE_ROWS for turns in (before, behind))
    return combine(((1, loop.lo), (1, before))), combine(((1, loop.hi), (-1, behind)))


def settled_loop(loop: Loop, spans: Spans) -> Loop:
    """A loop without conditions that its ends tell."""
    return replace(loop, body=settled(loop.body, {**spans, loop.var: (loop.lo, combine(((1, loop.hi), (-1, loop.lo))))}))


def settled(body: Sequence[Statement], spans: Spans) -> tuple[Statement, ...]:
    """Statements without conditions that are known."""
    found: list[Statement] = []
    for statement in body:
        statement = with_values(statement, lambda value: settled_value(value, spans))
        if not isinstance(statement, If):
            found.append(statement)
        elif not isinstance(statement.condition, Literal):
            found.append(replace(statement, body=settled(statement.body, spans)))
        elif statement.condition.value:
            found += settled(statement.body, spans)
    return tuple(found)


def settled_value(value: Value, spans: Spans) -> Value:
    """A value without conditions that are known."""
    def known(value: Value) -> Value | None:
        if type(value) is Inside:
            answer = answered(value, spans)
            return None if answer is None else Literal(answer, "bool")
        if type(value) is not Call or value.function not in ("select", "logical_and"):
            return None
        condition = settled_value(value.args[0], spans)
        if isinstance(condition, Literal):
            if value.function == "select":
                return settled_value(value.args[1 if condition.value else 2], spans)
            return settled_value(value.args[1], spans) if condition.value else condition
        rest = [settled_value(a, spans) for a in value.args[1:]]
        if value.function == "logical_and" and isinstance(rest[0], Literal):
            return condition if rest[0].value else rest[0]
        return Call(value.function, (condition, *rest), value.dtype)
    return replaced_value(value, known)


def answered(condition: Inside, spans: Spans) -> bool | None:
    """Whether a condition holds in all turns (true) or in none (false)."""
    counted = moved_index(condition.index, {var: Affine(lo, counted_by(var).terms) for var, (lo, _) in spans.items()})
    span = bounds(counted, {var: count for var, (_, count) in spans.items()})
    if span is None:
        return None
    if at_least(span[0], 0) and at_least(condition.size, combine(((1, span[1]), (1, 1)))):
        return True
    return False if at_least(-1, span[1]) or at_least(span[0], condition.size) else None
