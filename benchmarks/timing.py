"""Interleaved timing: every round samples every contestant once, so that all see the same machine."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LEAST_SECONDS = 1e-3
# A contestant this slow is sampled in the first rounds alone.
SLOW_SECONDS, SLOW_ROUNDS = 1.0, 3


@dataclass(frozen=True)
class Sample:
    """Seconds of one call: the median over the rounds, and the quartiles; how many cores were busy meanwhile."""

    median: float
    low: float
    high: float
    rounds: int
    cores: float

    @property
    def spread(self) -> float:
        """The distance of the quartiles, relative to the median."""
        return (self.high - self.low) / self.median


def seconds_of(call: Callable[[], Any], count: int) -> float:
    """Seconds of one of `count` calls in a row."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def calibrated(call: Callable[[], Any], least: float = LEAST_SECONDS) -> tuple[int, float]:
    """How many calls last `least` seconds, and the seconds of one; the first call is not counted."""
    call()
    count = 1
    while (spent := seconds_of(call, count) * count) < least:
        count = max(2 * count, int(1.2 * count * least / max(spent, 1e-9)))
    return count, spent / count


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int, least: float = LEAST_SECONDS) -> dict[str, Sample]:
    """A sample of each call; each round has an order of its own, since the one before leaves the caches as it likes.

    Were the order only turned, each would come after the same one in all rounds but one.  A sample takes `least` seconds.
    """
    counts = {name: calibrated(call, least) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    busy = dict.fromkeys(calls, 0.0)
    names = list(calls)
    collects = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in random.Random(turn).sample(names, len(names)):
                count, once = counts[name]
                if once < SLOW_SECONDS or turn < SLOW_ROUNDS:
                    before = time.process_time()
                    seconds[name].append(seconds_of(calls[name], count))
                    busy[name] += (time.process_time() - before) / count
            gc.collect()
    finally:
        if collects:
            gc.enable()
    return {name: sample(values, busy[name] / sum(values)) for name, values in seconds.items()}


def sample(seconds: list[float], cores: float) -> Sample:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return Sample(median, low, high, len(seconds), cores)
