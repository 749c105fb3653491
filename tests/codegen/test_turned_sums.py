"""Sums down columns: which go by rows, and that terms stay in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.folds import identity
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Buffer, Carried, Fold, Let, Load, Loop, Program, Register, Section, Statement, Store, Update
from codegen.loop_ir.walks import statements
from codegen.scheduling.turned_sums import turn_sums
from tests.codegen.programs import at, call, f

RNG = np.random.default_rng(3)
ROWS, COLUMNS = 18, 20


def down(*tail: Statement, op: Fold = "add", value: Any = None, start: Any = None, before: tuple[Statement, ...] = ()) -> Loop:
    """for j: r = start; for i: r op= value; tail."""
    value = Load("a", at("i", "j")) if value is None else value
    start = identity(op, "float64") if start is None else start
    inner = Loop("i", 0, ROWS, (*before, Update(op, "r", value)), carried=(Carried("r", "float64", start),))
    return Loop("j", 0, COLUMNS, (inner, *(tail or (Store("o", at("j"), Register("r")),))))


def program(*body: Statement) -> Program:
    shapes = {"a": (ROWS, COLUMNS), "b": (COLUMNS, ROWS), "s": (COLUMNS,)}
    given = [Buffer(name, "float64", shape, "arg") for name, shape in shapes.items()]
    return Program("kernel", (), (*given, Buffer("o", "float64", (COLUMNS,), "out")), (Section("init", 0, body),))


HALF = call("mul", f(0.5), Register("r"))
DEEP = Loop("j", 0, COLUMNS, (Loop("i", 0, 3, (Loop("k", 0, 6, (Update("add", "r", Load("a", at("k", "j"))),)),), carried=(
    Carried("r", "float64", f(0.0)),)), Store("o", at("j"), Register("r"))))
CASES: dict[str, tuple[Loop, bool]] = {
    **{str(op): (down(op=op), True) for op in ("add", "mul", "max", "min")},
    "of a function": (down(value=call("exp", Load("a", at("i", "j")))), True),
    "with something named": (down(value=call("mul", Register("v"), Load("s", at("j"))), before=(
        Let("v", "float64", Load("a", at("i", "j"))),)), True),
    "then something else": (down(Let("h", "float64", HALF), Store("o", at("j"), call("add", Register("h"), Load("s", at("j"))))),
                            True),
    "two nested loops": (DEEP, True),
    "along rows": (down(value=Load("b", at("j", "i"))), False),
    "both ways": (down(value=call("mul", Load("a", at("i", "j")), Load("b", at("j", "i")))), False),
    "from a number": (down(start=f(2.0)), False),
    "from what is there": (down(start=Load("s", at("j"))), False),
    "it reads the sum": (down(value=call("mul", Load("a", at("i", "j")), Register("r"))), False),
}


@pytest.mark.parametrize("name", CASES)
def test_which_sums_are_turned(name: str) -> None:
    loop, turned = CASES[name]
    before = program(loop)
    after = check(turn_sums(before))
    assert (after != before) == turned
    given = [RNG.uniform(0.5, 1.5, b.shape) for b in before.buffers if b.role == "arg"]
    found, right = interpret(after, given, {}), interpret(before, given, {})
    np.testing.assert_array_equal(found[0], right[0])
    if turned:
        rows = [s for s in statements(after.sections[0].body) if isinstance(s, Loop) and s.var == "i"]
        assert rows and not any(s.carried for s in rows)


def test_few_rows_and_few_columns_stay() -> None:
    for rows, columns in ((3, 40), (40, 3)):
        X = sd.symbol("X", (rows, columns))
        kernel = sd.compile(sd.sum(X, axis=0), cache=False)
        x = RNG.normal(size=(rows, columns))
        np.testing.assert_allclose(kernel(x), x.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize(("target", "shape", "dtype"), [
    *[("cpu", shape, dtype) for shape in ((40, 17), (257, 64), (16, 16), (130, 133)) for dtype in ("float64", "float32", "int64")],
    ("numba", (40, 17), "float32"), ("numba", (130, 133), "int64")])
def test_sums_of_columns(shape: tuple[int, int], dtype: str, target: str) -> None:
    X = sd.symbol("X", shape, dtype=dtype)
    x = (10 * RNG.normal(size=shape)).astype(dtype)
    outputs = [sd.sum(X, axis=0), sd.max(X, axis=0), sd.min(X, axis=0), 2 * sd.sum(X, axis=0) + 1]
    found = sd.compile(outputs, target=target, cache=False)(x)
    wide, near = x.astype(np.float64), 1e-3 if dtype == "float32" else 1e-12
    for got, right in zip(found, (wide.sum(0), wide.max(0), wide.min(0), 2 * wide.sum(0) + 1), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, right, rtol=near / 10, atol=near)


def test_not_a_number_stays_in_its_column() -> None:
    X = sd.symbol("X", (33, 24))
    x = RNG.normal(size=(33, 24))
    x[7, 5], x[8, 6] = np.nan, np.inf
    kernel = sd.compile([sd.max(X, axis=0), sd.sum(X, axis=0)], cache=False)
    for found, right in zip(kernel(x), (x.max(axis=0), x.sum(axis=0)), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-13)
