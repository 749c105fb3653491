"""A convolutional network with channels last: the first convolution by shifts, the second by one matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.handwritten.networks import column_sums, cross_entropy32
from benchmarks.handwritten.vector_mathematics import FAST
from benchmarks.lines.images import LEARNING_RATE, WEIGHTS
from benchmarks.lines.line import Values

Call = Callable[[], Any]
ZERO, RATE = np.float32(0), np.float32(LEARNING_RATE)
FIRST, SECOND = 16, 32


@njit(fastmath=FAST, error_model="numpy")
def first_layer(image, K, b, full, small, place):
    """Convolution of a padded image, relu and pooling; `small` has a margin of zeros, `place` tells the largest of four."""
    for i in range(8):
        for j in range(8):
            for o in range(FIRST):
                total = b[o]
                for p in range(3):
                    for q in range(3):
                        total += image[i + p, j + q] * K[3 * p + q, o]
                full[i, j, o] = total
    for i in range(4):
        for j in range(4):
            for o in range(FIRST):
                top, where = full[2 * i, 2 * j, o], 0
                for k in range(1, 4):
                    seen = full[2 * i + k // 2, 2 * j + k % 2, o]
                    where = k if seen > top else where
                    top = max(top, seen)
                small[1 + i, 1 + j, o] = max(top, ZERO)
                place[i, j, o] = where if top > 0 else -1


@njit(fastmath=FAST, error_model="numpy")
def first_layer_back(image, dsmall, place, dfull, dK, db):
    """The gradients of the first convolution."""
    for i in range(4):
        for j in range(4):
            for o in range(FIRST):
                back = dsmall[1 + i, 1 + j, o]
                where = place[i, j, o]
                for k in range(4):
                    dfull[2 * i + k // 2, 2 * j + k % 2, o] = back if where == k else ZERO
                db[o] += back if where >= 0 else ZERO
    for p in range(3):
        for q in range(3):
            for i in range(8):
                for j in range(8):
                    x = image[i + p, j + q]
                    for o in range(FIRST):
                        dK[3 * p + q, o] += x * dfull[i, j, o]


@njit(fastmath=FAST, error_model="numpy")
def unfold(small, columns):
    """The 3 × 3 surroundings of each of the 16 pixels as rows."""
    for i in range(4):
        for j in range(4):
            for p in range(3):
                for q in range(3):
                    for c in range(FIRST):
                        columns[4 * i + j, (3 * p + q) * FIRST + c] = small[i + p, j + q, c]


@njit(fastmath=FAST, error_model="numpy")
def fold(columns, dsmall):
    """The adjoint of `unfold`."""
    dsmall[:] = 0
    for i in range(4):
        for j in range(4):
            for p in range(3):
                for q in range(3):
                    for c in range(FIRST):
                        dsmall[i + p, j + q, c] += columns[4 * i + j, (3 * p + q) * FIRST + c]


@njit(fastmath=FAST, error_model="numpy")
def second_pool(full, b, flat, place):
    """Bias, relu and pooling of the second layer's 16 pixels."""
    for i in range(2):
        for j in range(2):
            for o in range(SECOND):
                top, where = full[8 * i + 2 * j, o], 0
                for k in range(1, 4):
                    seen = full[8 * i + 2 * j + 4 * (k // 2) + k % 2, o]
                    where = k if seen > top else where
                    top = max(top, seen)
                top += b[o]
                flat[(2 * i + j) * SECOND + o] = max(top, ZERO)
                place[2 * i + j, o] = where if top > 0 else -1


@njit(fastmath=FAST, error_model="numpy")
def second_pool_back(dflat, place, dfull):
    """The adjoint of `second_pool`."""
    for i in range(2):
        for j in range(2):
            for o in range(SECOND):
                back, where = dflat[(2 * i + j) * SECOND + o], place[2 * i + j, o]
                for k in range(4):
                    dfull[8 * i + 2 * j + 4 * (k // 2) + k % 2, o] = back if where == k else ZERO


@njit(error_model="numpy")
def both_ways(images, labels, K1, b1, K2, b2, W, c, full, small, place1, columns, product, flat, place2, Z, dflat, dproduct,
              dfull, dsmall, gradients):
    """The loss; the gradients of the weights, which come in the layout with channels last."""
    n = len(images)
    dK1, db1, dK2, db2, dW, dc = gradients
    for i in range(n):
        first_layer(images[i], K1, b1, full, small[i], place1[i])
        unfold(small[i], columns[16 * i:16 * i + 16])
    np.dot(columns, K2, product)
    for i in range(n):
        second_pool(product[16 * i:16 * i + 16], b2, flat[i], place2[i])
    np.dot(flat, W, Z)
    for i in range(n):
        for j in range(len(c)):
            Z[i, j] += c[j]
    value = cross_entropy32(Z, labels)
    np.dot(flat.T, Z, dW)
    column_sums(Z, dc)
    np.dot(Z, W.T, dflat)
    for i in range(n):
        second_pool_back(dflat[i], place2[i], dproduct[16 * i:16 * i + 16])
    np.dot(columns.T, dproduct, dK2)
    column_sums(dproduct, db2)
    np.dot(dproduct, K2.T, columns)
    dK1[:], db1[:] = 0, 0
    for i in range(n):
        fold(columns[16 * i:16 * i + 16], dsmall)
        first_layer_back(images[i], dsmall, place1[i], dfull, dK1, db1)
    return value


@njit(fastmath=FAST, error_model="numpy")
def channels_last(K1, K2, W, k1, k2, w):
    """The weights in the layout of the loops."""
    for o in range(FIRST):
        for p in range(9):
            k1[p, o] = K1[o, 0, p // 3, p % 3]
    for o in range(SECOND):
        for c in range(FIRST):
            for p in range(9):
                k2[p * FIRST + c, o] = K2[o, c, p // 3, p % 3]
        for p in range(4):
            w[p * SECOND + o] = W[4 * o + p]


@njit(fastmath=FAST, error_model="numpy")
def stepped(K1, b1, K2, b2, W, c, gradients, results):
    """The weights less the rate times their gradients."""
    dK1, db1, dK2, db2, dW, dc = gradients
    new_K1, new_b1, new_K2, new_b2, new_W, new_c = results
    for o in range(FIRST):
        new_b1[o] = b1[o] - RATE * db1[o]
        for p in range(9):
            new_K1[o, 0, p // 3, p % 3] = K1[o, 0, p // 3, p % 3] - RATE * dK1[p, o]
    for o in range(SECOND):
        new_b2[o] = b2[o] - RATE * db2[o]
        for c_in in range(FIRST):
            for p in range(9):
                new_K2[o, c_in, p // 3, p % 3] = K2[o, c_in, p // 3, p % 3] - RATE * dK2[p * FIRST + c_in, o]
        for p in range(4):
            for j in range(len(c)):
                new_W[4 * o + p, j] = W[4 * o + p, j] - RATE * dW[p * SECOND + o, j]
    for j in range(len(c)):
        new_c[j] = c[j] - RATE * dc[j]


def cnn_sgd(values: Values) -> Call:
    """The loss, and the weights after a step."""
    n, labels = len(values["x"]), values["labels"]
    images = np.pad(values["x"][:, 0], ((0, 0), (1, 1), (1, 1)))
    K1, b1, K2, b2, W, c = (values[name] for name in WEIGHTS)

    def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
        return np.zeros(shape, dtype)
    k1, k2, w = zeros(9, FIRST), zeros(9 * FIRST, SECOND), zeros(4 * SECOND, 10)
    buffers = [zeros(8, 8, FIRST), zeros(n, 6, 6, FIRST), zeros(n, 4, 4, FIRST, dtype="int32"), zeros(16 * n, 9 * FIRST),
               zeros(16 * n, SECOND), zeros(n, 4 * SECOND), zeros(n, 4, SECOND, dtype="int32"), zeros(n, 10),
               zeros(n, 4 * SECOND), zeros(16 * n, SECOND), zeros(8, 8, FIRST), zeros(6, 6, FIRST)]
    gradients = tuple(np.zeros_like(a) for a in (k1, b1, k2, b2, w, c))
    results = tuple(np.empty_like(values[name]) for name in WEIGHTS)

    def call() -> Any:
        channels_last(K1, K2, W, k1, k2, w)
        value = both_ways(images, labels, k1, b1, k2, b2, w, c, *buffers, gradients)
        stepped(K1, b1, K2, b2, W, c, gradients, results)
        return value, results
    return call
