"""What a call costs: kernels of eight numbers, with one array and with five.  The net of line 6 is the third of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Line, Values, Work

COUNT = 8


def arrays(names: str) -> Callable[[float], Values]:
    """An array of eight numbers for each name, at any scale."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        return {name: rng.random(COUNT) for name in names}
    return data


def sum_of_squares(v: Values) -> list[Any]:
    """Σ a²."""
    return [np.sum(v["a"] ** 2)]


def five_products(v: Values) -> list[Any]:
    """Σ a b + c d + e."""
    return [np.sum(v["a"] * v["b"] + v["c"] * v["d"] + v["e"])]


def nothing(values: Values) -> Work:
    """No limit but the call."""
    return Work()


LINES = [
    Line("latency-1", "a call with one small array", "sum_of_squares", arrays("a"), sum_of_squares, nothing, group="latency"),
    Line("latency-5", "a call with five small arrays", "five_products", arrays("abcde"), five_products, nothing, group="latency"),
]
