"""Numbers as expressions, and the views that the other rules of the normal form look through."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import inf, isfinite
from typing import Any

import numpy as np

from symdiff.expression import Constant, Map, Node, Number, Product
from symdiff.sizes import Dim, Size
from symdiff.tensor_type import TensorType

DYADIC_LIMIT = 1024
# Integers of so many bits, and fractions of such, are no floats.
LONGEST_NUMBER = 1024
NO_AXES: frozenset[int] = frozenset()


def exact(value: Any) -> Number:
    """The coefficient of a Python or NumPy number: an int or Fraction where that loses nothing, else a float.

    >>> exact(2.0), exact(0.5), exact(0.1)
    (2, Fraction(1, 2), 0.1)
    """
    if type(value) is int:
        return value if value.bit_length() < LONGEST_NUMBER else as_float(value)
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return exact(value.numerator)
        longest = max(value.numerator.bit_length(), value.denominator.bit_length())
        return value if longest < LONGEST_NUMBER else exact(as_float(value))
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return int(value)
    value = float(value)
    if not isfinite(value) or (value == 0.0 and str(value).startswith("-")) or abs(value) >= 2.0**53:
        return value  # type: ignore[no-any-return]
    if value == int(value):
        return int(value)
    numerator, denominator = value.as_integer_ratio()
    return Fraction(numerator, denominator) if denominator <= DYADIC_LIMIT else value


def as_float(value: Number) -> float:
    """The float nearest to a number, infinite where that is too large."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def times(a: Number, b: Number) -> Number:
    """The product of two coefficients, exact where both are."""
    # A coefficient that is one is the integer; to ask a fraction whether it is takes long.
    if a.__class__ is int and a == 1:
        return b
    if b.__class__ is int and b == 1:
        return a
    if isinstance(a, float) or isinstance(b, float):
        return exact(as_float(a) * as_float(b))
    return exact(a * b)


def number(value: Number, dtype: str = "float64", shape: tuple[Size, ...] = ()) -> Node:
    """The number `value` broadcast to `shape`."""
    if not shape and value.__class__ is int:
        return whole_number(value, dtype)
    labels = tuple(range(len(shape)))
    return Product(value, (), labels, shape, TensorType(dtype, shape))


@lru_cache(maxsize=256)
def whole_number(value: int, dtype: str) -> Node:
    """A whole number; those that formulas are full of, 1 and 2, are kept."""
    return Product(value, (), (), (), TensorType(dtype, ()))


def number_of(node: Node) -> Number | None:
    """The value of a (broadcast) number, else None."""
    return node.coefficient if type(node) is Product and node.dense and not node.factors else None


def size_number(size: Size, dtype: str = "float64") -> Node:
    """A size as a scalar expression."""
    return number(size, dtype) if isinstance(size, int) else Constant(size, TensorType(dtype, ()))


def constant_array(array: np.ndarray[Any, Any], dtype: str) -> Node:
    """A known array; 0-d arrays and arrays of one value everywhere become numbers."""
    array = np.ascontiguousarray(array).astype(dtype).reshape(array.shape)
    if array.ndim == 0 or is_uniform(array):
        return number(exact(array.flat[0].item()), dtype, array.shape)
    array.setflags(write=False)
    return Constant(array, TensorType(dtype, array.shape))


def is_uniform(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds one finite number everywhere; −0 is no number of its own, so arrays of it stay arrays."""
    if array.size == 0 or not np.isfinite(first := array.flat[0]) or not (array == first).all():
        return False
    return bool(first != 0 or array.dtype.kind != "f" or not np.signbit(array).any())


def is_size_constant(node: Node) -> bool:
    """Whether the node is a symbolic size as a number (positive, never zero)."""
    return type(node) is Constant and isinstance(node.value, Dim)


def base_and_exponent(node: Node) -> tuple[Node, Number]:
    """x and p where the node is xᵖ with a numeric p; otherwise the node and 1."""
    if type(node) is Map and node.function.name == "power":
        p = number_of(node.args[1])
        if p is not None:
            return node.args[0], p
    return node, 1


def broadcast_axes(node: Node) -> frozenset[int]:
    """The axes along which the node is proved to be constant by its form."""
    if type(node) is not Product or not node.dense or not node.extents:
        return NO_AXES
    used = set()
    for _, indices in node.factors:
        for index in indices:
            if type(index) is int:
                used.add(index)
            else:
                used.update([label for label, _c in index[1]])  # type: ignore[index]
    n = len(node.extents)
    return NO_AXES if len(used) == n else frozenset([axis for axis in range(n) if axis not in used])


def permutation_of(node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """(x, axes) where the node is x with permuted axes: node axis k is axis axes⁻¹ of x, given as x's index tuple."""
    if type(node) is not Product or node.coefficient != 1 or len(node.factors) != 1:
        return None
    inner, indices = node.factors[0]
    n = len(indices)
    if not node.dense or len(node.extents) != n or node.type.dtype != inner.type.dtype:
        return None
    if sorted(i for i in indices if type(i) is int) != list(range(n)):
        return None
    if any(inner.shape[k] != node.shape[i] for k, i in enumerate(indices)):  # type: ignore[index]
        return None
    return inner, indices  # type: ignore[return-value]
