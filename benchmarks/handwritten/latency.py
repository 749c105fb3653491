"""Kernels that do next to nothing: what remains is the call through Numba's dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from benchmarks.handwritten.vector_mathematics import FAST
from benchmarks.lines.line import Values

Call = Callable[[], Any]


@njit(fastmath=FAST)
def squares(a):
    """Σ a²."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * a[i]
    return total


@njit(fastmath=FAST)
def products(a, b, c, d, e):
    """Σ a b + c d + e."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i] + c[i] * d[i] + e[i]
    return total


def sum_of_squares(values: Values) -> Call:
    """One array in, one number out."""
    a = values["a"]
    return lambda: squares(a)


def five_products(values: Values) -> Call:
    """Five arrays in, one number out."""
    a, b, c, d, e = values.values()
    return lambda: products(a, b, c, d, e)
