"""Matrix products in contractions of many labels: groups of labels, parts of arrays, heads, tiles; against einsum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

LITERAL = {"p": 20, "q": 12, "r": 16, "s": 9, "u": 3, "h": 4, "d": 8}
TALL = {"p": 130, "q": 5, "r": 16, "s": 9, "u": 3, "h": 4, "d": 8}
EINSUMS = ["pqr,pqs->rs", "pqr,rs->pqs", "pqr,rs->spq", "upqr,rs->upqs", "upqr,pqs->urs", "pqr,qps->rs", "pqr,pqs->prs",
           "pqr,pqs->sr", "pqr,r->pq", "pqr,pq->r", "pqr,qr->p", "pqr,pqr->", "pr,ps->rs", "pr,qr->pq", "upq,uqr->upr",
           "upq,urq->upr", "pqr,sr->qps", "rpq,spq->rs", "pq,qrs->prs", "pqr,qrs->ps", "pqr,rqs->ps", "qpr,psr->qs"]


def shape_of(letters: str, sizes: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sizes[c] for c in letters)


@pytest.mark.parametrize("sizes", [LITERAL, TALL, None], ids=["short", "tall", "symbolic"])
@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_einsums(sizes: dict[str, int] | None, target: str) -> None:
    given = sizes or LITERAL
    if target == "interpreter" and sizes is TALL:
        given = {**TALL, "p": 66}
    declared: dict[str, Any] = given if sizes else {c: sd.dim(f"mat_{c}") for c in given}
    rng = np.random.default_rng(1)
    outputs, inputs, values, wanted = [], [], [], []
    for k, text in enumerate(EINSUMS):
        left, right = text.split("->")[0].split(",")
        pair = [sd.symbol(f"{name}{k}", shape_of(letters, declared)) for name, letters in (("A", left), ("B", right))]
        arrays = [rng.normal(size=shape_of(letters, given)) for letters in (left, right)]
        outputs.append(sd.einsum(text, *pair))
        inputs += pair
        values += arrays
        wanted.append(np.einsum(text, *arrays))
    for text, ours, theirs in zip(EINSUMS, sd.compile(outputs, inputs, target=target)(*values), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11, err_msg=text)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
@pytest.mark.parametrize("length", [20, 70, "mat_t"])
def test_heads_and_parts(target: str, length: Any) -> None:
    rng = np.random.default_rng(2)
    t, size = (sd.dim(length), 21) if isinstance(length, str) else (length, length)
    X, W, V, U = sd.symbol("X", (3, t, 32)), sd.symbol("W", (32, 16)), sd.symbol("V", (40, 32)), sd.symbol("U", (t, 24))
    heads = sd.permute_dims(sd.reshape(X, (3, t, 4, 8)), (0, 2, 1, 3))
    scores = heads @ heads.mT
    mixed = sd.reshape(sd.permute_dims(scores @ sd.sin(heads), (0, 2, 1, 3)), (3, t, 32))
    outputs = [scores, mixed @ W, X[:, :, :16] @ W[16:], X[1, :, 8:24].T @ U, V[4:12] @ W, V[::-1][:16].T @ W[:16],
               U[:, 8:] @ W[:16, 4:]]
    outputs += sd.grad(sd.sum(sd.tanh(mixed @ W)), [X, W])
    values = {"X": rng.normal(size=(3, size, 32)), "W": rng.normal(size=(32, 16)), "V": rng.normal(size=(40, 32)),
              "U": rng.normal(size=(size, 24))}
    kernel = sd.compile(outputs, [X, W, V, U], target=target)
    for k, (ours, theirs) in enumerate(zip(kernel(**values), sd.evaluate(outputs, values), strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10, err_msg=str(k))


def test_what_goes_to_blas_and_how_often() -> None:
    X, Y, W = sd.symbol("X", (40, 30, 16)), sd.symbol("Y", (40, 30, 24)), sd.symbol("W", (16, 24))
    for text, operands in (("tbd,tbe->de", (X, Y)), ("tbd,de->tbe", (X, W)), ("tbd,tbe->de", (X[1:], Y[:-1])),
                           ("tbd,de->tbe", (X[3:7], W))):
        lines = [line for line in sd.compile(sd.einsum(text, *operands)).loop_ir.splitlines() if "matmul" in line]
        assert len(lines) == 1 and " for " not in lines[0], lines


@pytest.mark.parametrize(("written", "power"), [
    (lambda X, s: (X.T * s) @ X, 1), (lambda X, s: X.T @ (s[:, None] * X), 1),
    (lambda X, s: sd.einsum("n,nj,ni->ij", s, X, X), 1), (lambda X, s: sd.einsum("ni,n,nj->ij", X, s**3, X), 3)])
def test_a_scaled_square_is_computed_by_half_whichever_factor_is_scaled(written: Any, power: int) -> None:
    X, s = sd.symbol("X", ("rows_scaled", 60)), sd.symbol("s", "rows_scaled")
    f = sd.compile(written(X, s), [X, s], cache=False)
    rng = np.random.default_rng(3)
    x, scale = rng.normal(size=(700, 60)), rng.normal(size=700)
    got = f(x, scale)
    assert "matmul symmetric" in f.loop_ir
    assert np.array_equal(got, got.T)
    np.testing.assert_allclose(got, (x.T * scale**power) @ x, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
@pytest.mark.parametrize("declared", [(9, 8), ("parts_t", "parts_b")], ids=["literal", "symbolic"])
def test_parts_of_the_first_of_joined_axes(target: str, declared: tuple[Any, Any]) -> None:
    t, b = (sd.dim(size, minimum=4) if size == "parts_t" else size for size in declared)
    H, D, W = sd.symbol("H", (t, b, 16)), sd.symbol("D", (t, b, 24)), sd.symbol("W", (16, 24))
    outputs = [sd.einsum("tbi,tbj->ij", H[:-1], D[1:]), sd.einsum("tbi,tbj->ji", H[2:-1], D[1:-2]), H[1:] @ W,
               sd.einsum("tbi,tbj->ij", H[3:4], D[:1]), sd.einsum("tbi,tbj->ij", H[:, 1:], D[:, :-1])]
    kernel = sd.compile(outputs, [H, D, W], target=target)
    rng = np.random.default_rng(5)
    for sizes in ((9, 8),) if declared == (9, 8) else ((9, 8), (4, 3), (40, 1), (4, 1)):
        h, d, w = rng.normal(size=(*sizes, 16)), rng.normal(size=(*sizes, 24)), rng.normal(size=(16, 24))
        wanted = [np.einsum("tbi,tbj->ij", h[:-1], d[1:]), np.einsum("tbi,tbj->ji", h[2:-1], d[1:-2]), h[1:] @ w,
                  np.einsum("tbi,tbj->ij", h[3:4], d[:1]), np.einsum("tbi,tbj->ij", h[:, 1:], d[:, :-1])]
        for found, expected in zip(kernel(h, d, w), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rows", [4000, sd.dim("rows_of_one_column", minimum=1)])
def test_gradients_by_the_weights_of_one_column_go_along_rows(rows: Any) -> None:
    """d/dW of a net of one input: sums down columns, row by row, and not a batch of products with one row each."""
    x, W, V, g = sd.symbol("x", (rows, 1)), sd.symbol("W", (1, 64)), sd.symbol("V", (64, 1)), sd.symbol("g", (rows, 1))
    b = sd.symbol("b", 64)
    hidden = sd.tanh(x @ W + b)
    loss = sd.sum((hidden @ V - g) ** 2)
    kernel = sd.compile(sd.grad(loss, [W, b, V]), [x, W, b, V, g], cache=False)
    rng = np.random.default_rng(3)
    values = [rng.standard_normal(shape) for shape in ((4000, 1), (1, 64), (64,), (64, 1), (4000, 1))]
    wanted = sd.evaluate(sd.grad(loss, [W, b, V]), dict(zip((x, W, b, V, g), values, strict=True)))
    for one, other in zip(kernel(*values), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
    assert " in 0 : 1 " not in kernel.loop_ir.replace(" in 0 : 1 unrolled", ""), kernel.loop_ir  # which carries a sum


@pytest.mark.parametrize("size", ["mat_bodies", 701])
def test_differences_of_positions_are_not_stored_for_a_product_with_a_vector(size: Any) -> None:
    """Of Σ_j m_j (x_i - x_j) / r_ij³ each difference is read once: it is computed there, not stored for all pairs."""
    x, m = sd.symbol("x", (size, 3)), sd.symbol("m", size)
    apart = x[:, None, :] - x[None, :, :]
    energy = -0.5 * sd.sum(m[:, None] * m[None, :] / sd.sqrt(sd.sum(apart**2, axis=-1) + 1e-3))
    kernel = sd.compile([energy, sd.grad(energy, x)], [x, m], cache=False)
    rng = np.random.default_rng(0)
    positions, masses = rng.normal(size=(701, 3)), rng.uniform(size=701)
    found = kernel(positions, masses)
    between = positions[:, None] - positions[None]
    cubes = (np.sum(between**2, axis=-1) + 1e-3)**1.5
    np.testing.assert_allclose(found[1], np.einsum("i,j,ijk,ij->ik", masses, masses, between, 1 / cubes), rtol=1e-9, atol=1e-9)
    assert not any(f"float64[{size}, {size}, 3]" in line for line in kernel.loop_ir.split("\n") if " full " in line)


@pytest.mark.parametrize("seed", range(6))
def test_the_first_of_axes_that_count_as_one_may_be_a_part(seed: int) -> None:
    """Σ A[o, c + 16, k] B[c, k, p]: rows that are further apart than they are long are no reason for many products."""
    rng = np.random.default_rng(seed)
    o, c, k, p = (int(n) for n in rng.integers(7, 13, 4))
    before, behind = (int(n) for n in rng.integers(0, 5, 2))
    A, B = sd.symbol("A", (o, before + c + behind, k)), sd.symbol("B", (c, k, p))
    C, D = sd.symbol("C", (k, before + p, o)), sd.symbol("D", (k, c))
    part = A[:, before:before + c]
    outputs = [sd.einsum("ock,ckp->op", part, B), sd.einsum("ock,ckp->po", part, B), sd.einsum("kpo,kc->cpo", C[:, before:], D)]
    values = [rng.normal(size=s.shape) for s in (A, B, C, D)]
    a, b, e, d = values
    a, e = a[:, before:before + c], e[:, before:]
    wanted = [np.einsum("ock,ckp->op", a, b), np.einsum("ock,ckp->po", a, b), np.einsum("kpo,kc->cpo", e, d)]
    for target in ("interpreter", "cpu", "numba"):
        kernel = sd.compile(outputs, [A, B, C, D], target=target, cache=False)
        assert kernel.loop_ir.count("matmul gemm") >= 2 and "for i0 in 0 : " not in kernel.loop_ir.partition("matmul")[0]
        for found, right in zip(kernel(*values), wanted, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba", "numpy"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_vector_may_be_all_of_several_axes(batch: int, target: str) -> None:
    """Rows of attention over a batch of one: one axis is no axis, and the vector of the product is what is left."""
    x = sd.symbol("x", (3, batch, 45))
    turned = sd.swapaxes(x, 1, 2)
    loss = sd.sum(sd.tanh(sd.softmax(turned @ x, axis=-1) @ (turned + 1.0)))
    values = np.random.default_rng(0).normal(size=x.shape)
    found = sd.compile([loss, sd.grad(loss, x)], [x], target=target)(values)
    away = np.random.default_rng(1).normal(size=x.shape)
    up, down = (float(sd.evaluate(loss, {x: values + sign * 1e-6 * away})) for sign in (1, -1))
    assert found[0] == pytest.approx(float(sd.evaluate(loss, {x: values})), rel=1e-12)
    assert np.sum(found[1] * away) == pytest.approx((up - down) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba", "numpy"])
@pytest.mark.parametrize("shape", [(255, 12), (3000, 12), ("plain_rows", "plain_columns")])
def test_a_result_that_is_the_same_along_an_axis_is_no_product_of_matrices(shape: Any, target: str) -> None:
    """(uᵢ + uⱼ) with u = Eᵀ s: each term has an axis that none of its factors has."""
    E, s = sd.symbol("E", shape), sd.symbol("s", shape[0])
    e, weights = np.random.default_rng(0).normal(size=(300, 12)), np.random.default_rng(1).normal(size=300)
    if isinstance(shape[0], int):
        e, weights = np.resize(e, shape), np.resize(weights, shape[0])
    total = sd.sum((E[:, :, None] + E[:, None, :]) * s[:, None, None], axis=0)
    column = e.T @ weights
    found = sd.compile(total, [E, s], target=target)(e, weights)
    np.testing.assert_allclose(found, column[:, None] + column, rtol=1e-11, atol=1e-11)
