"""A block of a transformer: products over all rows at once, and each head's attention while it is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.handwritten.networks import column_sums
from benchmarks.handwritten.vector_mathematics import FAST, exp32
from benchmarks.lines.line import Values
from benchmarks.lines.sequences import BLOCK, EPSILON, HEADS

Call = Callable[[], Any]
ZERO, ONE, HALF, EPS = np.float32(0), np.float32(1), np.float32(0.5), np.float32(EPSILON)


@njit(fastmath=FAST, error_model="numpy")
def normalise(x, scale, shift, unit, inverse, out):
    """Layer normalisation of each row; `unit` and `inverse` are kept for the way back."""
    width = x.shape[1]
    share = ONE / np.float32(width)
    for i in range(len(x)):
        mean, squares = ZERO, ZERO
        for j in range(width):
            mean += x[i, j]
        mean *= share
        for j in range(width):
            squares += (x[i, j] - mean) * (x[i, j] - mean)
        root = ONE / np.sqrt(squares * share + EPS)
        inverse[i] = root
        for j in range(width):
            unit[i, j] = (x[i, j] - mean) * root
            out[i, j] = unit[i, j] * scale[j] + shift[j]


@njit(fastmath=FAST, error_model="numpy")
def normalise_back(back, unit, inverse, scale, dx, dscale, dshift):
    """The adjoint of `normalise`; adds to dx."""
    width = back.shape[1]
    share = ONE / np.float32(width)
    dscale[:], dshift[:] = 0, 0
    for i in range(len(back)):
        mean, along = ZERO, ZERO
        for j in range(width):
            u = back[i, j] * scale[j]
            mean += u
            along += u * unit[i, j]
            dscale[j] += back[i, j] * unit[i, j]
            dshift[j] += back[i, j]
        for j in range(width):
            dx[i, j] += inverse[i] * (back[i, j] * scale[j] - share * (mean + along * unit[i, j]))


@njit(fastmath=FAST, error_model="numpy")
def softmax_rows(S, scale):
    """Each row becomes its softmax, scaled before."""
    for i in range(len(S)):
        top = S[i].max() * scale
        total = ZERO
        for j in range(S.shape[1]):
            S[i, j] = exp32(S[i, j] * scale - top)
            total += S[i, j]
        inverse = ONE / total
        for j in range(S.shape[1]):
            S[i, j] *= inverse


@njit(fastmath=FAST, error_model="numpy")
def softmax_rows_back(P, dP, scale):
    """dP becomes the adjoint of what `softmax_rows` took."""
    for i in range(len(P)):
        along = ZERO
        for j in range(P.shape[1]):
            along += P[i, j] * dP[i, j]
        for j in range(P.shape[1]):
            dP[i, j] = P[i, j] * (dP[i, j] - along) * scale


@njit(fastmath=FAST, error_model="numpy")
def copy(source, target):
    """A matrix copied; one of the two is a part of another."""
    for i in range(len(source)):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@njit(error_model="numpy")
def attend(QKV, P, seen, q, k, v, o, turns, part, scale):
    """Attention of each head of each sequence; P keeps the weights."""
    width = HEADS * part
    for b in range(len(QKV) // turns):
        rows = QKV[b * turns:(b + 1) * turns]
        for h in range(HEADS):
            first = h * part
            copy(rows[:, first:first + part], q)
            copy(rows[:, width + first:width + first + part], k)
            copy(rows[:, 2 * width + first:2 * width + first + part], v)
            weights = P[b * HEADS + h]
            np.dot(q, k.T, weights)
            softmax_rows(weights, scale)
            np.dot(weights, v, o)
            copy(o, seen[b * turns:(b + 1) * turns, first:first + part])


@njit(error_model="numpy")
def attend_back(QKV, P, dseen, dQKV, q, k, v, o, dP, d, turns, part, scale):
    """The adjoint of `attend`."""
    width = HEADS * part
    for b in range(len(QKV) // turns):
        rows, back = QKV[b * turns:(b + 1) * turns], dQKV[b * turns:(b + 1) * turns]
        for h in range(HEADS):
            first = h * part
            copy(rows[:, first:first + part], q)
            copy(rows[:, width + first:width + first + part], k)
            copy(rows[:, 2 * width + first:2 * width + first + part], v)
            copy(dseen[b * turns:(b + 1) * turns, first:first + part], o)
            weights = P[b * HEADS + h]
            np.dot(weights.T, o, d)
            copy(d, back[:, 2 * width + first:2 * width + first + part])
            np.dot(o, v.T, dP)
            softmax_rows_back(weights, dP, scale)
            np.dot(dP, k, d)
            copy(d, back[:, first:first + part])
            np.dot(dP.T, q, d)
            copy(d, back[:, width + first:width + first + part])


@njit(fastmath=FAST, error_model="numpy")
def add_bias_relu(A, b):
    """relu(A + b) in place."""
    for i in range(len(A)):
        for j in range(A.shape[1]):
            A[i, j] = max(A[i, j] + b[j], ZERO)


@njit(fastmath=FAST, error_model="numpy")
def silence(A, D):
    """D where A is positive, else 0."""
    for i in range(len(A)):
        for j in range(A.shape[1]):
            D[i, j] = D[i, j] if A[i, j] > 0 else ZERO


@njit(fastmath=FAST, error_model="numpy")
def residuals(x1, out, b, y, weight):
    """½ weight ‖x₁ + out + b − y‖²; `out` becomes its adjoint."""
    total = ZERO
    for i in range(len(out)):
        for j in range(out.shape[1]):
            r = x1[i, j] + out[i, j] + b[j] - y[i, j]
            total += r * r
            out[i, j] = weight * r
    return HALF * weight * total


@njit(error_model="numpy")
def both_ways(x, y, turns, weights, gradients, rows, heads, P, inverses, wide, hidden, dhidden):
    """Value and gradients."""
    g1, c1, Wqkv, Wo, g2, c2, W1, b1, W2, b2 = weights
    dg1, dc1, dWqkv, dWo, dg2, dc2, dW1, db1, dW2, db2 = gradients
    unit1, a, seen, x1, unit2, e, out, back = rows
    q, k, v, o, d = heads
    QKV, dQKV = wide
    part = q.shape[1]
    scale = ONE / np.sqrt(np.float32(part))
    normalise(x, g1, c1, unit1, inverses[0], a)
    np.dot(a, Wqkv, QKV)
    attend(QKV, P, seen, q, k, v, o, turns, part, scale)
    np.dot(seen, Wo, x1)
    x1 += x
    normalise(x1, g2, c2, unit2, inverses[1], e)
    np.dot(e, W1, hidden)
    add_bias_relu(hidden, b1)
    np.dot(hidden, W2, out)
    value = residuals(x1, out, b2, y, ONE / np.float32(len(x)))
    np.dot(hidden.T, out, dW2)
    column_sums(out, db2)
    np.dot(out, W2.T, dhidden)
    silence(hidden, dhidden)
    np.dot(e.T, dhidden, dW1)
    column_sums(dhidden, db1)
    np.dot(dhidden, W1.T, back)
    normalise_back(back, unit2, inverses[1], g2, out, dg2, dc2)
    np.dot(seen.T, out, dWo)
    np.dot(out, Wo.T, back)
    attend_back(QKV, P, back, dQKV, q, k, v, o, P[-1], d, turns, part, scale)
    np.dot(a.T, dQKV, dWqkv)
    np.dot(dQKV, Wqkv.T, back)
    normalise_back(back, unit1, inverses[0], g1, out, dg1, dc1)
    return value


def transformer(values: Values) -> Call:
    """Value and gradients; the three weights of the attention lie side by side."""
    x, y = values["x"], values["y"]
    batch, turns, d = x.shape
    count, part, size = batch * turns, d // HEADS, values["W1"].shape[1]

    def empty(*shape: int) -> np.ndarray:
        return np.empty(shape, "float32")
    three = ("Wq", "Wk", "Wv")
    weights = {**{name: values[name] for name in BLOCK[:2]}, "Wqkv": np.concatenate([values[name] for name in three], axis=1),
               **{name: values[name] for name in BLOCK[5:]}}
    gradients = {name: np.empty_like(w) for name, w in weights.items()}
    # The last matrix of the attention's weights is room for an adjoint.
    arguments = (tuple(weights.values()), tuple(gradients.values()), tuple(empty(count, d) for _ in range(8)),
                 tuple(empty(turns, part) for _ in range(5)), empty(batch * HEADS + 1, turns, turns), empty(2, count),
                 (empty(count, 3 * d), empty(count, 3 * d)), empty(count, size), empty(count, size))
    flat, wanted = x.reshape(count, d), y.reshape(count, d)
    parts = dict(zip(three, np.split(gradients["Wqkv"], 3, axis=1), strict=True))
    results = [{**gradients, **parts}[name] for name in BLOCK]

    def call() -> Any:
        for k, name in enumerate(three):
            weights["Wqkv"][:, k * d:(k + 1) * d] = values[name]
        return both_ways(flat, wanted, turns, *arguments), results
    return call
