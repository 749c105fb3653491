"""Contractions: each is one Product with summed labels."""

from __future__ import annotations

from typing import Any

from symdiff.sizes import Size
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Factor, Node
from symdiff.index_notation import Index
from symdiff.normal_form import product
from symdiff.operators.coercion import as_nodes, located, to_dtype, where_written
from symdiff.operators.shaping import axes_of, axis_of
from symdiff.tensor_type import TensorType, promote

Value = Any


def contract(operation: str, nodes: tuple[Node, ...], at: list[list[int]], out: list[int]) -> Node:
    """Σ Π nodes[at] at `out`; raises `ShapeMismatch` where one label meets two sizes.  Size 1 broadcasts."""
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
    inner_a, inner_b = a.shape[-1], b.shape[max(b.ndim - 2, 0)]
    if inner_a != inner_b:
        raise ShapeMismatch(f"sizes {inner_a} (last axis of the left) and {inner_b} (axis {max(b.ndim - 2, 0)} of the right) differ",
                            where=where_written("x @ y", a, b), mend="transpose one of them with .T, or use the same size name")
    batch = max_of(a.ndim - 2, b.ndim - 2, 0)
    row, inner, column = batch, batch + 1, batch + 2
    at_a = [*range(batch - max_of(a.ndim - 2, 0), batch), row, inner] if a.ndim > 1 else [inner]
    at_b = [*range(batch - max_of(b.ndim - 2, 0), batch), inner, column] if b.ndim > 1 else [inner]
    out = [*range(batch), *([row] if a.ndim > 1 else []), *([column] if b.ndim > 1 else [])]
    return contract("x @ y", (a, b), [at_a, at_b], out)


def max_of(*values: int) -> int:
    """The largest of some ints."""
    return sorted(values)[-1]


def dot(x: Value, y: Value) -> Node:
    """`numpy.dot`: scalars multiply, otherwise the last axis of x with the second last of y."""
    a, b = as_nodes(x, y)
    if a.ndim == 0 or b.ndim == 0:
        return contract("dot", (a, b), [list(range(a.ndim)), list(range(b.ndim))], list(range(max_of(a.ndim, b.ndim))))
    return tensordot(a, b, ((a.ndim - 1,), (max_of(b.ndim - 2, 0),)))


def vecdot(x: Value, y: Value, axis: int = -1) -> Node:
    """Σ x · y along one axis, other axes broadcast."""
    a, b = as_nodes(x, y)
    axis_of(axis, a.ndim, "vecdot", a, b)
    axis_of(axis, b.ndim, "vecdot", a, b)
    ndim = max_of(a.ndim, b.ndim)
    at = [list(range(ndim - v.ndim, ndim)) for v in (a, b)]
    k = axis_of(axis, ndim, "vecdot", a, b)
    return contract("vecdot", (a, b), at, [label for label in range(ndim) if label != k])


def outer(x: Value, y: Value) -> Node:
    """x yᵀ of two vectors."""
    a, b = as_nodes(x, y)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeMismatch("outer takes two vectors", where=where_written("outer", a, b), mend="ravel them, or use einsum")
    return contract("outer", (a, b), [[0], [1]], [0, 1])


def tensordot(x: Value, y: Value, axes: Any = 2) -> Node:
    """Σ over pairs of axes of x and y, as `numpy.tensordot`."""
    a, b = as_nodes(x, y)
    if isinstance(axes, int):
        if axes < 0 or axes > a.ndim or axes > b.ndim:
            raise ShapeMismatch(f"{axes} axes cannot be contracted", where=where_written("tensordot", a, b),
                                mend="use at most the number of axes of either")
        pair_a, pair_b = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        first, second = axes
        pair_a = tuple(axis_of(k, a.ndim, "tensordot", a, b) for k in (first if isinstance(first, (tuple, list)) else (first,)))
        pair_b = tuple(axis_of(k, b.ndim, "tensordot", a, b) for k in (second if isinstance(second, (tuple, list)) else (second,)))
        axes_of(pair_a, a.ndim, "tensordot", a, b)
        axes_of(pair_b, b.ndim, "tensordot", a, b)
    if len(pair_a) != len(pair_b):
        raise ShapeMismatch("the two lists of axes differ in length", where=where_written("tensordot", a, b), mend="pair the axes")
    at_a = list(range(a.ndim))
    at_b = [at_a[pair_a[pair_b.index(k)]] if k in pair_b else a.ndim + k for k in range(b.ndim)]
    out = [label for k, label in enumerate(at_a) if k not in pair_a] + [label for k, label in enumerate(at_b) if k not in pair_b]
    return contract("tensordot", (a, b), [at_a, at_b], out)


def trace(x: Value, offset: int = 0) -> Node:
    """Σ of the diagonal over the first two axes, as `numpy.trace`."""
    (a,) = as_nodes(x)
    if a.ndim < 2:
        raise ShapeMismatch("trace takes a matrix", where=where_written("trace", a), mend="give two axes or more")
    if offset:
        raise TypeMismatch("trace with an offset is not known", where=where_written("trace", a), mend="use sum(diag(x, k))")
    if a.shape[0] != a.shape[1]:
        raise ShapeMismatch(f"sizes {a.shape[0]} and {a.shape[1]} of the matrix differ", where=where_written("trace", a),
                            mend="trace takes a square matrix")
    return contract("trace", (a,), [[0, 0, *range(1, a.ndim - 1)]], list(range(1, a.ndim - 1)))


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
    where = where_written(f"einsum {subscripts!r}", *nodes)
    if len(inputs) != len(nodes):
        raise ShapeMismatch(f"{len(inputs)} index groups for {len(nodes)} operands", where=where, mend="give one group for each")
    expanded = []
    most = 0
    for group, node in zip(inputs, nodes, strict=True):
        letters = group.replace("...", "")
        extra = node.ndim - len(letters)
        if not letters.isalpha() and letters:
            raise TypeMismatch(f"{group!r} holds something other than letters", where=where, mend="use letters and ...")
        if extra < 0 or (extra and "..." not in group):
            raise ShapeMismatch(f"{group!r} names {len(letters)} axes of an operand with {node.ndim}", where=where,
                                mend="name every axis, or use ...")
        most = max_of(most, extra)
        expanded.append((group, extra))
    def spread(group: str, extra: int) -> list[str]:
        before, dots, after = group.partition("...")
        return [*before, *[f".{k}" for k in range(most - extra, most)], *after] if dots else list(before)
    names = [spread(group, extra) for group, extra in expanded]
    once = [name for name in sorted({n for g in names for n in g if n[0] != "."}) if sum(g.count(name) for g in names) == 1]
    out = spread(right, most) if arrow else [f".{k}" for k in range(most)] + once
    order = {name: k for k, name in enumerate(dict.fromkeys([n for g in names for n in g]))}
    if len(set(out)) != len(out) or any(name not in order for name in out):
        raise ShapeMismatch(f"the result {right!r} repeats or invents a label", where=where, mend="use each input label at most once")
    return contract(f"einsum {subscripts!r}", nodes, [[order[n] for n in g] for g in names], [order[n] for n in out])
