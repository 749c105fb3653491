"""Canonical losses, each written once as a formula.

Regressions, robust losses, generalised linear models, factorisations, mixtures, networks, kernels, quotients, series.

`GALLERY` maps a name to a function that builds a `Problem`: the loss, the symbols to differentiate by, and how to draw
concrete values for its symbols.  `python examples/gallery.py` prints the derivation of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import symdiff as sd

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
SIZES = {"n": 7, "m": 5, "d": 3, "k": 2, "h": 4, "c": 3}
n, m, d, k, h, c = sd.dims("n m d k h c")


@dataclass(frozen=True)
class Problem:
    """A loss, what it is differentiated by, and draws for symbols that are not standard normal."""

    loss: Any
    wrt: Any
    draws: dict[str, Draw] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A named problem of the gallery."""

    title: str
    build: Callable[[], Problem]


GALLERY: dict[str, Entry] = {}


def entry(build: Callable[[], Problem]) -> Callable[[], Problem]:
    """Put a problem into the gallery under the name of its function, with its docstring as title."""
    GALLERY[build.__name__] = Entry((build.__doc__ or "").rstrip("."), build)
    return build


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Numbers from 0.5 to 2."""
    return rng.uniform(0.5, 2.0, shape)


def zero_or_one(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """0.0 or 1.0."""
    return rng.integers(0, 2, shape).astype(float)


def counts(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Small counts."""
    return rng.integers(0, 6, shape).astype(float)


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """-1.0 or 1.0."""
    return rng.choice([-1.0, 1.0], shape)


