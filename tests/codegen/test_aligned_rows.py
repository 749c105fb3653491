"""Long rows are read by whole lines of the cache; what is computed does not depend on where they begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import symdiff as sd
from codegen.backends.native_code import machine
from codegen.emitters.llvm.aligned_rows import LEAST_BYTES
from codegen.emitters.llvm.module import emit
from codegen.emitters.llvm.processor import Processor

LINE = 64
LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "squares": lambda X, y, w: sd.sum((X @ w - y) ** 2),
    "logistic": lambda X, y, w: sd.sum(sd.softplus(X @ w) - y * (X @ w)),
    "largest": lambda X, y, w: sd.sum(sd.max(X * w, axis=1) * y),
    "distances": lambda X, y, w: sd.sum(y * sd.exp(-sd.sum((X - w) ** 2, axis=1) / 1000)),
}


def behind_line(a: np.ndarray[Any, Any], elements: int) -> np.ndarray[Any, Any]:
    """The same numbers so many elements behind the begin of a line."""
    memory = np.empty(a.size + 2 * LINE // a.itemsize, a.dtype)
    first = -memory.ctypes.data % LINE // a.itemsize + elements
    moved = memory[first:first + a.size].reshape(a.shape)
    moved[...] = a
    assert moved.ctypes.data % LINE == elements * a.itemsize
    return moved


@pytest.fixture(params=[16, 32, 64])
def vector_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a vector: no more than the processor has."""
    least: int = min(request.param, machine().processor.vector_bytes)
    monkeypatch.setattr(machine(), "processor", replace(machine().processor, vector_bytes=least))
    return least


@pytest.mark.usefixtures("vector_bytes")
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("told", [True, False], ids=["columns", "named"])
@pytest.mark.parametrize(("columns", "dtype"), [(1000, "float64"), (1003, "float64"), (2064, "float32")])
def test_results_are_the_same_wherever_rows_begin(name: str, columns: int, dtype: str, told: bool) -> None:
    size = columns if told else sd.dim("aligned_columns")
    X, y, w = sd.symbol("X", ("rows", size), dtype), sd.symbol("y", "rows", dtype), sd.symbol("w", size, dtype)
    loss = LOSSES[name](X, y, w)
    f = sd.compile([loss, sd.grad(loss, w)], [X, y, w], cache=False)
    rng = np.random.default_rng(7)
    for rows, count in ((70, columns), (4, columns), (11, columns), *([] if told else [(9, 7), (9, 16), (9, 776), (5, 751)])):
        a, b, c = (np.asarray(rng.standard_normal(shape), dtype) for shape in ((rows, count), rows, count))
        expected = [np.asarray(v) for v in f(behind_line(a, 0), b, c)]
        for elements in range(1, LINE // a.itemsize):
            for got, right in zip(f(behind_line(a, elements), b, c), expected, strict=True):
                np.testing.assert_array_equal(got, right)
        given = dict(zip("Xyw", (a, b, c), strict=True))
        for value, right in zip(expected, (sd.evaluate(e, given) for e in (loss, sd.grad(loss, w))), strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-3 if dtype == "float32" else 1e-11,
                                       atol=1e-6 * float(np.max(np.abs(right))))


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize(("columns", "aligned"), [(1000, True), (LEAST_BYTES // 8, False), (1003, False), (200, False)])
def test_rows_all_of_which_begin_alike_are_read_by_lines(lanes: int, columns: int, aligned: bool) -> None:
    X, y, w = sd.symbol("X", ("n", columns)), sd.symbol("y", "n"), sd.symbol("w", columns)
    program = sd.compile(list(sd.value_and_grad(sd.sum((X @ w - y) ** 2), [w])), [X, y, w]).planned({"n": 1_000_000}).program
    assert ("ptrtoint ptr %a0" in emit(program, Processor(8 * lanes))) is aligned
