"""Whether data is cut into tiles: by what is read from memory, whether sizes have names or are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

MODELS: dict[str, Callable[[Any, Any, Any], list[Any]]] = {
    "squares": lambda X, y, w: [loss := sd.sum((X @ w - y) ** 2), sd.grad(loss, w)],
    "logistic": lambda X, y, w: [loss := sd.mean(sd.softplus(-y * (X @ w))), sd.grad(loss, w)],
    "hinge": lambda X, y, w: [loss := sd.mean(sd.maximum(1 - y * (X @ w), 0) ** 2) + sd.sum(w**2), sd.grad(loss, w)],
    "product": lambda X, y, w: [sd.hvp(sd.mean(sd.softplus(-y * (X @ w))), w, sd.ones(w.shape))],
}


def passes_of(name: str, rows: Any, columns: Any, sizes: dict[str, int]) -> int:
    """How many passes over the data a model takes."""
    X, y, w = sd.symbol("X", (rows, columns)), sd.symbol("y", rows), sd.symbol("w", columns)
    sections = sd.compile(MODELS[name](X, y, w), [X, y, w]).planned(sizes).program.sections
    return sum(1 for section in sections if section.kind == "range")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("rows", "columns"), [(1_000_000, 32), (20_000, 200), (20_000, 1000), (25_000, 100)])
def test_data_that_is_read_twice_goes_through_once_whether_its_sizes_have_names(name: str, rows: int, columns: int) -> None:
    named = passes_of(name, "cut_rows", "cut_columns", {"cut_rows": rows, "cut_columns": columns})
    assert passes_of(name, rows, columns, {}) == named == 1


@pytest.mark.parametrize("name", MODELS)
def test_data_that_the_cache_holds_is_not_cut(name: str) -> None:
    assert passes_of(name, 200, 10, {}) == 0


def test_what_is_read_once_is_not_cut() -> None:
    A, x = sd.symbol("A", (20_000, 200)), sd.symbol("x", 200)
    program = sd.compile([A @ x, sd.sum(x**2)], [A, x]).planned().program
    assert all(section.kind != "range" for section in program.sections)


def test_the_gradient_of_data_with_numbers_for_sizes() -> None:
    rng = np.random.default_rng(0)
    X, y, w = sd.symbol("X", (20_000, 200)), sd.symbol("y", 20_000), sd.symbol("w", 200)
    values = rng.normal(size=(20_000, 200)), np.sign(rng.normal(size=20_000)), rng.normal(size=200)
    for name in MODELS:
        outputs = MODELS[name](X, y, w)
        for found, expected in zip(sd.compile(outputs, [X, y, w])(*values), sd.evaluate(
                outputs, dict(zip("Xyw", values, strict=True))), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
