"""Scalar code for one element: casts, coefficients, elementwise functions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from codegen.loop_ir.nodes import Call, Literal, Value
from codegen.loop_ir.scalars import SCALARS
from symdiff.errors import CannotLower
from symdiff.expression import Map, Number, fitting
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import as_float
from symdiff.tensor_type import FLOATING, INTEGRAL, promote

# Floats above it are even integers.
LARGEST_INTEGER = 2**53


def literal(value: Number, dtype: str) -> Literal:
    """A number in a dtype."""
    if dtype == "bool":
        return Literal(bool(value), dtype)
    if dtype in INTEGRAL:
        return Literal(int(fitting(int(value), dtype)), dtype)
    return Literal(value if isinstance(value, float) else as_float(value), dtype)


def cast(value: Value, source: str, dtype: str) -> Value:
    """The value in another dtype."""
    if source == dtype:
        return value
    if isinstance(value, Literal):
        return literal(Fraction(value.value) if isinstance(value.value, int) else value.value, dtype)
    return Call("cast", (value,), dtype)


def times(c: Number, value: Value, dtype: str) -> Value:
    """c · value."""
    if c == 1:
        return value
    if c == -1:
        return Call("neg", (value,), dtype)
    if isinstance(c, Fraction) and dtype in FLOATING and c.denominator & (c.denominator - 1):
        # As it was written: x / 49 is 1 at 49, while x times the rounded 1/49 is less.
        return Call("div", (times(c.numerator, value, dtype), literal(c.denominator, dtype)), dtype)
    return Call("mul", (literal(c, dtype), value), dtype)


def add(a: Value | None, c: Number, value: Value, dtype: str) -> Value:
    """a + c · value, as a difference for a negative c; of truth values, whether one holds."""
    if a is None:
        return times(c, value, dtype)
    if dtype == "bool":
        return Call("logical_or", (a, value), dtype)
    if c < 0:
        return Call("sub", (a, times(-c, value, dtype)), dtype)
    return Call("add", (a, times(c, value, dtype)), dtype)


def conjunction(conditions: list[Value]) -> Value:
    """All of the conditions."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = Call("logical_and", (result, condition), "bool")
    return result


def integer_power(value: Value, p: int, dtype: str) -> Value:
    """value ** p for an integer p."""
    if dtype in FLOATING and abs(p) >= LARGEST_INTEGER:  # which is even, and no int64
        return Call("power", (value, literal(p, dtype)), dtype)
    if p < 0 and dtype in FLOATING:
        return Call("reciprocal", (integer_power(value, -p, dtype),), dtype)
    if p == 1:
        return value
    if p == 2:
        return Call("square", (value,), dtype)
    if p == 3:
        return Call("cube", (value,), dtype)
    return Call("power_int", (value, Literal(p, "int64")), dtype)


def element(node: Map, args: Sequence[Value]) -> Value:
    """function(args) for one element; raises `CannotLower` for a function without a word in the loop IR."""
    name = node.function.name
    dtypes = [a.type.dtype for a in node.args]
    if name == "guard":
        return cast(args[0], dtypes[0], "bool")
    if name in ("number", "as_integer"):
        value = Call("trunc", (args[0],), dtypes[0]) if dtypes[0] in FLOATING and name == "as_integer" else args[0]
        return cast(value, dtypes[0], node.dtype)
    if name == "where":
        branches = [cast(a, d, node.dtype) for a, d in zip(args[1:], dtypes[1:], strict=True)]
        return Call("select", (cast(args[0], dtypes[0], "bool"), *branches), node.dtype)
    if name == "one_hot":
        kind = promote(*dtypes)
        index, position, size = (cast(a, d, kind) for a, d in zip(args, dtypes, strict=True))
        behind = Call("sub", (position, size), kind)
        same = [Call("equal", (index, k), "bool") for k in (position, behind)]
        return Call("logical_or", (same[0], same[1]), "bool")
    if name == "power":
        return power(node, args, dtypes)
    row = SCALARS.get(name)
    if row is None:
        raise CannotLower(f"{name} has no code", where=str(node), mend="give its row an `expansion` in known functions")
    common = promote(*dtypes)
    if row.family == "test" and common not in FLOATING:
        return literal(name == "isfinite", "bool")
    if row.family in ("float", "number"):
        common = node.dtype
    elif row.family == "logic":
        common = "bool"
    result = "bool" if row.family in ("compare", "logic", "test") else common
    value = Call(name, tuple(cast(a, d, common) for a, d in zip(args, dtypes, strict=True)), result)
    return cast(value, result, node.dtype)


def power(node: Map, args: Sequence[Value], dtypes: list[str]) -> Value:
    """x ** p, by multiplication where p is a small integer number."""
    base = cast(args[0], dtypes[0], node.dtype)
    p = number_of(node.args[1])
    if isinstance(p, int):
        return integer_power(base, p, node.dtype)
    if node.dtype in INTEGRAL:
        return Call("power_int", (base, cast(args[1], dtypes[1], "int64")), node.dtype)
    return Call("power", (base, cast(args[1], dtypes[1], node.dtype)), node.dtype)
