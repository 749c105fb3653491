"""Parts that are read at equal steps are one product: its form, its values, its derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.expression import Add, Product
from symdiff.traversal import symbols_of

n = sd.dim("n_lags", minimum=12)
x, X = sd.symbol("x", n), sd.symbol("X", (4, n))
v, M = sd.symbol("v", 9), sd.symbol("M", (5, 9))
rng = np.random.default_rng(0)
VALUES = {"x": rng.normal(size=14), "X": rng.normal(size=(4, 14)), "v": rng.normal(size=9), "M": rng.normal(size=(5, 9))}
# The same text for expressions and for arrays: `lib` is symdiff or NumPy, n the length.
WRITTEN = """
lib.stack([x[k:k + 5] for k in range(4)], axis=1)
lib.stack([x[k:n - 6 + k] for k in range(6)])
lib.stack([x[6 - k:9 - k] for k in range(6)])
lib.stack([X[:, k:k + 4] for k in range(3)], axis=2)
lib.stack([X[:, 2 * k] for k in range(5)], axis=1)
lib.stack([v[k] for k in range(8)])
lib.stack([v[8 - k] for k in range(9)])
lib.stack([M[k, 2 * k] for k in range(4)])
lib.stack([M[k] * v for k in range(4)])
lib.stack([M[k, k:k + 5] * v[k:k + 5] for k in range(4)])
lib.stack([3 * x[k:k + 5] for k in range(3)], axis=1)
lib.stack([v[0:3], v[3:6], v[6:9]])
lib.stack([x[k:k + n - 4] for k in range(5)], axis=1)
lib.stack([X[k] for k in range(3)], axis=1)"""
JOINED = WRITTEN.strip().splitlines()


def expressions(text: str, lib: Any, values: dict[str, Any]) -> Any:
    return eval(text, {"lib": lib, "range": range, **values})


@pytest.mark.parametrize("text", JOINED)
def test_parts_at_equal_steps_are_one_product(text: str) -> None:
    node = expressions(text, sd, {"x": x, "X": X, "v": v, "M": M, "n": n})
    assert isinstance(node, Product), node
    names = [s.name for s in symbols_of([node])]
    found = sd.evaluate(node, {name: VALUES[name] for name in names})
    np.testing.assert_array_equal(found, expressions(text, np, {**VALUES, "n": 14}))


@pytest.mark.parametrize("text", JOINED)
def test_their_derivatives_are_right(text: str) -> None:
    node = expressions(text, sd, {"x": x, "X": X, "v": v, "M": M, "n": n})
    names = [s for s in (x, X, v, M) if f"{s}[" in text or f"* {s}" in text]
    values = {str(s): VALUES[str(s)] for s in names}
    loss = sd.sum(sd.sin(node) * node)
    for symbol in names:
        sd.check_derivatives(loss, symbol, values)
        roots = [loss, sd.grad(loss, symbol)]
        compiled = sd.compile(roots, names)(*values.values())
        for ours, theirs in zip(compiled, sd.evaluate(roots, values), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_what_has_no_equal_steps_stays() -> None:
    a, b = sd.symbol("a", 3), sd.symbol("b", 3)
    cross = sd.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    found = sd.evaluate(cross, {"a": [1.0, 2, 3], "b": [-1.0, 5, 2]})
    np.testing.assert_array_equal(found, np.cross([1, 2, 3], [-1, 5, 2]))
    for parts in ([v[0], v[1], v[3]], [v[0], v[2]], [v[1], v[0], v[2]], [v[0], 2 * v[1], v[2]], [v[0], M[0, 1], v[2]]):
        node = sd.stack(parts)
        assert isinstance(node, Add)
        given = {symbol.name: VALUES[symbol.name] for symbol in symbols_of([node])}
        one_by_one = [sd.evaluate(p, {s.name: VALUES[s.name] for s in symbols_of([p])}) for p in parts]
        np.testing.assert_array_equal(sd.evaluate(node, given), one_by_one)


def test_a_model_of_lags_is_one_matrix_product() -> None:
    """An autoregression: the design matrix is a view of the series, whatever the number of lags."""
    lags, y = sd.symbol("lags", 20), sd.symbol("series", 300)
    design = sd.stack([y[19 - k:299 - k] for k in range(20)], axis=1)
    loss = sd.mean((y[20:] - design @ lags) ** 2)
    kernel = sd.compile([loss, sd.grad(loss, lags)], [lags, y])
    a, series = rng.normal(size=20), rng.normal(size=300)
    value, gradient = kernel(a, series)
    D = np.stack([series[19 - k:299 - k] for k in range(20)], axis=1)
    r = series[20:] - D @ a
    np.testing.assert_allclose(value, np.mean(r ** 2), rtol=1e-13)
    np.testing.assert_allclose(gradient, -2 / 280 * D.T @ r, rtol=1e-11, atol=1e-13)
    assert kernel.loop_ir.count("for ") < 20, kernel.loop_ir
