"""High powers of quotients: the quotient is raised, as both parts of it may be no numbers of their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

TARGETS = ("cpu", "numba", "numpy")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_potential_in_metres(target: str, dtype: str) -> None:
    """Lennard-Jones' potential, 4 ((s / r)¹² − (s / r)⁶), with lengths of atoms in SI units."""
    r, s = sd.symbol("r", 3, dtype), sd.symbol("s", dtype=dtype)
    lengths = np.array([3.8e-10, 4.1e-10, 5.5e-10], dtype)
    size = np.dtype(dtype).type(3.4e-10)
    q = np.float64(size) / lengths.astype(float)
    value, slope = 4 * (q**12 - q**6), -4 * (12 * q**12 - 6 * q**6) / lengths.astype(float)
    tolerance = 3e-6 if dtype == "float32" else 1e-13
    for given, inputs in ((s, {"s": size}), (float(size), {})):
        loss = sd.sum(4 * ((given / r) ** 12 - (given / r) ** 6))
        f = sd.compile([4 * ((given / r) ** 12 - (given / r) ** 6), sd.grad(loss, r)], target=target)
        found: Any = f(**inputs, r=lengths)
        np.testing.assert_allclose(found[0], value, rtol=tolerance)
        np.testing.assert_allclose(found[1], slope, rtol=10 * tolerance)


@pytest.mark.parametrize("power", [3, 4, 7, -5])
def test_quotients_of_large_numbers(power: int) -> None:
    x, y = sd.symbol("x", 4), sd.symbol("y", 4)
    large = np.array([2e200, 3e220, -5e180, 7e300])
    want = np.array([2.0, 1.5, -0.5, 0.7]) ** power
    values = {"x": large, "y": large / np.array([2.0, 1.5, -0.5, 0.7])}
    np.testing.assert_allclose(sd.evaluate((x / y) ** power, values), want, rtol=1e-13)
    np.testing.assert_allclose(sd.compile((x / y) ** power, inputs=[x, y])(**values), want, rtol=1e-13)
