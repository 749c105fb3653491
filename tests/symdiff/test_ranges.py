"""Ranges of indices: they hold every element, and what they say of positions is what the elements say."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

import symdiff as sd
from symdiff.binding.ranges import Range, ranges_of
from symdiff.errors import ArgumentMismatch
from symdiff.expression import Node, Symbol
from symdiff.functions import ROWS
from symdiff.reference import evaluate_nodes
from symdiff.traversal import topological


def range_of(node: Node, elements: Callable[[Symbol], Range | None], sizes: dict[str, int]) -> Range | None:
    """The range of one expression."""
    return ranges_of(topological([node]), elements, sizes).get(node)


n = sd.dim("n_range", minimum=0)
u, v = sd.symbol("u", "n_range"), sd.symbol("v", "n_range", "float32")
i, j = sd.symbol("i", "n_range", "int64"), sd.symbol("j", "n_range", "int32")
WRITTEN = """i + 1; -2 * i + 3; i + j; i - 3 * j; n - 1 - i; sd.floor(u).astype("int64"); sd.floor(2.5 * u - 1).astype("int64") + 1
sd.ceil(v * 7).astype("int32"); sd.minimum(i, j) + 2; sd.maximum(sd.trunc(u * 3), 0).astype("int64"); sd.arange(n) - i
sd.clip(i, 0, 4); sd.round(v).astype("int64") - j; sd.pad(i + 9, 1)[1:]; u / 3 - v / 7; sd.exp(u) - 0.5 * sd.tanh(v)
(i + 1) % 5; (i - j) % n; abs(i) - abs(j); sd.where(i > 0, i, 3); sd.where(i > j, i, j) + sd.where(i > j, j, i)
sd.where(u > v, i, j); sd.where(u < v, v, u); u % 0.7; sd.floor(u * (n - 1)).astype("int64") + 1; u * v - 2 * u; -i * j * n
sd.asarray([3, 1, 2])[:, None] + i; sd.broadcast_to(i + 2, (4, n)); i[::2] + 1; sd.sqrt(u * 1.5)
sd.concat([i, 2 * j - 1]); sd.stack([i + 3, i - 3], axis=1); sd.concat([i + 9, [7, 8], -i])""".replace("\n", "; ")


@pytest.mark.parametrize("text", WRITTEN.split("; "))
@pytest.mark.parametrize("seed", range(3))
def test_a_range_holds_every_element(text: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = eval(text, {"sd": sd, "u": u, "v": v, "i": i, "j": j, "n": n})
    values = {u: rng.uniform(0, 5, 7), v: rng.normal(size=7).astype(np.float32), i: rng.integers(-5, 6, 7),
              j: rng.integers(-3, 4, 7).astype(np.int32)}
    found = range_of(index, lambda symbol: (values[symbol].min().item(), values[symbol].max().item()), {"n_range": 7})
    exact = evaluate_nodes([index], values, {"n_range": 7})[0]
    assert found is not None and found[0] <= exact.min() and exact.max() <= found[1], (found, exact)
    # Where each symbol stands once, nothing is given away but the rounding.
    if text in ("i + 1", "n - 1 - i", "sd.clip(i, 0, 4)", 'sd.floor(u).astype("int64")', "sd.broadcast_to(i + 2, (4, n))"):
        assert (exact.min() - 1, exact.max() + 1) < found and found[1] - found[0] <= exact.max() - exact.min() + 1
    if "n - 1)" in text:
        assert found == (exact.min(), exact.max())


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "increasing" in row.traits])
def test_rows_that_say_so_do_increase(name: str) -> None:
    row = ROWS[name]
    low, high = row.domain[0]
    points = np.linspace(low, high, 999)
    values = row.numpy(*[points] * row.arity)
    assert (np.diff(values) >= -4e-16 * np.abs(values[1:])).all()


def test_nothing_is_said_of_what_is_not_finite_or_not_known() -> None:
    assert range_of(u + 1, lambda symbol: (np.nan, 1.0), {}) is None
    assert range_of(u + 1, lambda symbol: (0.0, np.inf), {}) is None
    assert range_of(u + 1, lambda symbol: (-np.inf, 1.0), {}) is None
    assert range_of(u + 1, lambda symbol: None, {}) is None
    assert range_of(sd.sin(u), lambda symbol: (0.0, 1.0), {}) is None
    assert range_of(sd.exp(u), lambda symbol: (0.0, 1e9), {}) is None
    # Integers that are too large come round.
    assert range_of(sd.minimum(i * 2**62, 5), lambda symbol: (0, 2), {}) is None
    assert range_of(sd.minimum(u.astype("int64"), 5), lambda symbol: (0.0, 1e300), {}) is None
    assert range_of(i % (j - 2), lambda symbol: (1, 9), {}) is None


@pytest.mark.parametrize("target", ["interpreter", "cpu"])
def test_positions_that_are_computed_are_refused_by_their_elements(target: str) -> None:
    table = sd.symbol("table", 6)
    kernel = sd.compile(table[sd.floor(u).astype("int64")], [table, u], target=target)
    values = np.arange(6.0)
    below = np.nextafter(6, 0)
    np.testing.assert_array_equal(kernel(values, [0, 5.5, below, -6, -0.5]), [0, 5, 5, 0, 5])
    assert kernel(values, np.zeros(0)).shape == (0,)
    for wrong in (6.0, -6.5, np.nan, np.inf, -np.inf, 1e300):
        with pytest.raises(ArgumentMismatch, match=r"int\(⌊u⌋\) holds position .* axis of size 6"):
            kernel(values, [0, wrong, 1])
    # One symbol twice: the range goes too far, the elements do not.
    twice = sd.compile(table[i - sd.minimum(i, 3)], [table, i], target=target)
    np.testing.assert_array_equal(twice(values, [-100, 8, 3, 7]), [0, 5, 0, 4])
    with pytest.raises(ArgumentMismatch, match="holds position 6"):
        twice(values, [-100, 9])


@pytest.mark.parametrize("seed", range(20))
def test_a_range_holds_the_exact_value_where_terms_cancel(seed: int) -> None:
    """Kernels add in an order of their own: what their roundings give lies about the exact value, not about that of NumPy."""
    rng = np.random.default_rng(seed)
    a, b, x, y = (float(c) for c in rng.normal(size=4) * [1e6, 1e6, 10, 10])
    rest = float(a * x + b * y)
    second, third = sd.symbol("second", "n_range"), sd.symbol("third", "n_range")
    values = {u: (x, x), second: (y, y), third: (rest, rest)}
    found = range_of(a * u + b * second - third, lambda symbol: values[symbol], {})
    assert found is not None
    exact = Fraction(a) * Fraction(x) + Fraction(b) * Fraction(y) - Fraction(rest)
    assert found[0] <= exact <= found[1] and found[1] - found[0] < 1e-4


def test_what_was_told_of_one_call_is_asked_again_where_the_next_goes_further() -> None:
    """Positions that drift within what was proved, then leave it, then the axis; NaN; other sizes."""
    table = sd.symbol("table", "m")
    f = sd.compile(sd.sum(table[sd.floor(10 * u).astype("int64")]), [u, table], cache=False)
    few = np.arange(20.0)
    for scale in (1.0, 1.01, 0.5, 1.5, 1.9, 0.0, 1.99):
        values = np.array([0.1, 0.55, 0.999]) * scale
        assert f(values, few) == few[np.floor(10 * values).astype(int)].sum()
    for wrong in ([0.1, 2.1], [-2.11, 0.5], [0.1, np.nan], [0.1, np.inf], [2.0]):
        with pytest.raises(ArgumentMismatch, match="position"):
            f(np.array(wrong), few)
        assert f(np.array([1.99]), few) == 19.0
    with pytest.raises(ArgumentMismatch, match="axis of size 10"):
        f(np.array([1.0]), few[:10])
    assert f(np.array([]), few) == 0.0 and f(np.array([0.95]), few[:10]) == 9.0
