"""Parameters that are no expressions: whole numbers, sizes, axes, flags, lists of arrays; each is checked in one way."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.operators.coercion import as_nodes, describe, where_written
from symdiff.sizes import Dim, Size, integer_of

Value = Any


def whole_number(value: Any, name: str, operation: str, *values: Value, least: int | None = None) -> int:
    """The parameter `name` as an int; raises `TypeMismatch` where it is none, `ShapeMismatch` where it is below `least`."""
    number = integer_of(value)
    if number is None:
        raise TypeMismatch(f"{name} {describe(value)} is not an integer", where=where_written(operation, *values),
                           mend="give an int")
    if least is not None and number < least:
        raise ShapeMismatch(f"{name} {number} is below {least}", where=where_written(operation, *values),
                            mend=f"give {least} or more")
    return number


def whole_size(value: Any, name: str, operation: str, *values: Value, least: int | None = None) -> Size:
    """The parameter `name` as an int or a `Dim`."""
    return value if isinstance(value, Dim) else whole_number(value, name, operation, *values, least=least)


def flag(value: Any, name: str, operation: str, *values: Value) -> bool:
    """The parameter `name` as True or False; raises `TypeMismatch`."""
    if isinstance(value, (bool, np.bool_)) or integer_of(value) in (0, 1):
        return bool(value)
    raise TypeMismatch(f"{name} {describe(value)} is neither True nor False", where=where_written(operation, *values),
                       mend=f"give {name}=True or {name}=False")


def axis_of(axis: Any, ndim: int, operation: str, *values: Value) -> int:
    """A non-negative axis; raises `ShapeMismatch` that names the operation."""
    number = integer_of(axis)
    if number is None:
        raise TypeMismatch(f"axis {describe(axis)} is not an integer", where=where_written(operation, *values),
                           mend="give an int or a tuple of ints")
    if not -ndim <= number < ndim:
        raise ShapeMismatch(f"axis {number} is out of range for {ndim} axes", where=where_written(operation, *values),
                            mend=f"use an axis from {-ndim} to {ndim - 1}" if ndim else "a scalar has no axes")
    return number % ndim


def axes_in_order(axes: Any, ndim: int, operation: str, *values: Value) -> tuple[int, ...]:
    """Distinct axes in the order given, by one int or several."""
    given = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    found = tuple(axis_of(a, ndim, operation, *values) for a in given)
    if len(set(found)) != len(found):
        raise ShapeMismatch(f"axis {axes} names an axis twice", where=where_written(operation, *values),
                            mend="name each axis once")
    return found


def axes_of(axis: Any, ndim: int, operation: str, *values: Value) -> tuple[int, ...]:
    """Sorted distinct axes; None means all of them."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(axes_in_order(axis, ndim, operation, *values)))


def array_list(arrays: Any, operation: str) -> tuple[Node, ...]:
    """The arrays of a list, a tuple, or of an array along its first axis, as expressions of one dtype's kin.

    Raises `TypeMismatch` for what is no list, `ShapeMismatch` for an empty one.
    """
    several = isinstance(arrays, (list, tuple)) or (isinstance(arrays, np.ndarray) and arrays.ndim > 0) or \
        (isinstance(arrays, Node) and arrays.ndim > 0 and isinstance(arrays.shape[0], int))
    if not several:
        raise TypeMismatch(f"{operation} takes a list of arrays, not {describe(arrays)}",
                           where=where_written(operation, arrays), mend=f"write sd.{operation}([a, b])")
    parts = tuple(arrays)
    if not parts:
        raise ShapeMismatch(f"{operation} needs at least one array", where=where_written(operation, arrays),
                            mend="give one or more arrays")
    return as_nodes(*parts)
