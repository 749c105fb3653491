"""Reductions along axes, and what is composed of them: mean, var, norm, softmax."""

from __future__ import annotations

import builtins
from typing import Any

from symdiff.sizes import Size
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.functions import REDUCTIONS, ROWS
from symdiff.functions.row import BUILDERS, ReduceRow
from symdiff.normal_form import expand, number, product, reduce_node, size_number
from symdiff.operators.arithmetic import divide, power, subtract
from symdiff.operators.coercion import as_node, located, to_dtype, where_written
from symdiff.operators.creation import arange
from symdiff.operators.shaping import axes_of, expand_dims, permute_dims, reshape
from symdiff.tensor_type import FLOATING, TensorType

Value = Any
Axis = Any


def kept_dims(node: Node, reduced: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """The reduced value, with the axes kept at size 1 where asked."""
    if not keepdims or not axes:
        return located(reduced)
    return located(expand_dims(reduced, axes))


def reduction(name: str, x: Value, axis: Axis, keepdims: bool) -> Node:
    """The reduction of the table named `name`; raises `ShapeMismatch` for an empty axis that has no neutral value."""
    row: ReduceRow = REDUCTIONS[name]
    node = as_node(x)
    axes = axes_of(axis, node.ndim, name, node)
    if row.result == "bool" and node.dtype != "bool":
        node = ROWS["not_equal"](node, 0)
    if not axes:
        return node
    if row.needs_elements and builtins.any(node.shape[a] == 0 for a in axes):
        raise ShapeMismatch(f"{name} of no elements is not defined", where=where_written(name, node),
                            mend="give the axis at least one element")
    return kept_dims(node, reduce_node(row, node, axes), axes, keepdims)


def sum(x: Value, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Node:
    """Σ of the elements along `axis` (all axes where none is given).

    >>> import symdiff as sd
    >>> print(sd.sum(sd.symbol("x", "n")))
    sum(x)
    """
    node = as_node(x)
    if dtype is not None:
        node = to_dtype(node, dtype)
    axes = axes_of(axis, node.ndim, "sum", node)
    labels = list(range(node.ndim))
    kept = [k for k in labels if k not in axes]
    shape = tuple(node.shape[k] for k in kept)
    kind = "int64" if node.dtype in ("bool", "int32") else node.dtype
    total = product(1, [(node, tuple(labels))], list(kept), dict(enumerate(node.shape)), TensorType(kind, shape))
    return kept_dims(node, total, axes, keepdims)


def count(node: Node, axes: tuple[int, ...]) -> Node:
    """The number of elements along the axes, as a number."""
    total: Size = 1
    for a in axes:
        total = total * node.shape[a]
    return size_number(total, node.dtype if node.dtype in FLOATING else "float64")


def mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Σ x / number of elements, along `axis`."""
    node = as_node(x)
    axes = axes_of(axis, node.ndim, "mean", node)
    if builtins.any(node.shape[a] == 0 for a in axes):
        raise ShapeMismatch("the mean of no elements is not defined", where=where_written("mean", node),
                            mend="give the axis at least one element")
    return divide(sum(node, axis, keepdims), count(node, axes))


def prod(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Π of the elements along `axis`."""
    node = as_node(x)
    if node.dtype in ("bool", "int32"):
        node = to_dtype(node, "int64")
    return reduction("prod", node, axis, keepdims)


def max(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """The largest element along `axis`; the derivative is shared equally among ties."""
    return reduction("max", x, axis, keepdims)


def min(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """The smallest element along `axis`; the derivative is shared equally among ties."""
    return reduction("min", x, axis, keepdims)


def argmax(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """The position of the first largest element (of the flat array where no axis is given)."""
    node = as_node(x)
    if axis is None:
        node, axis = reshape(node, (-1,)), 0
    return reduction("argmax", node, axis, keepdims)


def argmin(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """The position of the first smallest element."""
    node = as_node(x)
    if axis is None:
        node, axis = reshape(node, (-1,)), 0
    return reduction("argmin", node, axis, keepdims)


def any(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Whether some element is true (not zero)."""
    return reduction("any", x, axis, keepdims)


def all(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Whether every element is true (not zero)."""
    return reduction("all", x, axis, keepdims)


def logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """log Σ exp(x) along `axis`, right for values of any size."""
    return reduction("logsumexp", floating(x), axis, keepdims)


def floating(x: Value) -> Node:
    """x as a floating expression."""
    node = as_node(x)
    return node if node.dtype in FLOATING else to_dtype(node, "float64")


def var(x: Value, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Node:
    """Σ (x − mean)² / (number − correction) along `axis`."""
    node = floating(x)
    axes = axes_of(axis, node.ndim, "var", node)
    deviation = subtract(node, mean(node, axis, keepdims=True))
    total = sum(power(deviation, 2), axis, keepdims)
    return divide(total, subtract(count(node, axes), correction) if correction else count(node, axes))


def std(x: Value, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Node:
    """√ var."""
    return ROWS["sqrt"](var(x, axis, keepdims, correction))


def norm(x: Value, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Node:
    """The 2-norm √Σx² (Frobenius for matrices), or the 1-, ∞- or p-norm of a vector; its derivative at 0 is 0."""
    node = floating(x)
    if ord in (None, 2, "fro"):
        if ord == 2 and axis is None and node.ndim == 2:
            raise TypeMismatch("the spectral norm of a matrix is not known", where=where_written("norm", node),
                               mend="use ord='fro', or give axis= for vector norms")
        return ROWS["safe_sqrt"](sum(power(node, 2), axis, keepdims))
    size = ROWS["abs"](node)
    if ord == 1:
        return sum(size, axis, keepdims)
    if ord == float("inf"):
        return max(size, axis, keepdims)
    if isinstance(ord, (int, float)) and ord > 0:
        return power(sum(power(size, ord), axis, keepdims), 1.0 / ord)
    raise TypeMismatch(f"norm ord={ord!r} is not known", where=where_written("norm", node), mend="use 1, 2, inf, 'fro' or p > 0")


def softmax(x: Value, axis: Axis = -1) -> Node:
    """exp(x) / Σ exp(x) along `axis`, right for values of any size."""
    node = floating(x)
    return ROWS["exp_difference"](node, logsumexp(node, axis, keepdims=True))


def log_softmax(x: Value, axis: Axis = -1) -> Node:
    """x − log Σ exp(x) along `axis`."""
    node = floating(x)
    return subtract(node, logsumexp(node, axis, keepdims=True))


def product_of_others(x: Node, axes: tuple[int, ...]) -> Node:
    """For each element the product of the others along `axes`; exact where elements are zero."""
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    flat = reshape(permute_dims(x, (*kept, *axes)), (*[x.shape[a] for a in kept], -1))
    k = flat.ndim - 1
    n = flat.shape[-1]
    rows, columns = expand_dims(arange(n), 1), expand_dims(arange(n), 0)
    wide = expand(flat, (*flat.shape, n), (*range(k), k + 1))
    spared = ROWS["where"](ROWS["equal"](rows, columns), number(1, x.dtype), wide)
    others = reduction("prod", spared, -1, False)
    back = reshape(others, (*[x.shape[a] for a in kept], *[x.shape[a] for a in axes]))
    order = (*kept, *axes)
    return permute_dims(back, tuple(order.index(a) for a in range(x.ndim)))


BUILDERS["reduce"] = reduce_node
BUILDERS["sum"] = sum
BUILDERS["product_of_others"] = product_of_others
