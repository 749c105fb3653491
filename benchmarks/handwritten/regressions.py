"""Regressions in one pass over the samples.

Blocks of rows stay in the cache between the two products, so that memory is read once; Hessians add up a product of each
block's scaled rows with themselves (BLAS syrk).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from scipy.linalg.blas import dsyrk

from benchmarks.handwritten.vector_mathematics import FAST, exp64
from benchmarks.lines.line import Values

Call = Callable[[], Any]
# Rows of a block: few where nothing else is done with them, as many as pay off a vector loop of exponentials; panels for
# BLAS fill half of the second-level cache.
FEW, BLOCK, PANEL = 16, 64, 512


@njit(fastmath=FAST, error_model="numpy")
def scores(X, w, start, stop, z):
    """X w of a block of rows."""
    for i in range(start, stop):
        total = 0.0
        for j in range(len(w)):
            total += X[i, j] * w[j]
        z[i - start] = total


@njit(fastmath=FAST, error_model="numpy")
def add_rows(X, start, stop, r, g):
    """g += r X of a block of rows, four at a time, so that g is loaded and stored a quarter as often."""
    i = start
    while i + 4 <= stop:
        a, b, c, d = r[i - start], r[i - start + 1], r[i - start + 2], r[i - start + 3]
        for j in range(len(g)):
            g[j] += a * X[i, j] + b * X[i + 1, j] + c * X[i + 2, j] + d * X[i + 3, j]
        i += 4
    while i < stop:
        a = r[i - start]
        for j in range(len(g)):
            g[j] += a * X[i, j]
        i += 1


@njit(fastmath=FAST, error_model="numpy")
def squares_blocks(X, y, w, g):
    """Mean squares and their gradient."""
    r = np.empty(FEW)
    g[:] = 0.0
    value = 0.0
    for start in range(0, len(X), FEW):
        stop = min(start + FEW, len(X))
        scores(X, w, start, stop, r)
        for i in range(stop - start):
            r[i] -= y[start + i]
            value += r[i] * r[i]
        add_rows(X, start, stop, r, g)
    for j in range(len(g)):
        g[j] *= 2 / len(X)
    return value / len(X)


def linear(values: Values) -> Call:
    """Mean squares and gradient."""
    X, y, w = values["X"], values["y"], values["w"]
    g = np.empty_like(w)
    return lambda: (squares_blocks(X, y, w, g), g)


@njit(fastmath=FAST, error_model="numpy")
def losses(z, y, start, count, r):
    """Σ log(1 + eᶻ) − y z of a block; r = σ(z) − y, and z becomes σ(z) σ(−z).

    The logarithms are one: of the product of 1 + e^−|z|, which 2 to the number of rows bounds.
    """
    total, product = 0.0, 1.0
    for i in range(count):
        e = exp64(-abs(z[i]))
        label = y[start + i]
        total += max(z[i], 0.0) - label * z[i]
        product *= 1.0 + e
        inverse = 1.0 / (1.0 + e)
        r[i] = (inverse if z[i] >= 0 else e * inverse) - label
        z[i] = e * inverse * inverse
    return total + np.log(product)


@njit(fastmath=FAST, error_model="numpy")
def logistic_blocks(X, y, w, g):
    """Value and gradient of the logistic loss."""
    z, r = np.empty(BLOCK), np.empty(BLOCK)
    g[:] = 0.0
    value = 0.0
    for start in range(0, len(X), BLOCK):
        stop = min(start + BLOCK, len(X))
        scores(X, w, start, stop, z)
        value += losses(z, y, start, stop - start, r)
        add_rows(X, start, stop, r, g)
    return value


def logistic(values: Values) -> Call:
    """Value and gradient."""
    X, y, w = values["X"], values["y"], values["w"]
    g = np.empty_like(w)
    return lambda: (logistic_blocks(X, y, w, g), g)


@njit(fastmath=FAST, error_model="numpy")
def logistic_panel(X, y, w, g, first, last, panel):
    """Value and gradient of some rows; `panel` is filled with their rows times √(σ(z) σ(−z))."""
    z, r = np.empty(BLOCK), np.empty(BLOCK)
    value = 0.0
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        scores(X, w, start, stop, z)
        value += losses(z, y, start, stop - start, r)
        add_rows(X, start, stop, r, g)
        for i in range(start, stop):
            root = np.sqrt(z[i - start])
            for j in range(len(w)):
                panel[i - first, j] = root * X[i, j]
    return value


@njit(error_model="numpy")
def mirror(half, full):
    """The symmetric matrix whose upper half (in Fortran's order) is given, times ±1 already."""
    for i in range(len(full)):
        for j in range(i + 1):
            full[i, j] = full[j, i] = half[j, i]


def logistic_hessian(values: Values) -> Call:
    """Value, gradient and Hessian."""
    X, y, w = values["X"], values["y"], values["w"]
    d = len(w)
    g, H, half = np.empty_like(w), np.empty((d, d)), np.empty((d, d), order="F")
    panel = np.empty((PANEL, d))

    def call() -> Any:
        g[:], half[:] = 0.0, 0.0
        value = 0.0
        for first in range(0, len(X), PANEL):
            last = min(first + PANEL, len(X))
            value += logistic_panel(X, y, w, g, first, last, panel)
            dsyrk(1.0, panel[:last - first].T, beta=1.0, c=half, overwrite_c=1)
        mirror(half, H)
        return value, g, H
    return call


@njit(fastmath=FAST, error_model="numpy")
def hvp_blocks(X, w, v, h):
    """Xᵀ (σ(z) σ(−z) (X v))."""
    z, t, r = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    h[:] = 0.0
    for start in range(0, len(X), BLOCK):
        stop = min(start + BLOCK, len(X))
        for i in range(start, stop):
            first, second = 0.0, 0.0
            for j in range(len(w)):
                first += X[i, j] * w[j]
                second += X[i, j] * v[j]
            z[i - start], t[i - start] = first, second
        for i in range(stop - start):
            e = exp64(-abs(z[i]))
            r[i] = e / ((1.0 + e) * (1.0 + e)) * t[i]
        add_rows(X, start, stop, r, h)


def logistic_hvp(values: Values) -> Call:
    """The Hessian times a vector."""
    X, w, v = values["X"], values["w"], values["v"]
    h = np.empty_like(w)

    def call() -> Any:
        hvp_blocks(X, w, v, h)
        return (h,)
    return call


def class_panels(classes: int) -> Callable[..., Any]:
    """What the softmax regression does with some rows, for a number of classes that the compiler knows."""
    @njit(fastmath=FAST, error_model="numpy")
    def fill(X, Y, W, gradient, first, last, wide, P):
        value = 0.0
        features = len(W)
        for i in range(first, last):
            row = P[i - first]
            row[:] = 0.0
            for j in range(features):
                for a in range(classes):
                    row[a] += X[i, j] * W[j, a]
            top = row.max()
            total = 0.0
            for a in range(classes):
                value -= Y[i, a] * row[a]
                row[a] = exp64(row[a] - top)
                total += row[a]
            value += top + np.log(total)
            for a in range(classes):
                row[a] /= total
            for j in range(features):
                for a in range(classes):
                    gradient[j, a] += X[i, j] * (row[a] - Y[i, a])
                    wide[i - first, j * classes + a] = X[i, j] * row[a]
        return value
    return fill


@njit(fastmath=FAST, error_model="numpy")
def class_scaled(X, P, a, first, last, panel):
    """The rows times √p of a class."""
    for i in range(last - first):
        root = np.sqrt(P[i, a])
        for j in range(X.shape[1]):
            panel[i, j] = root * X[first + i, j]


def softmax_hessian(values: Values) -> Call:
    """Value, gradient and Hessian: Σ xxᵀ ⊗ diag(p) less one product of the wide matrix x ⊗ p with itself."""
    X, Y, W = values["X"], values["Y"], values["W"]
    d, k = W.shape
    fill = class_panels(k)
    G, H, half = np.empty((d, k)), np.empty((d * k, d * k)), np.empty((d * k, d * k), order="F")
    blocks = [np.empty((d, d), order="F") for _ in range(k)]
    wide, P, panel = np.empty((PANEL, d * k)), np.empty((PANEL, k)), np.empty((PANEL, d))

    def call() -> Any:
        G[:], half[:] = 0.0, 0.0
        for block in blocks:
            block[:] = 0.0
        value = 0.0
        for first in range(0, len(X), PANEL):
            last = min(first + PANEL, len(X))
            value += fill(X, Y, W, G, first, last, wide, P)
            dsyrk(-1.0, wide[:last - first].T, beta=1.0, c=half, overwrite_c=1)
            for a, block in enumerate(blocks):
                class_scaled(X, P, a, first, last, panel)
                dsyrk(1.0, panel[:last - first].T, beta=1.0, c=block, overwrite_c=1)
        for a, block in enumerate(blocks):
            half[a::k, a::k] += block
        mirror(half, H)
        return value, G, H.reshape(d, k, d, k)
    return call
