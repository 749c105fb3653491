"""Small networks: one step, a whole training in one call, and an optimiser's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Line, Values, Work, doubles, scaled, sigmoid, softmax

LEARNING_RATE = 1.0
ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def corners(hidden: int) -> Values:
    """The four samples of XOR, and the weights of a net 2-hidden-1."""
    rng = np.random.default_rng(3)
    return {"X": np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), "y": np.array([0.0, 1.0, 1.0, 0.0]),
            "W1": rng.normal(size=(2, hidden)), "b1": rng.normal(size=hidden), "w2": rng.normal(size=hidden),
            "b2": rng.normal(size=())}


def xor_data(scale: float) -> Values:
    """The net 2-2-1; the scale is that of the hidden layer."""
    return corners(scaled(2, scale))


def training_data(scale: float) -> Values:
    """The net 2-2-1 and how many steps it takes."""
    return {**corners(2), "steps": np.asarray(scaled(10_000, scale))}


def xor(v: Values) -> list[Any]:
    """Σ (σ(σ(X W₁ + b₁) w₂ + b₂) − y)² and its gradients."""
    hidden = sigmoid(v["X"] @ v["W1"] + v["b1"])
    p = sigmoid(hidden @ v["w2"] + v["b2"])
    back = 2 * (p - v["y"]) * p * (1 - p)
    inner = np.outer(back, v["w2"]) * hidden * (1 - hidden)
    return [np.sum((p - v["y"]) ** 2), v["X"].T @ inner, inner.sum(axis=0), back @ hidden, back.sum()]


def xor_training(v: Values) -> list[Any]:
    """The weights after gradient descent."""
    now = dict(v)
    for _ in range(int(v["steps"])):
        for name, g in zip(("W1", "b1", "w2", "b2"), xor(now)[1:], strict=True):
            now[name] = now[name] - LEARNING_RATE * g
    return [now[name] for name in ("W1", "b1", "w2", "b2")]


def perceptron(batch: int) -> Callable[[float], Values]:
    """A batch of 64 features and 10 classes, the weights of a net 64-128-10, and the state of Adam after three steps."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        n = scaled(batch, scale)
        weights = {"W1": rng.standard_normal((64, 128)) / 8, "b1": rng.standard_normal(128) / 8,
                   "W2": rng.standard_normal((128, 10)) / 12, "b2": rng.standard_normal(10) / 12}
        means = {f"m_{name}": 1e-2 * rng.standard_normal(w.shape) for name, w in weights.items()}
        squares = {f"v_{name}": 1e-4 * rng.random(w.shape) + 1e-6 for name, w in weights.items()}
        floats = {"X": rng.standard_normal((n, 64)), **weights, **means, **squares}
        return {**{name: value.astype("float32") for name, value in floats.items()},
                "labels": rng.integers(0, 10, n), "t": np.asarray(4, "float32")}
    return data


def mlp_adam(values: Values) -> list[Any]:
    """The loss (relu, softmax, cross-entropy) and one step of Adam: weights, means, squares (Kingma and Ba, 2015)."""
    v = doubles(values)
    X, labels, n = v["X"], v["labels"], len(v["X"])
    before = X @ v["W1"] + v["b1"]
    hidden = np.maximum(before, 0)
    P = softmax(hidden @ v["W2"] + v["b2"])
    loss = -np.mean(np.log(P[np.arange(n), labels]))
    back = (P - np.eye(10)[labels]) / n
    inner = (back @ v["W2"].T) * (before > 0)
    gradients = {"W1": X.T @ inner, "b1": inner.sum(axis=0), "W2": hidden.T @ back, "b2": back.sum(axis=0)}
    means = {k: ADAM["beta1"] * v[f"m_{k}"] + (1 - ADAM["beta1"]) * g for k, g in gradients.items()}
    squares = {k: ADAM["beta2"] * v[f"v_{k}"] + (1 - ADAM["beta2"]) * g**2 for k, g in gradients.items()}
    first, second = 1 - ADAM["beta1"] ** v["t"], 1 - ADAM["beta2"] ** v["t"]
    weights = [v[k] - ADAM["learning_rate"] * (means[k] / first) / (np.sqrt(squares[k] / second) + ADAM["eps"])
               for k in gradients]
    return [loss, *weights, *means.values(), *squares.values()]


def products(values: Values) -> Work:
    """The products of the three gradients and of the two layers; the layer below the first needs none."""
    return Work(products=2 * len(values["X"]) * (2 * 64 * 128 + 3 * 128 * 10))


def nothing(values: Values) -> Work:
    """Too small for a limit of memory or of products."""
    return Work()


LINES = [
    Line("6", "XOR net 2-2-1, value and gradient", "xor", xor_data, xor, nothing),
    Line("7", "XOR net 2-2-1, 10,000 steps of gradient descent", "xor_training", training_data, xor_training, nothing,
         tolerance=1e-6),
    Line("8a", "MLP 64-128-10, a step of Adam, batch 64, f32", "mlp_adam", perceptron(64), mlp_adam, products, "float32",
         1e-4),
    Line("8b", "MLP 64-128-10, a step of Adam, batch 1,024, f32", "mlp_adam", perceptron(1024), mlp_adam, products,
         "float32", 1e-4),
]
