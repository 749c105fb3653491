"""Rearranging: flip, roll, repeat, tile, differences, and putting arrays side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff import sizes
from symdiff.errors import ShapeMismatch
from symdiff.expression import Node
from symdiff.operators.arithmetic import subtract
from symdiff.operators.coercion import as_node, where_written
from symdiff.operators.indexing import getitem
from symdiff.operators.parameters import array_list, axes_of, axis_of, whole_number
from symdiff.operators.shaping import broadcast_to, concat, expand_dims, ravel, reshape
from symdiff.tensor_type import as_shape, as_size

Value = Any


def along(axis: int, part: Any, ndim: int) -> tuple[Any, ...]:
    """The index that takes `part` of one axis and the whole of the others."""
    return tuple(part if k == axis else slice(None) for k in range(ndim))


def flip(x: Value, axis: Any = None) -> Node:
    """x with the order of its elements reversed along `axis` (all axes where none is given)."""
    node = as_node(x)
    turned = axes_of(axis, node.ndim, "flip", node)
    return getitem(node, tuple(slice(None, None, -1) if k in turned else slice(None) for k in range(node.ndim)))


def flipud(x: Value) -> Node:
    """x with its first axis reversed."""
    return flip(x, 0)


def fliplr(x: Value) -> Node:
    """x with its second axis reversed."""
    return flip(x, 1)


def roll(x: Value, shift: Any, axis: Any = None) -> Node:
    """x with its elements moved by `shift` along `axis`, those that fall off the end put in front.

    Without an axis the flat array is rolled.  Along a symbolic axis the shift must be proved not to exceed its size.

    >>> import symdiff as sd
    >>> sd.roll(sd.symbol("x", "n"), 1).shape
    (n,)
    """
    node = as_node(x)
    if axis is None:
        return reshape(roll(ravel(node), shift, 0), node.shape)
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    steps = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(given)
    if len(steps) != len(given):
        raise ShapeMismatch(f"{len(steps)} shifts for {len(given)} axes", where=where_written("roll", node),
                            mend="give one shift for each axis")
    for a, step in zip(given, steps, strict=True):
        node = roll_axis(node, step, axis_of(a, node.ndim, "roll", node))
    return node


def roll_axis(node: Node, step: Any, axis: int) -> Node:
    """The node rolled along one axis."""
    size = node.shape[axis]
    shift = whole_number(step, "shift", "roll", node)
    if isinstance(size, int):
        shift = shift % size if size else 0
    if shift == 0:
        return node
    tail, head = along(axis, slice(-shift, None), node.ndim), along(axis, slice(None, -shift), node.ndim)
    return concat([getitem(node, tail), getitem(node, head)], axis)


def repeat(x: Value, repeats: int, axis: int | None = None) -> Node:
    """x with each element repeated along `axis` (of the flat array where none is given)."""
    node = as_node(x)
    if axis is None:
        return repeat(ravel(node), repeats, 0)
    k = axis_of(axis, node.ndim, "repeat", node)
    times = as_size(repeats)
    wide = broadcast_to(expand_dims(node, k + 1), (*node.shape[:k + 1], times, *node.shape[k + 1:]))
    return reshape(wide, (*node.shape[:k], sizes.product((node.shape[k], times)), *node.shape[k + 1:]))


def tile(x: Value, repetitions: Any) -> Node:
    """x repeated as a whole along each axis, as `numpy.tile`."""
    node = as_node(x)
    times = as_shape(repetitions)
    ndim = max(node.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - node.ndim) + node.shape
    wide = reshape(node, tuple(s for size in shape for s in (1, size)))
    wide = broadcast_to(wide, tuple(s for pair in zip(times, shape, strict=True) for s in pair))
    return reshape(wide, tuple(sizes.product(pair) for pair in zip(times, shape, strict=True)))


def diff(x: Value, n: int = 1, axis: int = -1) -> Node:
    """x[i + 1] − x[i] along `axis`, `n` times."""
    node = as_node(x)
    k = axis_of(axis, node.ndim, "diff", node)
    for _ in range(whole_number(n, "n", "diff", node, least=0)):
        later, earlier = along(k, slice(1, None), node.ndim), along(k, slice(None, -1), node.ndim)
        node = subtract(getitem(node, later), getitem(node, earlier))
    return node


def unstack(x: Value, axis: int = 0) -> tuple[Node, ...]:
    """The parts of x along `axis`, which must have an integer size."""
    node = as_node(x)
    k = axis_of(axis, node.ndim, "unstack", node)
    size = node.shape[k]
    if not isinstance(size, int):
        raise ShapeMismatch(f"axis {k} has the symbolic size {size}", where=where_written("unstack", node),
                            mend="unstack an axis of integer size, or write the formula with whole arrays")
    return tuple(getitem(node, along(k, i, node.ndim)) for i in range(size))


def vstack(arrays: Sequence[Value]) -> Node:
    """The arrays below one another; vectors are rows."""
    return concat([expand_dims(a, 0) if a.ndim == 1 else a for a in at_least_vectors(arrays, "vstack")], 0)


def hstack(arrays: Sequence[Value]) -> Node:
    """The arrays beside one another: along the only axis of vectors, the second of others."""
    nodes = at_least_vectors(arrays, "hstack")
    return concat(nodes, 0 if nodes[0].ndim == 1 else 1)


def column_stack(arrays: Sequence[Value]) -> Node:
    """The arrays beside one another; vectors are columns."""
    return concat([expand_dims(a, 1) if a.ndim == 1 else a for a in at_least_vectors(arrays, "column_stack")], 1)


def at_least_vectors(arrays: Sequence[Value], operation: str) -> list[Node]:
    """The arrays, with scalars as vectors of one element."""
    return [expand_dims(a, 0) if a.ndim == 0 else a for a in array_list(arrays, operation)]


def shape(x: Value) -> tuple[sizes.Size, ...]:
    """The sizes of the axes of x."""
    return as_node(x).shape


def ndim(x: Value) -> int:
    """The number of axes of x."""
    return as_node(x).ndim


def size(x: Value, axis: int | None = None) -> sizes.Size:
    """The number of elements of x, or the size of one axis; symbolic where the shape is."""
    node = as_node(x)
    return sizes.product(node.shape) if axis is None else node.shape[axis_of(axis, node.ndim, "size", node)]


__all__ = [
    "column_stack", "diff", "flip", "fliplr", "flipud", "hstack", "ndim", "repeat", "roll", "shape", "size", "tile",
    "unstack", "vstack",
]
