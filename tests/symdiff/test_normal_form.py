"""The normal form: random nests of sums and products end, mean what NumPy computes, and have one form.

`grow` builds an expression and, beside it, the NumPy array that the same steps give without any normal form.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.evaluation import evaluate_nodes
from symdiff.expression import TABLE, Add, Node, Product
from symdiff.normal_form import add, product
from symdiff.traversal import topological

Array = np.ndarray[Any, Any]
Pair = tuple[Any, Array]
Step = Callable[[np.random.Generator, Pair, Pair], tuple[Any, Any] | None]

SEED = 20260711
NESTS = 2000
SIZES = {"n": 4, "m": 3, "k": 5}
SHAPES: tuple[tuple[int | str, ...], ...] = ((), ("n",), ("m",), (6,), ("n", "m"), ("m", "n"), ("n", "n"), (6, 6), (2, 3),
                                             ("m", 4), ("k", "n"), (2, "n", 3))
LARGEST = 1500


def leaves(rng: np.random.Generator) -> tuple[list[Pair], dict[Node, Array]]:
    """Symbols of all shapes with values, and a known array, numbers, an identity, a function of a symbol."""
    values: dict[Node, Array] = {}
    pairs: list[Pair] = []
    for number, shape in enumerate(SHAPES):
        symbol = sd.symbol(f"s{number}", shape)
        values[symbol] = rng.uniform(-1, 1, tuple(SIZES[s] if isinstance(s, str) else s for s in shape))
        pairs.append((symbol, values[symbol]))
    symmetric = sd.symbol("S", ("n", "n"), symmetric=True)
    half = rng.uniform(-1, 1, (4, 4))
    values[symmetric] = half + half.T
    known = np.round(rng.uniform(-1, 1, (2, 3)), 2)
    pairs += [(symmetric, values[symmetric]), (sd.constant(known), known), (sd.eye("n"), np.eye(4)),
              (sd.ones(("n", "m")), np.ones((4, 3))), (sd.tanh(pairs[4][0]), np.tanh(pairs[4][1])),
              (pairs[6][0] @ pairs[6][0].T, pairs[6][1] @ pairs[6][1].T)]
    return pairs, values


def conform(a: Pair, b: Pair) -> bool:
    """Whether two shapes broadcast, as sizes and not by chance."""
    x, y = a[0].shape[::-1], b[0].shape[::-1]
    return all(p == q or p == 1 or q == 1 for p, q in zip(x, y, strict=False))


def both(f: Callable[..., Any], *pairs: Pair) -> tuple[Any, Any]:
    """f of the expressions and of the arrays."""
    return f(*[p[0] for p in pairs]), f(*[p[1] for p in pairs])


def matmul(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if not a[0].ndim or not b[0].ndim or a[0].shape[-1] != b[0].shape[max(b[0].ndim - 2, 0)]:
        return None
    if a[0].ndim > 2 or b[0].ndim > 2:
        return None
    return both(lambda x, y: x @ y, a, b)


def pick_slice(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if not a[0].ndim or min(a[1].shape) < 3:
        return None
    cuts = [slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, None, 2), slice(1, -1), slice(None)]
    index = tuple(cuts[rng.integers(6)] for _ in range(a[0].ndim))
    return both(lambda x: x[index], a)


def diagonal(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    shape = a[0].shape
    if len(shape) == 1 or (len(shape) == 2 and shape[0] == shape[1]):
        return sd.diag(a[0]), np.diag(a[1])
    return None


def trace(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if a[0].ndim != 2 or a[0].shape[0] != a[0].shape[1]:
        return None
    return sd.trace(a[0]), np.asarray(np.trace(a[1]))


def concatenation(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if not a[0].ndim or a[0].shape[1:] != b[0].shape[1:] or a[0].ndim != b[0].ndim:
        return None
    return sd.concat([a[0], b[0]]), np.concatenate([a[1], b[1]])


def reshaped(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if a[0].shape == (6,):
        return both(lambda x: x.reshape((2, 3)), a)
    if a[0].shape == (6, 6):
        return both(lambda x: x.reshape((4, 9)), a)
    if a[0].ndim < 2:
        return None
    return both(lambda x: x.reshape((-1,)), a)


def permuted(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    axes = tuple(int(k) for k in rng.permutation(a[0].ndim))
    return both(lambda x: x.transpose(axes), a) if len(axes) > 1 else None


def summed(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if not a[0].ndim:
        return None
    axis = int(rng.integers(a[0].ndim))
    return both(lambda x: x.sum(axis=axis), a)


def outer(rng: np.random.Generator, a: Pair, b: Pair) -> tuple[Any, Any] | None:
    if a[0].ndim + b[0].ndim > 3 or not a[0].ndim or b[0].ndim != 1:
        return None
    return both(lambda x, y: x[..., None] * y, a, b)


STEPS: tuple[Step, ...] = (
    lambda rng, a, b: both(lambda x, y: x + y, a, b) if conform(a, b) else None,
    lambda rng, a, b: both(lambda x, y: 2 * x - 0.5 * y, a, b) if conform(a, b) else None,
    lambda rng, a, b: both(lambda x, y: x * y, a, b) if conform(a, b) else None,
    lambda rng, a, b: both(lambda x: x * x + 1, a),
    lambda rng, a, b: both(lambda x: x ** int(p), a) if (p := rng.integers(1, 4)) else None,
    lambda rng, a, b: both(lambda x: -x + x.T, a) if a[0].shape == a[0].shape[::-1] else None,
    matmul, matmul, matmul, pick_slice, pick_slice, diagonal, trace, concatenation, reshaped, permuted, permuted, summed, outer,
)


def grow(seed: int, steps: int = 7) -> tuple[list[Pair], dict[Node, Array]]:
    """What `steps` random steps from the leaves build, each on what is there, preferably on what is new."""
    rng = np.random.default_rng([SEED, seed])
    pool, values = leaves(rng)
    count = len(pool)
    while len(pool) < count + steps:
        recent = pool[count:] or pool
        a = pool[rng.integers(len(pool))] if rng.random() < 0.4 else recent[rng.integers(len(recent))]
        b = pool[rng.integers(len(pool))]
        if rng.random() < 0.5:
            a, b = b, a
        made = STEPS[rng.integers(len(STEPS))](rng, a, b)
        if made is not None and made[1].size <= LARGEST and np.abs(made[1]).max(initial=0) < 1e4:
            pool.append(made)
    return pool[count:], values


def rebuilt(node: Node) -> Node:
    """The node put together again from its parts by the builders of the normal form."""
    if isinstance(node, Add):
        return add(list(node.terms), node.type)
    if isinstance(node, Product):
        return product(node.coefficient, list(node.factors), list(node.out), dict(enumerate(node.extents)), node.type)
    return node


@pytest.mark.parametrize("block", range(20))
def test_random_nests(block: int) -> None:
    print(f"seed {SEED}, nests {block * NESTS // 20} to {(block + 1) * NESTS // 20 - 1}")
    for seed in range(block * NESTS // 20, (block + 1) * NESTS // 20):
        pairs, values = grow(seed)
        nodes = [sd.asarray(p[0]) for p in pairs]
        for ours, (_, expected) in zip(evaluate_nodes(nodes, values, SIZES), pairs, strict=True):
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-10 * scale, err_msg=f"nest {seed}")
        for node in topological(nodes):
            assert rebuilt(node) is node, f"nest {seed}: {node}"
        once = [sd.simplify(node) for node in nodes]
        assert all(sd.simplify(node) is node for node in once), f"nest {seed}"
        keys = {(type(node), node.key) for node in topological(nodes)}
        assert len(keys) == len(topological(nodes)), f"nest {seed}: two nodes with one key"


def keys_of(seeds: list[int]) -> str:
    """The keys of nests, built in this order and alive together; one line each, sorted."""
    nests = {seed: [sd.asarray(x).key for x, _ in grow(seed)[0]] for seed in seeds}
    return "\n".join(f"{seed}: {keys}" for seed, keys in sorted(nests.items()))


@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_keys_depend_on_structure_alone(hash_seed: str) -> None:
    seeds = list(range(60))
    code = "from tests.symdiff.test_normal_form import keys_of; print(keys_of(list(range(60))[::-1]))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
                           env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert other.stdout.strip() == keys_of(seeds)


def test_nodes_die_with_their_last_user() -> None:
    before = len(TABLE)
    x = sd.symbol("passing", 3)
    y = sd.exp(x) + x
    assert len(TABLE) > before
    del x, y
    assert len(TABLE) == before


def test_gram_matrix_is_its_own_transpose() -> None:
    X, w = sd.symbol("X", ("n", "d")), sd.symbol("w", "n")
    S = sd.symbol("S", ("n", "n"), symmetric=True)
    A = sd.symbol("A", ("n", "n"))
    for gram in (X.T @ X, X.T @ sd.diag(w) @ X, (X.T * w) @ X, S @ S, A + A.T, 2 * S + sd.diag(w), A @ A.T + S):
        assert gram.T is gram
    assert (X @ X.T).T is not X.T @ X
    assert A.T is not A


n, d, k = sd.dims("n d k")
X, y, w, x = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("x", n)
W, V, Y, U, M = (sd.symbol(name, shape) for name, shape in
                 (("W", (d, k)), ("V", (k, k)), ("Y", (n, k)), ("U", (n, k)), ("M", (n, d))))
A, S, z = sd.symbol("A", (n, n)), sd.symbol("S", (n, n), symmetric=True), sd.symbol("z", 5)
HESSIANS = {
    "ridge": (sd.mean((X @ w - y) ** 2) + sd.symbol("lam") * sd.sum(w**2), w),
    "logistic": (sd.sum(sd.softplus(X @ w) - y * (X @ w)), w),
    "logistic as written": (sd.sum(sd.log(1 + sd.exp(-y * (X @ w)))), w),
    "softmax regression": (-sd.sum(Y * sd.log_softmax(X @ W)), W),
    "softmax regression as written": (-sd.sum(Y * sd.log(sd.softmax(X @ W))), W),
    "factorisation": (sd.sum(((U @ W.T - X) * M) ** 2), U),
    "net, first layer": (sd.sum((sd.tanh(X @ W) @ V - Y) ** 2), W),
    "net, last layer": (sd.sum((sd.tanh(X @ W) @ V - Y) ** 2), V),
    "quadratic form": (x @ A @ x, x),
    "symmetric quadratic form": (x @ S @ x, x),
    "logsumexp": (sd.logsumexp(X @ w), w),
    "norm": (sd.norm(X @ w - y), w),
    "variance": (sd.var(x), x),
    "kernel": (sd.sum(sd.exp(-((x[:, None] - x[None, :]) ** 2) / 2)), x),
    "second differences": (sd.sum((z[2:] - 2 * z[1:-1] + z[:-2]) ** 2), z),
    "products of neighbours": (sd.sum((z[2:] * z[1:-1] * z[:-2]) ** 2), z),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessian_is_its_own_transpose(name: str) -> None:
    loss, wrt = HESSIANS[name]
    hessian = sd.hessian(loss, wrt)
    r = wrt.ndim
    assert sd.permute_dims(hessian, (*range(r, 2 * r), *range(r))) is hessian


def test_the_sum_of_a_concatenation_is_the_sum_of_its_parts() -> None:
    u, v = sd.symbol("u", "n"), sd.symbol("v", "m")
    assert sd.sum(sd.concat([u, v])) is sd.sum(u) + sd.sum(v)


FLAT = {
    "whole": lambda x, twice: sd.sum(sd.ravel(sd.repeat(x, 2, axis=0)) * sd.ravel(twice)),
    "copies": lambda x, twice: sd.sum(sd.ravel(sd.repeat(x, 2, axis=0)) * sd.ravel(sd.repeat(x, 2, axis=0))),
    "tiles": lambda x, twice: sd.sum(sd.ravel(sd.concat([x, x])) * sd.ravel(twice)),
    "rows": lambda x, twice: sd.sum(sd.reshape(sd.repeat(x, 2, axis=0), (-1, x.shape[2])) * sd.reshape(twice, (-1, x.shape[2]))),
}


@pytest.mark.parametrize("shape", [("n", "m", "k"), ("n", "n", "n"), (4, 3, 5), (3, 3, 3)])
@pytest.mark.parametrize("name", FLAT)
def test_digits_of_positions_in_merged_axes_agree_one_by_one(name: str, shape: Any) -> None:
    x = sd.symbol("x", shape)
    twice = sd.symbol("twice", (2 * x.shape[0], *shape[1:]))
    f = FLAT[name](x, twice)
    rng = np.random.default_rng(SEED)
    rows, *others = [SIZES.get(size, size) for size in shape]
    values: dict[Node, Array] = {x: rng.normal(size=(rows, *others)), twice: rng.normal(size=(2 * rows, *others))}

    def labels(node: Node) -> int:
        """The most labels that a product under the node counts."""
        return max((len(p.extents) for p in topological([node]) if isinstance(p, Product)), default=0)
    assert all(labels(g) <= 4 for g in (f, sd.grad(f, x)))  # the axes, and that of the copies
    np.testing.assert_allclose(sd.evaluate(sd.grad(f, x), values), differences(f, x, values), rtol=1e-6, atol=1e-6)


def differences(f: Node, x: Node, values: dict[Node, Array]) -> Array:
    """∂f/∂x by central differences, exact up to roundings for what is bilinear."""
    found = np.zeros(values[x].shape)
    for at in np.ndindex(found.shape):
        up, down = values[x].copy(), values[x].copy()
        up[at] += 1
        down[at] -= 1
        found[at] = (sd.evaluate(f, {**values, x: up}) - sd.evaluate(f, {**values, x: down})) / 2
    return found


def test_coefficients_that_are_no_floats() -> None:
    """They are infinite or zero, and powers that would make such of them are not opened."""
    x = sd.symbol("x")
    e = x
    for _ in range(200):
        e = 3.5 * e * (1 - e)
    value, slope = 0.3, 1.0
    for _ in range(200):
        value, slope = 3.5 * value * (1 - value), slope * 3.5 * (1 - 2 * value)
    np.testing.assert_allclose(sd.compile([e, sd.grad(e, x)], x)(0.3), [value, slope], rtol=1e-9)
    third = x
    for _ in range(700):
        third = third / 3
    cases = [(third, 1.0, 0.0), (x / 10**400, 1.0, 0.0), ((1e200 * x)**2, 1e-200, 1.0), (1 / (1e-320 * x), 1e10, np.inf),
             ((0.1 * x)**400, 10.0, 1.0), (x**10**20, 1.0, 1.0), (sd.norm(sd.stack([1e200 * x, 0 * x])), 1e-200, 1.0)]
    for root, at, wanted in cases:
        for target in ("cpu", "interpreter", "numpy"):
            np.testing.assert_allclose(sd.compile(root, target=target)(at), wanted, rtol=1e-12, err_msg=f"{root} {target}")
