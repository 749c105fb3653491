"""The models of the demo: formulas, real data, a plain NumPy version of each, and the numbers they must reach."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct, field

from symdiff.errors import BackendUnavailable
from symdiff.expression import Node
from symdiff.nn.losses import binary_cross_entropy_with_logits
from symdiff.operators.arithmetic import add, multiply, square
from symdiff.operators.contraction import matmul
from symdiff.operators.creation import symbol
from symdiff.operators.elementwise import exp, log, sigmoid
from symdiff.operators.reductions import sum as total
from symdiff.training.results import Result

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
Formula = Any


class Target(Struct, frozen=True):
    """A published number, how near to it a fit must come, and how to read it off the result."""

    name: str
    published: float
    tolerance: float
    ours: Callable[[Result], float]


class Fit(Struct, frozen=True):
    """One fit of a model: its data, options of `minimize`, and the numbers to reach."""

    title: str
    data: Values
    targets: list[Target]
    options: dict[str, Any] = field(default_factory=dict)


class Model(Struct, frozen=True):
    """A loss with its parameters; `plain` computes what the kernel `kernel` does, in NumPy, from parameters and data."""

    title: str
    loss: Node
    wrt: dict[str, Node]
    fits: list[Fit]
    plain: Callable[[Values, Values], tuple[Any, ...]]
    kernel: str = "hessian"
    solved: Callable[[Result], bool] | None = None


def scikit_learn() -> Any:
    """The data sets of scikit-learn; raises `BackendUnavailable` that says how to get it."""
    try:
        return importlib.import_module("sklearn.datasets")
    except ImportError:
        raise missing("scikit-learn") from None


def statsmodels() -> Any:
    """The data sets of statsmodels; raises `BackendUnavailable` that says how to get it."""
    try:
        return importlib.import_module("statsmodels.datasets")
    except ImportError:
        raise missing("statsmodels") from None


def missing(package: str) -> BackendUnavailable:
    """The error for a package that only the examples need."""
    return BackendUnavailable(f"{package} is not installed; the demo takes its data from it",
                              mend="pip install 'symdiff[examples]'")


def linear_parts() -> tuple[Formula, Formula, Formula, Formula, Formula]:
    """X, y, w, b and the scores X w + b."""
    X, y, w, b = symbol("X", ("n", "d")), symbol("y", "n"), symbol("w", "d"), symbol("b")
    return X, y, w, b, add(matmul(X, w), b)


def weight(k: int) -> Callable[[Result], float]:
    """Reads one coefficient off a result."""
    return lambda result: float(result.parameters["w"][k])


def ridge() -> Model:
    """Ridge regression with an intercept on diabetes, and ordinary least squares as its case λ = 0."""
    data = scikit_learn().load_diabetes()
    _, y, w, b, prediction = linear_parts()
    loss = add(total(square(prediction - y)), multiply(symbol("lam"), total(square(w))))
    variation = float(((data.target - data.target.mean()) ** 2).sum())
    coefficients = [29.46611189, -83.15427636, 306.35268015]
    return Model("Ridge regression and least squares: diabetes, 442 × 10", loss, {"w": w, "b": b}, [
        Fit("ridge, λ = 1", {"X": data.data, "y": data.target, "lam": 1.0},
            [Target(f"w[{k}]", c, 1e-8, weight(k)) for k, c in enumerate(coefficients)]),
        Fit("least squares, λ = 0", {"X": data.data, "y": data.target, "lam": 0.0}, [
            Target("intercept", 152.13348416, 1e-8, lambda r: r.parameters["b"]),
            Target("mean squared error", 2859.69634758675, 1e-9, lambda r: r.value / len(data.target)),
            Target("R²", 0.5177484222203, 1e-12, lambda r: 1 - r.value / variation)]),
    ], plain_ridge)


def plain_ridge(p: Values, v: Values) -> tuple[Any, ...]:
    """Value, gradient and Hessian of ridge regression."""
    X, w = v["X"], p["w"]
    r = X @ w + p["b"] - v["y"]
    corner = 2 * X.sum(axis=0)
    return (r @ r + v["lam"] * (w @ w), 2 * (X.T @ r) + 2 * v["lam"] * w, 2 * r.sum(),
            2 * (X.T @ X) + 2 * v["lam"] * np.eye(len(w)), corner, 2.0 * len(r))


def logistic() -> Model:
    """Logistic regression with a penalty on breast cancer, standardised."""
    data = scikit_learn().load_breast_cancer()
    X = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    y = data.target.astype(float)
    _, label, w, b, z = linear_parts()
    loss = add(multiply(0.5, total(square(w))), total(log(add(1, exp(z))) - label * z))

    def accuracy(r: Result) -> float:
        return float(np.mean((X @ r.parameters["w"] + r.parameters["b"] > 0) == (y > 0.5)))
    return Model("Logistic regression by Newton: breast cancer, 569 × 30", loss, {"w": w, "b": b}, [
        Fit("Newton from zero", {"X": X, "y": y}, [
            Target("minimum", 37.75894596187597, 1e-9, lambda r: r.value),
            Target("accuracy", 0.98770, 5e-6, accuracy),
            Target("steps (at most 15)", 7.5, 7.5, lambda r: r.steps)]),
    ], plain_logistic)


def plain_logistic(p: Values, v: Values) -> tuple[Any, ...]:
    """Value, gradient and Hessian of penalised logistic regression."""
    X, w = v["X"], p["w"]
    z = X @ w + p["b"]
    s = 1 / (1 + np.exp(-z))
    r, q = s - v["y"], s * (1 - s)
    return (0.5 * (w @ w) + (np.logaddexp(0, z) - v["y"] * z).sum(), X.T @ r + w, r.sum(),
            (X.T * q) @ X + np.eye(len(w)), X.T @ q, q.sum())


def spector() -> Model:
    """The logit of economics students (Spector and Mazzeo)."""
    data = statsmodels().spector.load()
    X, y = np.asarray(data.exog, float), np.asarray(data.endog, float)
    _, label, w, b, z = linear_parts()
    loss = total(log(add(1, exp(z))) - label * z)
    published = {"GPA": 2.82611259, "TUCE": 0.09515766, "PSI": 2.37868766}
    return Model("Logit by Newton: Spector and Mazzeo, 32 × 3", loss, {"w": w, "b": b}, [
        Fit("Newton from zero", {"X": X, "y": y}, [
            Target("const", -13.02134686, 6e-9, lambda r: r.parameters["b"]),
            *[Target(name, value, 6e-9, weight(k)) for k, (name, value) in enumerate(published.items())],
            Target("log-likelihood", -12.889634222131, 1e-11, lambda r: -r.value)]),
    ], plain_logit)


def plain_logit(p: Values, v: Values) -> tuple[Any, ...]:
    """Value, gradient and Hessian of logistic regression without a penalty."""
    value, gradient, *rest = plain_logistic(p, v)
    rest[1] = rest[1] - np.eye(len(p["w"]))
    return (value - 0.5 * (p["w"] @ p["w"]), gradient - p["w"], *rest)


def xor(hidden: int = 8) -> Model:
    """A net of two layers with sigmoids on XOR."""
    X, y = symbol("X", ("n", 2)), symbol("y", "n")
    wrt: dict[str, Formula] = {"W1": symbol("W1", (2, hidden)), "b1": symbol("b1", hidden),
                               "w2": symbol("w2", hidden), "b2": symbol("b2")}
    score = matmul(sigmoid(matmul(X, wrt["W1"]) + wrt["b1"]), wrt["w2"]) + wrt["b2"]
    corners, answers = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])

    def right(r: Result) -> float:
        p = r.parameters
        scores = 1 / (1 + np.exp(-(corners @ p["W1"] + p["b1"]))) @ p["w2"] + p["b2"]
        return float(np.sum((scores > 0) == (answers > 0.5)))
    return Model(f"Two-layer sigmoid net by gradient descent: XOR, 2-{hidden}-1",
                 binary_cross_entropy_with_logits(score, y), wrt, [
        Fit("gradient descent, one start of a hundred", {"X": corners, "y": answers},
            [Target("right answers", 4.0, 0.0, right)],
            {"method": "gd", "learning_rate": 4.0, "steps": 2000, "tolerance": 1e-3, "seed": 0})],
        plain_net, "gradient", lambda r: right(r) == 4.0)


def plain_net(p: Values, v: Values) -> tuple[Any, ...]:
    """Value and gradient of the net, by hand."""
    X, y = v["X"], v["y"]
    hidden = 1 / (1 + np.exp(-(X @ p["W1"] + p["b1"])))
    z = hidden @ p["w2"] + p["b2"]
    r = (1 / (1 + np.exp(-z)) - y) / len(y)
    back = np.outer(r, p["w2"]) * hidden * (1 - hidden)
    return (np.logaddexp(0, z) - y * z).mean(), X.T @ back, back.sum(axis=0), hidden.T @ r, r.sum()


MODELS: dict[str, Callable[[], Model]] = {"ridge": ridge, "logistic": logistic, "spector": spector, "xor": xor}
