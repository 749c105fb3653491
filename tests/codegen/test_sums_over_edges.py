"""Random sums over the edges of graphs: rows of tables read at both ends, and added to there; compiled and by the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

SEEDS = range(40)
# Rows of the tables, edges, and elements of a row.
SIZES = ((3, 7, 2), (1, 5, 3), (40, 300, 3), (300, 40, 4), (64, 64, 1), (130, 1000, 3), (9000, 70, 4))


class Graph:
    """A graph, tables over its nodes, and numbers that a seed chooses."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes, self.edges, self.width = SIZES[seed % len(SIZES)]
        named = seed % 3 == 0
        n, m = sd.dims("nodes_of_graph edges_of_graph") if named else (self.nodes, self.edges)
        dtype = "float32" if seed % 5 == 4 else "float64"
        self.table, self.scale = sd.symbol("table", (n, self.width), dtype), sd.symbol("scale", n, dtype)
        self.i, self.j = sd.symbol("i", m, "int64"), sd.symbol("j", m, "int64")
        self.z = sd.symbol("z", (m, self.width), dtype)
        self.inputs = [self.table, self.scale, self.i, self.j, self.z]
        self.tolerance = 2e-3 if dtype == "float32" else 1e-9

    def one_of(self, *made: Callable[[], Any]) -> Any:
        return made[int(self.rng.integers(len(made)))]()

    def values(self) -> list[Any]:
        rng, dtype = self.rng, self.table.dtype
        ends = [rng.integers(-self.nodes, self.nodes, self.edges) for _ in range(2)]
        return [rng.normal(size=(self.nodes, self.width)).astype(dtype), rng.uniform(0.5, 1.5, self.nodes).astype(dtype), *ends,
                rng.normal(size=(self.edges, self.width)).astype(dtype)]

    def rows(self) -> Any:
        """Something for each node, as long as a row."""
        T, s = self.table, self.scale
        return self.one_of(lambda: T, lambda: T * s[:, None], lambda: T / sd.sqrt(sd.sum(T**2, axis=1, keepdims=True) + 1),
                           lambda: sd.tanh(T) * s[:, None], lambda: T * T, lambda: T - sd.mean(T, axis=0))

    def end(self) -> Any:
        """The rows at one end of each edge."""
        return self.rows()[self.one_of(lambda: self.i, lambda: self.j)]

    def of_edges(self) -> Any:
        """Something for each edge, as long as a row."""
        s, z = self.scale, self.z
        a, b = self.end(), self.end()
        return self.one_of(lambda: a - b, lambda: a * b - z, lambda: a * s[self.j][:, None] - b, lambda: z * a + b,
                           lambda: a - z, lambda: sd.sum(a * b, axis=1, keepdims=True) * z,
                           lambda: sd.stack([a[:, 0] * b[:, 0]] * self.width, axis=1) - a)

    def loss(self) -> Any:
        """A number."""
        r = self.of_edges()
        return self.one_of(lambda: sd.sum(r**2), lambda: sd.sum(sd.sin(r) * self.of_edges()), lambda: sd.mean(sd.tanh(r)),
                           lambda: sd.sum(r * self.scale[self.i][:, None]) + sd.sum(self.table**2))

    def added(self) -> Any:
        """What edges hand to the nodes at their ends, with numbers before it."""
        give = lambda at, value: sd.vjp(self.table[at], self.table, value)  # noqa: E731
        r, q = self.of_edges(), self.of_edges()
        return self.one_of(lambda: give(self.i, r) - 2 * give(self.j, r), lambda: (give(self.i, r) + give(self.j, q)) * self.rows(),
                           lambda: give(self.i, r) * self.scale[:, None] - self.scale[:, None] * give(self.j, q) + self.table,
                           lambda: sd.sum((give(self.i, r) - give(self.i, q)) * self.table, axis=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_over_edges(seed: int) -> None:
    graph = Graph(seed)
    loss = graph.loss() + (graph.loss() if seed % 2 else 0)
    over = [graph.table, graph.scale] if seed % 4 else [graph.table]
    gradients = sd.grad(loss, over)
    outputs = [loss, *gradients, graph.added(), sd.hvp(loss, graph.table, sd.cos(graph.table))]
    compiled = sd.compile(outputs, inputs=graph.inputs)
    for values in (graph.values(), graph.values()):
        names = dict(zip(graph.inputs, values, strict=True))
        for k, (got, output) in enumerate(zip(compiled(*values), outputs, strict=True)):
            want = sd.evaluate(output, names)
            size = 1 + np.max(np.abs(want), initial=0)
            np.testing.assert_allclose(got / size, want / size, atol=graph.tolerance, rtol=0, err_msg=f"seed {seed}, output {k}")


def test_both_ends_add_to_one_table() -> None:
    """Of what is added at both ends there is one table, also where it is read in several ways."""
    table, i, j = sd.symbol("table", (500, 3)), sd.symbol("i", 4000, "int64"), sd.symbol("j", 4000, "int64")
    rows = table / sd.sqrt(sd.sum(table**2, axis=1, keepdims=True))
    loss = sd.sum(sd.sin(rows[i] - rows[j]))
    f = sd.compile(sd.grad(loss, table), inputs=[table, i, j])
    assert f.loop_ir.count("fill ") == 1
    assert "passes over the data: 1" in f.explain()


def test_rows_are_fetched_ahead() -> None:
    """The rows of a large table are asked for some turns before; those of a small one are not."""
    for rows, fetched in ((100_000, True), (100, False)):
        table, i = sd.symbol("table", (rows, 4)), sd.symbol("i", 4000, "int64")
        f = sd.compile(sd.grad(sd.sum(sd.sin(table[i])), table), inputs=[table, i])
        assert ("llvm.prefetch" in f.llvm) is fetched
        values = np.random.default_rng(0).normal(size=(rows, 4)), np.arange(4000) % rows
        want = np.zeros((rows, 4))
        np.add.at(want, values[1], np.cos(values[0][values[1]]))
        np.testing.assert_allclose(f(*values), want, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_threads_add_alike(seed: int) -> None:
    """The same bits for one thread and two."""
    graph = Graph(7 * seed + 5)
    loss = graph.loss()
    values = graph.values()
    one, two = (sd.compile([loss, *sd.grad(loss, [graph.table])], inputs=graph.inputs, threads=k) for k in (1, 2))
    for a, b in zip(one(*values), two(*values), strict=True):
        np.testing.assert_array_equal(a, b)
