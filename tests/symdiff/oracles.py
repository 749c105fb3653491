"""The scalar functions in mpmath's arithmetic, to which the tests hold the NumPy references and the partials.

An oracle takes mpf numbers (bools where the function does) and gives an mpf, a bool, or None where it has no opinion.
NaN in, NaN out is the default (`strict`); a complex result stands for NaN, as in NumPy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp

Oracle = Callable[..., Any]


def power(x: Any, p: Any) -> Any:
    """IEEE's pow where it differs from mpmath's."""
    if p == 0 or x == 1:
        return mp.one
    if x == -mp.inf and p == 0.5:
        return None  # NumPy takes the root, IEEE's pow says inf
    if mp.isfinite(x) and mp.isfinite(p) and x != 0:
        return x**p
    if x == 0 and p < 0:
        return mp.inf
    return mp.mpf(math.pow(x, p))


def xlogy(x: Any, z: Any) -> Any:
    return mp.zero if x == 0 else x * mp.log(z)


def exp_difference(x: Any, m: Any) -> Any:
    return mp.zero if x == -mp.inf and not mp.isnan(m) else mp.exp(x - m)


def hypot(x: Any, z: Any) -> Any:
    return mp.inf if mp.isinf(x) or mp.isinf(z) else mp.sqrt(x**2 + z**2)  # inf even beside NaN, as IEEE has it


def direction(x: Any, z: Any) -> Any:
    if 0 < max(abs(x), abs(z)) < 1e-300:
        return None  # the length is subnormal and has few digits
    return mp.zero if x == 0 and z == 0 else mp.nan if mp.isinf(x) else x / hypot(x, z)


def ratio(x: Any, z: Any) -> Any:
    if z == 0:
        return mp.zero if x == 0 else mp.sign(x) * mp.inf
    return x / z


def atan2(x: Any, z: Any) -> Any:
    return mp.mpf(math.atan2(x, z)) if mp.isinf(x) or mp.isinf(z) else mp.atan2(x, z)


def remainder(x: Any, z: Any) -> Any:
    if mp.isinf(x) or z == 0:
        return mp.nan
    if mp.isinf(z):
        return x if mp.sign(x) * mp.sign(z) >= 0 else z
    with mp.workdps(400):
        return x - z * mp.floor(x / z)


def floor_divide(x: Any, z: Any) -> Any:
    with mp.workdps(400):
        return mp.floor(x / z) if mp.isfinite(x) and mp.isfinite(z) and z != 0 else None


def logaddexp(x: Any, z: Any) -> Any:
    top = max(x, z)
    return top if mp.isinf(top) else top + mp.log(mp.exp(x - top) + mp.exp(z - top))


def logsumexp(*values: Any) -> Any:
    top = max(values)
    return top if mp.isinf(top) else top + mp.log(mp.fsum(mp.exp(v - top) for v in values))


def mills_series(x: Any) -> Any:
    """(Φ(x)/φ(x)) (−x) − 1 for x far below zero, where mpmath's erfc has no digits."""
    return -1 / x**2 + 3 / x**4 - 15 / x**6


def log_ndtr(x: Any) -> Any:
    if mp.isinf(x):
        return mp.zero if x > 0 else -mp.inf
    if x < -1e4:
        return -x * x / 2 - mp.log(2 * mp.pi) / 2 - mp.log(-x) + mp.log1p(mills_series(x))
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def inverse_mills(x: Any) -> Any:
    if mp.isinf(x):
        return mp.zero if x > 0 else mp.inf
    return -x / (1 + mills_series(x)) if x < -1e4 else mp.exp(-x * x / 2 - log_ndtr(x)) / mp.sqrt(2 * mp.pi)


def mills_excess(x: Any) -> Any:
    if mp.isinf(x):
        return max(x, mp.zero)
    return x * mills_series(x) / (1 + mills_series(x)) if x < -1e4 else x + inverse_mills(x)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if mp.isfinite(x) else mp.mpf(x > 0)


def strict(f: Oracle) -> Oracle:
    """NaN if an argument is."""
    return lambda *args: mp.nan if any(mp.isnan(a) for a in args) else f(*args)


def rounded(f: Oracle) -> Oracle:
    """A rounding function, which leaves infinities as they are."""
    return strict(lambda x: f(x) if mp.isfinite(x) else x)


def truncated(x: Any) -> Any:
    return mp.floor(x) if x > 0 else mp.ceil(x)


