"""The meaning of printed formulas: a reader that knows nothing of expressions finds what the expressions mean."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.expression import Node
from symdiff.printing import document
from symdiff.reference import evaluate_nodes
from symdiff.traversal import symbols_of
from tests.symdiff.formula_reader import Reader

PATH = Path(__file__).parents[2] / "examples" / "gallery.py"
SPEC = importlib.util.spec_from_file_location("gallery", PATH)
assert SPEC is not None and SPEC.loader is not None
gallery: Any = sys.modules.get("gallery") or importlib.util.module_from_spec(SPEC)
if "gallery" not in sys.modules:
    sys.modules["gallery"] = gallery
    SPEC.loader.exec_module(gallery)
SIZES = gallery.SIZES


def agree(roots: Sequence[Node], arrays: dict[Any, Any], style: str) -> None:
    """Check that the formulas of expressions are worth what the expressions are."""
    formulas, where = document(roots, style)
    reader = Reader({name: float(size) for name, size in SIZES.items()} | {s.name: v for s, v in arrays.items()})
    with np.errstate(all="ignore"):
        for line in where:
            reader.define(line)
        for text, wanted in zip(formulas, evaluate_nodes(roots, arrays, SIZES), strict=True):
            found = reader.formula(text, wanted.shape)
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=text)


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_gallery(name: str) -> None:
    problem = gallery.GALLERY[name].build()
    roots = [node for _, _, node in sd.derivation(problem.loss, problem.wrt).rows()]
    symbols = symbols_of(roots)
    values = gallery.sample(problem, symbols)
    agree(roots, {s: values[s.name] for s in symbols}, "matrix")
    agree(roots[:2], {s: values[s.name] for s in symbols}, "index")
