"""Peeling: loops run without asking for what their ends tell, and compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Call,
    If,
    Inside,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Register,
    Section,
    Statement,
    Store,
    Value,
)
from codegen.loop_ir.text import program_text
from codegen.loop_ir.walks import statements, subvalues, values_of
from codegen.scheduling.peeled_loops import peel
from symdiff.sizes import Size, combine, dim

N = dim("n_peeled", minimum=0)


def at(more: int, factor: int = 1) -> Affine:
    return Affine(more, (("i", factor),))


def read(more: int, size: Size, factor: int = 1) -> Value:
    """x[factor · i + more] where that is inside, else 0."""
    index = at(more, factor)
    return Call("select", (Inside(index, size), Load("x", (index,)), Literal(0.0, "float64")), "float64")


def program(size: Size, *body: Statement, lo: Size = 0, hi: Size | None = None) -> Program:
    buffers = (Buffer("x", "float64", (size,), "arg"), Buffer("y", "float64", (size,), "out"))
    sizes = ("n_peeled",) if not isinstance(size, int) else ()
    clear = Loop("k", 0, size, (Store("y", (Affine(0, (("k", 1),)),), Literal(0.0, "float64")),))
    loop = Loop("i", lo, size if hi is None else hi, body)
    return Program("kernel", sizes, buffers, (Section("init", 0, (clear, loop)),))


def conditions(of: Program, least: int = 17) -> list[Value]:
    """The conditions that stand in loops of so many turns."""
    loops = [s for section in of.sections for s in statements(section.body) if isinstance(s, Loop)]
    turns = {loop.var: combine(((1, loop.hi), (-1, loop.lo))) for loop in loops}
    long = [loop for loop in loops if not isinstance(count := turns[loop.var], int) or count >= least]
    return [v for loop in long for s in statements(loop.body) for outer in values_of(s) for v in subvalues(outer)
            if isinstance(v, Inside)]


def result(of: Program, n: int) -> np.ndarray[Any, Any]:
    check(of)
    return interpret(of, [np.random.default_rng(n).normal(size=n)], {"n_peeled": n})[0]


def bodies(size: Size) -> dict[str, tuple[Statement, ...]]:
    both = Call("add", (read(-1, size), read(1, size)), "float64")
    return {
        "the one before": (Store("y", (at(0),), read(-1, size)),),
        "both beside": (Store("y", (at(0),), both),),
        "three further": (Store("y", (at(0),), read(-3, size)), Accumulate("add", "y", (at(0),), read(2, size))),
        "under a condition": (Store("y", (at(0),), Literal(1.0, "float64")), If(Inside(at(2), size), (
            Accumulate("mul", "y", (at(0),), Load("x", (at(2),))),))),
        "in registers": (Let("r", "float64", both), Store("y", (at(0),), Call("mul", (Register("r"),) * 2, "float64"))),
        "both conditions": (If(Call("logical_and", (Inside(at(1), size), Inside(at(-2), size)), "bool"), (
            Store("y", (at(0),), Call("add", (Load("x", (at(1),)), Load("x", (at(-2),))), "float64")),)),),
    }


@pytest.mark.parametrize("name", bodies(80))
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 24, 33, 80, 97])
@pytest.mark.parametrize("named", [False, True])
def test_loops_are_peeled_and_compute_the_same(name: str, n: int, named: bool) -> None:
    size: Size = N if named else n
    before = program(size, *bodies(size)[name])
    after = peel(before)
    np.testing.assert_array_equal(result(after, n), result(before, n))
    if named or n >= 80:
        assert conditions(before) and not conditions(after), program_text(after)


def test_what_is_asked_all_along_stays() -> None:
    for body in (read(20, 80), read(0, 80, 2)):
        before = program(80, Store("y", (at(0),), body))
        assert peel(before) == before


def test_what_goes_from_turn_to_turn_stays_in_order() -> None:
    before = program(80, Store("y", (at(0),), read(-1, 80)), If(Inside(at(-1), 80), (Accumulate("add", "y", (at(-1),), Load(
        "y", (at(0),))),)))
    after = peel(before)
    assert not conditions(after)
    np.testing.assert_array_equal(result(after, 80), result(before, 80))


def test_conditions_that_never_hold_leave_nothing() -> None:
    before = program(40, If(Inside(at(40), 40), (Store("y", (at(0),), Literal(1.0, "float64")),)))
    (clear,) = peel(before).sections[0].body
    assert isinstance(clear, Loop) and clear.var == "k"


@pytest.mark.parametrize("steps", [1, 7])
def test_time_steps_of_an_equation_ask_nothing(steps: int) -> None:
    n = sd.dim("n_heat", minimum=3)
    u, ts = sd.symbol("u", n), sd.symbol("ts", "n_steps")
    zero = np.zeros(1)

    def step(u: Any, _: Any) -> Any:
        p = sd.concatenate([zero, u, zero])
        return u + 0.2 * (p[2:] - 2 * u + p[:-2]), None
    loss = sd.sum(sd.scan(step, u, ts)[0] ** 4)
    kernel = sd.compile([loss, sd.grad(loss, u)], [u, ts])
    for size in (3, 4, 17, 40, 200):
        given = np.random.default_rng(size).normal(size=size), np.zeros(steps)
        found = kernel(*given)
        expected = sd.evaluate([loss, sd.grad(loss, u)], {"u": given[0], "ts": given[1]})
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-14)
    lines = kernel.loop_ir.splitlines()
    heads = [k for k, line in enumerate(lines) if " lane" in line and "for i" in line]
    assert "in 16 : " in kernel.loop_ir and not any("inside" in lines[k + 1] for k in heads), kernel.loop_ir


def test_what_is_computed_once_and_read_once_is_stored_by_no_plan() -> None:
    """The Hessian of a smoothing spline times a vector: a root beside differences of neighbours, in one loop."""
    x, y, v = (sd.symbol(name, 200_000) for name in "xyv")
    bends = x[2:] - 2 * x[1:-1] + x[:-2]
    loss = sd.sum(sd.sqrt(1 + (x - y) ** 2)) + 3 * sd.sum(bends**2)
    kernel = sd.compile(sd.hvp(loss, x, v), [x, y, v])
    values = np.random.default_rng(0).normal(size=(3, 200_000))
    found = kernel(*values)
    assert kernel.stats()["scratch_bytes"] == 0, kernel.explain()
    d = np.diff(values[2], 2)
    stencil = np.pad(d, (0, 2)) - 2 * np.pad(d, (1, 1)) + np.pad(d, (2, 0))
    np.testing.assert_allclose(found, values[2] / (1 + (values[0] - values[1]) ** 2) ** 1.5 + 6 * stencil, rtol=1e-9, atol=1e-9)
