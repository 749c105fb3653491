"""Fusion: loops over the same positions, one after the other, become one.

before:  for i in 0 : n; t[i] = x[i] * y[i]
         for j in 0 : n; z[j] = exp(t[j])
after:   for i in 0 : n; t[i] = x[i] * y[i]; z[i] = exp(t[i])

before:  for i in 0 : n; for j in 0 : m; y[i, j] = x[i, j]
         for i in 0 : n; for j in 0 : m - 1; y[i, j + 1] += x[i, j]
after:   for i in 0 : n
           for j in 0 : m; y[i, j] = x[i, j]
           for j in 0 : m - 1; y[i, j + 1] += x[i, j]          the row is at hand, and these loops may become one in turn

Two nests may be one where each position that both touch, and one of them writes, is touched in the same turn.  A loop moves
past statements that neither write what it reads nor read or write what it writes, up to one before it, or that one down to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    If,
    Let,
    Loop,
    Nest,
    Program,
    SampleLoop,
    Statement,
    Store,
    Update,
)
from codegen.loop_ir.rewriting import counted_by, moved, moved_place
from codegen.loop_ir.walks import fresh_names, loads, remembered, statements, used_registers
from codegen.scheduling.loop_edges import MOST_APART, SHORT, edges_of
from codegen.scheduling.vector_loops import all_apart, independent
from symdiff.sizes import combine

PLAIN = frozenset({Let, Store, Accumulate, Update, Assign, If})
LOOPS_AND_PLAIN = PLAIN | {Loop}
# A body of more statements keeps its values in too many registers.
LONGEST = 40
# How many statements, and loops among them, a loop moves past.
FURTHEST, MOST_PASSED = 40, 6


def fuse(program: Program) -> Program:
    """The program with neighbouring nests over the same positions fused."""
    name = fresh_names(program, "e")
    return replace(program, sections=tuple(replace(s, body=fused(s.body, name)) for s in program.sections))


def fused(body: Sequence[Statement], name: Iterator[str]) -> tuple[Statement, ...]:
    """A body with its loops fused, outer ones first."""
    found: list[Statement] = []
    for statement in body:
        latest: Statement | None = statement
        while latest is not None:
            joined = joined_before(found, latest, name) if isinstance(latest, Loop) else None
            if joined is None:
                found.append(latest)
                break
            place, loops, whole = joined
            found[place:] = loops
            # What both have become may be like a loop before it.
            latest = found.pop() if loops[-1] is whole else None
    return tuple([replace(s, body=fused(s.body, name)) if isinstance(s, Nest) else s for s in found])


def joined_before(before: Sequence[Statement], loop: Loop, name: Iterator[str]) -> tuple[int, list[Statement], Statement] | None:
    """The place from which on other statements stand where a loop is joined to one before it, those, and what both are now."""
    for place in reached(before, loop):
        last, between = before[place], before[place + 1:]
        assert isinstance(last, Loop)
        ahead = needed(between, loop, last)
        one = None if ahead is None else together(last, loop)
        parts = [one] if one is not None else None if ahead is None else overlapping(last, loop, name)
        if parts is not None and ahead is not None:
            return place, [*ahead, *parts, *[s for s in between if s not in ahead]], parts[-1]
    for place in following(before):
        common = touched(before[place]).keys() & touched(loop).keys()
        one = together(before[place], loop) if common else None  # type: ignore[arg-type]
        if one is not None:
            return place, [*before[place + 1:], one], one
    return None


def following(before: Sequence[Statement]) -> Iterator[int]:
    """The places of the loops that may move past the statements behind them, the nearest first, as far as those are loops."""
    writes: set[str] = set()
    reads: set[str] = set()
    for place in range(len(before) - 1, max(len(before) - 1 - MOST_PASSED, 0) - 1, -1):
        loop = before[place]
        if not isinstance(loop, Loop) or not is_plain(loop) or carried_in(loop):
            return
        if writes and written_in(loop).isdisjoint(writes | reads) and read_in(loop).isdisjoint(writes):
            yield place
        writes |= written_in(loop)
        reads |= read_in(loop)


def reached(before: Sequence[Statement], loop: Loop) -> Iterator[int]:
    """The places of the loops up to which a loop may move past the statements before it, the nearest first."""
    writes, reads, names = written_in(loop), read_in(loop), registers_in(loop)
    passed = 0
    for place in range(len(before) - 1, max(len(before) - FURTHEST, 0) - 1, -1):
        statement = before[place]
        if isinstance(statement, Loop):
            yield place
            passed += 1
            if passed > MOST_PASSED or not is_plain(statement):
                return
            if writes & read_in(statement) or (writes | reads) & written_in(statement) or names & carried_in(statement):
                return
        elif not isinstance(statement, (Let, Store, Accumulate)) or writes & {p[0] for p in loads(statement)} or (
                not isinstance(statement, Let) and statement.buffer in writes | reads):
            return


def needed(between: Sequence[Statement], loop: Loop, last: Loop) -> list[Statement] | None:
    """What a loop reads of the values named between it and the loop before; None where they cannot be named before that."""
    wanted = set(registers_in(loop))
    ahead: list[Statement] = []
    for statement in reversed(between):
        if isinstance(statement, Let) and statement.register in wanted:
            ahead.insert(0, statement)
            wanted |= used_registers(statement)
    around = [s for s in (last, *between) if type(s) is not Let]
    late = any(not wanted.isdisjoint(carried_in(s)) for s in around)
    return None if late or any(p[0] in written_in(s) for let in ahead for p in loads(let) for s in around) else ahead


def together(first: Loop, second: Loop) -> Loop | None:
    """Two loops as one, None where that is not the same or not wanted."""
    if not alike(first, second):
        return in_turn(first, second)
    if bool(carried_in(first)) != bool(carried_in(second)) and not touched(first).keys() & touched(second).keys():
        return None  # they share nothing, and what carries a sum joins no loop over other turns
    if any(name in written_in(first) for name, _ in loads(second)) or not meet_in_turn(first, second):
        return None
    fresh = counted_as(first.var, second)
    one, two = parted(first), parted(fresh)
    if one is None or two is None:
        return None
    (before, inner), (then, other) = one, two
    if inner is None or other is None:
        if not (independent(first) and independent(second)):
            return None
        return replace(first, body=(*first.body, *fresh.body), carried=(*first.carried, *fresh.carried))
    if any(name in written_in(first) for s in then for name, _ in loads(s)):
        return None
    joined = together(inner, other)
    if joined is None:
        return in_turn(first, second)
    return replace(first, body=(*before, *then, joined), carried=(*first.carried, *fresh.carried))


def in_turn(first: Loop, second: Loop) -> Loop | None:
    """Two nests over the same outer positions as one, where inner loops differ and one writes what the other touches."""
    if (first.lo, first.hi, first.step, first.kind) != (second.lo, second.hi, second.step, second.kind):
        return None
    shared = (written_in(first) & touched(second).keys()) | (written_in(second) & touched(first).keys())
    if not shared or not (is_nest(first) and is_nest(second)) or len(inside(first)) + len(inside(second)) > LONGEST:
        return None
    return replace(first, body=(*first.body, *counted_as(first.var, second).body)) if meet_in_turn(first, second) else None


def counted_as(var: str, loop: Loop, more: int = 0) -> Loop:
    """A loop counted by another variable, which is larger by a number."""
    if loop.var == var and more == 0:
        return loop
    return moved(replace(loop, var=var), {loop.var: counted_by(var, -more)})  # type: ignore[return-value]


@remembered
def is_nest(loop: Loop) -> bool:
    """Whether a loop holds others, and nothing but sums of their own that goes from turn to turn."""
    held = inside(loop)[1:]
    sums = {c.name for s in held if type(s) is Loop for c in s.carried}
    return not loop.carried and any([type(s) is Loop for s in loop.body]) and all(
        s.__class__ in LOOPS_AND_PLAIN and (not isinstance(s, Update) or s.register in sums) for s in held)


def alike(first: Loop, second: Loop) -> bool:
    """Whether two nests have loops over the same positions one inside of the other, and not too much in the innermost."""
    if (first.lo, first.hi, first.step, first.kind) != (second.lo, second.hi, second.step, second.kind):
        return False
    one, two = parted(first), parted(second)
    if one is None or two is None:
        return False
    inner, other = one[1], two[1]
    if inner is None or other is None:
        return inner is other and len(first.body) + len(second.body) <= LONGEST
    return alike(inner, other)


def overlapping(first: Loop, second: Loop, name: Iterator[str]) -> list[Statement] | None:
    """Two loops that touch the same positions but for a few at the ends, as one, behind loops over those few.

    before:  for i in 0 : n; y[i] = x[i]
             for j in 0 : n - 1; y[j + 1] += z[j]
    after:   for i in 0 : 1; y[i] = x[i]
             for i in 1 : n; y[i] = x[i]; y[i] += z[i - 1]
    """
    if first.step != 1 or second.step != 1 or first.kind != second.kind or first.carried or second.carried:
        return None
    if not all(is_nest(loop) or is_innermost(loop) for loop in (first, second)):
        return None
    if any(isinstance(loop.hi, int) and isinstance(loop.lo, int) and loop.hi - loop.lo < SHORT for loop in (first, second)):
        return None
    shift = distance(first, second)
    if shift is None:
        return None
    low, high = (combine(((1, end), (1, shift))) for end in (second.lo, second.hi))
    starts, ends = combine(((1, low), (-1, first.lo))), combine(((1, high), (-1, first.hi)))
    if not isinstance(starts, int) or not isinstance(ends, int) or abs(starts) + abs(ends) > MOST_APART:
        return None
    if shift == starts == ends == 0:
        return None  # they are not one as they stand
    second = replace(second, lo=low, hi=high)
    second = counted_as(first.var, second, shift)
    lo, hi = (second.lo if starts > 0 else first.lo), (second.hi if ends < 0 else first.hi)
    # What lies side by side in the common turns may not at the ends.
    outermost = replace(first, lo=first.lo if starts > 0 else second.lo, hi=first.hi if ends < 0 else second.hi)
    whole = together(replace(first, lo=lo, hi=hi), replace(second, lo=lo, hi=hi)) if meet_in_turn(outermost, second) else None
    if whole is None:
        return None
    # The turns after the common ones come before them.
    if any(loop.hi != hi and not independent(loop) for loop in (first, second)):
        return None
    ends_of_both = [edges_of(loop, lo, hi, name) for loop in (first, second)]
    return [*[part for ends in ends_of_both for part in (*ends.before, *ends.after)], whole]


def distance(first: Loop, second: Loop) -> int | None:
    """How much later the second loop comes to an element that one of both writes; 0 where both only read one array."""
    one, two = touched(first), touched(second)
    writes = written_in(first) | written_in(second)
    for name in [name for name in one if name in two and name in writes]:
        for a, b in zip(one[name][-1], two[name][-1], strict=True):
            apart = combine(((1, b.const), (-1, a.const)))
            if dict(a.terms).get(first.var) == 1 == dict(b.terms).get(second.var) and isinstance(apart, int):
                return apart
        return None
    return 0 if one.keys() & two.keys() else None


@remembered
def parted(loop: Loop) -> tuple[tuple[Statement, ...], Loop | None] | None:
    """The values before the one loop in a loop, and that; of an innermost loop all of its body; None for any other."""
    if not loop.body:
        return None
    front, last = loop.body[:-1], loop.body[-1]
    if isinstance(last, Loop) and all([type(s) is Let for s in front]):
        return front, last
    return (loop.body, None) if is_innermost(loop) else None


@remembered
def is_innermost(loop: Loop) -> bool:
    """Whether a loop holds plain statements alone."""
    return all([s.__class__ in PLAIN for s in inside(loop)[1:]])


def meet_in_turn(first: Loop | SampleLoop, second: Loop | SampleLoop) -> bool:
    """Whether what both touch, and one of them writes, is touched by both in the same turn, if they are counted alike."""
    one, two = touched(first), touched(second)
    common = [name for name in one if name in two and (name in written_in(first) or name in written_in(second))]
    if not common:
        return True
    named = {*named_in(first), *named_in(second)}
    names = {second.var: counted_by(first.var)}
    return all(all_apart([*one[name], *[moved_place(index, names) for index in two[name]]], first, named) for name in common)


@remembered
def inside(statement: Statement) -> Sequence[Statement]:
    """A statement and all in it, which many questions walk through."""
    return tuple(statements((statement,)))


@remembered
def touched(statement: Statement) -> Mapping[str, Sequence[tuple[Affine, ...]]]:
    """Where a statement, with all in it, reads and writes, by buffer."""
    found: dict[str, list[tuple[Affine, ...]]] = {}
    for inner in (statement, *body_of(statement)):
        if inner is not statement and isinstance(inner, Nest):
            for name, places in touched(inner).items():
                found.setdefault(name, []).extend(places)
            continue
        for name, index in loads(inner):
            found.setdefault(name, []).append(index)
        if type(inner) is Store or type(inner) is Accumulate:
            found.setdefault(inner.buffer, []).append(inner.index)
    return found


@remembered
def written_in(statement: Statement) -> Set[str]:
    """The buffers that a statement, with all in it, writes."""
    found: set[str] = set()
    for inner in (statement, *body_of(statement)):
        if inner is not statement and isinstance(inner, Nest):
            found |= written_in(inner)
        elif type(inner) is Store or type(inner) is Accumulate:
            found.add(inner.buffer)
    return found


@remembered
def read_in(statement: Statement) -> Set[str]:
    """The buffers that a statement, with all in it, loads."""
    found: set[str] = set()
    for inner in (statement, *body_of(statement)):
        if inner is not statement and isinstance(inner, Nest):
            found |= read_in(inner)
        else:
            found.update([name for name, _ in loads(inner)])
    return found


@remembered
def registers_in(statement: Statement) -> Set[str]:
    """The registers and loop variables that a statement, with all in it, reads."""
    found: set[str] = set()
    for inner in (statement, *body_of(statement)):
        found |= registers_in(inner) if inner is not statement and isinstance(inner, Nest) else used_registers(inner)
    return found


def body_of(statement: Statement) -> Sequence[Statement]:
    """The statements that stand right inside of one."""
    return statement.body if isinstance(statement, Nest) else ()


@remembered
def carried_in(statement: Statement) -> Set[str]:
    """The registers that a statement carries, or loops in it do."""
    return {c.name for s in inside(statement) if type(s) is Loop for c in s.carried}


@remembered
def named_in(loop: Loop | SampleLoop) -> Set[str]:
    """The variables of the loops in a loop, and the registers that are named in it."""
    return {s.var if isinstance(s, Loop) else s.register for s in inside(loop)[1:] if type(s) is Let or type(s) is Loop}


@remembered
def is_plain(statement: Statement) -> bool:
    """Whether a statement holds loops and plain statements alone."""
    return all([s.__class__ in LOOPS_AND_PLAIN for s in inside(statement)])
