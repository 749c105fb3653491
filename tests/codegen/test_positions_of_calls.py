"""Positions in calls that go past Python: each is looked at."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 21])
def test_every_position_is_looked_at(count: int, dtype: str) -> None:
    """A position outside of its axis is refused wherever it stands, also by calls that go past Python."""
    x, i = sd.symbol("x", 5), sd.symbol("i", count, dtype)
    f = sd.compile(sd.sum(x[i]), inputs=[x, i])
    values = np.arange(5.0)
    good = np.resize(np.arange(-5, 5), count).astype(dtype)
    for _ in range(4):
        assert f(values, good) == np.sum(values[good])
    largest = np.iinfo(dtype)
    for place in range(count):
        for wrong in (5, -6, largest.min, largest.max, largest.max // 2 + 1):
            bad = good.copy()
            bad[place] = wrong
            with pytest.raises(sd.ArgumentMismatch, match="position"):
                f(values, bad)
    assert f(values, good) == np.sum(values[good])
