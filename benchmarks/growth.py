"""How time per call and compile time grow with the size of the data, of the model and of the program."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmarks.contests import largest_error
from benchmarks.lines import chains, growing, regressions
from benchmarks.lines.line import Line
from benchmarks.plots import MARKS, files_only
from benchmarks.tables import duration, table
from benchmarks.timing import interleaved

# Who is expected to take longer than this to compile the next size is not asked for it.
PATIENCE = 120.0


@dataclass(frozen=True)
class Sweep:
    """A line for each size."""

    title: str
    axis: str
    sizes: Sequence[int]
    line: Callable[[int], Line]


@dataclass(frozen=True)
class Point:
    """Seconds of one contestant at one size; whether its result is right."""

    sweep: Sweep
    contestant: str
    size: int
    compile: float
    call: float
    is_right: bool


def logistic(n: int, d: int) -> Line:
    """Logistic regression of n × d."""
    return Line("", "", "logistic", regressions.samples(n, d, labels=True), regressions.logistic, regressions.streamed)


def deep(depth: int) -> Line:
    """A net of so many layers."""
    return Line("", "", "deep", growing.deep_data(depth), growing.deep, chains.nothing)


def chain(length: int) -> Line:
    """A program of so many operations."""
    return Line("", "", "chain", chains.chain_data(length), chains.chain, chains.nothing)


def outputs(count: int) -> Line:
    """So many outputs."""
    return Line("", "", "outputs", growing.outputs_data(count), growing.outputs, chains.nothing)


SWEEPS = (
    Sweep("logistic regression, 20 features", "samples", (1_000, 10_000, 100_000, 1_000_000), lambda n: logistic(n, 20)),
    Sweep("logistic regression, 2,000 samples", "features", (10, 100, 1_000, 4_000), lambda d: logistic(2_000, d)),
    Sweep("MLP of width 32", "layers", (1, 4, 16, 64), deep),
    Sweep("program over scalars", "operations", (100, 1_000, 5_000, 20_000, 50_000), chain),
    Sweep("sums of sines", "outputs", (1, 10, 100, 300), outputs),
)


def grow(modules: Mapping[str, ModuleType], rounds: int, sweeps: Sequence[Sweep] = SWEEPS) -> tuple[list[Point], list[str]]:
    """Every sweep by every contestant that knows it and is quick enough, and notes of those that were not."""
    points, notes = [], []
    for sweep in sweeps:
        patient = {name for name, module in modules.items() if hasattr(module, sweep.line(sweep.sizes[0]).key)}
        for size, following in zip(sweep.sizes, [*sweep.sizes[1:], sweep.sizes[-1]], strict=True):
            line = sweep.line(size)
            values = line.data(1.0)
            wanted = line.reference(values)
            for name in [name for name in modules if name in patient]:
                start = time.perf_counter()
                call = getattr(modules[name], line.key)(values)
                first = call()
                compiled = time.perf_counter() - start
                is_right = largest_error(first, wanted) <= line.tolerance
                points.append(Point(sweep, name, size, compiled, interleaved({name: call}, rounds)[name].median, is_right))
                if not is_right:
                    notes.append(f"{name} is WRONG: {sweep.title}, {size:,} {sweep.axis}")
                # What takes quadratic time would take this long.
                if compiled * (following / size) ** 2 > PATIENCE:
                    patient.remove(name)
                    notes.append(f"{name} is not asked for more than {size:,} {sweep.axis} ({sweep.title}), which took it "
                                 f"{duration(compiled)} to compile")
    return points, notes


def growth_table(points: Sequence[Point]) -> str:
    """The points as a Markdown table."""
    rows = [[f"{p.sweep.title}: {p.sweep.axis}", p.contestant, f"{p.size:,}", duration(p.compile), duration(p.call)]
            for p in points]
    return table(["what grows", "by", "size", "formula to first result", "a call"], rows)


def write_growth_plot(points: Sequence[Point], path: Path) -> bool:
    """A row of two plots for each sweep: compile time and time per call against the size; False without Matplotlib."""
    pyplot = files_only()
    if pyplot is None:
        return False
    sweeps = list(dict.fromkeys(p.sweep for p in points))
    figure, rows = pyplot.subplots(len(sweeps), 2, figsize=(10, 3 * len(sweeps)), layout="constrained", squeeze=False)
    for sweep, row in zip(sweeps, rows, strict=True):
        names = dict.fromkeys(p.contestant for p in points)
        for name, mark in zip(names, MARKS, strict=False):
            mine = [p for p in points if p.sweep is sweep and p.contestant == name]
            row[0].plot([p.size for p in mine], [p.compile for p in mine], f"-{mark}", label=name)
            row[1].plot([p.size for p in mine], [p.call for p in mine], f"-{mark}", label=name)
        for axes, what in zip(row, ("formula to first result, s", "a call, s"), strict=True):
            axes.set(xscale="log", yscale="log", xlabel=sweep.axis, ylabel=what, title=sweep.title)
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True
