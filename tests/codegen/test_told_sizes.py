"""Sizes that a call tells as numbers, where no array is as long: loops of run-time length."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ArgumentMismatch, SymdiffError, TypeMismatch

turns = sd.dim("told_turns", minimum=0)
x, a = sd.symbol("x"), sd.symbol("a")
REPEATED = sd.fori(0, turns, lambda i, c: a * c + i, x)


def by_hand(start: float, factor: float, count: int) -> tuple[float, float]:
    """The value after so many turns, and its derivative by the factor."""
    value, slope = start, 0.0
    for i in range(count):
        value, slope = factor * value + i, factor * slope + value
    return value, slope


@pytest.mark.parametrize("target", ["cpu", "numba", "numpy", "interpreter"])
def test_loops_have_as_many_turns_as_the_call_says(target: str) -> None:
    f = sd.compile([REPEATED, sd.grad(REPEATED, a)], [x, a, turns], target=target)
    for count in (3, 0, 1, 200, 7, 7, 7, 7):
        expected = by_hand(1.5, 0.9, count)
        np.testing.assert_allclose(f(1.5, 0.9, count), expected, rtol=1e-12)
        np.testing.assert_allclose(f(a=0.9, x=1.5, told_turns=np.int32(count)), expected, rtol=1e-12)


def test_sizes_have_values_in_dicts() -> None:
    expected = by_hand(1.5, 0.9, 6)[0]
    assert sd.evaluate(REPEATED, {x: 1.5, a: 0.9, turns: 6}) == pytest.approx(expected, rel=1e-14)
    assert sd.evaluate(REPEATED, {"x": 1.5, "a": 0.9, "told_turns": 6}) == pytest.approx(expected, rel=1e-14)
    assert sd.check_derivatives(REPEATED, a, {x: 1.5, a: 0.9, turns: 6}).agrees
    text = sd.compile(REPEATED, [x, a, turns]).explain({x: 1.5, a: 0.9, turns: 6})
    assert "kernel: 0.0e+00" in text


def test_parameters_are_fitted_through_loops_of_any_length() -> None:
    goal = by_hand(1.0, 0.8, 9)[0]
    fit = sd.minimize((REPEATED - goal) ** 2, a, data={x: 1.0, turns: 9}, start={a: 0.7})
    assert float(fit.parameters) == pytest.approx(0.8, rel=1e-6)


def test_training_runs_have_derivatives_by_their_rate() -> None:
    """Steps of gradient descent, as many as the call says: the rate's own derivative goes through all of them."""
    steps, rate, data = sd.dim("told_steps", minimum=0), sd.symbol("rate"), sd.symbol("data", "told_data")
    w = sd.fori(0, steps, lambda i, w: w - rate * sd.mean(w - data), 0.0)
    f = sd.compile([w, sd.grad(w, rate)], [data, rate, steps])
    values = np.array([1.0, 3.0, 5.0])
    for count in (0, 1, 5, 300):
        w_end, slope = f(values, 0.1, count)
        assert w_end == pytest.approx(3.0 * (1 - 0.9**count), rel=1e-12)
        assert slope == pytest.approx(3.0 * count * 0.9**max(count - 1, 0), rel=1e-10, abs=1e-12)


def test_an_array_may_be_as_long_too() -> None:
    z = sd.symbol("z", turns)
    for inputs, values in (([z, turns], (np.ones(4), 4)), ([turns, z], (4, np.ones(4)))):
        assert sd.compile(sd.sum(z) + turns, inputs)(*values) == 8.0
    with pytest.raises(ArgumentMismatch, match="size told_turns is 4 by axis 0 of z, but 5 by the number told_turns"):
        sd.compile(sd.sum(z), [z, turns])(np.ones(4), 5)
    with pytest.raises(ArgumentMismatch, match="size told_turns is 5 by the number told_turns, but 4 by axis 0 of z"):
        sd.compile(sd.sum(z), [turns, z])(5, np.ones(4))


def test_a_size_may_be_the_only_input() -> None:
    n = sd.dim("told_alone")
    np.testing.assert_array_equal(sd.compile(2.0 * sd.arange(n), n)(3), [0.0, 2.0, 4.0])
    with pytest.raises(ArgumentMismatch, match=r"size told_alone is 0 by the number told_alone, but.* 1\n.*\n.*larger"):
        sd.compile(sd.ones(n), n)(0)


@pytest.mark.parametrize("value", [-1, 2.0, True, "3", None, [3], np.array([1.0]), 10**30])
def test_what_is_no_size_is_refused(value: Any) -> None:
    f = sd.compile(REPEATED, [x, a, turns])
    f(1.0, 1.0, 3)
    f(1.0, 1.0, 3)
    with pytest.raises(ArgumentMismatch, match=r"told_turns is .*\n  in: told_turns, a size.*\n  mend: pass"):
        f(1.0, 1.0, value)
    with pytest.raises(ArgumentMismatch, match="told_turns is "):
        sd.evaluate(REPEATED, {x: 1.0, a: 1.0, turns: value})


@pytest.mark.parametrize(("inputs", "message"), [
    ([x, a, turns + 1], r"told_turns \+ 1 cannot be an input\n.*\n  mend: give the named size"),
    ([x, a, turns, turns], "told_turns is named twice"), ([x, a, "told_turns"], "named sizes"),
    ([x, a, turns, sd.symbol("told_turns")], "two symbols have the name told_turns"),
])
def test_what_cannot_be_an_input_is_refused(inputs: list[Any], message: str) -> None:
    with pytest.raises(SymdiffError, match=message):
        sd.compile(REPEATED, inputs)


def test_a_size_that_nothing_tells_is_named() -> None:
    with pytest.raises(ArgumentMismatch, match=r"size told_turns is not told.*\n.*\n  mend: .* or the size itself"):
        sd.compile(REPEATED, [x, a])(1.0, 1.0)
    with pytest.raises(TypeMismatch, match="is no symbol"):
        sd.substitute(REPEATED, {turns: 3})


@pytest.mark.parametrize("target", ["numba", "cpu"])
def test_numbers_are_sizes_in_the_code_of_a_user(target: str) -> None:
    compiled = sd.compile([REPEATED, sd.grad(REPEATED, a)], [x, a, turns], target=target).njit

    @numba.njit
    def both(start: float, factor: float, count: int) -> Any:
        return compiled(start, factor, count), compiled(start, factor, count + 3)
    for count in (0, 1, 7):
        for found, more in zip(both(1.5, 0.9, count), (0, 3), strict=True):
            np.testing.assert_allclose(found, by_hand(1.5, 0.9, count + more), rtol=1e-12)
            np.testing.assert_allclose(compiled(1.5, 0.9, count + more), found, rtol=1e-15)
