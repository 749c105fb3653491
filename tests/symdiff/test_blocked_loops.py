"""Derivatives by what enters a loop through integers or truth values alone: refused, as they are outside of loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

n = sd.dim("n", minimum=1)
X, w = sd.symbol("X", (n, 3)), sd.symbol("w", 3)


def over(step: Callable[[Any, Any], Any]) -> Any:
    """The final sum of what a step gives for each row."""
    return sd.scan(lambda s, row: (s + step(s, row), None), 0.0, X)[0]


BLOCKED: dict[str, Callable[[], Any]] = {
    "comparison": lambda: sd.grad(over(lambda s, r: (r @ w > 0) * 1.0), w),
    "argmax": lambda: sd.grad(over(lambda s, r: sd.argmax(r * w) * 1.0), w),
    "integer": lambda: sd.grad(over(lambda s, r: sd.astype(r @ w, "int64") * 1.0), w),
    "position": lambda: sd.grad(over(lambda s, r: r[sd.argmax(r * w)]), w),
    "kept": lambda: sd.grad(sd.sum(sd.scan(lambda s, r: (s, (r @ w > 0) * 1.0), 0.0, X)[1]), w),
    "threshold of a carry": lambda: sd.grad(sd.sum(sd.scan(
        lambda v, r: ((v * 0.9 + r @ w) * (1.0 - (v > 1)), (v > 1) * 1.0), 0.0, X)[1]), w),
    "carry beside": lambda: sd.grad(sd.scan(lambda c, r: ((c[0] + (c[1] > 0), c[1] + r @ w), None), (0.0, 0.0), X)[0][0], w),
    "fori": lambda: sd.grad(sd.fori(0, 3, lambda i, s: s + (w[0] > s), 0.0), w),
    "loop in a loop": lambda: sd.grad(over(lambda s, r: sd.scan(lambda q, e: (q + (e * w[0] > 0), None), 0.0, r)[0]), w),
    "forward": lambda: sd.jvp(over(lambda s, r: (r @ w > 0) * 1.0), w, np.ones(3)),
    "rows": lambda: sd.grad(over(lambda s, r: (r @ w > 0) * 1.0), X),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_no_silent_zero_in_loops(name: str) -> None:
    with pytest.raises(sd.NotDifferentiable, match="loop") as caught:
        BLOCKED[name]()
    assert "⟨" not in str(caught.value)


MEANT: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any]]] = {
    "mask": (lambda: sd.grad(over(lambda s, r: (r @ w > 0) * (r @ w)), w), lambda x, v: x.T @ (x @ v > 0)),
    "stopped": (lambda: sd.grad(over(lambda s, r: sd.stop_gradient(r @ w)), w), lambda x, v: 0 * v),
    "condition": (lambda: sd.grad(over(lambda s, r: sd.where(r @ w > 0, 1.0, 2.0)), w), lambda x, v: 0 * v),
    "not there": (lambda: sd.grad(over(lambda s, r: sd.sum(r)), w), lambda x, v: 0 * v),
    "positive part": (lambda: sd.hessian(over(lambda s, r: sd.maximum(r @ w, 0.0) ** 2), w),
                      lambda x, v: 2 * (x.T * (x @ v > 0)) @ x),
    "its second derivative": (lambda: sd.hessian(over(lambda s, r: sd.maximum(r @ w, 0.0)), w), lambda x, v: np.zeros((3, 3))),
    "one of two ways": (lambda: sd.grad(over(lambda s, r: r[sd.argmax(r)] * w[0] + (r @ w > 0)), w),
                        lambda x, v: np.array([np.sum(np.max(x, axis=1)), 0, 0])),
}


@pytest.mark.parametrize("name", MEANT)
def test_what_is_meant_is_derived(name: str) -> None:
    derivative, want = MEANT[name]
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(5, 3)), rng.normal(size=3)
    found = sd.compile(derivative(), inputs=[X, w], cache=False)(x, v)
    np.testing.assert_allclose(np.broadcast_to(found, np.shape(want(x, v))), want(x, v), rtol=1e-12)
