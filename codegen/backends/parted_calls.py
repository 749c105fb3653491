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

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from codegen.backends.protocol import Array
from codegen.backends.shared_call_code import ARRAYS, FOLDS, LINE, PARTS, ROUTINES, SECTIONS, SIZES, STAGES, THREADS
from codegen.emitters.llvm.parts import stages_of
from codegen.loop_ir.nodes import Buffer, Cut, Program
from codegen.loop_ir.walks import buffers_of, parameters, part_ends, storage_shape, tile_rows
from codegen.runtime import blas, workers
from codegen.runtime.storage import REMEMBERED, Frame
from codegen.scheduling.independent_parts import folding, instance_of, with_instances
from symdiff.sizes import Size, value_of

# Waking a thread takes 10 to 50 microseconds.
LEAST_SECONDS = 1e-4
# Instances of so many bytes are folded by several threads.
SHARED_BYTES = 1 << 20
# More parts than a stage has.
ALL_BEGUN = 1 << 62
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

    part: int
    folds: int
    extent: Size
    rows: Size
    cut: Cut
    own: Sequence[int]

    def ends(self, sizes: Mapping[str, int]) -> list[tuple[int, int]]:
        """Where the parts begin and end."""
        return part_ends(self.cut, value_of(self.extent, sizes))


class Crew:
    """What several threads need to run a call at once: instances for all parts but the first of each range, tiles, and a table.

    The table is that of `shared_call_code`; each call has a copy of its own, so that a worker that comes late finds all done.
    """

    def __init__(self, calls: PartedCalls, values: Mapping[str, int], threads: int) -> None:
        ranges = [(stage, stage.ends(values)) for stage in calls.stages if isinstance(stage, CutRange)]
        # No more than there are parts.
        self.threads = threads = max(min(threads, max([len(ends) for _, ends in ranges])), 1)
        own = [[(calls.given[place], f"_{k}_{part}") for part in range(1, len(ends)) for place in stage.own]
               for k, (stage, ends) in enumerate(ranges)]
        tiles = [(b, f"_{k}") for k in range(1, threads) for b in calls.tiles]
        frame = calls.frame([b for found in (*own, tiles) for b in found], values)
        self.bytes, self.arrays = frame.scratch_bytes, frame.allocate()
        addresses = np.array([a.ctypes.data for a in self.arrays], np.int64)
        # What the table points to, kept as long as it.
        self.kept: list[Array] = []
        records: list[list[int]] = []
        start = 0
        ended = iter(zip(ranges, own, strict=True))
        for stage in calls.stages:
            if not isinstance(stage, CutRange):
                records.append([SECTIONS, stage, 1, 0, 0, 0, 0, 0])
                continue
            (_, ends), instances = next(ended)
            here, places = self.arrays[start:start + len(instances)], self.kept_at(stage.own)
            mine = self.kept_at(addresses[start:start + len(instances)])
            start += len(instances)
            records.append([PARTS, stage.part, len(ends), self.kept_at(ends), len(stage.own), places, mine, 0])
            if instances:
                rows = value_of(stage.rows, values)
                shares = max(min(threads, rows) if sum(a.nbytes for a in here) >= SHARED_BYTES else 1, 1)
                shared = [(rows * k // shares, rows * (k + 1) // shares) for k in range(shares)]
                records.append([FOLDS, stage.folds, shares, self.kept_at(shared), 0, 0, mine, len(ends) - 1])
        # The lines before those that count, all lines, and what the table begins as.
        self.before, count = 1 + threads + len(records), len(calls.given)
        self.lines = self.before + len(records) * (1 + threads)
        self.words = np.zeros(self.lines * LINE + threads * count, np.int64)
        self.words[[STAGES, THREADS, ARRAYS]] = len(records), threads, count
        self.words[(1 + threads) * LINE:self.before * LINE] = np.ravel(records)
        self.tile_places = [calls.places[b.name] for b in calls.tiles]
        self.tiles = addresses[start:].reshape(threads - 1, len(self.tile_places))

    def kept_at(self, numbers: Any) -> int:
        """The address of numbers that are kept."""
        self.kept.append(np.array(numbers, np.int64))
        return int(self.kept[-1].ctypes.data)

    def run(self, share: Callable[[int, int], int], arrays: Sequence[int], sizes: Any, routines: Any) -> None:
        """Run a call with arrays at these addresses; `share` is the code that runs the parts."""
        memory = np.empty(len(self.words) + LINE, np.int64)
        start = -(memory.ctypes.data // memory.itemsize) % LINE
        table = memory[start:start + len(self.words)]
        table[:] = self.words
        table[[SIZES, ROUTINES]] = ctypes.addressof(sizes), 0 if routines is None else ctypes.addressof(routines)
        tables = table[self.lines * LINE:].reshape(self.threads, -1)
        tables[:] = arrays
        tables[1:, self.tile_places] = self.tiles
        counts = table[self.before * LINE:self.lines * LINE].reshape(-1, 1 + self.threads, LINE)
        place_of_table = table.ctypes.data

        def work(place: int) -> bool:
            return share(place_of_table, place) == 0

        def stop() -> None:
            counts[:, :-1, 0] = ALL_BEGUN
        workers.run(work, stop, self.threads)


class PartedCalls:
    """The calls of one program that has a cut range; `address` tells that of a function of its module."""

    def __init__(self, program: Program, address: Callable[[str], int]) -> None:
        self.program, self.rows = program, tile_rows(program)
        self.given = parameters(with_instances(program))
        self.places = {b.name: k for k, b in enumerate(self.given)}
        self.own = self.given[len(program.buffers):]
        self.tiles = [b for b in self.given if b.role == "tile"]
        # The addresses of functions of sections that run as one, and ranges that are cut.
        self.stages: list[int | CutRange] = []
        sections = [section for section in program.sections if section.body]
        for k, stage in enumerate(stages_of(sections)):
            section = sections[stage[0]]
            if section.cut is None:
                self.stages.append(address(f"stage_{k}"))
            else:
                own = [self.places[instance_of(name)] for name in section.cut.gathered]
                fold = folding(section, buffers_of(program))
                self.stages.append(CutRange(address(f"part_{k}"), address(f"folds_{k}"), section.extent or 0,
                                            fold.extent or 0 if fold is not None else 0, section.cut, own))
        # Crews that have no call at the moment, by sizes and threads.
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

    def run_threaded(self, share: Callable[[int, int], int], arrays: Sequence[Array], sizes: Sequence[int], given: Any,
                     routines: Any, threads: int) -> None:
        """Run on arrays in the order of `parameters`, instances included; `given` are the sizes as the kernel takes them."""
        free = self.crews.setdefault((*sizes, threads), [])
        try:
            crew = free.pop()
        except IndexError:  # all are at work
            crew = Crew(self, dict(zip(self.program.sizes, sizes, strict=True)), threads)
            self.part_bytes = max(self.part_bytes, crew.bytes)
        with nullcontext() if routines is None else blas.one_thread():
            crew.run(share, [a.ctypes.data for a in arrays], given, routines)
        free.append(crew)


def timed(pace: Pace, threaded: bool, call: Callable[[], None]) -> None:
    """Make a call, and note what it took."""
    begin = time.perf_counter()
    call()
    pace.note(threaded, time.perf_counter() - begin)
