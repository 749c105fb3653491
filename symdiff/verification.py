"""Verification: symbolic derivatives held against numeric ones, for the reference and for the compiled kernel.

The first derivative is checked against the expression, the second against the (then proved) first: a numeric derivative
of an exact first derivative keeps its digits where a second difference loses half of them.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from codegen.backends.registry import backend
from codegen.compiler import compile
from symdiff.binding.declared_facts import check_facts
from symdiff.differentiation import jacobian
from symdiff.differentiation.derivatives import differentiable, some_targets
from symdiff.errors import ArgumentMismatch, BackendUnavailable, CannotLower, DerivativeMismatch
from symdiff.evaluation import bind_symbols
from symdiff.expression import Node, Symbol
from symdiff.numeric import Column, Function, Kink, nearest_kink, partials
from symdiff.operators.coercion import as_node, describe
from symdiff.option_values import check_number
from symdiff.simplification import simplify
from symdiff.sizes import NAMED, named_sizes, value_of
from symdiff.traversal import symbols_of

Array = Any
Tree = Any
REFERENCE = "reference"
TOLERANCE = {"float64": 1e-8, "float32": 1e-3}


@dataclass(frozen=True)
class Check:
    """One derivative by one way of computing it, at its worst entry; `skipped` entries have no numeric derivative."""

    order: int
    symbols: str
    way: str
    method: str
    entries: int
    skipped: int
    worst: tuple[int, ...]
    symbolic: float
    numeric: float
    error: float
    estimate: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether symbolic and numeric derivative part by no more than is allowed."""
        return self.error <= self.allowed

    @property
    def verdict(self) -> str:
        """What a table says of it: nothing where all is well."""
        words = [] if self.agrees else ["WRONG"]
        words += [f"{self.skipped} not compared"] if self.skipped else []
        return ", ".join(words)


