"""Numeric partial derivatives with an error estimate: the complex step, else Richardson-extrapolated differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from symdiff.expression import Node
from symdiff.numeric.complex_field import COMPLEX, WIDE, NotAnalytic
from symdiff.reference import Field, evaluate_nodes

Array = Any
LONGEST_STEP = 1e-30
STEP_AT_ZERO = 1e-100
FIRST_STEP = 0.05
LEVELS = 7
EPSILON = float(np.finfo(float).eps)


class Function(Struct, frozen=True):
    """Expressions as functions of their symbols at a point: `arrays` by symbol, `sizes` by name."""

    roots: Sequence[Node]
    arrays: dict[Node, Array]
    sizes: dict[str, int]

    def values(self, field: Field = WIDE, changed: dict[Node, Array] | None = None) -> list[Array]:
        """The values of the roots, with some symbols changed."""
        arrays = {s: v.astype(field.dtype(s.dtype)) for s, v in self.arrays.items()}
        return evaluate_nodes(self.roots, {**arrays, **(changed or {})}, self.sizes, field)


class Column(Struct, frozen=True):
    """The partial derivatives of every root with respect to one entry of a symbol.

    A kink nearer than `step` disturbs them.
    """

    derivatives: list[Array]
    errors: list[Array]
    step: float
    method: str


def partials(function: Function, symbol: Node, index: tuple[int, ...]) -> Column:
    """The partial derivatives with respect to symbol[index]; the complex step wherever every function allows it."""
    try:
        return complex_step(function, symbol, index)
    except NotAnalytic:
        return differences(function, symbol, index)


@np.errstate(all="ignore")
def complex_step(function: Function, symbol: Node, index: tuple[int, ...]) -> Column:
    """Im f(x + i h) / h; the error is the rounding of the evaluation.

    The step is at most 1e-20 |x|, below what any sum with x resolves, so that a kink disturbs only a point that lies on it,
    or an entry that is zero (Squire and Trapp, SIAM Review 40, 1998).
    """
    point = function.arrays[symbol].astype(complex)
    size = float(np.abs(point[index]))
    step = min(LONGEST_STEP, size * (1e-20 if size > 1e-280 else 1e-8)) if size else STEP_AT_ZERO
    point[index] += 1j * step
    found = [np.imag(v) / step for v in function.values(COMPLEX, {symbol: point})]
    return Column(found, [64 * EPSILON * np.abs(d) for d in found], 0.0 if size else step, "complex step")


@np.errstate(all="ignore")
def differences(function: Function, symbol: Node, index: tuple[int, ...]) -> Column:
    """Central differences with halved steps, extrapolated; of each entry the estimate with the least error is kept."""
    start = function.arrays[symbol].astype(float)
    scale = max(1.0, float(np.abs(start[index])))
    rows: list[list[Array]] = []
    best: list[Array] = []
    errors: list[Array] = []
    for level in range(LEVELS):
        step = FIRST_STEP * scale / 2**level
        row = [central(function, symbol, start, index, step)]
        for k in range(level):
            gain = 4.0 ** (k + 1)
            row.append([(gain * a - b) / (gain - 1) for a, b in zip(row[k], rows[-1][k], strict=True)])
        if not rows:
            best, errors = row[0], [np.full(np.shape(d), np.inf) for d in row[0]]
        for k in range(1, len(row)):
            for j, value in enumerate(row[k]):
                change = np.maximum(np.abs(value - row[k - 1][j]), np.abs(value - rows[-1][k - 1][j]))
                closer = change < errors[j]
                errors[j] = np.where(closer, change, errors[j])
                best[j] = np.where(closer, value, best[j])
        rows.append(row)
    return Column(best, errors, FIRST_STEP * scale, "differences")


def central(function: Function, symbol: Node, start: Array, index: tuple[int, ...], step: float) -> list[Array]:
    """(f(x + h) − f(x − h)) / 2h with the step that the numbers really take."""
    above, below = start.copy(), start.copy()
    above[index] += step
    below[index] -= step
    width = above[index] - below[index]
    pairs = zip(function.values(WIDE, {symbol: above}), function.values(WIDE, {symbol: below}), strict=True)
    return [(a - b) / width for a, b in pairs]
