"""Arithmetic: + − × ÷, powers, selection, and the scalar functions of the table as public functions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from symdiff.errors import TypeMismatch
from symdiff.expression import Node
from symdiff.functions import ROWS
from symdiff.normal_form import add as add_terms
from symdiff.normal_form import exact, number, number_of, product, scale
from symdiff.operators.coercion import (
    apply_row,
    as_node,
    as_nodes,
    broadcast,
    is_weak,
    located,
    mapped,
    to_dtype,
    where_written,
)
from symdiff.tensor_type import FLOATING, INTEGRAL, TensorType, dtype_name, promote

Value = Any


def numeric(operation: str, *values: Value) -> tuple[Node, ...]:
    """Broadcast expressions of one dtype; booleans stay as they are beside numbers."""
    x, y = values[0], values[-1]
    if isinstance(x, Node) and isinstance(y, Node) and x.type == y.type and x.type.dtype != "bool" and len(values) == 2:
        return values
    nodes = broadcast(operation, *values)
    if len(nodes) == 2 and nodes[0].type == nodes[1].type and nodes[0].type.dtype != "bool":
        return nodes
    dtype = promote(*[v.dtype for v in nodes])
    return tuple([v if v.dtype in (dtype, "bool") else to_dtype(v, dtype) for v in nodes])


def result_type(nodes: tuple[Node, ...]) -> TensorType:
    """The type of an arithmetic result."""
    if nodes[0].type == nodes[-1].type:
        return nodes[0].type
    return TensorType(promote(*[v.dtype for v in nodes]), nodes[0].shape)


def add(x: Value, y: Value) -> Node:
    """x + y, with broadcasting; of two booleans, whether one holds, as in NumPy.

    >>> import symdiff as sd
    >>> print(sd.add(sd.symbol("price"), 1))
    price + 1
    """
    nodes = numeric("sum", x, y)
    type = result_type(nodes)
    if type.dtype == "bool":
        return mapped("logical_or", *nodes)
    return located(add_terms([(1, nodes[0]), (1, nodes[1])], type))


def subtract(x: Value, y: Value) -> Node:
    """x − y, with broadcasting; raises `TypeMismatch` for two booleans, as NumPy does."""
    nodes = numeric("difference", x, y)
    type = result_type(nodes)
    if type.dtype == "bool":
        raise TypeMismatch("booleans cannot be subtracted", where=where_written("difference", *nodes),
                           mend="use a ^ b where they shall differ, or sd.astype(a, 'int64') to count")
    return located(add_terms([(1, nodes[0]), (-1, nodes[1])], type))


def multiply(x: Value, y: Value) -> Node:
    """x · y element by element, with broadcasting; of two booleans, whether both hold, as in NumPy."""
    for a, b in ((x, y), (y, x)):
        if (a.__class__ is float or a.__class__ is int) and isinstance(b, Node) and b.type.dtype in FLOATING:
            return located(scale(exact(a), b))
    nodes = as_nodes(x, y)
    for a, b in (nodes, nodes[::-1]):
        value = number_of(a)
        if value is not None and a.ndim == 0 and a.dtype == b.dtype != "bool":
            return located(scale(value, b))
    nodes = numeric("product", *nodes)
    type = result_type(nodes)
    if type.dtype == "bool":
        return mapped("logical_and", *nodes)
    labels = tuple(range(nodes[0].ndim))
    return located(product(1, [(nodes[0], labels), (nodes[1], labels)], list(labels),
                           dict(enumerate(nodes[0].shape)), type))


def divide(x: Value, y: Value) -> Node:
    """x / y element by element; integers give float64."""
    if isinstance(y, (int, float)) and is_weak(y) and y != 0 and isinstance(x, Node) and x.dtype in FLOATING:
        if isinstance(y, int) or float(y).is_integer():
            return located(scale(Fraction(1, int(y)) if y not in (1, -1) else int(y), x))
        return multiply(x, power(number(y, x.dtype), -1))
    a, b = as_nodes(x, y)
    dtype = promote(a.dtype, b.dtype)
    dtype = dtype if dtype in FLOATING else "float64"
    return multiply(to_dtype(a, dtype), power(to_dtype(b, dtype), -1))


def negative(x: Value) -> Node:
    """−x."""
    node = as_node(x)
    if node.dtype == "bool":
        raise TypeMismatch("a boolean has no negative", where=where_written("negative", node), mend="use ~x")
    return located(scale(-1, node))


def positive(x: Value) -> Node:
    """+x."""
    return as_node(x)


def power(x: Value, p: Value) -> Node:
    """x ** p; a power ½ is `sqrt`.  An integer raised to a negative integer is float64."""
    base, exponent = as_nodes(x, p)
    value = number_of(exponent)
    if base.dtype not in FLOATING:
        negative_number = value is not None and value < 0
        if negative_number or exponent.dtype in FLOATING or base.dtype == "bool":
            base = to_dtype(base, "float64")
    elif value is not None and exponent.dtype not in FLOATING:
        exponent = number(value, base.dtype, exponent.shape)
    if value == Fraction(1, 2):
        wide = to_dtype(base, promote(base.dtype, exponent.dtype))
        return mapped("sqrt", broadcast("power", wide, exponent)[0] if exponent.ndim else wide)
    return mapped("power", base, exponent)


def float_power(x: Value, p: Value) -> Node:
    """x ** p in float64, as NumPy does it: of integers too.

    >>> import symdiff as sd
    >>> sd.float_power(sd.symbol("i", dtype="int64"), 25).dtype
    'float64'
    """
    return power(to_dtype(as_node(x), "float64"), p)


def square(x: Value) -> Node:
    """x²."""
    return power(x, 2)


def reciprocal(x: Value) -> Node:
    """1 / x."""
    return divide(1, x)


def floor_divide(x: Value, y: Value) -> Node:
    """⌊x / y⌋."""
    return mapped("floor_divide", x, y)


def clip(x: Value, min: Value = None, max: Value = None) -> Node:
    """x held to [min, max]; the derivative is 1 on the closed interval, 0 outside.

    >>> import symdiff as sd
    >>> print(sd.clip(sd.symbol("x"), 0))
    where(x < 0, 0, x)
    """
    result: Value = x
    if min is not None:
        result = mapped("where", mapped("less", result, min), min, result)
    if max is not None:
        result = mapped("where", mapped("greater", result, max), max, result)
    return as_node(result)


def where(condition: Value, x: Value, y: Value) -> Node:
    """x where the condition holds, else y; a branch not taken never touches value or derivative."""
    return mapped("where", truth_of(condition), x, y)


def truth_of(x: Value) -> Node:
    """x as a boolean: whether it is not zero."""
    node = as_node(x, "bool")
    return node if node.dtype == "bool" else mapped("not_equal", node, 0)


def stop_gradient(x: Value) -> Node:
    """x, with derivative zero.

    >>> import symdiff as sd
    >>> x = sd.symbol("x")
    >>> print(sd.grad(x * sd.stop_gradient(x), x))
    stop_gradient(x)
    """
    return mapped("stop_gradient", as_node(x))


def astype(x: Value, dtype: Any) -> Node:
    """x in another dtype; floats become integers by truncation.

    >>> import symdiff as sd
    >>> sd.astype(sd.symbol("x", 3), "float32").dtype
    'float32'
    """
    node = as_node(x)
    name = dtype_name(dtype)
    if name == node.dtype:
        return node
    if name == "bool":
        return mapped("not_equal", node, 0)
    if name in INTEGRAL and node.dtype in FLOATING:
        return to_dtype(mapped("as_integer", node), name)
    return to_dtype(node, name)


def bitwise(name: str) -> Callable[..., Node]:
    """The logical function `name` for `&`, `|`, `^`, `~` of booleans; raises `TypeMismatch` for other operands."""
    def function(*values: Value) -> Node:
        nodes = as_nodes(*values)
        if any(v.dtype != "bool" for v in nodes):
            raise TypeMismatch(f"{BITWISE[name]} takes booleans", where=where_written(BITWISE[name], *nodes),
                               mend="compare first, as in (x > 0) & (y > 0); bits of integers are not known here")
        return mapped(name, *nodes)
    function.__name__ = function.__qualname__ = name.replace("logical", "bitwise")
    function.__doc__ = ROWS[name].doc + "  Booleans only."
    return function


BITWISE = {"logical_and": "&", "logical_or": "|", "logical_xor": "^", "logical_not": "~"}
bitwise_and = bitwise("logical_and")
bitwise_or = bitwise("logical_or")
bitwise_xor = bitwise("logical_xor")
bitwise_invert = invert = bitwise("logical_not")


def row_function(name: str) -> Callable[..., Node]:
    """The public function of a row of the table; logical functions take numbers too, true where they are not zero."""
    row = ROWS[name]

    def function(*args: Value) -> Node:
        return apply_row(row, tuple(truth_of(a) for a in args) if "logical" in row.traits else args)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = row.doc
    return function


pow = power
true_divide = divide
conjugate = positive

__all__ = [
    "add", "astype", "bitwise_and", "bitwise_invert", "bitwise_or", "bitwise_xor", "clip", "conjugate", "divide",
    "float_power", "floor_divide", "invert", "multiply", "negative", "positive", "pow", "power", "reciprocal", "square",
    "stop_gradient", "subtract", "true_divide", "where",
]
