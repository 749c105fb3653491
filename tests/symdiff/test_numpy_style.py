"""The NumPy style: random graphs, clashing names, dtypes, places where arrays are padded, trees of results."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import TypeMismatch
from symdiff.printing import formula
from symdiff.traversal import symbols_of
from tests.fuzz_graphs import flat, generate, values_for
from tests.symdiff.numpy_calls import called, compare

SIZES = {"n": 5, "d": 3}
n, d = sd.dims("n d")
x, y, w = sd.symbol("x", n), sd.symbol("y", n), sd.symbol("w", d)
X, A = sd.symbol("X", (n, d)), sd.symbol("A", (d, d))
f, F = sd.symbol("f", n, "float32"), sd.symbol("F", (n, n), "float32")


def agree(root: Any) -> None:
    """The source of an expression, with values for its symbols, against its meaning."""
    arrays = values_for(symbols_of([root]), SIZES, 0)
    compare([root], arrays, SIZES, 1e-5 if root.dtype == "float32" else 1e-10)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    graph = generate(seed)
    roots = flat(graph.build()[1])
    compare(roots, values_for(symbols_of(roots), graph.sizes, seed), graph.sizes, graph.tolerance)


MENDED: list[Callable[[], Any]] = [
    # Sums of rows beside other factors.
    lambda: sd.grad(sd.sum(sd.sum(X @ X.T, axis=1) ** 2), X),
    lambda: sd.grad(sd.logsumexp(sd.sum(X @ X.T, axis=1)), X),
    lambda: sd.outer(x, sd.sum(A, axis=0)),
    lambda: sd.outer(sd.sum(A, axis=0), x),
    lambda: sd.outer(sd.ones(n), sd.sum(A, axis=0)),
    # What is written or read beyond the result.
    lambda: sd.grad(sd.sum(sd.concat([x, w])) ** 2, x),
    lambda: sd.grad(sd.sum(sd.concat([x, w])) ** 2, w),
    lambda: sd.grad(sd.sum(sd.concat([x, w])[1:] ** 3), w),
    lambda: sd.grad(sd.sum(sd.concat([w, x, w])[2:]), x),
    # Padding of what is broadcast, and beside numbers that are not finite.
    lambda: sd.pad(sd.broadcast_to(x, (1, n)), ((0, 1), (0, 0))),
    lambda: sd.pad(x, 1) * sd.log(sd.sum(x) * 0 - 1),
    lambda: sd.diag(w) * sd.log(sd.sum(w) * 0 - 1),
    lambda: 3 * sd.eye(d, d, 1) + A,
    # dtypes.
    lambda: sd.grad(sd.sum(f), f),
    lambda: sd.grad(sd.sum(f[1:]), f),
    lambda: sd.hessian(sd.sum(f**2), f),
    lambda: sd.grad(sd.sum(sd.where(f > 0, f, 0)), f),
    lambda: sd.hessian(sd.logsumexp(f), f),
    lambda: sd.eye(3, dtype="float32") * sd.sum(f),
    lambda: f / sd.sqrt(sd.sum(sd.ones(n, dtype="float32"))),
    lambda: sd.einsum("ij,kj,kl->il", F, F, F) / (n * d),
    lambda: sd.grad(sd.sum(2 ** (0.3 * f)), f),
    lambda: sd.where(x > 0, 1.0, 2.0),
    lambda: sd.where(f > 0, sd.asarray(1.0, "float32"), sd.asarray(2.0, "float32")),
    lambda: sd.sum(sd.ones(n)) * 3,
    lambda: sd.zeros(n) ** 2 + 0 * x,
    lambda: sd.broadcast_to(sd.sum(sd.ones(n)), d),
]


@pytest.mark.parametrize("build", MENDED, ids=range(len(MENDED)))
def test_mended(build: Callable[[], Any]) -> None:
    agree(build())


def symbol(name: str, shape: Any = "n") -> Any:
    return sd.symbol(name, shape)


CLASHES: list[Callable[[], Any]] = [
    lambda: sd.sum(symbol("n")) / n + symbol("n_size", ()),
    lambda: sd.exp(symbol("np")) * symbol("np_"),
    lambda: sd.sigmoid(symbol("sigmoid")) + sd.softplus(symbol("softplus")) * symbol("sigmoid_"),
    lambda: sd.logsumexp(symbol("logsumexp") * symbol("math")),
    lambda: sd.erf(symbol("every_erf")) * sd.log2(sd.erf(symbol("like") + 3)),
    lambda: sd.grad(sd.sum(sd.reshape(symbol("scatter", 6) * symbol("read", 6), (2, 3)) ** 2), symbol("scatter", 6)),
    lambda: symbol("lambda") * symbol("lambda_") + symbol("class"),
    lambda: symbol("µ") * symbol("μ"),
    lambda: symbol("__debug__") * symbol("None"),
    lambda: sd.constant([np.inf, -np.inf, np.nan, 1.0]) * symbol("float", 4) + np.inf,
    lambda: sum((sd.sin(symbol("t1") * k) * sd.cos(symbol("t2") * k) for k in range(1, 12)), sd.sin(symbol("t3"))),
    lambda: symbol("size", ("np", "lambda")) + sd.arange(sd.dim("np"))[:, None],
]


@pytest.mark.parametrize("build", CLASHES, ids=range(len(CLASHES)))
def test_names_that_clash(build: Callable[[], Any]) -> None:
    root = build()
    sizes = {"n": 5, "np": 3, "lambda": 2}
    compare([root], values_for(symbols_of([root]), sizes, 0), sizes, 1e-10)


def test_arguments_keep_their_names() -> None:
    space: dict[str, Any] = {}
    exec(formula(sd.sigmoid(symbol("sigmoid")) + symbol("n") / n, style="numpy"), space)
    assert list(inspect.signature(space["f"]).parameters) == ["sigmoid", "n"]


def test_a_size_that_no_shape_tells_is_an_argument() -> None:
    assert called([sd.sum(sd.ones(n)) * sd.ones(d)], {}, SIZES)[0].tolist() == [5.0, 5.0, 5.0]


def test_names_in_strings_are_no_sizes() -> None:
    i = sd.dim("ij")
    root = sd.sum(sd.ones((i, 2))) * 0 + sd.einsum("ij,kj,kl,lm->m", F, F, F, F)
    arrays = values_for([F], SIZES, 0)
    compare([root], arrays, {**SIZES, "ij": 4}, 1e-4)


def test_trees_of_results() -> None:
    pair = namedtuple("pair", "first second")
    tree = {"{}": w, "it's": {}, 1: [x, (y,)], ("a", 2): pair(x, [w, []])}
    space: dict[str, Any] = {}
    exec(formula(tree, style="numpy"), space)
    result = space["f"](w=1, x=2, y=3)
    assert result == {"{}": 1, "it's": {}, 1: [2, (3,)], ("a", 2): (2, [1, []])}
    with pytest.raises(TypeMismatch, match="cannot be a key"):
        formula({w: x}, style="numpy")


def test_words_of_others_are_translated() -> None:
    """A keyword of another library is answered with NumPy's; truth values stay truth values."""
    x = sd.symbol("x", (3, 4))
    for call, word in ((lambda: x.sum(dim=1), "axis="), (lambda: x.mean(keepdim=True), "keepdims=")):
        with pytest.raises(sd.SymdiffError, match=f"write {word}"):
            call()
    assert [sd.asarray(v).dtype for v in (True, 2, 2.0)] == ["bool", "int64", "float64"]
    assert sd.full(2, True).dtype == "bool"


