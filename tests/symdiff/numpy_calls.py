"""Running the NumPy source of expressions, to be compared with what the expressions mean."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.printing import formula
from symdiff.reference import evaluate_nodes
from symdiff.traversal import symbols_of

Array = np.ndarray[Any, Any]


def called(roots: Sequence[Any], arrays: Mapping[Any, Array], sizes: Mapping[str, int]) -> list[Any]:
    """What the NumPy source returns for arrays by symbol, with warnings as errors."""
    symbols = symbols_of(roots)
    space: dict[str, Any] = {}
    exec(formula(list(roots), style="numpy"), space)
    missing = list(inspect.signature(space["f"]).parameters)[len(symbols):]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result: list[Any] = space["f"](*[arrays[s] for s in symbols], **{name: sizes[name] for name in missing})
    return result


def compare(roots: Sequence[Any], arrays: Mapping[Any, Array], sizes: Mapping[str, int], tolerance: float) -> None:
    """The source returns what the roots mean: values, shapes and dtypes."""
    with np.errstate(all="ignore"):
        expected = evaluate_nodes(list(roots), dict(arrays), dict(sizes))
    for found, wanted in zip(called(roots, arrays, sizes), expected, strict=True):
        text = formula(list(roots), style="numpy")
        assert (np.shape(found), np.asarray(found).dtype) == (wanted.shape, wanted.dtype), text
        largest = np.max(np.abs(wanted[np.isfinite(wanted)]).astype(np.float64), initial=1.0)
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * largest, err_msg=text)
