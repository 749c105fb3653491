"""Symbols, constants and arrays made of nothing: zeros, ones, full, eye, arange."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from symdiff import sizes
from symdiff.binding.conversions import held, kind_name, of_kind
from symdiff.bounds import at_least
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Constant, Node, Symbol
from symdiff.index_notation import tidy
from symdiff.normal_form import constant_array, expand, number, product
from symdiff.operators.arithmetic import add, astype, divide, multiply, subtract
from symdiff.operators.coercion import (
    as_node,
    broadcast,
    broadcast_one,
    broadcast_onto,
    is_weak,
    located,
    mapped,
    ragged,
    to_dtype,
    where_written,
)
from symdiff.operators.parameters import flag, whole_number, whole_size
from symdiff.provenance import plain, spelled, user_line
from symdiff.sizes import Dim, Size, combine, names_in
from symdiff.tensor_type import DTYPES, FLOATING, TensorType, as_shape, as_size, dtype_name, is_masked, promote, with_number

Value = Any
FACTS = ("symmetric", "positive", "nonnegative", "psd")


def symbol(name: str, shape: Any = (), dtype: Any = "float64", **facts: bool) -> Node:
    """A named variable: `symbol("X", (n, d))`; sizes are ints, `Dim`s or names.

    Facts: `symmetric` (square matrix), `positive`, `nonnegative`, `psd`; they are used by rules.  Raises
    `TypeMismatch` for a name that is no identifier, an unknown dtype or fact, `ShapeMismatch` for a bad size.

    >>> X = symbol("X", ("n", 3)); X.shape
    (n, 3)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeMismatch(f"{plain(name)} cannot name a symbol", where=user_line(), mend="use an identifier such as 'w'")
    name = spelled(name)
    unknown = [fact for fact in facts if fact not in FACTS]
    if unknown:
        raise TypeMismatch(f"{unknown[0]!r} is not a fact about symbols", where=f"symbol {name} at {user_line()}",
                           mend="use one of " + ", ".join(FACTS))
    type = TensorType(dtype_name(dtype), as_shape(shape))
    if (facts.get("symmetric") or facts.get("psd")) and (len(type.shape) != 2 or type.shape[0] != type.shape[1]):
        raise ShapeMismatch(f"{name} cannot be symmetric", where=f"symbol {name} of type {type} at {user_line()}",
                            mend="give it two axes of one size")
    node = Symbol(name, type, tuple(fact for fact in FACTS if facts.get(fact)))
    node.origin = node.origin or user_line()
    return node


def symbols(names: str, shape: Any = (), dtype: Any = "float64", **facts: bool) -> tuple[Node, ...]:
    """Several symbols of one shape: `a, b = symbols("a b")`."""
    return tuple(symbol(name, shape, dtype, **facts) for name in names_in(names))


