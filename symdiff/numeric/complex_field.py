"""The complex continuation of every function that has one, for derivatives by the complex step.

f(x + i h) = f(x) + i h f′(x) + O(h²) for h so small that h² vanishes: the derivative without a difference.  NumPy's own
function is taken where it is analytic; where a row computes with |x| or a comparison, its continuation stands here and
decides by the real part.  Functions that are constant piece by piece give real results.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.functions.row import ReduceRow, ScalarRow
from symdiff.reference import Field

Array = Any
Axes = tuple[int, ...]


class NotAnalytic(LookupError):
    """A function on the way has no complex continuation; differences must do."""


def by_sign(z: Array) -> Array:
    """|z| continued: z or −z by the sign of the real part."""
    return z * np.sign(np.real(z))


def cbrt(z: Array) -> Array:
    """∛z continued from the real axis, both sides."""
    sign = np.sign(np.real(z))
    return sign * np.power(z * sign, 1 / 3)


def smaller(a: Array, b: Array) -> Array:
    """min(a, b) by the real parts."""
    return np.where(np.real(a) <= np.real(b), a, b)


def larger(a: Array, b: Array) -> Array:
    """max(a, b) by the real parts."""
    return np.where(np.real(a) >= np.real(b), a, b)


def length(a: Array, b: Array) -> Array:
    """√(a² + b²)."""
    return np.sqrt(a * a + b * b)


def direction(a: Array, b: Array) -> Array:
    """a/√(a² + b²), and 0 at the origin."""
    return np.where((a == 0) & (b == 0), 0, a / length(a, b))


def angle(y: Array, x: Array) -> Array:
    """atan2(y, x) through the arctangent of a ratio of size at most 1."""
    steep = np.abs(np.real(y)) > np.abs(np.real(x))
    flat = np.arctan(y / x) + np.where(np.real(x) < 0, np.copysign(math.pi, np.real(y)), 0)
    return np.where(steep, np.copysign(math.pi / 2, np.real(y)) - np.arctan(x / y), flat)


def sigmoid(z: Array) -> Array:
    """1/(1 + e⁻ᶻ), by the tail that does not overflow."""
    return np.where(np.real(z) >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))


def softplus(z: Array) -> Array:
    """log(1 + eᶻ), by the tail that does not overflow."""
    return np.where(np.real(z) > 0, z + np.log1p(np.exp(-z)), np.log1p(np.exp(z)))


def logaddexp(a: Array, b: Array) -> Array:
    """log(eᵃ + eᵇ)."""
    top, rest = larger(a, b), np.where(np.real(a) >= np.real(b), b, a)
    return np.where(np.isinf(np.real(top)), top, top + np.log1p(np.exp(rest - top)))


def exp_difference(x: Array, m: Array) -> Array:
    """e^(x − m), and 0 where x = −inf, for m = −inf too."""
    return np.where((np.real(x) == -np.inf) & ~np.isnan(m), 0, np.exp(x - m))


def xlogy(x: Array, y: Array) -> Array:
    """x log y, and 0 where x is 0."""
    return np.where(x == 0, 0, x * np.log(y))


def ratio(x: Array, y: Array) -> Array:
    """x/y, and 0 where both are 0."""
    return np.where((x == 0) & (y == 0), 0, x / y)


def power(x: Array, p: Array) -> Array:
    """xᵖ; real integer exponents by multiplication, so that negative bases keep their imaginary digits."""
    whole = np.imag(p) == 0
    whole = whole & (np.real(p) == np.round(np.real(p)))
    result = np.power(x, p)
    for n in np.unique(np.real(p)[whole]) if np.ndim(p) else [np.real(p)] * bool(whole):
        chosen = whole & (np.real(p) == n)
        result = np.where(chosen, integer_power(x, int(n)) if abs(n) <= 1024 else result, result)
    return result


def integer_power(x: Array, n: int) -> Array:
    """xⁿ by squaring; for n < 0 that of 1/x, so that the imaginary part of a large result does not vanish on the way."""
    if n < 0:
        return integer_power(1 / x, -n)
    result = np.ones_like(x)
    while n:
        if n & 1:
            result = result * x
        x, n = x * x, n >> 1
    return result


def error_function(name: str) -> Callable[[Array], Array]:
    """SciPy's function, which takes complex numbers."""
    def function(z: Array) -> Array:
        return getattr(importlib.import_module("scipy.special"), name)(z)
    return function


