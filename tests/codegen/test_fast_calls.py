"""Calls that go past Python give what careful calls give, errors too, and leave nothing behind."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ArgumentMismatch

RNG = np.random.default_rng(11)
n = sd.dim("fast_n")
A, B, T = sd.symbol("a", (n, 3)), sd.symbol("b", 3), sd.symbol("t", ())
a, b = RNG.normal(size=(4, 3)), RNG.normal(size=3)


def hot(outputs: Any, inputs: Any, *values: Any, **options: Any) -> Any:
    """A kernel that has been called with these values, so that the next call is a fast one."""
    kernel = sd.compile(outputs, inputs, **options)
    kernel(*values)
    assert kernel.fast is not None
    return kernel


def same(x: Any, y: Any) -> None:
    """Equal in value, type, dtype and shape."""
    if isinstance(x, dict):
        assert list(x) == list(y)
        x, y = list(x.values()), list(y.values())
    if isinstance(x, (list, tuple)):
        assert type(x) is type(y) and len(x) == len(y)
        for p, q in zip(x, y, strict=True):
            same(p, q)
        return
    assert type(x) is type(y) and x.dtype == y.dtype and np.shape(x) == np.shape(y)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("outputs", [
    A @ B, sd.sum(A * T), [A @ B, sd.sum(A), A.T * T], (A @ B,), [sd.sum(A > 0), A > T, sd.argmax(A, axis=1)],
    (sd.sum(A * T), [A @ B, (A.T, sd.sum(B))]), {"loss": sd.sum(A * T), "parts": [B * T, A @ B]}])
def test_values_and_types(outputs: Any) -> None:
    kernel = hot(outputs, [A, B, T], a, b, 0.5)
    for values in ((a, b, 0.5), (2 * a, -b, np.float64(1.5)), (a, b, np.array(0.25))):
        before = kernel.fast_calls()
        same(kernel(*values), sd.compile(outputs, [A, B, T])(*values))
        assert kernel.fast_calls() == before + 1
    assert kernel.stats()["calls"] == 4


def test_float32_scalars() -> None:
    x, s = sd.symbol("x", 3, "float32"), sd.symbol("s", (), "float32")
    kernel = hot(x * s, [x, s], b.astype("f4"), np.float32(2))
    same(kernel(b.astype("f4"), np.float32(3)), b.astype("f4") * np.float32(3))
    assert kernel.fast_calls() == 1
    same(kernel(b.astype("f4"), 3.0), b.astype("f4") * np.float32(3))
    assert kernel.fast_calls() == 1


def test_all_other_calls_are_careful() -> None:
    kernel = hot([A @ B, sd.sum(A)], [A, B], a, b)
    expected = kernel(a, b)
    out = [np.empty(4), np.empty(())]
    for call in (lambda: kernel(a.tolist(), b), lambda: kernel(np.asfortranarray(a), b), lambda: kernel(a=a, b=b),
                 lambda: kernel(a, b=b), lambda: kernel(np.repeat(a, 2, axis=0)[::2], b),
                 lambda: kernel(a.view(type("Own", (np.ndarray,), {})), b), lambda: kernel(a, b, out=out)):
        before = kernel.fast_calls()
        np.testing.assert_array_equal(call()[0], expected[0])
        assert kernel.fast_calls() == before
    assert kernel(a, b, out=out)[0] is out[0]
    for call, text in ((lambda: kernel(a), "no value is given for b"), (lambda: kernel(a, b, b), "3 values are given"),
                       (lambda: kernel(b, b), "a has 1 axis"), (lambda: kernel(a, a[0, :2]), "axis 0 of b"),
                       (lambda: kernel(a, b, c=1), "there is no input 'c'"),
                       (lambda: kernel(a.astype(complex), b), "complex numbers")):
        with pytest.raises(ArgumentMismatch, match=text):
            call()
    same(kernel(a, b), expected)


def test_values_and_gradients_as_they_come() -> None:
    """A tree of more than one level is as fast, and as careful."""
    loss = sd.sum((A @ B) ** 2)
    kernel = hot(sd.value_and_grad(loss, [A, B]), [A, B], a, b)
    value, (by_a, by_b) = kernel(a, b)
    assert kernel.fast_calls() == 1 and np.isclose(value, ((a @ b) ** 2).sum())
    for again in (kernel(a.tolist(), b), kernel(a, b=b)):
        same(again, (value, [by_a, by_b]))
    out = (np.empty(()), [np.empty((4, 3)), np.empty(3)])
    assert kernel(a, b, out=out)[1][1] is out[1][1]
    np.testing.assert_array_equal(out[1][0], by_a)
    with pytest.raises(ArgumentMismatch, match="no value is given for b"):
        kernel(a)
    assert kernel.fast_calls() == 1


def test_unaligned_and_byte_swapped_arrays() -> None:
    kernel = hot(A @ B, [A, B], a, b)
    raw = np.frombuffer(b"x" + b.tobytes(), np.float64, 3, 1)
    np.testing.assert_array_equal(kernel(a, raw), kernel(a, b))
    np.testing.assert_array_equal(kernel(a.astype(">f8"), b), kernel(a, b))


def test_other_shapes() -> None:
    kernel = hot(A @ B, [A, B], a, b)
    for rows in (4, 7, 7, 7, 2, 4, 2, 4, 9, 9, 9):
        x = RNG.normal(size=(rows, 3))
        np.testing.assert_allclose(kernel(x, b), x @ b, rtol=1e-13)


def test_what_must_be_asked_is_asked() -> None:
    i = sd.symbol("i", 2, "int64")
    gather = sd.compile(B[i], [B, i])
    for _ in range(3):
        gather(b, np.array([0, 2]))
    assert gather.fast is None
    with pytest.raises(ArgumentMismatch, match="position 3"):
        gather(b, np.array([0, 3]))
    checked = sd.compile(A @ B, [A, B], check=True)
    for _ in range(3):
        checked(a, b)
    with pytest.raises(ArgumentMismatch):
        checked(a * np.nan, b)


def test_large_calls_give_the_lock_away() -> None:
    kernel = sd.compile(A @ B, [A, B])
    kernel(np.zeros((40_000, 3)), b)
    assert kernel.fast is None


def test_nothing_is_kept() -> None:
    kernel = hot([A @ B, sd.sum(A)], [A, B], a, b)
    counts = [sys.getrefcount(x) for x in (a, b, a.dtype)]
    for _ in range(1000):
        kernel(a, b)
    assert [sys.getrefcount(x) for x in (a, b, a.dtype)] == counts
    result = kernel(a, b)
    count = sys.getrefcount(result[0])
    assert count == 2 and result[0].flags.owndata and result[0].flags.writeable
    alive = weakref.ref(kernel)
    del kernel
    gc.collect()
    assert alive() is None


def test_many_threads() -> None:
    kernel = hot([A @ B, sd.sum(sd.exp(A))], [A, B], a, b)
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            x = rng.normal(size=(4, 3))
            y = kernel(x, b)
            if not np.allclose(y[0], x @ b, rtol=1e-12, atol=1e-14) or not np.isclose(y[1], np.exp(x).sum(), rtol=1e-12):
                wrong.append(seed)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and kernel.fast_calls() >= 2400


def test_constants_and_scratch() -> None:
    x = sd.constant(RNG.normal(size=(5, 4)))
    w, v = sd.symbol("w", (4, 3)), sd.symbol("v", 3)
    loss = sd.sum(sd.tanh(sd.tanh(x @ w) @ v))
    kernel = hot([loss, *sd.grad(loss, [w, v])], [w, v], np.zeros((4, 3)), np.zeros(3))
    for _ in range(3):
        values = RNG.normal(size=(4, 3)), RNG.normal(size=3)
        for ours, theirs in zip(kernel(*values), sd.evaluate([loss, *sd.grad(loss, [w, v])], {w: values[0], v: values[1]}),
                                strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert kernel.fast_calls() == 3
