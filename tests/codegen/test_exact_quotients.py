"""Quotients that are whole numbers are so under functions that jump, whatever the divisor is spread along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

X, y, w, s = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d"), sd.symbol("s")
COUNT = np.arange(1.0, 200.0)
PRIMES = np.array([49.0, 7.0, 3.0, 11.0, 13.0, 98.0, 107.0, 103.0])
AT = {"X": np.multiply.outer(COUNT, PRIMES), "y": COUNT, "w": PRIMES, "s": np.asarray(49.0)}

FORMULAS: dict[str, Callable[[Any, Any, Any, Any, Any], Any]] = {
    "a divisor for each row": lambda xp, X, y, w, s: xp.floor(X / y[:, None]),
    "for each column": lambda xp, X, y, w, s: xp.floor(X / w),
    "for all": lambda xp, X, y, w, s: xp.ceil(w[None, :] * s / s),
    "multiples": lambda xp, X, y, w, s: xp.trunc(2 * X / (2 * y[:, None]) + 1),
    "an equation": lambda xp, X, y, w, s: xp.where(X / y[:, None] == w, 1.0, 0.0),
    "a bound": lambda xp, X, y, w, s: xp.where(X / y[:, None] >= w, X, -X),
    "the remainder": lambda xp, X, y, w, s: xp.remainder(X, y[:, None]),
    "summed": lambda xp, X, y, w, s: xp.sum(xp.floor(X / y[:, None]), axis=1),
    "a divisor that is computed": lambda xp, X, y, w, s: xp.floor(3 * X / xp.sum(X, axis=0)) + xp.floor(X / xp.max(X, axis=0)),
    "several readers": lambda xp, X, y, w, s: xp.floor(X / w) + xp.exp(-1 / w) * X + xp.sum(X / w, axis=0)}


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("name", FORMULAS)
def test_whole_quotients(name: str, target: str) -> None:
    outputs = FORMULAS[name](sd, X, y, w, s)
    wanted = FORMULAS[name](np, *AT.values())
    found = sd.compile(outputs, inputs=[X, y, w, s], target=target, cache=False)(*AT.values())
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
def test_the_derivative_of_a_remainder_by_its_divisor(target: str) -> None:
    slope = sd.compile(sd.grad(sd.sum(sd.mod(X, y[:, None])), y), [X, y], target=target, cache=False)
    np.testing.assert_array_equal(slope(AT["X"], AT["y"]), -np.floor(AT["X"] / AT["y"][:, None]).sum(1))
