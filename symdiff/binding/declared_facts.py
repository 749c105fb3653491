"""What was declared of the values of a symbol, and whether an array is so: formulas rest on it, and are wrong where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from symdiff.errors import ArgumentMismatch

Array = np.ndarray[Any, Any]
# Matrices that were computed are their own transposes, and have no negative eigenvalues, up to rounding.
ROUNDED = 1e-6


def check_facts(array: Array, facts: Iterable[str], name: str, where: str = "") -> None:
    """Raise `ArgumentMismatch` where a finite array is not what was declared of its values; others refuse what is not finite."""
    if not array.size or not np.isfinite(array).all():
        return
    for fact in facts:
        broken = BROKEN[fact](array) if fact in BROKEN else ""
        if broken:
            raise ArgumentMismatch(f"{name} was declared {fact}, but {broken}", where=where,
                                   mend=f"pass values that are {fact}, or declare {name} without {fact}=True")


def first_of(wrong: Array, array: Array) -> str:
    """The first element that is wrong, where one is."""
    return f"it holds {array[wrong].flat[0]}" if wrong.any() else ""


def unlike_its_transpose(matrix: Array) -> str:
    """Where a matrix differs most from its transpose, by more than rounding."""
    apart = np.abs(matrix - matrix.T)
    if np.max(apart) <= ROUNDED * np.max(np.abs(matrix)):
        return ""
    i, j = (int(k) for k in np.unravel_index(np.argmax(apart), apart.shape))
    return f"its elements [{i}, {j}] and [{j}, {i}] are {matrix[i, j]} and {matrix[j, i]}"


def negative_eigenvalue(matrix: Array) -> str:
    """The least eigenvalue of a symmetric matrix, where it is negative by more than rounding."""
    values = np.linalg.eigvalsh(matrix.astype(np.float64))
    return f"its least eigenvalue is {values[0]:.3g}" if values[0] < -ROUNDED * np.max(np.abs(values)) else ""


# How the values of an array break what was declared of them; no text where they do not.
BROKEN: dict[str, Callable[[Array], str]] = {
    "positive": lambda array: first_of(array <= 0, array), "nonnegative": lambda array: first_of(array < 0, array),
    "symmetric": unlike_its_transpose, "psd": lambda array: unlike_its_transpose(array) or negative_eigenvalue(array),
}