@dataclass(frozen=True)
class Report:
    """All checks at one point, the nearest kink, and what else is to be known; `str` is a table."""

    checks: list[Check]
    kink: Kink | None
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every derivative that could be compared agrees, and any could."""
        return all(check.agrees for check in self.checks) and any(check.entries for check in self.checks)

    def summary(self) -> str:
        """One line: how much was compared, and the worst of it."""
        count, skipped = sum(c.entries for c in self.checks), sum(c.skipped for c in self.checks)
        compared = [c for c in self.checks if c.entries]
        worst = max(compared, key=lambda c: c.error / c.allowed if c.allowed else 0.0, default=None)
        verdict = "agree" if self.agrees else "DO NOT AGREE" if compared else "were NOT COMPARED"
        text = f"{len(self.checks)} derivatives with {count} entries {verdict}"
        text += f", {skipped} entries not compared" if skipped else ""
        if worst is not None:
            text += (f"; nearest to its limit: order {worst.order} by {worst.symbols} ({worst.way}), "
                     f"difference {worst.error:.1e} of {worst.allowed:.1e} allowed")
        return text

    def __str__(self) -> str:
        head = ("order", "by", "way", "method", "entries", "worst at", "symbolic", "numeric", "difference", "allowed", "")
        rows = [head, *[(str(c.order), c.symbols, c.way, c.method, str(c.entries), str(list(c.worst)),
                         f"{c.symbolic:.10g}", f"{c.numeric:.10g}", f"{c.error:.1e}", f"{c.allowed:.1e}",
                         c.verdict) for c in self.checks]]
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        if self.kink is not None:
            lines.append(f"nearest kink: {self.kink.distance:.2g} away, in {describe(self.kink.node)}")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__


def check_derivatives(f: Any, wrt: Tree, at: Mapping[Any, Any], order: int = 2, target: str | None = None, *,
                      tolerance: float | None = None, limit: int = 100, seed: int = 0) -> Report:
    """Compare symbolic with numeric derivatives of f at a point, up to `order` (1, 2, …).

    `at` gives values for all symbols of f.  Each derivative is computed by the reference and by the kernel compiled for
    `target` ("cpu" unless given; "reference" leaves the kernel out).  Of a symbol with more than `limit` entries,
    `limit` are drawn by `seed`.  `tolerance` is relative to the largest entry: 1e-8, or 1e-3 in float32.

    Where f, or a derivative that is differentiated further, is not finite as it is written, its simplified form is taken
    for the numeric side, and a note says so.  Entries whose numeric derivative is not finite are not compared; the report
    counts them.  `stop_gradient(x)` is held at its value at the point, as a constant, so that its numeric derivative is
    zero too.

    Returns a `Report`.  Raises `DerivativeMismatch`, which shows it, where the two part; at a kink, where a derivative
    jumps or is infinite and numeric ones mean nothing, it warns instead.  Raises `ArgumentMismatch` where nothing can be
    compared: no symbol, a point at which f is not finite, options out of their range; `BackendUnavailable` for a target
    that is not there.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", 2)
    >>> sd.check_derivatives(sd.sum(sd.exp(x)), x, {x: [0.0, 1.0]}, target="reference").agrees
    True
    """
    check_number("order", order, least=1, whole=True)
    check_number("limit", limit, least=1, whole=True)
    check_number("seed", seed, least=0, whole=True)
    check_number("tolerance", tolerance, least=0, optional=True)
    if target is not None and target != REFERENCE:
        backend(target)
    root = as_node(f)
    targets, _ = some_targets("check_derivatives", wrt, root)
    differentiable("check_derivatives", root)
    arrays, sizes = bind_symbols([root, *targets], at, "check_derivatives")
    for symbol, array in arrays.items():
        if isinstance(symbol, Symbol):
            check_facts(array, symbol.facts, symbol.name, "check_derivatives")
    blocks = [[root]]
    labels = [["f"]]
    for _ in range(order):
        blocks.append([d for node in blocks[-1] for d in jacobian(node, list(targets))])
        labels.append([f"{label}, {t.name}" if label != "f" else t.name
                       for label in labels[-1] for t in targets])
    functions = [numeric_form(nodes, arrays, sizes) for nodes in blocks[:-1]]
    refuse_undefined(functions[0])
    ways, notes = values_by_way(blocks[1:], arrays, sizes, target or "cpu")
    notes += [f"{'f' if not level else f'a derivative of order {level}'} is not finite as it is written; "
              "its simplified form is differentiated"
              for level, function in enumerate(functions) if function.roots != blocks[level]]
    rng = np.random.default_rng(seed)
    checks: list[Check] = []
    kink = nearest_kink([root], targets, arrays, sizes)
    numeric_step = 0.0
    for level in range(1, order + 1):
        function = functions[level - 1]
        scales = [largest(v) for v in function.values()]
        for k, symbol in enumerate(targets):
            indices = chosen_entries(arrays[symbol].shape, limit, rng)
            columns = [partials(function, symbol, index) for index in indices]
            numeric_step = max(numeric_step, *[c.step for c in columns], 0.0)
            for j in range(len(blocks[level - 1])):
                place = j * len(targets) + k
                for way, values in ways.items():
                    kind = symbol.dtype if way != REFERENCE else "float64"
                    allowed = TOLERANCE[kind] if tolerance is None else tolerance
                    checks.append(worst_entry(level, labels[level][place], way, values[level - 1][place], indices,
                                              columns, j, allowed, scales[j]))
    notes += [f"order {c.order} by {c.symbols} ({c.way}): nothing to compare" for c in checks if not c.entries]
    report = Report(checks, kink, notes)
    if kink is not None and kink.distance <= numeric_step:
        report.notes.append(f"warning: a kink is {kink.distance:.2g} away: numeric derivatives mean nothing here")
        warnings.warn(f"{describe(root)} has a kink {kink.distance:.2g} away in {describe(kink.node)}: "
                      "numeric derivatives mean nothing there", stacklevel=2)
    elif not any(check.entries for check in checks):
        raise ArgumentMismatch(f"no derivative of {describe(root)} could be compared: no numeric one is a number here",
                               where="check_derivatives", mend="give another point, or symbols that have entries")
    elif not report.agrees:
        raise DerivativeMismatch(f"symbolic and numeric derivatives of {describe(root)} part\n{report}",
                                 where="check_derivatives",
                                 mend="report this as a bug of symdiff, unless the function is not smooth here")
    return report


def numeric_form(nodes: Sequence[Node], arrays: dict[Node, Array], sizes: dict[str, int]) -> Function:
    """Expressions as they are written, or simplified where one is not finite and its simplified form is."""
    written = Function(list(nodes), arrays, sizes)
    finite = [bool(np.isfinite(v).all()) for v in written.values()]
    if all(finite):
        return written
    simplified = [node if good else simplify(node) for node, good in zip(nodes, finite, strict=True)]
    better = [bool(np.isfinite(v).all()) for v in Function(simplified, arrays, sizes).values()]
    return Function([s if good else n for n, s, good in zip(nodes, simplified, better, strict=True)], arrays, sizes)


def refuse_undefined(function: Function) -> None:
    """Raise `ArgumentMismatch` where the expression is not finite: it has no derivative there to compare."""
    (root,), (value,) = function.roots, function.values()
    if not np.isfinite(value).all():
        wrong = np.asarray(value)[~np.isfinite(value)].ravel()[0]
        raise ArgumentMismatch(f"{describe(root)} is {wrong} at this point", where="check_derivatives",
                               mend="give a point at which it is finite: look for NaN in at=, and at its domain")


def values_by_way(blocks: list[list[Node]], arrays: dict[Node, Array], sizes: dict[str, int], target: str) -> tuple[
        dict[str, list[list[Array]]], list[str]]:
    """The symbolic derivatives by the reference and by the kernel, and why there is no kernel where there is none."""
    ways = {REFERENCE: [Function(nodes, arrays, sizes).values() for nodes in blocks]}
    if target == REFERENCE:
        return ways, []
    symbols = list(arrays)
    try:
        kernel = compile([node for nodes in blocks for node in nodes], inputs=symbols, target=target)
        results = iter(kernel(*[arrays[s] for s in symbols]))
    except (CannotLower, BackendUnavailable) as error:
        return ways, [f"no kernel: {error.what}"]
    ways[target] = [[np.asarray(next(results)) for _ in nodes] for nodes in blocks]
    return ways, []


def chosen_entries(shape: tuple[int, ...], limit: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """All positions of an array, or `limit` of them drawn without repetition."""
    total = math.prod(shape)
    if total <= limit:
        return list(itertools.product(*[range(s) for s in shape]))
    return [tuple(int(i) for i in np.unravel_index(p, shape)) for p in rng.choice(total, limit, replace=False)]


def largest(values: Array) -> float:
    """The largest finite absolute value."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def worst_entry(order: int, symbols: str, way: str, symbolic: Array, indices: Sequence[tuple[int, ...]],
                columns: Sequence[Column], root: int, tolerance: float, scale: float) -> Check:
    """The entry at which symbolic and numeric derivative part most."""
    nothing = Check(order, symbols, way, "none", 0, 0, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    if not indices or not symbolic.size:
        return nothing
    ours = np.stack([symbolic[(..., *index)] for index in indices], axis=-1).astype(float)
    theirs = np.stack([column.derivatives[root] for column in columns], axis=-1)
    estimates = np.stack([column.errors[root] for column in columns], axis=-1)
    there = np.isfinite(theirs)
    skipped = int(np.count_nonzero(~there))
    if not there.any():
        return replace(nothing, method=columns[0].method, skipped=skipped)
    with np.errstate(invalid="ignore"):
        gap = np.abs(ours - theirs)
    gap = np.where(np.isnan(gap), np.inf, gap)
    estimates = np.where(np.isfinite(estimates), estimates, 0.0)
    allowed = tolerance * (largest(theirs) + 1e-4 * scale + 1e-12) + 10 * estimates
    place = np.unravel_index(int(np.argmax(np.where(there, gap - allowed, -np.inf))), gap.shape)
    entry = (*[int(i) for i in place[:-1]], *indices[int(place[-1])])
    return Check(order, symbols, way, columns[0].method, theirs.size - skipped, skipped, entry, float(ours[place]),
                 float(theirs[place]) + 0.0, float(gap[place]), float(estimates[place]), float(allowed[place]))


def sample_point(f: Any, seed: int = 0, size: int = 4) -> dict[str, Array]:
    """Values for all symbols of f, for a first look: normal numbers, positive where declared, named sizes `size` and up.

    >>> import symdiff as sd
    >>> sample_point(sd.sum(sd.symbol("x", "n")))["x"].shape
    (4,)
    """
    rng = np.random.default_rng(seed)
    sizes: dict[str, int] = {}
    point = {}
    for symbol in symbols_of([as_node(f)]):
        for name in sorted({name for axis in symbol.shape for name in named_sizes(axis)}):
            sizes.setdefault(name, max(size + len(sizes), NAMED[name].minimum))
        shape = tuple(value_of(axis, sizes) for axis in symbol.shape)
        if symbol.dtype.startswith("float"):
            value = rng.normal(size=shape)
            if {"positive", "nonnegative"} & set(symbol.facts):
                value = np.abs(value) + 0.1
            if {"symmetric", "psd"} & set(symbol.facts):
                value = value @ value.T
            point[symbol.name] = value.astype(symbol.dtype)
        else:
            point[symbol.name] = rng.integers(0, 2, shape).astype(symbol.dtype)
    return point
