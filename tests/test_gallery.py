"""The gallery: golden formulas of each loss, gradient and Hessian; and the NumPy style of each equals its meaning."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symdiff.derivations import Derivation, derive_all
from symdiff.printing import document, formula
from symdiff.reference import evaluate_nodes
from symdiff.traversal import symbols_of
from tests.symdiff.latex_reader import faults, render

PATH = Path(__file__).parents[1] / "examples" / "gallery.py"
SPEC = importlib.util.spec_from_file_location("gallery", PATH)
assert SPEC is not None and SPEC.loader is not None
gallery: Any = importlib.util.module_from_spec(SPEC)
sys.modules["gallery"] = gallery
SPEC.loader.exec_module(gallery)
NAMES = sorted(gallery.GALLERY)
LONGEST = 1600
Derivations = dict[str, tuple[Any, Derivation]]


@pytest.fixture(scope="module")
def derivations() -> Derivations:
    problems = {name: gallery.GALLERY[name].build() for name in NAMES}
    return {name: (p, derive_all(p.loss, p.wrt)) for name, p in problems.items()}


def test_there_are_forty() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_formulas(name: str, derivations: Derivations, golden: Callable[[str, str], None]) -> None:
    text = f"{gallery.GALLERY[name].title}\n\n{derivations[name][1]}"
    assert len(text) < LONGEST
    golden(f"gallery/{name}.txt", text)


@pytest.mark.parametrize("name", NAMES)
def test_numpy_style(name: str, derivations: Derivations) -> None:
    problem, result = derivations[name]
    roots = [node for _, _, node in result.rows()]
    symbols = symbols_of(roots)
    values = gallery.sample(problem, symbols)
    arrays = {s: values[s.name] for s in symbols}
    space: dict[str, Any] = {}
    exec(formula(roots, style="numpy"), space)
    sizes = {size: gallery.SIZES[size] for size in list(inspect.signature(space["f"]).parameters)[len(symbols):]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = space["f"](*[arrays[s] for s in symbols], **sizes)
    for value, wanted in zip(found, evaluate_nodes(roots, arrays, gallery.SIZES), strict=True):
        assert (np.shape(value), np.asarray(value).dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_latex(name: str, derivations: Derivations) -> None:
    result = derivations[name][1]
    assert faults(result.latex) == [] and r"\begin{aligned}" in result.latex
    formulas, where = document([node for _, _, node in result.rows()], "latex")
    for text in [*formulas, *where]:
        render(text)
