"""Calls of kernels whose ranges are cut: storage for the parts, run one after the other or by several threads.

The parts are the same, and folded in the same order, for any number of threads, so the results are too, bit by bit.  Whether
threads are worth their while is measured: a call that takes `LEAST_SECONDS` on one thread is tried on several, and what took
less is what later calls of these sizes do.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from codegen.backends.crew_code import CREW, IS_SHORT
from codegen.backends.protocol import Array
from codegen.backends.shared_call_code import ARRAYS, FOLDS, PARTS, ROUTINES, SECTIONS, STAGES, THREADS
from codegen.emitters.llvm.parts import stages_of
from codegen.loop_ir.nodes import Buffer, Cut, Program
from codegen.loop_ir.walks import buffers_of, parameters, part_ends, storage_shape, tile_rows
from codegen.runtime import blas
from codegen.runtime.storage import REMEMBERED, Frame
from codegen.runtime.workers import DESKS, LINE, WORKERS
from codegen.scheduling.independent_parts import folding, instance_of, with_instances
from symdiff.sizes import Size, value_of

# Waking a thread takes 10 to 50 microseconds.
LEAST_SECONDS = 1e-4
# Instances of so many bytes are folded by several threads.
SHARED_BYTES = 1 << 20
# So many calls of each kind are timed before one is chosen.
TRIALS = 3
# Calls that take less do not wait for workers that sleep.
SHORT_SECONDS = 1e-3


class Pace(Struct):
    """The least seconds of calls of some sizes, on one thread and on several, and how many were timed."""

    best: list[float] = field(default_factory=lambda: [float("inf"), float("inf")])
    timed: list[int] = field(default_factory=lambda: [0, 0])

    def threaded(self) -> bool:
        """Whether the next call runs on several threads."""
        if self.timed[0] < TRIALS or self.best[0] < LEAST_SECONDS:
            return False
        return self.timed[1] < TRIALS or self.best[1] < self.best[0]

    def is_settled(self) -> bool:
        """Whether further calls run as the next one does."""
        return self.timed[0] >= TRIALS and (self.timed[1] >= TRIALS or self.best[0] < LEAST_SECONDS)

    def is_short(self) -> bool:
        """Whether a call is over before a worker that sleeps would be of use."""
        return self.best[0] < SHORT_SECONDS

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

    The table is that of `shared_call_code`, of which each call makes a copy; `words` are what `crew_code` takes.
    """

    def __init__(self, calls: PartedCalls, values: Mapping[str, int], threads: int) -> None:
        ranges = [(stage, stage.ends(values)) for stage in calls.stages if isinstance(stage, CutRange)]
        # No more than there are parts, and desks.
        threads = max(min(threads, max([len(ends) for _, ends in ranges]), DESKS + 1), 1)
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
        # The table as it begins, up to the addresses of the threads' arrays, and where a call has it.
        lines, count = (1 + threads + len(records)), len(calls.given)
        begin = np.zeros((lines + len(records) * (1 + threads)) * LINE, np.int64)
        begin[[STAGES, THREADS, ROUTINES, ARRAYS]] = len(records), threads, calls.routines, count
        begin[(1 + threads) * LINE:lines * LINE] = np.ravel(records)
        copy = np.empty(len(begin) + threads * count + LINE, np.int64)
        start_of_copy = -(copy.ctypes.data // copy.itemsize) % LINE
        tile_places = [calls.places[b.name] for b in calls.tiles]
        self.kept.append(copy)
        # What the code is told of the crew.
        self.words = (ctypes.c_int64 * CREW)(
            self.kept_at(begin), len(begin), copy.ctypes.data + copy.itemsize * start_of_copy, len(begin), count, threads,
            calls.routines, WORKERS.address, len(tile_places), self.kept_at(tile_places), self.kept_at(addresses[start:]), 0, 0)

    def kept_at(self, numbers: Any) -> int:
        """The address of numbers that are kept."""
        self.kept.append(np.array(numbers, np.int64))
        return int(self.kept[-1].ctypes.data)


class PartedCalls:
    """The calls of one program that has a cut range; `address` tells that of a function of its module.

    `routines` is the table of those of BLAS, where it calls any; else the crews have one of null addresses.
    """

    def __init__(self, program: Program, address: Callable[[str], int], routines: Any) -> None:
        self.routines_kept = blas.no_addresses() if routines is None else routines
        self.routines = ctypes.addressof(self.routines_kept)
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

    def crew(self, sizes: Sequence[int], threads: int) -> Crew:
        """A crew that nobody else has, for calls of some sizes."""
        free = self.crews.setdefault((*sizes, threads), [])
        try:
            crew = free.pop()
        except IndexError:  # all are at work
            crew = Crew(self, dict(zip(self.program.sizes, sizes, strict=True)), threads)
            self.part_bytes = max(self.part_bytes, crew.bytes)
        pace = self.storage(sizes)[1]
        crew.words[IS_SHORT] = pace.is_settled() and pace.is_short()
        return crew

    def run_threaded(self, call: Callable[[Any, Any, Any], None], arrays: Sequence[Array], sizes: Sequence[int], given: Any,
                     threads: int) -> None:
        """Run on arrays in the order of `parameters`, instances included; `given` are the sizes as the kernel takes them."""
        crew = self.crew(sizes, threads)
        call((ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays]), given, crew.words)
        self.crews.setdefault((*sizes, threads), []).append(crew)


def timed(pace: Pace, threaded: bool, call: Callable[[], None]) -> None:
    """Make a call, and note what it took."""
    begin = time.perf_counter()
    call()
    pace.note(threaded, time.perf_counter() - begin)
