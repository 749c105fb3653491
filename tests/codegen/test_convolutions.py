"""Windows that a matrix product reads are stored, and sums over windows run over the shorter way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd

CASES = [  # x, w, stride, padding, dilation, groups
    ((2, 3, 9, 8), (16, 3, 3, 3), 1, 1, 1, 1), ((2, 2, 12, 11), (9, 2, 3, 3), 2, 1, 1, 1),
    ((2, 2, 13, 9), (8, 2, 2, 3), (3, 2), 0, 1, 1), ((1, 2, 14, 13), (10, 2, 3, 3), 1, 2, 2, 1),
    ((2, 2, 15, 15), (8, 2, 3, 3), 2, 2, 2, 1),
    ((2, 4, 9, 8), (16, 2, 3, 3), 1, 1, 1, 2),
    ((3, 1, 1, 40), (8, 1, 1, 5), 1, (0, 2), 1, 1),
    ((2, 3, 12, 16), (8, 3, 4, 4), 4, 0, 1, 1), ((2, 2, 14, 14), (8, 2, 2, 2), 3, 1, 1, 1),
    ((2, 2, 8, 9), (8, 2, 2, 3), (2, 3), 0, 1, 1),
]


def outputs_of(case: Any, x: Any, w: Any) -> list[Any]:
    """The convolution, its gradients and a Hessian-vector product."""
    y = sd.nn.conv2d(x, w, None, *case[2:])
    loss = sd.sum(sd.sin(y) ** 2)
    return [y, *sd.grad(loss, [x, w]), sd.hvp(loss, w, sd.cos(w))]


@pytest.mark.parametrize("case", CASES, ids=[str(c) for c in CASES])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(case: Any, dtype: str) -> None:
    rng = np.random.default_rng(5)
    values = [rng.normal(size=shape).astype(dtype) for shape in case[:2]]
    sizes = (sd.dim("batch_c"), case[0][1], sd.dim("rows_c", minimum=8), sd.dim("columns_c", minimum=8))
    # A symbolic height of one pixel is not given.
    for shape in (case[0], sizes) if case[0][2] > 1 else (case[0],):
        x, w = sd.symbol("x", shape, dtype), sd.symbol("w", case[1], dtype)
        outputs = outputs_of(case, x, w)
        wanted = sd.evaluate(outputs, {x: values[0].astype(dtype), w: values[1]})
        for target in ("interpreter", "cpu"):
            for ours, theirs in zip(sd.compile(outputs, [x, w], target=target)(*values), wanted, strict=True):
                tolerance = 1e-11 if dtype == "float64" else 2e-4
                np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.max(np.abs(theirs)))


def test_a_convolution_is_a_matrix_product() -> None:
    x, w = sd.symbol("x", (8, 4, 10, 10)), sd.symbol("w", (16, 4, 3, 3))
    kernel = sd.compile([sd.nn.conv2d(x, w, padding=1), *sd.grad(sd.sum(sd.sin(sd.nn.conv2d(x, w, padding=1))), [x, w])], [x, w],
                        target="interpreter")
    text = str(kernel.loop_ir)
    assert text.count("matmul gemm") == 3
    # One copy of the windows serves the value and the gradient by the weights, and one sum of nine terms goes back to x; places,
    # of which there are more than in a window, lie side by side.
    assert text.count("float64[8, 4, 3, 3, 10, 10]") == text.count("float64[4, 3, 3, 8, 10, 10]") == 1
    assert text.count("select(") == 2


@pytest.mark.parametrize("asked", ["value", "gradients", "first", "second"])
@pytest.mark.parametrize("weights", ["each", "parts of one"])
def test_nets_of_convolutions_are_matrix_products_of_all_images(asked: str, weights: str) -> None:
    """Each product goes over all images: results lie along the rows of the images as their windows do, whatever is asked for."""
    X, V = sd.symbol("X", (8, 16, 12, 12)), sd.symbol("V", (2, 16, 16, 3, 3))
    A, W = (V[0], V[1]) if weights == "parts of one" else (sd.symbol("A", (16, 16, 3, 3)), sd.symbol("W", (16, 16, 3, 3)))
    hidden = sd.relu(sd.nn.conv2d(X, A, padding=1))
    loss = sd.sum(sd.mean(sd.relu(sd.nn.conv2d(hidden, W, padding=1)), axis=(2, 3)) ** 2)
    by = [V] if weights == "parts of one" else [A, W]
    outputs = {"value": [loss], "gradients": [loss, *sd.grad(loss, by)], "first": sd.grad(loss, by[:1]),
               "second": sd.grad(loss, by[-1:])}[asked]
    kernel = sd.compile(outputs, [X, *by], cache=False)
    products = [line for line in kernel.loop_ir.splitlines() if "matmul" in line]
    one_part = {"value": 2, "gradients": 5, "first": 4, "second": 3}[asked]
    assert len(products) == (5 if len(by) == 1 and asked != "value" else one_part), kernel.loop_ir
    assert all("gemm" in line and "1152" in line and not line.startswith("    ") for line in products), kernel.loop_ir
    rng = np.random.default_rng(2)
    values = [rng.normal(size=a.shape) / 5 for a in (X, *by)]
    wanted = sd.evaluate(outputs, dict(zip((X, *by), values, strict=True)))
    for ours, theirs in zip(kernel(*values), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_windows_side_by_side_are_stored_for_matrix_products() -> None:
    """A stride as long as the kernel: each axis of an image counts windows and positions in them, which no matrix does."""
    x, w = sd.symbol("x", (8, 3, 16, 16)), sd.symbol("w", (16, 3, 4, 4))
    kernel = sd.compile([*sd.value_and_grad(sd.sum(sd.relu(sd.nn.conv2d(x, w, stride=4)) ** 2), w)], [x, w], cache=False)
    products = [line for line in kernel.loop_ir.splitlines() if "matmul gemm" in line]
    assert len(products) == 2 and all("(128, 16, 48)" in line or "(16, 48, 128)" in line or "(48, 16, 128)" in line
                                      for line in products), kernel.loop_ir


def test_what_is_pooled_lies_like_the_windows_that_read_it() -> None:
    """Images stay whole: of the axis of windows and that in a window, which both tell a row, the longer one says where it lies."""
    x, a, w = sd.symbol("x", (16, 1, 28, 28)), sd.symbol("a", (6, 1, 5, 5)), sd.symbol("w", (16, 6, 5, 5))
    pooled = sd.nn.max_pool2d(sd.relu(sd.nn.conv2d(x, a)), 2)
    kernel = sd.compile(sd.sum(sd.nn.conv2d(pooled, w) ** 2), [x, a, w], cache=False)
    assert "float64[6, 16, 12, 12]" in kernel.loop_ir and "float64[6, 16, 24, 24]" in kernel.loop_ir, kernel.loop_ir


def test_few_outputs_are_convolved_without_windows() -> None:
    x, w = sd.symbol("x", (2, 3, 20, 20)), sd.symbol("w", (2, 3, 3, 3))
    kernel = sd.compile(sd.nn.conv2d(x, w, padding=1), [x, w])
    assert "matmul" not in str(kernel.loop_ir)
    assert "full" not in str(kernel.loop_ir)


@pytest.mark.parametrize("stride,turns", [(1, "in 0 : 3"), (2, "in 0 : 3")])
def test_the_way_back_runs_over_the_window(stride: int, turns: str) -> None:
    x, w = sd.symbol("x", (1, 1, 1, 50)), sd.symbol("w", (1, 1, 1, 3))
    loss = sd.sum(sd.nn.conv2d(x, w, stride=(1, stride)) ** 3)
    text = str(sd.compile(sd.grad(loss, x), [x, w], target="interpreter").loop_ir)
    back = text[text.rindex("for "):]
    assert turns in text and text.count("in 0 : 50") <= 1, back


def up(x: Any) -> Any:
    """Each element four times."""
    return sd.repeat(sd.repeat(x, 2, axis=2), 2, axis=3)


def tokens(x: Any, w: Any) -> Any:
    """Attention among the places of an image."""
    h = x.reshape((2, 3, 36)).mT @ w
    return sd.softmax(h @ h.mT, axis=-1) @ h


def shuffled(x: Any) -> Any:
    """Four channels as one of four times the size."""
    return sd.permute_dims(x.reshape((2, 3, 2, 2, 6, 6)), (0, 1, 4, 2, 5, 3)).reshape((2, 3, 12, 12))


X, V, W, U, T = (sd.symbol(name, shape) for name, shape in (
    ("X", (2, 3, 6, 6)), ("V", (5, 3, 3, 3)), ("W", (4, 5, 3, 3)), ("U", (12, 3, 3, 3)), ("T", (3, 8))))
HIDDEN = sd.nn.conv2d(X, V, padding=1)
NETS = {
    "silu": (sd.nn.conv2d(sd.nn.silu(HIDDEN), W, padding=1), [V, W]),
    "gelu, twice": (sd.nn.conv2d(sd.nn.gelu(sd.nn.conv2d(sd.nn.gelu(HIDDEN), W, padding=1)), W[:, :4]), [V, W]),
    "gated": (sd.nn.conv2d(sd.tanh(HIDDEN) * sd.sigmoid(HIDDEN), W), [V, W]),
    "pools": (sd.nn.avg_pool2d(sd.relu(sd.nn.conv2d(sd.nn.max_pool2d(HIDDEN, 3, 2), W, padding=1)), 2, 1), [V, W]),
    "larger": (sd.nn.conv2d(up(sd.tanh(HIDDEN)), W), [V, W]), "shuffled": (shuffled(sd.nn.conv2d(X, U, padding=1)), [U]),
    "tokens": (tokens(sd.tanh(X), T), [T])}


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_windows_over_steps_cost_a_few_times_the_value(name: str) -> None:
    """What windows add is a step, and so is what they slide over: neither is worked out again at each place of a window."""
    output, weights = NETS[name]
    loss = sd.sum(output**2)
    inputs = [X, *weights]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s.shape) / 3 for s in inputs]
    alone, both = sd.compile(loss, inputs, cache=False), sd.compile([loss, *sd.grad(loss, weights)], inputs, cache=False)
    alone(*values)
    reference = sd.compile([loss, *sd.grad(loss, weights)], inputs, target="numpy")
    for found, wanted in zip(both(*values), reference(*values), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    sd.check_derivatives(loss, weights, at=dict(zip([s.name for s in inputs], values, strict=True)), limit=6)
    # The bound of reverse differentiation (Griewank and Walther, Evaluating Derivatives, 2nd ed., 3.3).
    assert both.stats()["flops"] < 5 * alone.stats()["flops"]


def test_deep_residual_convolutions_take_three_products_each() -> None:
    """A value and two gradients: what later layers hand back is summed before it is multiplied, also for the first layer."""
    def products(depth: int) -> int:
        x, stem = sd.symbol("x", (2, 3, 8, 8)), sd.symbol("stem", (8, 3, 3, 3))
        weights = [sd.symbol(f"w{k}", (8, 8, 3, 3)) for k in range(2 * depth)]
        stream = sd.nn.conv2d(x, stem, padding=1)
        for first, second in zip(weights[::2], weights[1::2], strict=True):
            inner = sd.nn.conv2d(stream, first, padding=1)
            inner = inner - sd.mean(inner, axis=(0, 2, 3), keepdims=True)
            stream = stream + sd.nn.conv2d(sd.relu(inner), second, padding=1)
        loss = sd.mean(sd.mean(stream, axis=(2, 3))**2)
        inputs = [x, stem, *weights]
        kernel = sd.compile([loss, *sd.grad(loss, [stem, *weights])], inputs, cache=False)
        rng = np.random.default_rng(0)
        values = [rng.normal(size=s.shape) / 5 for s in inputs]
        wanted = sd.evaluate([loss, *sd.grad(loss, [stem, *weights])], dict(zip(inputs, values, strict=True)))
        for mine, right in zip(kernel(*values), wanted, strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-11)
        return kernel.loop_ir.count("matmul")
    assert products(5) - products(3) <= 3 * 4


@pytest.mark.parametrize(("images", "pixels"), [(5, (40, 44)), (12, (33, 40)), (70, (16, 16))])
def test_images_are_convolved_one_by_one(images: int, pixels: tuple[int, int]) -> None:
    """Where the windows of all images are more than the cache holds, a tile is one image; threads give the same bits."""
    x, y = sd.symbol("x", (images, 2, *pixels), "float32"), sd.symbol("y", (images, 9), "float32")
    first, second = sd.symbol("first", (16, 2, 3, 3), "float32"), sd.symbol("second", (9, 16, 3, 3), "float32")
    h = sd.relu(sd.nn.conv2d(x, first, padding=1))
    seen = sd.mean(sd.tanh(sd.nn.conv2d(h, second, padding=1)), axis=(2, 3))
    loss = sd.sum((seen - y)**2)
    outputs = [loss, *sd.grad(loss, [first, second])]
    symbols = [x, first, second, y]
    kernels = [sd.compile(outputs, symbols, threads=k) for k in (1, 2)]
    assert "tiles of 1 rows" in kernels[0].explain()
    assert kernels[0].stats()["scratch_bytes"] < 12e6
    rng = np.random.default_rng(images)
    values = [rng.normal(size=s.shape).astype("f") * (0.3 if s.ndim == 4 else 1) for s in symbols]
    wanted = sd.evaluate(outputs, dict(zip(symbols, [v.astype("float32") for v in values], strict=True)))
    found = [f(*values) for f in kernels]
    for one, two, theirs in zip(*found, wanted, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, theirs, rtol=2e-3, atol=2e-4 * np.max(np.abs(theirs)))


def test_lanes_do_not_write_to_one_place_of_the_cache() -> None:
    """Windows of channels whole pages apart are written row by row in float32, of which 16 lanes would want one place."""
    x, a, w = (sd.symbol(name, shape, "float32") for name, shape in (
        ("x", (32, 3, 8, 8)), ("a", (32, 3, 3, 3)), ("w", (32, 32, 3, 3))))
    loss = sd.sum(sd.nn.conv2d(sd.relu(sd.nn.conv2d(x, a, padding=1)), w, padding=1) ** 2)
    lines = sd.compile(loss, [x, a, w], cache=False).loop_ir.splitlines()
    windows = [k for k, line in enumerate(lines) if "= select(" in line]
    assert len(windows) == 2
    for k in windows:
        lane = next(line.split()[1] for line in reversed(lines[:k]) if line.endswith(" lane"))
        assert f", {lane}] = select(" in lines[k], lines[k]
