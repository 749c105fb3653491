"""Every row of the table of scalar functions: interpreter, compiled kernel and mpmath or NumPy against each other."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from codegen.backends.numba_cpu import NumbaCpu
from codegen.backends.protocol import BuildOptions, Code
from codegen.emitters.python import emit
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Affine, Buffer, Call, Load, Loop, Program, Section, Store
from codegen.loop_ir.scalars import SCALARS
from symdiff.sizes import dim

HERE = (Affine(0, (("i", 1),)),)
FLOATS = [0.0, -0.0, 5e-324, -1e-310, 1e-300, 1e-18, -1e-18, 1e-8, 0.1, -0.3, 0.49999999999999994, 0.5, 0.75, -0.99,
          1.0, -1.0, 1.5, 2.0, 2.5, -2.5, 3.0, -3.5, 7.25, 30.0, -37.0, 88.0, -103.0, 300.0, 709.0, -740.0, 800.0,
          -800.0, 1e16, 1e300, -1e300, math.inf, -math.inf, math.nan]
INTEGERS = [0, 1, -1, 2, -2, 3, 5, -7, 10, 1000, -1001, 2**31 - 1, -2**31]


def rows_of(dtype):
    """The rows that take arguments of a dtype, as (row, Call): results in one kernel, one column each."""
    integer = dtype.startswith("int")
    a, b, n = (Load(name, HERE) for name in ("a0", "a1", "a2"))
    c = Load("a3", HERE)
    for row in SCALARS.values():
        if row.family == "logic":
            yield row, Call(row.name, (c, Load("a4", HERE))[:row.arity], "bool")
        elif row.family == "select":
            yield row, Call(row.name, (c, a, b), dtype)
        elif row.family == "power_int":
            yield row, Call(row.name, (a, n), dtype)
        elif row.family in ("compare", "test"):
            yield row, Call(row.name, (a, b)[:row.arity], "bool")
        elif row.family == "cast":
            yield row, Call("cast", (a,), {"float64": "float32", "float32": "float64", "int64": "float64",
                                           "int32": "int64"}[dtype])
        elif not (row.family == "float" and integer):
            yield row, Call(row.name, (a, b)[:row.arity], dtype)


def table_program(dtype):
    """All rows in one loop."""
    n = dim("n")
    calls = list(rows_of(dtype))
    arguments = [("a0", dtype), ("a1", dtype), ("a2", "int64"), ("a3", "bool"), ("a4", "bool")]
    buffers = [Buffer(name, t, (n,), "arg") for name, t in arguments]
    buffers += [Buffer(f"o{k}", call.dtype, (n,), "out") for k, (_, call) in enumerate(calls)]
    body = tuple(Store(f"o{k}", HERE, call) for k, (_, call) in enumerate(calls))
    program = Program("table", ("n",), tuple(buffers), (Section("init", 0, (Loop("i", 0, n, body),)),))
    return check(program), [row for row, _ in calls]


def grid(dtype):
    """Pairs of special values, with an exponent and two booleans."""
    values = np.array(INTEGERS if dtype.startswith("int") else FLOATS)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    a, b = (x.ravel().copy() for x in np.meshgrid(values, values))
    n = np.resize(np.array([0, 1, 2, 3, -1, -2, 5, 17, -3], np.int64), a.size)
    return [a, b, n, np.resize([True, False, False], a.size), np.resize([True, False], a.size)]


def ulps(got, expected):
    """The distance in units of the last place; nan and nan are equal, and so are equal infinities."""
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(all="ignore"):
        distance = np.abs(got.astype("longdouble") - expected.astype("longdouble")) / np.spacing(np.abs(expected))
    return np.where(same, 0, np.where(np.isnan(distance), np.inf, distance))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32"])
def test_compiled_rows_equal_the_interpreter(dtype):
    program, rows = table_program(dtype)
    arguments = grid(dtype)
    size = arguments[0].size
    expected = interpret(program, arguments, {"n": size})
    outputs = [np.empty_like(x) for x in expected]
    options = BuildOptions()
    NumbaCpu().build(program, Code(lambda: [emit(program)]), options)([*arguments, *outputs], (size,))
    bad = {}
    for row, got, reference in zip(rows, outputs, expected, strict=True):
        if reference.dtype.kind == "f":
            error = ulps(got, reference)
            if row.name not in ("maximum", "minimum"):  # which of two zeros comes out is nobody's promise
                error[(np.signbit(got) != np.signbit(reference)) & ~np.isnan(reference)] += 100
            if row.name == "power":  # NumPy takes a square root here, and C's pow has other rules at -inf and -0
                error[(arguments[1] == 0.5) & np.isin(arguments[0], [-np.inf, 0])] = 0
        else:
            error = (got != reference).astype(float)
        if error.max() > 4:
            worst = int(error.argmax())
            bad[row.name] = (error.max(), [x[worst] for x in arguments[:3]], got[worst], reference[worst])
    assert not bad


ONE = {
    "exp": mpmath.exp, "exp2": lambda x: mpmath.mpf(2) ** x, "expm1": mpmath.expm1, "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2), "log10": mpmath.log10, "log1p": mpmath.log1p, "sin": mpmath.sin,
    "cos": mpmath.cos, "tan": mpmath.tan, "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "asinh": mpmath.asinh, "acosh": mpmath.acosh,
    "atanh": mpmath.atanh, "erf": mpmath.erf, "erfc": mpmath.erfc, "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), "reciprocal": lambda x: 1 / x, "square": lambda x: x * x,
    "cube": lambda x: x ** 3, "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "sech_squared": lambda x: mpmath.sech(x) ** 2,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}
TWO = {
    "atan2": mpmath.atan2, "hypot": mpmath.hypot, "power": lambda x, y: x ** y, "xlogy": lambda x, y: x * mpmath.log(y),
    "logaddexp": lambda x, y: max(x, y) + mpmath.log1p(mpmath.exp(-abs(x - y))),
}


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_references_agree_with_many_digits(name):
    points = [x for x in FLOATS if math.isfinite(x)]
    pairs = [(x,) for x in points] if name in ONE else [(x, y) for x in points[::2] for y in points[1::3]]
    function = {**ONE, **TWO}[name]
    with mpmath.workdps(700):
        for arguments in pairs:
            with np.errstate(all="ignore"):
                got = SCALARS[name].reference(*map(np.float64, arguments))
            if name == "atan2" and arguments[1] == 0:  # mpmath has no signed zero
                continue
            try:
                exact = function(*map(mpmath.mpf, arguments))
            except (ZeroDivisionError, ValueError, OverflowError):
                continue
            if isinstance(exact, mpmath.mpc) or not mpmath.isfinite(exact) or abs(exact) > 1.7e308:
                continue
            expected = float(exact)
            scale = max(np.spacing(abs(expected)), np.spacing(max(map(abs, arguments))) if name == "logaddexp" else 0)
            assert abs(float(got) - expected) <= 8 * scale, (name, arguments, got, expected)


def test_special_values():
    reference = {name: row.reference for name, row in SCALARS.items()}
    assert reference["sigmoid"](np.float64(-740)) == np.exp(-740.0) > 0
    assert reference["softplus"](np.float64(800)) == 800
    assert reference["xlogy"](np.float64(0), np.float64(0)) == 0
    assert np.isnan(reference["xlogy"](np.float64(0), np.float64(np.nan)))
    assert np.isnan(reference["sign"](np.float64(np.nan))) and reference["sign"](np.float64(-0.0)) == 0
    assert reference["remainder"](np.float64(-1), np.float64(3)) == 2
    assert reference["power_int"](np.int64(2), np.int64(-1)) == 0
