"""Builders that compute: rows, reductions and hooks on NumPy arrays instead of expressions, with or without slopes.

Partials and weights are written with operators and rows, so with these in place they can be evaluated as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.functions import REDUCTIONS, ROWS, ReduceRow, ScalarRow


class Dual:
    """A value with a slope: enough of the operators of an expression to differentiate a partial."""

    __array_ufunc__ = None

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> Dual:
        b = lifted(other)
        return Dual(self.value + b.value, self.slope + b.slope)

    def __mul__(self, other: Any) -> Dual:
        b = lifted(other)
        return Dual(self.value * b.value, self.slope * b.value + self.value * b.slope)

    def __truediv__(self, other: Any) -> Dual:
        b = lifted(other)
        return Dual(self.value / b.value, (self.slope - self.value / b.value * b.slope) / b.value)

    def __pow__(self, p: float) -> Dual:
        return Dual(self.value**p, p * self.value ** (p - 1) * self.slope)

    def __neg__(self) -> Dual:
        return self * -1

    def __sub__(self, other: Any) -> Dual:
        return self + -lifted(other)

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __gt__(self, other: Any) -> Any:
        return self.value > other

    def __rtruediv__(self, other: Any) -> Dual:
        return lifted(other) / self

    __radd__, __rmul__ = __add__, __mul__


def lifted(value: Any) -> Dual:
    return value if isinstance(value, Dual) else Dual(np.asarray(value), 0.0)


def apply_row(row: ScalarRow, args: tuple[Any, ...]) -> Any:
    """row(args) on numbers and arrays; with slopes, by the row's own partials."""
    if not any(isinstance(a, Dual) for a in args):
        return row.numpy(*[np.asarray(a) for a in args])
    duals = [lifted(a) for a in args]
    values = [d.value for d in duals]
    result = row.numpy(*values)
    pairs = zip(row.partials or (), duals, strict=True)
    slope = sum(partial(*values, result) * d.slope for partial, d in pairs if partial)
    return Dual(result, slope + np.zeros(np.shape(result)))


def apply_reduction(row: ReduceRow, x: Any, axes: tuple[int, ...]) -> Any:
    if not isinstance(x, Dual):
        return row.numpy(x, axis=axes)
    y = row.numpy(x.value, axis=axes)
    assert row.weight is not None
    return Dual(y, np.sum(row.weight(x.value, y, axes) * x.slope, axis=axes))


def linear(f: Callable[[Any], Any], x: Any) -> Any:
    """A linear function of an array, or of its value and slope."""
    return Dual(f(x.value), f(x.slope)) if isinstance(x, Dual) else f(x)


def product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """Π_{j ≠ i} x[j] at each i along `axes`, by one more axis."""
    shape = np.shape(x.value if isinstance(x, Dual) else x)
    kept = tuple(k for k in range(len(shape)) if k not in axes)
    order = kept + axes
    count = math.prod(shape[k] for k in axes)
    self_or_other = np.eye(count)

    def spread(v: Any) -> Any:
        rows = np.transpose(v, order).reshape(*[shape[k] for k in kept], 1, count)
        return rows * (1 - self_or_other)

    def gather(v: Any) -> Any:
        return np.transpose(v.reshape([shape[k] for k in order]), np.argsort(order))

    return linear(gather, REDUCTIONS["prod"](linear(spread, x) + self_or_other, (len(kept) + 1,)))


def expand(y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """y, reduced along `axes`, back in the shape of x."""
    shape = np.shape(x.value if isinstance(x, Dual) else x)
    return linear(lambda v: np.broadcast_to(np.expand_dims(v, axes), shape), y)


STAND_INS: dict[str, Callable[..., Any]] = {
    "map": apply_row, "number": lambda c, like: apply_row(ROWS["number"], (c,)), "reduce": apply_reduction,
    "number_of": lambda p: None, "expand": expand,
    "sum": lambda x, axes: linear(lambda v: np.sum(v, axis=axes), x), "product_of_others": product_of_others,
}
