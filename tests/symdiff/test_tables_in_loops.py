"""Tables that are read in loops at positions which the call gives: embeddings of sequences, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.loops import deep, is_scan, loop_of

ROWS, WIDTH, TURNS, BATCH = 7, 3, 5, 4
n = sd.dim("table_turns", minimum=0)
E, w, W = sd.symbol("E", (ROWS, WIDTH)), sd.symbol("w", ROWS), sd.symbol("W", (WIDTH, WIDTH))
one, many = sd.symbol("one", n, dtype="int64"), sd.symbol("many", (n, BATCH), dtype="int64")
Step = Callable[[Any, Any, Any], Any]
# The step, and the shape of what it carries.
STEPS: dict[str, tuple[Step, tuple[int, ...]]] = {
    "a row": (lambda c, i, j: sd.tanh(W @ c + E[i]), (WIDTH,)),
    "rows": (lambda c, i, j: sd.tanh(c @ W + E[j] @ W), (BATCH, WIDTH)),
    "an element": (lambda c, i, j: sd.sin(c * w[i]), ()),
    "elements": (lambda c, i, j: sd.tanh(c @ W * w[j][:, None]), (BATCH, WIDTH)),
    "a column": (lambda c, i, j: 0.5 * c + sd.exp(0.1 * E[:, i % WIDTH]) * w, (ROWS,)),
    "a difference of rows": (lambda c, i, j: sd.tanh(c + (E[i] - E[j[0]]) * w[j[1]]), (WIDTH,)),
    "a row by the state": (lambda c, i, j: 0.3 * c + E[sd.astype(sd.floor(6 * sd.sigmoid(c[0])), "int64")] @ W, (WIDTH,)),
    "counts": (lambda c, i, j: sd.tanh(c + sd.sum(w[j])), ()),
    "rows together": (lambda c, i, j: sd.tanh(W @ c + sd.sum(E[j], axis=0)), (WIDTH,)),
    "rows by the carry": (lambda c, i, j: 0.9 * c - 0.1 * sd.sum(E[j] @ c - 1.0) * W[0], (WIDTH,)),
    "masks": (lambda c, i, j: sd.where(w[i] > 0, sd.log(sd.abs(w[i])) * E[i], c), (WIDTH,)),
}


def outputs_of(name: str, backward: bool) -> list[Any]:
    step, shape = STEPS[name]
    end, rows = sd.scan(lambda c, s: (step(c, *s),) * 2, sd.ones(shape), (one, many), reverse=backward)
    loss = sd.sum(rows**2) + sd.sum(sd.cos(end))
    gradients = sd.grad(loss, [E, w, W])
    return [loss, *gradients, sd.hvp(loss, w, sd.cos(w)), *sd.grad(sd.sum(gradients[1] ** 2), [E, w])]


def given(turns: int) -> list[Any]:
    rng = np.random.default_rng(turns)
    return [0.5 * rng.normal(size=s.shape) for s in (E, w, W)] + [
        rng.integers(-ROWS, ROWS, turns), rng.integers(0, ROWS, (turns, BATCH))]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_values_and_derivatives(name: str, backward: bool) -> None:
    outputs = outputs_of(name, backward)
    kernels = [sd.compile(outputs, [E, w, W, one, many], target=target) for target in ("cpu", "interpreter")]
    for turns in (TURNS, 1, 0):
        values = given(turns)
        wanted = sd.evaluate(outputs, dict(zip((E, w, W, one, many), values, strict=True)))
        for kernel in kernels:
            for found, expected in zip(kernel(*values), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    values = given(TURNS)
    _, *gradients = kernels[0](*values)[:4]
    ways = [np.random.default_rng(9).normal(size=s.shape) for s in (E, w, W)]
    up, down = (kernels[0](*[v + sign * 1e-6 * d for v, d in zip(values, ways, strict=False)], *values[3:]) for sign in (1, -1))
    slope = sum(np.sum(g * d) for g, d in zip(gradients, ways, strict=True))
    np.testing.assert_allclose(slope, (up[0] - down[0]) / 2e-6, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["a row", "rows", "an element", "elements", "a difference of rows", "rows together",
                                  "rows by the carry"])
def test_no_table_is_carried_or_kept(name: str) -> None:
    """Gradients add up rows of tables after the loop: nothing that long is carried, or kept for every turn."""
    for node in deep(outputs_of(name, False)[1:3]):
        if is_scan(node):
            loop = loop_of(node)[0]
            assert all(ROWS not in part.shape for part in (*loop.carries, *loop.slices, *loop.stacks))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", ["exp", "power", "quotient", "two reads"])
def test_gradients_of_what_is_computed_and_then_read_at_a_position(name: str, rows: int) -> None:
    """The position 0 is one as the others are: it is no condition that does not hold."""
    x, start = sd.symbol("x", rows), sd.symbol("start")
    read: dict[str, Callable[[Any, Any], Any]] = {
        "exp": lambda i, c: sd.exp(x * c)[i], "power": lambda i, c: ((x * c + 2.0) ** 2.5)[i],
        "quotient": lambda i, c: (c / (x + 3.0) ** 3)[i], "two reads": lambda i, c: sd.exp(x[i] * c) * (sd.exp(x) / c)[i],
    }
    end = sd.fori(0, rows, lambda i, c: 0.3 * c + 0.1 * read[name](i, c), start)
    state: Any = start
    for i in range(rows):
        state = 0.3 * state + 0.1 * read[name](i, state)
    found, wanted = ([f, *sd.grad(f, [x, start]), sd.hvp(f, x, sd.cos(x))] for f in (end, state))
    values = {"x": np.random.default_rng(1).normal(size=rows), "start": 0.6}
    for got, right in zip(sd.evaluate(found, values), sd.evaluate(wanted, values), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-14)
    kernel = sd.compile(found, [x, start])
    for got, right in zip(kernel(*values.values()), sd.evaluate(wanted, values), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-14)
