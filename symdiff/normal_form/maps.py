"""Elementwise functions and reductions in normal form (R9, R12, traits)."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np

from symdiff.expression import Map, Node, Number, Product, Reduce
from symdiff.functions.row import BUILDERS, ROWS, ReduceRow, ScalarRow
from symdiff.normal_form.numbers import base_and_exponent, broadcast_axes, exact, number, number_of, permutation_of
from symdiff.normal_form.products import distributes_power, power
from symdiff.normal_form.sums import drop_axes, expand, permute, product, scale, unscaled
from symdiff.sizes import Size
from symdiff.tensor_type import FLOATING, INTEGRAL, TensorType, promote

LARGEST_POWER = 1024
# A quotient is near 1 more often than what stands above and below: its powers from this one on are not taken apart, as those of
# both may be no numbers of the dtype.  (x / y)¹² in float32 has digits where x is 1e-10, and x¹² has none.
HIGH = 3


def map_type(function: ScalarRow, args: tuple[Node, ...]) -> TensorType:
    """The type of function(args) by the row's dtype rule."""
    if len(args) == 1 and args[0].type.dtype in FLOATING and function.result in ("float", "same"):
        return args[0].type
    shape = args[0].shape
    if function.result == "bool" or function.result in (*FLOATING, *INTEGRAL):
        return TensorType(function.result, shape)
    dtypes = [a.dtype for a in (args[1:] if "select" in function.traits else args)]
    dtype = promote(*dtypes)
    if function.result == "float" and dtype not in FLOATING:
        dtype = "float64"
    return TensorType(dtype, shape)


def map_node(function: ScalarRow, args: tuple[Node, ...]) -> Node:
    """function(args) for arguments of one shape."""
    type = map_type(function, args)
    common = broadcast_axes(args[0]) if type.shape else None
    for arg in args[1:]:
        if not common:
            break
        common &= broadcast_axes(arg)
    if common:
        kept = tuple(axis for axis in range(len(type.shape)) if axis not in common)
        shape = tuple(type.shape[axis] for axis in kept)
        inner = map_node(function, tuple(drop_axes(a, common, TensorType(a.dtype, shape)) for a in args))
        return expand(inner, type.shape, kept)
    if not type.shape:
        folded = fold(function, args, type)
        if folded is not None:
            return folded
    elif len(type.shape) > 1:
        pulled = pull_permutation(function, args)
        if pulled is not None:
            return pulled
    if function.name == "power":
        simpler = simplify_power(args[0], number_of(args[1]), type)
        if simpler is not None:
            return simpler
    if "odd" in function.traits or "even" in function.traits:
        c, inner = unscaled(args[0]) if args[0].__class__ is Product else (1, args[0])
        if c < 0:
            positive = map_node(function, (scale(exact(-c), inner),))
            return scale(-1, positive) if "odd" in function.traits else positive
    if "idempotent" in function.traits and args[0].__class__ is Map and args[0].function is function:
        return args[0]
    return Map(function, args, type)


def fold(function: ScalarRow, args: tuple[Node, ...], type: TensorType) -> Node | None:
    """The number that a function of scalar numbers is."""
    for a in args:
        if a.__class__ is not Product or number_of(a) is None:
            return None
    values = [number_of(a) for a in args]
    if function.name == "power":
        exact_value = exact_power(values[0], values[1])  # type: ignore[arg-type]
        if exact_value is not None and (type.dtype in FLOATING or isinstance(exact_value, int)):
            return number(exact_value, type.dtype)
    with np.errstate(all="ignore"):
        arrays = [np.asarray(float(v) if isinstance(v, Fraction) else v).astype(a.dtype)
                  for v, a in zip(values, args, strict=True)]
        return number(exact(np.asarray(function.numpy(*arrays)).astype(type.dtype).item()), type.dtype)


def exact_power(base: Number, exponent: Number) -> Number | None:
    """base ** exponent as an exact number, where it is one of moderate size."""
    if isinstance(base, float) or not isinstance(exponent, int) or abs(exponent) > LARGEST_POWER:
        return None
    if base == 0 and exponent < 0:
        return None
    value = Fraction(base) ** exponent
    if value.numerator.bit_length() + value.denominator.bit_length() > 64:
        return None
    return exact(value)


def float_power(base: float, exponent: int) -> Number | None:
    """base ** exponent, where it is no infinity and none of it is lost below the least number."""
    try:
        value = base**exponent
    except (OverflowError, ZeroDivisionError):
        return None
    return exact(value) if abs(value) >= sys.float_info.min and np.isfinite(value) else None


