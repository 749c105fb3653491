"""Throughput of elementary functions, in the cache and out of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Line, Values, Work, scaled, sigmoid

# 128 KiB of float64 lie in a second-level cache; the many go through memory.
FEW, MANY = 16_384, 8_000_000
TOLERANCES = {"float32": 2e-6, "float64": 1e-14}
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    # The function in float64, and the interval of its arguments.
    "exp": (np.exp, -20, 20), "expm1": (np.expm1, -20, 20), "log": (np.log, 1e-3, 100), "log1p": (np.log1p, -0.9, 100),
    "tanh": (np.tanh, -5, 5), "sigmoid": (sigmoid, -20, 20), "softplus": (lambda x: np.logaddexp(0, x), -20, 20),
    "sin": (np.sin, -30, 30), "cos": (np.cos, -30, 30), "erf": (np.vectorize(math.erf), -4, 4),
    "pow": (lambda x: x**1.7, 1e-3, 100), "sqrt": (np.sqrt, 0, 100),
}


def spread(function: str, count: int, dtype: str) -> Callable[[float], Values]:
    """Numbers from the interval of a function."""
    def data(scale: float) -> Values:
        _, low, high = FUNCTIONS[function]
        return {"x": np.random.default_rng(0).uniform(low, high, scaled(count, scale)).astype(dtype)}
    return data


def applied(function: str) -> Callable[[Values], list[Any]]:
    """The reference of a function."""
    return lambda v: [FUNCTIONS[function][0](v["x"].astype(float))]


def streamed(values: Values) -> Work:
    """Every number is read once."""
    return Work(bytes=values["x"].nbytes)


LINES = [
    Line(f"{function}-{dtype[5:]}-{place}", f"{function}, {dtype}, {count:,} numbers", "elementwise",
         spread(function, count, dtype), applied(function), streamed, dtype, TOLERANCES[dtype], (function,), "elementwise")
    for function in FUNCTIONS for dtype in ("float64", "float32") for place, count in (("cache", FEW), ("memory", MANY))
]
