"""The scalar functions of the table under their public names: those of the Array API, and NumPy's beside them.

A row of `symdiff.functions` becomes public by one line here; its documentation is the row's.
"""

from __future__ import annotations

from typing import Any

from symdiff.expression import Node
from symdiff.operators.arithmetic import divide, multiply, row_function
from symdiff.operators.coercion import mapped
from symdiff.operators.parameters import whole_number

Value = Any

abs = absolute = fabs = row_function("abs")
sign = row_function("sign")
sqrt = row_function("sqrt")
safe_sqrt = row_function("safe_sqrt")
cbrt = row_function("cbrt")
hypot = row_function("hypot")
minimum = row_function("minimum")
maximum = row_function("maximum")
remainder = mod = row_function("remainder")
floor = row_function("floor")
ceil = row_function("ceil")
trunc = row_function("trunc")
rint = row_function("round")

exp = row_function("exp")
exp2 = row_function("exp2")
expm1 = row_function("expm1")
log = row_function("log")
log2 = row_function("log2")
log10 = row_function("log10")
log1p = row_function("log1p")
logaddexp = row_function("logaddexp")
xlogy = row_function("xlogy")
sigmoid = expit = row_function("sigmoid")
softplus = row_function("softplus")
relu = row_function("relu")
erf = row_function("erf")
erfc = row_function("erfc")

sin = row_function("sin")
cos = row_function("cos")
tan = row_function("tan")
asin = arcsin = row_function("asin")
acos = arccos = row_function("acos")
atan = arctan = row_function("atan")
atan2 = arctan2 = row_function("atan2")
sinh = row_function("sinh")
cosh = row_function("cosh")
tanh = row_function("tanh")
asinh = arcsinh = row_function("asinh")
acosh = arccosh = row_function("acosh")
atanh = arctanh = row_function("atanh")

equal = row_function("equal")
not_equal = row_function("not_equal")
less = row_function("less")
less_equal = row_function("less_equal")
greater = row_function("greater")
greater_equal = row_function("greater_equal")
logical_and = row_function("logical_and")
logical_or = row_function("logical_or")
logical_xor = row_function("logical_xor")
logical_not = row_function("logical_not")
isnan = row_function("isnan")
isfinite = row_function("isfinite")
isinf = row_function("isinf")


def round(x: Value, decimals: int = 0) -> Node:
    """The nearest number with `decimals` digits after the point, the even one where two are; its derivative is 0.

    >>> import symdiff as sd
    >>> print(sd.round(sd.symbol("x")))
    round(x)
    """
    digits = whole_number(decimals, "decimals", "round", x)
    if digits == 0:
        return mapped("round", x)
    unit = 10.0 ** max(digits, -digits)
    if digits > 0:
        return divide(mapped("round", multiply(x, unit)), unit)
    return multiply(mapped("round", divide(x, unit)), unit)


def fmin(x: Value, y: Value) -> Node:
    """The smaller of x and y, and where one is NaN the other."""
    return mapped("where", isnan(x), y, mapped("where", isnan(y), x, minimum(x, y)))


def fmax(x: Value, y: Value) -> Node:
    """The larger of x and y, and where one is NaN the other."""
    return mapped("where", isnan(x), y, mapped("where", isnan(y), x, maximum(x, y)))


around = round

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "around",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "equal",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expit",
    "expm1",
    "fabs",
    "floor",
    "fmax",
    "fmin",
    "greater",
    "greater_equal",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "not_equal",
    "relu",
    "remainder",
    "rint",
    "round",
    "safe_sqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "xlogy",
]
