"""An LSTM whose products are as large as the recurrence allows, with the gates fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.handwritten.vector_mathematics import FAST, ONE, sigmoid32, tanh32
from benchmarks.lines.line import Values

Call = Callable[[], Any]
HALF = np.float32(0.5)


@njit(fastmath=FAST, error_model="numpy")
def activate(a, f, g, o, c_before, c, th, h):
    """The activations and states of one sample; a loop for each kind, since one over all would stay scalar."""
    for j in range(len(c)):
        a[j] = sigmoid32(a[j])
    for j in range(len(c)):
        f[j] = sigmoid32(f[j])
    for j in range(len(c)):
        g[j] = tanh32(g[j])
    for j in range(len(c)):
        o[j] = sigmoid32(o[j])
    for j in range(len(c)):
        c[j] = f[j] * c_before[j] + a[j] * g[j]
    for j in range(len(c)):
        th[j] = tanh32(c[j])
        h[j] = o[j] * th[j]


@njit(fastmath=FAST, error_model="numpy")
def turn(gates, product, b, c_before, c, th, h):
    """One turn: `gates` becomes the four activations."""
    size = c.shape[1]
    for i in range(len(c)):
        row = gates[i]
        for j in range(4 * size):
            row[j] += product[i, j] + b[j]
        activate(row[:size], row[size:2 * size], row[2 * size:3 * size], row[3 * size:], c_before[i], c[i], th[i], h[i])


@njit(fastmath=FAST, error_model="numpy")
def turn_back(gates, c_before, th, h, y, weight, dh, dc):
    """The adjoint of a turn: `gates` becomes the adjoint of what the activations take; ½ weight ‖h − y‖² of the turn."""
    size = th.shape[1]
    value = np.float32(0)
    for i in range(len(th)):
        for j in range(size):
            r = h[i, j] - y[i, j]
            value += r * r
            back = dh[i, j] + weight * r
            a, f, g, o = gates[i, j], gates[i, size + j], gates[i, 2 * size + j], gates[i, 3 * size + j]
            cell = dc[i, j] + back * o * (ONE - th[i, j] * th[i, j])
            gates[i, j] = cell * g * a * (ONE - a)
            gates[i, size + j] = cell * c_before[i, j] * f * (ONE - f)
            gates[i, 2 * size + j] = cell * a * (ONE - g * g)
            gates[i, 3 * size + j] = back * th[i, j] * o * (ONE - o)
            dc[i, j] = cell * f
    return HALF * weight * value


@njit(error_model="numpy")
def both_ways(X, Y, W, U, b, gates, C, TH, H, product, dh, dc, dW, dU, db):
    """Value and gradients; C and H begin with a turn of zeros."""
    turns, batch, features = X.shape
    size = U.shape[0]
    rows = turns * batch
    flat = gates.reshape((rows, 4 * size))
    np.dot(X.reshape((rows, features)), W, flat)
    for t in range(turns):
        np.dot(H[t], U, product)
        turn(gates[t], product, b, C[t], C[t + 1], TH[t], H[t + 1])
    dh[:], dc[:] = 0, 0
    value = 0.0
    weight = np.float32(1 / rows)
    transposed = U.T
    for k in range(turns):
        t = turns - 1 - k
        value += turn_back(gates[t], C[t], TH[t], H[t + 1], Y[t], weight, dh, dc)
        np.dot(gates[t], transposed, dh)
    np.dot(X.reshape((rows, features)).T, flat, dW)
    np.dot(H[:turns].reshape((rows, size)).T, flat, dU)
    db[:] = 0
    for i in range(rows):
        for j in range(4 * size):
            db[j] += flat[i, j]
    return value


def lstm(values: Values) -> Call:
    """Value and gradients."""
    X, Y, W, U, b = (values[name] for name in ("X", "Y", "W", "U", "b"))
    turns, batch, _ = X.shape
    size = len(U)

    def empty(*shape: int) -> np.ndarray:
        return np.zeros(shape, "float32")
    buffers = [empty(turns, batch, 4 * size), empty(turns + 1, batch, size), empty(turns, batch, size),
               empty(turns + 1, batch, size), empty(batch, 4 * size), empty(batch, size), empty(batch, size)]
    gradients = [np.empty_like(W), np.empty_like(U), np.empty_like(b)]
    return lambda: (both_ways(X, Y, W, U, b, *buffers, *gradients), gradients)
