"""Small networks: all in registers for XOR, BLAS with everything else fused for the perceptron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.handwritten.vector_mathematics import FAST, exp32, exp64
from benchmarks.lines.line import Values
from benchmarks.lines.networks import ADAM, LEARNING_RATE

Call = Callable[[], Any]
NET = ("W1", "b1", "w2", "b2")
LAYERS = ("W1", "b1", "W2", "b2")
BETA1, BETA2 = np.float32(ADAM["beta1"]), np.float32(ADAM["beta2"])
REST1, REST2 = np.float32(1 - ADAM["beta1"]), np.float32(1 - ADAM["beta2"])
RATE, EPS = np.float32(ADAM["learning_rate"]), np.float32(ADAM["eps"])


def packed(values: Values) -> np.ndarray:
    """All weights of the net for XOR in one vector: a call with fewer arguments is a shorter one."""
    return np.concatenate([values[name].ravel() for name in NET])


def parts(vector: np.ndarray, hidden: int) -> list[np.ndarray]:
    """The weights in their shapes, as views of the vector."""
    return [vector[:2 * hidden].reshape(2, hidden), vector[2 * hidden:3 * hidden], vector[3 * hidden:4 * hidden],
            vector[4 * hidden]]


def xor_kernel(hidden: int) -> Callable[..., Any]:
    """Value and gradient for a number of hidden units that the compiler knows."""
    @njit(fastmath=FAST, error_model="numpy")
    def kernel(X, y, p, g):
        value = 0.0
        g[:] = 0.0
        s = np.empty(hidden)
        for i in range(4):
            z = p[4 * hidden]
            for j in range(hidden):
                s[j] = 1.0 / (1.0 + exp64(-(X[i, 0] * p[j] + X[i, 1] * p[hidden + j] + p[2 * hidden + j])))
                z += s[j] * p[3 * hidden + j]
            o = 1.0 / (1.0 + exp64(-z))
            error = o - y[i]
            value += error * error
            back = 2 * error * o * (1.0 - o)
            g[4 * hidden] += back
            for j in range(hidden):
                inner = back * p[3 * hidden + j] * s[j] * (1.0 - s[j])
                g[3 * hidden + j] += back * s[j]
                g[2 * hidden + j] += inner
                g[j] += X[i, 0] * inner
                g[hidden + j] += X[i, 1] * inner
        return value
    return kernel


def xor(values: Values) -> Call:
    """Value and gradients."""
    hidden = len(values["b1"])
    X, y, p = values["X"], values["y"], packed(values)
    g = np.empty_like(p)
    kernel = xor_kernel(hidden)
    gradients = [*parts(g, hidden)[:3], g[4 * hidden:].reshape(())]
    return lambda: (kernel(X, y, p, g), gradients)


@njit(fastmath=FAST, error_model="numpy")
def descend(X, y, p, steps):
    """Gradient descent of the net 2-2-1; the weights are nine locals, the four samples the lanes of a vector."""
    x0, x1, t = np.empty(4), np.empty(4), np.empty(4)
    for i in range(4):
        x0[i], x1[i], t[i] = X[i, 0], X[i, 1], y[i]
    a, b, c, d, e, f, u, v, w = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
    for _ in range(steps):
        ga, gb, gc, gd, ge, gf, gu, gv, gw = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(4):
            s = 1.0 / (1.0 + exp64(-(x0[i] * a + x1[i] * c + e)))
            r = 1.0 / (1.0 + exp64(-(x0[i] * b + x1[i] * d + f)))
            o = 1.0 / (1.0 + exp64(-(s * u + r * v + w)))
            back = 2 * (o - t[i]) * o * (1.0 - o)
            hs, hr = back * u * s * (1.0 - s), back * v * r * (1.0 - r)
            gw += back
            gu += back * s
            gv += back * r
            ge += hs
            gf += hr
            ga += x0[i] * hs
            gb += x0[i] * hr
            gc += x1[i] * hs
            gd += x1[i] * hr
        a, b, c, d = a - LEARNING_RATE * ga, b - LEARNING_RATE * gb, c - LEARNING_RATE * gc, d - LEARNING_RATE * gd
        e, f = e - LEARNING_RATE * ge, f - LEARNING_RATE * gf
        u, v, w = u - LEARNING_RATE * gu, v - LEARNING_RATE * gv, w - LEARNING_RATE * gw
    return np.array([a, b, c, d, e, f, u, v, w])


def xor_training(values: Values) -> Call:
    """The weights after gradient descent."""
    X, y, p, steps = values["X"], values["y"], packed(values), int(values["steps"])
    return lambda: parts(descend(X, y, p, steps), 2)


@njit(fastmath=FAST, error_model="numpy")
def cross_entropy32(Z, labels):
    """The mean of −log softmax at the labels; Z becomes its gradient."""
    total = np.float32(0)
    share = np.float32(1) / np.float32(len(Z))
    for i in range(len(Z)):
        row = Z[i]
        top = row.max()
        sums = np.float32(0)
        total += top - row[labels[i]]
        for j in range(len(row)):
            row[j] = exp32(row[j] - top)
            sums += row[j]
        total += np.log(sums)
        scale = share / sums
        for j in range(len(row)):
            row[j] *= scale
        row[labels[i]] -= share
    return total * share


@njit(fastmath=FAST, error_model="numpy")
def column_sums(A, sums):
    """The sum of each column."""
    sums[:] = 0
    for i in range(len(A)):
        for j in range(A.shape[1]):
            sums[j] += A[i, j]


@njit(fastmath=FAST, error_model="numpy")
def adam(w, m, v, g, scale1, scale2, w_out, m_out, v_out):
    """One weight array's step of Adam, in one loop."""
    for i in range(len(w)):
        m_out[i] = BETA1 * m[i] + REST1 * g[i]
        v_out[i] = BETA2 * v[i] + REST2 * g[i] * g[i]
        w_out[i] = w[i] - RATE * (m_out[i] * scale1) / (np.sqrt(v_out[i] * scale2) + EPS)


