"""Symbols, constants and arrays made of nothing: zeros, ones, full, eye, arange."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff import sizes
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Constant, Node, Symbol
from symdiff.index_notation import tidy
from symdiff.normal_form import constant_array, number, product
from symdiff.operators.arithmetic import add, astype, divide, multiply, subtract
from symdiff.operators.coercion import as_node, broadcast_one, to_dtype, user_line
from symdiff.sizes import Size, combine
from symdiff.tensor_type import DTYPES, TensorType, as_shape, as_size, dtype_name

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
        raise TypeMismatch(f"{name!r} cannot name a symbol", where=user_line(), mend="use an identifier such as 'w'")
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
    return tuple(symbol(name, shape, dtype, **facts) for name in names.replace(",", " ").split())


def constant(value: Any, dtype: Any = None) -> Node:
    """A known array as an expression; raises `TypeMismatch` for what is no array of numbers or booleans.

    >>> print(constant([1.0, 2.0]).type)
    float64 (2,)
    """
    if isinstance(value, Node):
        raise TypeMismatch("an expression is not a constant", where=user_line(), mend="use it as it is")
    array = as_array(value)
    name = dtype_name(dtype) if dtype is not None else array.dtype.name
    if name not in DTYPES:
        raise TypeMismatch(f"an array of dtype {array.dtype} cannot be a constant", where=user_line(),
                           mend="convert it to one of " + ", ".join(DTYPES))
    return constant_array(array, name)


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A value as a NumPy array; raises `TypeMismatch` for ragged lists."""
    try:
        return np.asarray(value)
    except ValueError:
        raise TypeMismatch(f"{value!r:.60} is no rectangular list of numbers", where=user_line(),
                           mend="give lists of one length") from None


def asarray(x: Value, dtype: Any = None) -> Node:
    """x as an expression, in `dtype` where one is given."""
    node = as_node(x) if not isinstance(x, int) or isinstance(x, bool) else as_node(x, "int64")
    return node if dtype is None else astype(node, dtype)


def full(shape: Any, fill_value: Value, dtype: Any = None) -> Node:
    """`fill_value` at every position of `shape`."""
    node = asarray(fill_value, dtype)
    wanted = as_shape(shape)
    if node.ndim > len(wanted):
        raise ShapeMismatch("the fill value has more axes than the shape", where=user_line(), mend="fill with a scalar")
    return broadcast_one(node, wanted)


def zeros(shape: Any, dtype: Any = "float64") -> Node:
    """Zeros."""
    return number(0, dtype_name(dtype), as_shape(shape))


def ones(shape: Any, dtype: Any = "float64") -> Node:
    """Ones."""
    return number(1, dtype_name(dtype), as_shape(shape))


def zeros_like(x: Value, dtype: Any = None) -> Node:
    """Zeros of the shape and dtype of x."""
    node = as_node(x)
    return zeros(node.shape, dtype or node.dtype)


def ones_like(x: Value, dtype: Any = None) -> Node:
    """Ones of the shape and dtype of x."""
    node = as_node(x)
    return ones(node.shape, dtype or node.dtype)


def full_like(x: Value, fill_value: Value, dtype: Any = None) -> Node:
    """`fill_value` in the shape and dtype of x."""
    node = as_node(x)
    return full(node.shape, as_node(fill_value, node.dtype), dtype or node.dtype)


def eye(n_rows: Any, n_cols: Any = None, k: int = 0, dtype: Any = "float64") -> Node:
    """Ones on the k-th diagonal, zeros elsewhere."""
    rows = as_size(n_rows)
    columns = rows if n_cols is None else as_size(n_cols)
    down, right = max(-k, 0), max(k, 0)
    a, b = combine(((1, rows), (-1, down))), combine(((1, columns), (-1, right)))
    if not sizes.at_least(a, b) and not sizes.at_least(b, a):
        raise ShapeMismatch(f"which of {a} and {b} is smaller is not known", where=f"eye at {user_line()}",
                            mend="use integer sizes, or a square matrix")
    length: Size = b if sizes.at_least(a, b) else a
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
        if any(isinstance(v, sizes.Dim) for v in (start, stop, step)):
            raise TypeMismatch("arange cannot mix floats with symbolic sizes", where=user_line(),
                               mend="count in integers, then scale: 0.5 * sd.arange(n)")
        return constant(np.arange(start, stop, step, dtype=dtype_name(dtype) if dtype is not None else None))
    if not isinstance(step, (int, np.integer)) or isinstance(step, bool) or step == 0:
        raise ShapeMismatch(f"arange cannot step by {step!r}", where=user_line(), mend="use an integer other than 0")
    step = int(step)
    span = combine(((1, as_any_size(stop)), (-1, as_any_size(start))))
    if step < 0:
        span = combine(((-1, span),))
    length = sizes.floor_divide(combine(((1, span), (1, abs(step) - 1))), abs(step))
    if isinstance(length, int):
        length = max(length, 0)
    counting: Node = Constant("arange", TensorType("int64", (length,)))
    if step != 1:
        counting = multiply(counting, step)
    if start != 0:
        counting = add(counting, as_node(start, "int64"))
    return counting if dtype is None else to_dtype(counting, dtype_name(dtype))


def linspace(start: Value, stop: Value, num: Any, endpoint: bool = True) -> Node:
    """`num` numbers at equal distances from start to stop (which is left out where `endpoint` is False).

    >>> linspace(0, 1, 5).shape
    (5,)
    """
    count = as_size(num)
    steps = combine(((1, count), (-1, 1))) if endpoint else count
    if isinstance(steps, int) and steps <= 0:
        return broadcast_one(as_node(start), (count,))
    step = divide(subtract(as_node(stop), as_node(start)), as_node(steps))
    return add(multiply(arange(count, dtype="float64"), step), start)


def as_any_size(value: Any) -> Size:
    """A size that may be negative."""
    if isinstance(value, sizes.Dim):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__") or isinstance(value, Node):
        raise TypeMismatch(f"{value!r} is not an integer", where=user_line(), mend="give an int or a Dim")
    return int(value.__index__())


__all__ = [
    "arange", "asarray", "constant", "eye", "full", "full_like", "identity", "linspace", "ones", "ones_like", "symbol",
    "symbols", "zeros", "zeros_like",
]
