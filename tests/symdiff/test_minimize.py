"""minimize: methods, trees, starts, convergence, history, and agreement with SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.demo_models import MODELS

X, y, w, b = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d"), sd.symbol("b")
RNG = np.random.default_rng(0)
DATA = {"X": RNG.normal(size=(30, 4)), "y": RNG.normal(size=30)}
QUADRATIC = sd.sum((X @ w + b - y) ** 2)
a, c = sd.symbols("a c")
ROSENBROCK = 100 * (c - a**2) ** 2 + (1 - a) ** 2


def least_squares() -> Any:
    return np.linalg.lstsq(np.column_stack([DATA["X"], np.ones(30)]), DATA["y"], rcond=None)[0]


@pytest.mark.parametrize(("wrt", "pick"), [
    ({"w": w, "b": b}, lambda p: [*p["w"], p["b"]]), ([w, b], lambda p: [*p[0], p[1]]),
    ((b, {"inner": w}), lambda p: [*p[1]["inner"], p[0]]),
])
def test_newton_solves_a_quadratic_in_one_step(wrt: Any, pick: Any) -> None:
    result = sd.minimize(QUADRATIC, wrt, DATA, method="newton")
    assert result.steps == 1
    assert result.converged
    np.testing.assert_allclose(pick(result.parameters), least_squares(), rtol=1e-12)


def test_newton_finds_the_valley_of_rosenbrock() -> None:
    result = sd.minimize(ROSENBROCK, [a, c], start=[-1.2, 1.0])
    assert result.converged
    assert result.steps < 40
    np.testing.assert_allclose(result.parameters, [1.0, 1.0], rtol=1e-8)
    values = [step.value for step in result.history]
    assert values == sorted(values, reverse=True)


def test_newton_leaves_a_saddle() -> None:
    """Where the Hessian is not positive definite the step is damped."""
    result = sd.minimize(a**4 - a**2 + c**2, [a, c], start=[0.1, 1.0])
    assert result.converged
    assert abs(result.parameters[0]) == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("options", [{"method": "gd"}, {"method": "gd", "learning_rate": 0.01},
                                     {"method": "momentum", "learning_rate": 0.003}])
def test_first_order_methods(options: dict[str, Any]) -> None:
    result = sd.minimize(QUADRATIC, {"w": w, "b": b}, DATA, tolerance=1e-8, **options)
    assert result.converged
    np.testing.assert_allclose([*result.parameters["w"], result.parameters["b"]], least_squares(), rtol=1e-6)


def test_starts() -> None:
    def run(**options: Any) -> Any:
        return sd.minimize(QUADRATIC, {"w": w, "b": b}, DATA, method="gd", steps=0, **options).parameters
    assert run()["w"].tolist() == [0.0] * 4
    assert run(start={"w": np.arange(4.0)})["w"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert run(start={w: np.ones(4), "b": 2.0})["b"] == 2.0
    assert (run(seed=1)["w"] == run(seed=1)["w"]).all()
    assert (run(seed=1)["w"] != run(seed=2)["w"]).any()
    assert sd.minimize(QUADRATIC, [w, b], DATA, steps=0, start=[np.ones(4), 1.0]).parameters[1] == 1.0


def test_history_callback_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def callback(step: Any, parameters: Any) -> bool:
        seen.append((step.number, parameters["b"]))
        return step.number == 3
    result = sd.minimize(QUADRATIC, {"w": w, "b": b}, DATA, method="gd", callback=callback, progress=True)
    assert [number for number, _ in seen] == [1, 2, 3]
    assert not result.converged
    assert "callback" in result.reason
    assert len(result.history) == 4
    assert result.history[0].seconds <= result.history[-1].seconds
    assert "not converged after 3 steps" in str(result)
    assert "step 3/" in capsys.readouterr().err


def test_divergence_is_told() -> None:
    result = sd.minimize(QUADRATIC, {"w": w, "b": b}, DATA, method="gd", learning_rate=10.0)
    assert not result.converged
    assert "became" in result.reason
    assert np.isfinite(result.value)


def test_inputs_are_not_modified() -> None:
    start = np.ones(4)
    before = DATA["X"].copy()
    sd.minimize(QUADRATIC, {"w": w, "b": b}, DATA, start={"w": start})
    assert (start == 1).all()
    assert (DATA["X"] == before).all()


def test_scipy_objective() -> None:
    s = sd.scipy_objective(ROSENBROCK, {"a": a, "c": c}, start={"a": -1.2, "c": 1.0})
    exact = scipy.optimize.minimize(s.fun, s.x0, jac=s.jac, hess=s.hess, method="trust-exact")
    product = scipy.optimize.minimize(s.fun, s.x0, jac=s.jac, hessp=s.hessp, method="Newton-CG")
    assert exact.nit <= 30
    for found in (exact, product):
        parameters = s.unflatten(found.x)
        assert parameters["a"] == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(s.hess(s.x0) @ [1.0, 2.0], s.hessp(s.x0, [1.0, 2.0]))


@pytest.mark.parametrize("name", ["ridge", "logistic", "spector"])
def test_models_reach_the_published_numbers(name: str) -> None:
    model = MODELS[name]()
    for fit in model.fits:
        result = sd.minimize(model.loss, model.wrt, fit.data, **fit.options)
        assert result.converged
        for target in fit.targets:
            assert abs(float(target.ours(result)) - target.published) <= target.tolerance, target.name


def test_ridge_and_least_squares_to_nine_digits() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = MODELS["ridge"]()
    for fit, estimator in zip(model.fits, (linear.Ridge(alpha=1.0), linear.LinearRegression()), strict=True):
        result = sd.minimize(model.loss, model.wrt, fit.data)
        reference = estimator.fit(fit.data["X"], fit.data["y"])
        assert np.abs(result.parameters["w"] - reference.coef_).max() < 1e-9
        assert abs(result.parameters["b"] - reference.intercept_) < 1e-9


def test_xor_is_solved_from_almost_every_start() -> None:
    model = MODELS["xor"]()
    fit = model.fits[0]
    assert model.solved is not None
    solved = sum(model.solved(sd.minimize(model.loss, model.wrt, fit.data, **{**fit.options, "seed": seed}))
                 for seed in range(100))
    assert solved >= 95
