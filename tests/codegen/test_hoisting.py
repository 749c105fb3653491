"""Matrix products that no carry reaches are computed before the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.costs import Hints
from codegen.planning.hoisting import hoist
from symdiff.loops import is_scan, loop_of
from symdiff.traversal import topological

TURNS, SIZE = 9, 20
n, d = sd.dim("hoisted_turns", minimum=0), sd.dim("hoisted_size")
V, W = sd.symbol("V", (SIZE, SIZE)), sd.symbol("W", (SIZE, SIZE))
Step = Callable[[Any, Any], Any]
# What the slices of a loop have more than before, of a shape each.
STEPS: dict[str, tuple[Step, list[tuple[int, ...]]]] = {
    "a slice": (lambda c, x: sd.tanh(W @ c + V @ x), [(SIZE,)]),
    "two products": (lambda c, x: sd.tanh(c * (W @ x) + V.T @ sd.sin(x)), [(SIZE,), (SIZE,)]),
    "one inside of the other": (lambda c, x: sd.tanh(0.5 * c + W @ sd.softplus(V @ x + 1)), [(SIZE,)]),
    "masks and flips": (lambda c, x: 0.5 * sd.cos(c) + W @ sd.where(x > 0, sd.log(x), x[::-1]), [(SIZE,)]),
    "sums and views": (lambda c, x: 0.3 * c + (V @ (x - sd.mean(x)))[::-1] * sd.max(x), [(SIZE,)]),
    "a carry": (lambda c, x: sd.tanh(W @ (c + x)), []),
    "nothing but carries": (lambda c, x: sd.tanh(W @ c) + x, []),
    "a quadratic form": (lambda c, x: sd.tanh(c + x * (x @ V @ x)), [(SIZE,)]),
    "a loop inside": (lambda c, x: sd.tanh(c + sd.fori(0, 6, lambda k, z: sd.tanh(0.1 * (W @ z) + V @ x), x)), [(SIZE,)]),
}


def slices_of(roots: list[Any]) -> list[list[tuple[Any, ...]]]:
    """The shapes of the slices of each loop."""
    return [[s.shape for s in loop_of(node)[0].slices] for node in topological(roots) if is_scan(node)]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_values_and_derivatives(name: str, backward: bool) -> None:
    step, more = STEPS[name]
    x = sd.symbol("x", (TURNS, SIZE))
    end, rows = sd.scan(lambda c, s: (step(c, s),) * 2, sd.ones(SIZE), x, reverse=backward)
    total = sd.sum(rows**2) + sd.sum(sd.sin(end))
    (shapes, *_) = slices_of(hoist([rows], Hints({})))
    assert shapes[1:] == more
    roots = [total, *sd.grad(total, [V, W, x])]
    rng = np.random.default_rng(0)
    values = {s: 0.2 * rng.normal(size=s.shape) for s in (V, W, x)}
    for target in ("cpu", "interpreter"):
        found = sd.compile(roots, list(values), target=target)(*values.values())
        for result, expected in zip(found, sd.evaluate(roots, values), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-11)


def test_sizes_known_only_at_the_call() -> None:
    x, M = sd.symbol("x", (n, d)), sd.symbol("M", (d, d))
    _, rows = sd.scan(lambda c, s: (sd.tanh(0.1 * c + M @ s),) * 2, sd.ones(d), x)
    roots = [sd.sum(rows), sd.grad(sd.sum(rows), M)]
    kernel = sd.compile(roots, [x, M])
    for turns, size in ((7, 30), (1, 3), (4, 17), (0, 5)):
        values = {x: np.random.default_rng(1).normal(size=(turns, size)), M: np.full((size, size), 0.1)}
        for result, expected in zip(kernel(*values.values()), sd.evaluate(roots, values), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("shape", "size"), [((TURNS, 12, SIZE), SIZE), ((3, SIZE), SIZE), ((TURNS, 5), 5)])
def test_what_is_not_worth_it_stays(shape: tuple[int, ...], size: int) -> None:
    """Many rows a turn, few turns, a small matrix."""
    x, M = sd.symbol("x", shape), sd.symbol("M", (size, size))
    _, rows = sd.scan(lambda c, s: (sd.tanh(c + s @ M),) * 2, sd.ones(shape[1:]), x)
    assert slices_of(hoist([rows], Hints({}))) == [[shape[1:]]]
