"""Sizes that are only known at the call: axes that would be negative, or empty where an element is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ArgumentMismatch, ShapeMismatch, TypeMismatch

n, m = sd.dims("n m")
y, b, A = sd.symbol("y", n), sd.symbol("b", m), sd.symbol("A", (n, n))
TOO_SHORT: dict[str, tuple[Any, list[Any]]] = {
    "longer than is there": (sd.concat([y[m:], b]), [np.arange(5.0), np.arange(7.0)]),
    "third difference of two": (sd.sum(sd.diff(y, 3)), [[1.0, 2.0]]),
    "third difference as it is": (sd.diff(y, 3), [[1.0, 2.0]]),
    "its gradient": (sd.grad(sd.sum(sd.diff(y, 3) ** 2), y), [[1.0, 2.0]]),
    "max of none": (sd.max(y[1:]), [[1.0]]), "argmax of none": (sd.argmax(sd.diff(y)), [[1.0]]),
    "largest norm of none": (sd.norm(y[1:], np.inf), [[1.0]]), "far diagonal": (sd.diag(A, 5), [np.ones((3, 3))]),
}


@pytest.mark.parametrize("name", TOO_SHORT)
def test_too_short(name: str) -> None:
    expression, values = TOO_SHORT[name]
    kernel = sd.compile(expression, target="interpreter")
    names = [a.name for a in kernel.binder.arguments]
    for call in (lambda: kernel(*values), lambda: sd.evaluate(expression, dict(zip(names, values, strict=True)))):
        with pytest.raises(ArgumentMismatch, match=r"axis of length .* elements where .*\n  in: .*\n  mend: pass longer"):
            call()


def test_empty_where_none_is_needed() -> None:
    assert sd.compile(sd.sum(y[1:]), target="interpreter")([1.0]) == 0.0
    assert sd.evaluate(sd.all(y[1:] > 0), {y: [1.0]})


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
def test_sums_of_nothing(target: str) -> None:
    """A number that a loop carries is read behind it also where nothing is left of the loop."""
    d = sd.dim("nothing_d")
    part = sd.symbol("V", (40, d))[:, 1:]
    for sum_of, right in ((sd.sum(part), 0.0), (sd.sum(sd.exp(part)), 0.0), (sd.sum(part > 0), 0)):
        kernel = sd.compile(sum_of, target=target, cache=False)
        assert kernel(np.ones((40, 3))) != right and kernel(np.ones((40, 1))) == right


x, v3, v4 = sd.symbol("x"), sd.symbol("v3", 3), sd.symbol("v4", 4)
WITHOUT_TRUTH: dict[str, Callable[[], Any]] = {
    "equal to a number": lambda: bool(x == 1), "in numbers": lambda: x in [1, 2, 3], "greater": lambda: bool(x > 0),
    "different from a number": lambda: bool(v3 != 0),
    "a branch on a value": lambda: sd.from_numpy(lambda a: a if a.sum() == 0 else -a, a=3),
}


@pytest.mark.parametrize("name", WITHOUT_TRUTH)
def test_a_value_is_not_known_when_a_formula_is_written(name: str) -> None:
    with pytest.raises(TypeMismatch, match=r"no truth value\n  in: .*test_sizes_at_the_call\.py:\d+\n  mend: use sd\.where"):
        WITHOUT_TRUTH[name]()


def test_comparing_expressions() -> None:
    assert bool(x == x) and not bool(x == x + 1) and bool(x != v3[0]) and x in [v3[0], x]
    assert (v3 == v4) is False and v4 in [v3, v4]
    with pytest.raises(ShapeMismatch, match="sizes 3 and 4 differ"):
        sd.equal(v3, v4)


def test_integers_wrap_round_in_coefficients() -> None:
    k, i = sd.symbol("k", 3, "int64"), sd.symbol("i", 3, "int32")
    for symbol, expression, expected in ((k, k * 2**62 * 4, [0, 0, 0]), (k, k * 2**62 * 2, [-(2**63), 0, -(2**63)]),
                                         (k, (k + 2**62) + 2**62, [1 - 2**63, 2 - 2**63, 3 - 2**63]),
                                         (i, i * 2**30 * 2, [-(2**31), 0, -(2**31)])):
        values = np.array([1, 2, 3], symbol.dtype)
        np.testing.assert_array_equal(sd.evaluate(expression, {symbol: values}), expected)
        np.testing.assert_array_equal(sd.compile(expression, target="interpreter")(values), expected)


def test_not_a_number_is_printed() -> None:
    assert str(np.nan - v3) == "nan - v3"
    with pytest.raises(ShapeMismatch, match="nan - v3"):
        _ = (np.nan - v3) + v4


def test_known_arrays_are_compared_as_expressions() -> None:
    S = sd.symbol("S", (3, 3))
    both = sd.constant(np.eye(3)) @ S + sd.constant(np.ones((3, 3))) @ S
    np.testing.assert_array_equal(sd.evaluate(both, {S: np.eye(3)}), np.eye(3) + 1)
    assert S not in [sd.constant(np.eye(3)), 1 * S[::-1]]


@pytest.mark.parametrize("target", ["cpu", "numba", "numpy", "interpreter"])
def test_shifts_of_no_exponents_are_no_maxima(target: str) -> None:
    """What keeps exponentials from overflowing asks for no elements; a maximum that was written does, in a loop too."""
    e = sd.dim("sc_e", minimum=0)
    x, s = sd.symbol("x", e), sd.symbol("s", e, dtype="int64")
    shares = sd.exp(x) / (sd.exp(x) @ ((s[:, None] == sd.arange(4)[None, :]) * 1.0))[s]
    kernel = sd.compile(sd.grad(sd.sum(shares**2), x), [x, s], target=target)
    assert kernel(np.zeros(0), np.zeros(0, int)).shape == (0,)
    np.testing.assert_allclose(kernel(np.zeros(3), np.array([0, 0, 2])), 0, atol=1e-15)
    loop = sd.scan(lambda c, _: (c + sd.max(x), None), 0.0, None, length=2)[0]
    for root in (sd.max(x), loop):
        with pytest.raises(sd.ArgumentMismatch, match="max needs one"):
            sd.compile(root, [x], target=target)(np.zeros(0))
