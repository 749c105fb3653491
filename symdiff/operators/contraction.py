"""Contractions: each is one Product with summed labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Factor, Node
from symdiff.index_notation import Index
from symdiff.normal_form import product
from symdiff.operators.arithmetic import multiply
from symdiff.operators.coercion import as_nodes, describe, located, to_dtype, where_written
from symdiff.operators.parameters import axes_in_order, axis_of
from symdiff.sizes import Size, integer_of
from symdiff.tensor_type import TensorType, promote

Value = Any


def contract(operation: str, nodes: tuple[Node, ...], at: list[list[int]], out: list[int]) -> Node:
    """Σ Π nodes[at] at `out`; raises `ShapeMismatch` where one label meets two sizes.  Size 1 broadcasts.

    Booleans are counted, so the result of a contraction of booleans is int64.
    """
    extents: dict[int, Size] = {}
    for node, labels in zip(nodes, at, strict=True):
        for axis, label in enumerate(labels):
            size = node.shape[axis]
            if label in extents and extents[label] != 1 and size not in (1, extents[label]):
                raise ShapeMismatch(f"sizes {extents[label]} and {size} differ where they are multiplied",
                                    where=where_written(operation, *nodes),
                                    mend="transpose one of them, or use the same size name")
            if extents.get(label, 1) == 1:
                extents[label] = size
    dtype = promote(*[node.dtype for node in nodes])
    dtype = "int64" if dtype == "bool" else dtype
    factors: list[Factor] = []
    for node, labels in zip(nodes, at, strict=True):
        indices: list[Index] = [(0, ()) if node.shape[k] == 1 and extents[label] != 1 else label
                                for k, label in enumerate(labels)]
        factors.append((node if node.dtype == "bool" else to_dtype(node, dtype), tuple(indices)))
    shape = tuple(extents[label] for label in out)
    return located(product(1, factors, list(out), extents, TensorType(dtype, shape)))


def matmul(x: Value, y: Value) -> Node:
    """x @ y: matrix products with batch axes broadcast, as `numpy.matmul`; raises `ShapeMismatch`."""
    a, b = as_nodes(x, y)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeMismatch("a scalar cannot be multiplied with @", where=where_written("x @ y", a, b), mend="use *")
    k = max(b.ndim - 2, 0)
    if a.shape[-1] != b.shape[k]:
        raise ShapeMismatch(
            f"sizes {a.shape[-1]} (last axis of the left) and {b.shape[k]} (axis {k} of the right) differ",
            where=where_written("x @ y", a, b), mend="transpose one of them with .T, or use the same size name")
    batch = max(a.ndim - 2, b.ndim - 2, 0)
    row, inner, column = batch, batch + 1, batch + 2
    at_a = [*range(batch - max(a.ndim - 2, 0), batch), row, inner] if a.ndim > 1 else [inner]
    at_b = [*range(batch - max(b.ndim - 2, 0), batch), inner, column] if b.ndim > 1 else [inner]
    out = [*range(batch), *([row] if a.ndim > 1 else []), *([column] if b.ndim > 1 else [])]
    return contract("x @ y", (a, b), [at_a, at_b], out)


def dot(x: Value, y: Value) -> Node:
    """`numpy.dot`: scalars multiply, otherwise the last axis of x with the second last of y."""
    a, b = as_nodes(x, y)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (max(b.ndim - 2, 0),)))


def inner(x: Value, y: Value) -> Node:
    """`numpy.inner`: Σ over the last axes of both; scalars multiply."""
    a, b = as_nodes(x, y)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


def vecdot(x: Value, y: Value, axis: int = -1) -> Node:
    """Σ x · y along one axis, other axes broadcast."""
    a, b = as_nodes(x, y)
    axis_of(axis, a.ndim, "vecdot", a, b)
    axis_of(axis, b.ndim, "vecdot", a, b)
    ndim = max(a.ndim, b.ndim)
    at = [list(range(ndim - v.ndim, ndim)) for v in (a, b)]
    k = axis_of(axis, ndim, "vecdot", a, b)
    return contract("vecdot", (a, b), at, [label for label in range(ndim) if label != k])


def outer(x: Value, y: Value) -> Node:
    """x yᵀ of two vectors."""
    a, b = as_nodes(x, y)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeMismatch("outer takes two vectors", where=where_written("outer", a, b),
                            mend="ravel them, or use einsum")
    return contract("outer", (a, b), [[0], [1]], [0, 1])


def tensordot(x: Value, y: Value, axes: Any = 2) -> Node:
    """Σ over pairs of axes of x and y, as `numpy.tensordot`."""
    a, b = as_nodes(x, y)
    count = integer_of(axes)
    if count is not None:
        if count < 0 or count > a.ndim or count > b.ndim:
            raise ShapeMismatch(f"{count} axes cannot be contracted", where=where_written("tensordot", a, b),
                                mend="use at most the number of axes of either")
        pair_a, pair_b = tuple(range(a.ndim - count, a.ndim)), tuple(range(count))
    else:
        try:
            first, second = axes
        except (TypeError, ValueError):
            raise TypeMismatch(f"axes {describe(axes)} are no pair", where=where_written("tensordot", a, b),
                               mend="give an int, or the axes of x and the axes of y") from None
        pair_a = axes_in_order(first, a.ndim, "tensordot", a, b)
        pair_b = axes_in_order(second, b.ndim, "tensordot", a, b)
    if len(pair_a) != len(pair_b):
        raise ShapeMismatch("the two lists of axes differ in length", where=where_written("tensordot", a, b),
                            mend="pair the axes")
    for i, j in zip(pair_a, pair_b, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeMismatch(f"sizes {a.shape[i]} and {b.shape[j]} differ where they are multiplied",
                                where=where_written("tensordot", a, b),
                                mend="transpose one of them, or use the same size name")
    at_a = list(range(a.ndim))
    at_b = [at_a[pair_a[pair_b.index(k)]] if k in pair_b else a.ndim + k for k in range(b.ndim)]
    out = [k for k in at_a if k not in pair_a] + [label for k, label in enumerate(at_b) if k not in pair_b]
    return contract("tensordot", (a, b), [at_a, at_b], out)


def einsum(subscripts: str, *operands: Value) -> Node:
    """Σ over the labels that `subscripts` leaves out of the result, as `numpy.einsum` (with `...`).

    >>> import symdiff as sd
    >>> A = sd.symbol("A", ("n", "m"))
    >>> sd.einsum("ij->ji", A).shape
    (m, n)
    """
    nodes = as_nodes(*operands)
    if not isinstance(subscripts, str):
        raise TypeMismatch("einsum takes its subscripts as a string first", where=where_written("einsum", *nodes),
                           mend="write einsum('ij,jk->ik', A, B)")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")

    def where() -> str:
        return where_written(f"einsum {subscripts!r}", *nodes)
    if len(inputs) != len(nodes):
        raise ShapeMismatch(f"{len(inputs)} index groups for {len(nodes)} operands", where=where(),
                            mend="give one group for each")
    extras = [ellipsis_axes(group, node, where) for group, node in zip(inputs, nodes, strict=True)]
    most = max(extras)
    names = [spread(group, extra, most) for group, extra in zip(inputs, extras, strict=True)]
    letters = [name for group in names for name in group if name[0] != "."]
    once = [name for name in sorted(set(letters)) if letters.count(name) == 1]
    out = spread(right, most, most) if arrow else [f".{k}" for k in range(most)] + once
    order = {name: k for k, name in enumerate(dict.fromkeys([n for g in names for n in g]))}
    if len(set(out)) != len(out) or any(name not in order for name in out):
        raise ShapeMismatch(f"the result {right!r} repeats or invents a label", where=where(),
                            mend="use each input label at most once")
    at = [[order[name] for name in group] for group in names]
    return contract(f"einsum {subscripts!r}", nodes, at, [order[name] for name in out])


def ellipsis_axes(group: str, node: Node, where: Callable[[], str]) -> int:
    """How many axes the `...` of one index group stands for; raises where the group does not fit the operand."""
    letters = group.replace("...", "", 1)
    if letters and not (letters.isascii() and letters.isalpha()):
        raise TypeMismatch(f"{group!r} holds something other than letters", where=where(), mend="use letters and ...")
    extra = node.ndim - len(letters)
    if extra < 0 or (extra and "..." not in group):
        raise ShapeMismatch(f"{group!r} names {len(letters)} axes of an operand with {node.ndim}", where=where(),
                            mend="name every axis, or use ...")
    return extra


def spread(group: str, extra: int, most: int) -> list[str]:
    """The names of the axes of one index group; `...` stands for the last `extra` of `most` axes."""
    before, dots, after = group.partition("...")
    return [*before, *[f".{k}" for k in range(most - extra, most)], *after] if dots else list(before)


__all__ = ["dot", "einsum", "inner", "matmul", "outer", "tensordot", "vecdot"]
