"""The scalar functions of the loop IR: one table, one row each.

A row holds what the interpreter does (`reference`, NumPy, exact semantics) and what the Python emitter writes
(`template`).  `family` says which dtypes go in and come out:

| family     | arguments                           | result                  |
|------------|-------------------------------------|-------------------------|
| float      | floats of the result's dtype        | float                   |
| number     | floats or integers of its dtype     | float or integer        |
| order      | any one dtype, also bool            | the same                |
| compare    | any one dtype                       | bool                    |
| logic      | bool                                | bool                    |
| test       | any one dtype                       | bool                    |
| power_int  | a number and an integer             | dtype of the first      |
| select     | bool and two of the result's dtype  | any                     |
| cast       | any                                 | any                     |

In templates `$one` and `$zero` are literals of the result's dtype, `$type` is its conversion, and `$f` the name of the
row's helper, which the emitter puts into the preamble of a module that uses it, a copy for each dtype.  All of it means
the same in Numba with `error_model="numpy"` and in plain Python on NumPy scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from codegen.loop_ir import references
from codegen.loop_ir.arithmetic import Level
from symdiff.functions.trigonometric import sech_squared

Family = Literal["float", "number", "order", "compare", "logic", "test", "power_int", "select", "cast"]


class Scalar(Struct, frozen=True):
    """A row: see the head of this module.  `integer` and `integer_helper` replace template and helper for integers.

    `cost` is what a vector takes, measured in double precision, where a sum is 1 and an exponential 10; `by_lanes` says that
    each lane of it takes so much.
    """

    name: str
    arity: int
    family: Family
    reference: Callable[..., Any]
    template: str = "$f"
    level: Level = Level.ATOM
    helper: str = ""
    integer: str = ""
    integer_helper: str = ""
    cost: int = 1
    by_lanes: bool = False


SIGMOID = """
    e = np.exp(-abs(x))  # never overflows
    return ($one if x >= 0 else e) / ($one + e)
"""
SECH_SQUARED = """
    a = abs(x)
    e = np.exp(-a - a)
    d = e + e
    s = $one + e
    return (d + d) / (s * s)
"""
SOFTPLUS = """
    return np.maximum(x, $zero) + np.log1p(np.exp(-abs(x)))
"""
LOGADDEXP = """
    if a == b:  # also two equal infinities
        return a + $log2
    return np.maximum(a, b) + np.log1p(np.exp(-abs(a - b)))
"""
XLOGY = """
    if x == 0 and y == y:
        return $zero
    return x * np.log(y)
"""
REMAINDER = """
    r = np.fmod(a, b)
    if r == 0:
        return np.copysign($zero, b)
    if (b < 0) != (r < 0):  # the result takes the sign of the divisor
        return r + b
    return r
"""
FLOOR_DIVIDE = """
    if b == 0:
        return a / b
    r = np.fmod(a, b)
    q = (a - r) / b
    if r != 0 and (b < 0) != (r < 0):
        q = q - $one
    if q == 0:
        return np.copysign($zero, a / b)
    whole = np.floor(q)
    return whole + $one if q - whole > $half else whole
"""
INTEGER_REMAINDER = """
    if b == 0 or b == -1:  # smallest integer % -1 traps
        return $zero
    return a % b
"""
INTEGER_FLOOR_DIVIDE = """
    if b == 0:
        return $zero
    if b == -1:  # smallest integer // -1 traps
        return -a
    return a // b
"""
INTEGER_POWER = """
    if n < 0:  # the truncated quotient
        if x == 1 or (x == -1 and n % 2 == 0):
            return $one
        return -$one if x == -1 else $zero
    result = $one
    while n > 0:
        if n % 2 == 1:
            result = $type(result * x)
        x = $type(x * x)
        n = n // 2
    return result
"""
CUBE = """
    return x * x * x
