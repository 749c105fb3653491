"""Fusion: which nests become one, which may not, and that the meaning stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import symdiff as sd
from codegen.errors import IllegalProgram
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Call,
    Carried,
    Let,
    Literal,
    Load,
    Program,
    Register,
    Section,
    Statement,
    Store,
    Update,
    Value,
)
from codegen.loop_ir.text import program_text
from codegen.scheduling.fused_loops import fuse
from tests.codegen.programs import over

I, J, K = (Affine(0, ((name, 1),)) for name in "ijk")
ZERO = Carried("r", "float64", Literal(0.0, "float64"))
BEHIND = Affine(4, (("j", -1),))


def times(c: float, value: Value) -> Value:
    return Call("mul", (Literal(c, "float64"), value), "float64")


def program(*body: Statement) -> Program:
    buffers = [Buffer("x", "float64", (31,), "arg"), Buffer("t", "float64", (31,), "out"), Buffer("y", "float64", (5,), "out"),
               Buffer("s", "float64", (), "out"), Buffer("m", "float64", (5, 5), "full")]
    return Program("kernel", (), tuple(buffers), (Section("init", 0, body),))


MAKES = over("i", Store("t", (I,), times(3.0, Load("x", (I,)))))
CASES: dict[str, tuple[tuple[Statement, ...], int]] = {
    "the same positions": ((MAKES, over("j", Store("y", (J,), Load("t", (J,))))), 1),
    "three of them": ((MAKES, over("j", Store("y", (J,), Load("t", (J,)))), over("k", Accumulate(
        "add", "y", (Affine(0, (("k", 1),)),), Load("t", (Affine(0, (("k", 1),)),))))), 1),
    "backwards": ((MAKES, over("j", Store("y", (J,), Load("t", (BEHIND,))))), 2),
    "one position": ((MAKES, over("j", Store("y", (J,), Load("t", (Affine(4),))))), 2),
    "other lengths": ((MAKES, over("j", Store("y", (J,), Load("t", (J,))), size=4)), 2),
    "what is written is written again": ((over("i", Store("y", (I,), Load("x", (I,)))),
                                          over("j", Store("y", (BEHIND,), Load("x", (J,))))), 2),
    "a sum of what was made": ((MAKES, Store("s", (), Literal(0.0, "float64")),
                                over("j", Accumulate("add", "s", (), Load("t", (J,))))), 2),
    "nests": ((over("i", over("j", Store("m", (I, J), times(2.0, Load("x", (J,)))))),
               over("k", over("l", Store("m", (Affine(0, (("k", 1),)), Affine(0, (("l", 1),))), times(
                   5.0, Load("m", (Affine(0, (("k", 1),)), Affine(0, (("l", 1),)))))))),
               over("q", Store("y", (Affine(0, (("q", 1),)),), Load("m", (Affine(1), Affine(0, (("q", 1),))))))), 3),
    "a nest that is turned": ((over("i", over("j", Store("m", (I, J), Load("x", (J,))))),
                               over("k", over("l", Accumulate("add", "m", (Affine(0, (("l", 1),)), Affine(0, (("k", 1),))), Load(
                                   "x", (Affine(0, (("k", 1),)),)))))), 4),
    "a fold": ((MAKES, over("j", Update("add", "r", Load("t", (J,))), carried=(ZERO,)), Store("s", (), Register("r"))), 1),
    "a fold that reads another": ((over("i", Update("add", "q", Load("x", (I,))), carried=(replace(ZERO, name="q"),)),
                                   over("j", Update("add", "r", Register("q")), carried=(ZERO,)),
                                      Store("s", (), Register("r"))), 2),
    "a fold that begins with what was made": ((MAKES, over("j", Update("add", "r", Load("x", (J,))), carried=(
        replace(ZERO, initial=Load("t", (Affine(2),))),)), Store("s", (), Register("r"))), 2),
    "parts that lie side by side": ((over("i", Store("t", (I,), Load("x", (I,))), size=2), over(
        "j", Store("t", (Affine(2, (("j", 1),)),), times(2.0, Load("x", (J,)))), size=2), over(
        "k", Store("y", (K,), Load("t", (K,))), size=4)), 2),
    "parts that overlap": ((over("i", Store("t", (I,), Load("x", (I,))), size=2), over(
        "j", Store("t", (Affine(1, (("j", 1),)),), times(2.0, Load("x", (J,)))), size=2), over(
        "k", Store("y", (K,), Load("t", (K,))), size=3)), 3),
    "other starts": ((over("i", Store("t", (I,), Load("x", (I,))), size=30), over(
        "j", Accumulate("add", "t", (Affine(1, (("j", 1),)),), Load("x", (J,))), size=29)), 2),
    "other ends": ((over("i", Store("t", (I,), Load("x", (I,))), size=30), over(
        "j", Accumulate("add", "t", (J,), Load("x", (Affine(1, (("j", 1),)),))), size=29)), 2),
    "a stencil": ((over("i", Store("t", (I,), Load("x", (I,))), size=30), over(
        "j", Accumulate("add", "t", (J,), Load("x", (Affine(1, (("j", 1),)),))), size=29), over(
        "k", Accumulate("add", "t", (Affine(1, (("k", 1),)),), Load("x", (K,))), size=29)), 4),
    "a recurrence": ((over("i", Store("t", (I,), Load("x", (I,))), size=30), over(
        "j", Accumulate("add", "t", (Affine(1, (("j", 1),)),), Load("t", (J,))), size=29)), 2),
    "ends far apart": ((over("i", Store("t", (I,), Load("x", (I,))), size=30), over(
        "j", Accumulate("add", "t", (Affine(6, (("j", 1),)),), Load("x", (J,))), size=20)), 2),
    "past a loop that it does not touch": ((MAKES, over("i", Store("m", (I, Affine(0)), Load("x", (I,))), size=4), over(
        "j", Store("y", (J,), Load("t", (J,))))), 2),
    "past a loop that writes what it reads": ((MAKES, over("i", Store("m", (I, Affine(0)), Load("x", (I,))), size=4), over(
        "j", Store("y", (J,), Call("add", (Load("t", (J,)), Load("m", (J, Affine(0)))), "float64")))), 2),
    "past what it does not touch": ((MAKES, Store("s", (), Load("x", (Affine(1),))), over("j", Store("y", (J,),
                                      Load("t", (J,))))), 1),
    "past what it reads": ((MAKES, Store("s", (), Load("x", (Affine(1),))), over("j", Store("y", (J,), Load("s", ())))), 2),
    "past what reads it": ((over("i", Store("t", (I,), Load("x", (I,)))), Store("s", (), Load("t", (Affine(0),))),
                            over("j", Store("t", (J,), times(2.0, Load("x", (J,))))), over("k", Store("y", (K,),
                                      Load("t", (K,))))), 2),
    "past what it writes": ((MAKES, Store("y", (Affine(0),), Load("x", (Affine(1),))), over("j", Store("y", (J,),
                                      Load("t", (J,))))), 2),
    "with a value named between": ((MAKES, Let("v", "float64", Load("x", (Affine(1),))), over(
        "j", Store("y", (J,), Call("mul", (Register("v"), Load("t", (J,))), "float64")))), 1),
    "with a value named between that reads it": ((MAKES, Let("v", "float64", Load("t", (Affine(1),))), over(
        "j", Store("y", (J,), Call("mul", (Register("v"), Load("t", (J,))), "float64")))), 2),
    "with a value of a value of a store between": ((MAKES, Store("s", (), Load("x", (Affine(1),))), Let(
        "v", "float64", Load("s", ())), Let("u", "float64", times(2.0, Register("v"))), over(
        "j", Store("y", (J,), Call("mul", (Register("u"), Load("t", (J,))), "float64")))), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_fusion(name: str) -> None:
    body, loops = CASES[name]
    before = check(program(*body))
    after = check(fuse(before))
    assert program_text(after).count("for ") == loops, program_text(after)
    given = np.random.default_rng(1).normal(size=31)
    for ours, theirs in zip(interpret(after, [given], {}), interpret(before, [given], {}), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("minimum", [1, 5])
def test_stencils(minimum: int) -> None:
    """Banded problems: sums over neighbours, their gradients and Hessians times vectors, for the shortest arrays too."""
    n = sd.dim(f"stencil_{minimum}", minimum=minimum)
    x, v = sd.symbol("x", (n,)), sd.symbol("v", (n,))
    steps = x[1:] - x[:-1]
    loss = sd.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) + sd.sum(sd.exp(0.3 * steps)) + sd.sum(x**4 * v)
    if minimum > 2:
        loss += sd.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 2) + sd.sum(sd.sin(x[4:]) * x[:-4])
    outputs = [loss, sd.grad(loss, x), sd.hvp(loss, x, v), x[1:] * v[:-1]]
    kernels = [sd.compile(outputs, [x, v], target=target) for target in ("interpreter", "cpu", "numba")]
    rng = np.random.default_rng(4)
    for size in (40, 2 if minimum == 1 else 5, 3 if minimum == 1 else 6, 7, 8, 9, 100, minimum):
        values = [rng.normal(size=size), rng.normal(size=size)]
        wanted = sd.evaluate(outputs, {x: values[0], v: values[1]})
        for kernel in kernels:
            for found, expected in zip(kernel(*values), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-10)
    grid, w = sd.symbol("grid", (n + 3, n + 2)), sd.symbol("w", (n + 3, n + 2))
    energy = sd.sum(sd.sqrt(1 + (grid[1:, :-1] - grid[:-1, :-1]) ** 2 + (grid[:-1, 1:] - grid[:-1, :-1]) ** 2))
    outputs = [energy, sd.grad(energy, grid), sd.hvp(energy, grid, w)]
    kernels = [sd.compile(outputs, [grid, w], target=target) for target in ("interpreter", "cpu")]
    for size in (1, 2, 9) if minimum == 1 else (5, 9):
        values = [rng.normal(size=(size + 3, size + 2)), rng.normal(size=(size + 3, size + 2))]
        for kernel in kernels:
            for found, expected in zip(kernel(*values), sd.evaluate(outputs, {grid: values[0], w: values[1]}), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
@pytest.mark.parametrize("loss_of", [
    lambda x: sd.sum((x[1:] - x[:-1]) ** 2), lambda x: sd.sum(sd.abs(x[:, 1:] - x[:, :-1])),
    lambda x: sd.sum(sd.sin(x[1:] * x[:-1])) + sd.sum((x[:, 1:] - x[:, :-1]) ** 2)])
def test_stencils_without_neighbours(loss_of: Callable[[Any], Any], target: str) -> None:
    """Code for every size, called where an axis of differences is empty: nothing beside the arrays is read or written."""
    n, d = sd.dims("alone_n alone_d")
    x = sd.symbol("x", (n, d))
    loss = loss_of(x)
    kernel = sd.compile([loss, sd.grad(loss, x)], [x], target=target, cache=False)
    rng = np.random.default_rng(5)
    # Small sizes have code of their own, but for five sets of them.
    for shape in (*[(k, k) for k in range(3, 8)], (1, 200), (200, 1), (1, 1), (2, 200), (1, 8), (2, 2)):
        given = rng.normal(size=shape)
        right = sd.evaluate([loss, sd.grad(loss, x)], {x: given})
        room = np.full(given.size + 16, 7.0)
        found = kernel(given, out=[np.zeros(()), room[8:-8].reshape(shape)])
        np.testing.assert_allclose(found[0], right[0], rtol=1e-11)
        np.testing.assert_allclose(found[1], right[1], rtol=1e-11, atol=1e-11)
        assert (room[:8] == 7).all() and (room[-8:] == 7).all()


def test_a_gradient_of_neighbours_is_one_loop() -> None:
    n = sd.dim("neighbours", minimum=3)
    x, v = sd.symbol("x", (n,)), sd.symbol("v", (n,))
    loss = sd.sum((x[1:] - x[:-1] ** 2) ** 2)
    text = sd.compile([sd.grad(loss, x), sd.hvp(loss, x, v)], [x, v]).loop_ir
    assert text.count("lane") == 1 and "1 : neighbours - 1 lane" in text and "full" not in text, text


def test_a_gradient_of_neighbours_in_two_directions_is_one_nest() -> None:
    n, m = sd.dims("rows columns")
    x, b = sd.symbol("x", (n, m)), sd.symbol("b", (n, m))
    loss = sd.sum((x[1:] - x[:-1]) ** 2) / 2 + sd.sum((x[:, 1:] - x[:, :-1]) ** 2) / 2 - sd.sum(b * x)
    kernel = sd.compile([loss, sd.grad(loss, x)], [x, b])
    kernel(np.ones((1000, 400)), np.ones((1000, 400)))
    assert "1 : rows - 1 serial" in kernel.loop_ir and "float64[rows, columns] slot" not in kernel.loop_ir
    assert kernel.loop_ir.count(" in 0 : rows serial") == 0, kernel.loop_ir
    rng = np.random.default_rng(6)
    kernels = [kernel, *[sd.compile([loss, sd.grad(loss, x)], [x, b], target=target) for target in ("numba", "interpreter")]]
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (3, 20), (20, 3), (17, 16)):
        given = [rng.normal(size=shape), rng.normal(size=shape)]
        right = sd.evaluate([loss, sd.grad(loss, x)], dict(zip((x, b), given, strict=True)))
        for each in kernels:
            for found, wanted in zip(each(*given), right, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", ["cpu", "interpreter", "numba"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("n", [38, sd.dim("n")])
def test_a_recurrence_keeps_its_order(n: Any, backward: bool, target: str) -> None:
    """The turns that a shorter loop lacks may not come first where each turn reads what the one before it wrote."""
    x, y = sd.symbol("x", (n + 2, 8)), sd.symbol("y", (n, 8))
    last, states = sd.scan(lambda c, s: (0.9 * c + s, c), sd.zeros(8), x, reverse=backward)
    values = [np.random.default_rng(0).normal(size=(size, 8)) for size in (40, 38)]
    roots = [states, states[:n] * y, states[2:] * y, last]
    kernel = sd.compile(roots, [x, y], target=target)
    for found, expected in zip(kernel(*values), sd.evaluate(roots, {x: values[0], y: values[1]}), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_sums_of_many_turns_stay_apart() -> None:
    """A sum that goes from row to row keeps its order: its nest is joined to no other."""
    total = Carried("r", "float64", Literal(0.0, "float64"))
    place, other = (I, J), (Affine(0, (("k", 1),)), Affine(0, (("l", 1),)))
    writes = over("i", over("j", Store("m", place, Load("x", (J,))), size=5), size=5)
    adds = over("k", over("l", Update("add", "r", Load("m", other)), size=4), size=5, carried=(total,))
    apart = (writes, adds, Store("s", (), Register("r")))
    assert len(fuse(program(*apart)).sections[0].body) == 3
    reads = over("k", over("l", Accumulate("add", "m", other, Literal(1.0, "float64")), size=4), size=5)
    assert len(fuse(program(writes, reads)).sections[0].body) == 1


def test_the_checker_sees_a_register_that_indexes() -> None:
    with pytest.raises(IllegalProgram, match="not known"):
        check(program(over("i", Store("y", (Affine(0, (("nowhere", 1),)),), Literal(0.0, "float64")))))


def test_edges_that_may_lie_over_one_another() -> None:
    """Second differences of an array that may be shorter than both edges: each turn of an edge asks whether its loop has it."""
    n = sd.dim("wide_stencil", minimum=3)
    u, f = sd.symbol("u", (n,)), sd.symbol("f", (n,))
    r = u[2:] - 2 * u[1:-1] + u[:-2] - f[1:-1]
    gradient = sd.grad(sd.sum(r * r) / 2, u)
    kernel, reference = sd.compile(gradient, [u, f], cache=False), sd.compile(gradient, [u, f], target="numpy")
    # The first four small sizes get code of their own.
    for size in (7, 8, 9, 10, 3, 4, 5, 6, *range(11, 40)):
        values = np.random.default_rng(size).normal(size=(2, size))
        np.testing.assert_allclose(kernel(*values), reference(*values), rtol=1e-12, atol=1e-13)
    assert "in 2 : wide_stencil - 2 lane" in kernel.loop_ir
    assert len(re.findall(r"for i\d+ in", kernel.loop_ir)) == 1


@pytest.mark.parametrize("size", ["fuse_steps", 400])
def test_a_sum_does_not_keep_a_stencil_from_its_array(size: Any) -> None:
    """A sum over all rows shares nothing with the array that begins as zeros: that begins where the stencil is added."""
    p = sd.symbol("p", (size, 2))
    bend = p[2:] - 2 * p[1:-1] + p[:-2]
    value = 0.1 * sd.sum(p[:, 1]) + 0.1 * sd.sum(bend**2)
    kernel = sd.compile([value, sd.grad(value, p)], [p], cache=False)
    given = np.random.default_rng(0).normal(size=(400, 2))
    for found, wanted in zip(kernel(given), sd.evaluate([value, sd.grad(value, p)], {p: given}), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    body = next(part for part in kernel.loop_ir.split("\n  for ") if "o1[" in part and " in 2 : " in part.split("\n")[0])
    assert "o1[" not in re.sub(r"o1\[[^]]*\] = ", "", body)


@pytest.mark.parametrize("size", ["fuse_places", 3000])
@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
def test_a_number_before_a_stencil_is_multiplied_last(size: Any, target: str) -> None:
    """0.6 (x[k] - x[k + 1]) of numbers near 10⁴ in float32 has the digits of the difference, and so have second differences."""
    p = sd.symbol("p", size, "float32")
    count = 60 if target == "interpreter" and size != 3000 else 3000
    given = (1e4 + np.random.default_rng(0).normal(size=count)).astype("float32")
    steps, bends = p[1:] - p[:-1], p[2:] - 2 * p[1:-1] + p[:-2]
    outputs = [sd.grad(0.3 * sd.sum(steps**2), p), sd.grad(0.1 * sd.sum(bends**2), p), sd.grad(sd.sum(bends**2), p)]
    exact = np.diff(given.astype("float64"))
    back = -np.diff(exact, prepend=0, append=0)
    curved = np.diff(exact)
    turned = np.diff(np.diff(np.pad(curved, 2)))
    for found, wanted in zip(sd.compile(outputs, [p], target=target, cache=False)(given), [0.6 * back, 0.2 * turned, 2 * turned],
                             strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=4e-6 * np.abs(wanted).max())
