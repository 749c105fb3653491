"""Many calls and many models in one process: what memory stays behind."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import symdiff as sd
from benchmarks.contestants import with_symdiff
from benchmarks.lines.networks import xor_data
from benchmarks.tables import table

CALLS, MODELS, WARM = 1_000_000, 500, 20


@dataclass(frozen=True)
class Memory:
    """Resident bytes before and after so many repetitions of something."""

    what: str
    count: int
    before: int
    after: int


def resident() -> int:
    """The resident bytes of this process; raises `OSError` where the system does not tell them as Linux does."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def call_again(count: int) -> Memory:
    """Call one kernel again and again."""
    call = with_symdiff.xor(xor_data(1.0))
    for _ in range(WARM):
        call()
    before = resident()
    for _ in range(count):
        call()
    return Memory("calls of one kernel", count, before, resident())


def compile_again(count: int) -> Memory:
    """Formulate, compile, call and drop models, each with constants of its own."""
    values = {"X": np.ones((4, 3)), "y": np.ones(4), "w": np.ones(3)}

    def once(number: int) -> None:
        X, y, w = sd.symbol("X", ("n", 3)), sd.symbol("y", "n"), sd.symbol("w", 3)
        loss = sd.sum(sd.softplus((X @ w) * (1 + number / 7)) - y * sd.tanh(X @ w + number))
        sd.compile(sd.value_and_grad(loss, w), [X, y, w], cache=False)(**values)
    for k in range(WARM):
        once(-k)
    before = resident()
    for k in range(1, count + 1):
        once(k)
    return Memory("models compiled, called and dropped", count, before, resident())


def soak(calls: int = CALLS, models: int = MODELS) -> list[Memory]:
    """Both."""
    return [call_again(calls), compile_again(models)]


def soak_table(found: list[Memory]) -> str:
    """Megabytes before and after as a Markdown table."""
    rows = [[m.what, f"{m.count:,}", f"{m.before / 2**20:.1f} MiB", f"{m.after / 2**20:.1f} MiB",
             f"{(m.after - m.before) / m.count / 2**10:.2f} KiB"] for m in found]
    return table(["what", "times", "resident before", "after", "for each"], rows)
