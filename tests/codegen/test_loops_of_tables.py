"""Random loops that read and change tables at rows, at batches of rows and at fixed places: compiled and interpreted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

ROWS = 4
SEEDS = range(24)


class Draw:
    """Choices that a seed makes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.width, self.batch, self.turns = (int(self.rng.choice(sizes)) for sizes in ((1, 3, ROWS), (1, 2, ROWS), (1, 3, 5)))

    def one_of(self, *made: Callable[[], Any]) -> Any:
        return made[int(self.rng.integers(len(made)))]()


def added(read: Callable[[Any], Any], shape: tuple[int, ...], value: Any) -> Any:
    """The number, times 1 wherever a read of a table of that shape goes: the adjoint of the read."""
    like = sd.symbol("like", shape)
    seen = read(like)
    return sd.vjp(seen, like, value * sd.ones(seen.shape))


def loop_of(draw: Draw) -> tuple[list[Any], list[Any]]:
    """The inputs of a loop over two tables and a number, and what it gives."""
    shape, batch = (ROWS, draw.width), draw.batch
    E, v = sd.symbol("E", shape), sd.symbol("v", ROWS)
    i, j, q = sd.symbol("i", draw.turns, "int64"), sd.symbol("j", (draw.turns, batch), "int64"), sd.symbol("q", draw.turns)

    def turn(carry: Any, now: Any) -> Any:
        (A, w, s), (at, rows, x) = carry, now

        def number() -> Any:
            made = draw.one_of(lambda: w[at], lambda: sd.sum(A[at]), lambda: x, lambda: s, lambda: 0.1 * sd.sum(w[rows]),
                               lambda: sd.sum(sd.sin(E[rows])))
            return 0.1 * sd.tanh(made)

        def changed(table: Any) -> Any:
            of = table.shape
            padding = ((1, ROWS - 2), *[(0, 0)] * (len(of) - 1))
            ways: list[Callable[[], Any]] = [
                lambda: table + added(lambda t: t[at], of, number()), lambda: table + added(lambda t: t[rows], of, number()),
                lambda: table - added(lambda t: sd.sum(t[rows], axis=0), of, number()), lambda: sd.tanh(0.5 * table), lambda: table,
                lambda: table + sd.pad(number() * sd.ones((1, *of[1:])), padding)]
            if batch == draw.width == ROWS:
                marks = added(lambda t: sd.trace(t[rows]), shape, number())
                ways.append(lambda: table + (marks if len(of) == 2 else sd.diagonal(marks)))
            return draw.one_of(*ways)
        after = changed(A), changed(w), 0.5 * s + number()
        return after, draw.one_of(number, lambda: after[0], lambda: after[1])
    (A, w, s), kept = sd.scan(turn, (E, v, sd.sum(v)), (i, j, q), reverse=bool(draw.rng.integers(2)))
    return [E, v, i, j, q], [A, w, s, kept]


@pytest.mark.parametrize("seed", SEEDS)
def test_loops_do_what_their_formulas_say(seed: int) -> None:
    draw = Draw(seed)
    inputs, outputs = loop_of(draw)
    E, v, *_ = inputs
    loss = sum(sd.sum(sd.sin(output)) for output in outputs)
    values = [draw.rng.normal(size=(ROWS, draw.width)), draw.rng.normal(size=ROWS), draw.rng.integers(-ROWS, ROWS, draw.turns),
              draw.rng.integers(0, ROWS, (draw.turns, draw.batch)), draw.rng.normal(size=draw.turns)]
    named = dict(zip(inputs, values, strict=True))
    for roots in (outputs, outputs[:1], [loss, *sd.grad(loss, [E, v]), sd.hvp(loss, v, sd.cos(v))]):
        wanted = sd.evaluate(roots, named)
        for target in ("cpu", "interpreter"):
            for found, expected in zip(sd.compile(roots, inputs, target=target)(*values), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    way = draw.rng.normal(size=(ROWS, draw.width))
    up, down = (sd.evaluate(loss, {**named, E: values[0] + sign * 1e-6 * way}) for sign in (1, -1))
    slope = sd.evaluate(sd.grad(loss, E), named)
    np.testing.assert_allclose(np.sum(slope * way), (up - down) / 2e-6, rtol=1e-5, atol=1e-6)
