"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

from symdiff.bounds import at_least
from symdiff.errors import ShapeMismatch
from symdiff.expression import Node
from symdiff.index_notation import tidy
from symdiff.normal_form import number
from symdiff.operators.arithmetic import add, multiply
from symdiff.operators.coercion import as_node, mapped, where_written
from symdiff.operators.creation import arange
from symdiff.operators.parameters import axis_of, whole_number, whole_size
from symdiff.operators.reductions import sum
from symdiff.operators.shaping import expand_dims, view
from symdiff.sizes import Size, combine
from symdiff.tensor_type import FLOATING

Value = Any


def diag(x: Value, k: int = 0) -> Node:
    """A vector's diagonal matrix, or a matrix's diagonal (as `numpy.diag`), `k` above the main one.

    >>> import symdiff as sd
    >>> print(sd.diag(sd.symbol("s", "n")))
    diag(s)
    """
    node = as_node(x)
    k = whole_number(k, "k", "diag", node)
    if node.ndim == 1:
        n = combine(((1, node.shape[0]), (1, abs(k))))
        out = [tidy(max(-k, 0), {0: 1}), tidy(max(k, 0), {0: 1})]
        return view(node, [0], out, {0: node.shape[0]}, (n, n))
    if node.ndim != 2:
        raise ShapeMismatch("diag takes a vector or a matrix", where=where_written("diag", node),
                            mend="use sd.diagonal(x, axis1=-2, axis2=-1) for batches")
    return diagonal(node, k)


def diagonal(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """The diagonal of the matrices along two axes, as a new last axis; `offset` above the main one.

    Raises `ShapeMismatch` where it is not known how long the diagonal is.
    """
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeMismatch("a diagonal needs a matrix", where=where_written("diagonal", node),
                            mend="give two axes or more")
    a, b = axis_of(axis1, node.ndim, "diagonal", node), axis_of(axis2, node.ndim, "diagonal", node)
    if a == b:
        raise ShapeMismatch(f"axis {a} is named twice", where=where_written("diagonal", node), mend="name two axes")
    offset = whole_number(offset, "offset", "diagonal", node)
    length = diagonal_length(node, node.shape[a], node.shape[b], offset)
    last = node.ndim - 2
    places = iter(range(last))
    at = [tidy(max(-offset, 0), {last: 1}) if k == a else tidy(max(offset, 0), {last: 1}) if k == b else next(places)
          for k in range(node.ndim)]
    shape = (*[s for k, s in enumerate(node.shape) if k not in (a, b)], length)
    return view(node, at, range(last + 1), dict(enumerate(shape)), shape)


def diagonal_length(node: Node, rows: Size, columns: Size, offset: int) -> Size:
    """How many elements a diagonal has."""
    down, right = combine(((1, rows), (1, min(offset, 0)))), combine(((1, columns), (-1, max(offset, 0))))
    if at_least(right, down):
        length = down
    elif at_least(down, right):
        length = right
    else:
        raise ShapeMismatch(f"which of {down} and {right} is smaller is not known",
                            where=where_written("diagonal", node),
                            mend="take the diagonal of a square matrix, or slice it first")
    return max(length, 0) if isinstance(length, int) else length


def trace(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """Σ of the diagonal along two axes, as `numpy.trace`; `offset` above the main one.

    >>> import symdiff as sd
    >>> print(sd.trace(sd.symbol("A", ("n", "n"))))
    tr(A)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def matrix_trace(x: Value, offset: int = 0) -> Node:
    """Σ of the diagonal of the matrices along the last two axes (`sd.linalg.trace`)."""
    return trace(x, offset, -2, -1)


def matrix_diagonal(x: Value, offset: int = 0) -> Node:
    """The diagonal of the matrices along the last two axes (`sd.linalg.diagonal`)."""
    return diagonal(x, offset, -2, -1)


def band(operation: str, x: Value, k: int, comparison: str) -> Node:
    """x where row + k `comparison` column, zero elsewhere, over the last two axes."""
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeMismatch(f"{operation} takes a matrix", where=where_written(operation, node),
                            mend="give two axes or more")
    rows, columns = node.shape[-2:]
    offset = whole_size(k, "k", operation, node)
    mask = mapped(comparison, add(expand_dims(arange(rows), 1), offset), expand_dims(arange(columns), 0))
    if node.dtype in FLOATING:
        return multiply(node, mapped("guard", mask))
    return mapped("where", mask, node, number(0, node.dtype))


def tril(x: Value, k: int = 0) -> Node:
    """The lower triangle of x, zero above the k-th diagonal."""
    return band("tril", x, k, "greater_equal")


def triu(x: Value, k: int = 0) -> Node:
    """The upper triangle of x, zero below the k-th diagonal."""
    return band("triu", x, k, "less_equal")


__all__ = ["diag", "diagonal", "trace", "tril", "triu"]
