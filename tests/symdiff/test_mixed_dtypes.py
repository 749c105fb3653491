"""Integers and float32 beside float64: what is computed in the wider dtype fits it, in values and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

LENGTH = 4
FORMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a square": lambda f, i, j: f * i * i,
    "half of one": lambda f, i, j: f / 2 * i * i,
    "of casts": lambda f, i, j: f * (sd.astype(i, "float64") * sd.astype(i, "float64")),
    "of a product": lambda f, i, j: (f * i + 1.0) ** 2,
    "a polynomial": lambda f, i, j: (f[0] + f[1] * i + f[2] * i * i) * f,
    "three factors": lambda f, i, j: i @ (f * j) * f,
    "three in a sum": lambda f, i, j: sd.sum(i * f * j) * f,
    "three in another order": lambda f, i, j: sd.sum(f * j * i) * f,
    "einsum": lambda f, i, j: sd.einsum("i,i,i->", i, i, f) * f,
    "einsum of pairs": lambda f, i, j: sd.einsum("i,j,k->k", i, j, f) * f,
    "a sum, squared": lambda f, i, j: (f * sd.sum(i) / j) ** 2,
    "a matrix": lambda f, i, j: sd.outer(f * i, j) @ f,
    "a root": lambda f, i, j: sd.sqrt(sd.abs(f * i * j) + 1) * i,
}
DATA: dict[str, tuple[Any, Any]] = {
    "int32": (np.array([50000, 60000, 70000, 41000]), np.array([65000, 30000, -70000, 52000])),
    "int64": (np.array([4_000_000_001, 3_999_999_999, 7, 2**33]), np.array([2**32, 5_000_000_000, 3, 4_100_000_000])),
    "float32": (np.array([1e25, 3e-25, 7.1, 2.3e24]), np.array([3e25, 1.1e25, 2.7, 1e24])),
}


@pytest.mark.parametrize("target", ["cpu", "numpy", "interpreter"])
@pytest.mark.parametrize("dtype", DATA)
@pytest.mark.parametrize("name", FORMS)
def test_values_and_derivatives(name: str, dtype: str, target: str) -> None:
    """As the same formula of data in float64."""
    found: list[list[Any]] = []
    weights = np.array([1.0, 0.5, -2.0, 0.3])
    for kind in (dtype, "float64"):
        f, i, j = sd.symbol("f", LENGTH), sd.symbol(f"i_{kind}", LENGTH, kind), sd.symbol(f"j_{kind}", LENGTH, kind)
        value = FORMS[name](f, i, j)
        loss = sd.sum(value)
        outputs = [value, sd.grad(loss, f), sd.hvp(loss, f, sd.ones_like(f))]
        data = [v.astype(dtype).astype(kind) for v in DATA[dtype]]
        found.append(sd.compile(outputs, [f, i, j], target=target)(weights, *data))
    for one, other in zip(*found, strict=True):
        scale = float(np.max(np.abs(other), initial=1.0))
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13 * scale)


def test_truth_values_that_are_moved_are_joined_in_all_targets() -> None:
    b = sd.symbol("b", 3, "bool")
    outputs = [~sd.roll(b, 1), sd.concatenate([b, ~b]), sd.where(sd.roll(b, 1), 1.0, 0.0)]
    given = np.array([True, False, True])
    wanted = [~np.roll(given, 1), np.concatenate([given, ~given]), np.where(np.roll(given, 1), 1.0, 0.0)]
    for target in ("cpu", "numba", "numpy", "interpreter"):
        for found, expected in zip(sd.compile(outputs, [b], target=target)(given), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_linspace_of_one_number_is_its_start() -> None:
    n = sd.dim("mixed_points")
    x = sd.symbol("x", n)
    f = sd.compile([sd.linspace(0, 1, n) + 0 * x, sd.linspace(2, x[0], n)], [x])
    for count in (1, 2, 5, 200):
        for found, expected in zip(f(np.ones(count)), (np.linspace(0, 1, count), np.linspace(2, 1, count)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize("target", ["cpu", "numpy", "interpreter"])
def test_positions_of_extremes_of_no_rows(target: str) -> None:
    x = sd.symbol("x", (0, 3))
    for outcome in (sd.argmax(x, axis=1), sd.argmin(x, axis=1)):
        found = sd.compile(outcome, [x], target=target)(np.zeros((0, 3)))
        assert found.shape == (0,) and found.dtype == np.int64


def test_clipped_integers_stay_integers() -> None:
    n = sd.dim("mixed_clipped")
    x = sd.symbol("x", n)
    assert sd.clip(2, 0, 4).dtype == sd.clip(2, 0, n - 1).dtype == "int64" and sd.clip(2.5, 0, 4).dtype == "float64"
    f = sd.compile(x[sd.clip(2, 0, n - 1)], x)
    assert f([1.0, 2.0]) == 2.0 and f([1.0, 2.0, 3.0, 4.0]) == 3.0


@pytest.mark.parametrize("exponent", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), np.full(3, 0.5), np.full((2, 3), 0.5),
                                      np.float64(1.5), np.array(2.0)], ids=repr)
def test_powers_have_the_dtype_and_shape_that_numpy_gives(exponent: Any) -> None:
    base = np.array([1, 2, 3], np.float32)
    f = sd.symbol("f", 3, "float32")
    want = base**exponent
    assert (f**exponent).dtype == want.dtype and (f**exponent).shape == want.shape
    np.testing.assert_allclose(sd.evaluate(f**exponent, {"f": base}), want, rtol=1e-6 if want.dtype == np.float32 else 1e-14)
