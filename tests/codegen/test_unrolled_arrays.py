"""Programs of arrays that are written out step by step: formulas and kernels grow with their length, no faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.traversal import topological

Step = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def around(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Diffusion on a ring and growth that levels off."""
    return u + k * (xp.concat([u[1:], u[:1]]) - 2 * u + xp.concat([u[-1:], u[:-1]])) + k * u * (1 - u), v


def rod(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Diffusion between ends that are held."""
    return xp.concat([u[:1], u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2]), u[-1:]]), v


def wave(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Leapfrog of a chain of springs that are not linear."""
    v = v + k * (xp.roll(u, 1) - 2 * u + xp.roll(u, -1)) - k * u ** 3
    return u + k * v, v


def upwind(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Burgers' equation, with nothing flowing in."""
    return u - k * u * (u - xp.concat([xp.zeros(1), u[:-1]])), v


def signals(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """A matrix of weights between neighbours, two stages a step."""
    f = xp.tanh(v @ u)
    return u + k / 2 * (f + xp.tanh(v @ (u + k * f))), v


def plane(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Diffusion on a torus."""
    return u + k * (xp.roll(u, 1, axis=0) + xp.roll(u, -1, axis=0) + xp.roll(u, 1, axis=1) + xp.roll(u, -1, axis=1) - 4 * u), v


def matrices(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """A matrix and its transpose, element by element."""
    return u + k * u.T * v - k * u * v.T + k * xp.tanh(u), v


def couplings(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """A layer of a normalising flow: one half is scaled and moved by what the other says, then the halves change places."""
    half = u.shape[0] // 2
    one, other = u[:half], u[half:]
    return xp.concat([other * xp.exp(k * v * one) + k * one, one]), v


def branches(xp: Any, u: Any, v: Any, k: Any) -> tuple[Any, Any]:
    """Side by side three layers on all of what the last three gave."""
    return xp.concat([xp.tanh(v[rows] @ u) for rows in (slice(0, 2), slice(2, 4), slice(4, 6))]), v


n, m = 24, 6
STEPS: dict[Step, tuple[tuple[int, ...], tuple[int, ...]]] = {
    around: ((n,), ()), rod: ((n,), ()), wave: ((n,), (n,)), upwind: ((n,), ()), signals: ((m,), (m, m)), plane: ((m, m), ()),
    matrices: ((m, m), (m, m)), couplings: ((m,), (m // 2,)), branches: ((m,), (m, m))}


def loss(xp: Any, step: Step, u: Any, v: Any, k: Any, count: int) -> Any:
    """Σ u² at the end."""
    for _ in range(count):
        u, v = step(xp, u, v, k)
    return xp.sum(u * u)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_unrolled_programs_grow_with_their_length(step: Step) -> None:
    of_u, of_v = STEPS[step]
    u, v, k = sd.symbol("u", of_u), sd.symbol("v", of_v), sd.symbol("k")
    rng = np.random.default_rng(0)
    at = rng.uniform(0.1, 0.9, of_u), rng.uniform(-0.5, 0.5, of_v), 0.05
    nodes, flops = [], []
    for count in (8, 16):
        value = loss(sd, step, u, v, k, count)
        gradient = sd.grad(value, u)
        f = sd.compile([value, gradient], inputs=[u, v, k], cache=False)
        wanted = loss(np, step, *at, count)
        found, slope = f(*at)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        moved = loss(np, step, at[0] + 1e-20j, *at[1:], count) if step is not matrices else None
        assert moved is None or abs(moved.imag / 1e-20 - slope.sum()) <= 1e-10 * np.abs(slope).sum()
        np.testing.assert_allclose(slope, sd.evaluate(gradient, {u: at[0], v: at[1], k: at[2]}), rtol=1e-10, atol=1e-12)
        alone = sd.compile(value, inputs=[u, v, k], cache=False)
        alone(*at)
        nodes.append(len(topological([value, gradient])))
        flops.append((alone.stats()["flops"], f.stats()["flops"]))
    assert nodes[1] < 2.4 * nodes[0]
    assert flops[1][0] < 2.4 * flops[0][0] and flops[1][1] < 2.4 * flops[0][1]
    # The bound of reverse differentiation is five times the program (Griewank and Walther, Evaluating Derivatives, 2nd ed., 3.3).
    assert flops[1][1] < 5 * flops[1][0]
