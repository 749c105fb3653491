"""Results as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contests import CONTESTANTS, OWN, Contest

MARKS = "osD^v<>P"


def files_only() -> Any:
    """Matplotlib's pyplot, for files alone, so that no display is needed; None where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("agg")
    from matplotlib import pyplot
    return pyplot


def write_plot(contests: Sequence[Contest], path: Path) -> bool:
    """Plot each contestant's time relative to that of symdiff, a row for each line; False without Matplotlib."""
    pyplot = files_only()
    if pyplot is None:
        return False
    shown = [c for c in reversed(contests) if OWN in c.samples]
    figure, axes = pyplot.subplots(figsize=(10, 1.5 + 0.4 * len(shown)), layout="constrained")
    for name, mark in zip(CONTESTANTS, MARKS, strict=True):
        points = [(c.samples[name].median / c.samples[OWN].median, k) for k, c in enumerate(shown) if name in c.samples]
        if points:
            axes.plot(*zip(*points, strict=True), mark, label=name)
    limits = [(c.limit / c.samples[OWN].median, k) for k, c in enumerate(shown) if c.limit is not None]
    if limits:
        axes.plot(*zip(*limits, strict=True), "k|", markersize=12, label="limit")
    axes.set_yticks(range(len(shown)), [f"{c.line.name} {c.line.title} ({c.size})" for c in shown])
    axes.set_xscale("log")
    axes.set_xlabel("time relative to symdiff (left is faster)")
    axes.grid(axis="x", alpha=0.3)
    if shown:
        axes.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True
