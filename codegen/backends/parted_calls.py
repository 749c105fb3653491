"""Calls of kernels whose ranges are cut: storage for the parts, run one after the other or by several threads.

The parts are the same, and folded in the same order, for any number of threads, so the results are too, bit by bit.  Whether
threads are worth their while is measured: a call that takes `LEAST_SECONDS` on one thread is tried on several, and what took
less is what later calls of these sizes do.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from codegen.backends.protocol import Array
from codegen.emitters.llvm.parts import stages_of
from codegen.loop_ir.nodes import Buffer, Cut, Program
from codegen.loop_ir.walks import buffers_of, parameters, part_ends, storage_shape, tile_rows
from codegen.runtime import blas, workers
from codegen.runtime.storage import REMEMBERED, Frame
from codegen.scheduling.independent_parts import folding, instance_of, with_instances
from symdiff.sizes import Size, value_of

STORAGE = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
STAGE = ctypes.CFUNCTYPE(None, *STORAGE)
PART = ctypes.CFUNCTYPE(None, *STORAGE, ctypes.c_int64, ctypes.c_int64)
FOLDS = ctypes.CFUNCTYPE(None, *STORAGE, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
# Waking a thread takes 10 to 50 microseconds.
LEAST_SECONDS = 1e-4
# Instances of so many bytes are folded by several threads.
SHARED_BYTES = 1 << 20
# So many calls of each kind are timed before one is chosen.
TRIALS = 3


class Pace(Struct):
    """The least seconds of calls of some sizes, on one thread and on several, and how many were timed."""

    best: list[float] = field(default_factory=lambda: [float("inf"), float("inf")])
    timed: list[int] = field(default_factory=lambda: [0, 0])

    def threaded(self) -> bool:
        """Whether the next call runs on several threads."""
        if self.timed[0] < TRIALS or self.best[0] < LEAST_SECONDS:
            return False
        return self.timed[1] < TRIALS or self.best[1] < self.best[0]

    def note(self, threaded: bool, seconds: float) -> None:
        """One more call."""
        self.best[threaded] = min(self.best[threaded], seconds)
        self.timed[threaded] += 1


class CutRange(Struct, frozen=True):
    """A range that is cut: the functions of a part and of some rows of all folding, and how far each goes.

    `own` are the places of the arrays that each part but the first has instances of.
    """

    part: Any
    folds: Any
    extent: Size
    rows: Size
    cut: Cut
    own: Sequence[int]

    def ends(self, sizes: Mapping[str, int]) -> list[tuple[int, int]]:
        """Where the parts begin and end."""
        return part_ends(self.cut, value_of(self.extent, sizes))


class Crew:
    """What a range needs to be run by several threads at once: ends, instances for all parts but the first, tiles for helpers."""

    def __init__(self, job: CutRange, frame: Frame, tiles: Sequence[int], sizes: Mapping[str, int]) -> None:
        self.job, self.ends, self.rows, self.bytes = job, job.ends(sizes), value_of(job.rows, sizes), frame.scratch_bytes
        self.arrays = frame.allocate()
        addresses = [a.ctypes.data for a in self.arrays]
        gathered = len(job.own)
        count = gathered * (len(self.ends) - 1)
        self.instances = [list(zip(job.own, addresses[k:k + gathered], strict=True)) for k in range(0, count, gathered or 1)]
        self.addresses = (ctypes.c_void_p * max(count, 1))(*addresses[:count])
        self.tiles = [list(zip(tiles, addresses[k:k + len(tiles)], strict=True))
                      for k in range(count, len(addresses), len(tiles) or 1)]

    def run(self, table: Any, given: Any, routines: Any, threads: int) -> None:
        """Run the parts on several threads, then fold them in order, some rows each; `table` has the addresses of the arrays."""
        tables = [table]
        for k in range(threads - 1):
            tables.append(type(table)(*table))
            for at, address in self.tiles[k] if self.tiles else ():
                tables[-1][at] = address
        ends, instances, entry = self.ends, self.instances, self.job.part

        def work(place: int, part: int) -> None:
            mine = tables[place]
            for at, address in instances[part - 1] if part and instances else ():
                mine[at] = address
            entry(mine, given, routines, *ends[part])
        workers.run(len(ends), work, threads)
        rows, folds = self.rows, self.job.folds
        shares = min(threads, rows) if self.bytes >= SHARED_BYTES else 1

        def fold_share(place: int, share: int) -> None:
            folds(tables[place], given, routines, rows * share // shares, rows * (share + 1) // shares, self.addresses,
                  len(instances))
        workers.run(shares, fold_share, shares)


class PartedCalls:
    """The calls of one program that has a cut range; `address` tells that of a function of its module."""

    def __init__(self, program: Program, address: Callable[[str], int]) -> None:
        self.program, self.rows = program, tile_rows(program)
        self.given = parameters(with_instances(program))
        self.places = {b.name: k for k, b in enumerate(self.given)}
        self.own = self.given[len(program.buffers):]
        self.tiles = [b for b in self.given if b.role == "tile"]
        # The functions of sections that run as one, and ranges that are cut.
        self.stages: list[Callable[..., None] | CutRange] = []
        sections = [section for section in program.sections if section.body]
        for k, stage in enumerate(stages_of(sections)):
            section = sections[stage[0]]
            if section.cut is None:
                self.stages.append(STAGE(address(f"stage_{k}")))
            else:
                own = [self.places[instance_of(name)] for name in section.cut.gathered]
                fold = folding(section, buffers_of(program))
                self.stages.append(CutRange(PART(address(f"part_{k}")), FOLDS(address(f"folds_{k}")), section.extent or 0,
                                            fold.extent or 0 if fold is not None else 0, section.cut, own))
        # Crews that have no call at the moment, by sizes, stage and threads.
        self.crews: dict[tuple[int, ...], list[Crew]] = {}
        # The most storage that parts run at the same time have had.
        self.part_bytes = 0
        self.known: dict[tuple[int, ...], tuple[Frame, Pace]] = {}

    def storage(self, sizes: Sequence[int]) -> tuple[Frame, Pace]:
        """Instances for one thread, and how long calls took, for some sizes."""
        key = tuple(sizes)
        found = self.known.get(key)
        if found is None:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
                self.crews.clear()
            values = dict(zip(self.program.sizes, key, strict=True))
            found = self.known[key] = self.frame([(b, "") for b in self.own], values), Pace()
        return found

    def frame(self, buffers: Sequence[tuple[Buffer, str]], values: Mapping[str, int]) -> Frame:
        """Storage for buffers, that of each slot with a suffix."""
        named = [(replace(b, name=f"{b.name if b.slot is None else b.slot}{suffix}", slot=None), b) for b, suffix in buffers]
        return Frame([], [(own, tuple([value_of(s, values) for s in storage_shape(b, self.rows)])) for own, b in named])

    def run_threaded(self, arrays: Sequence[Array], sizes: Sequence[int], given: Any, routines: Any, threads: int) -> None:
        """Run on arrays in the order of `parameters`, instances included; `given` are the sizes as the kernel takes them."""
        values = dict(zip(self.program.sizes, sizes, strict=True))
        table = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        with nullcontext() if routines is None else blas.one_thread():
            for at, stage in enumerate(self.stages):
                if not isinstance(stage, CutRange):
                    stage(table, given, routines)
                elif len(ends := stage.ends(values)) < 2:
                    for lo, hi in ends:
                        stage.part(table, given, routines, lo, hi)
                else:
                    key = (*sizes, at, threads)
                    free = self.crews.setdefault(key, [])
                    try:
                        crew = free.pop()
                    except IndexError:  # all are at work
                        crew = self.crew(stage, len(ends), values, min(threads, len(ends)))
                    crew.run(table, given, routines, min(threads, len(ends)))
                    free.append(crew)

    def crew(self, job: CutRange, parts: int, values: Mapping[str, int], threads: int) -> Crew:
        """A new crew for so many parts."""
        own = [self.given[place] for place in job.own]
        frame = self.frame([(b, f"_{k}") for k in range(1, parts) for b in own]
                           + [(b, f"_{k}") for k in range(threads - 1) for b in self.tiles], values)
        crew = Crew(job, frame, [self.places[b.name] for b in self.tiles], values)
        self.part_bytes = max(self.part_bytes, crew.bytes)
        return crew


def timed(pace: Pace, threaded: bool, call: Callable[[], None]) -> None:
    """Make a call, and note what it took."""
    begin = time.perf_counter()
    call()
    pace.note(threaded, time.perf_counter() - begin)
