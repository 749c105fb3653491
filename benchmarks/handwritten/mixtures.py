"""The Gaussian mixture with two matrix products for all components together.

Q (x − μ) is Q x − Q μ, so the factors of all components side by side make one product with the samples, and one more
backward; everything else happens on a block of rows that stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.handwritten.vector_mathematics import FAST, exp64
from benchmarks.lines.line import Values
from benchmarks.lines.mixtures import EXTRA, GAMMA, prior_constant

Call = Callable[[], Any]
# The second-level cache holds this many numbers twice over.
CACHED = 50_000


@njit(error_model="numpy")
def unpack(icf, means, Q, Qm):
    """The triangular factors one below the other, and their products with the means."""
    k, d = means.shape
    for a in range(k):
        place = d
        for j in range(d):
            Q[a * d + j, j] = np.exp(icf[a, j])
            for i in range(j + 1, d):
                Q[a * d + i, j] = icf[a, place]
                place += 1
        for i in range(d):
            total = 0.0
            for j in range(i + 1):
                total += Q[a * d + i, j] * means[a, j]
            Qm[a * d + i] = total


@njit(fastmath=FAST, error_model="numpy")
def block_of_rows(Z, Qm, base, shares, pulls, k, d):
    """Σ logsumexp of the scores; Z = Q x becomes the adjoint of Q (x − μ), whose sums over samples are added to `pulls`."""
    value = 0.0
    score = np.empty(k)
    for i in range(len(Z)):
        row = Z[i]
        for a in range(k):
            total = 0.0
            for j in range(a * d, (a + 1) * d):
                z = row[j] - Qm[j]
                row[j] = z
                total += z * z
            score[a] = base[a] - 0.5 * total
        top = score.max()
        total = 0.0
        for a in range(k):
            score[a] = exp64(score[a] - top)
            total += score[a]
        value += top + np.log(total)
        for a in range(k):
            share = score[a] / total
            shares[a] += share
            for j in range(a * d, (a + 1) * d):
                row[j] *= -share
                pulls[j] += row[j]
    return value


@njit(error_model="numpy")
def mixture_pass(x, Q, Qm, base, Z, shares, pulls, G):
    """All blocks; G adds up the adjoint of Q as if all of it multiplied x."""
    value = 0.0
    k, d = len(base), x.shape[1]
    for start in range(0, len(x), len(Z)):
        rows = x[start:start + len(Z)]
        block = Z[:len(rows)]
        np.dot(rows, Q.T, block)
        value += block_of_rows(block, Qm, base, shares, pulls, k, d)
        G += np.dot(block.T, rows)
    return value


@njit(fastmath=FAST, error_model="numpy")
def finish(icf, means, Q, G, pulls, shares, g_means, g_icf):
    """The gradients in means and packed factors; what the prior adds to the value."""
    k, d = means.shape
    prior = 0.0
    for a in range(k):
        for j in range(d):
            g_means[a, j] = 0.0
        place = d
        for j in range(d):
            diagonal = Q[a * d + j, j]
            slope = G[a * d + j, j] - pulls[a * d + j] * means[a, j]
            g_icf[a, j] = slope * diagonal + shares[a] + GAMMA**2 * diagonal * diagonal - EXTRA
            g_means[a, j] -= pulls[a * d + j] * diagonal
            prior += GAMMA**2 / 2 * diagonal * diagonal - EXTRA * icf[a, j]
            for i in range(j + 1, d):
                below = icf[a, place]
                g_icf[a, place] = G[a * d + i, j] - pulls[a * d + i] * means[a, j] + GAMMA**2 * below
                g_means[a, j] -= pulls[a * d + i] * below
                prior += GAMMA**2 / 2 * below * below
                place += 1
    return prior


def gmm(values: Values) -> Call:
    """Value and gradients."""
    x, alphas, means, icf = values["x"], values["alphas"], values["means"], values["icf"]
    (n, d), k = x.shape, len(alphas)
    Q, Qm, Z = np.zeros((k * d, d)), np.empty(k * d), np.empty((max(1, min(n, CACHED // (k * d))), k * d))
    shares, pulls, G = np.empty(k), np.empty(k * d), np.empty((k * d, d))
    g_means, g_icf = np.empty_like(means), np.empty_like(icf)
    constant = prior_constant(n, d, k)

    def call() -> Any:
        unpack(icf, means, Q, Qm)
        shares[:], pulls[:], G[:] = 0.0, 0.0, 0.0
        value = mixture_pass(x, Q, Qm, alphas + icf[:, :d].sum(axis=1), Z, shares, pulls, G)
        prior = finish(icf, means, Q, G, pulls, shares, g_means, g_icf)
        top = alphas.max()
        weights = np.exp(alphas - top)
        total = weights.sum()
        return value + prior + constant - n * (top + np.log(total)), shares - n / total * weights, g_means, g_icf
    return call
