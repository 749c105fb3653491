"""Derivatives of products along axes: right where elements are zero, in time and memory that grow with the elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.operators.reductions import FEW_FACTORS


@pytest.mark.parametrize("n", [FEW_FACTORS, FEW_FACTORS + 1, "n"])
@pytest.mark.parametrize("zeros", [(), (7,), (0, 33), (1, 4, 7)])
def test_long_products_with_zeros(n: int | str, zeros: tuple[int, ...]) -> None:
    long, direction = sd.symbol("long", n), sd.symbol("direction", n)
    rng = np.random.default_rng(0)
    count = n if isinstance(n, int) else 50
    point, moved = rng.uniform(0.5, 1.5, (2, count))
    point[[k for k in zeros if k < count]] = 0
    others = [np.prod(np.delete(point, j)) for j in range(count)]
    np.testing.assert_allclose(sd.evaluate(sd.grad(sd.prod(long), long), {"long": point}), others, rtol=1e-12)
    pairs = np.array([[0.0 if i == j else np.prod(np.delete(point, [i, j])) for j in range(count)] for i in range(count)])
    found = sd.evaluate(sd.hvp(sd.prod(long), long, direction), {"long": point, "direction": moved})
    np.testing.assert_allclose(found, pairs @ moved, rtol=1e-12)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (2, 1)])
def test_products_along_axes(axis: Any) -> None:
    box = sd.symbol("box", (4, 40, 5))
    loss = sd.sum(sd.prod(1 + box, axis=axis) ** 2)
    values = {"box": np.random.default_rng(1).uniform(-0.1, 0.1, (4, 40, 5))}
    factors = 1 + values["box"]
    product = np.prod(factors, axis=axis, keepdims=True)
    np.testing.assert_allclose(sd.evaluate(sd.grad(loss, box), values), 2 * product**2 / factors, rtol=1e-12)


def test_gradients_of_products_of_many_elements_take_no_square_of_them() -> None:
    many = sd.symbol("many", "n")
    kernel = sd.compile(sd.grad(sd.prod(many), many), [many])
    factors = np.exp(1e-3 * np.random.default_rng(2).standard_normal(1_000_000))
    np.testing.assert_allclose(kernel(factors), np.prod(factors) / factors, rtol=1e-8)
