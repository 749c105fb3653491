"""Models whose depth or number of outputs is the size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Values

WIDTH, BATCH, POINTS = 32, 32, 1_000


def deep_data(depth: int) -> Callable[[float], Values]:
    """A batch, targets, and the weights of each layer."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        weights = {f"W{k}": rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH) for k in range(depth)}
        return {"X": rng.standard_normal((BATCH, WIDTH)), "Y": rng.standard_normal((BATCH, WIDTH)), **weights}
    return data


def deep(v: Values) -> list[Any]:
    """½ ‖tanh(… tanh(X W₀) …) − Y‖² and its gradients."""
    names = [name for name in v if name.startswith("W")]
    layers = [v["X"]]
    for name in names:
        layers.append(np.tanh(layers[-1] @ v[name]))
    back, gradients = layers[-1] - v["Y"], []
    value = 0.5 * np.sum(back**2)
    for k in reversed(range(len(names))):
        inner = back * (1 - layers[k + 1] ** 2)
        gradients.append(layers[k].T @ inner)
        back = inner @ v[names[k]].T
    return [value, *reversed(gradients)]


def outputs_data(count: int) -> Callable[[float], Values]:
    """Points, and a factor for each output."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        return {"x": rng.standard_normal(POINTS), "factors": rng.standard_normal(count)}
    return data


def outputs(v: Values) -> list[Any]:
    """Σ sin(a x) for each factor a, as an output of its own."""
    return [np.sum(np.sin(a * v["x"])) for a in v["factors"]]
