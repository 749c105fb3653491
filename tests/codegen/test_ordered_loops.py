"""The order of loops: which nests are turned, that the meaning stays, and arrays cut along an axis that is not the first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Accumulate, Buffer, Carried, Let, Load, Loop, Program, Register, Section, Statement, Store, Update
from codegen.scheduling.ordered_loops import order_loops
from tests.codegen.programs import at, call, f

RNG = np.random.default_rng(6)
ROWS, COLUMNS = 5, 7


def nest(*body: Statement, carried: tuple[Carried, ...] = (), before: tuple[Statement, ...] = ()) -> Loop:
    """for i: for k: body."""
    return Loop("i", 0, COLUMNS, (*before, Loop("k", 0, ROWS, body)), carried=carried)


TOTAL = Carried("r", "float64", f(0.0))
A, B = Load("a", at("k", "i")), Load("b", at("i", "k"))
CASES: dict[str, tuple[tuple[Statement, ...], bool]] = {
    "a sum along rows": ((nest(Let("v", "float64", call("exp", A)), Accumulate("add", "s", at("k"), Register("v"))),), True),
    "a fold": ((nest(Accumulate("max", "s", at("k"), A)),), True),
    "an array that is written": ((nest(Store("o", at("k", "i"), call("mul", A, Load("s", at("k"))))),), True),
    "with a fold of the outside": ((nest(Update("add", "r", A), carried=(TOTAL,)), Store("t", (), Register("r"))), True),
    "as it lies": ((nest(Accumulate("add", "u", at("i"), B)),), False),
    "one each way": ((nest(Store("o", at("k", "i"), B)),), False),
    "with something named before": ((nest(Accumulate("add", "s", at("k"), call("mul", A, Register("w"))), before=(
        Let("w", "float64", Load("u", at("i"))),)),), False),
    "turns that need each other": ((nest(Store("s", at("k"), call("add", A, call("mul", f(0.5), Load("s", at("k")))))),), False),
}


def program(*body: Statement) -> Program:
    shapes: dict[str, tuple[int, ...]] = {"a": (ROWS, COLUMNS), "b": (COLUMNS, ROWS)}
    results: dict[str, tuple[int, ...]] = {"s": (ROWS,), "u": (COLUMNS,), "o": (ROWS, COLUMNS), "t": ()}
    start = [Loop(f"z{name}", 0, len_, (Store(name, at(f"z{name}"), f(0.25)),)) for name, len_ in (("s", ROWS), ("u", COLUMNS))]
    whole = Loop("zo", 0, ROWS, (Loop("zp", 0, COLUMNS, (Store("o", at("zo", "zp"), f(0.0)),)),))
    buffers = [*[Buffer(name, "float64", shape, "arg") for name, shape in shapes.items()],
               *[Buffer(name, "float64", shape, "out") for name, shape in results.items()]]
    zeros = Section("init", 0, (*start, whole, Store("t", (), f(0.0))))
    return Program("kernel", (), tuple(buffers), (zeros, Section("init", 1, body)))


@pytest.mark.parametrize("name", CASES)
def test_which_nests_are_turned(name: str) -> None:
    body, turned = CASES[name]
    before = program(*body)
    after = check(order_loops(before))
    assert (after != before) == turned
    given = [RNG.normal(size=(ROWS, COLUMNS)), RNG.normal(size=(COLUMNS, ROWS))]
    for found, right in zip(interpret(after, given, {}), interpret(before, given, {}), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-13)


WIDE = sd.dim("ol_d", minimum=5)
X = sd.symbol("X", ("ol_n", WIDE))
Z = sd.symbol("Z", (3, WIDE))
FORMULAS: dict[str, Any] = {
    "norms of columns": (X, sd.sum(sd.sqrt(sd.sum(X**2, axis=0)))),
    "differences along columns": (X, sd.sum((X[1:] - X[:-1]) ** 2)),
    "differences along rows": (X, sd.sum((X[:, 1:] - X[:, :-1]) ** 2)),
    "softmax along columns": (X, sd.sum(sd.softmax(X, axis=0) ** 2)),
    "logsumexp along rows": (X, sd.sum(sd.logsumexp(X, axis=1))),
    "standardised columns": (X, sd.sum(sd.tanh((X - sd.mean(X, axis=0)) / sd.sqrt(sd.var(X, axis=0) + 1e-5)))),
    "standardised rows": (Z, sd.sum(sd.tanh((Z - sd.mean(Z, axis=1, keepdims=True)) / sd.sqrt(
        sd.var(Z, axis=1, keepdims=True) + 1e-5)))),
    "largest of long rows": (Z, sd.sum(sd.max(Z, axis=1))),
    "parts put together": (Z, sd.sum(sd.concat([Z[:, :4] ** 2, sd.sin(Z[:, 4:])], axis=1) * Z)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_arrays_in_every_direction(name: str) -> None:
    symbol, loss = FORMULAS[name]
    outputs = [loss, sd.grad(loss, symbol)]
    kernel, plain = sd.compile(outputs, [symbol], cache=False), sd.compile(outputs, [symbol], target="numpy")
    first = symbol.shape[0]
    for rows, columns in ((5, 6), (40, 301), (301, 40), (200, 1030)):
        x = RNG.normal(size=(first if isinstance(first, int) else rows, columns))
        for found, right in zip(kernel(x), plain(x), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11)


def test_the_same_bits_for_any_number_of_threads() -> None:
    symbol, loss = FORMULAS["differences along columns"]
    x = RNG.normal(size=(60, 9000))
    results = [sd.compile([loss, sd.grad(loss, symbol)], [symbol], threads=threads)(x) for threads in (1, 2, 3)]
    for found in results[1:]:
        for got, right in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(got, right)
