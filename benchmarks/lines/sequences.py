"""Models of sequences: an LSTM and a block of a transformer, float32, value and all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.lines.line import Array, Line, Values, Work, doubles, scaled, sigmoid, softmax

HEADS, EPSILON = 4, 1e-5
BLOCK = ("g1", "c1", "Wq", "Wk", "Wv", "Wo", "g2", "c2", "W1", "b1", "W2", "b2")


def lstm_data(scale: float) -> Values:
    """100 turns of a batch of 32 with 64 features, 64 hidden units; the scale is that of the turns."""
    rng = np.random.default_rng(0)
    turns, batch, d, h = scaled(100, scale, 2), 32, 64, 64
    values = {"X": rng.standard_normal((turns, batch, d)), "Y": 0.5 * rng.standard_normal((turns, batch, h)),
              "W": rng.standard_normal((d, 4 * h)) / 8, "U": rng.standard_normal((h, 4 * h)) / 8,
              "b": rng.standard_normal(4 * h) / 8}
    return {name: v.astype("float32") for name, v in values.items()}


def lstm(values: Values) -> list[Any]:
    """½ Σ (h_t − y_t)² / (turns · batch) over all states of an LSTM (gates i, f, g, o), and its gradients in W, U and b."""
    v = doubles(values)
    X, Y, W, U, b = (v[name] for name in ("X", "Y", "W", "U", "b"))
    turns, batch, _ = X.shape
    size = U.shape[0]
    weight = 1 / (turns * batch)
    h, c = np.zeros((batch, size)), np.zeros((batch, size))
    kept, value = [], 0.0
    for t in range(turns):
        i, f, g, o = np.split(X[t] @ W + h @ U + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        before, earlier = h, c
        c = f * c + i * g
        h = o * np.tanh(c)
        kept.append((i, f, g, o, before, earlier, c, h))
        value += 0.5 * weight * np.sum((h - Y[t]) ** 2)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh, dc = np.zeros((batch, size)), np.zeros((batch, size))
    for t in reversed(range(turns)):
        i, f, g, o, before, earlier, c, h = kept[t]
        dh = dh + weight * (h - Y[t])
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        gates = np.concatenate([dc * g * i * (1 - i), dc * earlier * f * (1 - f), dc * i * (1 - g**2),
                                dh * np.tanh(c) * o * (1 - o)], axis=1)
        dW, dU, db = dW + X[t].T @ gates, dU + before.T @ gates, db + gates.sum(axis=0)
        dh, dc = gates @ U.T, dc * f
    return [value, dW, dU, db]


def lstm_products(values: Values) -> Work:
    """Forward two products a turn, backward three: none is needed for the inputs."""
    turns, batch, d = values["X"].shape
    h = values["U"].shape[0]
    return Work(products=2 * turns * batch * 4 * h * (2 * d + 3 * h))


def transformer_data(scale: float) -> Values:
    """A batch of 8 sequences of 64 positions with 64 features, 4 heads, a hidden layer of 256; the scale is the batch's."""
    rng = np.random.default_rng(0)
    batch, turns, d, wide = scaled(8, scale), 64, 64, 256

    def near(value: float, *shape: int) -> Array:
        return value + 0.1 * rng.standard_normal(shape)

    values = {"x": rng.standard_normal((batch, turns, d)), "y": rng.standard_normal((batch, turns, d)),
              "g1": near(1, d), "c1": near(0, d), **{name: rng.standard_normal((d, d)) / 8 for name in ("Wq", "Wk", "Wv", "Wo")},
              "g2": near(1, d), "c2": near(0, d), "W1": rng.standard_normal((d, wide)) / 8, "b1": near(0, wide),
              "W2": rng.standard_normal((wide, d)) / 16, "b2": near(0, d)}
    return {name: v.astype("float32") for name, v in values.items()}


def normed(x: Array) -> tuple[Array, Array]:
    """x with mean 0 and variance 1 along the last axis, and by what it was divided."""
    root = np.sqrt(x.var(axis=-1, keepdims=True) + EPSILON)
    return (x - x.mean(axis=-1, keepdims=True)) / root, root


def norm_adjoint(back: Array, unit: Array, root: Array) -> Array:
    """The adjoint of `normed`."""
    return (back - back.mean(axis=-1, keepdims=True) - unit * np.mean(back * unit, axis=-1, keepdims=True)) / root


def over_positions(left: Array, right: Array) -> Array:
    """Σ over batch and positions of outer products."""
    return np.einsum("bti,btj->ij", left, right)


def transformer(values: Values) -> list[Any]:
    """½ ‖x₂ − y‖² / (batch · turns) of x₁ = x + attention(norm x) Wo, x₂ = x₁ + relu(norm(x₁) W₁ + b₁) W₂ + b₂; its gradients."""
    v = doubles(values)
    x, y = v["x"], v["y"]
    batch, turns, d = x.shape
    part = d // HEADS

    def heads(z: Array) -> Array:
        return z.reshape(batch, turns, HEADS, part).transpose(0, 2, 1, 3)

    def joined(z: Array) -> Array:
        return z.transpose(0, 2, 1, 3).reshape(batch, turns, d)

    unit1, _ = normed(x)
    a = unit1 * v["g1"] + v["c1"]
    q, k, w = heads(a @ v["Wq"]), heads(a @ v["Wk"]), heads(a @ v["Wv"])
    P = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(part))
    seen = joined(P @ w)
    x1 = x + seen @ v["Wo"]
    unit2, root2 = normed(x1)
    e = unit2 * v["g2"] + v["c2"]
    before = e @ v["W1"] + v["b1"]
    hidden = np.maximum(before, 0)
    r = x1 + hidden @ v["W2"] + v["b2"] - y
    weight = 1 / (batch * turns)

    d2 = weight * r
    inner = (d2 @ v["W2"].T) * (before > 0)
    de = inner @ v["W1"].T
    d1 = d2 + norm_adjoint(de * v["g2"], unit2, root2)
    dseen = heads(d1 @ v["Wo"].T)
    dP = dseen @ w.transpose(0, 1, 3, 2)
    dS = P * (dP - np.sum(dP * P, axis=-1, keepdims=True)) / np.sqrt(part)
    dq, dk, dw = joined(dS @ k), joined(dS.transpose(0, 1, 3, 2) @ q), joined(P.transpose(0, 1, 3, 2) @ dseen)
    da = dq @ v["Wq"].T + dk @ v["Wk"].T + dw @ v["Wv"].T
    both = (0, 1)
    return [0.5 * weight * np.sum(r**2), np.sum(da * unit1, axis=both), da.sum(axis=both), over_positions(a, dq),
            over_positions(a, dk), over_positions(a, dw), over_positions(seen, d1), np.sum(de * unit2, axis=both),
            de.sum(axis=both), over_positions(e, inner), inner.sum(axis=both), over_positions(hidden, d2), d2.sum(axis=both)]


def transformer_products(values: Values) -> Work:
    """Three products for each of the weights, and six of the scores' size for each head."""
    batch, turns, d = values["x"].shape
    wide = values["W1"].shape[1]
    return Work(products=2 * batch * turns * (3 * (4 * d * d + 2 * d * wide) + 6 * turns * d))


LINES = [
    Line("11", "LSTM, 100 turns, batch 32, 64 in, 64 hidden, f32", "lstm", lstm_data, lstm, lstm_products, "float32", 1e-4),
    Line("13", "transformer block, batch 8 × 64 × 64, 4 heads, f32", "transformer", transformer_data, transformer,
         transformer_products, "float32", 1e-4),
]
