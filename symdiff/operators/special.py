"""Special functions that are compositions of the table's, under SciPy's names."""

from __future__ import annotations

import math
from typing import Any

from symdiff.expression import Node
from symdiff.operators.arithmetic import divide, multiply, negative, subtract, where
from symdiff.operators.elementwise import (
    equal,
    erfc,
    greater,
    less,
    less_equal,
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


def log_ndtr(x: Value) -> Node:
    """log of `ndtr`; −inf below about −38, where `ndtr` is zero."""
    return log(ndtr(x))


def entr(x: Value) -> Node:
    """−x log x, 0 at 0, −inf below."""
    node = floating(x)
    return where(less(node, 0), -math.inf, negative(xlogy(node, node)))


def rel_entr(x: Value, y: Value) -> Node:
    """x log(x / y) for x, y > 0, and 0 where x is 0."""
    a, b = floating(x), floating(y)
    both = subtract(xlogy(a, a), xlogy(a, b))
    return where(less(a, 0), math.inf, where(greater(b, 0), both, where(greater(a, 0), math.inf, 0.0)))


def xlog1py(x: Value, y: Value) -> Node:
    """x log(1 + y), and 0 where x is 0 (NaN where y is NaN)."""
    a, b = floating(x), floating(y)
    unbounded = logical_or(less_equal(b, -1), equal(b, math.inf))
    return multiply(a, log1p(where(logical_and(equal(a, 0), unbounded), 0.0, b)))


__all__ = ["entr", "log_expit", "log_ndtr", "logit", "ndtr", "rel_entr", "xlog1py"]
