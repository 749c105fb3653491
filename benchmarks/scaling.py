"""How much faster passes over the data are on several threads, and whether their results are the same bits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contestants import with_symdiff
from benchmarks.contests import leaves
from benchmarks.lines import TABLE
from benchmarks.tables import duration, table
from benchmarks.timing import Sample, interleaved

VARIABLE = "SYMDIFF_THREADS"
# Passes bound by computation, and one by memory.
LINES = ("4", "9", "10a", "10b", "3")
# Calls in which a kernel finds out whether threads are worth their while.
TRIALS = 8
# Each sample is of calls in a row, as training makes them: a core that has slept is as slow at first as it likes.
ROW_SECONDS = 0.05


@dataclass(frozen=True)
class Scaling:
    """Samples of one line by the number of threads; whether all results are the same."""

    title: str
    samples: dict[int, Sample]
    is_same: bool


def thread_counts() -> list[int]:
    """1, 2, 4 and so on, to the number of processors."""
    most = os.cpu_count() or 1
    return [count for count in (2**k for k in range(10)) if count <= most]


def scaling(rounds: int, names: Sequence[str] = LINES, scale: float = 1.0) -> list[Scaling]:
    """Time lines on one thread and on several, interleaved."""
    before = os.environ.get(VARIABLE)
    found = []
    for name in names:
        line = TABLE[name]
        values = line.data(scale)
        calls: dict[str, Callable[[], Any]] = {}
        results: list[list[bytes]] = []
        for count in thread_counts():
            os.environ[VARIABLE] = str(count)
            call = getattr(with_symdiff, line.key)(values, *line.options)
            calls[str(count)] = call
            results.append([np.asarray(x).tobytes() for _ in range(TRIALS) for x in leaves(call())])
        samples = interleaved(calls, rounds, ROW_SECONDS)
        same = all(result == results[0] for result in results)
        found.append(Scaling(line.title, {int(count): sample for count, sample in samples.items()}, same))
    if before is None:
        del os.environ[VARIABLE]
    else:
        os.environ[VARIABLE] = before
    return found


def scaling_table(found: Sequence[Scaling]) -> str:
    """A row for each line and number of threads."""
    rows = [[s.title, str(count), duration(sample.median), f"{s.samples[1].median / sample.median:.2f}",
             "yes" if s.is_same else "NO"] for s in found for count, sample in s.samples.items()]
    return table(["line", "threads", "a call", "times as fast", "same bits"], rows)
