"""Shared slots: scratch buffers that are never needed at the same time lie in the same storage.

before:  t0 is written, read; t1 is written, read; t2[i] = exp(t1[i])
after:   t0, t1 and t2 have slot 0: t1 begins when t0 is done with, and t2 takes the place of t1 element by element

A buffer is needed from the first statement that touches it to the last; what happens inside of a loop happens in all of it, but
for tiles, which begin anew with each turn of the loop over tiles.  Slots hold buffers of one size, for whatever sizes a call
brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import Affine, Buffer, If, Loop, Program, SampleLoop, Statement, Store, TileLoop
from codegen.loop_ir.walks import buffers_of, loads, read, statements, storage_shape, tile_rows, written
from symdiff.sizes import product as product_of

SCRATCH = frozenset({"full", "tile", "accumulator"})


class Life(Struct):
    """The places of the first and of the last statement that touch a buffer."""

    first: int
    last: int


class Free(Struct):
    """The slots of a size: those that are needed no longer, those that are with when that ends, and the latest buffer of each."""

    over: list[int] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    latest: dict[int, Buffer] = field(default_factory=dict)


def share_slots(program: Program) -> Program:
    """The program with slots for its scratch buffers."""
    if sum(b.role in SCRATCH for b in program.buffers) < 2:
        return program
    buffers, rows = buffers_of(program), tile_rows(program)
    places = list(statement_places(program, buffers))
    lives = lives_of(places)
    nests: dict[int, Touching] = {}
    slots: dict[str, int] = {}
    free: dict[tuple[object, ...], Free] = {}
    count = 0
    scratch = [b for b in program.buffers if b.role in SCRATCH and b.name in lives]
    for b in sorted(scratch, key=lambda b: (lives[b.name].first, b.name)):
        life = lives[b.name]
        size = product_of(storage_shape(b, rows))
        key = (b.role == "tile", *((size * BYTES[b.dtype],) if isinstance(size, int) else (size, BYTES[b.dtype])))
        own = free.setdefault(key, Free())
        while own.ends and own.ends[0][0] < life.first:
            heappush(own.over, heappop(own.ends)[1])
        ending: list[int] = []
        while own.ends and own.ends[0][0] == life.first:
            ending.append(heappop(own.ends)[1])
        if ending and life.first not in nests:
            nests[life.first] = touching(places[life.first][1])
        found = next((slot for slot in ending if (not own.over or slot < own.over[0])
                      and takes_over(own.latest[slot], b, nests[life.first])), None)
        for slot in ending:
            if slot != found:
                heappush(own.ends, (life.first, slot))
        if found is None and own.over:
            found = heappop(own.over)
        elif found is None:
            found, count = count, count + 1
        own.latest[found], slots[b.name] = b, found
        heappush(own.ends, (life.last, found))
    return replace(program, buffers=tuple(replace(b, slot=slots[b.name]) if b.name in slots else b for b in program.buffers))


def statement_places(program: Program, buffers: Mapping[str, Buffer]) -> Iterator[tuple[tuple[str, ...], tuple[Statement, ...]]]:
    """The buffers that each place touches, and its statements; a tile loop has a place for each statement in it.

    What is no tile, and is touched in a range, is so from its begin to its end.
    """
    for section in program.sections:
        body = section.body
        if section.kind == "range":
            lasting = tuple(name for name in touched(body) if buffers[name].role != "tile")
            yield lasting, ()
            for statement in body:
                for inner in statement.body if isinstance(statement, TileLoop) else (statement,):
                    yield touched((inner,)), (inner,)
            yield lasting, ()
        else:
            for statement in body:
                yield touched((statement,)), (statement,)


def touched(body: tuple[Statement, ...]) -> tuple[str, ...]:
    """The buffers that statements read or write, each once."""
    return tuple(dict.fromkeys(name for s in statements(body) for name in (*read(s), *written(s))))


def lives_of(places: list[tuple[tuple[str, ...], tuple[Statement, ...]]]) -> dict[str, Life]:
    """The life of each buffer."""
    lives: dict[str, Life] = {}
    for place, (names, _) in enumerate(places):
        for name in names:
            lives.setdefault(name, Life(place, place)).last = place
    return lives


class Inner(Struct, frozen=True):
    """A statement of a nest: the body that it stands in, told by a number, its place there, and the loops around it."""

    statement: Statement
    home: int
    place: int
    loops: tuple[str, ...]


def nest(body: tuple[Statement, ...]) -> Iterator[Inner]:
    """Every statement of a nest."""
    bodies: list[tuple[tuple[Statement, ...], tuple[str, ...]]] = [(body, ())]
    for home, (present, loops) in enumerate(bodies):
        for place, statement in enumerate(present):
            yield Inner(statement, home, place, loops)
            if isinstance(statement, (Loop, SampleLoop, TileLoop)):
                bodies.append((statement.body, (*loops, statement.var)))
            elif isinstance(statement, If):
                bodies.append((statement.body, loops))


class Touching(NamedTuple):
    """The statements of a nest that write and that read each buffer."""

    writing: dict[str, list[Inner]]
    reading: dict[str, list[Inner]]


def touching(body: tuple[Statement, ...]) -> Touching:
    """The statements of a nest, by the buffers that they touch."""
    found = Touching({}, {})
    for inner in nest(body):
        for names, kind in ((written(inner.statement), found.writing), (read(inner.statement), found.reading)):
            for name in dict.fromkeys(names):
                kind.setdefault(name, []).append(inner)
    return found


def takes_over(before: Buffer, after: Buffer, inside: Touching) -> bool:
    """Whether a nest reads the buffer `before` for the last time and writes `after` at the same elements, each once and later.

    What it reads of `after` it has written: that begins here.
    """
    if before.dtype != after.dtype or before.shape != after.shape or before.sample_axis != after.sample_axis:
        return False
    stores = inside.writing.get(after.name, [])
    store = stores[0].statement if len(stores) == 1 else None
    if not isinstance(store, Store) or not visits_once(store.index, stores[0].loops) or before.name in inside.writing:
        return False
    return all([found.home == stores[0].home and found.place <= stores[0].place and all(
        [index == store.index for index in reads_of(found.statement, before.name)])
        for found in inside.reading.get(before.name, ())])


def visits_once(index: tuple[Affine, ...], loops: tuple[str, ...]) -> bool:
    """Whether loops come to each element at an index once: every axis has a variable of its own, and every loop an axis."""
    variables = [term for i in index for term in i.terms]
    return all(c in (1, -1) for _, c in variables) and sorted(loops) == sorted(v for v, _ in variables if isinstance(v, str)) \
        and all(len(i.terms) == 1 for i in index)


def reads_of(statement: Statement, name: str) -> list[tuple[Affine, ...] | None]:
    """Where a statement itself loads from a buffer; None where it reads it otherwise, as an operand of a matrix product."""
    found: list[tuple[Affine, ...] | None] = [index for buffer, index in loads(statement) if buffer == name]
    return found or [None]
