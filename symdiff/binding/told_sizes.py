"""Sizes that a call tells as numbers, where no array is as long: how many turns a loop takes, say.

Inside it is an array of that length which nobody reads, so all that holds for sizes told by shapes holds for these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.binding.solving import plain_name
from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.expression import Symbol
from symdiff.provenance import plain
from symdiff.sizes import Dim, integer_of
from symdiff.tensor_type import TensorType

FACT = "size"
Array = np.ndarray[Any, Any]


def told_size(size: Dim) -> Symbol:
    """The input that tells a named size; raises `TypeMismatch` for a size that is computed of others.

    >>> from symdiff.sizes import dim
    >>> told_size(dim("turns"))
    <turns: bool (turns,)>
    """
    name = plain_name(size)
    if name is None:
        raise TypeMismatch(f"{size} cannot be an input", mend="give the named size that it is made of, and compute it from that")
    return Symbol(name, TensorType("bool", (size,)), (FACT,))


def is_told(symbol: Symbol) -> bool:
    """Whether an input tells a size."""
    return FACT in symbol.facts


def as_length(value: Any, name: str, where: str) -> Array:
    """An array as long as the number says, with nothing in it; raises `ArgumentMismatch` for what is no such number."""
    if type(value) is np.ndarray and value.dtype == bool and value.ndim == 1:
        return value  # as long as it says: one that this function made, when a call is bound again
    length = integer_of(value)
    if length is None:
        raise ArgumentMismatch(f"{name} is a size, but {plain(value)} is given", where=where, mend="pass an int")
    if length < 0:
        raise ArgumentMismatch(f"{name} is {length}, but a size is not negative", where=where, mend="pass a number of elements")
    try:
        return np.empty(length, bool)
    except (MemoryError, ValueError):
        raise ArgumentMismatch(f"{name} is {length}, which is beyond all memory", where=where,
                               mend="pass a smaller number") from None
