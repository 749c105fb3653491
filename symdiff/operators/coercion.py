"""From what a user writes to expressions of one shape: numbers, arrays, broadcasting, and where it was written."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import METHODS, Constant, Node, Symbol
from symdiff.functions import ROWS
from symdiff.functions.row import BUILDERS, ScalarRow
from symdiff.loops import shown_name
from symdiff.normal_form import constant_array, exact, expand, map_node, number, size_number
from symdiff.normal_form.numbers import is_size_constant, number_of
from symdiff.provenance import CALLER, plain, user_line
from symdiff.sizes import Dim, Size
from symdiff.tensor_type import DTYPES, FLOATING, INTEGRAL, TensorType, is_masked, promote, shape_text, with_number

LIMITS = {"int32": 31, "int64": 63}
Value = Any


def located(node: Node) -> Node:
    """The node, which remembers where the user first wrote it."""
    if node.origin is None and node.children:
        node.origin = CALLER.line or user_line() or None
    return node


def describe(value: Value) -> str:
    """A value as error messages name it: its formula in brief and its shape."""
    if not isinstance(value, Node):
        return plain(value)
    if (isinstance(value, Constant) and isinstance(value.value, np.ndarray)) or (value.shape and number_of(value) is not None):
        return f"an array of shape {shape_text(value.shape)}"
    if isinstance(value, Symbol):
        return f"{shown_name(value)} of shape {shape_text(value.shape)}"
    text = METHODS["str"](value) if "str" in METHODS else ""
    text = text.split("\n")[0]
    named = f"`{text}`" if text and len(text) <= 60 else "an expression"
    return f"{named} of shape {shape_text(value.shape)}"


def where_written(operation: str, *values: Value) -> str:
    """The second part of an error message: operation, operands with their shapes, source line."""
    operands = " of " + ", ".join(describe(v) for v in values) if values else ""
    return f"{operation}{operands} at {user_line()}"


def as_node(value: Value, dtype: str = "float64") -> Node:
    """An expression of a value; Python numbers take `dtype` unless their kind is higher.  Raises `TypeMismatch`."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Dim):
        return size_number(value, dtype if dtype != "bool" else "int64")
    if is_masked(value):
        raise TypeMismatch("a masked array cannot be part of an expression", where=user_line(),
                           mend="fill what is masked first: array.filled(0)")
    if isinstance(value, np.generic):
        value = np.asarray(value)
    elif isinstance(value, (bool, int, float, Fraction)):
        kind = with_number(dtype, float(value) if isinstance(value, Fraction) else value)
        if type(value) is int and kind in INTEGRAL and not -(2 ** (LIMITS[kind])) <= value < 2 ** LIMITS[kind]:
            raise TypeMismatch(f"{value} does not fit {kind}", where=user_line(), mend="write it as a float")
        return number(exact(value), kind)
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, (Node, Dim)) for v in flattened(value)):
            raise TypeMismatch("a list of expressions or sizes is not an expression", where=user_line(),
                               mend="put them together with sd.stack([...])")
        try:
            value = np.asarray(value)
        except ValueError:
            raise ragged(value) from None
    if not isinstance(value, np.ndarray) and hasattr(value, "__array__"):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise TypeMismatch(f"{plain(value)} is no expression", where=user_line(),
                           mend="use expressions, numbers or NumPy arrays")
    if value.dtype.name not in DTYPES:
        raise TypeMismatch(f"an array of dtype {value.dtype} cannot be part of an expression", where=user_line(),
                           mend="convert it to one of " + ", ".join(DTYPES))
    return constant_array(value, value.dtype.name)


def ragged(value: Value) -> TypeMismatch:
    """The error for a list that is no array."""
    return TypeMismatch(f"{plain(value)} is no rectangular list of numbers", where=user_line(),
                        mend="give lists of one length")


def flattened(value: Value) -> list[Value]:
    """The leaves of nested lists."""
    return [leaf for v in value for leaf in flattened(v)] if isinstance(value, (list, tuple)) else [value]


def is_weak(value: Value) -> bool:
    """Whether a value takes the dtype of what it meets."""
    return isinstance(value, (bool, int, float, Fraction, Dim)) and not isinstance(value, np.generic)


def as_nodes(*values: Value) -> tuple[Node, ...]:
    """Expressions of several values: weak numbers take the promoted dtype of the others."""
    for v in values:
        if not isinstance(v, Node):
            break
    else:
        return values
    strong = [as_node(v) for v in values if not is_weak(v)]
    dtype = promote(*[v.dtype for v in strong]) if strong else weak_dtype(values)
    return tuple(v if isinstance(v, Node) else as_node(v, dtype) for v in values)


def weak_dtype(values: tuple[Value, ...]) -> str:
    """The dtype of an expression of Python numbers alone."""
    if any(isinstance(v, (float, Fraction)) for v in values):
        return "float64"
    return "bool" if all(isinstance(v, bool) for v in values) else "int64"


