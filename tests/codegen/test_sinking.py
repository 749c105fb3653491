"""Sums and products by element of what a loop walks along are computed in its turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.sinking import sink
from symdiff.loops import is_scan, loop_of
from symdiff.traversal import topological

n = sd.dim("sunk_turns", minimum=0)
x, y, w, s = (sd.symbol(name, shape) for name, shape in zip("xyws", ((n, 3), (n, 3), 3, n), strict=True))
# What a loop walks along, and how many slices and values that do not change it has afterwards.
ARRAYS: dict[str, tuple[Callable[[], Any], int, int]] = {
    "an array": (lambda: x, 1, 0),
    "a sum": (lambda: 2 * (x - y), 2, 0),
    "a sum of one array and of numbers": (lambda: 0.5 * x + 1, 1, 0),
    "a product": (lambda: x * y * w, 2, 1),
    "a column": (lambda: x * s[:, None], 2, 0),
    "a sum with what does not change": (lambda: x + w, 1, 1),
    "a square": (lambda: (x - y) ** 2, 2, 0),
    "a mask": (lambda: sd.where(s[:, None] > 0, x, 0), 2, 0),
    "a sum over a part": (lambda: x * sd.sum(y, axis=0), 1, 1),
    "numbers": (lambda: sd.ones((n, 3)), 0, 0),
    "a function": (lambda: sd.exp(x - y), 1, 0),
    "many operations": (lambda: (x + y * w) * (x - y) * (x + 1) + y, 1, 0),
    "another order": (lambda: x[::-1] + y, 1, 0),
    "a contraction": (lambda: x @ sd.outer(w, w), 1, 1),
}


def loops_of(roots: list[Any]) -> list[Any]:
    return [loop_of(node)[0] for node in topological(roots) if is_scan(node)]


def step(c: Any, row: Any) -> Any:
    return (sd.tanh(c + row),) * 2


@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_walked_along(name: str) -> None:
    array, slices, others = ARRAYS[name]
    (loop,) = loops_of(sink([sd.scan(step, sd.zeros(3), array())[1]]))
    assert (len(loop.slices), len(loop.invariants)) == (slices, others)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_values_and_derivatives(name: str, backward: bool) -> None:
    end, rows = sd.scan(step, w, ARRAYS[name][0](), reverse=backward)
    total = sd.sum((rows - y) ** 2) + sd.sum(sd.sin(end))
    roots = [total, *sd.grad(total, [x, y, w])]
    kernels = [sd.compile(roots, [x, y, w, s], target=target) for target in ("cpu", "interpreter")]
    for turns in (7, 1, 0):
        values = {symbol: np.random.default_rng(turns).normal(size=(turns, 3)[:symbol.ndim] if symbol is not w else 3)
                  for symbol in (x, y, w, s)}
        for result in zip(sd.evaluate(roots, values), *[kernel(*values.values()) for kernel in kernels], strict=True):
            for found in result[1:]:
                np.testing.assert_allclose(found, result[0], rtol=1e-10, atol=1e-12)


def test_the_adjoint_of_what_is_kept_is_not_stored() -> None:
    _, rows = sd.scan(step, sd.zeros(3), x)
    total = sd.mean((rows - y) ** 2)
    kernel = sd.compile([total, sd.grad(total, x)], [x, y])
    kernel(np.ones((50, 3)), np.ones((50, 3)))
    assert "a loop reads it" not in kernel.explain()


@pytest.mark.parametrize("other", [lambda r: r.T @ r, lambda r: sd.max(r)])
def test_what_others_read_too(other: Callable[[Any], Any]) -> None:
    array = x * y
    _, rows = sd.scan(step, sd.zeros(3), array)
    outputs = [rows, other(array), array]
    (loop,) = loops_of(sink(outputs))
    assert len(loop.slices) == 1
    values = {x: np.random.default_rng(1).normal(size=(5, 3)), y: np.random.default_rng(2).normal(size=(5, 3))}
    for found, expected in zip(sd.compile(outputs, [x, y])(*values.values()), sd.evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_arrays_that_are_walked_along_twice() -> None:
    _, rows = sd.scan(lambda c, a: (sd.tanh(c + a[0] * a[1] - a[2]),) * 2, sd.zeros(3), (x - y, 1 * (x - y), x))
    values = {x: np.random.default_rng(1).normal(size=(5, 3)), y: np.random.default_rng(2).normal(size=(5, 3))}
    outputs = [rows, *sd.grad(sd.sum(rows), [x, y])]
    for found, expected in zip(sd.compile(outputs, [x, y])(*values.values()), sd.evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
