"""What windows that lie over one another add to is read for each element, whatever the windows are; kernels of one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

SEED = 20261130


def case(rng: np.random.Generator) -> tuple[list[Any], list[Any], list[Any]]:
    """(outputs, symbols, values): gradients of a convolution or of pooled windows, of sizes by chance, some of them named."""
    n, c, o = (int(rng.integers(1, 5)) for _ in range(3))
    height, width = (int(rng.integers(5, 21)) for _ in range(2))
    kernel, stride, dilation = (tuple(int(rng.integers(1, most)) for _ in range(2)) for most in (4, 3, 3))
    padding = tuple(int(rng.integers(0, 3)) for _ in range(2))
    named = rng.random() < 0.3
    sizes: tuple[Any, ...] = (n, c, height, width)
    if named:
        sizes = sd.dim("pulled_n", minimum=1), c, sd.dim("pulled_h", minimum=5), width
    x, w = sd.symbol("x", sizes), sd.symbol("w", (o, c, *kernel))
    kind = rng.integers(4)
    if kind == 3:
        w = sd.symbol("w", (c * o, 1, *kernel))
        y = sd.nn.conv2d(sd.tanh(x), w, stride=stride, padding=padding, dilation=dilation, groups=c)
    elif kind == 0:
        y = sd.nn.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)
    elif kind == 1:
        y = sd.nn.avg_pool2d(sd.sin(x) * sd.sum(w), 3, stride=1, padding=1)
    else:
        y = sd.nn.conv2d(sd.nn.conv2d(x, w, padding=(1, 1)), sd.transpose(w, (1, 0, 2, 3)), padding=padding)
    loss = sd.mean(sd.sin(y)) if rng.random() < 0.5 else sd.sum(sd.sin(y) * sd.maximum(y, 0))
    values = [rng.standard_normal((n, c, height, width)), rng.standard_normal(w.shape)]
    return [loss, *sd.grad(loss, [x, w])], [x, w], values


@pytest.mark.parametrize("number", range(24))
def test_gradients_of_windows_by_chance(number: int) -> None:
    rng = np.random.default_rng([SEED, number])
    outputs, symbols, values = case(rng)
    wanted = sd.evaluate(outputs, dict(zip(symbols, values, strict=True)))
    for target in ("interpreter", "cpu", *(("numba",) if number % 6 == 0 else ())):
        for found, right in zip(sd.compile(outputs, symbols, target=target, cache=False)(*values), wanted, strict=True):
            near = 1e-11 * max(1.0, np.abs(right).max())
            np.testing.assert_allclose(found, right, rtol=1e-11, atol=near, err_msg=f"{SEED}, {number}")


def back(stride: int, **options: Any) -> str:
    """The loop IR of the gradient of a convolution of one axis by its argument."""
    x, w = sd.symbol("x", (2, 3, 1, 60)), sd.symbol("w", (4, 3, 1, 5))
    loss = sd.sum(sd.nn.conv2d(x, w, stride=(1, stride), **options) ** 2)
    return str(sd.compile(sd.grad(loss, x), [x, w], target="interpreter").loop_ir)


def test_nothing_waits_for_an_addition_to_the_same_element() -> None:
    """Windows a step apart are pulled; those further apart would ask each element for windows that are none."""
    assert "[i" in back(1) and "] add= " not in back(1)
    assert "] add= " not in back(1, padding=(0, 2), dilation=(1, 2))
    assert "] add= " in back(2)


def test_windows_on_a_small_part_of_an_array_are_added_where_they_are() -> None:
    """Zeros are not summed up: two windows of four in a row of sixty."""
    x, v = sd.symbol("x", 60), sd.symbol("v", (2, 4))
    windows = sd.stack([x[:4], x[1:5]])
    kernel = sd.compile(sd.grad(sd.sum(sd.sin(windows) * v), x), [x, v], target="interpreter")
    values = np.linspace(-1, 1, 60), np.ones((2, 4))
    right = np.zeros(60)
    right[:4] += np.cos(values[0][:4])
    right[1:5] += np.cos(values[0][1:5])
    np.testing.assert_allclose(kernel(*values), right, atol=1e-15)


@pytest.mark.parametrize("n", [1, 8])
def test_kernels_of_one_place_are_products_of_matrices(n: int) -> None:
    """Of the values, and of the gradients by both; windows of one place are not copied."""
    x, w = sd.symbol("x", (n, 32, 16, 16)), sd.symbol("w", (24, 32, 1, 1))
    y = sd.nn.conv2d(x, w)
    loss = sd.sum(sd.sin(y))
    kernel = sd.compile([loss, *sd.grad(loss, [x, w])], [x, w], target="interpreter")
    assert str(kernel.loop_ir).count("matmul gemm") == 3
    rng = np.random.default_rng(n)
    values = [rng.standard_normal(s.shape) for s in (x, w)]
    wanted = sd.evaluate([loss, *sd.grad(loss, [x, w])], dict(zip((x, w), values, strict=True)))
    for target in ("cpu", "numba"):
        for found, right in zip(sd.compile([loss, *sd.grad(loss, [x, w])], [x, w], target=target)(*values), wanted, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-10)


def test_channels_by_themselves_store_no_windows() -> None:
    """A sum over the one channel of a group is none: what goes back is summed where it is read."""
    x, w = sd.symbol("x", (8, 32, 28, 28)), sd.symbol("w", (32, 1, 3, 3))
    loss = sd.mean(sd.relu(sd.nn.conv2d(x, w, padding=1, groups=32)) ** 2)
    kernel = sd.compile([loss, *sd.grad(loss, [x, w])], [x, w])
    assert all(len(b.shape) <= 4 for b in kernel.planned({}).program.buffers)
