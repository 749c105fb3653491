"""The code by which threads share a call: each part once, stages in order, instances for all parts but the first.

And the workers that help: they take offers, fall asleep, are woken, and leave no call half done.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from codegen.backends.crew_code import CREW, ROUSED_EVERY, code
from codegen.backends.native_code import machine
from codegen.backends.shared_call_code import ARRAYS, FOLDS, PARTS, SECTIONS, STAGES, THREADS
from codegen.runtime import workers
from codegen.runtime.workers import LINE, WORKERS

P, I = ctypes.c_void_p, ctypes.c_int64
TYPES = {SECTIONS: ctypes.CFUNCTYPE(None, P, P, P), PARTS: ctypes.CFUNCTYPE(None, P, P, P, I, I),
         FOLDS: ctypes.CFUNCTYPE(None, P, P, P, I, I, P, I)}
Arrays = tuple[int, ...]


class Call:
    """Stages whose functions are Python's; what ran is noted: (stage, lo, hi, the arrays that it was given)."""

    def __init__(self, stages: Sequence[tuple[int, int]], threads: int, do: Callable[[int, int], None] = lambda stage, lo: None,
                 own: int = 2) -> None:
        self.ran: list[tuple[int, int, int, Arrays]] = []
        self.by: set[int] = set()
        self.crew: Any = None
        self.threads, self.arrays = threads, 5
        self.kept: list[Any] = []
        self.before = 1 + threads + len(stages)
        lines = self.before + len(stages) * (1 + threads)
        self.table = np.zeros(lines * LINE + threads * self.arrays, np.int64)
        self.table[[STAGES, THREADS, ARRAYS]] = len(stages), threads, self.arrays
        self.counts = self.table[self.before * LINE:lines * LINE].reshape(len(stages), 1 + threads, LINE)
        tables = self.table[lines * LINE:].reshape(threads, -1)
        tables[:] = [100, 200, 300, 400, 500]
        for k, (kind, parts) in enumerate(stages):
            ends = self.at([(10 * part, 10 * part + 10) for part in range(parts)])
            record = [kind, self.function(k, kind, do), parts, ends, own, self.at([3, 4]),
                      self.at([1000 * (k + 1) + j for j in range(own * (parts - 1))]), 7]
            first = (1 + threads + k) * LINE
            self.table[first:first + LINE] = record

    def at(self, numbers: Any) -> int:
        self.kept.append(np.array(numbers, np.int64))
        return int(self.kept[-1].ctypes.data)

    def function(self, stage: int, kind: int, do: Callable[[int, int], None]) -> int:
        def run(arrays: int, sizes: int, routines: int, lo: int = -1, hi: int = -1, instances: int = 0, sets: int = 0) -> None:
            self.by.add(threading.get_ident())
            do(stage, lo)
            assert sets == (7 if kind == FOLDS else 0)
            self.ran.append((stage, lo, hi, tuple((I * self.arrays).from_address(arrays))))
        self.kept.append(TYPES[kind](run))
        return ctypes.cast(self.kept[-1], P).value or 0

    def run(self, tiles: Sequence[Sequence[int]] = (), routines: Any = None, is_short: bool = False) -> None:
        """By workers; the arrays are those of the first thread, the third one of each other thread is a tile of its own."""
        routines = (P * 6)() if routines is None else routines
        self.kept.append(routines)
        if self.crew is None:
            begin = self.table[:len(self.table) - self.threads * self.arrays]
            copy = self.at([0] * (len(self.table) + LINE))
            self.crew = (I * CREW)(
                self.at(begin), len(begin), -(-copy // 64) * 64, len(begin), self.arrays, self.threads,
                ctypes.addressof(routines), WORKERS.address, int(bool(tiles)), self.at([2]),
                self.at(tiles), is_short, 0)
        arrays = (I * self.arrays)(100, 200, 300, 400, 500)
        machine().shared_calls(None).call(arrays, (I * 1)(), self.crew)

    def share(self, place: int) -> int:
        return machine().shared_calls(None).share(self.table.ctypes.data, place)

    def on_all(self) -> None:
        def work(place: int) -> None:
            while self.share(place):
                time.sleep(1e-5)
        others = [threading.Thread(target=work, args=(place,)) for place in range(1, self.threads)]
        for t in others:
            t.start()
        work(0)
        for t in others:
            t.join()


STAGES_RUN = [(SECTIONS, 1), (PARTS, 13), (FOLDS, 3), (SECTIONS, 1), (PARTS, 1), (PARTS, 2)]


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_each_part_runs_once_after_the_stages_before_it(threads: int) -> None:
    call = Call(STAGES_RUN, threads, lambda stage, lo: time.sleep(2e-4 * (lo % 3)))
    call.on_all()
    for k, (kind, parts) in enumerate(STAGES_RUN):
        expected = [(-1, -1)] if kind == SECTIONS else [(10 * part, 10 * part + 10) for part in range(parts)]
        assert sorted((lo, hi) for stage, lo, hi, _ in call.ran if stage == k) == expected
    assert [stage for stage, *_ in call.ran] == sorted(stage for stage, *_ in call.ran)


def test_parts_but_the_first_have_instances_of_their_own() -> None:
    call = Call([(PARTS, 6)], 2)
    call.on_all()
    for _, lo, _, arrays in call.ran:
        part = lo // 10
        assert arrays[:3] == (100, 200, 300)
        if part:
            assert arrays[3:] == (1000 + 2 * (part - 1), 1001 + 2 * (part - 1))


def test_a_thread_begins_with_its_own_share() -> None:
    alone = Call([(PARTS, 9)], 3)
    assert alone.share(1) == 0
    assert [lo // 10 for _, lo, _, _ in alone.ran] == [3, 4, 5, 6, 7, 8, 0, 1, 2]


def test_who_comes_late_finds_all_done() -> None:
    call = Call(STAGES_RUN, 3)
    assert call.share(0) == 0
    before = list(call.ran)
    assert [call.share(place) for place in (1, 2, 0)] == [0, 0, 0]
    assert call.ran == before


def test_who_waits_comes_back_and_goes_on_where_it_was() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def do(stage: int, lo: int) -> None:
        if (stage, lo) == (0, 0):
            begun.set()
            go_on.wait(60)
    call = Call([(PARTS, 2), (PARTS, 2)], 2, do)
    other = threading.Thread(target=call.share, args=(0,))
    other.start()
    begun.wait(60)
    assert [call.share(1), call.share(1)] == [1, 1]
    assert [(stage, lo) for stage, lo, *_ in call.ran] == [(0, 10)]
    go_on.set()
    other.join()
    while call.share(1):
        time.sleep(1e-4)
    assert sorted((stage, lo) for stage, lo, *_ in call.ran) == [(0, 0), (0, 10), (1, 0), (1, 10)]


@pytest.mark.parametrize(("triple", "pause", "gives_way"), [
    ("x86_64-unknown-linux-gnu", "llvm.x86.sse2.pause", "sched_yield"), ("riscv64-linux", "", "sched_yield"),
    ("arm64-apple-darwin", "llvm.aarch64.hint", "sched_yield"),
    ("x86_64-pc-windows-msvc", "llvm.x86.sse2.pause", "SwitchToThread")])
def test_who_waits_leaves_its_core_to_others(triple: str, pause: str, gives_way: str) -> None:
    text = code(triple)
    assert text.count("@llvm.") == (2 if pause else 0) and pause in text and f"call i32 @{gives_way}()" in text
    machine().binding.parse_assembly(text).verify()


def states() -> set[int]:
    """The states of the desks."""
    return set(WORKERS.table[1:, workers.STATE].tolist())


def together(count: int) -> Callable[[int, int], None]:
    """What each part of the first stage waits for: so many threads at once."""
    barrier = threading.Barrier(count)

    def wait(stage: int, lo: int) -> None:
        if stage == 0:
            barrier.wait(60)
    return wait


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_workers_run_parts_beside_the_caller(threads: int) -> None:
    for _ in range(5):
        call = Call([(PARTS, threads), (SECTIONS, 1)], threads, together(threads))
        call.run()
        assert len(call.by) >= threads and len(call.ran) == threads + 1
        assert workers.WORKING not in states() and workers.OFFERED not in states()


def test_a_worker_that_sleeps_is_woken() -> None:
    for _ in range(3):
        WORKERS.rest()
        assert states() <= {workers.NOBODY, workers.ASLEEP}
        call = Call([(PARTS, 3)], 3, together(3))
        call.run()
        assert len(call.by) == 3


def test_a_short_call_does_not_wait_for_who_sleeps() -> None:
    """Every eighth rouses a worker, so that those of many calls in a row that come later have help."""
    WORKERS.rest()
    call = Call([(PARTS, 4)], 2)
    for _ in range(ROUSED_EVERY - 1):
        call.run(is_short=True)
        assert call.by == {threading.get_ident()} and workers.LOOKING not in states()
    end = time.monotonic() + 60
    while len(call.by) < 2 and time.monotonic() < end:
        call.run(is_short=True)
    assert len(call.by) == 2


def test_offers_are_taken_back_when_all_is_done() -> None:
    """Calls that are over before any worker comes: the next call may use the same storage."""
    call = Call([(SECTIONS, 1)], 6)
    for _ in range(300):
        call.run()
        at = WORKERS.table[1:]
        assert not np.isin(at[:, workers.STATE], (workers.OFFERED, workers.HELD)).any()
    assert len(call.ran) == 300


def test_callers_share_the_workers() -> None:
    """Six calls at once have no more of them than the one that wants most."""
    workers_before = np.count_nonzero(WORKERS.table[1:, workers.STATE])
    calls = [Call(STAGES_RUN, threads) for threads in (2, 3, 4, 5, 2, 3)]
    callers = [threading.Thread(target=lambda call=call: [call.run() for _ in range(40)]) for call in calls]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    for call in calls:
        for k, (kind, parts) in enumerate(STAGES_RUN):
            expected = [-1] if kind == SECTIONS else [10 * part for part in range(parts)]
            assert sorted(lo for stage, lo, *_ in call.ran if stage == k) == sorted(40 * expected)
    assert np.count_nonzero(WORKERS.table[1:, workers.STATE]) <= max(workers_before, 4)


def test_each_thread_has_tiles_of_its_own() -> None:
    call = Call([(PARTS, 3)], 3, together(3), own=0)
    call.run(tiles=[[301], [302]])
    assert {arrays[:2] for *_, arrays in call.ran} == {(100, 200)}
    assert sorted(arrays[2] for *_, arrays in call.ran) == [300, 301, 302]


@pytest.mark.parametrize("before", [1, 4])
def test_blas_runs_on_one_thread_meanwhile(before: int) -> None:
    told: list[int] = []
    tell, put = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: before), ctypes.CFUNCTYPE(None, ctypes.c_int)(told.append)
    routines = (P * 6)(0, 0, 0, 0, ctypes.cast(tell, P), ctypes.cast(put, P))
    Call([(PARTS, 2)], 2, lambda stage, lo: told.append(0)).run(routines=routines)
    assert told == ([0, 0] if before == 1 else [1, 0, 0, 4])
