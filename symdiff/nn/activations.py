"""Activations that are compositions of the table's functions."""

from __future__ import annotations

import math
from typing import Any

from symdiff.expression import Node
from symdiff.operators.arithmetic import clip, divide, multiply, negative, row_function, where
from symdiff.operators.elementwise import erfc, expm1, greater, sigmoid, softplus, tanh
from symdiff.operators.reductions import floating

Value = Any
ROOT_2 = math.sqrt(2.0)


def silu(x: Value) -> Node:
    """x σ(x), also called swish.

    >>> import symdiff as sd
    >>> print(silu(sd.symbol("x")))
    x σ(x)
    """
    node = floating(x)
    return multiply(node, sigmoid(node))


def gelu(x: Value) -> Node:
    """x Φ(x) with the normal distribution function Φ, as ½ x erfc(−x/√2)."""
    node = floating(x)
    return multiply(multiply(0.5, node), erfc(divide(negative(node), ROOT_2)))


def elu(x: Value, alpha: Value = 1.0) -> Node:
    """x where x > 0, else α (eˣ − 1)."""
    node = floating(x)
    return where(greater(node, 0), node, multiply(alpha, expm1(node)))


def leaky_relu(x: Value, slope: Value = 0.01) -> Node:
    """x where x > 0, else `slope` · x."""
    node = floating(x)
    return where(greater(node, 0), node, multiply(slope, node))


def log_sigmoid(x: Value) -> Node:
    """log σ(x) = −softplus(−x)."""
    return negative(softplus(negative(floating(x))))


def mish(x: Value) -> Node:
    """x tanh(softplus(x))."""
    node = floating(x)
    return multiply(node, tanh(softplus(node)))


def hard_tanh(x: Value) -> Node:
    """x held to [−1, 1]."""
    return clip(floating(x), -1.0, 1.0)


softsign = row_function("softsign")
