"""Arrays lie so that matrix products find neighbours, and parts of one matrix are multiplied side by side."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import symdiff as sd

RNG = np.random.default_rng(5)


def checked(outputs: Any, *symbols: Any) -> str:
    """The loop IR of a kernel whose values are those of the reference, on all targets."""
    rng = np.random.default_rng(5)  # the same values whichever tests ran before
    values = [rng.normal(size=[s if isinstance(s, int) else 6 for s in x.shape]).astype(x.dtype) for x in symbols]
    wanted = sd.evaluate(outputs, dict(zip(symbols, values, strict=True)))
    for target in ("interpreter", "numba", "cpu"):
        kernel = sd.compile(outputs, list(symbols), target=target, cache=False)
        for ours, theirs in zip(kernel(*values), wanted, strict=True):
            scale = np.max(np.abs(theirs)) * (1e-11 if theirs.dtype == "float64" else 1e-4)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=scale)
    return str(kernel.loop_ir)


def products(text: str) -> list[tuple[int, ...]]:
    """(rows, columns, inner) of each matrix product, those in loops too."""
    return [tuple(map(int, m)) for m in re.findall(r"matmul \w+ \((\d+), (\d+), (\d+)\)", text)]


def test_batched_products_become_one() -> None:
    """C[n,o,p] = Σ_c tanh(V)[n,c,p] K[o,c] is one product of n·p rows, and so are both of its derivatives."""
    V, K = sd.symbol("V", (16, 12, 10)), sd.symbol("K", (14, 12))
    C = sd.einsum("ncp,oc->nop", sd.tanh(V), K)
    text = checked([sd.sum(sd.sin(C)), *sd.grad(sd.sum(sd.sin(C)), [V, K])], V, K)
    assert sorted(products(text)) == sorted([(160, 14, 12), (160, 12, 14), (14, 12, 160)])


def test_what_is_computed_lies_like_what_it_is_computed_from() -> None:
    V, K = sd.symbol("V", (16, 12, 10)), sd.symbol("K", (14, 12))
    C = sd.einsum("ncp,oc->nop", sd.tanh(V), K)
    E = sd.exp(-C) + C**2
    text = checked([sd.sum(E * sd.sum(E, axis=1, keepdims=True)), sd.sum(E / (1 + E**2))], V, K)
    assert products(text) == [(160, 14, 12)]
    kernel = sd.compile([sd.sum(sd.sin(C))], [V, K])
    assert "matrix product, axes in the order 0, 2, 1, since it sums" in kernel.explain()
    assert len(re.findall(r"full t\d+: float64\[16, 10, 14\]", text)) == 2
    assert "float64[16, 14, 10]" not in text


def test_inputs_and_outputs_lie_as_they_are() -> None:
    V, K = sd.symbol("V", (16, 12, 10)), sd.symbol("K", (14, 12))
    C = sd.einsum("ncp,oc->nop", V, K)
    text = checked([C, sd.sin(C)], V, K)
    assert "out o0: float64[16, 14, 10]" in text and "arg a0: float64[16, 12, 10]" in text


def test_samples_stay_ahead() -> None:
    """Tiles of a batch that only the call knows are products of matrices too."""
    n = sd.dim("layout_n")
    V, K = sd.symbol("V", (n, 12, 10), "float32"), sd.symbol("K", (14, 12), "float32")
    C = sd.einsum("ncp,oc->nop", sd.tanh(V), K)
    loss = sd.sum(sd.sin(C))
    assert "matmul" in checked([loss, *sd.grad(loss, [V, K])], V, K)


@pytest.mark.parametrize("batches", [False, True])
def test_products_of_batches_stay_products(batches: bool) -> None:
    """Labels that all three have are looped over however they lie."""
    A, B = sd.symbol("A", (5, 20, 16)), sd.symbol("B", (5, 16, 18))
    C = sd.tanh(A) @ (sd.sin(B) if batches else B)
    text = checked([sd.sum(C**2), *sd.grad(sd.sum(C**2), [A, B])], A, B)
    assert products(text) == [(20, 18, 16), (20, 16, 18), (16, 18, 20)] or len(products(text)) == 3


@pytest.mark.parametrize("kinds", [(0, 1, 2, 3), (2, 0), (1, 2), (0, 2, 3)])
def test_parts_of_a_matrix_are_multiplied_side_by_side(kinds: tuple[int, ...]) -> None:
    """Neighbouring parts are one product; others are left as they are."""
    x, U = sd.symbol("x", (32, 24)), sd.symbol("U", (20, 64))
    functions = (sd.sin, sd.tanh, sd.sigmoid, sd.cos)
    terms = [functions[k](x[:, :16] + k) @ U[:, 16 * k:16 * k + 16].T for k in kinds]
    text = checked([sum(terms[1:], terms[0])], x, U)
    near = all(b - a == 1 for a, b in zip(sorted(kinds), sorted(kinds)[1:], strict=False))
    assert products(text) == [(32, 20, 16 * len(kinds))] if near else len(products(text)) == len(kinds)


def test_parts_that_are_there_already_are_read_where_they_stand() -> None:
    x, y, U, v = sd.symbol("x", (32, 16)), sd.symbol("y", (32, 16)), sd.symbol("U", (20, 32)), sd.symbol("v", 32)
    assert products(checked([x @ U[:, :16].T + y @ U[:, 16:].T], x, y, U)) == [(32, 20, 16)] * 2
    assert "[32, 32]" not in checked([sd.sin(x) @ v[:16] + sd.cos(y) @ v[16:]], x, y, v)


def test_what_a_guard_silences_stays_silent() -> None:
    """The derivative of where(…) is zero where it is not taken, whatever the weights are."""
    x, U = sd.symbol("x", (32, 32)), sd.symbol("U", (20, 32))
    p, q = x[:, :16], x[:, 16:]
    y = sd.where(p > 0, sd.sin(p) * 2, 0) @ U[:, :16].T + sd.where(q > 0, sd.cos(q), 0) @ U[:, 16:].T
    values = {x: RNG.normal(size=(32, 32)), U: RNG.normal(size=(20, 32))}
    for outputs in ([y], sd.grad(sd.sum(y**2), [x, U])):
        for k in (3, 20):
            values[U][:, k] = np.nan
            wanted = sd.evaluate(outputs, values)
            for target in ("interpreter", "cpu"):
                for ours, theirs in zip(sd.compile(outputs, [x, U], target=target)(*values.values()), wanted, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_gates_are_one_product() -> None:
    """The way back through three gates multiplies with all of the weights at once, in the array that the weights need too."""
    X, U = sd.symbol("X", (9, 16, 12)), sd.symbol("U", (12, 36))

    def step(h: Any, x: Any) -> Any:
        z = (x + h) @ U
        h = sd.sigmoid(z[:, :12]) * sd.tanh(z[:, 12:24]) + sd.sin(z[:, 24:]) * h
        return h, h
    last, _ = sd.scan(step, sd.zeros((16, 12)), X)
    text = checked([sd.sum(last), *sd.grad(sd.sum(last), [U, X])], X, U)
    assert products(text).count((16, 12, 36)) == 1 and (16, 12, 12) not in products(text)


def test_sums_are_written_in_their_windows() -> None:
    x, y = sd.symbol("x", (32, 16)), sd.symbol("y", 64)
    b = y + sd.pad(sd.sum(sd.sin(x), axis=0), (16, 32)) + sd.pad(sd.sum(sd.cos(x), axis=0), (48, 0))
    text = checked([b], x, y)
    assert "inside" not in text


@pytest.mark.parametrize("rows", [7, "lay_rows"])
def test_windows_that_fill_an_array_are_stored(rows: Any) -> None:
    """Nothing is set to zero first where parts lie side by side; where one is missing, everything is."""
    n = sd.dim(rows) if isinstance(rows, str) else rows
    x, z, w = sd.symbol("x", (n, 12)), sd.symbol("z", (n, 12)), sd.symbol("w", (20, 12))
    parts = [x[:, :4] * z[:, 4:8], sd.sin(x[:, 4:8]) * z[:, :4], x[:, 8:] * z[:, 8:] * 2]
    values = {"x": np.random.default_rng(1).normal(size=(7, 12)), "z": np.random.default_rng(2).normal(size=(7, 12)),
              "w": np.random.default_rng(3).normal(size=(20, 12))}
    for kept in (3, 2):
        rest = [sd.zeros((n, 12 - 4 * kept))] if kept < 3 else []
        whole = sd.concat([*parts[:kept], *rest], axis=1)
        outputs = [sd.sum(sd.tanh(whole @ w.T)), *sd.grad(sd.sum(sd.tanh(whole @ w.T)), [x, z])]
        for target in ("interpreter", "cpu", "numba"):
            for found, expected in zip(sd.compile(outputs, [x, z, w], target=target)(**values), sd.evaluate(outputs, values),
                                       strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_operands_of_products_in_loops_are_turned_once() -> None:
    """What a loop reads by columns, turn after turn, is copied before it; what changes in the loop is not."""
    W, x = sd.symbol("W", (24, 40)), sd.symbol("x", (30, 8, 40))

    def step(h: sd.Expression, row: sd.Expression) -> tuple[sd.Expression, sd.Expression]:
        fresh = sd.tanh(h @ W.T @ W + row)
        return fresh, sd.sum(fresh**2)
    _, terms = sd.scan(step, sd.zeros((8, 40)), x)
    loss = sd.sum(terms)
    outputs = [loss, *sd.grad(loss, [W, x])]
    kernel = sd.compile(outputs, [W, x])
    values = {"W": np.random.default_rng(1).normal(size=(24, 40)) * 0.2, "x": np.random.default_rng(2).normal(size=(30, 8, 40))}
    for found, expected in zip(kernel(**values), sd.evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    text = kernel.loop_ir
    assert "full y0: float64[40, 24]" in text and text.index("y0[") < text.index("in 0 : 30 serial"), text