@njit(fastmath=FAST, error_model="numpy")
def perceptron_gradients(X, labels, W1, b1, W2, b2, A, Z, D, G1, g1, G2, g2):
    """The loss and its gradients; A, Z, D hold what the layers give."""
    np.dot(X, W1, A)
    for i in range(len(A)):
        for j in range(A.shape[1]):
            A[i, j] = max(A[i, j] + b1[j], np.float32(0))
    np.dot(A, W2, Z)
    for i in range(len(Z)):
        for j in range(Z.shape[1]):
            Z[i, j] += b2[j]
    value = cross_entropy32(Z, labels)
    np.dot(A.T, Z, G2)
    column_sums(Z, g2)
    np.dot(Z, W2.T, D)
    for i in range(len(A)):
        for j in range(A.shape[1]):
            D[i, j] = D[i, j] if A[i, j] > 0 else np.float32(0)
    np.dot(X.T, D, G1)
    column_sums(D, g1)
    return value


def mlp_adam(values: Values) -> Call:
    """The loss, and weights, means and squares after a step; the arrays of one kind lie in one vector."""
    X, labels, t = values["X"], values["labels"], float(values["t"])
    weights = [values[name] for name in LAYERS]
    sizes = np.cumsum([w.size for w in weights])[:-1]

    def vector(prefix: str = "") -> np.ndarray:
        return np.concatenate([values[prefix + name].ravel() for name in LAYERS])

    def shaped(v: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(w.shape) for part, w in zip(np.split(v, sizes), weights, strict=True)]
    w, m, v = vector(), vector("m_"), vector("v_")
    g, w_out, m_out, v_out = (np.empty_like(w) for _ in range(4))
    now, gradients = shaped(w), shaped(g)
    buffers = [np.empty((len(X), size), "float32") for size in (128, 10, 128)]
    results = [*shaped(w_out), *shaped(m_out), *shaped(v_out)]
    scales = [np.float32(1 / (1 - ADAM[beta] ** t)) for beta in ("beta1", "beta2")]

    def call() -> Any:
        value = perceptron_gradients(X, labels, *now, *buffers, *gradients)
        adam(w, m, v, g, *scales, w_out, m_out, v_out)
        return value, results
    return call
