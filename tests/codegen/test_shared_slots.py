"""Storage that buffers share: which ones may, what a call needs, and that results are the same."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.nodes import Affine, Buffer, Call, Load, Loop, Program, Section, Statement, Store
from codegen.scheduling.shared_slots import share_slots

R = np.random.default_rng(5)
I, J = Affine(0, (("i", 1),)), Affine(0, (("j", 1),))


def copied(to: str, given: str, var: str = "i", at: Affine | None = None) -> Loop:
    """to[var] = exp(given[at])."""
    place = Affine(0, ((var, 1),))
    return Loop(var, 0, 8, (Store(to, (place,), Call("exp", (Load(given, (at or place,)),), "float64")),))


def slots_of(*body: Statement, names: str = "t0 t1 t2") -> dict[str, int | None]:
    buffers = [Buffer("a0", "float64", (8,), "arg"), Buffer("o0", "float64", (8,), "out"),
               *(Buffer(name, "float64", (8,), "full") for name in names.split())]
    program = share_slots(Program("kernel", (), tuple(buffers), (Section("init", 0, body),)))
    return {b.name: b.slot for b in program.buffers}


def test_one_after_the_other() -> None:
    slots = slots_of(copied("t0", "a0", "i"), copied("o0", "t0", "j"), copied("t1", "a0", "k"), copied("o0", "t1", "l"))
    assert slots["t0"] == slots["t1"] and slots["a0"] is slots["o0"] is None


def test_in_place() -> None:
    slots = slots_of(copied("t0", "a0", "i"), copied("t1", "t0", "j"), copied("t2", "t1", "k"), copied("o0", "t2", "l"))
    assert slots["t0"] == slots["t1"] == slots["t2"]


def test_not_in_place_where_other_elements_are_read() -> None:
    last = Affine(7, (("j", -1),))
    slots = slots_of(copied("t0", "a0", "i"), copied("t1", "t0", "j", last), copied("o0", "t1", "k"), names="t0 t1")
    assert slots["t0"] != slots["t1"]


def test_not_in_place_where_an_element_is_written_more_than_once() -> None:
    again = Loop("m", 0, 3, copied("t1", "t0", "j").body, kind="serial")
    twice = Loop("j", 0, 8, (again,))
    slots = slots_of(copied("t0", "a0", "i"), twice, copied("o0", "t1", "k"), names="t0 t1")
    assert slots["t0"] != slots["t1"]


def test_not_in_place_where_it_is_read_again_after_the_store() -> None:
    store = copied("t1", "t0", "j").body
    late = Loop("j", 0, 8, (*store, Store("o0", (J,), Load("t0", (J,)))))
    slots = slots_of(copied("t0", "a0", "i"), late, copied("o0", "t1", "k"), names="t0 t1")
    assert slots["t0"] != slots["t1"]


def deep_net(layers: int) -> tuple[sd.expression.Node, list[sd.expression.Node]]:
    h = X = sd.symbol("X", (40, 400))
    weights = [sd.symbol(f"W{k}", (400, 400)) for k in range(layers)]
    for W in weights:
        h = sd.tanh(h @ W)
    return sd.sum(h**2), [X, *weights]


def test_a_chain_of_layers_needs_two() -> None:
    loss, inputs = deep_net(6)
    f = sd.compile(loss, inputs, cache=False, threads=1)
    values = [R.normal(size=s.shape) / 20 for s in inputs]
    np.testing.assert_allclose(f(*values), sd.evaluate(loss, dict(zip(inputs, values, strict=True))), rtol=1e-12)
    assert f.stats()["scratch_bytes"] <= 2 * 40 * 400 * 8 + 1000


@pytest.mark.parametrize("layers", [2, 5])
def test_what_is_told_is_what_a_call_takes(layers: int) -> None:
    """Scratch and outputs of the first call, as the allocator sees them."""
    loss, inputs = deep_net(layers)
    f = sd.compile([loss, *sd.grad(loss, inputs)], inputs, cache=False, threads=1)
    values = [R.normal(size=s.shape) / 20 for s in inputs]
    f.build(f.variant({}))
    sd.compile(loss * 2, inputs, cache=False)(*values)  # what is loaded once is loaded now
    tracemalloc.start()
    kept = f(*values)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    outputs = sum(v.nbytes for v in kept)
    assert abs(size - outputs - f.stats()["scratch_bytes"]) < 0.05 * size
