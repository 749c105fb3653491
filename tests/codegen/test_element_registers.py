"""Registers for elements: what is read from them, what must be read from memory, and that the meaning stays."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Buffer,
    Call,
    Carried,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Register,
    Section,
    Statement,
    Store,
)
from codegen.loop_ir.text import program_text
from codegen.scheduling.dead_code import drop_dead_code
from codegen.scheduling.element_registers import carry, hand_on
from tests.codegen.programs import call, over

I, J = Affine(0, (("i", 1),)), Affine(0, (("j", 1),))
TOLD = Affine(0, (("p", 1),))
ONE, NEXT = Affine(1), Affine(1, (("i", 1),))
X = Load("x", (I,))


def program(*body: Statement) -> Program:
    buffers = [Buffer("x", "float64", (5,), "arg"), Buffer("t", "float64", (6,), "full"), Buffer("y", "float64", (5,), "out"),
               Buffer("s", "float64", (), "out")]
    zero = Literal(0.0, "float64")
    start = (Loop("a", 0, 5, (Store("y", (Affine(0, (("a", 1),)),), zero),)), Store("s", (), zero),
             Loop("b", 0, 6, (Store("t", (Affine(0, (("b", 1),)),), zero),)))
    return Program("kernel", (), tuple(buffers), (Section("init", 0, start), Section("init", 1, body)))


def same_meaning(before: Program, after: Program) -> None:
    given = np.array([1.0, -2.0, 0.5, 3.0, 7.0])
    for ours, theirs in zip(interpret(check(after), [given], {}), interpret(check(before), [given], {}), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Bodies, and how many elements of t and s are still loaded in them.
HANDED: dict[str, tuple[tuple[Statement, ...], int]] = {
    "the same element": ((over("i", Store("t", (I,), call("exp", X)), Store("y", (I,), Load("t", (I,)))),), 0),
    "another element": ((over("i", Store("t", (I,), call("exp", X)), Store("y", (I,), Load("t", (NEXT,)))),), 1),
    "in a loop inside": ((over("i", Store("t", (I,), X), over("j", Accumulate("add", "y", (J,), Load("t", (I,))))),), 0),
    "in a loop inside that writes it": ((over("i", Store("t", (I,), X), over(
        "j", Store("t", (I,), call("add", Load("t", (I,)), X))), Store("y", (I,), Load("t", (I,)))),), 2),
    "in a loop inside that may write it": ((over("i", Store("t", (I,), X), over(
        "j", Store("y", (J,), Load("t", (I,))), Store("t", (J,), X))),), 1),
    "two elements side by side": ((over("i", Store("t", (I,), X), Store("t", (NEXT,), call("neg", X)), Store(
        "y", (I,), Load("t", (I,)))),), 0),
    "what was added": ((over("i", Store("t", (I,), X), Accumulate("mul", "t", (I,), X), Store("y", (I,), Load("t", (I,)))),), 0),
    "where it may be": ((over("i", Store("t", (I,), X), If(Call("less", (X, Literal(1.0, "float64")), "bool"), (
        Store("t", (I,), call("neg", Load("t", (I,)))),)), Store("y", (I,), Load("t", (I,)))),), 1),
    "a position that changes": ((over("i", Store("t", (TOLD,), X), Assign("p", Literal(2, "int64")), Store(
        "y", (I,), Load("t", (TOLD,))), carried=(Carried("p", "int64", Literal(1, "int64")),)),), 1),
    "a register that changes later": ((over("i", Store("t", (I,), Register("r")), Assign("r", X), Store("y", (I,), Load("t", (I,))),
                                            carried=(Carried("r", "float64", Literal(5.0, "float64")),)),), 0),
}


@pytest.mark.parametrize("name", HANDED)
def test_what_is_handed_on(name: str) -> None:
    body, loads = HANDED[name]
    before = program(*body)
    after = hand_on(before)
    text = program_text(after)
    right = [line.split("=", 1)[-1] for line in text[text.index("init 1"):].splitlines()]
    assert sum(line.count("t[") for line in right) == loads, text
    same_meaning(before, after)


# Bodies, and how many registers the outermost loop carries.
CARRIED: dict[str, tuple[tuple[Statement, ...], int]] = {
    "a recurrence": ((over("i", Store("s", (), call("add", call("mul", Literal(0.5, "float64"), Load("s", ())), X)),
                           Store("y", (I,), Load("s", ()))),), 1),
    "two elements": ((over("i", Store("t", (Affine(0),), call("add", Load("t", (ONE,)), X)), Store(
        "t", (ONE,), call("neg", Load("t", (Affine(0),)))), Store("y", (I,), Load("t", (ONE,)))),), 2),
    "an element that moves": ((over("i", Store("t", (NEXT,), call("add", Load("t", (I,)), X)), Store("y", (I,),
                                      Load("t", (NEXT,)))),), 0),
    "an element beside one that moves": ((over("i", Store("t", (ONE,), call("add", Load("t", (I,)), X)), Store(
        "y", (I,), Load("t", (ONE,)))),), 0),
    "what a loop inside writes": ((over("i", Store("s", (), X), over("j", Store("s", (), call("add", Load("s", ()), X))), Store(
        "y", (I,), Load("s", ()))),), 0),
    "what a loop inside reads": ((over("i", Store("s", (), call("sub", X, Load("s", ()))), over(
        "j", Accumulate("add", "y", (J,), Load("s", ())))),), 1),
    "a position that changes": ((over("o", over("i", Store("t", (TOLD,), call("add", Load("t", (TOLD,)), X)), Assign(
        "p", Literal(2, "int64"))), carried=(Carried("p", "int64", Literal(1, "int64")),)),), 0),
    "a fold": ((over("i", Store("s", (), call("sub", X, Load("s", ()))), Accumulate("add", "s", (), X)),), 1),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_carried(name: str) -> None:
    body, registers = CARRIED[name]
    before = program(*body)
    after = carry(before)
    text = program_text(after)
    head = next(line for line in text[text.index("init 1"):].splitlines() if "for i" in line)
    assert head.count(": float64 = ") == registers, text
    same_meaning(before, after)


def test_a_store_at_a_position_that_changes_stays() -> None:
    """y[p] = x; p = 2; y[p] = -x are two places."""
    before = program(over("i", Store("y", (TOLD,), X), Assign("p", Literal(2, "int64")), Store("y", (TOLD,), call("neg", X)),
                          carried=(Carried("p", "int64", Literal(1, "int64")),)))
    after = drop_dead_code(before)
    assert program_text(after).count("y[p]") == 2
    same_meaning(before, after)


def test_a_small_training_run_keeps_its_weights_in_registers() -> None:
    X, w, b = sd.symbol("X", (4, 2)), sd.symbol("w", (2,)), sd.symbol("b")

    def step(_: sd.Expression, state: tuple[sd.Expression, sd.Expression]) -> tuple[sd.Expression, sd.Expression]:
        loss = sd.sum(sd.softplus(X @ state[0] + state[1]) ** 2)
        return tuple(v - 0.05 * g for v, g in zip(state, sd.grad(loss, [state[0], state[1]]), strict=True))  # type: ignore[return-value]
    trained = sd.fori(0, 50, step, (w, b))
    kernel = sd.compile(trained, [X, w, b])
    values = [np.random.default_rng(1).normal(size=shape) for shape in ((4, 2), (2,), ())]
    ours = kernel(*values)
    for mine, reference in zip(ours, sd.evaluate(trained, dict(zip((X, w, b), values, strict=True))), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-12)
    loop = next(line for line in kernel.loop_ir.splitlines() if "in 0 : 50 serial" in line)
    assert loop.count(": float64 = ") == 3, kernel.loop_ir


def plus(value: object, buffer: str = "y", index: Affine = I) -> Accumulate:
    return Accumulate("add", buffer, (index,), value)  # type: ignore[arg-type]


TWICE = call("mul", Literal(2.0, "float64"), X)
# Bodies, and how many of their statements still add to y.
ADDED: dict[str, tuple[tuple[Statement, ...], int]] = {
    "twice": ((plus(X), plus(TWICE)), 1),
    "three times": ((plus(X), plus(TWICE), plus(X)), 1),
    "with something named between": ((plus(X), Let("v", "float64", TWICE), plus(Register("v"))), 1),
    "with another array between": ((plus(X), Store("t", (I,), TWICE), plus(TWICE)), 1),
    "at another element": ((plus(X), plus(X, index=J), plus(TWICE)), 3),
    "read between": ((plus(X), Store("t", (I,), Load("y", (I,))), plus(TWICE)), 2),
    "what is added changes between": ((plus(Load("t", (I,))), Store("t", (I,), TWICE), plus(TWICE)), 2),
    "the second reads what the first has added": ((plus(X), plus(call("mul", Literal(2.0, "float64"), Load("y", (I,))))), 2),
    "stored between": ((plus(X), Store("y", (I,), TWICE), plus(TWICE)), 2),
}


@pytest.mark.parametrize("name", ADDED)
def test_what_is_added_to_one_element_is_added_at_once(name: str) -> None:
    body, count = ADDED[name]
    before = program(over("j", over("i", *body), size=2))
    after = hand_on(before)
    same_meaning(before, after)
    inner = after.sections[1].body[0].body[0].body  # type: ignore[union-attr]
    assert sum(isinstance(s, Accumulate) for s in inner) + (name == "stored between") == count
