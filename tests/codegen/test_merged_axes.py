"""Merged axes read at shifted, cut, strided and other positions: no position is looked for among all, whatever reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.expression import Node

n, m = sd.dims("merged_n merged_m")
x, z, v = (sd.symbol(name, (n, m)) for name in "xzv")
LOSSES = {
    "differences": sd.sum((sd.ravel(x)[1:] - sd.ravel(x)[:-1]) ** 2),
    "a part": sd.sum(sd.ravel(x)[3:-4] ** 3),
    "every third": sd.sum(sd.ravel(x)[::3] ** 2),
    "neighbours of two": sd.sum(sd.ravel(x)[1:] ** 2 * sd.ravel(z)[:-1]),
    "other rows": sd.sum(sd.reshape(x, (m, n)) ** 2 * sd.reshape(z, (m, n))[::-1]),
    "pairs of copies": sd.norm(sd.ravel(sd.reshape(sd.concat([x, x]), (-1, 2))[:-1]) + 0.3),
    "beside zeros": sd.sum(sd.pad(sd.ravel(x), 2)[1:] ** 2 * sd.pad(sd.ravel(z), 2)[:-1]),
    "a product": sd.sum(sd.reshape(x, (m, n)) @ sd.reshape(sd.sin(z), (n, m)) @ sd.ravel(x)[:m]),
}


def outputs_of(loss: Node) -> list[Node]:
    return [loss, sd.grad(loss, x), sd.hvp(loss, x, v)]


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_take_the_work_of_the_value(name: str) -> None:
    loss = LOSSES[name]
    values = np.random.default_rng(3).normal(size=(3, 90, 70))
    work = []
    for outputs in (outputs_of(loss)[:1], outputs_of(loss)[:2], outputs_of(loss)):
        kernel = sd.compile(outputs, [x, z, v], cache=False)
        kernel(*values)
        work.append(kernel.stats()["flops"])
    assert work[0] < 40 * 90 * 70 and work[1] < 8 * work[0] and work[2] < 25 * work[0], work


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("name", LOSSES)
def test_values(name: str, target: str) -> None:
    outputs = outputs_of(LOSSES[name])
    kernel = sd.compile(outputs, [x, z, v], target=target, cache=False)
    rng = np.random.default_rng(4)
    for shape in ((6, 5), (3, 8), (8, 3), (4, 4)):
        values: list[Any] = list(rng.normal(size=(3, *shape)))
        wanted = sd.evaluate(outputs, dict(zip((x, z, v), values, strict=True)))
        for found, expected in zip(kernel(*values), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
        # The reference reads the same formulas: central differences along v tell whether they are the derivatives.
        up, down = ([values[0] + sign * 1e-5 * values[2], *values[1:]] for sign in (1, -1))
        (f_up, g_up, _), (f_down, g_down, _) = kernel(*up), kernel(*down)
        np.testing.assert_allclose(np.sum(wanted[1] * values[2]), (f_up - f_down) / 2e-5, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(wanted[2], (g_up - g_down) / 2e-5, rtol=1e-5, atol=1e-4)


def group_norm(x: Node, scale: Node, groups: int) -> Node:
    z = sd.reshape(x, (x.shape[0], groups, -1))
    z = z - sd.mean(z, axis=2, keepdims=True)
    z = z / sd.sqrt(sd.mean(z**2, axis=2, keepdims=True) + 1e-3)
    return sd.tanh(sd.reshape(z, x.shape) * scale[:, None, None])


# Places of an image that are whole vectors, parts of them, and none of both.
@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("places", [(16, 16), (8, 4), (7, 7), (3, 1), (1, 5)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_groups_of_channels(places: tuple[int, int], target: str, dtype: str) -> None:
    image, scale, way = (sd.symbol(name, shape, dtype) for name, shape in (
        ("image", (2, 6, *places)), ("scale", 6), ("way", (2, 6, *places))))
    loss = sd.sum(group_norm(image, scale, 3) ** 2)
    outputs = [loss, *sd.grad(loss, [image, scale]), sd.hvp(loss, image, way)]
    values = [np.random.default_rng(7).normal(size=s.shape).astype(dtype) for s in (image, scale, way)]
    wanted = sd.evaluate(outputs, dict(zip((image, scale, way), values, strict=True)))
    tolerance = 1e-10 if dtype == "float64" else 2e-4
    for found, expected in zip(sd.compile(outputs, [image, scale, way], target=target, cache=False)(*values), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_what_was_merged_is_walked_along_as_it_lies() -> None:
    """Quotients and remainders that stand together again are the index that they were: vectors are loaded, not gathered."""
    image, scale = sd.symbol("image", (2, 6, 16, 16)), sd.symbol("scale", 6)
    loss = sd.sum(group_norm(image, scale, 3) ** 2)
    kernel = sd.compile([loss, sd.grad(loss, image)], [image, scale], cache=False)
    kernel(np.ones((2, 6, 16, 16)), np.ones(6))
    assert "udiv <" not in kernel.llvm and "urem <" not in kernel.llvm
