"""What backward loops read of the forward turns: a sum or a product where that takes less room than what it is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.loops import deep, is_scan, loop_of
from symdiff.tensor_type import FLOATING

TURNS, SIZE = 6, 4
x, w, M = sd.symbol("x", (TURNS, SIZE)), sd.symbol("w", (SIZE,)), sd.symbol("M", (SIZE, SIZE))
ARGUMENTS = [w, x, M]


def histories(gradient: Any) -> list[tuple[Any, ...]]:
    """The shapes of what the backward loops read for each turn."""
    loops = {loop_of(node)[0] for node in deep([gradient]) if is_scan(node)}
    return sorted(s.shape for loop in loops if loop.backward for s in loop.slices if s.dtype in FLOATING)


def gates(c: Any, x: Any) -> Any:
    """A cell with three gates of four factors."""
    u, v = sd.tanh(c * w), sd.sigmoid(c + x)
    c = u * v * sd.cos(c) + sd.exp(-c * c) * v * u
    return c, c


def outer(c: Any, x: Any) -> Any:
    """Factors that are shorter than their product."""
    c = (M * sd.exp(0.1 * c)[:, None] * sd.tanh(c)[None, :]) @ x
    return c, c


def guarded(c: Any, x: Any) -> Any:
    """A branch that overflows where it is not taken."""
    c = sd.where(c > x, sd.exp(1e4 * (x - c)) * sd.sin(c) * w, sd.exp(1e4 * (c - x)) * sd.cos(c) * w)
    return c, c


def flipped(c: Any, x: Any) -> Any:
    """Factors read backwards and in parts."""
    e, t = sd.exp(0.1 * c[::-1]), sd.tanh(c)
    c = 0.5 * sd.concatenate([e[1:] * t[1:] * w[1:], t[:1] * e[:1] * x[:1]]) + 0.1 * w * c
    return c, c


def test_a_product_is_kept_in_the_place_of_its_factors() -> None:
    def step(c: Any, x: Any) -> Any:
        c = w * sd.sin(c) * sd.exp(x) * sd.tanh(x)
        return c, c
    gradient = sd.grad(sd.sum(sd.scan(step, w, x)[1] ** 2), w)
    # The adjoint of what is kept, cos(c) exp(x) tanh(x) for the carry, and sin(c) exp(x) tanh(x) for w.
    assert histories(gradient) == [(SIZE,)] * 3


@pytest.mark.parametrize("batch", [(), (1,), (5,)])
def test_gradients_of_weights_are_one_product_over_all_turns(batch: tuple[int, ...]) -> None:
    """Of one sample at a time, too: no matrix is carried from turn to turn."""
    rows = sd.symbol("rows", (TURNS, *batch, SIZE))
    _, states = sd.scan(lambda c, s: (sd.tanh(c @ M + s) * c,) * 2, sd.ones((*batch, SIZE)), rows)
    gradient = sd.grad(sd.sum(states**2), M)
    carried = [c.shape for node in deep([gradient]) if is_scan(node) for c in loop_of(node)[0].carries]
    assert set(carried) == {(*batch, SIZE)}
    values = [np.random.default_rng(1).normal(size=s.shape) for s in (M, rows)]
    total, one_by_one = sd.ones((*batch, SIZE)), 0
    for k in range(TURNS):
        total = sd.tanh(total @ M + rows[k]) * total
        one_by_one += sd.sum(total**2)
    found = sd.compile(gradient, [M, rows])(*values)
    np.testing.assert_allclose(found, sd.evaluate(sd.grad(one_by_one, M), {M: values[0], rows: values[1]}), rtol=1e-10)


def test_a_longer_product_is_computed_again() -> None:
    gradient = sd.grad(sd.sum(sd.scan(outer, w, x)[1] ** 2), M)
    assert (SIZE, SIZE) not in histories(gradient)


@pytest.mark.parametrize("step", [gates, outer, guarded, flipped])
def test_derivatives_of_both_orders(step: Any) -> None:
    rng = np.random.default_rng(0)
    values = [0.3 * rng.normal(size=symbol.shape) for symbol in ARGUMENTS]
    total = sd.sum(sd.scan(step, w, x)[1] ** 2)
    gradient = sd.grad(total, w)
    roots = [total, gradient, sd.grad(sd.sum(gradient ** 2), w)]
    kernel = sd.compile(roots, ARGUMENTS)
    found = kernel(*values)
    for result, expected in zip(found, sd.compile(roots, ARGUMENTS, target="numpy")(*values), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-11 * np.max(np.abs(expected)))
    direction, h = rng.normal(size=SIZE), 1e-6
    ahead, behind = [kernel(values[0] + s * direction, *values[1:]) for s in (h, -h)]
    assert found[1] @ direction == pytest.approx((ahead[0] - behind[0]) / (2 * h), rel=1e-6)
    if step is guarded:
        return  # what is kept is infinite where it is not taken, and so is its own derivative
    curved = (np.sum(ahead[1] ** 2) - np.sum(behind[1] ** 2)) / (2 * h)
    assert found[2] @ direction == pytest.approx(curved, rel=1e-6)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("turns", "least"), [(6, 1), (1, 1), (0, 0), (5, 0)])
def test_states_that_are_kept_are_not_kept_once_more(turns: int, least: int, backward: bool) -> None:
    """The state before a turn is the one after the turn before it: weights and initial values of two carries that mix."""
    n = sd.dim(f"states_turns_{least}", minimum=least)
    rows, start = sd.symbol("rows", (n, SIZE)), sd.symbol("start", SIZE)

    def step(c: Any, x: Any) -> Any:
        a, b = c
        a, b = sd.tanh(M @ a + x * b), 0.5 * b + w * (M.T @ b) * sd.cos(a)
        return (a, b), (a, b)
    (_, last), (first, second) = sd.scan(step, (start, sd.sin(start)), rows, reverse=backward)
    total = sd.sum(first**2) + sd.sum(sd.exp(second) * rows) + sd.sum(last)
    symbols = [M, start, rows, w]
    outputs = [total, *sd.grad(total, symbols), sd.hvp(total, M, sd.cos(M))]
    rng = np.random.default_rng(turns)
    values: list[Any] = [0.3 * rng.normal(size=(turns, SIZE) if s is rows else s.shape) for s in symbols]
    found = [sd.compile(outputs, symbols, target=target)(*values) for target in ("cpu", "interpreter")]
    state, kept = (values[1], np.sin(values[1])), []
    m, _, data, v = values
    for t in reversed(range(turns)) if backward else range(turns):
        a, b = state
        state = np.tanh(m @ a + data[t] * b), 0.5 * b + v * (m.T @ b) * np.cos(a)
        kept.append((state, t))
    expected = sum(np.sum(a**2) + np.sum(np.exp(b) * data[t]) for (a, b), t in kept) + np.sum(state[1])
    value, *gradients, product = found[0]
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    way = [np.cos(values[0]), *[rng.normal(size=x.shape) for x in values[1:]]]
    kernel = sd.compile(outputs, symbols)
    up, down = (kernel(*[x + sign * 1e-6 * d for x, d in zip(values, way, strict=True)]) for sign in (1, -1))
    slope = sum(np.sum(g * d) for g, d in zip(gradients, way, strict=True))
    np.testing.assert_allclose(slope, (up[0] - down[0]) / 2e-6, rtol=1e-6, atol=1e-7)
    up, down = (kernel(values[0] + sign * 1e-6 * way[0], *values[1:]) for sign in (1, -1))
    np.testing.assert_allclose(product, (up[1] - down[1]) / 2e-6, rtol=1e-5, atol=1e-6)


def test_no_history_of_a_state_that_is_an_output() -> None:
    _, rows = sd.scan(lambda c, s: (sd.tanh(M @ c + s),) * 2, w, x)
    # 1 - tanh², and the adjoint of the rows.
    assert histories(sd.grad(sd.sum(rows**2), M)) == [(SIZE,)] * 2


DEAD: dict[str, Any] = {
    "overflow": lambda c, x: sd.where(x < 1.0, c + w * x**2, sd.exp(1e4 * (x - c))),
    "logarithm": lambda c, x: sd.where(c + 9 > 0, c + x * w, sd.log(c + 9)) * sd.tanh(x),
    "root": lambda c, x: sd.where(c > 50.0, sd.sqrt(c - 50.0) * w, x * sd.sin(c)),
    "one of many": lambda c, x: sd.where(sd.sum(c) > 90.0, sd.exp(2e3 * (x + 3.0)) * c, c * w + x),
    "two guards": lambda c, x: sd.where(x < 1.0, sd.where(w < 5.0, c * x, sd.exp(1e4 * (c + 1.0))), sd.exp(1e4 * (4.0 - c))) * w,
}


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
@pytest.mark.parametrize("name", DEAD)
def test_second_derivatives_past_what_is_infinite_in_branches_not_taken(name: str, target: str) -> None:
    """As those of the same turns one by one, to which no zero has come without its guard."""
    def total(turns: Any) -> Any:
        end, rows = turns(lambda c, x: (DEAD[name](c, x),) * 2)
        return sd.sum(end**2) + sd.sum(sd.cos(rows) * x)

    def one_by_one(step: Any) -> Any:
        state, rows = w, []
        for t in range(TURNS):
            state, row = step(state, x[t])
            rows.append(row)
        return state, sd.stack(rows)
    values = [0.5 + np.random.default_rng(3).uniform(0, 0.4, s.shape) for s in (w, x)]
    found = []
    for way in (lambda step: sd.scan(step, w, x), one_by_one):
        value = total(way)
        slopes = sd.grad(value, [w, x])
        outputs = [value, *slopes, sd.hvp(value, w, sd.cos(w)), *sd.grad(sd.sum(slopes[1] * x), [w, x])]
        found.append(sd.compile(outputs, [w, x], target=target)(*values))
    for one, other in zip(*found, strict=True):
        assert np.isfinite(other).all()
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
