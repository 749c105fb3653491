"""Variants: small named sizes are numbers in the code, for a few sets of them; all others share code for every size."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.runtime.kernel import SMALL_SIZE

n, d, k = sd.dims("variant_n variant_d variant_k")
X, y, W, v = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("W", (d, k)), sd.symbol("v", k)
LOSS = sd.mean((sd.tanh(X @ W) @ v - y) ** 2) + sd.sum(W**2) / n
OUTPUTS = [LOSS, *sd.grad(LOSS, [W, v])]
R = np.random.default_rng(3)


def given(rows: int, columns: int, hidden: int) -> list[Any]:
    return [R.normal(size=shape) for shape in ((rows, columns), (rows,), (columns, hidden), (hidden,))]


def check(f: Any, values: list[Any]) -> None:
    for _ in range(2):
        found = f(*values)
        wanted = sd.evaluate(OUTPUTS, dict(zip((X, y, W, v), values, strict=True)))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def told(f: Any) -> list[dict[str, Any]]:
    return [entry["sizes"] for entry in f.stats()["variants"]]


def test_small_sizes_are_numbers_up_to_a_bound() -> None:
    f = sd.compile(OUTPUTS, [X, y, W, v], cache=False)
    for rows in (3, 1, 4, 7, 5, 6, 3):
        check(f, given(rows, 2, 3))
    sizes = told(f)
    assert [s["variant_n"] for s in sizes] == [3, 1, 4, 7, f"≤ {SMALL_SIZE}"]
    check(f, given(SMALL_SIZE + 1, 2, 3))
    check(f, given(2000, 40, SMALL_SIZE + 5))
    assert len(told(f)) == 7
    assert f.stats()["calls"] == 18 == sum(entry["calls"] for entry in f.stats()["variants"])


def test_large_sizes_stay_symbolic() -> None:
    f = sd.compile(OUTPUTS, [X, y, W, v], cache=False)
    check(f, given(SMALL_SIZE + 1, 2, 3))
    check(f, given(SMALL_SIZE + 70, 2, 3))
    assert told(f) == [{"variant_d": 2, "variant_k": 3}]
    assert f.planned().program.sizes == ("variant_n",)


def test_classes_of_sizes_have_an_end_too() -> None:
    """Code for every size is planned anew where other sizes are small, a few times; after that any of it serves."""
    f = sd.compile(OUTPUTS, [X, y, W, v], cache=False)
    f.most_variants = 2
    large = SMALL_SIZE + 3
    for sizes in ((2, 2, 2), (3, 2, 2), (4, 2, 2), (large, 2, 2), (2, large, 2), (2, 2, large), (large, large, 2), (5, 5, 5)):
        check(f, given(*sizes))
    assert len(told(f)) == 4


@pytest.mark.parametrize("target", ["numba", "interpreter", "numpy"])
def test_other_targets_have_one_code_for_all(target: str) -> None:
    f = sd.compile(OUTPUTS, [X, y, W, v], target=target)
    check(f, given(3, 2, 3))
    check(f, given(4, 3, 2))
    assert len(told(f)) == 1


def test_what_is_looked_at_before_a_call_is_for_every_size() -> None:
    f = sd.compile(OUTPUTS, [X, y, W, v], cache=False)
    assert "variant_n" in f.loop_ir
    check(f, given(3, 2, 3))
    assert "variant_n" not in f.loop_ir


def test_loops_of_numbered_sizes() -> None:
    """Bodies of loops, windows and sizes that stand as numbers in formulas."""
    t, h = sd.dims("variant_t variant_h")
    x, A = sd.symbol("x", (t, h)), sd.symbol("A", (h, h))
    final, kept = sd.scan(lambda c, u: (sd.tanh(A @ c + u), c * h), sd.zeros(h), x)
    f = sd.compile([final, kept, sd.grad(sd.sum(final), A), x[:-1] - x[1:], sd.mean(x, axis=0) / t], [x, A], cache=False)
    for rows, width in ((5, 3), (2, 1), (150, 4)):
        values = R.normal(size=(rows, width)), R.normal(size=(width, width))
        wanted = sd.evaluate([final, kept, sd.grad(sd.sum(final), A), x[:-1] - x[1:], sd.mean(x, axis=0) / t],
                             dict(zip((x, A), values, strict=True)))
        for a, b in zip(f(*values), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_quotients_of_sizes_without_value_are_no_numbers() -> None:
    """The mean of no neighbours, which a condition does not take: ∞ times nothing would be NaN."""
    n = sd.dim("variant_neighbours", minimum=1)
    y = sd.symbol("y", n)
    loss = sd.where(y[0] > 0, sd.sum(y**2), sd.mean(sd.sin((y[1:] * y[:-1]) ** 2)))
    f = sd.compile([loss, sd.grad(loss, y)], y, cache=False)
    for size in (1, 2, 3, 1):
        values = np.linspace(1, 2, size)
        value, gradient = f(values)
        np.testing.assert_allclose(value, np.sum(values**2), rtol=1e-14)
        np.testing.assert_allclose(gradient, 2 * values, rtol=1e-14)


def test_variants_under_threads() -> None:
    f = sd.compile(OUTPUTS, [X, y, W, v], cache=False)
    cases = [given(rows, 2, 3) for rows in (1, 2, 3, 4, 5, 6, 200, 300)]
    faults: list[BaseException] = []

    def work(values: list[Any]) -> None:
        try:
            for _ in range(5):
                check(f, values)
        except BaseException as fault:
            faults.append(fault)
    threads = [threading.Thread(target=work, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and len(told(f)) <= 8
