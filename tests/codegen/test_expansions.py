"""Expansions: sums of exponentials and shares in them, with one exponential for both, whatever is infinite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

LONG = 5000
X = sd.symbol("X", ("ex_n", 5))
ROWS = np.array([[1, 2, 3, 4, 800.0], [-np.inf] * 5,
                 [np.inf, 1, 2, 800, -np.inf], [np.nan, 1, 2, 3, 4], [-np.inf, 0, 0, 0, -np.inf],
                 [-1e5, -1e5, -1e5, -1e5 - 1, -np.inf], [np.inf, np.inf, 1, 2, 3], [-1e300, 1e300, 0, 1, 2]])
LOSS = sd.sum(sd.logsumexp(X, axis=1))
OUTPUTS: dict[str, list[Any]] = {
    "logsumexp and softmax": [sd.logsumexp(X, axis=1), sd.softmax(X, axis=1)], "its gradient": [LOSS, sd.grad(LOSS, X)],
    "logarithms": [sd.log_softmax(X, axis=1)], "along columns": [sd.softmax(X, axis=0), sd.logsumexp(X, axis=0)],
    "of all": [sd.softmax(X.reshape((-1,)), axis=0)]}


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_infinities(name: str, target: str) -> None:
    kernel, reference = (sd.compile(OUTPUTS[name], [X], target=t) for t in (target, "numpy"))
    for rows in (ROWS, *[row[None] for row in ROWS]):
        with np.errstate(all="ignore"):
            found, right = kernel(rows), reference(rows)
        for got, wanted in zip(found, right, strict=True):
            # The reference takes the logarithm of the sum first, which loses digits where the elements are large.
            np.testing.assert_allclose(got, wanted, rtol=1e-11)


@pytest.mark.parametrize(("columns", "exponentials"), [(7, 7), (200, 1), (LONG, 2)])
def test_how_many_exponentials(columns: int, exponentials: int) -> None:
    """One for each element; the short sum is written out."""
    Z = sd.symbol("Z", ("ex_m", columns))
    loss = sd.sum(sd.logsumexp(Z, axis=1))
    kernel = sd.compile([loss, sd.grad(loss, Z)], [Z], cache=False)
    z = np.random.default_rng(0).normal(size=(130, columns))
    value, gradient = kernel(z)
    shares = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(gradient, shares / shares.sum(axis=1, keepdims=True), rtol=1e-12)
    assert str(kernel.loop_ir).count("exp(") == exponentials
    assert np.isfinite(value)


def test_shares_of_large_numbers_add_up_to_one() -> None:
    """In single precision m + log Σ e^(x − m) has no room for the logarithm."""
    Z = sd.symbol("Z", (3, 4), dtype="float32")
    z = np.float32(1e8) + np.zeros((3, 4), "float32")
    np.testing.assert_allclose(sd.compile(sd.softmax(Z, axis=1), cache=False)(z), 0.25, rtol=1e-6)


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter", "numpy"])
def test_shares_of_large_numbers_in_long_sums_and_loops(target: str) -> None:
    """Wherever the exponentials are not kept: long sums, columns, loops, other elements than those of the sum."""
    size = sd.dim("ex_l", minimum=2)
    z, Z = sd.symbol("z", size, dtype="float32"), sd.symbol("Z", (size, 3), dtype="float32")
    turns = sd.scan(lambda c, row: (c + sd.softmax(row), None), sd.zeros(3, "float32"), Z)[0]
    total = sd.sum(sd.log_softmax(z)[:2])
    kernel = sd.compile([sd.softmax(z), sd.softmax(Z, axis=0), turns, total, sd.grad(total, z)], [z, Z], target=target, cache=False)
    for value in (1e3, 1e8, -1e8):
        one, columns, in_turns, logarithms, gradient = kernel(np.full(300, value, "float32"), np.full((300, 3), value, "float32"))
        np.testing.assert_allclose(one, 1 / 300, rtol=1e-5)
        np.testing.assert_allclose(columns, 1 / 300, rtol=1e-5)
        np.testing.assert_allclose(in_turns, 100, rtol=1e-5)
        np.testing.assert_allclose(gradient[2:], -2 / 300, rtol=1e-4)
        if target != "numpy":  # where it is the sum as a whole that is subtracted
            np.testing.assert_allclose(logarithms, -2 * np.log(300), rtol=1e-6)


def test_costly_values_of_columns_are_computed_once() -> None:
    """What is the same for all samples is not computed with every sample."""
    A = sd.symbol("A", ("ex_k", 300))
    kernel = sd.compile(sd.tanh(A - sd.log(1 + sd.sum(A**2, axis=0))), [A], cache=False)
    a = np.random.default_rng(0).normal(size=(2000, 300))
    np.testing.assert_allclose(kernel(a), np.tanh(a - np.log1p(np.sum(a**2, axis=0))), rtol=1e-12)
    text = str(kernel.loop_ir)
    assert "log1p" not in text[text.rindex("sample "):]


PLACES = np.array([[1, 2, 3], [0, 0, 0], [0, 0, 5], [3, 0, 0], [1e200, -2e200, 1e200], [1e-200, 1e-200, 0], [-0.0, 1e-300, 2],
                   [7, 1e170, -1e-170], [4, -4, 1e-9]], "float64")


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("more", [0, 1e-4])
def test_gradients_of_lengths_in_space(more: float, target: str) -> None:
    """x / √(x² + y² + z² + c) everywhere, 0 at the origin; nothing overflows."""
    P = sd.symbol("P", ("ex_p", 3))
    x, y, z = (P[:, k] for k in range(3))
    length = sd.sqrt(x * x + y * y + z * z + more) if more else sd.sqrt(x * x + y * y + z * z)
    kernel = sd.compile([length, sd.grad(sd.sum(length), P)], [P], target=target, cache=False)
    value, gradient = kernel(PLACES)
    r = np.hypot(np.hypot(np.hypot(*PLACES[:, :2].T), PLACES[:, 2]), np.sqrt(more))
    np.testing.assert_allclose(value, r, rtol=1e-14)
    np.testing.assert_allclose(gradient, np.divide(PLACES, r[:, None], out=np.zeros_like(PLACES), where=r[:, None] > 0), rtol=1e-14)


def test_a_length_that_is_never_zero_is_divided_by_without_a_question() -> None:
    """Total variation: one inverse for each element, and no comparison."""
    u = sd.symbol("u", (40, 50))
    dx, dy = u[1:, :-1] - u[:-1, :-1], u[:-1, 1:] - u[:-1, :-1]
    loss = sd.sum(sd.sqrt(dx * dx + dy * dy + 1e-4))
    kernel = sd.compile([loss, sd.grad(loss, u)], [u], cache=False)
    values = {u: np.random.default_rng(0).normal(size=u.shape)}
    for found, expected in zip(kernel(*values.values()), sd.evaluate([loss, sd.grad(loss, u)], values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    text = str(kernel.loop_ir)
    assert text.count("reciprocal(") == 1 and "select" not in text and "div(" not in text


def test_a_number_without_an_inverse_is_asked_for() -> None:
    v = sd.symbol("v", 3)
    length = sd.sqrt(v[0] ** 2 + v[1] ** 2 + 1e-320)
    np.testing.assert_array_equal(sd.compile(sd.grad(length, v), [v], cache=False)(np.zeros(3)), 0)
