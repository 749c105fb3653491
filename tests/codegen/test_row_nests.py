"""Rows of data: nests that take a short row at once, rows of several pages side by side, and folds of their lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends.llvm_cpu import LlvmCpu
from codegen.backends.protocol import BuildOptions, Code
from codegen.emitters.llvm.lanes import held_rows
from codegen.loop_ir.checks import check
from codegen.loop_ir.folds import identity
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Carried,
    Fold,
    Load,
    Loop,
    Program,
    Register,
    Section,
    Statement,
    Store,
    Update,
)
from codegen.loop_ir.walks import buffers_of, parameters
from tests.codegen.programs import at, call

RNG = np.random.default_rng(11)
FOLDS: tuple[Fold, ...] = ("add", "mul", "max", "min")


def regression(columns: Any, dtype: str = "float64", loss: Callable[[Any], Any] = sd.square, target: str = "cpu") -> Any:
    X, y, w = sd.symbol("X", ("n", columns), dtype=dtype), sd.symbol("y", "n", dtype=dtype), sd.symbol("w", columns, dtype=dtype)
    return sd.compile([*sd.value_and_grad(sd.mean(loss(X @ w - y)), [w])], inputs=[X, y, w], target=target, cache=False)


def data(samples: int, columns: int, dtype: str = "float64") -> list[Any]:
    return [RNG.normal(size=s).astype(dtype) for s in ((samples, columns), samples, columns)]


def expected(X: Any, y: Any, w: Any) -> tuple[Any, Any]:
    X, y, w = (np.float64(a) for a in (X, y, w))
    r = X @ w - y
    return np.mean(r * r), 2 / len(y) * X.T @ r


def loops_over_samples(f: Any) -> int:
    """How often the loop IR goes over the samples of a tile."""
    return sum(line.strip().startswith("sample ") for line in str(f.loop_ir).splitlines())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("columns", [2, 3, 4, 7, 8, 10, 13, 16, 31, 32, 33, 63, 64, 65, 128, 129])
def test_short_rows_are_taken_once(columns: int, dtype: str) -> None:
    f = regression(columns, dtype)
    for samples in (1, 3, 16, 37, 1000):
        given = data(samples, columns, dtype)
        value, (gradient,) = f(*given)
        right = expected(*given)
        rtol = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(value, right[0], rtol=rtol)
        np.testing.assert_allclose(gradient, right[1], rtol=rtol, atol=10 * rtol)
    if columns * np.dtype(dtype).itemsize <= 512:
        assert loops_over_samples(f) == 1
    else:
        assert loops_over_samples(f) > 1


def huber(r: Any) -> Any:
    return sd.where(sd.abs(r) < 1, 0.5 * r**2, sd.abs(r) - 0.5)


# Losses, numbers of columns, and whether one loop over the samples does it all.
@pytest.mark.parametrize(("loss", "columns", "once"), [
    (sd.abs, 6, True), (sd.abs, 30, True), (huber, 2, True), (huber, 6, True), (huber, 30, False), (sd.softplus, 3, True),
    (sd.softplus, 30, False), (lambda r: sd.relu(1 - r), 5, True),
    (lambda r: sd.logsumexp(sd.stack([r, -2 * r]), axis=0), 3, True)])
def test_losses(loss: Callable[[Any], Any], columns: int, once: bool) -> None:
    f, plain = regression(columns, loss=loss), regression(columns, loss=loss, target="numpy")
    given = data(501, columns)
    (value, (gradient,)), (right, (slope,)) = f(*given), plain(*given)
    np.testing.assert_allclose(value, right, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11)
    assert (loops_over_samples(f) == 1) == once


def test_the_same_bits_for_any_number_of_threads() -> None:
    given = data(100_001, 12)
    X, y, w = sd.symbol("X", ("n", 12)), sd.symbol("y", "n"), sd.symbol("w", 12)
    outputs = [*sd.value_and_grad(sd.mean((X @ w - y) ** 2), [w])]
    results = [sd.compile(outputs, inputs=[X, y, w], threads=threads)(*given) for threads in (1, 2, 3)]
    for value, (gradient,) in results[1:]:
        assert value == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1][0])


@pytest.mark.parametrize("columns", [511, 512, 513, 1000])
def test_rows_of_pages_are_read_side_by_side(columns: int) -> None:
    given = data(203, columns)
    for declared in (columns, "d"):
        f = regression(declared)
        value, (gradient,) = f(*given)
        right = expected(*given)
        np.testing.assert_allclose(value, right[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, right[1], rtol=1e-11, atol=1e-12)
        text = str(f.loop_ir)
        if declared == "d":
            assert "if less_equal(4096, size:int64(8 * d))" in text
        else:
            assert ("q0 + 3, " in text) == (columns >= 512)


def test_both_ways_of_one_program() -> None:
    f = regression("d")
    for columns in (1000, 200, 512, 150):
        given = data(209, columns)
        value, (gradient,) = f(*given)
        np.testing.assert_allclose(value, expected(*given)[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected(*given)[1], rtol=1e-11, atol=1e-12)


def as_it_stands(program: Program, arguments: list[Any]) -> list[Any]:
    """The outputs of a program that no pass has touched."""
    target, options = LlvmCpu(), BuildOptions()
    kernel = target.build(check(program), Code(lambda: target.emit(program, options)), options)
    made = [np.full(b.shape, np.nan, b.dtype) for b in program.buffers if b.role == "out"]
    given, filled = iter(arguments), iter(made)
    kernel([next(filled) if b.role == "out" else next(given) for b in parameters(program)], [])
    return made


def folds(count: int, dtype: str, length: int, op: Fold) -> Program:
    """o[k] = the elements of a[k] folded, all rows in one vector loop."""
    carried = tuple(Carried(f"r{k}", dtype, identity(op, dtype)) for k in range(count))
    body = tuple(Update(op, f"r{k}", Load("a", (Affine(k), *at("j")))) for k in range(count))
    stores = tuple(Store("o", (Affine(k),), Register(f"r{k}")) for k in range(count))
    buffers = (Buffer("a", dtype, (count, length), "arg"), Buffer("o", dtype, (count,), "out"))
    loop = Loop("j", 0, length, body, kind="lane", carried=carried)
    return Program("kernel", (), buffers, (Section("init", 0, (loop, *stores)),))


@pytest.mark.parametrize("op", FOLDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count", range(1, 10))
def test_lanes_of_several_folds(count: int, dtype: str, op: Fold) -> None:
    for length in (8, 16, 40):
        a = RNG.uniform(0.5, 1.5, (count, length)).astype(dtype)
        a[count // 2, length // 3] = np.nan if op in ("max", "min") and count > 2 else 1
        found, = as_it_stands(folds(count, dtype, length, op), [a])
        right, = interpret(folds(count, dtype, length, op), [a], {})
        np.testing.assert_allclose(found, right, rtol=1e-14 if dtype == "float64" else 1e-6)


def gathers(body: tuple[Statement, ...]) -> Program:
    """g folded into by a loop around vector loops."""
    start = Loop("z", 0, 12, (Store("g", at("z"), Load("s", at("z"))),))
    around = Loop("i", 0, 5, body)
    buffers = (Buffer("a", "float64", (5, 12), "arg"), Buffer("s", "float64", (12,), "arg"), Buffer("o", "float64", (5,), "out"),
               Buffer("g", "float64", (12,), "out"))
    return Program("kernel", (), buffers, (Section("init", 0, (start, around)),))


def row(op: Fold, length: int, value: Any = None, first: int = 0) -> Loop:
    """g[j] op= a[i, j]."""
    loaded = Load("a", at("i", "j")) if value is None else value
    return Loop("j", first, length, (Accumulate(op, "g", at("j"), loaded),), kind="lane")


NOTHING = Store("o", at("i"), Load("s", (Affine(3),)))
HELD: dict[str, tuple[tuple[Statement, ...], bool]] = {
    **{f"{length} elements, {op}": ((row(op, length), NOTHING), True)
       for length in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12) for op in FOLDS},
    "a product": ((row("add", 12, call("mul", Load("a", at("i", "j")), Load("s", at("j")))), NOTHING), True),
    "not from the start": ((row("add", 8, first=4), NOTHING), True),
    "it is read": ((row("add", 12), Store("o", at("i"), Load("g", (Affine(3),)))), False),
    "it is written": ((row("add", 12), Store("g", (Affine(3),), Load("s", at("i"))), NOTHING), False),
    "two loops": ((row("add", 12), Loop("k", 0, 12, (Accumulate("add", "g", at("k"), Load("a", at("i", "k"))),), kind="lane"),
                   NOTHING), False),
    "another place each turn": ((Loop("j", 0, 4, (Accumulate("add", "g", (Affine(0, (("i", 1), ("j", 1))),), Load(
        "a", at("i", "j"))),), kind="lane"), NOTHING), False),
}


@pytest.mark.parametrize("name", HELD)
def test_rows_in_registers(name: str) -> None:
    body, held = HELD[name]
    program, given = gathers(body), [RNG.normal(size=(5, 12)), RNG.normal(size=12)]
    for found, right in zip(as_it_stands(program, given), interpret(program, given, {}), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-13)
    around = program.sections[0].body[1]
    assert isinstance(around, Loop)
    assert bool(held_rows(around, buffers_of(program), 32)) == held


def test_nests_are_not_made_where_a_sum_is_read_meanwhile() -> None:
    X, w = sd.symbol("X", ("n", 4)), sd.symbol("w", 4)
    r = X @ w
    f = sd.compile([X.T @ (r / sd.sum(r**2)), sd.sum(r**2)], inputs=[X, w], cache=False)
    given = data(77, 4)[::2]
    product = given[0] @ given[1]
    found = f(*given)
    np.testing.assert_allclose(found[0], given[0].T @ product / np.sum(product**2), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.sum(product**2), rtol=1e-12)
