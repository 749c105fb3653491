"""minimize: Newton far from a minimum, scales, offsets, saddles, kinks, precision; converged is true where it is so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.training.trust_region import QuadraticModel

x, a, b = sd.symbols("x a b")
WELLS = x**4 - x**2
HIMMELBLAU = (a**2 + b - 11) ** 2 + (a + b**2 - 7) ** 2
ROSENBROCK = 100 * (b - a**2) ** 2 + (1 - a) ** 2
SEARCHED = ("newton", "gd", "lbfgs")


@pytest.mark.parametrize(("f", "starts"), [
    (WELLS, np.linspace(0.01, 0.4, 40)), (sd.cos(x) + 0.01 * x**2, np.linspace(-4, 4, 40)), (-sd.exp(-(x**2)), [0.5, 1.0, 10.0]),
], ids=["wells", "waves", "bump"])
def test_newton_crosses_concave_regions(f: Any, starts: Any) -> None:
    results = [sd.minimize(f, x, start=p) for p in starts]
    assert all(r.converged and r.steps <= 10 for r in results)
    slope, curvature = sd.grad(f, x), sd.hessian(f, x)
    assert all(abs(sd.evaluate(slope, {x: r.parameters})) < 1e-9 for r in results)
    assert all(sd.evaluate(curvature, {x: r.parameters}) > 0 for r in results)


def test_newton_on_himmelblau_and_rosenbrock() -> None:
    result = sd.minimize(HIMMELBLAU, [a, b])
    assert result.converged
    assert result.value < 1e-20
    result = sd.minimize(ROSENBROCK, [a, b], start=[-1.2, 1.0])
    assert result.converged
    assert result.steps <= 25


@pytest.mark.parametrize(("f", "start", "lowest"), [(WELLS + 0 * a, [0.0, 0.0], -0.25), (a**2 - x**2 + x**4, [0.0, 1.0], -0.25)],
                         ids=["maximum", "saddle"])
def test_newton_leaves_points_where_the_gradient_vanishes(f: Any, start: list[float], lowest: float) -> None:
    result = sd.minimize(f, [x, a], start=start)
    assert result.converged
    assert result.value == pytest.approx(lowest)


def test_newton_says_that_it_stopped_at_a_saddle() -> None:
    """−x² within a kinked wall: no step along the curvature goes down."""
    result = sd.minimize(1e3 * sd.abs(x) - x**2 + sd.where(sd.equal(x, 0), -1.0, 0.0), x)
    assert not result.converged
    assert "saddle or a maximum" in result.reason
    assert "-2" in result.reason


def test_damping_does_not_hide_where_it_stands() -> None:
    result = sd.minimize(WELLS, x, damping=5.0)
    assert not result.converged
    assert "-2" in result.reason
    assert not sd.minimize((x - 3) ** 2, x, damping=1e18).converged
    damped = sd.minimize(WELLS, x, start=0.1, damping=5.0)
    assert damped.converged
    assert damped.steps > 10


@pytest.mark.parametrize("method", SEARCHED)
@pytest.mark.parametrize(("f", "start", "at"), [
    (1e12 + (x - 3) ** 2, 0.0, 3.0), (1e16 + (x - 3) ** 2, 0.0, 3.0), (1e20 * (x - 3) ** 2, 0.0, 3.0),
    (1e-12 * (x - 3) ** 2, 0.0, 3.0), (1e-200 * (x - 3) ** 2, 0.0, 3.0), (x**4, 1e10, 0.0), ((x - 1e10) ** 2, 1e10 + 1, 1e10),
], ids=["offset", "large-offset", "steep", "flat", "flatter", "far", "near"])
def test_scale_and_offset_of_the_value(method: str, f: Any, start: float, at: float) -> None:
    result = sd.minimize(f, x, start=start, method=method)
    assert result.converged
    assert result.steps > 0
    assert result.parameters == pytest.approx(at, abs=1e-3, rel=1e-12)


def test_overflow_is_quiet_and_no_convergence() -> None:
    f = sd.exp(x) + sd.exp(-x)
    for method in ("gd", "lbfgs"):
        result = sd.minimize(f, x, start=500.0, method=method)
        assert result.converged
        assert result.value == pytest.approx(2.0)
    assert not sd.minimize(f, x, start=500.0, steps=5).converged
    assert not sd.minimize(f, x, start=500.0, method="gd", steps=0).converged


@pytest.mark.parametrize("method", SEARCHED)
def test_badly_scaled_least_squares(method: str) -> None:
    X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
    rng = np.random.default_rng(0)
    data = {"X": 1e5 * rng.normal(size=(1000, 4)), "y": rng.normal(size=1000)}
    result = sd.minimize(sd.sum((X @ w - y) ** 2), w, data, method=method)
    assert result.converged
    np.testing.assert_allclose(result.parameters, np.linalg.lstsq(data["X"], data["y"], rcond=None)[0], rtol=1e-6)


def test_newton_with_collinear_columns_takes_one_step() -> None:
    X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(100, 3))
    data = {"X": np.column_stack([columns, columns.sum(axis=1)]), "y": rng.normal(size=100)}
    result = sd.minimize(sd.sum((X @ w - y) ** 2), w, data)
    assert result.converged
    assert result.steps == 1
    np.testing.assert_allclose(result.parameters, np.linalg.lstsq(data["X"], data["y"], rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize(("method", "options"), [
    ("newton", {}), ("gd", {}), ("lbfgs", {}), ("gd", {"learning_rate": 0.5}), ("momentum", {"learning_rate": 0.03}),
    ("adam", {"learning_rate": 0.03}),
])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_single_precision_converges(method: str, options: dict[str, Any], offset: float) -> None:
    X, y, w = sd.symbol("X", ("n", "d"), "float32"), sd.symbol("y", "n", "float32"), sd.symbol("w", "d", "float32")
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(300, 4)).astype("float32"), "y": rng.normal(size=300).astype("float32")}
    loss = sd.mean(sd.log(1 + sd.exp(X @ w)) - sd.sigmoid(3 * y) * (X @ w)) + sd.sum(w**2) / 20 + np.float32(offset)
    result = sd.minimize(loss, w, data, method=method, **options)
    assert loss.dtype == "float32"
    assert result.converged
    assert result.gradient_norm < 1e-4


@pytest.mark.parametrize("method", SEARCHED)
def test_kinks_and_bottomless_losses_are_no_convergence(method: str) -> None:
    X, y, w = sd.symbol("X", ("n", 3)), sd.symbol("y", "n"), sd.symbol("w", 3)
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(60, 3)), "y": np.sign(rng.normal(size=60))}
    hinge = sd.minimize(sd.mean(sd.relu(1 - y * (X @ w))), w, data, method=method, steps=50)
    assert not hinge.converged
    assert hinge.value < 0.99 * hinge.history[0].value
    bottomless = sd.minimize(-x, x, method=method, steps=50)
    assert not bottomless.converged
    assert bottomless.value < -1e10


def test_a_warm_start_stays() -> None:
    first = sd.minimize(HIMMELBLAU + 1, [a, b])
    again = sd.minimize(HIMMELBLAU + 1, [a, b], start=list(first.parameters))
    assert again.converged
    assert again.steps <= 2
    np.testing.assert_allclose(again.parameters, first.parameters, rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_step_of_a_model_is_its_minimiser_in_the_ball(seed: int) -> None:
    """No point of the ball is lower by more than the 5 percent that the radius may be short of."""
    rng = np.random.default_rng(seed)
    n = 4
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = rng.normal(size=n) * 10.0 ** rng.integers(-3, 3, n)
    slopes = rng.normal(size=n)
    if seed % 4 == 0:
        slopes[values.argmin()] = 0.0
    model = QuadraticModel(q @ slopes, q @ np.diag(values) @ q.T, 1e-16, 0.0)
    radius = 10.0 ** rng.uniform(-2, 2)
    step = model.step(radius)
    assert np.linalg.norm(step) <= radius * (1 + 1e-9)
    points = rng.normal(size=(2000, n))
    points *= radius * rng.uniform(size=(2000, 1)) ** 0.2 / np.linalg.norm(points, axis=1, keepdims=True)
    lowest = max(model.decrease(p) for p in points)
    assert model.decrease(step) >= 0.9 * lowest
