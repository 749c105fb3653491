"""Short loops: what is written out, what stays a loop, and that the meaning stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Affine,
    Assign,
    Buffer,
    Call,
    Carried,
    If,
    IndexValue,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Register,
    Section,
    Statement,
    Store,
    Update,
)
from codegen.loop_ir.text import program_text
from codegen.scheduling.fused_loops import fuse
from codegen.scheduling.short_loops import write_out
from tests.codegen.programs import call

I, J, K = (Affine(0, ((name, 1),)) for name in "ijk")
ZERO = Carried("r", "float64", Literal(0.0, "float64"))


def over(var: str, size: int, *body: Statement, carried: tuple[Carried, ...] = ()) -> Loop:
    return Loop(var, 0, size, body, carried=carried)


def program(*body: Statement) -> Program:
    buffers = [Buffer("x", "float64", (4, 3), "arg"), Buffer("y", "float64", (4, 3), "out"), Buffer("z", "float64", (4,), "out"),
               Buffer("long", "float64", (40,), "out")]
    start = [Loop("a", 0, 4, (Loop("b", 0, 3, (Store("y", (Affine(0, (("a", 1),)), Affine(0, (("b", 1),))), ZERO.initial),)),
                              Store("z", (Affine(0, (("a", 1),)),), ZERO.initial))),
             Loop("c", 0, 40, (Store("long", (Affine(0, (("c", 1),)),), ZERO.initial),))]
    return Program("kernel", (), tuple(buffers), (Section("init", 0, tuple(start)), Section("init", 1, body)))


X, X_OF_1 = Load("x", (I, J)), Load("x", (Affine(1), J))
# The body, and how many loops are left of it.
CASES: dict[str, tuple[tuple[Statement, ...], int]] = {
    "three turns": ((over("j", 3, Store("y", (Affine(0), J), Load("x", (Affine(1), J)))),), 0),
    "four turns stay": ((over("i", 4, Store("z", (I,), Load("x", (I, Affine(2))))),), 1),
    "the longer loop stays": ((over("i", 4, over("j", 3, Store("y", (I, J), X))),), 1),
    "the longer loop stays inside": ((over("j", 3, over("i", 4, Store("y", (I, J), X))),), 3),
    "a costly function stays in lanes": ((over("i", 3, over("j", 3, Store("y", (I, J), call("exp", X)))),), 3),
    "a sum": ((over("i", 4, over("j", 3, Update("add", "r", X), carried=(ZERO,)), Store("z", (I,), Register("r"))),), 1),
    "a sum that is read behind its nest": ((over("j", 3, Update("max", "r", Load("x", (Affine(1), J))), carried=(ZERO,)),
                                            Store("z", (Affine(1),), Register("r"))), 0),
    "a sum over both": ((over("j", 3, over("i", 4, Update("add", "r", X)), carried=(ZERO,)),
                                      Store("z", (Affine(1),), Register("r"))), 2),
    "a sum that goes on from turn to turn": ((over("j", 3, Assign("r", call("sub", X_OF_1, Register("r"))), carried=(ZERO,)),
                                              Store("z", (Affine(1),), Register("r"))), 0),
    "names in turns": ((over("j", 3, Let("u", "float64", call("square", X_OF_1)), Let("v", "float64", call("neg", Register("u"))),
                             Store("y", (Affine(0), J), call("add", Register("u"), Register("v")))),), 0),
    "positions as numbers": ((over("j", 3, Store("y", (Affine(2), J), IndexValue(J, "float64"))),), 0),
    "positions that are told": ((over("j", 3, Let("p", "int64", IndexValue(J, "int64")), Store(
        "y", (Affine(0, (("p", 1),)), Affine(0)), X_OF_1)),), 0),
    "guarded stores": ((over("j", 3, If(Call("less", (X_OF_1, ZERO.initial), "bool"), (Store("y", (Affine(0), J), X_OF_1),))),), 0),
    "guarded sums stay": ((over("j", 3, If(Call("less", (X_OF_1, ZERO.initial), "bool"), (Update("add", "r", X_OF_1),)),
                                carried=(ZERO,)), Store("z", (Affine(0),), Register("r"))), 1),
    "a long loop inside of a short one stays": ((over("j", 3, over("k", 40, Store("long", (K,), call("add",
                                      Load("long", (K,)), X_OF_1)))),), 2),
    "a loop over nothing": ((over("k", 40, over("j", 0, Store("long", (K,), X_OF_1))), over(
        "i", 40, over("j", 0, Store("long", (I,), X_OF_1)))), 2),
    "a short loop inside of a long one": ((over("k", 40, over("j", 3, Store("long", (K,), call("add",
                                      Load("long", (K,)), X_OF_1)))),), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_short_loops(name: str) -> None:
    body, loops = CASES[name]
    before = check(program(*body))
    after = check(write_out(before))
    assert check(fuse(after)).sections
    text = program_text(after)
    assert text[text.index("init 1"):].count("for ") == loops, text
    given = np.random.default_rng(3).normal(size=(4, 3))
    for ours, theirs in zip(interpret(after, [given], {}), interpret(before, [given], {}), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)


def test_a_short_product_is_one_loop_over_samples() -> None:
    """Small blocks: what stands in a loop over samples is written out, and read from registers."""
    n = sd.dim("n_short")
    A, B, x = sd.symbol("A", (n, 3, 3)), sd.symbol("B", (n, 3, 3)), sd.symbol("x", (n, 3))
    y = sd.einsum("nij,njk,nk->ni", A, B, x)
    loss = sd.sum(sd.sqrt(1 + sd.sum(y**2, axis=1)))
    kernel = sd.compile(sd.value_and_grad(loss, [A, x]), [A, B, x])
    rng = np.random.default_rng(0)
    given: list[Any] = [rng.normal(size=(1000, *shape)) for shape in ((3, 3), (3, 3), (3,))]
    value, gradients = kernel(*given)
    text = kernel.loop_ir
    assert text.count("sample ") - text.count("sample 0") == 1 and "for " not in text[text.index("range"):], text
    wanted = sd.evaluate([loss, *sd.grad(loss, [A, x])], {A: given[0], B: given[1], x: given[2]})
    for ours, theirs in zip([value, *gradients], wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
