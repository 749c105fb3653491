"""The type of an expression: a dtype and a shape, with the rules by which types combine.

Dtypes are `bool`, `int32`, `int64`, `float32`, `float64`.  Promotion follows the Array API standard, and NumPy where the
standard leaves it open (an integer array with a floating one): `promote`.  Python numbers are weak: they take the dtype
of what they meet, unless their kind is higher (`1.5 * int_array` is float64).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.provenance import plain, user_line
from symdiff.sizes import Dim, Size, dim, integer_of

DTYPES = ("bool", "int32", "int64", "float32", "float64")
FLOATING = ("float32", "float64")
INTEGRAL = ("int32", "int64")
LATTICE = {
    ("int32", "int64"): "int64", ("float32", "float64"): "float64",
    ("int32", "float32"): "float64", ("int32", "float64"): "float64",
    ("int64", "float32"): "float64", ("int64", "float64"): "float64",
}
ALIASES = {"float": "float64", "int": "int64", "double": "float64", "single": "float32", "f4": "float32",
           "f8": "float64", "i4": "int32", "i8": "int64", "bool_": "bool", "boolean": "bool"}


class TensorType(NamedTuple):
    """dtype and shape of a value.

    >>> print(TensorType("float64", (3,)))
    float64 (3,)
    """

    dtype: str
    shape: tuple[Size, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"


def shape_text(shape: tuple[Size, ...]) -> str:
    """A shape as a person writes it: `(n, 3)`."""
    inner = ", ".join(str(s) for s in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


@lru_cache(maxsize=1024)
def promote(*dtypes: str) -> str:
    """The dtype that holds all of `dtypes`.

    >>> promote("int32", "float32"), promote("bool", "int32")
    ('float64', 'int32')
    """
    result = "bool"
    for dtype in dtypes:
        if dtype == result or dtype == "bool":
            continue
        result = dtype if result == "bool" else LATTICE.get((result, dtype)) or LATTICE[dtype, result]
    return result


def with_number(dtype: str, value: complex | bool) -> str:
    """The dtype of an array of `dtype` combined with a Python number."""
    if isinstance(value, bool) or dtype in FLOATING:
        return dtype
    if isinstance(value, int):
        return dtype if dtype != "bool" else "int64"
    return "float64"


def dtype_name(dtype: object) -> str:
    """The canonical name of a dtype given as a string, a Python type or a NumPy dtype; raises `TypeMismatch`.

    >>> dtype_name("f4"), dtype_name(float)
    ('float32', 'float64')
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
    name = ALIASES.get(name, name)  # type: ignore[arg-type]
    if name not in DTYPES:
        raise TypeMismatch(f"{plain(dtype)} is not a dtype of symdiff", where=user_line(),
                           mend="use one of " + ", ".join(DTYPES))
    return name


def is_masked(value: object) -> bool:
    """Whether a value is a masked array; what is no array at all does not load `numpy.ma` for the question."""
    return isinstance(value, np.ndarray) and type(value) is not np.ndarray and isinstance(value, np.ma.MaskedArray)


def as_shape(shape: object) -> tuple[Size, ...]:
    """A shape from sizes given as ints, `Dim`s or names; raises `ShapeMismatch`.

    >>> as_shape(("n", 3)), as_shape("n d"), as_shape(2)
    ((n, 3), (n, d), (2,))
    """
    if isinstance(shape, str):
        return tuple(as_size(part) for part in shape.replace(",", " ").split())
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        return tuple(as_size(part) for part in shape.tolist())
    if isinstance(shape, (tuple, list)):
        return tuple(as_size(part) for part in shape)
    return (as_size(shape),)


def as_size(size: object) -> Size:
    """A size from an int, a `Dim` or a name; raises `ShapeMismatch`."""
    if isinstance(size, str):
        return int(size) if size.isdecimal() else dim(size)
    if isinstance(size, Dim):
        return size
    number = integer_of(size)
    if number is None:
        raise ShapeMismatch(f"{plain(size)} is not a size", where=user_line(),
                            mend="use a non-negative int, a Dim or a name; the shape of an expression is x.shape")
    if number < 0:
        raise ShapeMismatch(f"size {number} is negative", where=user_line(), mend="sizes count elements: use 0 or more")
    return number
