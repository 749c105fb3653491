"""Convolution, pooling, attention and layer normalisation: against plain loops, to second order, on every target."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.traversal import symbols_of

rng = np.random.default_rng(3)
TARGETS = ["interpreter", "cpu", "numba"]


def convolved(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The definition, one number after the other."""
    (s, t), (m, k), (d, e) = stride, padding, dilation
    x = np.pad(x, ((0, 0), (0, 0), (m, m), (k, k)))
    height = (x.shape[2] - d * (w.shape[2] - 1) - 1) // s + 1
    width = (x.shape[3] - e * (w.shape[3] - 1) - 1) // t + 1
    y = np.zeros((x.shape[0], w.shape[0], height, width))
    channels, outputs = w.shape[1], w.shape[0] // groups
    for b, o, i, j in np.ndindex(*y.shape):
        for c, p, q in np.ndindex(*w.shape[1:]):
            y[b, o, i, j] += x[b, o // outputs * channels + c, s * i + d * p, t * j + e * q] * w[o, c, p, q]
    return y


CASES = [  # x, w, stride, padding, dilation, groups
    ((2, 1, 5, 5), (3, 1, 3, 3), (1, 1), (0, 0), (1, 1), 1), ((2, 3, 5, 6), (4, 3, 3, 2), (1, 1), (1, 1), (1, 1), 1),
    ((1, 2, 7, 7), (3, 2, 3, 3), (2, 2), (1, 1), (1, 1), 1), ((1, 2, 7, 6), (2, 2, 2, 3), (2, 1), (0, 2), (1, 1), 1),
    ((2, 2, 7, 8), (2, 2, 3, 3), (1, 1), (2, 2), (2, 2), 1), ((2, 4, 4, 4), (6, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((1, 3, 4, 4), (3, 1, 2, 2), (1, 1), (0, 0), (1, 1), 3), ((1, 1, 4, 4), (1, 1, 1, 1), (3, 2), (0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("case", CASES, ids=[str(c) for c in CASES])
@pytest.mark.parametrize("symbolic", [False, True])
def test_convolution(case: Any, symbolic: bool) -> None:
    shape, weights, stride, padding, dilation, groups = case
    sizes = (sd.dim("batch"), shape[1], sd.dim("image_h", minimum=8), sd.dim("image_w", minimum=8)) if symbolic else shape
    x, w, bias = sd.symbol("x", sizes), sd.symbol("w", weights), sd.symbol("b", weights[0])
    y = sd.nn.conv2d(x, w, bias, stride, padding, dilation, groups)
    given = (2, shape[1], 9, 8) if symbolic else shape
    values = [rng.normal(size=given), rng.normal(size=weights), rng.normal(size=weights[0])]
    wanted = convolved(*values[:2], stride, padding, dilation, groups) + values[2][:, None, None]
    np.testing.assert_allclose(sd.evaluate(y, dict(zip((x, w, bias), values, strict=True))), wanted, rtol=1e-12, atol=1e-13)
    # Numba takes seconds for each.
    for target in TARGETS if case in CASES[1::3] and not symbolic else TARGETS[:2]:
        outputs = [y, *sd.grad(sd.sum(sd.sin(y)), [x, w])]
        results = sd.compile(outputs, [x, w, bias], target=target)(*values)
        np.testing.assert_allclose(results[0], wanted, rtol=1e-12, atol=1e-13)
        for ours, theirs in zip(results, sd.evaluate(outputs, dict(zip((x, w, bias), values, strict=True))), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def pooled(x: Any, size: tuple[int, int], stride: tuple[int, int], fold: Any) -> Any:
    """Pooling by the definition."""
    height, width = ((x.shape[2 + k] - size[k]) // stride[k] + 1 for k in range(2))
    y = np.zeros((*x.shape[:2], height, width))
    for i, j in itertools.product(range(height), range(width)):
        window = x[:, :, stride[0] * i:stride[0] * i + size[0], stride[1] * j:stride[1] * j + size[1]]
        y[:, :, i, j] = fold(window, axis=(2, 3))
    return y


@pytest.mark.parametrize("size,stride,padding", [((2, 2), None, 0), ((3, 2), (1, 2), 1), ((3, 3), (2, 2), 1), ((2, 2), (3, 3), 0)])
@pytest.mark.parametrize("n", [6, "pool_n"])
def test_pooling(size: Any, stride: Any, padding: int, n: Any) -> None:
    if isinstance(n, str):
        n = sd.dim(n, minimum=6)
    x = sd.symbol("x", (2, 2, n, 7))
    value = rng.normal(size=(2, 2, 6, 7))
    outputs = [sd.nn.max_pool2d(x, size, stride, padding), sd.nn.avg_pool2d(x, size, stride, padding)]
    wanted = []
    for fill, fold in ((-np.inf, np.max), (0.0, np.mean)):
        padded = np.pad(value, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)
        wanted.append(pooled(padded, size, stride or size, fold))
    roots = [*outputs, sd.grad(sd.sum(outputs[0] ** 2), x), sd.grad(sd.sum(outputs[1] ** 2), x)]
    expected = sd.evaluate(roots, {x: value})
    np.testing.assert_allclose(expected[0], wanted[0])
    np.testing.assert_allclose(expected[1], wanted[1])
    for target in TARGETS if size == (2, 2) and n == 6 else TARGETS[:2]:
        for ours, theirs in zip(sd.compile(roots, [x], target=target)(value), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


IMAGE, W1, W2 = sd.symbol("image", (2, 2, 5, 4)), sd.symbol("W1", (2, 2, 3, 3)), sd.symbol("W2", (1, 2, 2, 2))
Q, K, V, M = (sd.symbol(name, ("t", "c")) for name in "QKVM")
HEADS = sd.symbol("heads", (2, 3, "t", 4))
G, B = sd.symbol("g", "c"), sd.symbol("shift_b", "c")
SIZES = {"t": 3, "c": 4}
LOSSES = {
    "convolution": sd.mean(sd.tanh(sd.nn.conv2d(IMAGE, W1, padding=1)) ** 2),
    "two layers": sd.sum(sd.nn.conv2d(sd.nn.avg_pool2d(sd.softplus(sd.nn.conv2d(IMAGE, W1, padding="same")), 2), W2) ** 2),
    "pooling": sd.sum(sd.nn.max_pool2d(sd.sin(IMAGE), 2) ** 3),
    "attention": sd.sum(sd.nn.scaled_dot_product_attention(Q, K, V) * M),
    "causal": sd.sum(sd.nn.scaled_dot_product_attention(Q, K, V, is_causal=True) ** 2),
    "heads": sd.sum(sd.nn.scaled_dot_product_attention(HEADS, sd.sin(HEADS), HEADS**2) ** 2),
    "layer norm": sd.sum(sd.nn.layer_norm(Q, G, B) ** 3),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", TARGETS)
def test_derivatives(name: str, target: str) -> None:
    loss = LOSSES[name]
    symbols = symbols_of([loss])
    at = {s.name: np.random.default_rng(len(s.name)).normal(size=[SIZES.get(str(k), k) for k in s.shape]) for s in symbols}
    sd.check_derivatives(loss, symbols, at=at, target=target, limit=5, order=2 if target == "cpu" else 1)


def test_attention_against_numpy() -> None:
    q, k, v = (rng.normal(size=(2, 5, 4)) for _ in range(3))
    symbols = [sd.symbol(name, (2, "len", 4)) for name in ("q", "k", "v")]
    scores = q @ k.transpose(0, 2, 1) / 2
    keep = rng.random((5, 5)) < 0.7
    keep |= np.eye(5, dtype=bool)
    mask = sd.symbol("mask", ("len", "len"), "bool")
    added = sd.symbol("added", ("len", "len"))
    for options, extra, shown in (({}, {}, scores), ({"is_causal": True}, {}, np.where(np.tri(5, dtype=bool), scores, -np.inf)),
                                  ({"mask": mask}, {mask: keep}, np.where(keep, scores, -np.inf)),
                                  ({"mask": added}, {added: keep * 1.5}, scores + keep * 1.5), ({"scale": 2.0}, {}, 4 * scores)):
        weights = np.exp(shown - shown.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        root = sd.nn.scaled_dot_product_attention(*symbols, **options)
        values = {**dict(zip(symbols, (q, k, v), strict=True)), **extra}
        np.testing.assert_allclose(sd.evaluate(root, values), weights @ v, rtol=1e-12)
        np.testing.assert_allclose(sd.compile(root, list(values))(*values.values()), weights @ v, rtol=1e-12)


def test_layer_norm_against_numpy() -> None:
    x = rng.normal(size=(3, 4)) * 5 + 2
    wanted = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(sd.evaluate(sd.nn.layer_norm(Q), {Q: x}), wanted, rtol=1e-12)
    wide = (x - x.mean()) / np.sqrt(x.var() + 0.1)
    np.testing.assert_allclose(sd.evaluate(sd.nn.layer_norm(Q, axis=(0, 1), eps=0.1), {Q: x}), wide, rtol=1e-12)


@pytest.mark.parametrize("call,error,text", [
    (lambda: sd.nn.conv2d(IMAGE[0], W1), ShapeMismatch, "not 3 axes"),
    (lambda: sd.nn.conv2d(IMAGE, sd.symbol("w3", (2, 3, 3, 3))), ShapeMismatch, "do not fit 2 channels"),
    (lambda: sd.nn.conv2d(IMAGE, sd.symbol("w6", (2, 2, 6, 3))), ShapeMismatch, "larger than what it slides over"),
    (lambda: sd.nn.conv2d(IMAGE, W1, sd.symbol("b3", 3)), ShapeMismatch, "bias of shape"),
    (lambda: sd.nn.conv2d(IMAGE, W1, stride=0), ShapeMismatch, "stride 0 is below 1"),
    (lambda: sd.nn.conv2d(IMAGE, W1, stride=(1, 2, 3)), TypeMismatch, "stride has 3 numbers"),
    (lambda: sd.nn.conv2d(IMAGE, W1, groups=3), ShapeMismatch, "do not fit"),
    (lambda: sd.nn.conv2d(IMAGE, W2, padding="same"), TypeMismatch, "odd"),
    (lambda: sd.nn.max_pool2d(IMAGE, 9), ShapeMismatch, "larger"),
    (lambda: sd.nn.max_pool2d(IMAGE, 2, padding=2), ShapeMismatch, "more than half"),
    (lambda: sd.nn.scaled_dot_product_attention(Q, V.T, V), ShapeMismatch, "queries"),
    (lambda: sd.nn.scaled_dot_product_attention(G, K, V), ShapeMismatch, "matrices"),
    (lambda: sd.nn.layer_norm(Q, eps=-1), TypeMismatch, "eps"),
])
def test_errors(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert "test_layers.py" in str(caught.value)


def test_an_axis_of_one_place_parts_no_difference() -> None:
    """x + y - mean(x + y) stays one difference where y was given an axis of one place by reshape: its parts are large."""
    x, w = sd.symbol("x", (5, 4)), sd.symbol("w", (4, 4))
    assert sd.reshape(x @ w, (1, 5, 4)) is sd.expand_dims(x @ w, 0)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(1, 5, 1)) + 1e-3 * rng.normal(size=(1, 5, 4)), 1.3 + 1e-3 * rng.normal(size=(4, 4)),
             rng.normal(size=(1, 5, 4))]
    found = []
    for dtype in ("float32", "float64"):
        X, W, C = (sd.symbol(name, shape, dtype) for name, shape in (("X", (1, 5, 4)), ("W", (4, 4)), ("C", (1, 5, 4))))
        heads = sd.permute_dims(sd.reshape(X @ W, (1, 5, 1, 4)), (0, 2, 1, 3))
        whole = sd.nn.layer_norm(X + sd.reshape(sd.permute_dims(heads, (0, 2, 1, 3)), (1, 5, 4)))
        slope = sd.grad(sd.sum(sd.sin(whole) * C), X)
        found.append(sd.compile(slope, [X, W, C])(*[v.astype("float32").astype(dtype) for v in given]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4 * float(np.max(np.abs(found[1]))))