def one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Rows with a single 1."""
    return np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]


def spread(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """A symmetric positive definite matrix."""
    a = rng.normal(size=shape)
    return a @ a.T / shape[0] + np.eye(shape[0])


def sample(problem: Problem, symbols: list[Any], seed: int = 0) -> dict[str, Any]:
    """Values for the symbols of a problem."""
    rng = np.random.default_rng(seed)
    values = {}
    for s in symbols:
        shape = tuple(size if isinstance(size, int) else SIZES[str(size)] for size in s.shape)
        values[s.name] = np.asarray(problem.draws.get(s.name, lambda r, t: r.normal(size=t))(rng, shape), dtype=float)
    return values


def data() -> tuple[Any, Any, Any]:
    """X, y, w of a regression."""
    return sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)


@entry
def linear() -> Problem:
    """Least squares."""
    X, y, w = data()
    return Problem(sd.sum((X @ w - y) ** 2), w)


@entry
def ridge() -> Problem:
    """Ridge regression."""
    X, y, w = data()
    lam = sd.symbol("lam")
    return Problem(sd.mean((X @ w - y) ** 2) + lam * sd.sum(w**2), w)


@entry
def lasso() -> Problem:
    """Smoothed lasso."""
    X, y, w = data()
    lam, eps = sd.symbols("lam eps")
    return Problem(sd.sum((X @ w - y) ** 2) / 2 + lam * sd.sum(sd.sqrt(w**2 + eps)), w, {"eps": positive})


@entry
def elastic_net() -> Problem:
    """Smoothed elastic net."""
    X, y, w = data()
    alpha, beta, eps = sd.symbols("alpha beta eps")
    penalty = alpha * sd.sum(sd.sqrt(w**2 + eps)) + beta * sd.sum(w**2) / 2
    return Problem(sd.sum((X @ w - y) ** 2) / 2 + penalty, w, {"eps": positive})


@entry
def weighted() -> Problem:
    """Weighted least squares."""
    X, y, w = data()
    s = sd.symbol("s", n)
    return Problem(sd.sum(s * (X @ w - y) ** 2), w, {"s": positive})


@entry
def huber() -> Problem:
    """Huber loss."""
    X, y, w = data()
    delta = sd.symbol("delta")
    r = X @ w - y
    return Problem(sd.sum(sd.where(abs(r) <= delta, r**2 / 2, delta * (abs(r) - delta / 2))), w, {"delta": positive})


@entry
def pseudo_huber() -> Problem:
    """Pseudo-Huber loss."""
    X, y, w = data()
    delta = sd.symbol("delta")
    return Problem(delta**2 * sd.sum(sd.sqrt(1 + ((X @ w - y) / delta) ** 2) - 1), w, {"delta": positive})


@entry
def log_cosh() -> Problem:
    """Log-cosh loss."""
    X, y, w = data()
    return Problem(sd.sum(sd.log(sd.cosh(X @ w - y))), w)


@entry
def quantile() -> Problem:
    """Smoothed quantile loss."""
    X, y, w = data()
    tau, eps = sd.symbols("tau eps")
    r = y - X @ w
    return Problem(sd.sum(tau * r + eps * sd.softplus(-r / eps)), w, {"tau": lambda g, t: 0.3, "eps": positive})


@entry
def logistic() -> Problem:
    """Logistic regression."""
    X, y, w = data()
    z = X @ w
    return Problem(sd.sum(sd.softplus(z) - y * z), w, {"y": zero_or_one})


@entry
def margin_logistic() -> Problem:
    """Logistic regression with labels of -1 and 1."""
    X, y, w = data()
    return Problem(sd.mean(sd.log(1 + sd.exp(-y * (X @ w)))), w, {"y": signs})


@entry
def softmax_regression() -> Problem:
    """Softmax regression."""
    X, Y, W = sd.symbol("X", (n, d)), sd.symbol("Y", (n, c)), sd.symbol("W", (d, c))
    Z = X @ W
    return Problem(sd.sum(sd.logsumexp(Z, axis=1)) - sd.sum(Y * Z), W, {"Y": one_hot})


@entry
def poisson() -> Problem:
    """Poisson regression."""
    X, y, w = data()
    z = X @ w
    return Problem(sd.sum(sd.exp(z) - y * z), w, {"y": counts})


@entry
def gamma_regression() -> Problem:
    """Gamma regression."""
    X, y, w = data()
    z = X @ w
    return Problem(sd.sum(z + y * sd.exp(-z)), w, {"y": positive})


@entry
def negative_binomial() -> Problem:
    """Negative binomial regression."""
    X, y, w = data()
    r = sd.symbol("r")
    z = X @ w
    return Problem(sd.sum((y + r) * sd.log(r + sd.exp(z)) - y * z), w, {"y": counts, "r": positive})


@entry
def probit() -> Problem:
    """Probit regression."""
    X, y, w = data()
    p = (1 + sd.erf(X @ w / np.sqrt(2))) / 2
    return Problem(-sd.sum(y * sd.log(p) + (1 - y) * sd.log(1 - p)), w, {"y": zero_or_one})


@entry
def gaussian_likelihood() -> Problem:
    """Gaussian likelihood with its variance."""
    X, y, w = data()
    s = sd.symbol("s")
    return Problem(sd.sum((X @ w - y) ** 2) / (2 * sd.exp(s)) + n * s / 2, [w, s])


@entry
def factorisation() -> Problem:
    """Masked matrix factorisation."""
    X, M = sd.symbol("X", (n, m)), sd.symbol("M", (n, m))
    U, V = sd.symbol("U", (n, k)), sd.symbol("V", (m, k))
    return Problem(sd.sum(((X - U @ V.T) * M) ** 2), U, {"M": zero_or_one})


@entry
def divergence_factorisation() -> Problem:
    """Non-negative factorisation by divergence."""
    X, W, H = sd.symbol("X", (n, m)), sd.symbol("W", (n, k)), sd.symbol("H", (k, m))
    return Problem(sd.sum(W @ H - X * sd.log(W @ H)), W, {"X": positive, "W": positive, "H": positive})


@entry
def principal_components() -> Problem:
    """Principal components."""
    X, W = sd.symbol("X", (n, d)), sd.symbol("W", (d, k))
    return Problem(sd.sum((X - X @ W @ W.T) ** 2), W)


@entry
def mixture() -> Problem:
    """Gaussian mixture with unit variances."""
    x, mu, a = sd.symbol("x", n), sd.symbol("mu", k), sd.symbol("a", k)
    return Problem(-sd.sum(sd.logsumexp(a - (x[:, None] - mu) ** 2 / 2, axis=1)) + n * sd.logsumexp(a), [mu, a])


@entry
def soft_kmeans() -> Problem:
    """Soft k-means."""
    X, C, beta = sd.symbol("X", (n, d)), sd.symbol("C", (k, d)), sd.symbol("beta")
    D = sd.sum(X**2, axis=1, keepdims=True) - 2 * X @ C.T + sd.sum(C**2, axis=1)
    return Problem(-sd.sum(sd.logsumexp(-beta * D, axis=1)) / beta, C, {"beta": positive})


@entry
def tanh_network() -> Problem:
    """Two-layer network, tanh."""
    X, y = sd.symbol("X", (n, d)), sd.symbol("y", n)
    W, v = sd.symbol("W", (d, h)), sd.symbol("v", h)
    return Problem(sd.mean((sd.tanh(X @ W) @ v - y) ** 2), [W, v])


@entry
def relu_network() -> Problem:
    """Two-layer network, relu."""
    X, y = sd.symbol("X", (n, d)), sd.symbol("y", n)
    W, b, v = sd.symbol("W", (d, h)), sd.symbol("b", h), sd.symbol("v", h)
    return Problem(sd.mean((sd.relu(X @ W + b) @ v - y) ** 2), [W, b])


@entry
def sigmoid_network() -> Problem:
    """Two-layer network, sigmoid."""
    X, y = sd.symbol("X", (n, d)), sd.symbol("y", n)
    W, v = sd.symbol("W", (d, h)), sd.symbol("v", h)
    return Problem(sd.sum((sd.sigmoid(sd.sigmoid(X @ W) @ v) - y) ** 2), [W, v], {"y": zero_or_one})


@entry
def classifier() -> Problem:
    """Three-layer classifier."""
    X, Y = sd.symbol("X", (n, d)), sd.symbol("Y", (n, c))
    W1, W2, W3 = sd.symbol("W1", (d, h)), sd.symbol("W2", (h, h)), sd.symbol("W3", (h, c))
    Z = sd.tanh(sd.tanh(X @ W1) @ W2) @ W3
    return Problem(-sd.sum(Y * sd.log_softmax(Z, axis=1)) / n, [W3], {"Y": one_hot})


@entry
def attention() -> Problem:
    """Attention."""
    Q, K, V = sd.symbol("Q", (n, d)), sd.symbol("K", (m, d)), sd.symbol("V", (m, k))
    Y = sd.symbol("Y", (n, k))
    return Problem(sd.sum((sd.softmax(Q @ K.T / sd.sqrt(sd.symbol("s"))) @ V - Y) ** 2) / 2, V, {"s": positive})


@entry
def attention_scores() -> Problem:
    """Attention scores."""
    Q, K, V = sd.symbol("Q", (n, d)), sd.symbol("K", (m, d)), sd.symbol("V", (m, k))
    G = sd.symbol("G", (n, k))
    return Problem(sd.sum(G * (sd.softmax(Q @ K.T) @ V)), Q)


@entry
def kernel_ridge() -> Problem:
    """Kernel ridge regression."""
    K, y, a, lam = sd.symbol("K", (n, n), symmetric=True), sd.symbol("y", n), sd.symbol("a", n), sd.symbol("lam")
    return Problem(sd.sum((K @ a - y) ** 2) + lam * a @ K @ a, a, {"K": spread})


@entry
def kernel_density() -> Problem:
    """Gaussian kernel density."""
    x, z, gamma = sd.symbol("x", n), sd.symbol("z", m), sd.symbol("gamma")
    return Problem(sd.sum(sd.exp(-gamma * (x[:, None] - z) ** 2)), z, {"gamma": positive})


@entry
def contrastive() -> Problem:
    """Contrastive loss."""
    A, B, tau = sd.symbol("A", (n, d)), sd.symbol("B", (n, d)), sd.symbol("tau")
    S = A @ B.T / tau
    return Problem(sd.mean(sd.logsumexp(S, axis=1)) - sd.trace(S) / n, A, {"tau": positive})


@entry
def triplet() -> Problem:
    """Triplet loss."""
    a, p, q = sd.symbol("a", d), sd.symbol("p", d), sd.symbol("q", d)
    return Problem(sd.relu(sd.sum((a - p) ** 2) - sd.sum((a - q) ** 2) + 1), a)


@entry
def squared_hinge() -> Problem:
    """Support vector machine, squared hinge."""
    X, y, w = data()
    lam = sd.symbol("lam")
    return Problem(sd.sum(sd.relu(1 - y * (X @ w)) ** 2) + lam * w @ w / 2, w, {"y": signs})


@entry
def rosenbrock() -> Problem:
    """Rosenbrock function."""
    x = sd.symbol("x", 2)
    return Problem(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, x)


@entry
def chained_rosenbrock() -> Problem:
    """Chained Rosenbrock function."""
    x = sd.symbol("x", n)
    return Problem(sd.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x)


@entry
def quadratic_form() -> Problem:
    """Quadratic form."""
    A, x = sd.symbol("A", (d, d)), sd.symbol("x", d)
    return Problem(x @ A @ x, x)


@entry
def bilinear_form() -> Problem:
    """Bilinear form."""
    A, x, y = sd.symbol("A", (n, d)), sd.symbol("x", n), sd.symbol("y", d)
    return Problem(x @ A @ y, [x, y])


@entry
def rayleigh() -> Problem:
    """Rayleigh quotient."""
    A, x = sd.symbol("A", (d, d), symmetric=True), sd.symbol("x", d)
    return Problem((x @ A @ x) / (x @ x), x, {"A": spread})


@entry
def generalised_rayleigh() -> Problem:
    """Generalised Rayleigh quotient."""
    A, B = sd.symbol("A", (d, d), symmetric=True), sd.symbol("B", (d, d), symmetric=True)
    x = sd.symbol("x", d)
    return Problem((x @ A @ x) / (x @ B @ x), x, {"A": spread, "B": spread})


@entry
def log_sum_exp() -> Problem:
    """Log-sum-exp."""
    A, x = sd.symbol("A", (n, d)), sd.symbol("x", d)
    return Problem(sd.logsumexp(A @ x), x)


@entry
def entropy() -> Problem:
    """Negative entropy."""
    p = sd.symbol("p", n)
    return Problem(sd.sum(p * sd.log(p)), p, {"p": positive})


@entry
def divergence() -> Problem:
    """Kullback-Leibler divergence."""
    p, q = sd.symbol("p", n), sd.symbol("q", n)
    return Problem(sd.sum(p * sd.log(p / q)), q, {"p": positive, "q": positive})


@entry
def cross_entropy() -> Problem:
    """Cross-entropy of a softmax."""
    x, y = sd.symbol("x", c), sd.symbol("y", c)
    return Problem(-sd.sum(y * sd.log(sd.softmax(x))), x, {"y": positive})


@entry
def kalman() -> Problem:
    """Kalman update."""
    x, m_ = sd.symbol("x", d), sd.symbol("m", d)
    P, R = sd.symbol("P", (d, d), symmetric=True), sd.symbol("R", (n, n), symmetric=True)
    H, y = sd.symbol("H", (n, d)), sd.symbol("y", n)
    return Problem(((x - m_) @ P @ (x - m_) + (y - H @ x) @ R @ (y - H @ x)) / 2, x, {"P": spread, "R": spread})


@entry
def total_variation() -> Problem:
    """Smoothed total variation."""
    x, y, lam, eps = sd.symbol("x", n), sd.symbol("y", n), *sd.symbols("lam eps")
    return Problem(sd.sum((x - y) ** 2) / 2 + lam * sd.sum(sd.sqrt((x[1:] - x[:-1]) ** 2 + eps)), x, {"eps": positive})


@entry
def autoregression() -> Problem:
    """Autoregression of order 2."""
    x, a, b = sd.symbol("x", n), *sd.symbols("a b")
    return Problem(sd.sum((x[2:] - a * x[1:-1] - b * x[:-2]) ** 2), [a, b])


@entry
def filter_fit() -> Problem:
    """One-dimensional filter."""
    x, f = sd.symbol("x", 8), sd.symbol("f", 3)
    y = sd.symbol("y", 6)
    return Problem(sd.sum((f[0] * x[:-2] + f[1] * x[1:-1] + f[2] * x[2:] - y) ** 2), f)


@entry
def trace_quadratic() -> Problem:
    """Trace of a quadratic."""
    A, X = sd.symbol("A", (n, n)), sd.symbol("X", (n, d))
    return Problem(sd.trace(X.T @ A @ X), X)


@entry
def procrustes() -> Problem:
    """Procrustes problem."""
    A, B, R = sd.symbol("A", (n, d)), sd.symbol("B", (n, d)), sd.symbol("R", (d, d))
    return Problem(sd.sum((A @ R - B) ** 2), R)


@entry
def mahalanobis() -> Problem:
    """Mahalanobis distance to a mean."""
    X, mu, P = sd.symbol("X", (n, d)), sd.symbol("mu", d), sd.symbol("P", (d, d), symmetric=True)
    D = X - mu
    return Problem(sd.sum((D @ P) * D) / 2, mu, {"P": spread})


@entry
def partial_likelihood() -> Problem:
    """Partial likelihood of survival times."""
    X, w = sd.symbol("X", (n, d)), sd.symbol("w", d)
    R, e = sd.symbol("R", (n, n)), sd.symbol("e", n)
    z = X @ w
    return Problem(e @ (sd.log(R @ sd.exp(z)) - z), w, {"R": lambda g, t: np.triu(np.ones(t)), "e": zero_or_one})


@entry
def bradley_terry() -> Problem:
    """Bradley-Terry model."""
    C, s = sd.symbol("C", (n, n)), sd.symbol("s", n)
    return Problem(sd.sum(C * sd.softplus(s - s[:, None])), s, {"C": counts})


if __name__ == "__main__":
    for name, item in GALLERY.items():
        problem = item.build()
        print(f"{item.title} ({name})\n{sd.derivation(problem.loss, problem.wrt)}\n")
