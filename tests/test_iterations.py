"""Iterations that are written out step by step keep the digits that they have in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import symdiff as sd


def descent(xp: Any, A: Any, b: Any) -> Any:
    z = 0 * b
    for _ in range(80):
        z = z + 0.5 * (b - A @ z)
    return z


def nesterov(xp: Any, A: Any, b: Any) -> Any:
    z = before = 0 * b
    for _ in range(40):
        y = 1.9 * z - 0.9 * before
        before, z = z, y - 0.2 * (A @ y - b)
    return z


def heavy_ball(xp: Any, A: Any, b: Any) -> Any:
    z = speed = 0 * b
    for _ in range(40):
        speed = 0.9 * speed - 0.2 * (A @ z - b)
        z = z + speed
    return z


@pytest.mark.parametrize("solve", [descent, nesterov, heavy_ball])
def test_iterations_that_correct_themselves_do_so_when_written_out(solve: Callable[..., Any]) -> None:
    """Steps are not gathered to powers of the matrix, whose coefficients grow with each and cancel: against twice the digits."""
    A, b = sd.symbol("A_steps", (4, 4)), sd.symbol("b_steps", 4)
    matrix = np.array([[2.0, 0.5, 0.0, 0.1], [0.5, 2.0, 0.4, 0.0], [0.0, 0.4, 2.0, 0.5], [0.1, 0.0, 0.5, 2.0]])
    right = np.array([0.5, 0.7, 1.1, 1.3])
    loss = sd.sum(solve(sd, A, b) ** 2)
    outputs = [loss, sd.grad(loss, b)]
    with mp.workdps(60):
        A_exact, *sides = (np.vectorize(mp.mpf, otypes=[object])(part) for part in (matrix, right, *np.eye(4)))
        exact, *columns = (solve(np, A_exact, side) for side in sides)
        square, slope = float(exact @ exact), [float(2 * (column @ exact)) for column in columns]
    for target, error in (("numpy", 1e-11), ("cpu", 1e-14)):  # the reference adds up sums as the formula has them
        value, gradient = sd.compile(outputs, [A, b], target=target)(matrix, right)
        np.testing.assert_allclose(value, square, rtol=1e-14)
        np.testing.assert_allclose(gradient, slope, rtol=error, atol=error)
