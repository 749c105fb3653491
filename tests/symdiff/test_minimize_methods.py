"""minimize: first steps by hand, convergence of each method, options, progress of long runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
import symdiff.training.minimization
from symdiff.training.line_search import ARMIJO, WOLFE, search
from symdiff.training.methods import METHODS
from symdiff.training.points import Point, length

a, b = sd.symbols("a b")
ROSENBROCK = 100 * (b - a**2) ** 2 + (1 - a) ** 2
BOWL = a**2 + 10 * b**2
X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
LOGISTIC = sd.sum(sd.log(1 + sd.exp(X @ w)) - y * (X @ w)) + 0.5 * sd.sum(w**2)
RNG = np.random.default_rng(0)
DATA: dict[str, Any] = {"X": RNG.normal(size=(80, 3))}
DATA["y"] = (DATA["X"] @ [1.0, -2.0, 0.5] + RNG.normal(size=80) > 0) * 1.0


def path(method: str, steps: int, **options: Any) -> list[Any]:
    """The parameters of the first steps on the bowl, from (1, 1): gradients are (2, 20) there."""
    points: list[Any] = []
    sd.minimize(BOWL, [a, b], start=[1.0, 1.0], method=method, steps=steps,
                callback=lambda step, p: points.append(np.array(p)), **options)
    return points


def test_momentum_by_hand() -> None:
    first, second = path("momentum", 2, learning_rate=0.01, momentum=0.5)
    np.testing.assert_allclose(first, [1 - 0.01 * 2, 1 - 0.01 * 20])
    velocity = 0.5 * np.array([-2.0, -20.0]) - first * [2, 20]
    np.testing.assert_allclose(second, first + 0.01 * velocity)


def test_rmsprop_by_hand() -> None:
    first, second = path("rmsprop", 2, learning_rate=0.1)
    gradient = np.array([2.0, 20.0])
    square = 0.1 * gradient**2
    np.testing.assert_allclose(first, 1 - 0.1 * gradient / (np.sqrt(square) + 1e-8), rtol=1e-14)
    square = 0.9 * square + 0.1 * (first * [2, 20]) ** 2
    np.testing.assert_allclose(second, first - 0.1 * first * [2, 20] / (np.sqrt(square) + 1e-8), rtol=1e-14)


def test_adam_by_hand() -> None:
    first, second = path("adam", 2, learning_rate=0.1)
    np.testing.assert_allclose(first, [0.9, 0.9], rtol=1e-8)
    gradients = np.array([2.0, 20.0]), first * [2, 20]
    mean = 0.9 * 0.1 * gradients[0] + 0.1 * gradients[1]
    square = 0.999 * 0.001 * gradients[0] ** 2 + 0.001 * gradients[1] ** 2
    corrected = mean / (1 - 0.9**2), square / (1 - 0.999**2)
    np.testing.assert_allclose(second, first - 0.1 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8), rtol=1e-14)
    first, _ = path("adam", 2, learning_rate=0.1, momentum=0.0, decay=0.0)
    np.testing.assert_allclose(first, [0.9, 0.9], rtol=1e-8)


def test_lbfgs_by_hand() -> None:
    """The first step is along −∇f, the second along −B ∇f with the BFGS formula for B from γ I (7.16 and 7.20)."""
    first, second = path("lbfgs", 2)
    curvature = np.array([2.0, 20.0])
    s = first - 1.0
    assert s[1] / s[0] == pytest.approx(10.0)
    change = curvature * s
    rho = 1 / (s @ change)
    turn = np.eye(2) - rho * np.outer(change, s)
    inverse = turn.T @ turn * (s @ change) / (change @ change) + rho * np.outer(s, s)
    expected, taken = -inverse @ (curvature * first), second - first
    np.testing.assert_allclose(taken / np.linalg.norm(taken), expected / np.linalg.norm(expected), rtol=1e-9)


@pytest.mark.parametrize("memory", [3, 5, 20])
def test_lbfgs_finds_the_valley_of_rosenbrock(memory: int) -> None:
    result = sd.minimize(ROSENBROCK, [a, b], start=[-1.2, 1.0], method="lbfgs", memory=memory)
    assert result.converged
    assert result.steps <= 60
    np.testing.assert_allclose(result.parameters, [1.0, 1.0], rtol=1e-7)
    values = [step.value for step in result.history]
    assert values == sorted(values, reverse=True)


def test_gradient_descent_finds_the_valley_of_rosenbrock() -> None:
    result = sd.minimize(ROSENBROCK, [a, b], start=[-1.2, 1.0], method="gd")
    assert result.converged
    np.testing.assert_allclose(result.parameters, [1.0, 1.0], rtol=1e-7)


@pytest.mark.parametrize(("method", "options", "near"), [
    ("gd", {}, 1e-8), ("momentum", {}, 1e-8), ("rmsprop", {}, 2e-3), ("adam", {"learning_rate": 0.05}, 1e-8), ("lbfgs", {}, 1e-8),
])
def test_every_method_on_logistic_regression(method: str, options: dict[str, Any], near: float) -> None:
    exact = sd.minimize(LOGISTIC, w, DATA)
    result = sd.minimize(LOGISTIC, w, DATA, method=method, **options)
    np.testing.assert_allclose(result.parameters, exact.parameters, atol=near)
    assert result.converged == (near < 1e-6)
    assert len(result.history) == result.steps + 1
    assert f"{method}: " in str(result)


def test_every_method_is_known() -> None:
    assert set(METHODS) == {"gd", "momentum", "rmsprop", "adam", "newton", "lbfgs"}
    assert all(name in (sd.minimize.__doc__ or "") for name in METHODS)


@pytest.mark.parametrize("options", [
    {"method": "adam", "decay": 1.0}, {"method": "adam", "decay": -0.1}, {"method": "lbfgs", "memory": 0},
    {"method": "lbfgs", "memory": 2.5}, {"method": "lbfgs", "line_search": False}, {"method": "adam", "line_search": True},
    {"method": "momentum", "line_search": True}, {"method": "adma"},
], ids=str)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((sd.ArgumentMismatch, sd.TypeMismatch)) as caught:
        sd.minimize(BOWL, [a, b], target="interpreter", **options)
    value = list(options.values())[-1]
    assert str(value) in str(caught.value)
    assert "mend:" in str(caught.value)


@pytest.mark.parametrize("first", [1e-12, 1.0, 1e12])
def test_the_search_finds_a_point_that_satisfies_both_conditions(first: float) -> None:
    def evaluate(x: Any) -> Point:
        return Point(x, float(np.cosh(x[0] - 5)), np.sinh(x - 5))
    with np.errstate(over="ignore"):
        start, direction = evaluate(np.zeros(1)), np.ones(1)
        found = search(evaluate, start, direction, first, 0.0)
    assert found is not None
    slope = float(direction @ start.gradient)
    assert found.value <= start.value + ARMIJO * float(found.x[0]) * slope
    assert float(direction @ found.gradient) >= WOLFE * slope
    assert search(evaluate, start, -direction, first, 0.0) is None


def test_lengths_neither_overflow_nor_vanish() -> None:
    assert length(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert length(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert length(np.zeros(2)) == length(np.zeros(0)) == 0.0
    assert length(np.array([1.0, -np.inf])) == np.inf
    assert np.isnan(length(np.array([1.0, np.nan])))


def test_the_history_tells_how_long_steps_were() -> None:
    result = sd.minimize(BOWL, [a, b], start=[3.0, 4.0])
    assert [step.number for step in result.history] == [0, 1]
    assert result.history[1].step_size == pytest.approx(5.0)


def test_progress_of_a_long_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line now and then, not for every step, and one at the end."""
    clock = iter(range(10**6))
    monkeypatch.setattr(symdiff.training.minimization, "PROGRESS_SECONDS", 10)
    monkeypatch.setattr(symdiff.training.minimization.time, "perf_counter", lambda: next(clock))
    sd.minimize(BOWL, [a, b], start=[1.0, 1.0], method="momentum", learning_rate=1e-4, steps=60, progress=True,
                target="interpreter")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out
    assert 5 < len(lines) < 30
    assert lines[-1].startswith("step 60/60  value ")
    assert all("gradient norm" in line and line.endswith(" s") for line in lines)
    numbers = [int(line.split("/")[0].removeprefix("step ")) for line in lines]
    assert numbers == sorted(numbers)
    sd.minimize(BOWL, [a, b], start=[1.0, 1.0], target="interpreter")
    assert not capsys.readouterr().err
