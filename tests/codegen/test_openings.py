"""Openings: contractions that become part of others, term by term where that saves work, and those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.costs import Hints
from codegen.planning.openings import open_contractions
from symdiff.expression import Add, Product
from symdiff.reference import evaluate_nodes
from symdiff.traversal import symbols_of

RNG = np.random.default_rng(8)
N, I, J = 60, 20, 30
u, w, v, L, x = (sd.symbol(name, shape) for name, shape in (
    ("u", (N, J)), ("w", (N,)), ("v", (N, I)), ("L", (I, J)), ("x", (J,))))
VALUES = {s: RNG.normal(size=s.shape) for s in (u, w, v, L, x)}


def core(*factors: Any, out: tuple[int, ...], extents: tuple[int, ...]) -> Product:
    """A contraction as it is written, which no rule has touched."""
    return Product(1, factors, out, extents, sd.symbol("like", tuple(extents[k] for k in out)).type)


def scaled(product: Any) -> Product:
    """w[n] times rows of a matrix."""
    return Product(-2, ((w, (0,)), (product, (0, 1))), (0, 1), (N, J), product.type)


def total(terms: Any) -> Product:
    """Σ_n of a matrix."""
    return core((terms, (1, 0)), out=(0,), extents=(J, N))


def matrix() -> Product:
    return core((v, (0, 2)), (L, (2, 1)), out=(0, 1), extents=(N, J, I))


def opened(*roots: Any) -> list[Any]:
    """The roots, whose values are checked."""
    found = open_contractions(roots, Hints({}))
    for before, after in zip(evaluate_nodes(list(roots), VALUES, {}), evaluate_nodes(found, VALUES, {}), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-14 * np.max(np.abs(before)))
    return found


def test_a_product_by_a_vector_goes_from_the_right() -> None:
    found, = opened(core((matrix(), (0, 1)), (x, (1,)), out=(0,), extents=(N, J)))
    assert isinstance(found, Product) and len(found.factors) == 3


def test_sums_go_before_products_in_each_term() -> None:
    found, = opened(total(Add(((1, u), (0.5, scaled(matrix()))), u.type)))
    assert isinstance(found, Add) and len(found.terms) == 2
    assert sorted(len(term.factors) for _, term in found.terms if isinstance(term, Product)) == [1, 3]
    assert any(c == -1 for c, _ in found.terms)


@pytest.mark.parametrize("case", ["the matrix is needed", "the sum is needed", "nothing is gained"])
def test_what_others_need_stays(case: str) -> None:
    terms = Add(((1, u), (0.5, scaled(matrix()))), u.type)
    if case == "the matrix is needed":
        found = opened(total(terms), matrix())[0]
    elif case == "the sum is needed":
        found = opened(total(terms), terms)[0]
    else:
        found = opened(total(Add(((1, u), (0.5, scaled(u))), u.type)))[0]
    assert isinstance(found, Product)


def test_numbers_among_the_terms() -> None:
    constant = Product(3, (), (0, 1), (N, J), u.type)
    found, = opened(total(Add(((1, u), (0.5, constant), (0.5, scaled(matrix()))), u.type)))
    assert isinstance(found, Product)


def test_a_kernel_does_less() -> None:
    """The gradient by what all samples share is summed before it is multiplied: one product of matrices less."""
    X, m, T = sd.symbol("X", (500, 40)), sd.symbol("m", 40), sd.symbol("T", (40, 40))
    loss = sd.sum(sd.softplus(sd.sum(((X - m) @ T + (X - m)) ** 2, axis=1)))
    inputs = [X, m, T]
    kernel = sd.compile(sd.grad(loss, m), inputs, cache=False)
    given = [RNG.normal(size=s.shape) / 5 for s in inputs]
    np.testing.assert_allclose(kernel(*given), sd.compile(sd.grad(loss, m), inputs, target="numpy")(*given), rtol=1e-9)
    assert kernel.stats()["flops"] < 1.5 * 2 * 500 * 40 * 40


def test_a_sum_is_opened_whatever_order_its_factors_have_elsewhere() -> None:
    """A product that is there already may have its factors in another order than the one that is built."""
    s0, U, xs = sd.symbol("s0", (3, 4)), sd.symbol("U", (4, 4)), sd.symbol("xs", (5, 3, 4))
    last, _ = sd.scan(lambda s, x: (s + (s * x) @ U, None), s0, xs)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=s.shape) for s in (s0, U, xs)]
    hvp = sd.compile(sd.hvp(sd.sum(last), U, 0.3 * U), [s0, U, xs], cache=False)(*given)
    slope = sd.compile(sd.grad(sd.sum(last), U), [s0, U, xs], cache=False)
    up, down = (slope(given[0], given[1] * (1 + 0.3 * e), given[2]) for e in (1e-5, -1e-5))
    np.testing.assert_allclose(hvp, (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


def test_what_many_read_is_written_out_in_each() -> None:
    A, B = sd.symbol("A", (40, 50)), sd.symbol("B", (50, 40))
    x40 = sd.symbol("x", 40)
    VALUES.update({s: RNG.normal(size=s.shape) for s in (A, B, x40)})
    M = core((A, (0, 2)), (B, (2, 1)), out=(0, 1), extents=(40, 40, 50))
    right, left = (core((M, at), (x40, (1,)), out=(0,), extents=(40, 40)) for at in ((0, 1), (1, 0)))
    both = opened(right, left)
    assert all(isinstance(f, Product) and len(f.factors) == 3 for f in both)
    twice = opened(core((M, (0, 1)), (M, (1, 2)), (x40, (2,)), out=(0,), extents=(40, 40, 40)))[0]
    assert isinstance(twice, Product) and len(twice.factors) == 5
    # What is an output itself, or is read by more vectors than it has columns, is there anyway.
    assert len(opened(M, right, left)[1].factors) == 2
    many = [core((M, (0, 1)), (sd.symbol(f"y{k}", 40), (1,)), out=(0,), extents=(40, 40)) for k in range(60)]
    VALUES.update({f.factors[1][0]: RNG.normal(size=40) for f in many})
    assert all(len(f.factors) == 2 for f in opened(*many))
    function = sd.tanh(M)
    assert len(opened(function, right)[1].factors) == 2


@pytest.mark.parametrize("loss", ["squares", "tanh", "low rank", "both sides", "autoencoder", "Gram"])
def test_derivatives_cost_as_little_as_the_value(loss: str) -> None:
    n, r = (sd.dims(name)[0] for name in "nr")
    A, B, z = sd.symbol("A", (n, n)), sd.symbol("B", (n, n)), sd.symbol("z", n)
    U, V = sd.symbol("U", (n, r)), sd.symbol("V", (n, r))
    f = {"squares": lambda: sd.sum((A @ B @ z) ** 2), "tanh": lambda: sd.sum(sd.tanh(A @ B @ z)),
         "low rank": lambda: sd.sum(sd.sin(U @ V.T @ z)), "both sides": lambda: z @ (A @ B) @ z + sd.sum((B @ A @ z) ** 2),
         "autoencoder": lambda: sd.sum((A - A @ (U @ U.T)) ** 2), "Gram": lambda: sd.sum((U @ U.T @ A) ** 2)}[loss]()
    of = z if z in symbols_of([f]) else U
    way = sd.symbol("way", of.shape)
    inputs = [A, B, z, U, V, way]
    values = {s: RNG.normal(size=[{n: 200, r: 5}[size] for size in s.shape]) for s in inputs}
    work = []
    for outputs in (f, [f, sd.grad(f, of)], [f, sd.grad(f, of), sd.hvp(f, of, way)]):
        kernel = sd.compile(outputs, inputs)
        kernel(*[values[s] for s in inputs])
        work.append(kernel.stats()["flops"])
    assert work[1] < 3 * work[0] and work[2] < 8 * work[0], work


@pytest.mark.parametrize("named", [False, True])
def test_what_is_the_same_along_a_summed_label_counts_as_often(named: bool) -> None:
    """Terms of a gradient by a number, one of which is spread along an axis that is summed."""
    n: Any = sd.dim("along", minimum=7) if named else 7
    a, x, t = sd.symbol("a"), sd.symbol("x", (2, n, n)), sd.symbol("t", (2, 1, n))
    r = 2 * a - x / 3
    loss = sd.mean(sd.cosh(r / 4)**2) + sd.sum(sd.softplus(sd.dot(t, sd.einsum("ijk,ljk,ipq->qi", r, r, x))))
    gradient = sd.grad(loss, a)
    values = {a: np.asarray(0.3), x: np.random.default_rng(7).normal(size=(2, 7, 7)),
              t: np.random.default_rng(8).normal(size=(2, 1, 7))}
    for target in ("cpu", "interpreter"):
        found = sd.compile(gradient, inputs=[a, x, t], target=target)(*values.values())
        np.testing.assert_allclose(found, sd.evaluate(gradient, values), rtol=1e-12)