T, i, k = sd.symbol("T", (5, 3)), sd.symbol("i", 2, "int64"), sd.symbol("k", 2, "int64")
PARTS: list[Callable[[], Any]] = [
    lambda: T[:, :2][i], lambda: T[i, :2], lambda: T[:3][i], lambda: T[:2, :2][i, k], lambda: sd.roll(T, 1, 1)[i],
    lambda: sd.sum(T[:, :2][i] ** 2), lambda: sd.grad(sd.sum(T[:, :2][i] ** 2), T), lambda: T[i], lambda: T[i, k], lambda: T[i, 1],
]


@pytest.mark.parametrize("build", PARTS)
def test_what_is_picked_of_a_part(build: Callable[[], Any]) -> None:
    """T[:, :2][i] is not T[i]: the text says of which part positions are those."""
    root = build()
    rng = np.random.default_rng(0)
    arrays = {"T": rng.normal(size=(5, 3)), "i": np.array([1, -1]), "k": np.array([0, -2])}
    compare([root], {s: arrays[s.name] for s in symbols_of([root])}, SIZES, 1e-12)


def test_parts_of_no_elements() -> None:
    """Of an array without elements nothing is read."""
    v = sd.symbol("v", sd.dim("samples", minimum=1))
    root = sd.grad(sd.sum(sd.sin(sd.diff(sd.tanh(v)))), v)
    compare([root], {v: np.ones(1)}, {"samples": 1}, 1e-12)
