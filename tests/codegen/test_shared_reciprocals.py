"""Powers of one number with negative exponents share its reciprocal in a loop."""

from __future__ import annotations

import numpy as np

import symdiff as sd


def test_powers_of_a_distance() -> None:
    """Lennard-Jones forces take one division for each pair of particles."""
    x = sd.symbol("x", (300, 3))
    i, j = sd.symbol("i", 2000, "int64"), sd.symbol("j", 2000, "int64")
    sixth = 1 / sd.sum((x[i] - x[j])**2, axis=1)**3
    energy = sd.sum(sixth**2 - sixth)
    f = sd.compile(list(sd.value_and_grad(energy, x)), inputs=[x, i, j])
    assert f.loop_ir.count("reciprocal") == 1
    rng = np.random.default_rng(0)
    X, I = rng.normal(size=(300, 3)), rng.integers(0, 300, 2000)
    J = (I + rng.integers(1, 300, 2000)) % 300
    value, gradient = f(X, I, J)
    d = X[I] - X[J]
    r = 1 / np.sum(d**2, axis=1)
    push = ((6 * r**4 - 12 * r**7)[:, None] * d)
    want = np.zeros_like(X)
    np.add.at(want, I, push)
    np.add.at(want, J, -push)
    np.testing.assert_allclose(value, np.sum(r**6 - r**3), rtol=1e-12)
    np.testing.assert_allclose(gradient, want, atol=1e-12 * np.max(np.abs(want)))


def test_special_values() -> None:
    """Zeros, infinities, nan and numbers with tiny or huge powers, as the reference has them."""
    x = sd.symbol("x", 9)
    outputs = [(1 / x)**3 + sd.sin(x), 1 / x**2 * sd.cos(x), x**-5 - 1]
    values = np.array([0.0, np.inf, -np.inf, np.nan, 1e-80, -1e80, -2.0, 0.5, 1e150])
    for got, output in zip(sd.compile(outputs, inputs=[x])(values), outputs, strict=True):
        with np.errstate(all="ignore"):
            want = sd.evaluate(output, {x: values})
        np.testing.assert_allclose(got, want, rtol=1e-14)
