"""Logistic regression with value, gradient and Hessian on a file larger than most caches of the system: what memory it takes.

The data are mapped, not read: pages of the file come and go as the system likes, so only memory that is no file's is counted.
"""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import symdiff as sd
from benchmarks.tables import duration, table

SAMPLES, FEATURES, CHUNK = 10_000_000, 50, 100_000


@dataclass(frozen=True)
class Mapped:
    """Seconds of a call, bytes of the data, and the most anonymous bytes beyond those before it."""

    samples: int
    seconds: float
    data: int
    extra: int


def anonymous() -> int:
    """The bytes of this process that belong to no file; raises `OSError` where the system does not tell them as Linux does."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def mapped(samples: int = SAMPLES) -> Mapped:
    """Write a file of so many samples, map it, and call the kernel."""
    random = np.random.default_rng(0)
    X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
    loss = sd.mean(sd.softplus(-y * (X @ w)))
    kernel = sd.compile([loss, sd.grad(loss, w), sd.hessian(loss, w)], [X, y, w], cache=False)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "X"
        data = np.memmap(place, np.float64, "w+", shape=(samples, FEATURES))
        for start in range(0, samples, CHUNK):
            part = data[start:start + CHUNK]
            part[...] = random.normal(size=part.shape)
        data.flush()
        data = np.memmap(place, np.float64, "r", shape=(samples, FEATURES))
        labels = np.sign(random.normal(size=samples))
        weights = random.normal(size=FEATURES)
        kernel(data[:CHUNK], labels[:CHUNK], weights)
        before, most, done = anonymous(), 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.005):
                most = max(most, anonymous())
        watcher = threading.Thread(target=watch)
        watcher.start()
        start_time = time.perf_counter()
        kernel(data, labels, weights)
        seconds = time.perf_counter() - start_time
        done.set()
        watcher.join()
        size = data.nbytes
        del data
    return Mapped(samples, seconds, size, max(most, anonymous()) - before)


def mapped_table(found: Mapped) -> str:
    """One row."""
    data, extra = f"{found.data / 2**20:,.0f} MiB", f"{found.extra / 2**20:.1f} MiB"
    row = [f"{found.samples:,}", data, duration(found.seconds), extra]
    return table(["samples", "data", "a call", "memory beyond the data"], [row])
