"""Special functions that are compositions of the table's, under SciPy's names."""

from __future__ import annotations

import math
from typing import Any

from symdiff.expression import Node
from symdiff.operators.arithmetic import add, divide, multiply, negative, row_function, subtract, where
from symdiff.operators.elementwise import (
    equal,
    erfc,
    greater,
    greater_equal,
    isnan,
    less,
    log,
    log1p,
    logical_and,
    logical_or,
    softplus,
    xlogy,
)
from symdiff.operators.reductions import floating

Value = Any
ROOT_2 = math.sqrt(2.0)
# A normal number in both precisions, and its inverse too.
LEAST_QUOTIENT = 1e-30
log_ndtr = row_function("log_ndtr")
xlog1py = row_function("xlog1py")


def logit(p: Value) -> Node:
    """log(p / (1 − p)), the inverse of the sigmoid.

    >>> import symdiff as sd
    >>> float(sd.evaluate(logit(sd.symbol("p")), {"p": 0.5}))
    0.0
    """
    node = floating(p)
    return subtract(log(node), log1p(negative(node)))


def log_expit(x: Value) -> Node:
    """log σ(x), right for values of any size."""
    return negative(softplus(negative(floating(x))))


def ndtr(x: Value) -> Node:
    """The distribution function of the standard normal law: ½ erfc(−x/√2)."""
    return multiply(0.5, erfc(divide(negative(floating(x)), ROOT_2)))


def entr(x: Value) -> Node:
    """−x log x, 0 at 0, −inf below."""
    node = floating(x)
    return where(less(node, 0), -math.inf, negative(xlogy(node, node)))


def rel_entr(x: Value, y: Value) -> Node:
    """x log(x / y) for x, y > 0, and 0 where x is 0 and y is not negative; infinite for others, NaN where one is NaN.

    (`scipy.special.rel_entr`; the penalty of Boyd and Vandenberghe, Convex Optimization, 2004, p. 90.)
    """
    a, b = floating(x), floating(y)
    nothing = logical_and(equal(a, 0), greater_equal(b, 0))
    # The logarithm of the quotient is right where both are nearly equal, the difference where the quotient is no number.
    quotient = divide(a, b)
    is_told = logical_and(greater(quotient, LEAST_QUOTIENT), less(quotient, 1 / LEAST_QUOTIENT))
    logarithm = where(is_told, log(quotient), subtract(log(a), log(b)))
    known = where(nothing, 0.0, where(logical_and(greater(a, 0), greater(b, 0)), multiply(a, logarithm), math.inf))
    return where(logical_or(isnan(a), isnan(b)), add(a, b), known)


__all__ = ["entr", "log_expit", "log_ndtr", "logit", "ndtr", "rel_entr", "xlog1py"]
