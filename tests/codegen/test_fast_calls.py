"""Calls that go past Python give what careful calls give, errors too, and leave nothing behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import symdiff as sd
from codegen.backends.fast_calls import RUNNING
from codegen.backends.parted_calls import Pace
from symdiff.errors import ArgumentMismatch

RNG = np.random.default_rng(11)
n = sd.dim("fast_n")
A, B, T = sd.symbol("a", (n, 3)), sd.symbol("b", 3), sd.symbol("t", ())
a, b = RNG.normal(size=(4, 3)), RNG.normal(size=3)


class Pair(NamedTuple):
    """Two trees."""

    first: Any
    second: Any


def hot(outputs: Any, inputs: Any, *values: Any, **options: Any) -> Any:
    """A kernel that has been called with these values, so that the next call is a fast one."""
    kernel = sd.compile(outputs, inputs, **options)
    for _ in range(2):
        kernel(*values)
    assert kernel.fast is not None
    return kernel


def same(x: Any, y: Any) -> None:
    """Equal in value, type, dtype and shape."""
    if isinstance(x, dict):
        assert type(y) is dict and list(x) == list(y)
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
    (sd.sum(A * T), [A @ B, (A.T, sd.sum(B))]), {"loss": sd.sum(A * T), "parts": [B * T, A @ B]}, [[], A @ B, {}, (())],
    Pair(A @ B, [{"x": B * T, 7: (sd.sum(A),)}, Pair(B, T)]), [[[[[[B * 2]]]]]], {("a", 1): Pair((), B * T)}])
def test_values_and_types(outputs: Any) -> None:
    kernel = hot(outputs, [A, B, T], a, b, 0.5)
    for values in ((a, b, 0.5), (2 * a, -b, np.float64(1.5)), (a, b, np.array(0.25))):
        before = kernel.fast_calls()
        same(kernel(*values), sd.compile(outputs, [A, B, T])(*values))
        assert kernel.fast_calls() == before + 1
    assert kernel.stats()["calls"] == 5


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
    for call in (lambda: kernel(a.tolist(), b), lambda: kernel(np.asfortranarray(a), b),
                 lambda: kernel(np.repeat(a, 2, axis=0)[::2], b), lambda: kernel(a, b=b.tolist()),
                 lambda: kernel(**{"".join(["a"]): a, "".join(["b", ""]): b.astype("f4").astype(">f8")})[:0] or expected,
                 lambda: kernel(a.view(type("Own", (np.ndarray,), {})), b)):
        before = kernel.fast_calls()
        np.testing.assert_array_equal(call()[0], expected[0])
        assert kernel.fast_calls() == before
    for call, text in ((lambda: kernel(a), "no value is given for b"), (lambda: kernel(a, b, b), "3 values are given"),
                       (lambda: kernel(a=a), "no value is given for b"), (lambda: kernel(a, b, b=b), "b is given twice"),
                       (lambda: kernel(a, a=a), "a is given twice"), (lambda: kernel(a, b, a=a), "a is given twice"),
                       (lambda: kernel(b=b, a=a, c=b), "there is no input 'c'"), (lambda: kernel(), "no value is given for a, b"),
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
    for again, fast in ((lambda: kernel(a.tolist(), b), 1), (lambda: kernel(a, b=b), 2)):
        same(again(), (value, [by_a, by_b]))
        assert kernel.fast_calls() == fast
    out = (np.empty(()), [np.empty((4, 3)), np.empty(3)])
    same(kernel(a, b, out=out), out)
    assert kernel.fast_calls() == 3 and kernel(a, b, out=out)[1][1] is out[1][1]
    np.testing.assert_array_equal(out[1][0], by_a)
    same(kernel(a.tolist(), b, out=out), out)
    assert kernel.fast_calls() == 4
    with pytest.raises(ArgumentMismatch, match="no value is given for b"):
        kernel(a)
    with pytest.raises(ArgumentMismatch, match=r"out\[1\] has 1 entries"):
        kernel(a, b, out=(out[0], out[1][:1]))
    with pytest.raises(ArgumentMismatch, match=r"out\[1\]\[1\] is None"):
        kernel(a, b, out=(out[0], [out[1][0], None]))
    assert kernel.fast_calls() == 4


def test_by_name() -> None:
    """In any order, beside values by position, and beside out=."""
    kernel = hot([A @ B, sd.sum(A * T)], [A, B, T], a, b, 0.5)
    expected, out = kernel(a, b, 0.5), [np.empty(4), np.empty(())]
    for k, call in enumerate((lambda: kernel(a=a, b=b, t=0.5), lambda: kernel(t=0.5, b=b, a=a), lambda: kernel(a, t=0.5, b=b),
                              lambda: kernel(a, b, t=0.5), lambda: kernel(a, b, out=out, t=0.5),
                              lambda: kernel(out=out, t=0.5, b=b, a=a), lambda: kernel(a, b, 0.5, out=out)), 2):
        for x, y in zip(call(), expected, strict=True):
            np.testing.assert_array_equal(x, y)
        assert kernel.fast_calls() == k


@pytest.mark.parametrize("form", [list, tuple])
def test_results_go_to_given_arrays(form: type) -> None:
    kernel = hot(form([A @ B, sd.sum(A), A > 0]), [A, B], a, b)
    expected = kernel(a, b)
    good = form([np.empty(4), np.empty(()), np.empty((4, 3), bool)])
    result = kernel(a, b, out=good)
    assert type(result) is form and all(x is y for x, y in zip(result, good, strict=True)) and kernel.fast_calls() == 2
    del result
    for x, y in zip(good, expected, strict=True):
        np.testing.assert_array_equal(x, y)
    counts = [sys.getrefcount(x) for x in (good, *good)]
    for _ in range(100):
        kernel(a, b, out=good)
    assert [sys.getrefcount(x) for x in (good, *good)] == counts and kernel.fast_calls() == 102
    frozen = np.empty(4)
    frozen.flags.writeable = False
    for x, text in ((np.empty(4, "f4"), "float32"), (np.empty(5), r"\(5,\)"), (frozen, "cannot be written"), (None, "is None"),
                    (np.empty((4, 1)), r"\(4, 1\)"), (good[1], r"shape \(\)")):
        with pytest.raises(ArgumentMismatch, match=text):
            kernel(a, b, out=form([x, *good[1:]]))
    for wrong, text in ((good[:2], "2 entries"), (good[0], "out"), (object(), "out"), (5, "out"), ((), "0 entries"),
                        ([], "0 entries")):
        with pytest.raises(ArgumentMismatch, match=text):
            kernel(a, b, out=wrong)
    assert kernel.fast_calls() == 102
    # Other kinds of arrays are written with care.
    sparse = np.zeros(8)[::2]
    kernel(a, b, out=form([sparse, *good[1:]]))
    np.testing.assert_array_equal(sparse, expected[0])
    assert kernel.fast_calls() == 102


def test_given_arrays_that_share_memory() -> None:
    kernel = hot([A + T, A * T], [A, T], a, 2.0)
    room = np.zeros(30)
    x = room[3:15].reshape(4, 3)
    x[...] = a
    before = kernel.fast_calls()
    for lo in range(19):
        room[3:15] = a.ravel()
        target = room[lo:lo + 12].reshape(4, 3)
        kernel(x, 2.0, out=[target, apart := np.empty((4, 3))])
        np.testing.assert_array_equal(target, a + 2.0)
        np.testing.assert_array_equal(apart, a * 2.0)
    assert kernel.fast_calls() == before + 19 - 15
    for lo in range(12):
        with pytest.raises(ArgumentMismatch, match=r"out\[0\] and out\[1\] share memory"):
            kernel(a, 2.0, out=[room[:12].reshape(4, 3), room[lo:lo + 12].reshape(4, 3)])
    kernel(a, 2.0, out=[room[:12].reshape(4, 3), room[12:24].reshape(4, 3)])
    assert kernel.fast_calls() == before + 19 - 15 + 1
    single = hot(A * T, [A, T], a, 2.0)
    assert single(x, 3.0, out=x) is x
    assert single.fast_calls() == 0
    other = np.empty((4, 3))
    assert single(a, 3.0, out=other) is other and single.fast_calls() == 1
    np.testing.assert_array_equal(other, a * 3.0)


def test_given_arrays_in_trees() -> None:
    """Lists and tuples are looked through on the way, dicts in Python."""
    tree = Pair(A @ B, [B * T, (sd.sum(A), [A > T])])
    kernel = hot(tree, [A, B, T], a, b, 0.5)
    expected = kernel(a, b, 0.5)
    out = Pair(np.empty(4), [np.empty(3), (np.empty(()), [np.empty((4, 3), bool)])])
    same(kernel(a, b, 0.5, out=out), out)
    assert kernel.fast_calls() == 2
    for x, y in ((out[0], expected[0]), (out[1][0], expected[1][0]), (out[1][1][0], expected[1][1][0]),
                 (out[1][1][1][0], expected[1][1][1][0])):
        np.testing.assert_array_equal(x, y)
    alike = [out[0], [out[1][0], [out[1][1][0], (out[1][1][1][0],)]]]
    same(kernel(a, b, 0.5, out=alike), out)
    assert kernel.fast_calls() == 2
    named = hot({"x": A @ B, "y": [B * T]}, [A, B, T], a, b, 0.5)
    arrays = {"y": [np.empty(3)], "x": np.empty(4)}
    result = named(a, b, 0.5, out=arrays)
    assert list(result) == ["x", "y"] and result["x"] is arrays["x"] and named.fast_calls() == 0
    np.testing.assert_array_equal(arrays["y"][0], b * 0.5)
    for wrong in (Pair(out[0], [out[1][0]]), Pair(out[0], [out[1][0], (out[1][1][0], out[0])]), Pair(out[0], out[0]),
                  Pair([out[0]], out[1])):
        with pytest.raises(ArgumentMismatch, match="out"):
            kernel(a, b, 0.5, out=wrong)


def test_an_input_named_out() -> None:
    x = sd.symbol("out", 3)
    kernel = hot(x * 2, [x], b)
    with pytest.raises(ArgumentMismatch, match="an input is named out too"):
        kernel(out=b)
    result = np.empty(3)
    np.testing.assert_array_equal(kernel(b, out=result), 2 * b)
    assert kernel(b, out=result) is result


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


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_positions_are_looked_at(dtype: str) -> None:
    """Positions that are no worked-out values are looked at on the way, in the shortest axis that they index."""
    i = sd.symbol("i", "fast_m", dtype)
    kernel = hot([B[i], B[:2][i]], [B, i], b, np.array([0, 1], dtype))
    for positions in ([0, 1], [-2, -1], [1, 1]):
        for x, y in zip(kernel(b, np.array(positions, dtype)), (b[positions], b[:2][positions]), strict=True):
            np.testing.assert_array_equal(x, y)
    assert kernel.fast_calls() == 3
    for wrong in (2, -3, 2**31 - 1, -2**31):
        for positions in ([0, wrong], [wrong, 0]):
            with pytest.raises(ArgumentMismatch, match=f"position {wrong}, which is outside of an axis of size [23]"):
                kernel(b, np.array(positions, dtype))
    if dtype == "int64":
        with pytest.raises(ArgumentMismatch, match=f"position {2**32}"):
            kernel(b, np.array([0, 2**32]))
    assert kernel.fast_calls() == 3


def test_what_must_be_asked_is_asked() -> None:
    i = sd.symbol("i", 2, "int64")
    gather = sd.compile(B[i + 1], [B, i])
    for _ in range(3):
        gather(b, np.array([0, 1]))
    assert gather.fast is not None
    with pytest.raises(ArgumentMismatch, match="position 3"):
        gather(b, np.array([0, 2]))
    checked = sd.compile(A @ B, [A, B], check=True)
    for _ in range(3):
        checked(a, b)
    with pytest.raises(ArgumentMismatch):
        checked(a * np.nan, b)


def test_large_calls_give_the_lock_away() -> None:
    """Other threads run meanwhile, and their calls of the same kernel go the careful way."""
    x = sd.symbol("x", "fast_k")
    kernel = sd.compile([sd.sum(sd.sin(x + k)) for k in range(40)], [x], threads=1)
    data = RNG.normal(size=400_000)
    expected = [kernel(data) for _ in range(2)][-1]
    assert kernel.fast is not None
    stop, turns = threading.Event(), 0

    def count() -> None:
        nonlocal turns
        while not stop.is_set():
            turns += 1
            stop.wait(0.0005)
    counter = threading.Thread(target=count)
    counter.start()
    for _ in range(5):
        same(kernel(data), expected)
    stop.set()
    counter.join()
    assert kernel.fast_calls() == 5 and turns > 20
    wrong: list[Any] = []

    def call(factor: float) -> None:
        good = sd.compile([sd.sum(sd.sin(x + k)) for k in range(40)], [x], threads=1)(factor * data)
        for _ in range(20):
            try:
                same(kernel(factor * data), good)
            except AssertionError as fault:
                wrong.append(fault)
    threads = [threading.Thread(target=call, args=(1.0 + k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and kernel.stats()["calls"] == 87


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_running_kernel() -> None:
    """A kernel that another thread runs while the process forks is called past Python in the child too."""
    x = sd.symbol("x", "fast_f")
    kernel = hot([sd.sum(sd.sin(x + k)) for k in range(40)], [x], data := RNG.normal(size=200_000), threads=1)
    expected = [kernel(data) for _ in range(2)][-1]
    caller = threading.Thread(target=lambda: kernel(data))
    caller.start()
    while kernel.fast.__self__[RUNNING] == 0 and caller.is_alive():
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads at a fork
        child = os.fork()
    if child == 0:
        before = kernel.fast_calls()
        right = all(map(np.array_equal, kernel(data), expected)) and kernel.fast_calls() == before + 1
        os._exit(0 if right else 1)
    caller.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("several", [False, True])
def test_large_calls_go_past_python_once_it_is_known_how_they_run_best(several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    known = False
    monkeypatch.setattr(Pace, "is_settled", lambda self: known)
    monkeypatch.setattr(Pace, "threaded", lambda self: several)
    kernel, large = sd.compile(A @ B, [A, B], threads=2), np.random.default_rng(0).random((40_000, 3))
    for _ in range(3):
        kernel(large, b)
    assert kernel.fast is None
    known = True
    for _ in range(3):
        np.testing.assert_array_equal(kernel(large, b), sd.compile(A @ B, [A, B], threads=1)(large, b))
    assert kernel.fast_calls() == 2
    for _ in range(3):
        np.testing.assert_array_equal(kernel(a, b), sd.compile(A @ B, [A, B], threads=1)(a, b))
    assert kernel.fast_calls() == 1 and kernel.stats()["calls"] == 9


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
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert kernel.fast_calls() == 3
