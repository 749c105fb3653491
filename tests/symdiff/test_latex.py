"""LaTeX and ASCII: what TeX takes, names that stay apart, what notebooks show."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.functions import REDUCTIONS, ROWS, ScalarRow
from symdiff.printing import document, formula, latex
from symdiff.printing.other_styles import AsciiStyle, LatexStyle
from symdiff.printing.pieces import ATOM, Piece
from tests.fuzz_graphs import flat, generate
from tests.symdiff.latex_reader import faults, render

n, d, k = sd.dims("n d k")
x, y, w = sd.symbol("x", n), sd.symbol("y", n), sd.symbol("w", d)
X, A, T = sd.symbol("X", (n, d)), sd.symbol("A", (d, d)), sd.symbol("T", (n, d, k))
a, b = sd.symbols("a b")


def named(name: str, shape: Any = ()) -> Any:
    return sd.symbol(name, shape)


LOOKS: list[tuple[Callable[[], Any], str]] = [
    (lambda: named("x1", 9)[1:], "{x_{1}}_{1:}"),
    (lambda: named("W1", (9, 9))[1:, 2:], "{W_{1}}_{1:,2:}"),
    (lambda: named("x_train", 9)[1:], r"{x_{\mathrm{train}}}_{1:}"),
    (lambda: named("theta_1", 9)[1:] ** 2, r"{\theta_{1}}_{1:}^{2}"),
    (lambda: sd.floor(x), r"\left\lfloor x\right\rfloor"),
    (lambda: sd.ceil(2 * x), r"\left\lceil2 x\right\rceil"),
    (lambda: x // y, r"\left\lfloor \frac{x}{y}\right\rfloor"),
    (lambda: sd.exp2(x) ** 2, r"\left(2^{x}\right)^{2}"),
    (lambda: sd.where(x > 0, x, y) ** 2,
     r"\left(\begin{cases}x & \text{if } x > 0 \\ y & \text{otherwise}\end{cases}\right)^{2}"),
    (lambda: sd.where(A > 0, A, 1).T @ w,
     r"\left(\begin{cases}A & \text{if } A > 0 \\ 1 & \text{otherwise}\end{cases}\right)^{\top} w"),
    (lambda: (T + 1) ** T, r"\left(T + 1\right)^{T}"),
    (lambda: a * np.nan, r"\mathrm{nan} a"),
    (lambda: named("lambda") + named("lam"), r"\lambda + \mathrm{lam}"),
    (lambda: named("θ") * named("Δt"), r"\theta \Delta_{t}"),
    (lambda: named("θ") * named("theta"), r"\theta \mathrm{theta}"),
    (lambda: named("w") * named("w_"), r"w \mathrm{w\_}"),
    (lambda: named("w1") * named("w_1"), r"w_{1} \mathrm{w\_1}"),
    (lambda: named("sigma") * (a + 1) + sd.sigmoid(a + 1),
     r"\sigma \left(a + 1\right) + \operatorname{sigmoid}\left(a + 1\right)"),
    (lambda: sd.sigmoid(a + 1), r"\sigma\left(a + 1\right)"),
    (lambda: a / (n * n) + b * (n // 2), r"\frac{a}{n^{2}} + b \left\lfloor \frac{n}{2}\right\rfloor"),
]


@pytest.mark.parametrize(("build", "wanted"), LOOKS, ids=[text for _, text in LOOKS])
def test_looks(build: Callable[[], Any], wanted: str) -> None:
    assert latex(build()) == wanted and faults(wanted) == []


@pytest.mark.parametrize("name", [*ROWS, *REDUCTIONS])
def test_rows_in_both_styles(name: str) -> None:
    """The templates of each row over letters: symbols that a person can type, and LaTeX that is read and drawn."""
    row = {**ROWS, **REDUCTIONS}[name]
    assert AsciiStyle([]).template(row).isascii()
    arguments = [Piece(letter, ATOM, name=True) for letter in "xyz"[:row.arity if isinstance(row, ScalarRow) else 1]]
    style = LatexStyle([])
    text = style.call(row, arguments).text if isinstance(row, ScalarRow) else re.sub(
        r"\{\{|\}\}|\{0\}", lambda m: {"{{": "{", "}}": "}"}.get(m[0], "x"), style.template(row))
    assert faults(text) == []
    render(text)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    for root in flat(generate(seed).build()[1]):
        assert faults(formula(root, style="latex")) == []
        assert formula(root, style="ascii").isascii()


def test_a_loop_over_rows_without_a_matrix_form_names_them() -> None:
    Y = sd.symbol("Y", (5, 3, 3))
    _, rows = sd.scan(lambda c, s: (sd.sin(s) * c, c), sd.cos(Y[0]), Y)
    assert "t3[i,j,k<3] = P[i,j]" in formula(sd.grad(sd.sum(sd.softplus(sd.sum(rows, axis=2))), Y))


def test_a_sum_of_terms_times_zero() -> None:
    assert formula(0.0 * x + 0.0 * y) == "0 x + 0 y"


def test_bodies_of_loops_are_written_as_other_formulas() -> None:
    root = sd.grad(sd.sum(sd.scan(lambda c, s: (sd.tanh(c * s), c), 0.5, x)[1]), x)
    text = latex(root)
    assert faults(text) == [] and "; 1 - h^{2}" in text and "sech" not in text + formula(root)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_matplotlib_renders(seed: int) -> None:
    formulas, where = document(flat(generate(seed).build()[1]), "latex")
    for text in [*formulas, *where]:
        render(text)


@pytest.mark.parametrize(("text", "fault"), [
    ("x_{1}_{2}", "double _"), ("2^{x}^{2}", "double ^"), ("x^{a}_{b}^{c}", "double ^"), ("x_{1} _{2}", "double _"),
    (r"\left(x", r"\left stays open"), (r"\frac{1}{2", "{} stays open"), (r"\left\lfloorx\right\rfloor", r"unknown \lfloorx"),
    (r"x}{", "} {} closes nothing"), (r"\left(\frac{x\right)}{y}", r"\right \left closes nothing"), ("θ", "no ASCII: θ"),
])
def test_the_reader_finds_faults(text: str, fault: str) -> None:
    assert fault in faults(text)


def test_ascii_spells_names() -> None:
    product = named("theta") * named("θ") * named("µ") * named("μ_1")
    words = formula(product, style="ascii").split()
    assert sorted(words) == ["mu", "mu_1", "theta", "theta_2"]


def test_names_of_the_where_block_look_like_no_symbol() -> None:
    z = sd.sigmoid(x + y)
    taken = [named(name, n) for name in ("p", "q", "g", "p_2")]
    text = latex(sum(taken, z * (1 - z)))
    name = re.search(r"where \} (\S+) =", text)
    assert name is not None and name[1] not in [latex(s) for s in taken] and r"p_{2}" in text


def test_labels_of_a_derivation_are_those_of_its_formulas() -> None:
    one, two = named("w1", n), named("w_1", n)
    lines = sd.derivation(sd.sum((one - two) ** 4), [one, two], order=1).latex.split("\n")
    assert lines[3].startswith(r"\nabla_{\mathrm{w\_1}} L") and r"w_{1} - \mathrm{w\_1}" in lines[4]


def test_notebooks() -> None:
    loss = sd.sum(sd.where(x < y, x, y))
    assert x._repr_latex_() == r"$\displaystyle x$"
    shown = sd.derivation(loss, x)
    assert "where(x &lt; y, x, y)" in shown._repr_html_() and "<y" not in shown._repr_html_()
    assert faults(shown._repr_latex_().strip("$")) == []
