"""Derivatives through `where`: a dead branch's NaN stays dead, at every order, and nested selections stay linear."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.traversal import topological
from tests.symdiff.test_differentiation import a, at, near, slope, value, z


def smooth_root(t: Any) -> Any:
    return sd.where(t > 0, sd.sqrt(t), 0)


shared = sd.sqrt(a)
DEAD: list[tuple[str, Any, float, float]] = [
    ("root", smooth_root(a), -1.0, 0.0), ("root, alive", smooth_root(a), 4.0, 0.25),
    ("logarithm", sd.where(a > 0, sd.log(a), a), -2.0, 1.0), ("division", sd.where(sd.not_equal(a, 0), sd.sin(a) / a, 1), 0.0, 0.0),
    ("nested", sd.where(a > 0, sd.where(a > 1, sd.log(a - 1), sd.sqrt(a)), a**2), -3.0, -6.0),
    ("nested, inner dead", sd.where(a > 0, sd.where(a > 1, sd.log(a - 1), 3 * a), a**2), 0.5, 3.0),
    ("shared inside and outside", sd.where(a > 0, shared, 0) * 2 + sd.where(a > 0, shared * a, a), -1.0, 1.0),
    ("chain above the selection", sd.exp(sd.where(a > 0, sd.sqrt(a), a)) * 2, -1.0, 2 * math.exp(-1)),
    ("chain below the selection", sd.where(a > 0, sd.sin(sd.sqrt(a) * sd.log(a)) ** 2, a**3), -1.0, 3.0),
    ("overflow", sd.where(a < 100, sd.exp(a), a), 1e4, 1.0),
    ("two dead branches added", sd.where(a > 0, sd.log(a), 0) + sd.where(a > 0, sd.sqrt(a), 0) + a, -1.0, 1.0),
    ("same branch twice", sd.where(a > 0, shared, 0) + sd.where(a > 2, shared, 0) + a, -1.0, 1.0),
    ("sum of a vector", sd.sum(sd.where(sd.stack([a, -a]) > 0, sd.sqrt(sd.stack([a, -a])), 0)), -4.0, -0.25),
    ("contraction below", sd.where(a > 0, sd.sqrt(sd.sum(sd.stack([a, a]) * a) * sd.sign(a)), 0) + a, -1.0, 1.0),
]


@pytest.mark.parametrize(("name", "f", "point", "expected"), DEAD, ids=[row[0] for row in DEAD])
def test_dead_branches_stay_dead(name: str, f: Any, point: float, expected: float) -> None:
    values = {a: np.asarray(point)}
    near(value(sd.grad(f, a), values), expected)
    near(value(sd.jvp(f, a, 1.0), values), expected)
    assert np.isfinite(value(sd.hessian(f, a), values)).all()
    near(value(sd.jvp(sd.grad(f, a), a, 1.0), values), value(sd.hessian(f, a), values))
    assert np.isfinite(value(sd.grad(sd.grad(sd.grad(f, a), a), a), values)).all()


def test_dead_branches_of_vectors() -> None:
    f = sd.sum(sd.where(z > 0, sd.log(z), z**2))
    np.testing.assert_allclose(at(sd.grad(f, z), -1, 2, 0, -3, 4), [-2, 0.5, 0, -6, 0.25])
    np.testing.assert_allclose(at(sd.hessian(f, z), -1, 2, 0, -3, 4), np.diag([2, -0.25, 2, 2, -1 / 16]))
    np.testing.assert_allclose(at(sd.hvp(f, z, z), -1, 2, 0, -3, 4), [-2, -0.5, 0, -6, -0.25])


def test_selections_in_selections_grow_linearly() -> None:
    counts = []
    for depth in (20, 40):
        chain = a
        for _ in range(depth):
            chain = sd.where(chain > 0, sd.sin(chain), chain / 2) + sd.where(chain > 1, sd.sqrt(chain - 1), 0) + sd.where(
                chain < -1, sd.log(-1 - chain), 0) + sd.where(chain > 2, sd.log(chain - 2), 0)
        gradient = sd.grad(chain, a)
        counts.append(len(topological([gradient])))
        for point in (0.3, 1.7, -2.5, 3.0):
            near(value(gradient, {a: np.asarray(point)}), slope(chain, {a: np.asarray(point)}, {a: np.asarray(1.0)}, 1e-5), 1e-6)
    assert counts[1] < 2.2 * counts[0]


def test_many_selections_of_one_value() -> None:
    root = sd.sqrt(z)
    f = sum(sd.sum(sd.where(z > t, root, 0)) for t in range(40))
    point = (-1.0, 0.5, 2.5, 17.5, 50.0)
    near(at(sd.grad(f, z), *point), [0, 0.5 / 0.5**0.5, 1.5 / 2.5**0.5, 9 / 17.5**0.5, 20 / 50**0.5])


N, s = sd.symbol("N", "n"), sd.symbol("s")
v, c, u = sd.symbol("v", 3), sd.symbol("c", 3), sd.symbol("u", 3)
A, X, w = sd.symbol("A", (3, 3)), sd.symbol("X", (3, 3)), sd.symbol("w", 3)
kept = sd.symbol("kept", 3, "bool")
INF, NAN = math.inf, math.nan
SOME = np.array([[1, INF, NAN], [2, 3, INF], [4, 5, 6.0]])
GAPS = np.array([[1, NAN, 2], [1, 2, 3], [4, 5, 6.0]])
MASK = np.array([False, True, True])
SILENT: dict[str, tuple[Any, dict[Any, Any], Any]] = {
    "forward": (sd.jvp(sd.where(sd.not_equal(v, 0), 1 / v, 0.0) @ c, v, u), {v: [-1.0, 0, 2], c: np.ones(3), u: np.ones(3)}, -1.25),
    "triangle": (u @ sd.tril(A) @ v, {A: SOME, u: np.ones(3), v: np.ones(3)}, 21.0),
    "trace": (sd.trace(sd.tril(A) @ sd.tril(A)), {A: SOME}, 46.0),
    "scalar inside": (sd.grad(sd.sum(sd.where(N * s > 0, sd.log(N * s), 0.0)), s), {N: [1.0, 2.0], s: 0.0}, 0.0),
    "missing data": (sd.grad(sd.sum(sd.where(kept, (X @ w - v) ** 2, 0.0)), w),
                     {X: GAPS, w: np.ones(3), v: np.ones(3), kept: MASK}, [122.0, 160, 198]),
    "missing data, curvature": (sd.hessian(sd.sum(sd.where(kept, (X @ w - v) ** 2, 0.0)), w), {X: GAPS, kept: MASK},
                                2 * GAPS[1:].T @ GAPS[1:]),
}


@pytest.mark.parametrize("name", SILENT)
def test_dead_branches_stay_dead_in_kernels(name: str) -> None:
    expression, values, expected = SILENT[name]
    near(value(expression, {k: np.asarray(v) for k, v in values.items()}), expected)
    near(sd.compile(expression, list(values), target="interpreter")(*values.values()), expected)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_a_part_of_a_guard_silences(target: str) -> None:
    x, way = sd.symbol("x", 6), sd.symbol("way", 6)
    d = sd.diag(x)
    kept = sd.where(d > 0.06, d * d, 0)
    t = sd.where(kept > 0.05, sd.log(kept), kept)
    loss = sd.norm(sd.ravel(t + t.mT) + 0.3)
    values = {"x": np.array([0.5, -0.2, 0.9, 0.01, -1.0, 0.3]), "way": np.linspace(-1, 1, 6)}
    product = sd.hvp(loss, x, way)
    expected = sd.evaluate(product, values)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(sd.compile(product, [x, way], target=target)(**values), expected, rtol=1e-10)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_a_row_that_is_dead_all_along_silences_what_meets_it(target: str) -> None:
    x = sd.symbol("x", (2, 5, 5))
    low = sd.tril(x, -1)
    product = low @ low.mT
    # The first column is zero, so its deviation has no derivative: but no element of x stands behind it.
    gradient = sd.grad(sd.sum(sd.std(product**2 + product, axis=-2)), x)
    value = np.random.default_rng(4).normal(size=(2, 5, 5))
    expected = sd.evaluate(gradient, {x: value})
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(sd.compile(gradient, [x], target=target)(value), expected, rtol=1e-10, atol=1e-12)
