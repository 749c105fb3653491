"""NumPy references of the scalar functions that NumPy has not got, or has with a fault, as they are meant.

All work on arrays and on NumPy scalars and keep float32 where their arguments are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), keeping the digits of eˣ where x is far below zero."""
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), np.ones_like(e), e) / (1 + e)


def softplus(x: Array) -> Array:
    """log(1 + eˣ) without overflow."""
    return np.maximum(x, np.zeros_like(x)) + np.log1p(np.exp(-np.abs(x)))


def xlogy(x: Array, y: Array) -> Array:
    """x log y, with 0 log 0 = 0."""
    zero = np.equal(x, 0) & ~np.isnan(y)
    return np.where(zero, np.zeros_like(y), x * np.log(np.where(zero, np.ones_like(y), y)))


def erf(x: Array) -> Array:
    """The error function."""
    from scipy import special

    return special.erf(x)


def erfc(x: Array) -> Array:
    """1 − erf x."""
    from scipy import special

    return special.erfc(x)


def integer_power(x: Array, n: Array) -> Array:
    """x ** n of integers that wraps round; a negative exponent gives the truncated quotient (and 0 for 0)."""
    x, n = np.asarray(x), np.asarray(n)
    positive = np.power(x, np.where(n < 0, 0, n).astype(x.dtype))
    odd = np.where(n % 2 == 0, 1, x)
    return np.where(n < 0, np.where(np.abs(x) == 1, odd, 0), positive).astype(x.dtype)


def power_int(x: Array, n: Array) -> Array:
    """x to an integer power."""
    if np.issubdtype(np.asarray(x).dtype, np.integer):
        return integer_power(x, n)
    return np.power(x, np.asarray(n, dtype=np.asarray(x).dtype))


def select(condition: Array, a: Array, b: Array) -> Array:
    """A where the condition holds, else b."""
    return np.where(condition, a, b)


def cast(x: Array) -> Array:
    """The value itself; what makes it a cast is that every result is brought to the dtype of its Call."""
    return x


def unchanged_integer(function: Any) -> Any:
    """`function` for floats, the value itself for integers (NumPy's rounding functions)."""
    def rounded(x: Array) -> Array:
        return function(x) if np.issubdtype(np.asarray(x).dtype, np.floating) else x

    return rounded
