"""Values that are not as they were declared: refused where a call is checked, since formulas rest on what was declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

RIGHT: dict[str, list[Any]] = {
    "positive": [[1.0, 1e-300]], "nonnegative": [[0.0, 2.0]],
    "symmetric": [[[1.0, 2.0], [2.0, -3.0]], [[1.0, 2.0], [2.0 + 1e-9, -3.0]]],
    "psd": [[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[2.0, -1.0], [-1.0, 2.0]]],
}
WRONG: dict[str, list[tuple[Any, str]]] = {
    "positive": [([1.0, 0.0], "holds 0.0"), ([-2.0, 1.0], "holds -2.0")], "nonnegative": [([1.0, -1e-9], "holds -1e-09")],
    "symmetric": [([[1.0, 2.0], [3.0, 4.0]], r"\[0, 1\] and \[1, 0\] are 2.0 and 3.0")],
    "psd": [([[1.0, 2.0], [2.0, 1.0]], "least eigenvalue is -1"), ([[1.0, 2.0], [3.0, 9.0]], "are 2.0 and 3.0")],
}


@pytest.mark.parametrize("target", ["cpu", "numpy"])
@pytest.mark.parametrize("fact", RIGHT)
def test_facts_are_checked_where_calls_are(fact: str, target: str) -> None:
    shape = (2, 2) if fact in ("symmetric", "psd") else 2
    s = sd.symbol("scale", shape, **{fact: True})
    outputs = [sd.sum(s), sd.grad(sd.sum(s**2), s)]
    checked, plain = (sd.compile(outputs, inputs=[s], target=target, check=check) for check in (True, False))
    for right in RIGHT[fact]:
        np.testing.assert_array_equal(checked(np.array(right))[1], plain(np.array(right))[1])
        assert sd.check_derivatives(sd.sum(s**2), s, {s: right}, target="reference").agrees
    for wrong, message in WRONG[fact]:
        plain(np.array(wrong))
        with pytest.raises(sd.ArgumentMismatch, match=f"scale was declared {fact}, but it.*{message}"):
            checked(np.array(wrong))
        with pytest.raises(sd.ArgumentMismatch, match=f"declared {fact}"):
            sd.check_derivatives(sd.sum(s**2), s, {s: wrong}, target="reference")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("fact", RIGHT)
def test_what_is_not_finite_is_refused_as_such(fact: str, value: float) -> None:
    """Infinities do not get as far as to be subtracted from one another."""
    s = sd.symbol("scale", (2, 2) if fact in ("symmetric", "psd") else 2, **{fact: True})
    array = np.full(tuple(2 for _ in s.shape), value)
    with pytest.raises(sd.ArgumentMismatch, match=r"scale\[0.*\] is"):
        sd.compile(sd.sum(s), inputs=[s], check=True)(array)
    with pytest.raises(sd.SymdiffError):
        sd.check_derivatives(sd.sum(s**2), s, {s: array}, target="reference")


def test_arrays_of_nothing_are_as_declared() -> None:
    s = sd.symbol("scale", sd.dim("none", minimum=0), positive=True)
    assert sd.compile(sd.sum(s), inputs=[s], check=True)(np.zeros(0)) == 0
