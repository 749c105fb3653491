"""Positions in calls that go past Python: each is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.traversal import symbols_of


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


TABLE, TURNS, INNER = sd.symbol("TABLE", 7), 3, 5
P, Q, k = (sd.symbol(name, shape, "int64") for name, shape in (("P", (TURNS, INNER)), ("Q", (TURNS, INNER, 4)), ("k", ())))
# Reads in loops inside of loops, what they read, and the inputs that tell the positions.
NESTED: dict[str, tuple[Any, Any, list[Any]]] = {
    "turns of a slice": (
        lambda: sd.scan(lambda c, row: (sd.fori(0, INNER, lambda t, c: c + TABLE[row[t]], c), None), 0.0, P)[0],
        lambda p, k: p, [P]),
    "slices of a slice": (
        lambda: sd.scan(lambda c, row: (sd.scan(lambda c, i: (c + TABLE[i * k], None), c, row)[0], None), 0.0, P)[0],
        lambda p, k: p * k, [P, k]),
    "rows of a slice": (
        lambda: sd.scan(lambda c, row: (sd.scan(lambda c, i: (c + sd.sum(TABLE[k * i]), None), c, row)[0], None), 0.0, Q)[0],
        lambda p, k: p * k, [Q, k]),
    "turns of turns": (
        lambda: sd.fori(0, TURNS, lambda t, c: sd.fori(0, INNER, lambda u, c: c + TABLE[P[t][u]], c), 0.0), lambda p, k: p, [P]),
    "turns beside turns": (
        lambda: sd.fori(0, TURNS, lambda t, c: sd.fori(0, INNER, lambda u, c: c + TABLE[P[t, u] + t], c), 0.0),
        lambda p, k: p + np.arange(TURNS)[:, None], [P]),
    "what the inner loop does not change": (
        lambda: sd.scan(lambda c, row: (sd.fori(0, INNER, lambda t, c: 0.5 * c + TABLE[row[0] + k], c), None), 0.0, P)[0],
        None, [P, k]),
}


@pytest.mark.parametrize("target", ["cpu", "numpy"])
@pytest.mark.parametrize("name", NESTED)
def test_positions_in_loops_inside_of_loops(name: str, target: str) -> None:
    build, read, inputs = NESTED[name]
    outcome = build()
    f = sd.compile([outcome, sd.grad(outcome, TABLE)], [TABLE, *inputs], target=target)
    table, rng = np.arange(1.0, 8.0), np.random.default_rng(4)
    shape = inputs[0].shape
    for _ in range(4):
        positions = rng.integers(-2, 3, shape)
        values = [table, positions, 2][:len(inputs) + 1]
        value, gradient = f(*values)
        if read is None:
            expected = 0.0
            for row in positions:
                for _ in range(INNER):
                    expected = 0.5 * expected + table[row[0] + 2]
            assert value == pytest.approx(expected, rel=1e-14)
        else:
            told = read(positions, 2)
            assert value == np.sum(table[told])
            np.testing.assert_array_equal(gradient, np.bincount(told.ravel() % 7, minlength=7))
    for wrong in (7, -9):
        # The first of a slice is read whatever the turn is.
        positions = np.zeros(shape, np.int64)
        positions[(1, *[0] * (len(shape) - 1))] = wrong
        with pytest.raises(sd.ArgumentMismatch, match="holds position"):
            f(*[table, positions, 1][:len(inputs) + 1])


def test_loops_inside_of_loops_without_a_turn_read_nothing() -> None:
    n = sd.dim("nested_turns", minimum=0)
    rows = sd.symbol("rows", (n, 2), "int64")
    total = sd.scan(lambda c, row: (sd.fori(0, 2, lambda t, c: c + TABLE[row[t] + 9], c), None), 0.5, rows)[0]
    f = sd.compile(total, [TABLE, rows])
    assert f(np.ones(7), np.zeros((0, 2), np.int64)) == 0.5
    with pytest.raises(sd.ArgumentMismatch, match="holds position 9"):
        f(np.ones(7), np.zeros((1, 2), np.int64))


@pytest.mark.parametrize(("turns", "inner"), [(1, 5), (2, 1), (1, 1), (2, 2)])
def test_positions_along_axes_of_one_place(turns: int, inner: int) -> None:
    told = sd.symbol("told", (turns, inner), "int64")
    total = sd.fori(0, turns, lambda t, c: sd.fori(0, inner, lambda u, c: c + TABLE[told[t, u]], c), 0.0)
    f = sd.compile(total, [TABLE, told])
    for _ in range(3):
        assert f(np.arange(7.0), np.full((turns, inner), 3)) == 3.0 * turns * inner
    with pytest.raises(sd.ArgumentMismatch, match="holds position 7"):
        f(np.arange(7.0), np.full((turns, inner), 7))
    one, other = sd.symbol("one", 1, "int64"), sd.symbol("other", 4, "int64")
    g = sd.compile(TABLE[one[other]], [TABLE, one, other])
    np.testing.assert_array_equal(g(np.arange(7.0), np.array([5]), np.zeros(4, np.int64)), np.full(4, 5.0))
    with pytest.raises(sd.ArgumentMismatch, match="holds position 9"):
        g(np.arange(7.0), np.array([9]), np.zeros(4, np.int64))


def test_inner_loops_ask_nothing_where_the_outer_one_has_no_turn() -> None:
    n = sd.dim("no_outer_turn", minimum=0)
    rows = sd.symbol("rows", n)
    f = sd.compile(sd.scan(lambda c, r: (sd.fori(0, 4, lambda u, c: c + r * TABLE[9 - u], c), None), 0.5, rows)[0], [TABLE, rows])
    assert f(np.ones(7), np.zeros(0)) == 0.5
    with pytest.raises(sd.ArgumentMismatch, match="holds position 9"):
        f(np.ones(7), np.zeros(1))


x, y, i, k = sd.symbol("x", "n"), sd.symbol("y", "n"), sd.symbol("i", 2, "int64"), sd.symbol("k", dtype="int64")
X = sd.symbol("X", ("n", "n"))
# What is read, with three for n, and how many places its first axis has.
IN_PARTS: dict[str, tuple[Any, int]] = {
    "joined": (sd.concatenate([x, y])[i], 6), "joined with a number": (sd.concatenate([x, sd.ones("n")])[i], 6),
    "padded": (sd.pad(x, (1, 0))[i], 4), "padded, one position": (sd.pad(x, (1, 0))[k], 4),
    "padded, two axes": (sd.pad(X, (1, 0))[i, i], 4), "joined, one position": (sd.concatenate([x, y])[k], 6),
    "rolled": (sd.roll(x, 1)[i], 3), "stacked": (sd.stack([X, X])[i], 2), "one above the other": (sd.vstack([X, X])[i], 6),
    "of a diagonal": (sd.diag(X)[i], 3), "of a diagonal matrix": (sd.diag(x)[i], 3), "of an identity": (sd.eye(3)[i], 3),
    "derivative": (sd.grad(sd.sum(sd.concatenate([x, y])[i] ** 2), x), 6),
}


@pytest.mark.parametrize("name", IN_PARTS)
def test_positions_in_arrays_made_of_parts(name: str) -> None:
    """An array that is written in parts is as long as they are together, whichever of them a position meets."""
    read, size = IN_PARTS[name]
    values = {"x": np.arange(3.0), "y": np.arange(3.0), "X": np.arange(9.0).reshape(3, 3)}
    inputs = symbols_of([read])
    f = sd.compile(read, inputs=inputs)

    def at(position: int) -> Any:
        return f(*[position if s is k else np.array([0, position]) if s is i else values[s.name] for s in inputs])
    for good in (size - 1, -size):
        at(good)
    for wrong in (size, -size - 1, 50):
        with pytest.raises(sd.ArgumentMismatch, match=f"position {wrong}"):
            at(wrong)


@pytest.mark.parametrize("wrong", [4, -5])
def test_positions_that_are_constants(wrong: int) -> None:
    """Positions that stand in the formula are looked at once the length of the axis is known."""
    table = sd.symbol("table", "m")
    positions = sd.constant(np.array([0, wrong, 1]))
    for read in (table[positions], sd.scan(lambda s, p: (s + table[p], None), 0.0, positions)[0],
                 sd.grad(sd.sum(table[positions] ** 2), table)):
        f = sd.compile(read, inputs=[table])
        f(np.arange(9.0))
        for values in (np.arange(4.0), np.arange(2.0)):
            with pytest.raises(sd.ArgumentMismatch, match=f"position {wrong if len(values) == 4 else ''}"):
                f(values)
            with pytest.raises(sd.ArgumentMismatch):
                sd.evaluate(read, {"table": values})


def test_errors_in_loops_have_the_users_names() -> None:
    table, at, rows = sd.symbol("table", "m"), sd.symbol("at", "t", "int64"), sd.symbol("rows", ("t", "c"))
    f = sd.compile(sd.scan(lambda s, p: (s + table[p], None), 0.0, at)[0], inputs=[at, table])
    with pytest.raises(sd.ArgumentMismatch, match="at holds position 9") as caught:
        f(np.array([0, 9]), np.ones(5))
    assert "⟨" not in str(caught.value) and "table" in str(caught.value)
    g = sd.compile(sd.scan(lambda s, row: (s + sd.sum(row[:-3]), None), 0.0, rows)[0])
    with pytest.raises(sd.ArgumentMismatch, match="c - 3") as caught:
        g(np.ones((3, 2)))
    assert "⟨" not in str(caught.value) and "rows" in str(caught.value)