def sigmoid_difference(x: Array, z: Array) -> Array:
    """σ(x − z), and 0 where x = −inf."""
    return np.where(np.real(x) == -np.inf, 0, sigmoid(x - z))


def inverse_mills(z: Array) -> Array:
    """φ(z)/Φ(z)."""
    return np.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - error_function("log_ndtr")(z))


def of_real(function: Callable[..., Array]) -> Callable[..., Array]:
    """A function that is constant piece by piece: it sees the real parts."""
    return lambda *args, **kwargs: function(*[np.real(a) for a in args], **kwargs)


def logsumexp(z: Array, axis: Axes) -> Array:
    """log Σ eᶻ."""
    top = np.max(np.real(z), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    return np.log(np.sum(np.exp(z - top), axis=axis)) + np.squeeze(top, axis=axis)


def extreme(find: Callable[..., Array]) -> Callable[..., Array]:
    """The first element whose real part is extreme."""
    def function(z: Array, axis: Axes) -> Array:
        kept = tuple(k for k in range(np.ndim(z)) if k not in axis)
        moved = np.transpose(z, kept + tuple(axis))
        flat = moved.reshape(*moved.shape[:len(kept)], -1)
        place = find(np.real(flat), axis=-1)
        return np.take_along_axis(flat, np.expand_dims(place, -1), -1)[..., 0]
    return function


OWN: dict[str, Callable[..., Array]] = {
    **{name: getattr(np, name) for name in "sqrt exp expm1 log log2 log10 log1p sin cos tan sinh cosh tanh".split()},
    **{"a" + name: getattr(np, "arc" + name) for name in "sin cos tan sinh cosh tanh".split()},
    "safe_sqrt": np.sqrt, "exp2": lambda z: np.exp(z * math.log(2)), "cbrt": cbrt, "abs": by_sign, "hypot": length,
    "direction": direction, "atan2": angle, "sigmoid": sigmoid, "softplus": softplus, "logaddexp": logaddexp,
    "softsign": lambda z: z / (1 + by_sign(z)),
    "exp_difference": exp_difference, "xlogy": xlogy, "ratio": ratio, "power": power, "minimum": smaller,
    "maximum": larger, "relu": lambda z: np.where(np.real(z) > 0, z, 0), "where": np.where, "stop_gradient": np.real,
    "shift": np.real, "class_number": lambda k, n: k,
    "one_less_square": lambda z: (1 - z) * (1 + z), "sech_squared": lambda z: np.cosh(z)**-2.0,
    "log1mexp": lambda z: np.log(-np.expm1(-z)),
    "sigmoid_difference": sigmoid_difference, "weighted": lambda w, z: w * z, "xlog1py": lambda x, z: x * np.log1p(z),
    "log_ndtr": error_function("log_ndtr"), "inverse_mills": inverse_mills, "mills_excess": lambda z: z + inverse_mills(z),
    "remainder": lambda a, b: a - b * np.floor(np.real(a) / np.real(b)),
    "erf": error_function("erf"), "erfc": error_function("erfc"),
    "max": extreme(np.argmax), "min": extreme(np.argmin), "prod": np.prod, "logsumexp": logsumexp,
}
STEPWISE = frozenset("sign floor ceil trunc round step floor_divide as_integer equal not_equal less less_equal greater "
                     "greater_equal logical_and logical_or logical_xor logical_not isnan isfinite isinf guard one_hot number "
                     "argmax argmin any all".split())


def continued(row: ScalarRow | ReduceRow) -> Callable[..., Array]:
    """The complex continuation of a row; raises `NotAnalytic` where none is known."""
    if row.name in STEPWISE:
        return of_real(row.numpy)
    function = OWN.get(row.name)
    if function is None:
        raise NotAnalytic(row.name)
    return function


COMPLEX = Field(lambda dtype: "complex128" if dtype.startswith("float") else dtype, continued)
WIDE = Field(lambda dtype: "float64" if dtype.startswith("float") else dtype, lambda row: row.numpy)
