"""The meaning of printed formulas: a reader that knows nothing of expressions finds what the expressions mean."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.expression import Constant, Node
from symdiff.printing import document
from symdiff.reference import evaluate_nodes
from symdiff.sizes import Dim, value_of
from symdiff.traversal import symbols_of, topological
from tests.symdiff import test_index_form, test_notation, test_printing
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
    sizes = {name: float(size) for name, size in SIZES.items()}
    symbols = {s.name: values.astype(float) if values.dtype == "float32" else values for s, values in arrays.items()}
    reader = Reader({f"size {name}": size for name, size in sizes.items()} | sizes | symbols)
    with np.errstate(all="ignore"):
        for line in where:
            reader.define(line)
        for text, wanted in zip(formulas, evaluate_nodes(roots, arrays, SIZES), strict=True):
            found = reader.formula(text, wanted.shape)
            tolerance = 1e-5 if wanted.dtype == "float32" else 1e-9
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=text)


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_gallery(name: str) -> None:
    problem = gallery.GALLERY[name].build()
    roots = [node for _, _, node in sd.derivation(problem.loss, problem.wrt).rows()]
    symbols = symbols_of(roots)
    values = gallery.sample(problem, symbols)
    agree(roots, {s: values[s.name] for s in symbols}, "matrix")
    agree(roots[:2], {s: values[s.name] for s in symbols}, "index")


LOOKS: list[tuple[Any, ...]] = [*test_printing.LOOKS, *test_notation.LOOKS, *test_index_form.LOOKS]


def tells_all(build: Callable[[], Any]) -> bool:
    """Whether a formula holds no known array, whose values it would not tell."""
    return not any(isinstance(node, Constant) and not isinstance(node.value, (str, Dim)) for node in topological([build()]))


BUILDS: list[Callable[[], Any]] = [b for b in (*(build for build, *_ in LOOKS), *test_printing.SHAPES) if tells_all(b)]


@pytest.mark.parametrize("style", ["matrix", "index"])
@pytest.mark.parametrize("build", BUILDS, ids=range(len(BUILDS)))
def test_expressions(build: Callable[[], Any], style: str) -> None:
    root = build()
    rng = np.random.default_rng(0)
    arrays = {}
    for s in symbols_of([root]):
        shape = tuple([value_of(size, SIZES) for size in s.shape])
        values = rng.uniform(0.3, 2.0, shape) * (1 if "float" in s.dtype else 3)
        arrays[s] = np.asarray(values > 3 if s.dtype == "bool" else values).astype(s.dtype)
    agree([root], arrays, style)


def test_quotients_divide() -> None:
    """x / y is 1 where x is y, which x · (1 / y) is not at 49: what is between whole numbers hangs on it."""
    x, y = sd.symbol("x", "n"), sd.symbol("y", "n")
    at = {x: np.array([49.0, 98.0, 147.0, 3.0]), y: np.full(4, 49.0)}
    np.testing.assert_array_equal(sd.evaluate(sd.floor(x / y), at), [1, 2, 3, 0])
    np.testing.assert_array_equal(sd.evaluate(sd.grad(sd.sum(sd.mod(x, y)), y), at), [-1, -2, -3, 0])
    np.testing.assert_array_equal(sd.compile(sd.floor(x / y), inputs=[x, y])(at[x], at[y]), [1, 2, 3, 0])
