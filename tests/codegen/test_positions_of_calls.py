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


@pytest.mark.parametrize("named", [False, True])
def test_class_numbers_are_looked_at(named: bool) -> None:
    """A class that is none, one counted from the end too, is refused; it never counts as no loss."""
    n = sd.dim("n") if named else 9
    scores, kinds = sd.symbol("scores", (n, 4)), sd.symbol("kinds", n, "int64")
    loss = sd.nn.cross_entropy(scores, kinds)
    values, good = np.random.default_rng(0).normal(size=(9, 4)), np.arange(9) % 4
    shares = np.exp(values) / np.sum(np.exp(values), axis=1, keepdims=True)
    want = -np.mean(np.log(shares[np.arange(9), good]))
    for target in ("cpu", "numpy"):
        f = sd.compile([loss, sd.grad(loss, scores)], inputs=[scores, kinds], target=target)
        for _ in range(3):
            np.testing.assert_allclose(f(values, good)[0], want, rtol=1e-14)
        for wrong in (4, -1, -4, 10**12):
            bad = good.copy()
            bad[5] = wrong
            with pytest.raises(sd.ArgumentMismatch, match=f"class number {wrong}"):
                f(values, bad)
    assert "class_number" not in str(loss)


def test_computed_positions_go_past_python() -> None:
    """Positions that follow from arguments are looked at in machine code, by the range of these; what lies outside is refused."""
    x, t, u = sd.symbol("x", 50), sd.symbol("t", 3, "int64"), sd.symbol("u", 4)
    f = sd.compile([x[t + 1], x[sd.floor(u).astype("int64")]], inputs=[x, t, u])
    values = np.arange(50.0)
    times, places = np.array([0, 30, 7]), np.array([0.5, 48.25, 3.0, 11.75])
    for _ in range(20):
        first, second = f(values, times, places)
        np.testing.assert_array_equal(first, values[times + 1])
        np.testing.assert_array_equal(second, values[np.floor(places).astype(int)])
    assert f.fast_calls() > 10
    for wrong in (49, -52, 2**62):
        with pytest.raises(sd.ArgumentMismatch, match="position"):
            f(values, np.array([0, wrong, 1]), places)
    for strange in (50.0, -51.5, 1e300):
        with pytest.raises(sd.ArgumentMismatch, match="position"):
            f(values, times, np.array([0.5, strange, 1.0, 2.0]))
    for edge in (48, -51):
        np.testing.assert_array_equal(f(values, np.array([edge, 0, 1]), places)[0], values[[edge + 1, 1, 2]])
    with pytest.raises(sd.ArgumentMismatch):
        f(values, times, np.array([0.5, np.nan, 1.0, 2.0]))
