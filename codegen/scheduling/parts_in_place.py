"""Parts in place: buffers that are read for the last time where parts of a longer one are written lie in it from the start.

before:  u[t, i] = …;  v[t, i] = …;  then  z[t, i] = u[t, i] * a;  z[t, i + n] = v[t, i] * b
after:   z[t, i] = …;  z[t, i + n] = …;  then  z[t, i] *= a;  z[t, i + n] *= b

The adjoints of the gates of a network take the place of what the forward turns keep of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Fill,
    Load,
    Loop,
    Mirror,
    Nest,
    Program,
    Statement,
    Store,
    Value,
)
from codegen.loop_ir.rewriting import replaced_value, with_values
from codegen.loop_ir.walks import buffers_of, panels_of, read, statements, written
from codegen.scheduling.shared_slots import Inner, lives_of, nest, reads_of, statement_places, touched, visits_once
from symdiff.bounds import at_least
from symdiff.sizes import Size, combine

# The longer buffer lives as long as its parts: less of it than this is not worth it.
LEAST_SHARE = 2
Index = tuple[Affine, ...]


class Part(Struct, frozen=True):
    """Where a buffer lies in another: so many elements from a position along an axis."""

    whole: str
    axis: int
    start: Size
    length: Size


def place_parts(program: Program) -> Program:
    """The program with such buffers as parts of the longer one."""
    if sum(b.role == "full" and bool(b.shape) for b in program.buffers) < 2:
        return program
    buffers = buffers_of(program)
    places = list(statement_places(program, buffers))
    lives = lives_of(places)
    fixed = {name for section in program.sections for name in (
        touched(section.body) if section.kind == "range" else taken_whole(section.body))}
    parts: dict[str, Part] = {}
    for place, (names, body) in enumerate(places):
        scratch = [buffers[name] for name in names if buffers[name].role == "full" and name not in parts]
        ended = {b.name: b for b in scratch if lives[b.name].first < place == lives[b.name].last and b.name not in fixed}
        for whole in scratch if ended else ():
            if lives[whole.name].first == place:
                parts.update(parts_of(whole, {name: b for name, b in ended.items() if name not in parts}, body))
    if not parts:
        return program
    sections = tuple([replace(s, body=tuple([moved_into(t, parts) for t in s.body])) for s in program.sections])
    return replace(program, sections=sections, buffers=tuple([b for b in program.buffers if b.name not in parts]))


def taken_whole(body: tuple[Statement, ...]) -> Iterator[str]:
    """Buffers that statements touch otherwise than element by element."""
    for inner in statements(body):
        if isinstance(inner, (Fill, Mirror)):
            yield inner.buffer
        yield from [panel.buffer for panel in panels_of(inner)]


def parts_of(whole: Buffer, ended: Mapping[str, Buffer], body: tuple[Statement, ...]) -> dict[str, Part]:
    """The buffers whose last reader is a nest that writes a part of the `whole` in their place."""
    inside = list(nest(body))
    loops = {s.statement.var: s.statement for s in inside if isinstance(s.statement, Loop)}
    stores = [s for s in inside if whole.name in written(s.statement)]
    found: dict[str, Part] = {}
    for store in stores:
        if not isinstance(store.statement, Store) or not visits_once(store.statement.index, store.loops):
            return {}
        for name in dict.fromkeys(name for s in inside if s.home == store.home for name in read(s.statement) if name in ended):
            part = part_at(store, name, ended[name], whole, inside, loops) if name not in found else None
            if part is not None:
                found[name] = part
                break
    axes = {part.axis for part in found.values()}
    if len(axes) != 1:
        return {}
    axis, = axes
    spans = [span_along(axis, store, loops) for store in stores]
    length = combine(tuple([(LEAST_SHARE, part.length) for part in found.values()]))
    return found if all_disjoint(spans) and at_least(length, whole.shape[axis]) else {}


def part_at(store: Inner, name: str, part: Buffer, whole: Buffer, inside: Sequence[Inner],
            loops: Mapping[str, Loop]) -> Part | None:
    """Where a buffer lies in the whole, if each of its elements is read for the last time before one there is stored."""
    assert isinstance(store.statement, Store)
    index = store.statement.index
    differ = [k for k, (a, b) in enumerate(zip(part.shape, whole.shape, strict=False)) if a != b]
    if part.dtype != whole.dtype or len(part.shape) != len(whole.shape) or len(differ) != 1:
        return None
    axis, = differ
    span = span_along(axis, store, loops)
    if span is None or combine(((1, span[1]), (-1, span[0]))) != part.shape[axis]:
        return None
    wanted = (*index[:axis], replace(index[axis], const=combine(((1, index[axis].const), (-1, span[0])))), *index[axis + 1:])
    for s in inside:
        if name in written(s.statement):
            return None
        if name in read(s.statement):
            before = s.home == store.home and s.place <= store.place
            if not before or any(place != wanted for place in reads_of(s.statement, name)):
                return None
    return Part(whole.name, axis, span[0], part.shape[axis])


def span_along(axis: int, store: Inner, loops: Mapping[str, Loop]) -> tuple[Size, Size] | None:
    """The positions along an axis from the first to behind the last that a store writes, all of them."""
    assert isinstance(store.statement, Store)
    index = store.statement.index[axis]
    (variable, c), = index.terms
    loop = loops.get(variable) if isinstance(variable, str) else None
    if loop is None or c != 1 or loop.step != 1:
        return None
    return combine(((1, index.const), (1, loop.lo))), combine(((1, index.const), (1, loop.hi)))


def all_disjoint(spans: Sequence[tuple[Size, Size] | None]) -> bool:
    """Whether it is proved that spans do not meet."""
    known = [span for span in spans if span is not None]
    return len(known) == len(spans) and all(
        at_least(one[0], other[1]) or at_least(other[0], one[1]) for k, one in enumerate(known) for other in known[:k])


def moved_into(statement: Statement, parts: Mapping[str, Part]) -> Statement:
    """A statement, and those in it, that reads and writes the buffers where they lie now."""
    if not any(name in parts for name in touched((statement,))):
        return statement

    def loaded(value: Value) -> Value | None:
        return Load(*at_part(value.buffer, value.index, parts)) if isinstance(value, Load) and value.buffer in parts else None
    fresh = with_values(statement, lambda value: replaced_value(value, loaded))
    if isinstance(fresh, (Store, Accumulate)) and fresh.buffer in parts:
        name, index = at_part(fresh.buffer, fresh.index, parts)
        return replace(fresh, buffer=name, index=index)
    if isinstance(fresh, Nest):
        return replace(fresh, body=tuple([moved_into(s, parts) for s in fresh.body]))
    return fresh


def at_part(name: str, index: Index, parts: Mapping[str, Part]) -> tuple[str, Index]:
    """The buffer and the index of an element of a part."""
    part = parts[name]
    moved = replace(index[part.axis], const=combine(((1, index[part.axis].const), (1, part.start))))
    return part.whole, (*index[:part.axis], moved, *index[part.axis + 1:])
