"""Regressions: streams of samples through few parameters, to second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Line, Values, Work, scaled, sigmoid, softmax


def samples(n: int, d: int, *, labels: bool = False, direction: bool = False) -> Callable[[float], Values]:
    """A design matrix of n × d, with targets or labels, weights, and a direction in which to differentiate again."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((scaled(n, scale), d))
        w = rng.standard_normal(d) / np.sqrt(d)
        y = X @ w + rng.standard_normal(len(X))
        values = {"X": X, "y": (y > 0).astype(float) if labels else y, "w": rng.standard_normal(d) / np.sqrt(d)}
        return {**values, "v": rng.standard_normal(d)} if direction else values
    return data


def classes(n: int, d: int, k: int) -> Callable[[float], Values]:
    """A design matrix of n × d, classes as rows with a single 1, weights of d × k."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((scaled(n, scale), d))
        W = rng.standard_normal((d, k)) / np.sqrt(d)
        return {"X": X, "Y": np.eye(k)[np.argmax(X @ W + rng.gumbel(size=(len(X), k)), axis=1)],
                "W": rng.standard_normal((d, k)) / np.sqrt(d)}
    return data


def linear(v: Values) -> list[Any]:
    """‖X w − y‖² / n and its gradient."""
    r = v["X"] @ v["w"] - v["y"]
    return [np.mean(r**2), 2 / len(r) * (r @ v["X"])]


def logistic(v: Values) -> list[Any]:
    """Σ log(1 + eᶻ) − y z with z = X w, and its gradient."""
    z = v["X"] @ v["w"]
    return [np.sum(np.logaddexp(0, z) - v["y"] * z), (sigmoid(z) - v["y"]) @ v["X"]]


def logistic_hessian(v: Values) -> list[Any]:
    """Value, gradient and Hessian of `logistic`."""
    s = sigmoid(v["X"] @ v["w"])
    return [*logistic(v), (v["X"].T * (s * (1 - s))) @ v["X"]]


def logistic_hvp(v: Values) -> list[Any]:
    """The Hessian of `logistic` times the vector v."""
    s = sigmoid(v["X"] @ v["w"])
    return [(s * (1 - s) * (v["X"] @ v["v"])) @ v["X"]]


def softmax_hessian(v: Values) -> list[Any]:
    """Value, gradient and Hessian of Σ logsumexp(zᵢ) − yᵢ · zᵢ with Z = X W."""
    X, Y = v["X"], v["Y"]
    Z = X @ v["W"]
    P = softmax(Z)
    top = Z.max(axis=1)
    value = np.sum(top + np.log(np.exp(Z - top[:, None]).sum(axis=1))) - np.sum(Y * Z)
    d, k = v["W"].shape
    hessian = np.empty((d, k, d, k))
    for a in range(k):
        for b in range(k):
            hessian[:, a, :, b] = (X.T * (P[:, a] * ((a == b) - P[:, b]))) @ X
    return [value, X.T @ (P - Y), hessian]


def streamed(values: Values) -> Work:
    """The samples are read once."""
    return Work(bytes=sum(v.nbytes for v in values.values()))


def streamed_twofold(values: Values) -> Work:
    """The samples are read once; the Hessian is half of a product Xᵀ (X ⊙ s), being symmetric."""
    n, d = values["X"].shape
    return Work(bytes=streamed(values).bytes, products=n * d * d)


def class_products(values: Values) -> Work:
    """Half of a product of n × (d k) matrices, the Hessian being symmetric."""
    n, d = values["X"].shape
    return Work(bytes=streamed(values).bytes, products=n * (d * values["W"].shape[1]) ** 2)


LINES = [
    Line("1", "linear regression, 1,000,000 × 32", "linear", samples(1_000_000, 32), linear, streamed),
    Line("2", "linear regression, 20,000 × 1,000", "linear", samples(20_000, 1_000), linear, streamed),
    Line("3", "logistic regression, 100,000 × 100", "logistic", samples(100_000, 100, labels=True), logistic, streamed),
    Line("4", "logistic regression with Hessian, 100,000 × 100", "logistic_hessian",
         samples(100_000, 100, labels=True), logistic_hessian, streamed_twofold),
    Line("5", "logistic regression, Hessian times vector, 100,000 × 100", "logistic_hvp",
         samples(100_000, 100, labels=True, direction=True), logistic_hvp, streamed),
    Line("9", "softmax regression with Hessian, 10,000 × 50, 10 classes", "softmax_hessian",
         classes(10_000, 50, 10), softmax_hessian, class_products),
]
