"""Shaping: every function here is one Product over affine indices, or a sum of them (concatenation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff import sizes
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node, Number
from symdiff.index_notation import Index, tidy
from symdiff.normal_form import add as add_terms
from symdiff.normal_form import number, number_of, permute, product
from symdiff.operators.arithmetic import where
from symdiff.operators.coercion import (
    as_node,
    broadcast,
    broadcast_onto,
    describe,
    located,
    to_dtype,
    where_written,
)
from symdiff.operators.parameters import array_list, axes_of, axis_of, whole_size
from symdiff.provenance import plain, user_line
from symdiff.sizes import Size, combine, divide_exactly
from symdiff.tensor_type import TensorType, as_shape, promote, shape_text

Value = Any


def view(x: Node, at: Sequence[Index], out: Sequence[Index], extents: dict[int, Size], shape: tuple[Size, ...]) -> Node:
    """The Product that reads x at `at` and writes at `out`."""
    return located(product(1, [(x, tuple(at))], list(out), extents, TensorType(x.dtype, shape)))


def permute_dims(x: Value, axes: Sequence[int] | None = None) -> Node:
    """x with its axes in the order `axes`, reversed where none is given."""
    node = as_node(x)
    if axes is None:
        axes = tuple(range(node.ndim))[::-1]
    order = tuple(axis_of(a, node.ndim, "permute_dims", node)
                  for a in (axes if isinstance(axes, (tuple, list, range, np.ndarray)) else (axes,)))
    if sorted(order) != list(range(node.ndim)):
        raise ShapeMismatch(f"axes {axes} are no permutation of {node.ndim} axes",
                            where=where_written("permute_dims", node), mend="name every axis once")
    return located(permute(node, order))


transpose = permute_dims


def matrix_transpose(x: Value) -> Node:
    """x with its last two axes exchanged (`x.mT`)."""
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeMismatch("a matrix transpose needs two axes", where=where_written("matrix_transpose", node),
                            mend="use x[:, None] to make a vector a column")
    return permute_dims(node, (*range(node.ndim - 2), node.ndim - 1, node.ndim - 2))


def swapaxes(x: Value, axis1: int, axis2: int) -> Node:
    """x with two axes exchanged."""
    node = as_node(x)
    order = list(range(node.ndim))
    a, b = axis_of(axis1, node.ndim, "swapaxes", node), axis_of(axis2, node.ndim, "swapaxes", node)
    order[a], order[b] = order[b], order[a]
    return permute_dims(node, order)


def moveaxis(x: Value, source: int, destination: int) -> Node:
    """x with one axis moved to another place."""
    node = as_node(x)
    a, b = axis_of(source, node.ndim, "moveaxis", node), axis_of(destination, node.ndim, "moveaxis", node)
    order = [k for k in range(node.ndim) if k != a]
    order.insert(b, a)
    return permute_dims(node, order)


def expand_dims(x: Value, axis: int | tuple[int, ...] = 0) -> Node:
    """x with axes of size 1 inserted at `axis` of the result."""
    node = as_node(x)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    new = axes_of(given, node.ndim + len(given), "expand_dims", node)
    ndim = node.ndim + len(new)
    old = [k for k in range(ndim) if k not in new]
    shape: list[Size] = [1] * ndim
    for k, size in zip(old, node.shape, strict=True):
        shape[k] = size
    return view(node, old, range(ndim), dict(enumerate(shape)), tuple(shape))


def squeeze(x: Value, axis: int | tuple[int, ...] | None = None) -> Node:
    """x without the named axes of size 1 (all of them where none is named)."""
    node = as_node(x)
    gone = axes_of(axis, node.ndim, "squeeze", node) if axis is not None else \
        tuple(k for k, s in enumerate(node.shape) if s == 1)
    for k in gone:
        if node.shape[k] != 1:
            raise ShapeMismatch(f"axis {k} has size {node.shape[k]}, not 1", where=where_written("squeeze", node),
                                mend="squeeze only axes of size 1, or index one position")
    if not gone:
        return node
    names = iter(range(node.ndim))
    at: list[Index] = [(0, ()) if k in gone else next(names) for k in range(node.ndim)]
    shape = tuple(s for k, s in enumerate(node.shape) if k not in gone)
    return view(node, at, range(len(shape)), dict(enumerate(shape)), shape)


def broadcast_to(x: Value, shape: Any) -> Node:
    """x repeated along new axes and axes of size 1 to `shape`."""
    node = as_node(x)
    return located(broadcast_onto("broadcast_to", node, as_shape(shape)))


def broadcast_arrays(*values: Value) -> list[Node]:
    """The values broadcast against each other."""
    return list(broadcast("broadcast_arrays", *values)) if values else []


def reshape(x: Value, *lengths: Any, shape: Any = None) -> Node:
    """x with its elements, in row-major order, in another shape, given as one value or size by size; one may be −1.

    Raises `ShapeMismatch` where the numbers of elements differ or cannot be shown to agree.
    """
    node = as_node(x)
    given = lengths if shape is None else (shape,)
    wanted = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list, str, np.ndarray)) else given
    target = completed(node, wanted)
    groups = matched_groups(node, target)
    result = node
    kept: list[Size] = []
    for source, goal in groups:
        start = len(kept)
        if source == goal:
            kept.extend(goal)
            continue
        if len(source) != 1:
            result = merge_axes(result, start, len(source))
        if len(goal) != 1:
            result = split_axis(result, start, goal)
        kept.extend(goal)
    return located(result)


def completed(node: Node, wanted: Any) -> tuple[Size, ...]:
    """The target shape with −1 replaced."""
    given = as_shape(wanted) if isinstance(wanted, str) else tuple(wanted)
    unknown = [k for k, s in enumerate(given) if isinstance(s, int) and s == -1]
    known = as_shape(tuple(s for k, s in enumerate(given) if k not in unknown))
    total = sizes.product(node.shape)

    def where() -> str:
        return where_written(f"reshape to {tuple(given)}", node)
    if len(unknown) > 1:
        raise ShapeMismatch("only one size can be -1", where=where(), mend="give the other sizes")
    if not unknown:
        if sizes.product(known) != total:
            raise ShapeMismatch(f"{total} elements do not fill shape {shape_text(known)}", where=where(),
                                mend="keep the product of the sizes")
        return known
    rest = divide_exactly(total, sizes.product(known)) if sizes.product(known) != 0 else None
    if rest is None:
        raise ShapeMismatch(f"{total} elements do not divide by {sizes.product(known)}", where=where(),
                            mend="give sizes whose product divides the number of elements")
    return (*known[: unknown[0]], rest, *known[unknown[0]:])


def matched_groups(node: Node, target: tuple[Size, ...]) -> list[tuple[tuple[Size, ...], tuple[Size, ...]]]:
    """Runs of source and target axes with equal numbers of elements, as short as can be proved."""
    source = node.shape
    if sizes.product(source) == 0:
        return [(source, target)]
    groups: list[tuple[tuple[Size, ...], tuple[Size, ...]]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        found = next(((a, b) for total in range(1, len(source) - i + len(target) - j + 1) for a in range(total, -1, -1)
                      for b in (total - a,) if i + a <= len(source) and j + b <= len(target)
                      and sizes.product(source[i:i + a]) == sizes.product(target[j:j + b])), None)
        if found is None:
            raise ShapeMismatch(f"shape {shape_text(source)} cannot be matched with {shape_text(target)} axis by axis",
                                where=where_written("reshape", node),
                                mend="reshape in two steps, through one flat axis")
        a, b = found
        groups.append((source[i:i + a], target[j:j + b]))
        i, j = i + a, j + b
    return groups


def merge_axes(x: Node, start: int, count: int) -> Node:
    """x with `count` axes from `start` on merged into one (a new axis of size 1 for none)."""
    labels = list(range(x.ndim))
    strides = row_major(x.shape[start:start + count])
    merged: Index = tidy(0, {start + k: s for k, s in enumerate(strides) if x.shape[start + k] != 1})
    at: list[Index] = [(0, ()) if start <= k < start + count and x.shape[k] == 1 else k for k in labels]
    shape = (*x.shape[:start], sizes.product(x.shape[start:start + count]), *x.shape[start + count:])
    extents = {k: s for k, s in enumerate(x.shape) if not (start <= k < start + count and s == 1)}
    return view(x, at, [*labels[:start], merged, *labels[start + count:]], extents, shape)


def split_axis(x: Node, axis: int, parts: tuple[Size, ...]) -> Node:
    """x with one axis split into `parts`."""
    shape = (*x.shape[:axis], *parts, *x.shape[axis + 1:])
    labels = list(range(len(shape)))
    strides = row_major(parts)
    index = tidy(0, {axis + k: s for k, s in enumerate(strides) if parts[k] != 1})
    at: list[Index] = [*labels[:axis], index, *labels[axis + len(parts):]]
    return view(x, at, labels, dict(enumerate(shape)), shape)


def row_major(shape: tuple[Size, ...]) -> list[Size]:
    """Strides, in elements, of a row-major array."""
    return [sizes.product(shape[k + 1:]) for k in range(len(shape))]


def ravel(x: Value) -> Node:
    """x as one axis, in row-major order."""
    return reshape(x, (-1,))


def concat(arrays: Sequence[Value], axis: int = 0) -> Node:
    """The arrays one after the other along `axis`."""
    nodes = array_list(arrays, "concat")
    if isinstance(axis, Node):
        raise TypeMismatch("concat takes its arrays as one list", where=where_written("concat", arrays, axis),
                           mend="write sd.concat([a, b])")
    first = nodes[0]
    if first.ndim == 0:
        raise ShapeMismatch("scalars have no axis to be joined along", where=where_written("concat", *nodes),
                            mend="put them side by side with sd.stack([a, b])")
    k = axis_of(axis, first.ndim, "concat", *nodes)
    for node in nodes[1:]:
        others = [(a, b) for j, (a, b) in enumerate(zip(node.shape, first.shape, strict=False)) if j != k]
        if node.ndim != first.ndim or any(a != b for a, b in others):
            raise ShapeMismatch(f"{describe(node)} does not line up with {describe(first)} along axis {k}",
                                where=f"concat at {user_line()}", mend="all sizes but that of the axis must agree")
    dtype = promote(*[node.dtype for node in nodes])
    total = combine(tuple((1, node.shape[k]) for node in nodes))
    shape = tuple(total if j == k else s for j, s in enumerate(first.shape))
    terms: list[tuple[Number, Node]] = []
    offset: Size = 0
    for node in nodes:
        out: list[Index] = [tidy(offset, {j: 1}) if j == k else j for j in range(node.ndim)]
        placed = product(1, [(to_dtype(node, dtype), tuple(range(node.ndim)))], out, dict(enumerate(node.shape)),
                         TensorType(dtype, shape))
        terms.append((1, placed))
        offset = combine(((1, offset), (1, node.shape[k])))
    return located(add_terms(terms, TensorType(dtype, shape)))


def stack(arrays: Sequence[Value], axis: int = 0) -> Node:
    """The arrays side by side along a new axis."""
    nodes = array_list(arrays, "stack")
    for node in nodes[1:]:
        if node.shape != nodes[0].shape:
            raise ShapeMismatch(f"{describe(node)} differs in shape from {describe(nodes[0])}",
                                where=f"stack at {user_line()}", mend="stack takes arrays of one shape")
    return concat([expand_dims(node, axis) for node in nodes], axis)


def pad(x: Value, pad_width: Any, mode: str = "constant", constant_values: Value = 0) -> Node:
    """x with a border of `constant_values`: `pad_width` is an int, (before, after), or such a pair an axis."""
    node = as_node(x)
    if mode != "constant":
        raise TypeMismatch(f"pad mode {describe(mode)} is not known", where=where_written("pad", node),
                           mend="use mode='constant'")
    pairs = pad_pairs(node, pad_width)
    shape = tuple(combine(((1, a), (1, s), (1, b))) for (a, b), s in zip(pairs, node.shape, strict=True))
    out = [tidy(a, {k: 1}) for k, (a, _) in enumerate(pairs)]
    border = as_node(constant_values, node.dtype)

    def framed(inner: Node) -> Node:
        return view(inner, range(node.ndim), out, dict(enumerate(node.shape)), shape)
    if number_of(border) == 0:
        return framed(node)
    # A selection, no sum: a border that is infinite or very large must not touch what is inside.
    return where(framed(number(True, "bool", node.shape)), framed(node), border)


def pad_pairs(node: Node, width: Any) -> list[tuple[Size, Size]]:
    """(before, after) for each axis."""
    def misfit() -> ShapeMismatch:
        return ShapeMismatch(f"pad_width {plain(width)} does not fit {node.ndim} axes", where=where_written("pad", node),
                             mend="give an int, a pair, or a pair for each axis")

    def pair(value: Any) -> tuple[Size, Size]:
        ends = value if isinstance(value, (tuple, list)) else (value,)
        if len(ends) not in (1, 2):
            raise misfit()
        before, *rest = (whole_size(end, "pad_width", "pad", node, least=0) for end in ends)
        return before, (rest[0] if rest else before)
    if isinstance(width, np.ndarray):
        width = width.tolist()
    nested = isinstance(width, (tuple, list)) and width and isinstance(width[0], (tuple, list))
    pairs = [pair(w) for w in (width if nested and len(width) > 1 else [width[0] if nested else width] * node.ndim)]
    if len(pairs) != node.ndim:
        raise misfit()
    return pairs


concatenate = concat

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "concatenate", "expand_dims", "matrix_transpose", "moveaxis", "pad",
    "permute_dims", "ravel", "reshape", "squeeze", "stack", "swapaxes", "transpose",
]
