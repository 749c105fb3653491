"""Programs over numbers: elements of arrays at given places, what is computed of them, and gradients put at their places."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.passes import are_numbers
from symdiff.expression import Node

x, A = sd.symbol("x", 5), sd.symbol("A", (3, 4))
n = sd.dim("n_of_numbers", minimum=6)
y = sd.symbol("y", n)
number = sd.sin(x[1]) * A[0, 2] + x[1] ** 2 / x[4]


@pytest.mark.parametrize(("node", "expected"), [
    (number, True),
    (sd.grad(number, x), True),
    (sd.grad(number, A), True),
    (sd.hessian(number, x), True),
    (sd.grad(y[2] ** 3 * sd.exp(y[5]), y), True),
    (sd.stack([number, x[0], x[2] * A[1, 1]]), True),
    (sd.exp(x), True),
    (sd.sum(x), False),
    (x * x[1], False),
    (sd.grad(sd.sum(x * x) * x[1], x), False),
    (A @ x[:4], False),
    (x[1:] - x[:-1], False),
])
def test_what_is_a_program_over_numbers(node: Node, expected: bool) -> None:
    assert are_numbers([node]) == expected


def program(rng: np.random.Generator, length: int) -> Node:
    """A random program over elements of x, A and y, some of them through functions of the whole arrays."""
    squares, roots = x**2, sd.sqrt(A + 3)
    values = [x[0], x[3], A[1, 1], A[2, 3], y[0], y[5], squares[1], squares[3], roots[1, 1], roots[0, 2]]
    for _ in range(length):
        a, b = (values[int(k)] for k in rng.integers(0, len(values), 2))
        values.append([sd.sin(a), sd.tanh(b), a * b, a - b / 3, a / (2 + b * b), sd.where(a < b, a, b * b)][int(rng.integers(6))])
    total = values[-1]
    for value in values[-6:-1]:
        total = total + value
    return total


@pytest.mark.parametrize("seed", range(12))
def test_values_and_derivatives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = program(rng, 25)
    given = rng.uniform(-1, 1, 5), rng.uniform(-1, 1, (3, 4)), rng.uniform(-1, 1, 7)
    outputs = [loss, *sd.grad(loss, [x, A, y]), sd.hessian(loss, x), x**2]
    found, expected = (sd.compile(outputs, [x, A, y], target=target, cache=False)(*given) for target in ("cpu", "numpy"))
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-13)
