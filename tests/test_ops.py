"""Every operation of the table through the reference, against NumPy: value, shape, dtype, sizes named or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.sizes import value_of
from tests.operations import OPERATIONS, REFERENCE, SIZES, Operation, dtypes

CASES = [pytest.param(row, dtype, id=f"{row.name}-{dtype}") for row in OPERATIONS for dtype in dtypes(row)]


def compare(expression: Any, expected: Any, values: dict[Any, Any]) -> None:
    """Check type and value of an expression."""
    expected = np.asarray(expected)
    assert expression.dtype == expected.dtype.name
    assert tuple(value_of(s, SIZES) for s in expression.shape) == expected.shape
    result = np.asarray(sd.evaluate(expression, values))
    assert result.dtype == expected.dtype
    tolerance = 3e-6 if expected.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("row", "dtype"), CASES)
def test_value(row: Operation, dtype: str) -> None:
    arrays = row.sample(dtype)
    expected = row.formula(REFERENCE, *arrays)
    for named in (True, False):
        symbols = row.symbols(dtype, named)
        compare(row.formula(sd, *symbols), expected, dict(zip(symbols, arrays, strict=True)))


# These hold arrays that NumPy makes itself when it is asked.
CREATION = {"eye", "eye-wide", "zeros-ones-full", "arange", "linspace"}


@pytest.mark.parametrize("row", [row for row in OPERATIONS if row.name not in CREATION], ids=lambda row: row.name)
def test_numpy_gives_the_same_expression(row: Operation) -> None:
    """NumPy's own functions, called with expressions, build what symdiff's build."""
    symbols = row.symbols()
    try:
        found = row.formula(np, *symbols)
    except AttributeError as error:
        assert "module 'numpy' has no attribute" in str(error)
        return
    assert row.formula(sd, *symbols) is found
