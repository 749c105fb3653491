"""Buffers that lie in the longer one whose parts take their place: which may, and that results are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import symdiff as sd
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Affine, Buffer, Call, Fill, Literal, Load, Loop, Program, Section, Statement, Store, Value
from codegen.scheduling.parts_in_place import place_parts
from codegen.scheduling.schedule import STORAGE

J = Affine(0, (("j", 1),))


def at(var: str, start: int = 0) -> tuple[Affine, ...]:
    return (Affine(start, ((var, 1),)),)


def times(value: Value, number: float) -> Value:
    return Call("mul", (value, Literal(number, "float64")), "float64")


def written(name: str, given: str, var: str, number: float) -> Loop:
    return Loop(var, 0, 4, (Store(name, at(var), times(Load(given, at(var)), number)),))


def ends(*body: Statement) -> tuple[Statement, ...]:
    """u = 2 a;  v = 3 a;  then the body;  o = w."""
    return (written("u", "a0", "i", 2.0), written("v", "a0", "k", 3.0), *body,
            Loop("l", 0, 8, (Store("o0", at("l"), Load("w", at("l"))),)))


def both(first: int, second: int, more: int = 0) -> Statement:
    """w[j] = 5 u[j], w[j + 4] = 7 v[j], from those positions on."""
    return Loop("j", 0, 4, (Store("w", at("j", first), times(Load("u", at("j")), 5.0)),
                            Store("w", at("j", second), times(Load("v", at("j", more)), 7.0))))


def program_of(*body: Statement) -> Program:
    buffers = [Buffer("a0", "float64", (4,), "arg"), Buffer("o0", "float64", (8,), "out"), Buffer("u", "float64", (4,), "full"),
               Buffer("v", "float64", (4,), "full"), Buffer("w", "float64", (8,), "full")]
    return check(Program("kernel", (), tuple(buffers), (Section("init", 0, ends(*body)),)))


IN_PLACE: dict[str, tuple[Statement, ...]] = {
    "two": (both(0, 4),),
    "the other way round": (both(4, 0),),
    "values with names": (Loop("j", 0, 4, (Store("w", at("j"), times(Load("u", at("j")), 5.0)), replace(
        both(0, 4).body[1], value=Load("v", at("j"))))),),  # type: ignore[union-attr]
}
ELSEWHERE: dict[str, tuple[Statement, ...]] = {
    "a read of the other afterwards": (both(0, 4), Loop("m", 0, 4, (Store("o0", at("m"), Load("u", at("m"))),)),
                                       Loop("n", 0, 4, (Store("o0", at("n", 4), Load("v", at("n"))),))),
    "another element": (Loop("j", 0, 4, (Store("w", at("j"), Load("u", (Affine(3, (("j", -1),)),))),
                                         Store("w", at("j", 4), Load("v", (Affine(3, (("j", -1),)),))))),),
    "a store before the read": (Loop("j", 0, 4, (
        Store("w", at("j"), times(Load("v", at("j")), 5.0)), Store("w", at("j", 4), times(Load("v", at("j")), 7.0)),
        Store("o0", at("j"), Load("u", at("j"))))), ),
    "elements that are written twice": (Loop("t", 0, 2, (both(0, 4),)),),
    "one of many parts": (Loop("j", 0, 2, (Store("w", at("j"), Load("u", at("j"))), Store("w", at("j", 2), Load("u", at("j", 2))))),
                          Loop("m", 0, 4, (Store("w", at("m", 4), Load("v", at("m"))),))),
    "a buffer that is filled": (Fill("w", Literal(0.0, "float64")), both(0, 4)),
}


def results(program: Program) -> list[np.ndarray[Any, Any]]:
    return interpret(program, [np.arange(1.0, 5.0)], {})


@pytest.mark.parametrize("name", IN_PLACE)
def test_parts_lie_in_the_whole(name: str) -> None:
    program = program_of(*IN_PLACE[name])
    placed = check(place_parts(program))
    assert [b.name for b in placed.buffers] == ["a0", "o0", "w"]
    np.testing.assert_array_equal(results(placed), results(program))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_where_they_do_not(name: str) -> None:
    program = program_of(*ELSEWHERE[name])
    placed = check(place_parts(program))
    assert len([b for b in placed.buffers if b.role == "full"]) >= (2 if name == "a store before the read" else 3)
    np.testing.assert_array_equal(results(placed), results(program))
    for storage in STORAGE:
        placed = check(storage(placed))
    np.testing.assert_array_equal(results(placed), results(program))


def cell(gates: int, size: int) -> Callable[[Any, Any], Any]:
    def step(state: Any, x: Any) -> Any:
        h, z = state
        parts = [h @ W + x for W in (sd.symbol(f"W{k}", (size, size)) for k in range(gates))]
        z = z * sd.sigmoid(parts[0]) + sd.sum(sd.stack([sd.tanh(p) for p in parts[1:]]), axis=0) if gates > 1 else sd.tanh(parts[0])
        h = sd.tanh(z)
        return (h, z), h
    return step


@pytest.mark.parametrize("batch", [(), (6,)])
@pytest.mark.parametrize("size", [3, 24])
@pytest.mark.parametrize("gates", [1, 2, 4])
def test_networks(gates: int, size: int, batch: tuple[int, ...]) -> None:
    n = sd.dim("placed_turns")
    x, y = sd.symbol("x", (n, *batch, size)), sd.symbol("y", (n, *batch, size))
    start = sd.zeros((*batch, size))
    for backward in (False, True):
        _, rows = sd.scan(cell(gates, size), (start, start), x, reverse=backward)
        loss = sd.mean((rows - y) ** 2)
        symbols = [x, y, *[sd.symbol(f"W{k}", (size, size)) for k in range(gates)]]
        outputs = [loss, *sd.grad(loss, [x, *symbols[2:]])]
        rng = np.random.default_rng(gates)
        values = [0.4 * rng.normal(size=(5, *s.shape[1:]) if s in symbols[:2] else s.shape) for s in symbols]
        wanted = sd.evaluate(outputs, dict(zip(symbols, values, strict=True)))
        for target in ("cpu", "interpreter"):
            for found, expected in zip(sd.compile(outputs, symbols, target=target)(*values), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_an_lstm_keeps_its_gates_and_their_adjoints_in_one_array() -> None:
    turns, batch, size = 40, 8, 16
    x, y = (sd.symbol(name, (turns, batch, size)) for name in "xy")
    W, U, b = sd.symbol("W", (size, 4 * size)), sd.symbol("U", (size, 4 * size)), sd.symbol("b", 4 * size)

    def step(state: Any, x: Any) -> Any:
        h, c = state
        z = x @ W + h @ U + b
        i, f, g, o = (z[:, k * size:(k + 1) * size] for k in range(4))
        c = sd.sigmoid(f) * c + sd.sigmoid(i) * sd.tanh(g)
        h = sd.sigmoid(o) * sd.tanh(c)
        return (h, c), h
    _, rows = sd.scan(step, (sd.zeros((batch, size)),) * 2, x)
    loss = sd.mean((rows - y) ** 2)
    outputs = [loss, *sd.grad(loss, [W, U, b])]
    rng = np.random.default_rng(3)
    values = {s: 0.3 * rng.normal(size=s.shape) for s in (x, y, W, U, b)}
    kernel = sd.compile(outputs, list(values))
    for found, expected in zip(kernel(*values.values()), sd.evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    # The states, four arrays for the gates, and two more: the derivative of the state, and what multiplies its adjoint.
    assert kernel.stats()["scratch_bytes"] < 8 * turns * batch * size * 8
