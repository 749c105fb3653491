"""Indexing by arrays of integers that are known only at the call: a Product with a one-hot factor for each."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.errors import TypeMismatch
from symdiff.expression import Constant, Factor, Map, Node
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, Label
from symdiff.normal_form import expand, map_node, product
from symdiff.normal_form.numbers import size_number
from symdiff.operators.coercion import broadcast_shape, located, where_written
from symdiff.sizes import Size
from symdiff.tensor_type import INTEGRAL, TensorType


def gather(x: Node, axes: Sequence[int], indices: Sequence[Node], place: int) -> Node:
    """x with the given axes read at arrays of positions, which are broadcast together; their axes stand at `place`.

    A position below 0 counts from the end.  One that is outside is refused at the call where the arguments tell it by
    elementwise work alone; one that a loop or a contraction finds reads 0.  The adjoint adds at the positions.
    """
    for index in indices:
        if index.dtype not in INTEGRAL:
            raise TypeMismatch(f"an index of dtype {index.dtype}", where=where_written("index", x, index),
                               mend="use an array of integers; sd.where(mask, x, 0) for masks")
    shape = broadcast_shape("index", tuple(indices))
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    around = list(range(place, place + len(shape)))
    out = list(range(len(shape) + len(kept)))
    outer = [label for label in out if label not in around]
    extents: dict[Label, Size] = {label: s for label, s in zip(around, shape, strict=True)}
    extents.update({label: x.shape[axis] for label, axis in zip(outer, kept, strict=True)})
    at: list[Index] = [0] * x.ndim
    for axis, label in zip(kept, outer, strict=True):
        at[axis] = label
    marks: list[Factor] = []
    for axis, index in zip(axes, indices, strict=True):
        label = len(extents)
        extents[label] = x.shape[axis]
        at[axis] = label
        last = around[len(around) - index.ndim:]
        there: list[Index] = [(0, ()) if size == 1 and extents[i] != 1 else i for i, size in zip(last, index.shape, strict=True)]
        marks.append((one_hot(index, x.shape[axis]), (*there, label)))
    whole = tuple(extents[label] for label in out)
    return located(product(1, [(x, tuple(at)), *marks], list(out), extents, TensorType(x.dtype, whole)))


def class_number(index: Node, classes: Size) -> Node:
    """The index as it is, of which a call asks that it is one of 0 … classes − 1."""
    if index.dtype not in INTEGRAL:  # truth values
        return index
    return map_node(ROWS["class_number"], (index, expand(size_number(classes, index.dtype), index.shape, ())))


def one_hot(index: Node, size: Size) -> Node:
    """The factor that is 1 at position `index` along a last axis of the given size."""
    shape = (*index.shape, size)
    row = ROWS["one_hot"]
    counted = Constant("arange", TensorType("int64", (size,)))
    wide = expand(index, shape, tuple(range(index.ndim)))
    count = expand(size_number(size, "int64"), shape, ())
    if size == 1:
        # With one position there is nothing to count.
        return map_node(row, (wide, expand(size_number(0, "int64"), shape, ()), count))
    return Map(row, (wide, expand(counted, shape, (index.ndim,)), count), TensorType("bool", shape))
