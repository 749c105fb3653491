"""Arithmetic: + − × ÷, powers, and the scalar functions of the table under their public names."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from symdiff.errors import TypeMismatch
from symdiff.expression import Node
from symdiff.functions import ROWS
from symdiff.normal_form import add as add_terms
from symdiff.normal_form import number, number_of, product, scale
from symdiff.operators.coercion import as_node, as_nodes, broadcast, is_weak, located, to_dtype, where_written
from symdiff.tensor_type import FLOATING, INTEGRAL, TensorType, dtype_name, promote

Value = Any


def numeric(operation: str, *values: Value) -> tuple[Node, ...]:
    """Broadcast expressions of one numeric dtype (bool becomes int64, as NumPy's sums do)."""
    nodes = broadcast(operation, *values)
    dtype = promote(*[v.dtype for v in nodes])
    if dtype == "bool":
        dtype = "int64"
    return tuple([v if v.dtype == dtype or v.dtype == "bool" else to_dtype(v, dtype) for v in nodes])


def result_type(nodes: tuple[Node, ...]) -> TensorType:
    """The type of an arithmetic result."""
    dtype = promote(*[v.dtype for v in nodes])
    return TensorType("int64" if dtype == "bool" else dtype, nodes[0].shape)


def add(x: Value, y: Value) -> Node:
    """x + y, with broadcasting.

    >>> import symdiff as sd
    >>> print(sd.add(sd.symbol("x"), 1))
    x + 1
    """
    nodes = numeric("sum", x, y)
    return located(add_terms([(1, nodes[0]), (1, nodes[1])], result_type(nodes)))


def subtract(x: Value, y: Value) -> Node:
    """x − y, with broadcasting."""
    nodes = numeric("difference", x, y)
    return located(add_terms([(1, nodes[0]), (-1, nodes[1])], result_type(nodes)))


def multiply(x: Value, y: Value) -> Node:
    """x · y element by element, with broadcasting."""
    nodes = as_nodes(x, y)
    for a, b in (nodes, nodes[::-1]):
        value = number_of(a)
        if value is not None and a.ndim == 0 and a.dtype == b.dtype:
            return located(scale(value, b))
    nodes = numeric("product", *nodes)
    labels = tuple(range(nodes[0].ndim))
    return located(product(1, [(nodes[0], labels), (nodes[1], labels)], list(labels), dict(enumerate(nodes[0].shape)),
                           result_type(nodes)))


def divide(x: Value, y: Value) -> Node:
    """x / y element by element; integers give float64."""
    if isinstance(y, (int, float)) and is_weak(y) and y != 0 and isinstance(x, Node) and x.dtype in FLOATING:
        if float(y).is_integer():
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
        if value is None or exponent.dtype in FLOATING or value < 0 or base.dtype == "bool":
            base = to_dtype(base, "float64")
    elif value is not None and exponent.dtype not in FLOATING:
        exponent = number(value, base.dtype, exponent.shape)
    if value == Fraction(1, 2):
        return ROWS["sqrt"](base)
    return ROWS["power"](base, exponent)


def square(x: Value) -> Node:
    """x²."""
    return power(x, 2)


def reciprocal(x: Value) -> Node:
    """1 / x."""
    return divide(1, x)


def floor_divide(x: Value, y: Value) -> Node:
    """⌊x / y⌋."""
    a, b = as_nodes(x, y)
    if promote(a.dtype, b.dtype) in FLOATING:
        return ROWS["floor"](divide(a, b))
    return ROWS["floor_divide"](a, b)


def clip(x: Value, minimum: Value = None, maximum: Value = None) -> Node:
    """x held to [minimum, maximum]; the derivative is 1 on the closed interval, 0 outside."""
    result = as_node(x)
    if minimum is not None:
        result = ROWS["where"](ROWS["less"](result, minimum), minimum, result)
    if maximum is not None:
        result = ROWS["where"](ROWS["greater"](result, maximum), maximum, result)
    return result


def sign(x: Value) -> Node:
    """−1, 0 or 1."""
    return ROWS["sign"](x)


def where(condition: Value, x: Value, y: Value) -> Node:
    """x where the condition holds, else y; a branch not taken never touches value or derivative."""
    node = as_node(condition, "bool")
    if node.dtype != "bool":
        node = ROWS["not_equal"](node, 0)
    return ROWS["where"](node, x, y)


def stop_gradient(x: Value) -> Node:
    """x, with derivative zero."""
    return ROWS["stop_gradient"](as_node(x))


def astype(x: Value, dtype: Any) -> Node:
    """x in another dtype; floats become integers by truncation."""
    from_node = as_node(x)
    name = dtype_name(dtype)
    if name == from_node.dtype:
        return from_node
    if name == "bool":
        return ROWS["not_equal"](from_node, 0)
    if name in INTEGRAL and from_node.dtype in FLOATING:
        return to_dtype(ROWS["as_integer"](from_node), name)
    return to_dtype(from_node, name)


def row_function(name: str) -> Callable[..., Node]:
    """The public function of a row of the table."""
    row = ROWS[name]

    def function(*args: Value) -> Node:
        return row(*args)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = row.doc
    return function
