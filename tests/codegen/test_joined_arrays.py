"""Arrays that are joined: every element is written, also where a part has zeros of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

PARTS = {
    "an array": lambda xp, A, v, n: A, "its transpose": lambda xp, A, v, n: A.T, "the identity": lambda xp, A, v, n: xp.eye(n),
    "a diagonal": lambda xp, A, v, n: xp.diag(v), "a multiple of the identity": lambda xp, A, v, n: 2 * xp.eye(n),
    "the diagonal of an array": lambda xp, A, v, n: xp.diag(xp.diag(A)), "zeros": lambda xp, A, v, n: xp.zeros((n, n)),
    "a triangle": lambda xp, A, v, n: xp.tril(A), "rows": lambda xp, A, v, n: A * v[:, None],
    "a stencil": lambda xp, A, v, n: A + xp.eye(n) - xp.diag(v)}


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n", [4, sd.dim("n")], ids=str)
def test_joined_arrays(n: Any, axis: int, target: str) -> None:
    """All pairs of parts, written over not-a-numbers."""
    A, v = sd.symbol("A", (n, n)), sd.symbol("v", n)
    at = np.random.default_rng(0).normal(size=(4, 4)), np.arange(1.0, 5.0)

    def pairs(xp: Any, *at: Any) -> list[Any]:
        parts = [make(xp, *at) for make in PARTS.values()]
        return [xp.concatenate([left, right], axis=axis) for left in parts for right in parts]
    wanted = pairs(np, *at, 4)
    out = [np.full(w.shape, np.nan) for w in wanted]
    sd.compile(pairs(sd, A, v, n), [A, v], target=target, cache=False)(*at, out=out)
    names = [f"{left}, {right}" for left in PARTS for right in PARTS]
    for name, found, right in zip(names, out, wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("left", PARTS)
@pytest.mark.parametrize("n", [3, sd.dim("n")], ids=str)
def test_each_pair_alone(n: Any, left: str, axis: int) -> None:
    A, v = sd.symbol("A", (n, n)), sd.symbol("v", n)
    at = np.random.default_rng(1).normal(size=(3, 3)), np.arange(1.0, 4.0)
    for right, make in PARTS.items():
        wanted = np.concatenate([PARTS[left](np, *at, 3), make(np, *at, 3)], axis=axis)
        found = np.full(wanted.shape, np.nan)
        joined = sd.concat([PARTS[left](sd, A, v, n), make(sd, A, v, n)], axis=axis)
        sd.compile(joined, [A, v], target="interpreter", cache=False)(*at, out=found)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=right)