def constant(value: Any, dtype: Any = None) -> Node:
    """A known array as an expression; raises `TypeMismatch` for what is no array of numbers or booleans.

    >>> print(constant([1.0, 2.0]).type)
    float64 (2,)
    """
    if isinstance(value, Node):
        raise TypeMismatch("an expression is not a constant", where=user_line(), mend="use it as it is")
    array = as_array(value)
    name = dtype_name(dtype) if dtype is not None else array.dtype.name
    if name not in DTYPES or array.dtype.kind not in "biuf":
        raise TypeMismatch(f"{kind_name(array)} (dtype {array.dtype}) cannot be a constant", where=user_line(),
                           mend="convert it to one of " + ", ".join(DTYPES))
    if dtype is None:
        return constant_array(array, name)
    exact = held(array, np.dtype(name)) if of_kind(array, np.dtype(name)) else None
    if exact is None:
        raise TypeMismatch(f"{plain(value)} holds {kind_name(array)} that {name} cannot hold", where=user_line(),
                           mend=f"give another dtype, or convert it if the loss is meant: array.astype({name!r})")
    return constant_array(exact, name)


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A value as a NumPy array; raises `TypeMismatch` for ragged lists and masked arrays."""
    if is_masked(value):
        raise TypeMismatch("a masked array cannot be a constant", where=user_line(),
                           mend="fill what is masked first: array.filled(0)")
    try:
        return np.asarray(value)
    except ValueError:
        raise ragged(value) from None


def asarray(x: Value, dtype: Any = None) -> Node:
    """x as an expression, in `dtype` where one is given: numbers and arrays must be exact in it."""
    if dtype is None:
        return as_node(x, "bool" if isinstance(x, bool) else "int64" if isinstance(x, int) else "float64")
    name = dtype_name(dtype)
    if isinstance(x, (Node, Dim)):
        return astype(x, name)
    return as_node(x, name) if is_weak(x) and with_number(name, x) == name else constant(x, name)


def full(shape: Any, fill_value: Value, dtype: Any = None) -> Node:
    """`fill_value` at every position of `shape`, to which it broadcasts; raises `ShapeMismatch`."""
    return located(broadcast_onto("full", asarray(fill_value, dtype), as_shape(shape)))


def zeros(shape: Any, dtype: Any = "float64") -> Node:
    """Zeros."""
    return number(0, dtype_name(dtype), as_shape(shape))


def ones(shape: Any, dtype: Any = "float64") -> Node:
    """Ones."""
    return number(1, dtype_name(dtype), as_shape(shape))


def zeros_like(x: Value, dtype: Any = None) -> Node:
    """Zeros of the shape and dtype of x."""
    node = as_node(x)
    return zeros(node.shape, node.dtype if dtype is None else dtype)


def ones_like(x: Value, dtype: Any = None) -> Node:
    """Ones of the shape and dtype of x."""
    node = as_node(x)
    return ones(node.shape, node.dtype if dtype is None else dtype)


def full_like(x: Value, fill_value: Value, dtype: Any = None) -> Node:
    """`fill_value` in the shape and dtype of x."""
    node = as_node(x)
    wanted = node.dtype if dtype is None else dtype
    if dtype is None and isinstance(fill_value, Node) and promote(fill_value.dtype, wanted) != wanted:
        raise TypeMismatch(f"{wanted} cannot hold {fill_value.dtype}", where=where_written("full_like", node, fill_value),
                           mend="say dtype=, or convert the value with sd.astype")
    return full(node.shape, fill_value, wanted)


def eye(n_rows: Any, n_cols: Any = None, k: int = 0, dtype: Any = "float64") -> Node:
    """Ones on the k-th diagonal, zeros elsewhere."""
    rows = as_size(n_rows)
    columns = rows if n_cols is None else as_size(n_cols)
    k = whole_number(k, "k", "eye")
    down, right = max(-k, 0), max(k, 0)
    a, b = combine(((1, rows), (-1, down))), combine(((1, columns), (-1, right)))
    if not at_least(a, b) and not at_least(b, a):
        raise ShapeMismatch(f"which of {a} and {b} is smaller is not known", where=f"eye at {user_line()}",
                            mend="use integer sizes, or a square matrix")
    length: Size = b if at_least(a, b) else a
    if isinstance(length, int) and length <= 0:
        return zeros((rows, columns), dtype)
    return product(1, [], [tidy(down, {0: 1}), tidy(right, {0: 1})], {0: length},
                   TensorType(dtype_name(dtype), (rows, columns)))


identity = eye


def arange(start: Any, stop: Any = None, step: int = 1, dtype: Any = None) -> Node:
    """start, start + step, … below stop, as int64 (or float64 where a float is given)."""
    if stop is None:
        start, stop = 0, start
    if any(isinstance(v, (float, np.floating)) for v in (start, stop, step)):
        return float_range(start, stop, step, dtype)
    stride = whole_number(step, "step", "arange")
    if stride == 0:
        raise ShapeMismatch("arange cannot step by 0", where=f"arange at {user_line()}", mend="use an integer other than 0")
    first = whole_size(start, "start", "arange")
    span = combine(((1, whole_size(stop, "stop", "arange")), (-1, first)))
    if stride < 0:
        span = combine(((-1, span),))
    length = sizes.floor_divide(combine(((1, span), (1, abs(stride) - 1))), abs(stride))
    if isinstance(length, int):
        length = max(length, 0)
    counting: Node = Constant("arange", TensorType("int64", (length,)))
    if stride != 1:
        counting = multiply(counting, stride)
    if first != 0:
        counting = add(counting, as_node(first, "int64"))
    return counting if dtype is None else to_dtype(counting, dtype_name(dtype))


def float_range(start: Any, stop: Any, step: Any, dtype: Any) -> Node:
    """`arange` of numbers that are not all integers, which is a known array."""
    ends = (start, stop, step)
    if any(isinstance(v, Dim) for v in ends):
        raise TypeMismatch("arange cannot mix floats with symbolic sizes", where=f"arange at {user_line()}",
                           mend="count in integers, then scale: 0.5 * sd.arange(n)")
    if not all(isinstance(v, Real) and math.isfinite(v) for v in ends) or step == 0:
        raise ShapeMismatch(f"arange cannot go from {plain(start)} to {plain(stop)} by {plain(step)}",
                            where=f"arange at {user_line()}", mend="give finite numbers, and a step other than 0")
    return constant(np.arange(start, stop, step, dtype=dtype_name(dtype) if dtype is not None else None))


def linspace(start: Value, stop: Value, num: Any, endpoint: bool = True) -> Node:
    """`num` numbers at equal distances from start to stop (which is left out where `endpoint` is False), along axis 0.

    >>> linspace(0, 1, 5).shape
    (5,)
    """
    count = as_size(num)
    steps = combine(((1, count), (-1, 1))) if flag(endpoint, "endpoint", "linspace") else count
    first, last = broadcast("linspace", start, stop)
    dtype = first.dtype if first.dtype == last.dtype and first.dtype in FLOATING else "float64"
    first, last = to_dtype(first, dtype), to_dtype(last, dtype)
    shape = (count, *first.shape)
    if isinstance(steps, int) and steps <= 0:
        return broadcast_one(first, shape)
    # One number alone is the start: it has no distance to another.
    apart = as_node(steps) if isinstance(steps, int) or at_least(steps, 1) else mapped("maximum", as_node(steps), as_node(1))
    step = divide(subtract(last, first), apart)
    counting = arange(count, dtype=dtype)
    column = expand(counting, shape, (0,)) if first.ndim else counting
    return add(multiply(column, step), first)


__all__ = [
    "arange", "asarray", "constant", "eye", "full", "full_like", "identity", "linspace", "ones", "ones_like", "symbol",
    "symbols", "zeros", "zeros_like",
]
