"""Reductions along axes, and what is composed of them: mean, var, norm, softmax."""

from __future__ import annotations

import builtins
from numbers import Real
from typing import Any

from symdiff import sizes
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.functions import REDUCTIONS
from symdiff.functions.row import BUILDERS, ReduceRow
from symdiff.normal_form import expand, number, number_of, product, reduce_node, size_number
from symdiff.operators.arithmetic import astype, divide, power, subtract, truth_of
from symdiff.operators.coercion import as_node, describe, located, mapped, to_dtype, where_written
from symdiff.operators.creation import arange
from symdiff.operators.loops import scan
from symdiff.operators.parameters import axes_in_order, axes_of, axis_of, flag
from symdiff.operators.shaping import expand_dims, permute_dims, reshape
from symdiff.tensor_type import FLOATING, TensorType

Value = Any
Axis = Any
FEW_FACTORS = 32  # whose n² products take less time than two loops over n (measured: value and gradient of products of rows)


def kept_dims(node: Node, reduced: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """The reduced value, with the axes kept at size 1 where asked."""
    if not flag(keepdims, "keepdims", "reduction", node) or not axes:
        return located(reduced)
    return located(expand_dims(reduced, axes))


def reduction(name: str, x: Value, axis: Axis, keepdims: bool) -> Node:
    """The reduction of the table named `name`; raises `ShapeMismatch` for an empty axis that has no neutral value."""
    row: ReduceRow = REDUCTIONS[name]
    node = truth_of(x) if REDUCTIONS[name].result == "bool" else as_node(x)
    axes = axes_of(axis, node.ndim, name, node)
    if not axes:
        return node
    if row.needs_elements:
        check_elements(name, node, axes)
    return kept_dims(node, reduce_node(row, node, axes), axes, keepdims)


def check_elements(operation: str, node: Node, axes: tuple[int, ...]) -> None:
    """Raise `ShapeMismatch` where one of the axes is empty."""
    if builtins.any(node.shape[a] == 0 for a in axes):
        raise ShapeMismatch(f"{operation} of no elements is not defined", where=where_written(operation, node),
                            mend="give the axis at least one element")


def sum(x: Value, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Node:
    """Σ of the elements along `axis` (all axes where none is given).

    >>> import symdiff as sd
    >>> print(sd.sum(sd.symbol("x", "n")))
    sum(x)
    """
    node = as_node(x) if dtype is None else astype(x, dtype)
    axes = axes_of(axis, node.ndim, "sum", node)
    labels = list(range(node.ndim))
    kept = [k for k in labels if k not in axes]
    shape = tuple(node.shape[k] for k in kept)
    kind = "int64" if node.dtype in ("bool", "int32") and dtype is None else node.dtype
    total = product(1, [(node, tuple(labels))], list(kept), dict(enumerate(node.shape)), TensorType(kind, shape))
    return kept_dims(node, total, axes, keepdims)


def count(node: Node, axes: tuple[int, ...]) -> Node:
    """The number of elements along the axes, as a number."""
    total = sizes.product(tuple(node.shape[a] for a in axes))
    return size_number(total, node.dtype if node.dtype in FLOATING else "float64")


def mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Σ x / number of elements, along `axis`."""
    node = as_node(x)
    axes = axes_of(axis, node.ndim, "mean", node)
    check_elements("mean", node, axes)
    if node.dtype not in FLOATING:
        node = to_dtype(node, "float64")  # whose sum does not wrap round
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


def argmax(x: Value, axis: int | None = None, keepdims: bool = False) -> Node:
    """The position of the first largest element (of the flat array where no axis is given)."""
    return position("argmax", x, axis, keepdims)


def argmin(x: Value, axis: int | None = None, keepdims: bool = False) -> Node:
    """The position of the first smallest element."""
    return position("argmin", x, axis, keepdims)


def position(name: str, x: Value, axis: int | None, keepdims: bool) -> Node:
    """The position of an extreme along one axis, or in the flat array."""
    node = as_node(x)
    if axis is not None:
        return reduction(name, node, axis_of(axis, node.ndim, name, node), keepdims)
    check_elements(name, node, tuple(range(node.ndim)))
    found = reduction(name, reshape(node, (-1,)), 0, False)
    return kept_dims(node, found, tuple(range(node.ndim)), keepdims)


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
    left = count(node, axes) if type(correction) is int and correction == 0 else subtract(count(node, axes), correction)
    known = number_of(left)
    if known is not None and known <= 0:
        raise ShapeMismatch(f"the variance with correction {describe(correction)} is not defined: {known} is left to divide by",
                            where=where_written("var", node), mend="give a correction below the number of elements")
    return divide(total, left)


def std(x: Value, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Node:
    """√ var."""
    return mapped("sqrt", var(x, axis, keepdims, correction))


def norm(x: Value, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Node:
    """The norm of vectors along one axis (`ord` 2, 1, inf, −inf or any p > 0), or of matrices along two, as NumPy's.

    Matrices have 'fro' (which None means), 1, −1 (columns), inf, −inf (rows).  The derivative of √Σx² at 0 is 0.

    >>> import symdiff as sd
    >>> print(sd.linalg.norm(sd.symbol("x", "n")))
    ‖x‖
    """
    node = floating(x)
    ord = checked_order(ord, node)
    if ord is None or (ord == "fro" and matrix_axes(node, axis)):
        return mapped("safe_sqrt", sum(power(node, 2), axis, keepdims))
    pair = matrix_axes(node, axis)
    if pair:
        return matrix_norm(node, ord, pair, keepdims)
    if axis is None and node.ndim != 1:
        raise ShapeMismatch(f"norm ord={ord!r} needs a vector or a matrix", where=where_written("norm", node),
                            mend="give axis=")
    return vector_norm(node, axis, keepdims, ord)


def checked_order(ord: Any, node: Node) -> Any:
    """The order of a norm: a number, a name or None; raises `TypeMismatch` for anything else."""
    if ord is None or (isinstance(ord, (str, Real)) and ord == ord and not isinstance(ord, bool)):
        return ord
    raise TypeMismatch(f"norm ord={describe(ord)} is not known", where=where_written("norm", node),
                       mend="use 1, 2, inf, -inf or another number, 'fro' for matrices; axes go to axis=")


def matrix_axes(node: Node, axis: Axis) -> tuple[int, ...]:
    """The two axes of the matrices that a norm is of; none where it is of vectors."""
    if axis is None:
        return (0, 1) if node.ndim == 2 else ()
    if isinstance(axis, (tuple, list)) and len(axis) == 2:
        return axes_in_order(axis, node.ndim, "norm", node)
    return ()


def matrix_norm(node: Node, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Node:
    """The largest (or, for a negative ord, smallest) absolute column sum (1) or row sum (inf)."""
    extreme = {1: max, -1: min, float("inf"): max, -float("inf"): min}.get(ord)
    if extreme is None:
        raise TypeMismatch(f"the matrix norm ord={ord!r} is not known", where=where_written("norm", node),
                           mend="use 'fro', 1, -1, inf, -inf, or give axis= for vector norms")
    inner, outer = axes if ord in (1, -1) else axes[::-1]
    result = extreme(sum(mapped("abs", node), inner, True), outer, True)
    keep = flag(keepdims, "keepdims", "norm", node)
    return result if keep else reshape(result, tuple(s for k, s in enumerate(node.shape) if k not in axes))


def vector_norm(x: Value, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Node:
    """The p-norm of the elements along `axis` (of all where none is given); its derivative at 0 is 0 for ord=2."""
    node = floating(x)
    ord = checked_order(ord, node)
    size = mapped("abs", node)
    if ord == 2:
        return mapped("safe_sqrt", sum(power(node, 2), axis, keepdims))
    if ord == 1:
        return sum(size, axis, keepdims)
    if ord in (float("inf"), -float("inf")):
        return (max if ord > 0 else min)(size, axis, keepdims)
    if ord == 0:
        return sum(mapped("not_equal", node, 0), axis, keepdims, dtype=node.dtype)
    if isinstance(ord, Real):
        return power(sum(power(size, float(ord)), axis, keepdims), 1.0 / float(ord))
    raise TypeMismatch(f"norm ord={ord!r} is not known", where=where_written("norm", node),
                       mend="use 1, 2, inf, -inf or another number")


def softmax(x: Value, axis: Axis = -1) -> Node:
    """exp(x) / Σ exp(x) along `axis`, right for values of any size."""
    node = floating(x)
    return mapped("exp_difference", node, logsumexp(node, axis, keepdims=True))


def log_softmax(x: Value, axis: Axis = -1) -> Node:
    """x − log Σ exp(x) along `axis`."""
    node = floating(x)
    return subtract(node, logsumexp(node, axis, keepdims=True))


def product_of_others(x: Node, axes: tuple[int, ...]) -> Node:
    """For each element the product of the others along `axes`; exact where elements are zero.

    Wᵢ = Π_{j ≠ i} xⱼ, which no quotient tells where elements are zero.  A few are multiplied for each of them; more are
    Π_{j < i} xⱼ · Π_{j > i} xⱼ, two loops, so that time and memory grow with the number of elements.
    """
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    order = (*axes, *kept)
    flat = reshape(permute_dims(x, order), (-1, *[x.shape[a] for a in kept]))
    n = flat.shape[0]
    if isinstance(n, int) and n <= FEW_FACTORS:
        others = products_of_pairs(flat, n)
    else:
        one = expand(number(1, x.dtype), flat.shape[1:], ())
        before, after = (scan(lambda c, x: (c * x, c), one, flat, reverse=end)[1] for end in (False, True))
        others = before * after
    back = reshape(others, tuple(x.shape[a] for a in order))
    return permute_dims(back, tuple(order.index(a) for a in range(x.ndim)))


def products_of_pairs(x: Node, n: int) -> Node:
    """For each of n elements along the first axis, the product of all others, from an array of n · n factors nobody stores."""
    wide = expand(x, (n, *x.shape), tuple(range(1, x.ndim + 1)))
    same = mapped("equal", expand_dims(arange(n), 1), expand_dims(arange(n), 0))
    same = expand(same, wide.shape, (0, 1))
    return reduction("prod", mapped("where", same, number(1, x.dtype), wide), 1, False)


amax, amin = max, min
BUILDERS["reduce"] = reduce_node
BUILDERS["sum"] = sum
BUILDERS["product_of_others"] = product_of_others

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "log_softmax", "logsumexp", "max", "mean", "min", "norm", "prod",
    "softmax", "std", "sum", "var", "vector_norm",
]
