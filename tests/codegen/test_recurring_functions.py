"""Functions that a loop takes many times are called: less code, the same bits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.emitters.llvm import recurring_functions

FUNCTIONS = ("sin", "exp", "tanh", "log1p", "erf", "cbrt")


def model(name: str, terms: int, size: Any, dtype: str) -> tuple[list[Any], list[Any]]:
    x = sd.symbol("x", size, dtype)
    weights = [sd.symbol(f"w{k}", size, dtype) for k in range(terms)]
    function = getattr(sd, name, None) or getattr(sd.special, name)
    loss = sum(sd.sum(function(w * x) * (k + 1)) for k, w in enumerate(weights))
    return [loss, *sd.grad(loss, weights)], [*weights, x]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calls_give_the_same_bits(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roots, inputs = model(name, 24, 5, dtype)
    values = [np.abs(v).astype(dtype) for v in np.random.default_rng(0).normal(size=(25, 5))]
    called = sd.compile(roots, inputs, cache=False)
    found = called(*values)
    own = f"@.{name}.{'double' if dtype == 'float64' else 'float'}."
    assert own in called.llvm
    monkeypatch.setattr(recurring_functions, "LEAST_COST", 10_000)
    written = sd.compile(roots, inputs, cache=False)
    for ours, theirs in zip(found, written(*values), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert own not in written.llvm
    assert called.llvm.count("\n") < 0.9 * written.llvm.count("\n")


def test_short_bodies_have_their_functions_written_out() -> None:
    roots, inputs = model("sin", 3, 5, "float64")
    kernel = sd.compile(roots, inputs, cache=False)
    kernel(*np.ones((4, 5)))
    assert "@.sin.double" not in kernel.llvm


def test_functions_of_two_values_and_very_large_angles() -> None:
    n = sd.dim("n_common", minimum=1)
    xs = [sd.symbol(f"x{k}", n) for k in range(40)]
    loss = sum(sd.sum(sd.arctan2(a, b) + sd.hypot(a, b) + a ** b) for a, b in pairwise(xs))
    loss = loss + sum(sd.sum(sd.cos(1e300 * x)) for x in xs)
    kernel = sd.compile(loss, xs, cache=False)
    values = list(np.abs(np.random.default_rng(1).normal(size=(40, 9))))
    expected = sum(np.sum(np.arctan2(a, b) + np.hypot(a, b) + a ** b) for a, b in pairwise(values)
                   ) + sum(np.sum(np.cos(1e300 * x)) for x in values)
    np.testing.assert_allclose(kernel(*values), expected, rtol=1e-12)
    assert "@.cos.double" in kernel.llvm


@pytest.mark.parametrize("function", [lambda a, b: 1 - sd.tanh(a) ** 2, sd.logaddexp, lambda a, b: a % b, lambda a, b: a // b])
def test_long_functions_of_numbers_are_called_in_straight_code(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first few are written out; the bits are the same."""
    xs = [sd.symbol(f"x{k}") for k in range(12)]
    outputs = [function(a, b) * (k + 1) for k, (a, b) in enumerate(pairwise(xs))]
    values = list(np.random.default_rng(2).uniform(0.5, 2.0, size=12))
    called = sd.compile(outputs, xs, cache=False)
    found = called(*values)
    monkeypatch.setattr(recurring_functions, "LONG_ALONE", frozenset())
    written = sd.compile(outputs, xs, cache=False)
    np.testing.assert_array_equal(found, written(*values))
    assert called.llvm.count("\n") < written.llvm.count("\n")
    np.testing.assert_allclose(found, sd.evaluate(outputs, dict(zip(xs, values, strict=True))), rtol=1e-14)