"""


def infix(name: str, symbol: str, level: Level, reference: Callable[..., Any], family: Family) -> Scalar:
    """A row that is written as a binary operator."""
    template = "{0} " + symbol + " {1}"
    return Scalar(name, 2, family, reference, template, level, integer=template)


def numpy_function(name: str, function: str = "", family: Family = "float", arity: int = 1, cost: int = 1) -> Scalar:
    """A row that NumPy has, and Numba with it."""
    function = function or name
    arguments = ", ".join(f"{{{k}}}" for k in range(arity))
    template = f"np.{function}({arguments})"
    return Scalar(name, arity, family, getattr(np, function), template, integer="" if family == "float" else template,
                  cost=cost)


def rounding(name: str, function: str) -> Scalar:
    """A row that leaves integers as they are."""
    reference = references.unchanged_integer(getattr(np, function))
    return Scalar(name, 1, "number", reference, f"np.{function}({{0}})", integer="{0}")


def helped(name: str, arity: int, reference: Callable[..., Any], helper: str, parameters: str, cost: int) -> Scalar:
    """A row that is written as a small function of the preamble."""
    arguments = ", ".join(f"{{{k}}}" for k in range(arity))
    return Scalar(name, arity, "float", reference, f"$f({arguments})", helper=f"def $f({parameters}):{helper}", cost=cost)


ARITHMETIC = (
    infix("add", "+", Level.SUM, np.add, "number"),
    infix("sub", "-", Level.SUM, np.subtract, "number"),
    infix("mul", "*", Level.PRODUCT, np.multiply, "number"),
    Scalar("div", 2, "float", np.true_divide, "{0} / {1}", Level.PRODUCT, cost=5),
    Scalar("neg", 1, "number", np.negative, "-{0}", Level.SIGN, integer="-{0}"),
    Scalar("reciprocal", 1, "float", lambda x: np.true_divide(1, x), "$one / {0}", Level.PRODUCT, cost=5),
    numpy_function("square", family="number"),
    Scalar("cube", 1, "number", lambda x: x * x * x, "$f({0})", helper=f"def $f(x):{CUBE}", integer="$f({0})",
           integer_helper=f"def $f(x):{CUBE}"),
    Scalar("power", 2, "float", np.power, "{0} ** {1}", Level.POWER, cost=65),
    Scalar("power_int", 2, "power_int", references.power_int, "{0} ** {1}", Level.POWER, integer="$f({0}, {1})",
           integer_helper=f"def $f(x, n):{INTEGER_POWER}"),
    Scalar("floor_divide", 2, "number", np.floor_divide, "$f({0}, {1})", helper=f"def $f(a, b):{FLOOR_DIVIDE}",
           integer="$f({0}, {1})", integer_helper=f"def $f(a, b):{INTEGER_FLOOR_DIVIDE}", cost=25, by_lanes=True),
    Scalar("remainder", 2, "number", np.remainder, "$f({0}, {1})", helper=f"def $f(a, b):{REMAINDER}",
           integer="$f({0}, {1})", integer_helper=f"def $f(a, b):{INTEGER_REMAINDER}", cost=25, by_lanes=True),
    Scalar("abs", 1, "number", np.abs, "abs({0})", integer="abs({0})"),
    # Numba keeps the sign of zero, NumPy does not.
    Scalar("sign", 1, "number", np.sign, "np.sign({0}) + $zero", Level.SUM, integer="np.sign({0})"),
    numpy_function("maximum", family="order", arity=2),
    numpy_function("minimum", family="order", arity=2),
    rounding("floor", "floor"), rounding("ceil", "ceil"), rounding("trunc", "trunc"), rounding("round", "rint"),
)

FUNCTIONS = (
    *(numpy_function(name, cost=cost) for name, cost in (
        ("sqrt", 8), ("cbrt", 28), ("exp", 10), ("exp2", 10), ("expm1", 12), ("log", 17), ("log2", 19), ("log10", 21),
        ("log1p", 19), ("sin", 22), ("cos", 22), ("tan", 24), ("sinh", 18), ("cosh", 14), ("tanh", 16))),
    numpy_function("asin", "arcsin", cost=16), numpy_function("acos", "arccos", cost=14),
    numpy_function("atan", "arctan", cost=18), numpy_function("asinh", "arcsinh", cost=36),
    numpy_function("acosh", "arccosh", cost=32), numpy_function("atanh", "arctanh", cost=28),
    numpy_function("atan2", "arctan2", arity=2, cost=31), numpy_function("hypot", arity=2, cost=10),
    Scalar("erf", 1, "float", references.erf, "math.erf({0})", cost=40),
    Scalar("erfc", 1, "float", references.erfc, "math.erfc({0})", cost=50),
    helped("sigmoid", 1, references.sigmoid, SIGMOID, "x", 13),
    helped("sech_squared", 1, sech_squared, SECH_SQUARED, "x", 14),
    helped("softplus", 1, references.softplus, SOFTPLUS, "x", 27),
    helped("logaddexp", 2, np.logaddexp, LOGADDEXP, "a, b", 29),
    helped("xlogy", 2, references.xlogy, XLOGY, "x, y", 18),
)

LOGIC = (
    infix("less", "<", Level.COMPARE, np.less, "compare"),
    infix("less_equal", "<=", Level.COMPARE, np.less_equal, "compare"),
    infix("greater", ">", Level.COMPARE, np.greater, "compare"),
    infix("greater_equal", ">=", Level.COMPARE, np.greater_equal, "compare"),
    infix("equal", "==", Level.COMPARE, np.equal, "compare"),
    infix("not_equal", "!=", Level.COMPARE, np.not_equal, "compare"),
    infix("logical_and", "and", Level.AND, np.logical_and, "logic"),
    infix("logical_or", "or", Level.OR, np.logical_or, "logic"),
    infix("logical_xor", "!=", Level.COMPARE, np.logical_xor, "logic"),
    Scalar("logical_not", 1, "logic", np.logical_not, "not {0}", Level.NOT),
    numpy_function("isnan", family="test"), numpy_function("isfinite", family="test"),
    numpy_function("isinf", family="test"),
    Scalar("select", 3, "select", references.select, "{1} if {0} else {2}", Level.CHOICE,
           integer="{1} if {0} else {2}"),
    Scalar("cast", 1, "cast", references.cast, "$type({0})", integer="$type({0})"),
)

SCALARS: dict[str, Scalar] = {row.name: row for row in (*ARITHMETIC, *FUNCTIONS, *LOGIC)}
# Whatever takes longer than sums and products.
DEAR = frozenset(row.name for row in SCALARS.values() if row.cost > 1)
