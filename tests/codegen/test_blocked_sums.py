"""Long sums in float32 lose few digits, whatever the target, and however long they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.nodes import Affine, Carried, Literal, Load, Loop, Register, SampleLoop, Store, Update
from codegen.scheduling.blocked_sums import BLOCK, is_long_sum

LENGTHS = (2 * BLOCK, 2 * BLOCK + 1, 100_001, 1_000_003)


@pytest.mark.parametrize("target", ["cpu", "numba"])
@pytest.mark.parametrize("length", LENGTHS)
def test_long_sums_are_near(length: int, target: str) -> None:
    """Within a few units of float32 where one number after another was 100 off; the largest is what it was."""
    values = np.random.default_rng(length).random(length).astype(np.float32)
    x = sd.symbol("x", length, "float32")
    outputs = [sd.sum(x), sd.var(x), sd.max(x) - sd.sum(sd.where(x > 0.5, x, 0)), sd.grad(sd.logsumexp(x), x)[0]]
    exact = values.astype("float64")
    wanted = [exact.sum(), exact.var(), exact.max() - exact[exact > 0.5].sum(), np.exp(exact[0]) / np.exp(exact).sum()]
    for found, right in zip(sd.compile(outputs, [x], target=target)(values), wanted, strict=True):
        assert abs(found - right) <= 4e-6 * abs(right), (found, right)
    assert abs(sd.compile(sd.sum(x), [x], target=target)(values) - wanted[0]) <= (3e-7 if target == "cpu" else 1e-6) * wanted[0]


def loops_of(body: tuple[Any, ...]) -> list[Loop]:
    return [s for s in body if isinstance(s, (Loop, SampleLoop))]


def test_blocks_are_loops_in_a_loop() -> None:
    x = sd.symbol("x", 1_000_000, "float32")
    program = sd.compile(sd.sum(x), [x], cache=False).planned({}).program
    rest, blocks = loops_of(program.sections[0].body)
    assert (rest.lo, rest.hi, blocks.lo, blocks.hi) == (1_000_000 - 1_000_000 % BLOCK, 1_000_000, 0, 1_000_000 // BLOCK)
    assert len(loops_of(blocks.body)) == 1 and blocks.carried[0].initial == Register(rest.carried[0].name)


@pytest.mark.parametrize(("dtype", "length"), [("float64", 1_000_000), ("float32", 2 * BLOCK - 1)])
def test_others_stay(dtype: str, length: int) -> None:
    x = sd.symbol("x", length, dtype)
    program = sd.compile(sd.sum(x), [x], cache=False).planned({}).program
    assert not any(loops_of(loop.body) for loop in loops_of(program.sections[0].body))


def test_what_is_read_on_the_way_stays() -> None:
    """A register that another one is folded with at each turn is not the sum of its parts."""
    carried = tuple(Carried(name, "float32", Literal(0.0, "float32")) for name in "rs")
    plain = Loop("i", 0, 10**6, (Update("add", "r", Literal(1.0, "float32")),), carried=carried[:1])
    assert is_long_sum(plain)
    assert not is_long_sum(Loop("i", 0, 10**6, (*plain.body, Update("add", "s", Register("r"))), carried=carried))
    assert not is_long_sum(Loop("i", 0, 10**6, (*plain.body, Update("max", "r", Literal(1.0, "float32"))), carried=carried[:1]))


def test_turns_that_read_what_others_wrote_stay_in_order() -> None:
    """The blocks come behind the last turns."""
    i = Affine(0, (("i", 1),))
    added = Update("add", "r", Load("y", (i,)))
    carried = (Carried("r", "float32", Literal(0.0, "float32")),)
    assert is_long_sum(Loop("i", 0, 10**6, (added, Store("z", (i,), Load("y", (i,)))), carried=carried))
    for behind in (Store("y", (Affine(1, (("i", 1),)),), Load("y", (i,))), Store("b", (), Load("y", (i,)))):
        assert not is_long_sum(Loop("i", 0, 10**6, (added, behind), carried=carried))
