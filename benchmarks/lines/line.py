"""What a line of the table is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Values = dict[str, Array]


@dataclass(frozen=True)
class Work:
    """The least a line must do: `bytes` read from memory, `products` operations in products of matrices."""

    bytes: int = 0
    products: int = 0


@dataclass(frozen=True)
class Line:
    """A computation that is timed.

    `key` is the name of the function that computes it in each module of `benchmarks.contestants`, called with the values and
    `options`.  `data` makes the values of the arguments at a scale (1 is the whole size), `reference` gives the results in
    float64 in plain NumPy.  Lines of a `group` are run together when it is named.
    """

    name: str
    title: str
    key: str
    data: Callable[[float], Values]
    reference: Callable[[Values], list[Any]]
    work: Callable[[Values], Work]
    dtype: str = "float64"
    tolerance: float = 1e-9
    options: tuple[Any, ...] = ()
    group: str = "models"


def scaled(size: int, scale: float, least: int = 1) -> int:
    """A size at a scale."""
    return max(least, round(size * scale))


def doubles(values: Values) -> Values:
    """The values, floating ones in float64."""
    return {name: v.astype(float) if v.dtype.kind == "f" else v for name, v in values.items()}


def sigmoid(z: Any) -> Any:
    """1 / (1 + e⁻ᶻ), for the references."""
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    """The softmax along the last axis, for the references."""
    weights = np.exp(z - z.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
