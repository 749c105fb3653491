"""Sums down columns: which go by rows, that terms stay in their order, and that products are summed where they stand."""

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
from codegen.planning.shared_products import share_products
from codegen.scheduling.turned_sums import turn_sums
from symdiff.differentiation.loops import terms_of
from symdiff.expression import Product
from symdiff.loops import is_scan
from symdiff.normal_form import product
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


def layer(dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    """The gradient of a layer: outputs and inputs."""
    X, W, b = sd.symbol("X", (200, 30), dtype=dtype), sd.symbol("W", (30, 40), dtype=dtype), sd.symbol("b", 40, dtype=dtype)
    V, c = sd.symbol("V", (40, 20), dtype=dtype), sd.symbol("c", 20, dtype=dtype)
    loss = sd.mean((sd.relu(X @ W + b) @ V + c) ** 2)
    return [loss, *sd.grad(loss, [W, b, V, c])], [X, W, b, V, c]


def test_a_bias_sums_what_the_weights_multiply() -> None:
    outputs, inputs = layer()
    kernel = sd.compile(outputs, inputs, cache=False)
    given = [RNG.normal(size=s.shape) for s in inputs]
    for found, right in zip(kernel(*given), sd.compile(outputs, inputs, target="numpy")(*given), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


def test_products_are_shared_where_they_are_one() -> None:
    r, m, x = sd.symbol("r", (5, 4)), sd.symbol("m", (5, 4)), sd.symbol("x", (5, 3))
    i, j, n = 0, 1, 2
    product = Product(1, ((r, (0, 1)), (m, (0, 1))), (0, 1), (5, 4), r.type)

    def core(factors: Any, out: tuple[int, ...], extents: tuple[int, ...]) -> Product:
        return Product(1, factors, out, extents, sd.symbol("like", tuple(extents[k] for k in out)).type)
    weights = core(((x, (n, i)), (product, (n, j))), (i, j), (3, 4, 5))
    bias = core(((r, (1, 0)), (m, (1, 0))), (0,), (4, 5))
    shared = share_products([weights, bias])
    assert shared[0] is weights
    assert isinstance(shared[1], Product) and shared[1].children == (product,)
    assert share_products([bias]) == [bias]
    # One factor of the product is not the product.
    other = core(((r, (1, 0)), (x, (1, 2))), (0, 2), (4, 5, 3))
    assert share_products([weights, other])[1] is other


def test_a_product_of_parts_is_not_shared_as_that_of_the_whole() -> None:
    """A part at the start of an axis is read at plain positions too."""
    r, m, x = sd.symbol("r", (5, 4)), sd.symbol("m", (5, 4)), sd.symbol("x", (2, 3))
    part = Product(1, ((r, (0, 1)), (m, (0, 1))), (0, 1), (2, 4), sd.symbol("like", (2, 4)).type)
    weights = Product(1, ((x, (2, 0)), (part, (2, 1))), (0, 1), (3, 4, 2), sd.symbol("like", (3, 4)).type)
    whole = Product(1, ((r, (1, 0)), (m, (1, 0))), (0,), (4, 5), sd.symbol("like", 4).type)
    assert share_products([weights, whole]) == [weights, whole]


def test_the_start_of_a_sum_is_not_told_as_the_sum() -> None:
    d = sd.symbol("d", (6, 5))
    like = sd.symbol("like", 5).type
    whole = product(1, [(d, (1, 0))], [0], {0: 5, 1: 6}, like)
    inner = Product(1, ((d, (1, 0)),), (0,), (3, 6), sd.symbol("like", 3).type)
    start = Product(1, ((inner, (0,)),), (0,), (3,), like)
    assert terms_of([(1, start)]) != terms_of([(1, whole)])
    short = sd.symbol("short", (6, 3))
    inner = Product(1, ((short, (1, 0)),), (0,), (3, 6), sd.symbol("like", 3).type)
    start = Product(1, ((inner, (0,)),), (0,), (3,), like)
    assert terms_of([(1, start)]) == terms_of([(1, product(1, [(short, (1, 0))], [0], {0: 5, 1: 6}, like))])


def test_the_bias_of_a_recurrent_net_is_summed_behind_the_loop() -> None:
    X, W, U, b = sd.symbol("X", (7, 6, 5)), sd.symbol("W", (5, 8)), sd.symbol("U", (4, 8)), sd.symbol("b", 8)

    def step(h: Any, x: Any) -> Any:
        z = x @ W + h @ U + b
        h = sd.tanh(z[:, :4]) * sd.sigmoid(z[:, 4:])
        return h, h
    loss = sd.sum(sd.scan(step, sd.zeros((6, 4)), X)[1] ** 2)
    inputs = [X, W, U, b]
    outputs = [loss, *sd.grad(loss, [W, U, b])]
    kernel = sd.compile(outputs, inputs, cache=False)
    given = [RNG.normal(size=s.shape) for s in inputs]
    found = kernel(*given)
    # Each is one contraction of what the loops have kept for every turn.
    for gradient in outputs[1:]:
        assert isinstance(gradient, Product) and gradient.is_core and all(is_scan(f) or f is X for f in gradient.children)
    plain = sd.compile(loss, inputs, target="numpy")
    for k, gradient in zip((1, 2, 3), found[1:], strict=True):
        change = RNG.normal(size=given[k].shape)
        up, down_ = ([*given[:k], given[k] + sign * 1e-5 * change, *given[k + 1:]] for sign in (1, -1))
        np.testing.assert_allclose(np.sum(gradient * change), (plain(*up) - plain(*down_)) / 2e-5, rtol=1e-6, atol=1e-8)
