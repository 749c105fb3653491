"""Plain NumPy, vectorised and differentiated by hand as a careful user would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Array, Values

Call = Callable[[], Any]


ELEMENTWISE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
    "sqrt": np.sqrt, "pow": lambda x, out: np.power(x, x.dtype.type(1.7), out=out),
}


def elementwise(values: Values, function: str) -> Call | None:
    """NumPy's own function, written into an array that is there; None where it has none."""
    x, target = values["x"], np.empty_like(values["x"])
    own = ELEMENTWISE.get(function)
    return None if own is None else lambda: own(x, out=target)


def sum_of_squares(values: Values) -> Call:
    """One array in, one number out."""
    a = values["a"]
    return lambda: a @ a


def five_products(values: Values) -> Call:
    """Five arrays in, one number out."""
    a, b, c, d, e = values.values()
    return lambda: a @ b + c @ d + e.sum()


def linear(values: Values) -> Call:
    """Two products with the matrix."""
    X, y, w = values["X"], values["y"], values["w"]

    def call() -> Any:
        r = X @ w
        r -= y
        return r @ r / len(r), (2 / len(r)) * (r @ X)
    return call


def probabilities(z: Array) -> tuple[Array, Array]:
    """log(1 + eᶻ) and σ(z), from one exponential that does not overflow."""
    e = np.exp(-np.abs(z))
    return np.maximum(z, 0) + np.log1p(e), np.where(z >= 0, 1, e) / (1 + e)


def logistic(values: Values) -> Call:
    """Value and gradient."""
    X, y, w = values["X"], values["y"], values["w"]

    def call() -> Any:
        z = X @ w
        losses, s = probabilities(z)
        return losses.sum() - y @ z, (s - y) @ X
    return call


def logistic_hessian(values: Values) -> Call:
    """The Hessian as a product of one scaled matrix with itself, for which BLAS computes one half."""
    X, y, w = values["X"], values["y"], values["w"]

    def call() -> Any:
        z = X @ w
        losses, s = probabilities(z)
        rooted = X * np.sqrt(s * (1 - s))[:, None]
        return losses.sum() - y @ z, (s - y) @ X, rooted.T @ rooted
    return call


def logistic_hvp(values: Values) -> Call:
    """Three products with the matrix."""
    X, w, v = values["X"], values["w"], values["v"]

    def call() -> Any:
        _, s = probabilities(X @ w)
        return ((s * (1 - s) * (X @ v)) @ X,)
    return call


def softmax_hessian(values: Values) -> Call:
    """The Hessian as blocks on the diagonal less a product of one wide matrix with itself."""
    X, Y, W = values["X"], values["Y"], values["W"]
    d, k = W.shape

    def call() -> Any:
        Z = X @ W
        Z -= Z.max(axis=1, keepdims=True)
        P = np.exp(Z)
        total = P.sum(axis=1, keepdims=True)
        value = np.log(total).sum() - np.vdot(Y, Z)
        P /= total
        wide = (X[:, :, None] * P[:, None, :]).reshape(len(X), d * k)
        hessian = -(wide.T @ wide).reshape(d, k, d, k)
        for a in range(k):
            hessian[:, a, :, a] += X.T @ (X * P[:, a, None])
        return value, X.T @ (P - Y), hessian
    return call
