"""Random programs whose steps cut arrays, join them, multiply and add: values, gradients and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.shared_terms import is_multiple, share_terms
from symdiff.expression import Product
from symdiff.normal_form import product
from symdiff.reference import evaluate_nodes

SEEDS = range(40, 80)


def step(xp: Any, choice: Callable[[int], int], h: Any, p: Any, A: Any, b: Any) -> Any:
    """The next array of a program from the last one and another; xp is symdiff, or NumPy."""
    n = b.shape[0]
    k = 1 + choice(n - 1)
    cuts = sorted({0, n, *[1 + choice(n - 1) for _ in range(3)]})
    ways: list[Callable[[], Any]] = [
        lambda: xp.concat([h[k:] * xp.exp(0.1 * p[k:]) + 0.1 * p[k:], h[:k]]),
        lambda: xp.concat([h[k:], h[:k] + 0.3 * p[:k]]),
        lambda: xp.concat([h[:1], h[1:-1] + 0.1 * (h[2:] - 2 * h[1:-1] + h[:-2]), h[-1:]]),
        lambda: xp.concat([xp.tanh(A[low:high] @ h) for low, high in pairwise(cuts)]),
        lambda: 0.5 * (A @ h) + h - 0.2 * p,
        lambda: h + 0.3 * (b - A @ h),
        lambda: xp.concat([h[k:] * p[k:], xp.sin(h[:k])]) * p,
        lambda: 0.5 * xp.concat([p[:k] * h[:k], h[k:]]) + xp.stack([h, p])[1],
        lambda: xp.pad(h[k:], ((k, 0),)) * p + xp.pad(p[:k] * h[:k], ((0, n - k),)),
    ]
    return ways[choice(len(ways))]()


def steps(xp: Any, seed: int, x: Any, A: Any, b: Any) -> Any:
    """A number, by steps that a seed chooses."""
    draw = np.random.default_rng([seed, 1])

    def choice(count: int) -> int:
        return int(draw.integers(count))
    arrays = [x, b]
    h = x
    for _ in range(2 + choice(5)):
        h = step(xp, choice, h, arrays[choice(len(arrays))], A, b)
        arrays.append(h)
    return xp.sum(xp.tanh(h)) + 0.1 * xp.sum(h * arrays[choice(len(arrays))]) + xp.sum((A @ h) ** 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_programs_do_what_their_formulas_say(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n = int(draw.choice([4, 6, 8]))
    x, A, b = sd.symbol("x", n), sd.symbol("A", (n, n)), sd.symbol("b", n)
    values = [0.5 * draw.normal(size=n), 0.3 * draw.normal(size=(n, n)), 0.5 * draw.normal(size=n)]
    loss = steps(sd, seed, x, A, b)
    gradient = sd.grad(loss, [x, A, b])
    outputs = [loss, *gradient, *sd.hvp(loss, [x, A, b], [b, A, x])]
    found = sd.compile(outputs, [x, A, b])(*values)
    np.testing.assert_allclose(found[0], steps(np, seed, *values), rtol=1e-11, atol=1e-13)
    # Exact up to rounding, by a complex step; the second derivatives by differences of the first.
    ways = [draw.normal(size=value.shape) for value in values]
    moved = [value + 1e-30j * way for value, way in zip(values, ways, strict=True)]
    slope = steps(np, seed, *moved).imag / 1e-30
    np.testing.assert_allclose(sum(np.sum(g * way) for g, way in zip(found[1:4], ways, strict=True)), slope, rtol=1e-9, atol=1e-10)
    vectors = [values[2], values[1], values[0]]
    up, down = (sd.evaluate(list(gradient), dict(zip((x, A, b), [
        value + sign * 1e-6 * vector for value, vector in zip(values, vectors, strict=True)], strict=True))) for sign in (1, -1))
    for product_found, above, below in zip(found[4:], up, down, strict=True):
        np.testing.assert_allclose(product_found, (above - below) / 2e-6, rtol=1e-5, atol=1e-6)


def test_a_multiple_beside_zeros_is_no_multiple() -> None:
    """0.1 z at the first place of four is not 0.1 z."""
    z = sd.symbol("z", 4) + sd.symbol("y", 4)
    part = product(0.1, [(z, (0,))], [0], {0: 1}, z.type)
    raw = Product(0.1, ((z, (0,)),), (0,), (1,), z.type)
    assert not is_multiple(raw) and is_multiple(Product(0.1, ((z, (0,)),), (0,), (4,), z.type))
    y, q = sd.symbols("z y", 4)
    values = {y: np.arange(4.0), q: np.ones(4)}
    for root in (raw, part, raw + sd.tanh(z), sd.sum((part + 0.3 * z) ** 2)):
        np.testing.assert_allclose(evaluate_nodes(share_terms([root]), values, {})[0], evaluate_nodes([root], values, {})[0])