def pull_permutation(function: ScalarRow, args: tuple[Node, ...]) -> Node | None:
    """f(xᵀ, yᵀ) → f(x, y)ᵀ: a permutation that all arguments share is done once, after."""
    shared: tuple[int, ...] | None = None
    inner: list[Node | None] = []
    for arg in args:
        if number_of(arg) is not None:
            inner.append(None)
            continue
        view = permutation_of(arg)
        if view is None or (shared is not None and view[1] != shared) or view[1] == tuple(range(arg.ndim)):
            return None
        shared = view[1]
        inner.append(view[0])
    if shared is None:
        return None
    shape = next(a for a in inner if a is not None).shape
    filled = tuple(number(number_of(a), a.dtype, shape) if i is None else i  # type: ignore[arg-type]
                   for a, i in zip(args, inner, strict=True))
    axes = [0] * len(shared)
    for k, label in enumerate(shared):
        axes[label] = k
    return permute(map_node(function, filled), tuple(axes))


def simplify_power(base: Node, p: Number | None, type: TensorType) -> Node | None:
    """x¹ → x, x⁰ → 1, (xᵃ)ᵇ → xᵃᵇ and (2 x y)ⁿ → 2ⁿ xⁿ yⁿ for integers; high powers of quotients stay as they are."""
    if p is None:
        return None
    if base.dtype != type.dtype:
        labels = list(range(base.ndim))
        base = product(1, [(base, tuple(labels))], list(labels), dict(enumerate(base.shape)), TensorType(type.dtype, base.shape))
    if p == 1:
        return base
    if p == 0:
        return number(1, type.dtype, type.shape)
    if not isinstance(p, int):
        return None
    root, inner = base_and_exponent(base)
    if inner != 1 and isinstance(inner, int) and abs(inner * p) <= LARGEST_POWER:
        return power(root, inner * p)
    if base.__class__ is Product and distributes_power(base, p):
        node: Product = base
        if abs(p) >= HIGH and type.dtype in FLOATING and any([base_and_exponent(f)[1] < 0 for f, _ in node.factors]):
            return None
        c = float_power(node.coefficient, p) if isinstance(node.coefficient, float) else exact_power(node.coefficient, p)
        if c is None:
            return None
        factors = [(map_node_power(f, p), at) for f, at in node.factors]
        return product(c, factors, list(node.out), dict(enumerate(node.extents)), type)
    return None


def map_node_power(base: Node, p: int) -> Node:
    """base ** p for a factor of a product (a guard, or a truth value for p > 0, is its own power)."""
    if base.dtype == "bool":
        return base
    root, inner = base_and_exponent(base)
    if isinstance(inner, int) and abs(inner * p) <= LARGEST_POWER:
        return power(root, inner * p)
    return power(base, p)


def reduce_node(function: ReduceRow, arg: Node, axes: tuple[int, ...]) -> Node:
    """The reduction of `arg` along `axes`, which are dropped; permutations are pulled out."""
    dtype = arg.dtype if function.result == "same" else function.result
    if dtype == "float":
        dtype = arg.dtype if arg.dtype in FLOATING else "float64"
    view = permutation_of(arg)
    if view is not None:
        # axis k of arg is the axis of the inner node at which label k stands
        inner, at = view
        place = {label: axis for axis, label in enumerate(at)}
        reduced = reduce_node(function, inner, tuple(sorted(place[a] for a in axes)))
        kept_inner = [a for a in range(inner.ndim) if a not in {place[x] for x in axes}]
        kept_outer = [a for a in range(arg.ndim) if a not in axes]
        return permute(reduced, tuple(kept_inner.index(place[a]) for a in kept_outer))
    shape: tuple[Size, ...] = tuple(s for a, s in enumerate(arg.shape) if a not in axes)
    return Reduce(function, arg, tuple(sorted(axes)), TensorType(dtype, shape))


def number_like(condition: Node, like: Node) -> Node:
    """1 where the condition holds, else 0, in the floating dtype of another expression."""
    bracket = map_node(ROWS["number"], (condition,))
    if like.dtype not in FLOATING or like.dtype == bracket.dtype:
        return bracket
    labels = tuple(range(condition.ndim))
    return product(1, [(bracket, labels)], list(labels), dict(enumerate(condition.shape)),
                   TensorType(like.dtype, condition.shape))


BUILDERS["expand"] = lambda y, x, axes: expand(y, x.shape, tuple(a for a in range(x.ndim) if a not in axes))
BUILDERS["product"] = product
BUILDERS["number"] = number_like
BUILDERS["number_of"] = number_of
