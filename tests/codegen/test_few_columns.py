"""Samples with few columns: value, gradient and Hessian of a formula, whichever way rows, vectors of samples and products go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "squares": lambda X, y, w: sd.mean((X @ w - y) ** 2),
    "logistic": lambda X, y, w: sd.mean(sd.softplus(-y * (X @ w))),
    "poisson": lambda X, y, w: sd.mean(sd.exp(0.3 * (X @ w)) - y * (X @ w)) + sd.sum(w**2),
    "robust": lambda X, y, w: sd.sum(sd.log(1 + (X @ w - y) ** 2)),
    "gates": lambda X, y, w: sd.sum(sd.sin(X * w) @ w * sd.tanh(X @ w) * y),
}


@pytest.mark.parametrize("target", ["cpu", "numba"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_value_gradient_and_hessian(name: str, dtype: str, target: str) -> None:
    rng = np.random.default_rng(5)
    for columns in (1, 2, 3, 5, 7, 8, 9, 10, 13, 17, 24) if target == "cpu" else (3, 10):
        X, y, w = sd.symbol("X", ("n", columns), dtype), sd.symbol("y", "n", dtype), sd.symbol("w", columns, dtype)
        loss = LOSSES[name](X, y, w)
        for outputs in ([loss, sd.grad(loss, w), sd.hessian(loss, w)], [loss, sd.hessian(loss, w)], [loss]):
            f = sd.compile(outputs, [X, y, w], target=target, cache=False)
            for rows in (700, 3) if target == "cpu" else (700,):
                a, b, c = (np.asarray(0.5 * rng.standard_normal(shape), dtype) for shape in ((rows, columns), rows, columns))
                wanted = sd.evaluate(outputs, {"X": a, "y": b, "w": c})
                for found, expected in zip(f(a, b, c), wanted, strict=True):
                    scale = float(np.max(np.abs(expected)))
                    np.testing.assert_allclose(found, expected, rtol=1e-3 if dtype == "float32" else 1e-10,
                                               atol=scale * (3e-5 if dtype == "float32" else 1e-12))


def test_what_is_dear_goes_by_vectors_of_samples_before_rows_are_scaled() -> None:
    """The curvature of each sample is told in a loop of its own; rows are multiplied by it as they stand."""
    X, y, w = sd.symbol("X", ("n", 10)), sd.symbol("y", "n"), sd.symbol("w", 10)
    loss = sd.mean(sd.softplus(-y * (X @ w)))
    f = sd.compile([loss, sd.grad(loss, w), sd.hessian(loss, w)], [X, y, w])
    f(np.ones((1000, 10)), np.ones(1000), np.ones(10))
    lines = f.loop_ir.splitlines()
    scaled = next(k for k, line in enumerate(lines) if line.strip().startswith("t") and "] = mul(" in line and "a0[" in line)
    around = next(line for line in reversed(lines[:scaled]) if line.strip().startswith("sample"))
    inside = lines[lines.index(around):scaled]
    assert not any(name in line for line in inside for name in ("exp", "sigmoid", "softplus")), inside
    assert "lane" in inside[-1], inside


@pytest.mark.parametrize("columns", [3, 7, 8, 10, 12, 15])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 511, 512, 513, 2000])
def test_products_of_few_columns(columns: int, rows: int) -> None:
    """Tiles with few sums take several rows at once, each with sums of its own; the last rows one by one."""
    A, B = sd.symbol("A", ("n", columns)), sd.symbol("B", ("n", columns))
    rng = np.random.default_rng(rows)
    a, b = rng.standard_normal((rows, columns)), rng.standard_normal((rows, columns))
    f = sd.compile([A.T @ B, A.T @ A], [A, B], cache=False)
    for found, expected in zip(f(a, b), (a.T @ b, a.T @ a), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("classes", [4, 8, 10, 16, 20])
def test_what_a_row_carries_is_handed_on(classes: int, dtype: str) -> None:
    """The largest score of a sample is found in the first loop, and read in the second."""
    X, W, Y = sd.symbol("X", ("n", 5), dtype), sd.symbol("W", (5, classes), dtype), sd.symbol("Y", ("n", classes), dtype)
    scores = X @ W
    losses = [-sd.sum(Y * sd.log_softmax(scores, axis=1)), sd.nn.cross_entropy(scores, Y),
              sd.sum(sd.logsumexp(scores, axis=1) - sd.sum(Y * scores, axis=1))]
    rng = np.random.default_rng(0)
    given = [np.asarray(rng.normal(size=shape), dtype) for shape in ((209, 5), (5, classes), (209, classes))]
    for loss in losses:
        expected = sd.evaluate(loss, dict(zip("XWY", given, strict=True)))
        found = sd.compile(loss, [X, W, Y], cache=False)(*given)
        assert found == pytest.approx(expected, rel=1e-4 if dtype == "float32" else 1e-12)