def broadcast_shape(operation: str, values: tuple[Node, ...]) -> tuple[Size, ...]:
    """The common shape of the values by NumPy's rule; raises `ShapeMismatch` that names them."""
    shape: list[Size] = []
    ndim = max(v.ndim for v in values)
    for axis in range(ndim):
        size: Size = 1
        for v in values:
            k = axis - (ndim - v.ndim)
            if k < 0 or v.shape[k] == 1:
                continue
            if size != 1 and v.shape[k] != size:
                raise ShapeMismatch(
                    f"sizes {size} and {v.shape[k]} differ along axis {axis - ndim}",
                    where=where_written(operation, *values),
                    mend="axes are aligned from the last; reshape or transpose one of them, or use the same size name")
            size = v.shape[k]
        shape.append(size)
    return tuple(shape)


def broadcast_one(value: Node, shape: tuple[Size, ...]) -> Node:
    """The value broadcast to `shape` (which it fits)."""
    if value.shape == shape:
        return value
    known = number_of(value)
    if known is not None:
        return number(known, value.dtype, shape)
    offset = len(shape) - value.ndim
    axes = tuple(k for k in range(value.ndim) if not (value.shape[k] == 1 and shape[k + offset] != 1))
    if len(axes) != value.ndim:
        at = tuple(axes.index(k) if k in axes else (0, ()) for k in range(value.ndim))
        inner = tuple(value.shape[k] for k in axes)
        value = BUILDERS["product"](1, [(value, at)], list(range(len(axes))), dict(enumerate(inner)),
                                    TensorType(value.dtype, inner))
    return expand(value, shape, tuple(k + offset for k in axes))


def broadcast_onto(operation: str, value: Node, shape: tuple[Size, ...]) -> Node:
    """The value broadcast to `shape`; raises `ShapeMismatch` where it does not fit."""
    if value.ndim > len(shape) or any(s not in (1, t) for s, t in zip(value.shape[::-1], shape[::-1], strict=False)):
        raise ShapeMismatch(f"shape {shape_text(value.shape)} does not broadcast to {shape_text(shape)}",
                            where=where_written(operation, value), mend="only axes of size 1 and new axes are repeated")
    return broadcast_one(value, shape)


def broadcast(operation: str, *values: Value) -> tuple[Node, ...]:
    """Expressions of one common shape."""
    nodes = as_nodes(*values)
    shape = nodes[0].shape
    for v in nodes:
        if v.shape != shape:
            shape = broadcast_shape(operation, nodes)
            return tuple([broadcast_one(v, shape) for v in nodes])
    return nodes


def apply_row(row: ScalarRow, values: tuple[Value, ...]) -> Node:
    """row(values) with broadcasting and promotion; raises `TypeMismatch` for a wrong count or kind."""
    if len(values) != row.arity:
        raise TypeMismatch(f"{row.name} takes {row.arity} argument(s), not {len(values)}", where=user_line(),
                           mend=f"call sd.{row.name} with {row.arity} argument(s)")
    if row.arity == 1 and isinstance(values[0], Node) and values[0].type.dtype in FLOATING:
        return located(map_node(row, values))
    nodes = broadcast(row.name, *values)
    if "select" in row.traits:
        nodes = (nodes[0], *[to_dtype(v, promote(nodes[1].dtype, nodes[2].dtype)) for v in nodes[1:]])
    else:
        dtype = promote(*[v.dtype for v in nodes])
        if row.result == "float" and dtype not in FLOATING:
            dtype = "float64"
        nodes = tuple([to_dtype(v, dtype) for v in nodes])
        if dtype == "bool" and "numeric" in row.traits:
            raise TypeMismatch(f"{row.name} takes no booleans", where=where_written(row.name, *nodes),
                               mend="count with sd.astype(x, 'int64') first")
        if dtype == "bool" and "idempotent" in row.traits and row.result == "same":
            return nodes[0]  # |x|, ⌊x⌋ and the like of a boolean are the boolean
    return located(map_node(row, nodes))


def mapped(name: str, *values: Value) -> Node:
    """The scalar function of the table named `name`, of values that broadcast against each other."""
    return apply_row(ROWS[name], values)


def to_dtype(node: Node, dtype: str) -> Node:
    """The node in a wider or equal dtype of floats or integers."""
    if node.dtype == dtype:
        return node
    value = number_of(node)
    if value is not None:
        return number(value, dtype, node.shape)
    if is_size_constant(node):
        return size_number(node.value, dtype)
    labels = tuple(range(node.ndim))
    from_type = TensorType(dtype, node.shape)
    return convert_view(node, labels, from_type)


def convert_view(node: Node, labels: tuple[int, ...], type: TensorType) -> Node:
    """A product that reads the whole node and gives it in another dtype."""
    return BUILDERS["product"](1, [(node, labels)], list(labels), dict(enumerate(node.shape)), type)  # type: ignore[no-any-return]


BUILDERS["map"] = apply_row
