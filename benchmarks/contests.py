"""A contest: every contestant of one line at one size, checked, then timed in turn."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.limits import PRODUCT, PRODUCT_OPERATIONS, READ, product, reading
from benchmarks.lines.line import Line, Values
from benchmarks.timing import Sample, interleaved

OWN, HAND = "symdiff", "hand"
# Name of a contestant: its module.  What a module imports is missing where the contestant is not installed.
CONTESTANTS = {
    OWN: "with_symdiff", HAND: "by_hand", "numpy": "with_numpy", "jax": "with_jax", "torch": "with_torch",
    "pytensor": "with_pytensor", "casadi": "with_casadi", "sklearn": "with_scikit_learn",
}
LIMITS = (READ, PRODUCT)
# More cores than this: a library did not keep to one thread.
ONE_CORE = 1.1


@dataclass
class Contest:
    """What came of one line at one size: samples of those that ran, the error of each result, what is to be told."""

    line: Line
    size: str
    samples: dict[str, Sample] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    limit: float | None = None
    is_right: bool = True

    @property
    def peers(self) -> dict[str, Sample]:
        """The samples of other libraries."""
        return {name: s for name, s in self.samples.items() if name not in (OWN, HAND)}

    @property
    def best_peer(self) -> str | None:
        """The fastest of the other libraries whose result is right."""
        right = {name: s for name, s in self.peers.items() if self.errors[name] <= self.line.tolerance}
        return min(right, key=lambda name: right[name].median) if right else None

    def ratio(self, name: str | None) -> float | None:
        """How many times as long as another symdiff takes."""
        if name not in self.samples or OWN not in self.samples:
            return None
        return self.samples[OWN].median / self.samples[name].median


def installed(names: Sequence[str]) -> tuple[dict[str, ModuleType], list[str]]:
    """The modules of the contestants named, and notes of those whose library is not installed."""
    modules, notes = {}, []
    for name in names:
        try:
            modules[name] = importlib.import_module(f"benchmarks.contestants.{CONTESTANTS[name]}")
        except ModuleNotFoundError as error:
            notes.append(f"{name} is left out: {error}")
    return modules, notes


def contest(line: Line, size: str, scale: float, modules: Mapping[str, ModuleType], rounds: int) -> Contest:
    """Check and time the contestants that know the line."""
    result = Contest(line, size)
    values = line.data(scale)
    wanted = line.reference(values)
    calls: dict[str, Callable[[], Any]] = {}
    for name, module in modules.items():
        make = getattr(module, line.key, None)
        call = make and entered(result, name, make, values, wanted)
        if call is not None:
            calls[name] = call
    work = line.work(values)
    limits = {READ: reading(work.bytes)} if work.bytes else {}
    if work.products:
        limits[PRODUCT] = product(line.dtype)
    samples = interleaved({**calls, **limits}, rounds)
    result.samples = {name: samples[name] for name in calls}
    least = {READ: 1.0, PRODUCT: work.products / PRODUCT_OPERATIONS}
    result.limit = max((samples[name].median * least[name] for name in limits), default=None)
    result.notes += [f"{name} kept {s.cores:.1f} cores busy" for name, s in result.samples.items() if s.cores > ONE_CORE]
    return result


def entered(result: Contest, name: str, make: Callable[..., Callable[[], Any] | None], values: Values,
            wanted: Sequence[Any]) -> Callable[[], Any] | None:
    """The call of a contestant, whose first result is checked; None for one that has nothing to offer, or, with a note, fails."""
    try:
        call = make(values, *result.line.options)
        if call is None:
            return None
        error = largest_error(call(), wanted)
    except Exception as failure:
        # One contestant that fails must not take the others' times along.
        result.notes.append(f"{name} FAILED: {type(failure).__name__}: {failure}")
        result.is_right = False
        return None
    result.errors[name] = error
    if not error <= result.line.tolerance:
        result.notes.append(f"{name} is WRONG: relative error {error:.1e}")
        result.is_right = False
    return call


def leaves(tree: Any) -> list[Any]:
    """The arrays of nested tuples and lists, as float64."""
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [np.asarray(tree, dtype=float)]


def largest_error(got: Any, wanted: Sequence[Any]) -> float:
    """The largest difference, relative to the largest number of each result; NaN where one is, infinite where shapes differ."""
    found = leaves(got)
    if [x.shape for x in found] != [np.shape(x) for x in wanted]:
        return float("inf")
    # Python's max would lose a NaN that is not the first.
    return float(np.max([np.max(np.abs(x - y)) / max(np.max(np.abs(y)), np.finfo(float).tiny)
                         for x, y in zip(found, wanted, strict=True)]))
