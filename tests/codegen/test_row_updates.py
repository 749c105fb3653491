"""Carries that change at rows alone are changed where they stand: no turn passes over the whole table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

ROWS, WIDTH, TURNS, BATCH = 9, 4, 12, 3
U, V, w = (sd.symbol(name, shape) for name, shape in (("U", ("rows_u", WIDTH)), ("V", ("rows_v", WIDTH)), ("w", "rows_u")))
i, j = sd.symbol("i", "turns_u", "int64"), sd.symbol("j", ("turns_u", BATCH), "int64")
r = sd.symbol("r", "turns_u")
INPUTS = (U, V, w, i, j, r)


def at_row(table: Any, index: Any, value: Any) -> Any:
    """The table with a value added at a row, as the derivative of a read there."""
    like = sd.symbol("like", table.shape)
    return table + sd.vjp(like[index], like, value)


def diagonal_of_marks(at: Any) -> Any:
    """1 where the k-th position is k: the diagonal of the derivative of a trace of rows."""
    like = sd.symbol("square", (BATCH, BATCH))
    return sd.diagonal(sd.grad(sd.trace(like[at]), like))


def factors(c: Any, t: Any) -> tuple[Any, Any]:
    """A step of matrix factorisation: each table changes by the row that the other had."""
    one, other = c
    k, rows, value = t
    loss = sd.sum((one[k] @ other[rows].T - value) ** 2)
    slopes = sd.grad(loss, [one, other])
    return (one - 0.05 * slopes[0], other - 0.05 * slopes[1]), loss


# A step, what it starts from, and whether its carries change at rows alone.
STEPS: dict[str, tuple[Any, Any, bool]] = {
    "factors": (factors, (U, V), True),
    "counts": (lambda c, t: (at_row(c, t[1], sd.ones(BATCH)), None), w, True),
    "one element": (lambda c, t: (at_row(c, t[0], sd.sin(c[t[0]]) * t[2]), None), w, True),
    "rows that meet": (lambda c, t: (at_row(c, t[1], 0.1 * c[t[1]] * t[2]), None), U, True),
    "a row of itself": (lambda c, t: (at_row(c, t[0], c[t[1][0]]), None), U, True),
    "twice": (lambda c, t: (at_row(at_row(c, t[0], c[t[1][0]]), t[1][1], 0.3 * c[t[0]]), None), U, True),
    "by the state": (lambda c, t: ((c[0] + 1, at_row(c[1], c[0] % 5, c[1][t[0]])), None), (sd.constant(0), U), True),
    "a diagonal": (lambda c, t: (c + t[2] * diagonal_of_marks(t[1] % BATCH), None), sd.zeros(BATCH), True),
    "places": (lambda c, t: (c + sd.pad(sd.stack([t[2], sd.sin(t[2])]), (2, 5)) - sd.pad(2 * t[2] * sd.ones(3), (6, 0)), None),
               sd.zeros(9), True),
    "places of sums": (lambda c, t: (c + sd.pad(t[2] * sd.tanh(sd.sum(sd.sin(w[t[1]]))) * sd.ones(2), (7, 0)), None),
                       sd.zeros(9), True),
    "places of itself": (lambda c, t: (c + sd.pad(t[2] * c[3:5], (0, 7)) + sd.pad(sd.sin(c[:2]), (7, 0)), None), sd.ones(9), True),
    "kept": (lambda c, t: ((n := at_row(c, t[0], c[t[1][0]])), sd.sum(n**2)), U, False),
    "another reads it": (lambda c, t: ((n := at_row(c[0], t[0], c[0][t[1][0]])), c[1] + n[t[1][1]]), (U, U[0]), True),
    "changing places": (lambda c, t: ((c[1], at_row(c[0], t[0], c[1][t[1][0]])), None), (U, 2 * U), False),
    "all of it": (lambda c, t: (0.9 * at_row(c, t[0], c[t[1][0]]), None), U, False),
}


def outputs_of(name: str, backward: bool) -> list[Any]:
    step, start, _ = STEPS[name]

    def turn(c: Any, t: Any) -> Any:
        answer = step(c, t)
        return answer if name != "another reads it" else (answer, None)
    end, kept = sd.scan(turn, start, (i, j, r), reverse=backward)
    return [*(end if isinstance(end, tuple) else [end]), *([] if kept is None else [kept])]


def given(turns: int, rng: np.random.Generator) -> list[Any]:
    tables = [0.5 * rng.normal(size=shape) for shape in ((ROWS, WIDTH), (ROWS + 2, WIDTH), (ROWS,))]
    return [*tables, rng.integers(-ROWS, ROWS, turns), rng.integers(0, ROWS, (turns, BATCH)), rng.normal(size=turns)]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_values(name: str, backward: bool) -> None:
    outputs = outputs_of(name, backward)
    loss = sum(sd.sum(sd.cos(o)) for o in outputs if o.dtype == "float64")
    derivatives = sd.grad(loss, [s for s in (U, V, w, r) if name == "factors" or s is not V])
    rng = np.random.default_rng(5)
    for roots in (outputs, [loss, *derivatives]):
        kernels = [sd.compile(roots, INPUTS, target=target) for target in ("cpu", "numba", "interpreter")]
        for turns in (TURNS, 1):
            values = given(turns, rng)
            wanted = sd.evaluate(roots, dict(zip(INPUTS, values, strict=True)))
            for kernel in kernels:
                for found, expected in zip(kernel(*values), wanted, strict=True):
                    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", STEPS)
def test_no_turn_passes_over_the_table(name: str) -> None:
    """The flops of a turn do not grow with the tables."""
    kernel = sd.compile(outputs_of(name, False), INPUTS, cache=False)
    rng = np.random.default_rng(6)
    flops = []
    for rows in (200, 2_000):
        values = [rng.normal(size=(rows, WIDTH)), rng.normal(size=(rows, WIDTH)), rng.normal(size=rows), *given(TURNS, rng)[3:]]
        kernel(*values)
        flops.append(kernel.stats()["flops"])
    assert (flops[1] == flops[0]) is STEPS[name][2]


def test_gradients_by_a_vector_live_in_registers() -> None:
    """What each turn adds to the elements of a small vector is carried number by number, as several numbers would be."""
    x, p = sd.symbol("x", 100), sd.symbol("p", 3)
    _, rows = sd.scan(lambda c, s: ((h := sd.tanh(p[0] * c + p[1] * s + p[2])), (h - s) ** 2), 0.0, x)
    outputs = sd.value_and_grad(sd.sum(rows), p)
    values = np.random.default_rng(0).normal(size=100), np.array([0.5, -0.3, 0.1])
    kernel = sd.compile(outputs, [x, p])
    for found, expected in zip(kernel(*values), sd.evaluate(outputs, dict(zip((x, p), values, strict=True))), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert "float64[3]" not in [line.split()[2] for line in kernel.loop_ir.splitlines() if line.startswith("  full")]


def test_positions_outside_change_nothing() -> None:
    """Where the state tells the position nothing is asked before the call."""
    end, _ = sd.scan(lambda c, t: ((c[0] + 1, at_row(c[1], c[0] * 4, t * sd.ones(WIDTH))), None), (sd.constant(0), U), r)
    values = np.zeros((ROWS, WIDTH))
    for target in ("cpu", "numba", "interpreter"):
        found = sd.compile(end[1], [U, r], target=target)(values, np.ones(5))
        np.testing.assert_array_equal(found.sum(axis=1), [4, 0, 0, 0, 4, 0, 0, 0, 4])
