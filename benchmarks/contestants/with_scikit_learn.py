"""scikit-learn: the losses of its own solvers, which divide by the number of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss
from sklearn.linear_model._linear_loss import LinearModelLoss

from benchmarks.lines.line import Values

Call = Callable[[], Any]


def logistic(values: Values) -> Call:
    """Value and gradient."""
    X, y, w = values["X"], values["y"], values["w"]
    loss = LinearModelLoss(HalfBinomialLoss(), fit_intercept=False)

    def call() -> Any:
        value, gradient = loss.loss_gradient(w, X, y)
        return value * len(y), gradient * len(y)
    return call


def all_three(loss: LinearModelLoss, w: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, gradient and Hessian of a sum, from one prediction."""
    *_, scores = loss.weight_intercept_raw(w, X)
    value = loss.loss(w, X, y, raw_prediction=scores)
    gradient, hessian, _ = loss.gradient_hessian(w, X, y, raw_prediction=scores)
    return value * len(y), gradient * len(y), hessian * len(y)


def logistic_hessian(values: Values) -> Call:
    """Value, gradient and Hessian."""
    X, y, w = values["X"], values["y"], values["w"]
    loss = LinearModelLoss(HalfBinomialLoss(), fit_intercept=False)
    return lambda: all_three(loss, w, X, y)


def softmax_hessian(values: Values) -> Call:
    """Value, gradient and Hessian; the weights of a feature lie together, as ours do."""
    X, W = values["X"], values["W"]
    d, k = W.shape
    y = np.argmax(values["Y"], axis=1).astype(float)
    loss = LinearModelLoss(HalfMultinomialLoss(n_classes=k), fit_intercept=False)

    def call() -> Any:
        value, gradient, hessian = all_three(loss, W.ravel(), X, y)
        return value, gradient.reshape(d, k), hessian.reshape(d, k, d, k)
    return call
