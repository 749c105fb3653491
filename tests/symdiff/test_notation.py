"""Notation: that printed formulas can be read in one way alone, and name what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.printing import formula, text_of

n, d, k = sd.dims("n d k")
x, y = sd.symbol("x", n), sd.symbol("y", n)
w, v = sd.symbol("w", d), sd.symbol("v", d)
X = sd.symbol("X", (n, d))
A, B, C = (sd.symbol(name, (d, d)) for name in "ABC")
q = sd.symbol("q", (4, 3))
a, b, c = sd.symbols("a b c")

LOOKS = [
    (lambda: A / (B * C), "A / (B ⊙ C)"),
    (lambda: sd.grad(sd.sum(sd.log(1 + x**2 / y)), x), "2 x / (y ⊙ (1 + x² / y))"),
    (lambda: A / (a * B * b), "A / (a b B)"),
    (lambda: sd.xlogy(A, B), "A ⊙ log(B)"),
    (lambda: sd.sum(sd.xlogy(x, y)), "xᵀ log(y)"),
    (lambda: sd.grad(sd.sum(sd.hypot(x, y)), x), "x / √(x² + y²)"),
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
    (lambda: sd.logsumexp(sd.broadcast_to(w, (n, d)), axis=0), "logsumexp(ones(n) wᵀ, axis=0)"),
    (lambda: sd.softmax(sd.broadcast_to(w, (n, d)), axis=0), "1 exp(w - logsumexp(ones(n) wᵀ, axis=0))ᵀ"),
    (lambda: sd.prod(sd.broadcast_to(a, (n,))), "prod(a ones(n))"),
    (lambda: sd.logsumexp(sd.zeros(n)), "logsumexp(zeros(n))"),
    (lambda: sd.concat([sd.full((n,), a), w]), "[a ones(n); w]"),
    (lambda: sd.hessian(sd.var(y), y), "2 (I / n - 1 1ᵀ / n²)"),
    (lambda: sd.hessian(w @ A @ w + c * (sd.sum(w) - 1) ** 2, w), "A + Aᵀ + 2 c 1 1ᵀ"),
    (lambda: X - sd.mean(X, axis=0), "X - 1 1ᵀ X / n"),
    (lambda: w - w[:, None], "1 wᵀ - w 1ᵀ"),
    (lambda: 1 - X, "1 - X"),
    (lambda: w + a, "w + a"),
    (lambda: X + w, "X + w"),
    (lambda: sd.exp(X - a), "exp(X - a)"),
    (lambda: sd.symbol("I", (d, d)) @ A + sd.eye(d), "I A + eye(d)"),
    (lambda: sd.mean((x - sd.symbol("n")) ** 2), "‖x - n‖² / n_size"),
    (lambda: sd.tril(A) @ w, "tril(A) w"),
    (lambda: sd.triu(A, 1), "triu(A, 1)"),
    (lambda: sd.grad(sd.sum((sd.tril(A) @ w) ** 2), A), "2 tril(tril(A) w wᵀ)"),
    (lambda: sd.clip(x, -1, 1), "clip(x, -1, 1)"),
    (lambda: sd.grad(sd.relu(sd.sum((w - v) ** 2) - sd.sum((w + v) ** 2)), w),
     "-4 [‖w - v‖² - ‖w + v‖² > 0] v"),
    (lambda: A**2 * (B @ C + B) + A * B * (C @ C + C), "(B C + B) ⊙ A² + A ⊙ B ⊙ (C C + C)"),
    (lambda: q.reshape(12) * sd.symbol("p", 12), "reshape(q, 12) ⊙ p"),
    (lambda: q.reshape(2, 6), "reshape(q, (2, 6))"),
    (lambda: X.reshape(-1), "reshape(X, n d)"),
    (lambda: sd.sum(q.reshape(3, 4) * sd.symbol("r", (3, 4))), "sum(reshape(q, (3, 4)) ⊙ r)"),
    (lambda: x[::2], "x[::2]"),
    (lambda: x[1::2], "x[1::2]"),
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


def test_constants_have_names() -> None:
    one, two = sd.constant(np.arange(6.0)), sd.constant(np.arange(6.0) / 3)
    u = sd.symbol("u", 6)
    where = "\n  where c1 = constant((6,))\n        c2 = constant((6,))"
    assert text_of((u @ one) * (u @ two)) == "(uᵀ c1) uᵀ c2" + where
    assert text_of(one * u - two * u) == "c1 ⊙ u - c2 ⊙ u" + where


def test_a_named_part_is_not_called_like_a_size() -> None:
    text = str(sd.derivation(sd.sum((X @ w - y) ** 2) * sd.dim("r"), w, order=1))
    assert text == "L    = r ‖e‖²\n∇w L = 2 r Xᵀ e\n  where e = X w - y"


def test_a_derivation_names_the_loss_like_nothing_else() -> None:
    matrix = sd.symbol("L", (d, d), symmetric=True)
    text = str(sd.derivation(w @ matrix @ w, w))
    assert text.startswith("F     = wᵀ L w\n∇w F  = 2 L w")
    assert r"\nabla_{w} F" in sd.derivation(w @ matrix @ w, w).latex


def test_a_sum_inside_a_sum_keeps_its_name() -> None:
    himmelblau = (a**2 + b - 11) ** 2 + (a + b**2 - 7) ** 2
    lines = str(sd.derivation(himmelblau, [a, b], order=1)).split("\n")
    assert lines == ["L    = s² + c²", "∇a L = 2 (c + 2 s a)", "∇b L = 2 (2 c b + s)",
                     "  where s = a² + b - 11", "        c = a + b² - 7"]


def test_terms_of_a_sum_without_a_name_stay_as_they_are() -> None:
    assert text_of(sd.sum(sd.exp(x + y)) + sd.sum(x + y + 1)) == "sum(exp(x + y)) + sum(x + y + 1)"


def test_names_are_spelled_as_python_spells_keywords() -> None:
    eps, mu = sd.symbol("\u03f5"), sd.symbol("\u00b5")  # as editors complete \\epsilon, and as keyboards write µ
    kernel = sd.compile(eps * mu, [eps, mu])
    assert kernel(**{"\u03b5": 2.0, "\u03bc": 3.0}) == kernel(**{"\u03f5": 2.0, "\u00b5": 3.0}) == 6
    assert sd.evaluate(eps * mu, {"\u03f5": 2.0, "\u00b5": 3.0}) == 6
    assert sd.symbol("\u03bc") is mu and sd.dim("\u03f5n") == sd.dim("\u03b5n")


def test_results_are_no_arguments() -> None:
    x, given = sd.symbol("x", 3), np.ones(3)
    one, other = sd.evaluate([x, x], {x: given})
    assert not np.shares_memory(one, given) and not np.shares_memory(one, other)
