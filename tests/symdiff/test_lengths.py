"""Lengths √(x² + y²) and what stands over them."""

from __future__ import annotations

import numpy as np

import symdiff as sd


def test_a_length_with_a_side_that_is_nothing_times_another() -> None:
    """0 x is kept, for x may be infinite; x over such a length is no direction that x belongs to."""
    x = sd.symbol("x", "sides")
    at = {"x": np.array([1.0, 2.0, -3.0])}
    np.testing.assert_allclose(sd.evaluate(x / sd.hypot(0 * x, x + 1), at), at["x"] / np.abs(at["x"] + 1))
    nothing = x * (x - x)
    gradient = sd.grad(sd.sum(sd.atan2(nothing, nothing**2 + 1)), x)
    np.testing.assert_array_equal(sd.evaluate(gradient, at), np.zeros(3))
