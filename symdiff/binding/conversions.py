"""One value given for one argument, as an array that a kernel takes: the right dtype, C-contiguous, aligned.

Casts are NumPy's safe ones.  Python's own numbers, and lists of them, are weak: a float fits any floating dtype.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from symdiff.errors import ArgumentMismatch
from symdiff.tensor_type import is_masked

Array = np.ndarray[Any, Any]


def as_argument(value: Any, dtype: np.dtype[Any], name: str, where: str = "") -> Array:
    """The value as a C-contiguous array of the dtype; raises `ArgumentMismatch` where that would lose something."""
    weak = type(value) in (bool, int, float, list, tuple)
    if is_masked(value):
        raise ArgumentMismatch(f"{name} is a masked array", where=where,
                               mend=f"fill what is masked first: {name}.filled(0)")
    try:
        array = value if type(value) is np.ndarray else np.asarray(value)
    except Exception as error:
        raise ArgumentMismatch(f"{name} cannot be read as an array: {error}", where=where,
                               mend="pass numbers, a rectangular list of them, or an array") from error
    if array.dtype.kind == "O":
        numbers = from_exact(array, dtype, name, where)
        weak, array = (weak, array) if numbers is None else (True, numbers)
    if array.dtype.kind not in "biuf":
        raise ArgumentMismatch(f"{name} holds {kind_name(array)}, but {dtype} is expected", where=where,
                               mend=f"pass an array of dtype {dtype}")
    if weak:
        return from_python(array, dtype, name, where)
    if array.dtype != dtype and not np.can_cast(array.dtype, dtype, "safe"):
        raise ArgumentMismatch(f"{name} has dtype {array.dtype}, but {dtype} is expected", where=where,
                               mend=f"convert it, if the loss is meant: {name}.astype({str(dtype)!r})")
    return np.require(array, dtype, ["C", "A"]) if array.ndim else np.array(array, dtype)


def from_exact(array: Array, dtype: np.dtype[Any], name: str, where: str) -> Array | None:
    """Integers of any length, fractions and decimal numbers as an array of numbers; None for other objects."""
    kinds = (int, Fraction, Decimal) if dtype.kind == "f" else int
    if not array.size or not all(isinstance(value, kinds) for value in array.flat):
        return None
    try:
        # An integer that a narrower dtype cannot hold is told further on.
        found = array.astype("float64" if dtype.kind == "f" else "int64")
    except (OverflowError, ValueError):
        raise beyond(name, dtype, where) from None
    # A decimal number beyond floats is infinite as one.
    if dtype.kind == "f" and any(np.isinf(x) and abs(v) != np.inf for x, v in zip(found.flat, array.flat, strict=True)):
        raise beyond(name, dtype, where)
    return found


def beyond(name: str, dtype: np.dtype[Any], where: str) -> ArgumentMismatch:
    """The error for a number that is too large."""
    mend = "compile with a wider dtype" if dtype.name != "float64" else "scale it, or pass its logarithm"
    return ArgumentMismatch(f"{name} holds a number that {dtype} cannot hold", where=where, mend=mend)


def from_python(array: Array, dtype: np.dtype[Any], name: str, where: str) -> Array:
    """Python's own numbers, already read as an array, in the dtype asked for."""
    if not of_kind(array, dtype):
        raise ArgumentMismatch(f"{name} holds {kind_name(array)}, but {dtype} is expected", where=where,
                               mend=f"pass numbers that {dtype} can hold")
    result = held(array, dtype)
    if result is None:
        raise beyond(name, dtype, where)
    return result


def of_kind(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether the numbers of an array are of a kind that the dtype holds: booleans, integers, floats, in that order."""
    kinds = {"b": 0, "i": 1, "u": 1, "f": 2}
    return not array.size or kinds.get(array.dtype.kind, 3) <= kinds[dtype.kind]


def held(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """The array in the dtype, None where a number of it is beyond the dtype; floats are rounded."""
    with np.errstate(over="ignore"):
        result = np.array(array, dtype, order="C")
    if dtype.kind == "f":
        fits = bool(np.all(np.isfinite(result) | ~np.isfinite(np.asarray(array, np.float64))))
    else:
        fits = bool(np.all(result == array))
    return result if fits else None


def check_finite(array: Array, name: str, where: str = "") -> None:
    """Raise `ArgumentMismatch` with the first place where the array is NaN or infinite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    raise ArgumentMismatch(f"{name}{place} is {array[index]}", where=where,
                           mend="remove such entries, or compile with check=False")


def kind_name(array: Array) -> str:
    """What an array holds, in plain words."""
    words = {"O": "Python objects", "c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "time spans",
             "V": "records", "f": "floats", "i": "integers", "u": "unsigned integers", "b": "booleans"}
    return words.get(array.dtype.kind, str(array.dtype))
