"""The Gaussian mixture of ADBench (Šrajer, Kukelova, Fitzgibbon, 2018): weights, means, inverse Cholesky factors."""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, pi
from typing import Any

import numpy as np

from benchmarks.lines.line import Array, Line, Values, Work, scaled, softmax

# The parameters of the Wishart prior.
GAMMA, EXTRA = 1.0, 0


def mixture(n: int, d: int, k: int) -> Callable[[float], Values]:
    """Samples, and the parameters of k components: the logarithms of the diagonals, then the lower triangles by columns."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        return {"x": rng.standard_normal((scaled(n, scale), d)), "alphas": rng.standard_normal(k),
                "means": rng.random((k, d)), "icf": rng.standard_normal((k, d * (d + 1) // 2)) / d}
    return data


def triangle_positions(d: int) -> tuple[Array, Array]:
    """Row and column of each number of a triangle that is packed by columns."""
    columns, rows = np.triu_indices(d, 1)
    return rows, columns


def prior_constant(n: int, d: int, k: int) -> float:
    """What the objective adds that depends on no parameter: of the normal densities, and of the Wishart prior."""
    degrees = d + EXTRA + 1
    log_gamma = d * (d - 1) / 4 * log(pi) + sum(lgamma(degrees / 2 - j / 2) for j in range(d))
    return -n * d / 2 * log(2 * pi) - k * (degrees * d * (log(GAMMA) - log(2) / 2) - log_gamma)


def gmm(v: Values) -> list[Any]:
    """Σᵢ logsumexpₖ(αₖ + log det Qₖ − ½ ‖Qₖ (xᵢ − μₖ)‖²) − n logsumexp(α) + the prior, and its gradients."""
    x, alphas, means, icf = v["x"], v["alphas"], v["means"], v["icf"]
    (n, d), k = x.shape, len(alphas)
    rows, columns = triangle_positions(d)
    Q = np.zeros((k, d, d))
    Q[:, range(d), range(d)] = np.exp(icf[:, :d])
    Q[:, rows, columns] = icf[:, d:]
    centred = x[None] - means[:, None]
    z = centred @ Q.transpose(0, 2, 1)
    scores = (alphas + icf[:, :d].sum(axis=1))[:, None] - 0.5 * np.sum(z**2, axis=2)
    top = scores.max(axis=0)
    value = np.sum(top + np.log(np.exp(scores - top).sum(axis=0)))
    peak = alphas.max()
    value -= n * (peak + np.log(np.exp(alphas - peak).sum()))
    squares = np.sum(np.exp(icf[:, :d]) ** 2) + np.sum(icf[:, d:] ** 2)
    value += GAMMA**2 / 2 * squares - EXTRA * icf[:, :d].sum() + prior_constant(n, d, k)
    share = softmax(scores.T).T
    pull = -share[:, :, None] * z
    back = pull.transpose(0, 2, 1) @ centred
    diagonal = np.exp(icf[:, :d])
    slope = np.concatenate([back[:, range(d), range(d)] * diagonal + share.sum(axis=1)[:, None] + GAMMA**2 * diagonal**2 - EXTRA,
                            back[:, rows, columns] + GAMMA**2 * icf[:, d:]], axis=1)
    return [value, share.sum(axis=1) - n * softmax(alphas), -(pull.sum(axis=1)[:, None] @ Q)[:, 0], slope]


def products(values: Values) -> Work:
    """Q (x − μ) for each sample and component, and its adjoint in Q; half of each, Q being triangular."""
    (n, d), k = values["x"].shape, len(values["alphas"])
    return Work(products=2 * n * k * d * d)


LINES = [
    Line("10a", "Gaussian mixture (ADBench), d = 10, k = 25, n = 1,000", "gmm", mixture(1_000, 10, 25), gmm, products),
    Line("10b", "Gaussian mixture (ADBench), d = 64, k = 25, n = 1,000", "gmm", mixture(1_000, 64, 25), gmm, products),
]
