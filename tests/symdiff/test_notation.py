"""Notation: that printed formulas can be read in one way alone, and name what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import symdiff as sd
from symdiff.printing import formula, text_of

n, d, k = sd.dims("n d k")
x, y = sd.symbol("x", n), sd.symbol("y", n)
w, v = sd.symbol("w", d), sd.symbol("v", d)
X = sd.symbol("X", (n, d))
A, B, C = (sd.symbol(name, (d, d)) for name in "ABC")
a, b, c = sd.symbols("a b c")

LOOKS = [
    (lambda: A / (B * C), "A / (B ⊙ C)"),
    (lambda: sd.grad(sd.sum(sd.log(1 + x**2 / y)), x), "2 x / (y ⊙ (1 + x² / y))"),
    (lambda: A / (a * B * b), "A / (a b B)"),
    (lambda: sd.xlogy(A, B), "A ⊙ log(B)"),
    (lambda: sd.sum(sd.xlogy(x, y)), "xᵀ log(y)"),
    (lambda: sd.grad(sd.sum(sd.hypot(x, y)), x), "x / hypot(x, y)"),
    (lambda: sd.sum(w**2) ** 1.5, "‖w‖³"),
    (lambda: sd.sum(w**2) ** a, "(‖w‖²)^a"),
    (lambda: sd.sum(w**2) ** -1.5, "1 / ‖w‖³"),
    (lambda: sd.full((n,), 0.75), "3 / 4"),
    (lambda: sd.full((n, 1, d), 2.5), "5 / 2"),
    (lambda: sd.concat([sd.zeros(1), sd.ones(n)]), "[0; ones(n)]"),
    (lambda: a * (n // 2), "a ⌊n / 2⌋"),
    (lambda: a / (n * n), "a / n²"),
    (lambda: a * (n * n - 1), "a (n² - 1)"),
    (lambda: sd.mean(A) * sd.mean(w), "sum(A) sum(w) / d³"),
    (lambda: sd.grad(sd.sum((X @ w - y) ** 2) / (2 * n), w), "Xᵀ (X w - y) / n"),
    (lambda: 0.4999999999999999 * a, "0.5 a"),
    (lambda: x * x**2 / (y * y**2 * a), "x³ / (a y³)"),
]


@pytest.mark.parametrize(("build", "wanted"), LOOKS, ids=[text for _, text in LOOKS])
def test_looks(build: Callable[[], Any], wanted: str) -> None:
    assert text_of(build()) == wanted


def test_a_named_comparison_stands_in_parentheses() -> None:
    long_name = sd.symbol("measurement", n)
    same = sd.where(long_name == 0, x, y) * sd.where(long_name == 0, sd.sin(x), y)
    assert text_of(same).endswith("where t1 = (measurement = 0)")


def test_latex_divides_element_by_element() -> None:
    assert formula(A / (B * C), style="latex") == r"\frac{A}{B \odot C}"
