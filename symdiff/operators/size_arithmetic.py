"""Arithmetic with sizes that leaves the sizes: n / 2, 1 / n, 0.5 * n, n < 3, np.sqrt(n) are expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Integral
from typing import Any

from symdiff.bounds import at_least
from symdiff.expression import Node
from symdiff.operators import arithmetic, elementwise
from symdiff.sizes import BEYOND, Dim, integer_of

OF_UFUNCS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "floor_divide": operator.floordiv,
    "remainder": operator.mod, "power": operator.pow, "equal": operator.eq, "not_equal": operator.ne,
    "less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge}


def as_size_or_number(value: Any) -> Any:
    """The value, NumPy's integers as Python's."""
    number = integer_of(value)
    return value if number is None else number


def compared(strict: bool, function: Callable[[Any, Any], Node]) -> Callable[[Any, Any], bool | Node]:
    """a < b (or a ≤ b where it is not `strict`): True or False where that is proved for all sizes, else the expression."""
    def method(a: Any, b: Any) -> bool | Node:
        low, high = as_size_or_number(a), as_size_or_number(b)
        if isinstance(low, (int, Dim)) and isinstance(high, (int, Dim)):
            if at_least(high, low + int(strict)):
                return True
            if at_least(low, high + int(not strict)):
                return False
        return function(a, b)
    return method


def ufunc_of_sizes(name: str, inputs: tuple[Any, ...]) -> Any:
    """What a ufunc of NumPy gives for sizes and integers, as Python's operator does; None where it has no operator."""
    if name not in OF_UFUNCS or any(isinstance(v, bool) or not isinstance(v, (Dim, Integral)) for v in inputs):
        return None
    return OF_UFUNCS[name](*map(as_size_or_number, inputs))


BEYOND.update({
    "add": arithmetic.add, "sub": arithmetic.subtract, "mul": arithmetic.multiply, "truediv": arithmetic.divide,
    "floordiv": arithmetic.floor_divide, "mod": elementwise.remainder, "pow": arithmetic.power,
    "lt": compared(True, elementwise.less), "le": compared(False, elementwise.less_equal)})
