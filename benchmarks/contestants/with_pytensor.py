"""PyTensor: functions in its default mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytensor
from pytensor import tensor

from benchmarks.lines.line import Values

Call = Callable[[], Any]


def called(function: Callable[..., list[Any]], values: Values) -> Call:
    """The call of the compiled outputs with the values."""
    symbols = [tensor.tensor(name, dtype="float64", shape=(None,) * v.ndim) for name, v in values.items()]
    compiled = pytensor.function(symbols, function(*symbols))
    arguments = list(values.values())
    return lambda: compiled(*arguments)


def linear(values: Values) -> Call:
    """Value and gradient."""
    def outputs(X: Any, y: Any, w: Any) -> list[Any]:
        loss = tensor.mean((X @ w - y) ** 2)
        return [loss, pytensor.grad(loss, w)]
    return called(outputs, values)


def logistic_loss(X: Any, y: Any, w: Any) -> Any:
    """Σ log(1 + eᶻ) − y z."""
    z = X @ w
    return tensor.sum(tensor.softplus(z) - y * z)


def logistic(values: Values) -> Call:
    """Value and gradient."""
    def outputs(X: Any, y: Any, w: Any) -> list[Any]:
        loss = logistic_loss(X, y, w)
        return [loss, pytensor.grad(loss, w)]
    return called(outputs, values)


def logistic_hessian(values: Values) -> Call:
    """Value, gradient and Hessian; its rows come from a scan."""
    def outputs(X: Any, y: Any, w: Any) -> list[Any]:
        loss = logistic_loss(X, y, w)
        return [loss, pytensor.grad(loss, w), pytensor.gradient.hessian(loss, w)]
    return called(outputs, values)


def logistic_hvp(values: Values) -> Call:
    """Reverse over reverse."""
    def outputs(X: Any, y: Any, w: Any, v: Any) -> list[Any]:
        return [pytensor.gradient.hessian_vector_product(logistic_loss(X, y, w), w, v)]
    return called(outputs, values)
