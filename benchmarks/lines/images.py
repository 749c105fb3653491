"""A convolutional network on images of 8 × 8 such as digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.lines.line import Array, Line, Values, Work, doubles, scaled, softmax

LEARNING_RATE = 0.1
WEIGHTS = ("K1", "b1", "K2", "b2", "W", "c")


def digits(scale: float) -> Values:
    """A batch of 64 images in grey, and the weights of two convolutions and a dense layer; the scale is the batch's."""
    rng = np.random.default_rng(0)
    n = scaled(64, scale)
    values = {"x": rng.random((n, 1, 8, 8)), "K1": rng.standard_normal((16, 1, 3, 3)) / 3, "b1": rng.standard_normal(16) / 10,
              "K2": rng.standard_normal((32, 16, 3, 3)) / 12, "b2": rng.standard_normal(32) / 10,
              "W": rng.standard_normal((128, 10)) / 11, "c": rng.standard_normal(10) / 10}
    return {**{name: v.astype("float32") for name, v in values.items()}, "labels": rng.integers(0, 10, n)}


def windows(x: Array) -> Array:
    """The 3 × 3 surroundings of each pixel, zeros outside: shape (n, channels, 3, 3, height, width)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    return np.stack([np.stack([padded[:, :, p:p + height, q:q + width] for q in range(3)], axis=2) for p in range(3)], axis=2)


def windows_adjoint(back: Array) -> Array:
    """The adjoint of `windows`."""
    n, channels, _, _, height, width = back.shape
    padded = np.zeros((n, channels, height + 2, width + 2))
    for p in range(3):
        for q in range(3):
            padded[:, :, p:p + height, q:q + width] += back[:, :, p, q]
    return padded[:, :, 1:-1, 1:-1]


def pooled(x: Array) -> tuple[Array, Array]:
    """The largest of each 2 × 2, and where it stood."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels, height // 2, 2, width // 2, 2)
    top = parts.max(axis=(3, 5), keepdims=True)
    return top[:, :, :, 0, :, 0], parts == top


def pooled_adjoint(back: Array, chosen: Array) -> Array:
    """The adjoint of `pooled`."""
    n, channels, height, _, width, _ = chosen.shape
    return (back[:, :, :, None, :, None] * chosen).reshape(n, channels, 2 * height, 2 * width)


def cnn_sgd(values: Values) -> list[Any]:
    """The loss (conv, relu, pool, twice; dense, softmax, cross-entropy), and the weights after a step against its gradient."""
    v = doubles(values)
    n = len(v["x"])
    seen1 = windows(v["x"])
    before1 = np.einsum("ncpqij,ocpq->noij", seen1, v["K1"]) + v["b1"][:, None, None]
    small1, chosen1 = pooled(np.maximum(before1, 0))
    seen2 = windows(small1)
    before2 = np.einsum("ncpqij,ocpq->noij", seen2, v["K2"], optimize=True) + v["b2"][:, None, None]
    small2, chosen2 = pooled(np.maximum(before2, 0))
    flat = small2.reshape(n, -1)
    P = softmax(flat @ v["W"] + v["c"])
    loss = -np.mean(np.log(P[np.arange(n), v["labels"]]))
    back = (P - np.eye(10)[v["labels"]]) / n
    d2 = pooled_adjoint((back @ v["W"].T).reshape(small2.shape), chosen2) * (before2 > 0)
    d1 = windows_adjoint(np.einsum("noij,ocpq->ncpqij", d2, v["K2"], optimize=True))
    d1 = pooled_adjoint(d1, chosen1) * (before1 > 0)
    gradients = [np.einsum("ncpqij,noij->ocpq", seen1, d1, optimize=True), d1.sum(axis=(0, 2, 3)),
                 np.einsum("ncpqij,noij->ocpq", seen2, d2, optimize=True), d2.sum(axis=(0, 2, 3)), flat.T @ back, back.sum(axis=0)]
    return [loss, *[v[name] - LEARNING_RATE * g for name, g in zip(WEIGHTS, gradients, strict=True)]]


def products(values: Values) -> Work:
    """Two products of the first convolution (none for the images), three of the second, three of the dense layer."""
    return Work(products=2 * len(values["x"]) * (2 * 64 * 9 * 16 + 3 * 16 * 144 * 32 + 3 * 128 * 10))


LINES = [Line("12", "CNN on images of 8 × 8, a step of SGD, batch 64, f32", "cnn_sgd", digits, cnn_sgd, products, "float32", 1e-4)]
