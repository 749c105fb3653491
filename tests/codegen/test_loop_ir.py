"""The loop IR: its text, its legality check and its interpreter, on hand-built programs."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from codegen.errors import IllegalProgram, OutOfBounds
from codegen.loop_ir.arithmetic import affine_text, size_text
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Affine,
    Assign,
    Buffer,
    Call,
    Cut,
    Fill,
    If,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    Mirror,
    Program,
    Quotient,
    Register,
    SampleLoop,
    Section,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.text import NAMES, program_text
from codegen.loop_ir.walks import part_ends
from symdiff.sizes import dims
from tests.codegen import programs

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(13, 3)), RNG.normal(size=13), RNG.normal(size=3)
ALL = [programs.chain(), programs.chain("float32"), programs.mean(), programs.argmax(), programs.gradient(),
       programs.matmul(True, True, True, batch=True), programs.matmul(kind="skinny"), programs.shift(),
       programs.reshape(), programs.folds(), programs.mirrored()]

MEAN = """\
program mean(n)
  arg a0: float64[n]
  out o0: float64[]
init 0
  for i in 0 : n serial; s0: float64 = 0.0
    s0 add= a0[i]
  o0[] = div(s0, size:float64(n))"""


def test_text_is_deterministic():
    assert program_text(programs.mean()) == MEAN
    assert program_text(programs.gradient()) == program_text(programs.gradient())
    assert "matmul symmetric (d, d, rows) o2[rows, columns] = 1.0 * a0[columns, rows] @ a0[rows, columns]" in program_text(
        programs.gradient())


def test_texts_of_different_programs_differ():
    texts = [program_text(p) for p in ALL]
    assert len(set(texts)) == len(texts)


def test_sizes_and_indices_are_written_with_least_parentheses():
    n, d = dims("n d")
    cases = {n - 1: "n - 1", 2 * n + 3: "2 * n + 3", -n: "-n", 3 - n: "3 - n", (n + 1) // 2: "(n + 1) // 2",
             5 - (n + 1) // 2: "5 - (n + 1) // 2", -((n + 1) // 2): "-((n + 1) // 2)", 2 * (n // d): "2 * (n // d)"}
    for size, text in cases.items():
        assert size_text(size, NAMES)[0] == text
    assert affine_text(Affine(0, (("i", 1),)), NAMES)[0] == "i"
    assert affine_text(Affine(0), NAMES)[0] == "0"
    assert affine_text(Affine(n - 1, (("i", -1),)), NAMES)[0] == "n - i - 1"
    assert affine_text(Affine(-1, (("i", 2), ("j", d), ("k", n - 1))), NAMES)[0] == "2 * i + d * j + (n - 1) * k - 1"
    flat = Affine(1, (("i", 1),))
    assert affine_text(Affine(0, ((Quotient(flat, d + 1), 3),)), NAMES)[0] == "3 * ((i + 1) // (d + 1))"


@pytest.mark.parametrize("program", ALL, ids=lambda p: p.name)
def test_hand_built_programs_are_legal(program):
    assert check(program) is program


def one(*body, kind="init", buffers=None, sizes=("n", "d")):
    n, d = dims("n d")
    buffers = buffers or (
        Buffer("a0", "float64", (n, d), "arg", 0), Buffer("o0", "float64", (n,), "out"),
        Buffer("o1", "float64", (d, d), "out"), Buffer("t0", "float64", (n, d), "tile", 0),
        Buffer("b0", "int64", (n,), "full"))
    return Program("bad", sizes, buffers, (Section(kind, 0, body, n if kind == "range" else None),))


I, J = Affine(0, (("i", 1),)), Affine(0, (("j", 1),))
ZERO = Literal(0.0, "float64")
n, d = dims("n d")
A, C = programs.panel("a0", False), programs.panel("o1", False)
BAD = {
    "no buffer": one(Store("zz", (), ZERO)),
    "axes": one(Loop("i", 0, n, (Store("o0", (I, I), ZERO),))),
    "not known": one(Store("o0", (I,), ZERO)),
    "is written": one(Loop("i", 0, n, (Store("a0", (I, I), ZERO),))),
    "not defined": one(Loop("i", 0, n, (Store("o0", (I,), Register("v0")),))),
    "twice": one(Let("v0", "float64", ZERO), Let("v0", "float64", ZERO)),
    "twice ": one(Loop("i", 0, n, (Let("v0", "float64", ZERO),)), Loop("i", 0, n, (Let("v0", "float64", ZERO),))),
    "not carried": one(Let("v0", "float64", ZERO), Update("add", "v0", ZERO)),
    "not carried ": one(Assign("v1", ZERO)),
    "stands where": one(Loop("i", 0, n, (Store("b0", (I,), ZERO),))),
    "SampleLoop stands": one(SampleLoop("i", (Store("o0", (I,), ZERO),))),
    "TileLoop stands": one(TileLoop("p0", 4, ())),
    "outside of a TileLoop": one(Fill("t0", ZERO)),
    "sample alone": one(TileLoop("p0", 4, (SampleLoop("i", (
        Store("t0", (Affine(1, (("i", 1),)), Affine(0)), ZERO),)),)), kind="range"),
    "no scalar function": one(Let("v0", "float64", Call("frobnicate", (ZERO,), "float64"))),
    "takes 2 arguments": one(Let("v0", "float64", Call("add", (ZERO,), "float64"))),
    "does not give": one(Let("v0", "float64", Call("add", (ZERO, Literal(1, "int64")), "float64"))),
    "float32 stands where float64": one(Let("v0", "float64", Call("cast", (ZERO,), "float32"))),
    "a value of dtype float64": one(If(ZERO, ())),
    "rows of a tile": one(MatMul(A, A, C, d, d, None)),
    "symmetric product is square": one(MatMul(A, A, C, n, d, d, kind="symmetric")),
    "square": one(Mirror("o0")),
    "no free name": one(Loop("i", 0, n, (Loop("i", 0, n, ()),))),
    "no free name ": one(Loop("lambda", 0, n, ())),
    "name is taken": one(Let("exp", "float64", ZERO)),
    "has an extent": Program("bad", (), (), (Section("range", 0, ()),)),
    "not among the program": one(Loop("i", 0, dims("m")[0], ())),
    "among the program": one(sizes=("n",)),
    "share a name": one(buffers=(Buffer("a0", "float64", (), "arg"), Buffer("a0", "float64", (), "arg"))),
    "not a name": one(buffers=(Buffer("X; import os", "float64", (), "arg"),)),
    "not in the language": one(buffers=(Buffer("a0", "float16", (), "arg"),)),
    "of rank": one(buffers=(Buffer("a0", "float64", (), "arg", 0),)),
}


@pytest.mark.parametrize("message", BAD)
def test_illegal_programs_are_named(message):
    words = {"not known": "are not known here", "not among the program": "are not among the program"}
    with pytest.raises(IllegalProgram, match=words.get(message, message.strip())):
        check(BAD[message])


def test_interpreter_runs_the_programs():
    chain, = interpret(programs.chain(), [X], {"n": 13, "d": 3})
    np.testing.assert_allclose(chain, np.exp(-X) * (X + 2) - 1 / X, rtol=1e-13)
    np.testing.assert_allclose(interpret(programs.mean(), [Y], {"n": 13})[0], Y.mean())
    index, greatest = interpret(programs.argmax(), [X], {"n": 13, "d": 3})
    assert (index == X.argmax(1)).all() and (greatest == X.max(1)).all() and index.dtype == np.int64
    np.testing.assert_array_equal(interpret(programs.shift(), [Y], {"n": 14})[0], np.r_[0, Y])
    np.testing.assert_array_equal(interpret(programs.reshape(), [X], {"n": 13, "d": 3})[0], X.reshape(3, 13))


@pytest.mark.parametrize("cuts", [None, (5,), (0, 4, 4, 13)])
def test_interpreter_runs_passes_in_ranges(cuts):
    value, gradient, hessian = interpret(programs.gradient(), [X, Y, W], {"n": 13, "d": 3}, cuts)
    r = X @ W - Y
    np.testing.assert_allclose(value, 0.5 * (r @ r) / 13)
    np.testing.assert_allclose(gradient, X.T @ r / 13)
    np.testing.assert_allclose(hessian, X.T @ X / 13)


def test_interpreter_checks_bounds():
    outside = one(Loop("i", 0, n + 1, (Store("o0", (I,), ZERO),)))
    with pytest.raises(OutOfBounds, match="o0"):
        interpret(outside, [X], {"n": 13, "d": 3})
    negative = one(Loop("i", 0, n, (Store("o0", (I,), Load("a0", (Affine(-1, (("i", 1),)), Affine(0)))),)))
    with pytest.raises(OutOfBounds, match="a0"):
        interpret(negative, [X], {"n": 13, "d": 3})


def test_unwritten_storage_shows():
    program = one(Loop("i", 0, 1, (Store("o0", (I,), ZERO),)))
    assert np.isnan(interpret(program, [X], {"n": 13, "d": 3})[0][1:]).all()
    assert replace(program, name="other") != program


@pytest.mark.parametrize("cut", [Cut(8, 4), Cut(64, 32), Cut(100, 7), Cut(512, 32)])
def test_parts_cover_a_range_in_order(cut: Cut) -> None:
    for samples in (0, 1, 7, 8, 63, 64, 65, 300, 511, 512, 1023, 5003, 100_000):
        ends = part_ends(cut, samples)
        assert [i for lo, hi in ends for i in range(lo, hi)] == list(range(samples))
        assert len(ends) <= cut.most and all(lo % 16 == 0 for lo, _ in ends)
        assert all(hi - lo >= cut.rows for lo, hi in ends[:-1])
