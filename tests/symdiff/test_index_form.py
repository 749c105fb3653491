"""The index form: ranges of labels, conditions on reads outside an axis, indices put into one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import symdiff as sd
from symdiff.printing import formula

n, d, k = sd.dims("n d k")
x, w = sd.symbol("x", n), sd.symbol("w", d)
a = sd.symbol("a")
A = sd.symbol("A", (d, d))
T = sd.symbol("T", (d, d, k))
F = sd.symbol("T", (4, 4, 6))
G = sd.symbol("T", (4, 5, 6))

LOOKS = [
    (lambda: a * sd.einsum("iij->", T) ** 2, "matrix", "a (Σ[i,j] T[i,i,j])²"),
    (lambda: sd.exp(sd.einsum("iij->", T)) * x, "matrix", "exp(Σ[i,j] T[i,i,j]) x"),
    (lambda: sd.einsum("iij->", F), "matrix", "Σ[i,j] T[i,i,j]"),
    (lambda: sd.einsum("iij->", F[:2, :2]), "matrix", "Σ[i<2,j] T[i,i,j]"),
    (lambda: sd.sum(x[:-2] ** 2), "index", "Σ[i<n-2] x[i]²"),
    (lambda: sd.sum(x[1:] ** 2), "index", "Σ[i<n-1] x[i + 1]²"),
    (lambda: sd.max(x[1:]), "index", "max[i<n-1] x[i + 1]"),
    (lambda: x[::-1], "index", "i<n ↦ x[n - i - 1]"),
    (lambda: sd.sum(sd.concat([x, w])), "matrix", "sum(x) + sum(w)"),
    (lambda: sd.concat([x, w]), "index", "i<n+d ↦ [i < n] x[i] + [i ≥ n] w[i - n]"),
    (lambda: sd.tril(A), "index", "i,j ↦ A[i,j] [i ≥ j]"),
    (lambda: (G[::-2] - sd.logsumexp(G[:2], axis=2, keepdims=True))[::-1], "matrix",
     "i<2,j,k ↦ T[2 i + 1,j,k] - logsumexp(T[:2], axis=2)[1 - i,j]"),
    (lambda: (G[::-1] - sd.logsumexp(G, axis=2, keepdims=True))[::-1], "matrix",
     "i,j,k ↦ T[i,j,k] - logsumexp(T, axis=2)[3 - i,j]"),
    (lambda: sd.concat([x, w]), "latex", r"\begin{bmatrix} x \\ w \end{bmatrix}"),
    (lambda: sd.sum(x[:-2] ** 2), "ascii", "norm(x[:-2])^2"),
    (lambda: sd.einsum("iij->", F[:2, :2]), "latex", r"\sum_{i<2,j} T_{i,i,j}"),
]


@pytest.mark.parametrize(("build", "style", "wanted"), LOOKS, ids=[f"{text}, {style}" for _, style, text in LOOKS])
def test_looks(build: Callable[[], Any], style: str, wanted: str) -> None:
    assert formula(build(), style=style) == wanted


def test_a_read_outside_an_axis_has_a_condition() -> None:
    text = formula(sd.grad(sd.sum(sd.concat([x, x**2]) ** 2), x))
    assert "i + -n" not in text and "x[i + n]" not in text
    assert formula(sd.concat([x, x**2]), style="index") == "i<2 n ↦ [i < n] x[i] + [i ≥ n] x[i - n]²"


def test_many_labels_are_never_called_like_names() -> None:
    named = sd.symbol("i1", (3, 3, 3))
    total = sum((sd.einsum("ijk,ijk->", named, named**p) * sd.einsum("jji->", named) for p in range(2, 12)), start=a)
    text = formula(total)
    assert "j1" in text and "i1," not in text and "[i1" not in text
