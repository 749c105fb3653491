"""What loops of a few numbers only keep is computed behind them, and is what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

SEED = 20261201


def turn(rng: np.random.Generator, c: list[Any], x: Any, p: Any) -> tuple[list[Any], list[Any]]:
    """The next numbers, and what is kept of a turn, by chance; safe for all arguments."""
    def some() -> Any:
        return [*c, x, p, c[0] * c[-1], c[0] + x, 0.5 * p * c[-1]][int(rng.integers(5 + len(c) - 1))]

    def costly() -> Any:
        a, b = some(), some()
        return [lambda: sd.log(1 + a * a), lambda: b / (1 + a * a), lambda: sd.exp(-a * a) * b, lambda: sd.tanh(a) + b,
                lambda: sd.sqrt(1 + a * a), lambda: sd.sin(a) * x, lambda: sd.where(a > b, sd.cos(a), b)][int(rng.integers(7))]()
    nexts = []
    for old in c:
        way = rng.integers(3)
        nexts.append([0.5 * old + 0.3 * x * p, 0.4 * old + 0.1 * sd.sin(old) + 0.2 * c[0], sd.tanh(some() + 0.3 * old)][int(way)])
    kept = [costly() + costly() * 0.3, [nexts[0], c[-1], sd.log(1 + nexts[-1] ** 2)][int(rng.integers(3))]]
    return nexts, kept


def program(seed: int) -> tuple[list[Any], list[Any], Any]:
    """Outputs and arguments of a loop by chance."""
    rng = np.random.default_rng([SEED, seed])
    count, reverse = 1 + int(rng.integers(2)), bool(rng.integers(2))
    shape: tuple[int, ...] = [(), (2,)][int(rng.integers(4) == 0)]
    xs, p = sd.symbol("xs", ("turns", *shape)), sd.symbol("p")
    state = int(rng.integers(1 << 30))

    def step(carry: Any, x: Any) -> Any:
        nexts, kept = turn(np.random.default_rng(state), list(carry), x, p)
        return tuple(nexts), tuple(kept)
    inits = tuple(sd.full(shape, 0.1 * (k + 1)) if shape else 0.1 * (k + 1) for k in range(count))
    finals, stacks = sd.scan(step, inits, xs, reverse=reverse)
    loss = sum(0.5 * sd.sum(s**2) + sd.sum(sd.sin(s)) for s in stacks) + sum(sd.sum(f) for f in finals)
    return [loss, *sd.grad(loss, [xs, p]), *sd.hvp(loss, [xs, p], [sd.cos(xs), p]), stacks[0]], [xs, p], (shape, rng)


@pytest.mark.parametrize("seed", range(30))
def test_loops_by_chance(seed: int) -> None:
    outputs, inputs, (shape, rng) = program(seed)
    kernels = [sd.compile(outputs, inputs, target=target, cache=False) for target in (
        "cpu", "interpreter", *(("numba",) if seed % 10 == 0 else ()))]
    for turns in (67, 3, 1):
        values = [0.5 * rng.normal(size=(turns, *shape)), 0.7]
        wanted = sd.evaluate(outputs, dict(zip(inputs, values, strict=True)))
        for kernel in kernels:
            for found, right in zip(kernel(*values), wanted, strict=True):
                np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11, err_msg=f"{SEED}, {seed}, {turns}")


def volatility(turns: int) -> str:
    """The loop IR of the likelihood of a process whose variance goes on from turn to turn, and of its gradient."""
    y, p = sd.symbol("y", turns), sd.symbol("p", 3)

    def step(h: Any, now: Any) -> Any:
        h = p[0] + p[1] * h + p[2] * now**2
        return h, sd.log(h) + now**2 / h
    loss = sd.sum(sd.scan(step, 1.0, y)[1])
    return sd.compile([loss, sd.grad(loss, p)], [y, p]).loop_ir


def test_functions_of_what_is_kept_go_by_vectors() -> None:
    """A short loop keeps them in its turns."""
    long, short = volatility(1000), volatility(20)
    serial = long[:long.index("lane")]
    assert "log" not in serial and "log" in long
    assert "log" in short[:short.index("lane") if "lane" in short else None]


def test_what_the_turns_compute_anyway_is_not_computed_again() -> None:
    """1 - tanh² of what the loop takes the tanh of."""
    x = sd.symbol("x", 1000)
    rows = sd.scan(lambda c, t: (sd.tanh(0.5 * c + t),) * 2, 0.0, x)[1]
    kernel = sd.compile(sd.grad(sd.sum(rows**2), x), [x])
    assert kernel.loop_ir.count("tanh(") == 1
