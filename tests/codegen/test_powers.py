"""Powers with any exponent: their error in units of the last place over the whole range, and what C says of special values.

The oracle is NumPy in extended precision; seeds are fixed, bounds are what was measured on millions of pairs, rounded up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

Long = np.longdouble
Array = Any
COUNT = 20_000
ULP = {"float64": 0.85, "float32": 0.6}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 2.5, -2.5, 33.0, 1 / 3, 1e10, -1e-5, np.inf, -np.inf, np.nan)


def specials(dtype: str) -> Array:
    """Zeros, infinities, NaN, ends of the range, odd and even numbers, and neighbours of 1."""
    f = np.finfo(dtype)
    even = 2.0 ** (f.nmant + 1)
    ends = (f.max, -f.max, f.tiny, f.smallest_subnormal, -f.smallest_subnormal, 1 + f.eps, 1 - f.epsneg, even + 2, even - 1)
    return np.array([*SPECIAL, *map(float, ends)]).astype(dtype)


def exact(x: Array, y: Array) -> Array:
    """xʸ in extended precision."""
    with np.errstate(all="ignore"):
        return np.power(x.astype(Long), y.astype(Long))


def pairs(name: str, dtype: str) -> tuple[Array, Array]:
    """Bases and exponents whose powers fill a part of the range."""
    rng = np.random.default_rng(23)
    f = np.finfo(dtype)
    top = float(np.log(f.max))
    if name == "plain":
        return np.abs(rng.normal(size=COUNT)).astype(dtype), rng.normal(0, 3, COUNT).astype(dtype)
    if name == "below zero":
        return -np.abs(rng.normal(0, 5, COUNT)).astype(dtype), rng.integers(-30, 30, COUNT).astype(dtype)
    if name == "subnormal bases":
        return (f.smallest_subnormal * rng.integers(1, 2**20, COUNT)).astype(dtype), rng.uniform(-1, 1, COUNT).astype(dtype)
    low, high = {"whole": (-1.06, 1.0), "near 1": (-1.06, 1.0), "underflow": (-1.06, -0.98), "overflow": (0.98, 1.02)}[name]
    logarithm = rng.uniform(low * top, high * top, COUNT)
    if name == "near 1":
        x = (1 + rng.normal(size=COUNT) * 10.0 ** rng.uniform(np.log10(f.eps), -1, COUNT)).astype(dtype)
        x = np.where(x == 1, dtype_of(dtype)(0.5), x)
    else:
        x = np.exp(rng.uniform(-top, top, COUNT).astype(Long)).astype(dtype)
    return x, (logarithm / np.log(x.astype(Long))).astype(dtype)


def dtype_of(name: str) -> Any:
    return np.dtype(name).type


def close(ours: Array, wanted: Array, ulp: float) -> Array:
    """Where two agree: special values with their signs, all else to so many units of the last place."""
    rounded = wanted.astype(ours.dtype)
    same = ((ours == rounded) & (np.signbit(ours) == np.signbit(rounded))) | (np.isnan(ours) & np.isnan(rounded))
    error = np.abs(ours.astype(Long) - wanted) / np.spacing(np.abs(rounded)).astype(Long)
    return np.where(np.isfinite(rounded), same | ((error <= ulp) & (np.signbit(ours) == np.signbit(rounded))), same)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("part", ["whole", "near 1", "plain", "below zero", "subnormal bases", "underflow", "overflow"])
def test_error_in_the_last_place(part: str, dtype: str) -> None:
    x, y = sd.symbol("x", "points", dtype), sd.symbol("y", "points", dtype)
    a, b = pairs(part, dtype)
    with np.errstate(all="ignore"):
        kernel, wanted = sd.compile(x**y, [x, y]), exact(a, b)
        right = close(kernel(a, b), wanted, ULP[dtype])
        alone = close(kernel(a[:1], b[:1]), wanted[:1], 1.0)
    assert right.all(), (part, dtype, a[~right][0], b[~right][0])
    assert alone.all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_special_values_of_all_pairs(dtype: str) -> None:
    x, y = sd.symbol("x", "points", dtype), sd.symbol("y", "points", dtype)
    a, b = (v.ravel().copy() for v in np.meshgrid(specials(dtype), specials(dtype)))
    wanted = exact(a, b)
    # NumPy takes a square root here, C does not.
    wanted = np.where((b == 0.5) & ((a == 0) | (a == -np.inf)), np.abs(a), wanted)
    with np.errstate(all="ignore"):
        right = close(sd.compile(x**y, [x, y])(a, b), wanted, 1.0)
    assert right.all(), [(p, q) for p, q in zip(a[~right], b[~right], strict=True)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("exponent", [1.7, -0.3, 2.5, -1.5, 1 / 3, 1e-5, 700.5, 1e300, -1e300, 11.0])
def test_exponents_that_are_literals(exponent: float, dtype: str) -> None:
    x = sd.symbol("x", "points", dtype)
    given = np.concatenate([specials(dtype), pairs("whole", dtype)[0], pairs("plain", dtype)[0]])
    with np.errstate(all="ignore"):
        right = close(sd.compile(x**exponent, [x])(given), exact(given, np.full_like(given, exponent)), 1.0)
    assert right.all(), (exponent, dtype, given[~right][:5])
