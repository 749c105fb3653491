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
    # One copy of the windows serves the value and the gradient by the weights, and one sum of nine terms goes back to x.
    assert text.count("float64[8, 10, 10, 4, 3, 3]") == 2
    assert text.count("select(") == 2


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
