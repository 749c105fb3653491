"""Indexing by arrays of integers that the call gives: values, adjoints, formulas, errors."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ArgumentMismatch, ShapeMismatch, TypeMismatch
from symdiff.traversal import symbols_of

K, d = sd.dim("gK", minimum=6), sd.dim("gd", minimum=4)
X, Y = sd.symbol("X", (K, d)), sd.symbol("Y", (K, d))
i, j = sd.symbol("i", "m", "int64"), sd.symbol("j", "m", "int64")
c, t = sd.symbol("c", ("m", 2), "int32"), sd.symbol("t", (), "int64")
rng = np.random.default_rng(0)
VALUES = {"X": rng.normal(size=(6, 4)), "Y": rng.normal(size=(6, 4)), "i": rng.integers(-6, 6, 5), "j": rng.integers(-4, 4, 5),
          "c": rng.integers(-4, 4, (5, 2)).astype(np.int32), "t": -2}
# The same text for symbols and for arrays.
WRITTEN = """X[i]; X[i, j]; X[:, j]; X[c]; X[c, 1]; X[t]; X[t, j]; X[:, t]; X[c, j[:, None]]; X[i][j]; X[i][:, ::-1]; X[::2][j % 3]
X[i, None]; X[None, i]; X[:, None, j]; X[j, ..., 0]; X[i, 1:3]; X.T[j]; X[i + 0]; X[i] * Y[i]; X[i] - Y[j]; X[i] @ Y.T
X[i].T @ X[j]; (X * Y)[i]; (X > 0)[i]; i[j]; i[c] * 2; X[i[1:]]; X[i[::-1]]
X[[1, -1, 0]][:, j]; X[[[1], [-1], [0]], j]; X[i, -1]; X[-1, j]""".replace("\n", "; ")


@pytest.mark.parametrize("target", ["reference", "interpreter", "cpu", "numba"])
def test_as_numpy_does_it(target: str) -> None:
    names = {"X": X, "Y": Y, "i": i, "j": j, "c": c, "t": t}
    written = [text.strip() for text in WRITTEN.split(";")]
    roots = [eval(text, {**names}) for text in written]
    inputs = list(names.values())
    results = sd.evaluate(roots, VALUES) if target == "reference" else sd.compile(roots, inputs, target=target)(**VALUES)
    for text, root, ours in zip(written, roots, results, strict=True):
        theirs = eval(text, {name: np.asarray(v) for name, v in VALUES.items()})
        assert np.shape(ours) == theirs.shape, text
        assert root.ndim == theirs.ndim, text
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14, err_msg=text)


def given(root: Any) -> dict[str, Any]:
    """The values of the symbols of an expression."""
    return {s.name: VALUES[s.name] for s in symbols_of([root])}


LOSSES = {
    "rows": sd.sum(sd.sin(X[i]) ** 2),
    "twice": sd.sum(X[i] ** 2 * X[j]),
    "entries": sd.sum(sd.exp(X[i, j])),
    "factors": sd.sum((sd.sum(X[i] * Y[j], axis=1) - 1) ** 2),
    "of a formula": sd.sum(sd.tanh(X * Y)[i] ** 2) + sd.sum(X),
    "of a product": sd.sum(sd.sin((X @ Y.T)[i])),
    "of a gather": sd.sum(X[i][j] ** 3),
    "cross-entropy": -sd.mean(sd.log_softmax(X[i])[sd.arange(sd.dim("m")), j]),
    "columns": sd.logsumexp(X[:, j] ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_derivatives(name: str, target: str) -> None:
    loss = LOSSES[name]
    wrt = [X, Y] if Y in symbols_of([loss]) else [X]
    sd.check_derivatives(loss, wrt, at=given(loss), target=target, limit=12)


def test_second_derivatives_scatter_twice() -> None:
    loss = sd.sum(sd.exp(X[i, j]))
    got = sd.compile(sd.hessian(loss, X), [X, i, j])(VALUES["X"], VALUES["i"], VALUES["j"])
    wanted = np.zeros((6, 4, 6, 4))
    for a, b in zip(VALUES["i"], VALUES["j"], strict=True):
        wanted[a, b, a, b] += np.exp(VALUES["X"][a, b])
    np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_no_loop_over_what_an_index_tells() -> None:
    table, idx = sd.symbol("table", (100_000, 8)), sd.symbol("idx", 50, "int64")
    loss = sd.sum(table[idx] ** 2)
    kernel = sd.compile([loss, sd.grad(loss, table)], [table, idx])
    values = rng.normal(size=(100_000, 8)), rng.integers(0, 100_000, 50)
    kernel(*values)
    assert "one_hot" not in kernel.loop_ir
    # Beside the zeros of the gradient, nothing is as long as the table.
    assert len(re.findall(r"for \w+ in 0 : 100000", kernel.loop_ir)) <= 2
    got = sd.evaluate(sd.grad(loss, table), {"table": values[0], "idx": values[1]})
    wanted = np.zeros_like(values[0])
    np.add.at(wanted, values[1], 2 * values[0][values[1]])
    np.testing.assert_allclose(got, wanted)
    np.testing.assert_allclose(kernel(*values)[1], wanted)


def test_many_samples_are_cut_into_tiles() -> None:
    n = sd.dim("n_long")
    U, V, u, v, r = (sd.symbol("U", ("a", 3)), sd.symbol("V", ("b", 3)), sd.symbol("u", n, "int32"), sd.symbol("v", n, "int64"),
                     sd.symbol("r", n))
    loss = sd.sum((sd.sum(U[u] * V[v], axis=1) - r) ** 2)
    outputs = [loss, sd.grad(loss, U), sd.grad(loss, V)]
    kernel = sd.compile(outputs, [U, V, u, v, r])
    for size in (3, 2000):
        values = [rng.normal(size=(50, 3)), rng.normal(size=(70, 3)), rng.integers(0, 50, size).astype(np.int32),
                  rng.integers(-70, 70, size), rng.normal(size=size)]
        for ours, theirs in zip(kernel(*values), sd.evaluate(outputs, dict(zip("UVuvr", values, strict=True))), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)
    assert "range 0 over n_long" in kernel.loop_ir
    assert not re.search(r"full t\d+: float64\[n_long", kernel.loop_ir)


def test_formulas() -> None:
    assert str(X[i]) == "X[i]"
    assert str(X[:, j]) == "X[:, j]"
    assert str(X[i, j]) == "X[i, j]"
    assert str(sd.sum(X[i] ** 2)) == "‖X[i]‖²"
    assert str(sd.grad(sd.sum(X[i] ** 2), X)) == "2 one_hot(i)ᵀ X[i]"
    read = sd.symbol("X", ("K", "d"))[sd.symbol("idx", "m", "int64")]
    assert sd.formula(read, style="index") == "i,j ↦ Σ[k] X[k,j] [idx[i] = k mod K]"


@pytest.mark.parametrize("name", LOSSES)
def test_numpy_style_runs(name: str) -> None:
    root = sd.grad(LOSSES[name], X)
    scope: dict[str, object] = {}
    exec(sd.formula(root, style="numpy"), scope)
    names = inspect.signature(scope["f"]).parameters  # type: ignore[arg-type]
    sizes = {"gK": 6, "gd": 4, "m": 5}
    got = scope["f"](*[VALUES.get(n, sizes.get(n)) for n in names])  # type: ignore[operator]
    np.testing.assert_allclose(got, sd.evaluate(root, given(root)), rtol=1e-12, atol=1e-13)


def test_positions_outside_are_refused() -> None:
    kernel = sd.compile(X[i], [X, i])
    for wrong in (6, -7):
        with pytest.raises(ArgumentMismatch, match=rf"i holds position {wrong}, which is outside of an axis of size 6"):
            kernel(VALUES["X"], [0, wrong])
        with pytest.raises(ArgumentMismatch, match=r"test_gathers\.py"):
            sd.evaluate(X[i], {"X": VALUES["X"], "i": [wrong]})
    shifted = sd.compile(X[i + 5], [X, i])
    np.testing.assert_array_equal(shifted(VALUES["X"], [0, -1]), VALUES["X"][[5, 4]])
    with pytest.raises(ArgumentMismatch, match=r"i \+ 5 holds position 6"):
        shifted(VALUES["X"], [0, 1])
    # What is cut off is no position.
    three = sd.symbol("three", 3, "int64")
    np.testing.assert_array_equal(sd.compile(X[three[:2]], [X, three])(VALUES["X"], [0, 1, 99]), VALUES["X"][[0, 1]])


@pytest.mark.parametrize("target", ["reference", "interpreter", "cpu", "numba"])
def test_positions_outside_of_an_axis_of_one_are_refused(target: str) -> None:
    one, wide, at = sd.symbol("one", 1), sd.symbol("wide", (3, 1)), sd.symbol("at", 2, "int64")
    root, values = wide[:, at] * one[at], {"wide": np.ones((3, 1)), "one": [7.0]}
    call = (lambda **given: sd.evaluate(root, given)) if target == "reference" else sd.compile(root, target=target)
    np.testing.assert_array_equal(call(at=[0, -1], **values), np.full((3, 2), 7.0))
    for wrong in ([0, 3], [-2, 0]):
        with pytest.raises(ArgumentMismatch, match="outside of an axis of size 1"):
            call(at=wrong, **values)


def test_positions_inside_a_loop_are_refused_too() -> None:
    rows = sd.symbol("rows", ("gt", 2), "int64")
    total = sd.scan(lambda c, at: (c + sd.sum(X[at]) + sd.sum(X[i]), None), 0.0, rows)[0]
    kernel = sd.compile(total, [X, rows, i])
    good = np.array([[0, 1], [2, -6]])
    np.testing.assert_allclose(kernel(VALUES["X"], good, [0]), VALUES["X"][good].sum() + 2 * VALUES["X"][0].sum())
    with pytest.raises(ArgumentMismatch, match="rows holds position 6"):
        kernel(VALUES["X"], [[0, 6], [0, 0]], [0])
    with pytest.raises(ArgumentMismatch, match="i holds position -7"):
        kernel(VALUES["X"], good, [-7])


def test_positions_told_by_the_turn_are_refused_too() -> None:
    """Rows of minibatches, rows of rows, neighbours: what an array or the number of turns tells."""
    rows, order = sd.symbol("rows", ("turns_told", 3), "int64"), sd.symbol("order", "table_told", "int64")
    table, shift = sd.symbol("table", ("table_told", 2)), sd.symbol("shift", (), "int64")
    batches = sd.fori(0, sd.shape(rows)[0], lambda t, c: c + sd.sum(table[rows[t]]), 0.0)
    mixed = sd.fori(0, sd.shape(rows)[0], lambda t, c: c + sd.sum(table[order[rows[t] + shift]]), 0.0)
    near = sd.fori(1, sd.shape(order)[0], lambda t, c: c + table[t - 1, 0] * table[t, 1], 0.0)
    beyond = sd.fori(0, sd.shape(order)[0], lambda t, c: c + table[t + 1, 0], 0.0)
    values = np.arange(12.0).reshape(6, 2)
    places = np.array([[0, 5, -6], [1, 2, 3]])
    turned = np.array([5, 4, 3, 2, 1, 0])
    for target in ("cpu", "numpy"):
        kernel = sd.compile(batches, [table, rows], target=target)
        assert kernel(values, places) == values[places].sum()
        for wrong in (6, -7):
            with pytest.raises(ArgumentMismatch, match=f"rows.* holds position {wrong}, which is outside of an axis of size 6"):
                kernel(values, np.where(places == 5, wrong, places))
        kernel = sd.compile(mixed, [table, rows, order, shift], target=target)
        assert kernel(values, places, turned, 0) == values[turned[places]].sum()
        with pytest.raises(ArgumentMismatch, match="holds position 6, which is outside of an axis of size 6"):
            kernel(values, places, turned, 1)
        with pytest.raises(ArgumentMismatch, match="holds position 9, which is outside of an axis of size 6"):
            kernel(values, places, np.where(turned == 5, 9, turned), 0)
        kernel = sd.compile(near, [table, order], target=target)
        assert kernel(values, turned) == np.sum(values[:-1, 0] * values[1:, 1])
        with pytest.raises(ArgumentMismatch, match="holds position 6, which is outside of an axis of size 6"):
            sd.compile(beyond, [table, order], target=target)(values, turned)


def test_what_is_no_position_is_refused() -> None:
    with pytest.raises(TypeMismatch, match="positions are integers, not float64"):
        X[sd.symbol("w", "m")]
    with pytest.raises(TypeMismatch, match="boolean mask"):
        X[sd.symbol("mask", "K", "bool")]
    with pytest.raises(ShapeMismatch, match="differ"):
        X[i, sd.symbol("k", "other", "int64")]
    with pytest.raises(ShapeMismatch, match="3 indices for 2 axes"):
        X[i, i, i]


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_gathers_of_what_is_made_of_nothing_and_of_patterns(target: str) -> None:
    size = sd.dim("g_made", minimum=4)
    at, Z = sd.symbol("at", 3, "int32"), sd.symbol("Z", (size, size))
    roots = [sd.sum(sd.eye(size)[at]), sd.eye(size)[at], sd.tile(Z, 2)[:, at], sd.diag(Z[0])[at], sd.flip(Z)[at], Z[::-2][at % 2],
             sd.sum(sd.ones((size, 2))[at]), sd.concat([Z, 2 * Z])[at], sd.tril(Z)[at, at], sd.sum(sd.eye(size)[at * 2])]
    values = {"Z": rng.normal(size=(5, 5)), "at": np.array([0, 2, -1], np.int32)}
    for ours, theirs in zip(sd.compile(roots, [Z, at], target=target)(**values), sd.evaluate(roots, values), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_loops_whose_bodies_look_alike_are_told_apart() -> None:
    small, rows, others = sd.symbol("small", 2), sd.symbol("rows", ("gt", 2), "int64"), sd.symbol("others", ("gt", 2), "int64")
    one = sd.scan(lambda c, at: (c + sd.sum(X[at][:, 0]), None), 0.0, rows)[0]
    two = sd.scan(lambda c, at: (c + sd.sum(small[at]) + sd.fori(0, 2, lambda k, z: z + small[at[0]], 0.0), None), 0.0, others)[0]
    kernel = sd.compile([one, two], [X, small, rows, others])
    assert kernel(VALUES["X"], [1.0, 2.0], [[5, 4]], [[0, 1]])[1] == 5.0
    with pytest.raises(ArgumentMismatch, match="others holds position 5"):
        kernel(VALUES["X"], [1.0, 2.0], [[5, 4]], [[0, 5]])
    with pytest.raises(ArgumentMismatch, match="rows holds position 6"):
        kernel(VALUES["X"], [1.0, 2.0], [[6, 4]], [[0, 1]])


def test_differences_of_rows_are_two_reads() -> None:
    """Edges of graphs, triplets: no matrix of ones and zeros, in the formula or in the kernel."""
    E, i, j = sd.symbol("E", (50, 6)), sd.symbol("i", 300, dtype="int64"), sd.symbol("j", 300, dtype="int64")
    assert str(E[i] - E[j]) == "E[i] - E[j]"
    loss = sd.sum(sd.maximum(0.0, 1 + sd.sum((E[i] - E[j]) ** 2, axis=1) - sd.sum((E[i] + 2 * E[j]) ** 2, axis=1)))
    outputs = [loss, sd.grad(loss, E), sd.hvp(loss, E, sd.cos(E))]
    kernel = sd.compile(outputs, [E, i, j], cache=False)
    rng = np.random.default_rng(0)
    values = {E: rng.normal(size=(50, 6)), i: rng.integers(-50, 50, 300), j: rng.integers(0, 50, 300)}
    for found, expected in zip(kernel(*values.values()), sd.evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert "matmul" not in kernel.loop_ir
    assert kernel.stats()["flops"] < 300 * 6 * 60


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_nothing_is_added_where_it_is_masked(target: str, dtype: str) -> None:
    """A packed triangle: most positions stand for nothing, and point to one place."""
    size, rng = 19, np.random.default_rng(3)
    lower = np.tril(np.ones((size, size), bool), -1)
    at = np.zeros((size, size), int)
    at[lower] = 1 + rng.integers(0, 7, lower.sum())
    packed, weights = sd.symbol("packed", (3, 8), dtype), sd.symbol("weights", (3, size, size), dtype)
    kernel = sd.compile(sd.grad(sd.sum(weights * sd.where(lower, packed[:, at], 0.0)), packed), [packed, weights], target=target)
    given = rng.normal(size=(3, size, size)).astype(dtype)
    given[:, ~lower] = np.nan
    wanted = np.zeros((3, 8))
    np.add.at(wanted, (slice(None), at[lower]), given[:, lower])
    np.testing.assert_allclose(kernel(np.ones((3, 8), dtype), given), wanted, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-5)
    assert "select(c" not in kernel.loop_ir


def test_messages_along_edges_are_added_up_once() -> None:
    """The gradient of a square reads the sums at positions: no sum over pairs of edges."""
    nodes, edges, width = 40, 130, 3
    h, at, to = sd.symbol("h", (nodes, width)), sd.symbol("at", edges, "int64"), sd.symbol("to", edges, "int64")
    sums = sd.vjp(sd.symbol("sums", (nodes, width))[to], sd.symbol("sums", (nodes, width)), h[at])
    loss = sd.sum(sums**2)
    kernel = sd.compile([loss, sd.grad(loss, h)], [h, at, to], cache=False)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(nodes, width)), rng.integers(0, nodes, edges), rng.integers(-nodes, nodes, edges)
    added, back = np.zeros((nodes, width)), np.zeros((nodes, width))
    np.add.at(added, values[2], values[0][values[1]])
    np.add.at(back, values[1], 2 * added[values[2]])
    for found, wanted in zip(kernel(*values), [np.sum(added**2), back], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert kernel.stats()["flops"] < 20 * edges * width


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
def test_second_derivatives_through_several_reads_take_no_loop_over_the_table(target: str) -> None:
    """The Hessian of Σ f(s[i] - 2 s[j] + s[k]) adds nine numbers a sample, wherever i, j and k point."""
    s, w = sd.symbol("s", 13), sd.symbol("w", "m")
    i, j, k = sd.symbols("i j k", "m", "int64")
    value = sd.sum(w * sd.log(1 + sd.exp(s[i] - 2 * s[j] + s[k])))
    hessian = sd.hessian(value, s)
    rng = np.random.default_rng(5)
    m = 40
    values = {s: rng.normal(size=13), w: rng.normal(size=m), **{a: rng.integers(-13, 13, m) for a in (i, j, k)}}
    kernel = sd.compile(hessian, [*values], target=target, cache=False)
    np.testing.assert_allclose(kernel(*values.values()), sd.evaluate(hessian, values), rtol=1e-12, atol=1e-14)
    samples = [part for part in kernel.loop_ir.split("\n  for ") if "select(less(" in part]
    assert samples and not any(" in 0 : 13 " in part for part in samples)


def test_gradients_by_tables_are_added_up_in_what_is_returned() -> None:
    """The number before the sum goes into what is added: no second table is stored, and none is passed over."""
    table, at = sd.symbol("table", ("gtab", 3)), sd.symbol("at", "gat", "int64")
    gradient = sd.grad(sd.sum(sd.tanh(table[at]) ** 2), table)
    kernel = sd.compile(gradient, [table, at])
    rng = np.random.default_rng(0)
    for rows in (5, 5_000):
        values, places = rng.normal(size=(rows, 3)), rng.integers(-5, 5, 40)
        expected = np.zeros((rows, 3))
        np.add.at(expected, places, 2 * np.tanh(values[places]) / np.cosh(values[places]) ** 2)
        np.testing.assert_allclose(kernel(values, places), expected, rtol=1e-12, atol=1e-14)
    assert kernel.stats()["scratch_bytes"] < 10_000
    # Where the table is asked for as it is, too, it is added up once.
    both = sd.compile([gradient, gradient / 2], [table, at])
    for found, number in zip(both(values, places), (1, 0.5), strict=True):
        np.testing.assert_allclose(found, number * expected, rtol=1e-12, atol=1e-14)
