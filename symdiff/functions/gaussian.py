"""The logarithm of the standard normal distribution function and its derivatives, right in both tails.

Below `FAR` all three come from the asymptotic series of Mills' ratio Φ/φ = D(x)/(−x), D = 1 − 1/x² + 3/x⁴ − 15/x⁶ + …
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.functions.exponential import erfc
from symdiff.functions.row import ROWS, Expression, define

Array = Any
FAR = -10.0
ROOT_HALF = math.sqrt(0.5)
HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
INVERSE_ROOT_2_PI = 1.0 / math.sqrt(2.0 * math.pi)
quiet = np.errstate(all="ignore")


def series(t: Any) -> Any:
    """D − 1 in twenty powers of t = 1/x²."""
    total: Any = 1
    for k in range(39, 1, -2):
        total = 1 - k * (t * total)
    return -t * total


@quiet
def log_ndtr(x: Array) -> Array:
    """log Φ(x) for the normal distribution function Φ."""
    t = series(1 / (x * x))
    far = -0.5 * x * x - HALF_LOG_2_PI - np.log(-x) + np.log1p(t)
    near = np.log(0.5 * erfc(-ROOT_HALF * x))
    right = np.log1p(-0.5 * erfc(ROOT_HALF * x))
    return np.where(np.greater(x, 0), right, np.where(np.less(x, FAR), far, near))


@quiet
def inverse_mills(x: Array) -> Array:
    """φ(x)/Φ(x)."""
    far = -x / (1 + series(1 / (x * x)))
    u = ROOT_HALF * x
    near = 2 * INVERSE_ROOT_2_PI * np.exp(-u * u) / erfc(-u)
    return np.where(np.less(x, FAR), far, near)


@quiet
def mills_excess(x: Array) -> Array:
    """x + φ(x)/Φ(x)."""
    t = series(1 / (x * x))
    far = x * (t / (1 + t))
    return np.where(np.less(x, FAR), np.where(np.isinf(x), np.zeros_like(far), far), x + inverse_mills(x))


def far_or_near(x: Expression, far: Expression, near: Expression) -> Expression:
    """far below `FAR`, else near."""
    return ROWS["where"](ROWS["less"](x, FAR), far, near)


def log_ndtr_formula(x: Expression) -> Expression:
    """`log_ndtr` in known vocabulary."""
    log, log1p, tail = ROWS["log"], ROWS["log1p"], ROWS["erfc"]
    far = -0.5 * x * x - HALF_LOG_2_PI - log(-x) + log1p(series(1 / (x * x)))
    right = log1p(-0.5 * tail(ROOT_HALF * x))
    return ROWS["where"](ROWS["greater"](x, 0), right, far_or_near(x, far, log(0.5 * tail(-ROOT_HALF * x))))


def inverse_mills_formula(x: Expression) -> Expression:
    """`inverse_mills` in known vocabulary."""
    u = ROOT_HALF * x
    near = 2 * INVERSE_ROOT_2_PI * ROWS["exp"](-u * u) / ROWS["erfc"](-u)
    return far_or_near(x, -x / (1 + series(1 / (x * x))), near)


def mills_excess_formula(x: Expression) -> Expression:
    """`mills_excess` in known vocabulary."""
    t = series(1 / (x * x))
    far = ROWS["where"](ROWS["isinf"](x), 0, x * (t / (1 + t)))
    return far_or_near(x, far, x + ROWS["inverse_mills"](x))


define(
    "log_ndtr", log_ndtr, (lambda x, y: ROWS["inverse_mills"](x),),
    text="log Φ({0})", latex=r"\log\Phi\left({0}\right)", infix="product", traits="increasing",
    expansion=log_ndtr_formula,
    doc="log Φ(x), Φ the normal distribution function: ∂ = φ(x)/Φ(x).",
)
define(
    "inverse_mills", inverse_mills, (lambda x, y: -y * ROWS["mills_excess"](x),),
    text="φ({0}) / Φ({0})", latex=r"\frac{{\varphi\left({0}\right)}}{{\Phi\left({0}\right)}}", infix="product",
    traits="decreasing nonnegative", expansion=inverse_mills_formula,
    doc="h = φ(x)/Φ(x), the inverse of Mills' ratio: ∂ = −h (x + h).",
)
define(
    "mills_excess", mills_excess, (lambda x, y: 1 - ROWS["inverse_mills"](x) * y,),
    text="({0} + φ({0}) / Φ({0}))", latex=r"\left({0} + \frac{{\varphi\left({0}\right)}}{{\Phi\left({0}\right)}}\right)",
    traits="increasing nonnegative", expansion=mills_excess_formula,
    doc="x + φ(x)/Φ(x) without cancellation for x far below zero: ∂ = 1 − φ(x)/Φ(x) · y.",
)