ORACLES: dict[str, Oracle] = {
    **{name: strict(getattr(mp, name)) for name in "sqrt exp expm1 log log10 log1p sin cos tan asin acos atan sinh "
       "cosh tanh asinh acosh atanh erf erfc sign".split()},
    **{f.__name__: strict(f) for f in (direction, ratio, atan2, remainder, logaddexp, sigmoid, xlogy, log_ndtr,
                                           inverse_mills, mills_excess)},
    "sech_squared": strict(lambda x: mp.sech(x) ** 2 if mp.isfinite(x) else mp.zero),
    "sigmoid_difference": lambda x, z: mp.zero if x == -mp.inf else strict(lambda d: sigmoid(d))(x - z),
    "xlog1py": strict(lambda x, z: mp.zero if x == 0 else x * mp.log1p(z)),
    "weighted": strict(lambda w, x: mp.zero if w == 0 else w * x),
    "one_less_square": strict(lambda x: 1 - x * x), "softsign": strict(lambda x: x / (1 + abs(x))),
    "log1mexp": strict(lambda x: mp.log(-mp.expm1(-x))),
    "shift": lambda x: x if mp.isfinite(x) else mp.zero,
    "power": power, "hypot": hypot, "safe_sqrt": strict(mp.sqrt), "floor_divide": floor_divide,
    "stop_gradient": lambda x: x, "exp_difference": exp_difference, "abs": abs,
    "exp2": lambda x: mp.mpf(2) ** x, "log2": lambda x: mp.log(x) / mp.log(2),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "softplus": lambda x: mp.log1p(mp.exp(x)),
    "minimum": strict(min), "maximum": strict(max), "relu": strict(lambda x: max(x, mp.zero)),
    "step": strict(lambda x: mp.mpf(x > 0)),
    "floor": rounded(mp.floor), "ceil": rounded(mp.ceil), "round": rounded(mp.nint), "trunc": rounded(truncated),
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
    "logical_and": operator.and_, "logical_or": operator.or_, "logical_xor": operator.xor, "logical_not": operator.not_,
    "isnan": mp.isnan, "isinf": mp.isinf, "isfinite": mp.isfinite,
    "where": lambda c, a, b: a if c else b, "guard": mp.mpf, "number": mp.mpf,
    "one_hot": lambda i, k, n: i in (k, float(k - n)),
    "as_integer": lambda x: truncated(x) if mp.isfinite(x) else None,
    "class_number": lambda k, n: k,
}
# Relative and absolute errors that are allowed, the absolute one in units of the largest argument.  Where an argument
# or the result is a difference, digits are lost whatever one does.
EXACT = (4e-15, 0.0)
TOLERANCES = {"exp_difference": (4e-13, 0.0), "sigmoid_difference": (4e-13, 0.0), "log_ndtr": (4e-13, 0.0),
              "inverse_mills": (4e-13, 0.0), "mills_excess": (4e-13, 0.0), "logaddexp": (4e-15, 1e-15), "remainder": (4e-15, 1e-15)}
# Their value at 0 depends on the sign of 0, which mpmath does not have.
SIGNED_ZERO = ("atan2", "power", "ratio")

REDUCED: dict[str, Oracle] = {
    "max": strict(max), "min": strict(min), "prod": lambda *values: mp.fprod(values), "logsumexp": strict(logsumexp),
    "any": lambda *values: any(values), "all": lambda *values: all(values),
    "argmax": lambda *values: position(values, max), "argmin": lambda *values: position(values, min),
}


def position(values: tuple[Any, ...], choose: Oracle) -> int:
    """Where the first NaN stands, else the first extreme."""
    nans = [k for k, v in enumerate(values) if mp.isnan(v)]
    return nans[0] if nans else values.index(choose(values))


def exact(oracle: Oracle, point: tuple[Any, ...]) -> Any:
    """The oracle's value; a complex number is NaN."""
    value = oracle(*[v if isinstance(v, bool) else mp.mpf(v) for v in point])
    if isinstance(value, mpmath.mpc):
        return value.real if value.imag == 0 else mp.nan
    return value


def close(ours: Any, theirs: Any, relative: float, absolute: float = 0.0) -> bool:
    """Whether two numbers agree; a few units of the last subnormal place are forgiven."""
    ours, theirs = float(ours), float(theirs)
    if math.isnan(theirs) or math.isinf(theirs):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    return abs(ours - theirs) <= relative * abs(theirs) + absolute + 1e-322
