"""Threads: the same bits for any number of them, and nothing that goes wrong when callers, compilers and forks meet."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends.crew_code import THREADS
from codegen.backends.parted_calls import CutRange, Pace, PartedCalls
from codegen.loop_ir.nodes import Accumulate, Affine, Buffer, Cut, Load, Program, SampleLoop, Section
from codegen.planning import cuts
from codegen.scheduling.independent_parts import cut_ranges

N = 5003
n = sd.dim("n")
x, y = sd.symbol("x", n), sd.symbol("y", n)
X = sd.symbol("X", (n, 5))
w = sd.symbol("w", 5)
W = sd.symbol("W", (5, 7))
T = sd.symbol("T", (11, 5))
idx = sd.symbol("idx", n, "int64")
X32, w32 = sd.symbol("X32", (n, 5), "float32"), sd.symbol("w32", 5, "float32")
R = np.random.default_rng(7)
VALUES: dict[str, Any] = {
    "x": R.normal(size=N), "y": np.sign(R.normal(size=N)), "X": R.normal(size=(N, 5)), "w": R.normal(size=5),
    "W": R.normal(size=(5, 7)), "T": R.normal(size=(11, 5)), "idx": R.integers(0, 11, N),
    "X32": R.normal(size=(N, 5)).astype("float32"), "w32": R.normal(size=5).astype("float32"),
}
LOGISTIC = sd.mean(sd.softplus(-y * (X @ w)))
LOGITS = X @ W
CASES: dict[str, Any] = {
    "sums": [sd.sum(x * y), sd.mean(x**2), sd.sum(X, axis=0)],
    "extremes": [sd.max(x), sd.min(x + y), sd.max(X, axis=0), sd.prod(1 + x / 1000)],
    "rows": [sd.exp(x) * y, X @ w, LOGITS, sd.softmax(LOGITS, axis=1)],
    "logistic": [LOGISTIC, sd.grad(LOGISTIC, w), sd.hessian(LOGISTIC, w)],
    "standardised": sd.grad(sd.sum(((X - sd.mean(X, axis=0)) / sd.std(X, axis=0)) ** 4 @ w), X),
    "softmax over samples": [sd.logsumexp(x), sd.grad(sd.logsumexp(x * y), x)],
    "layers": sd.grad(sd.mean(sd.logsumexp(sd.tanh(LOGITS), axis=1)), W),
    "gathered": [sd.sum((X - T[idx]) ** 2), sd.grad(sd.sum((X - T[idx]) ** 2), T)],
    "positions": [sd.argmax(x), sd.sum(x[1:] * x[:-1]), sd.grad(sd.sum((x[1:] - x[:-1]) ** 2), x)],
    "single": [sd.sum(sd.exp(X32 @ w32)), sd.grad(sd.sum(sd.exp(X32 @ w32)), w32)],
    "counts": [sd.sum(idx), sd.max(idx), sd.any(x > 3), sd.all(x > -9)],
}
# Kernels of these have no pass over samples.
WHOLE = {"positions"}


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, and threads for every call."""
    monkeypatch.setattr(cuts, "PART_WORK", 1)
    monkeypatch.setattr(cuts, "FOLD_WORK", 0)
    monkeypatch.setattr(Pace, "threaded", lambda self: True)
    monkeypatch.setattr(Pace, "is_settled", lambda self: True)


def outputs(case: Any, threads: int, **options: Any) -> list[Any]:
    f = sd.compile(case, threads=threads, cache=False, **options)
    given = {a.name: VALUES[a.name] for a in f.binder.arguments}
    for _ in range(2):
        f(**given)
    found = f(**given)  # past Python
    return [np.asarray(v) for v in (found if isinstance(found, (list, tuple)) else [found])]


@pytest.mark.parametrize("name", CASES)
def test_same_bits_for_any_number_of_threads(name: str) -> None:
    one = outputs(CASES[name], 1)
    for threads in (2, 3, 4):
        for a, b in zip(one, outputs(CASES[name], threads), strict=True):
            assert a.tobytes() == b.tobytes()
    for a, b in zip(one, outputs(CASES[name], 1, target="numpy"), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4 if a.dtype == "float32" else 1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_ranges_are_cut_in_many_parts(name: str) -> None:
    f = sd.compile(CASES[name], cache=False, threads=2)
    f(**{a.name: VALUES[a.name] for a in f.binder.arguments})
    program = f.planned().program
    parts = [s.cut for s in program.sections if s.kind == "range"]
    assert any(parts) != (name in WHOLE)
    executable: Any = f.last[1].executable
    if any(parts):
        assert any(len(s.ends({"n": N})) >= 8 for s in executable.parted.stages if isinstance(s, CutRange))


def test_parts_that_would_meet_are_not_cut() -> None:
    """A buffer that is neither folded nor written at the sample alone is one for the whole range."""
    size = sd.dim("n")
    at = Affine(0, (("i", 1),))
    value = Load("a0", (at,))
    for index, fold, cut in ((at, None, True), (Affine(0), None, False), (Affine(0), "add", True)):
        out = Buffer("o0", "float64", (size,), "out", 0 if fold is None else None, fold=fold)
        body = SampleLoop("i", (Accumulate("add", "o0", (index,), value),))
        program = Program("kernel", ("n",), (Buffer("a0", "float64", (size,), "arg", 0), out),
                          (Section("range", 0, (body,), size, cut=Cut(8, 4)),))
        assert (cut_ranges(program).sections[0].cut is not None) == cut


def test_fewer_samples_than_a_part() -> None:
    v = sd.symbol("v", sd.dim("anything", minimum=0))
    f = sd.compile([sd.sum(v), sd.exp(v)], v, threads=4, cache=False)
    for size in (N, 1, 3, 0, 600, 1023, 1024, 1025, 2048, 2100, 3000, 40_000):
        values = R.normal(size=size)
        for _ in range(2):
            total, each = f(values)
            np.testing.assert_allclose(total, values.sum(), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(each, np.exp(values), rtol=1e-15)


def test_eight_callers_at_once() -> None:
    """Each caller has values of its own, and the first calls compile."""
    f = sd.compile([LOGISTIC, sd.grad(LOGISTIC, w)], [X, y, w], threads=4, cache=False)
    g = sd.compile(sd.exp(x), x, threads=3, cache=False)
    alone = sd.compile([LOGISTIC, sd.grad(LOGISTIC, w)], [X, y, w], threads=1, cache=False)
    points = [np.random.default_rng(k).normal(size=5) for k in range(8)]
    expected = [alone(VALUES["X"], VALUES["y"], p)[1].tobytes() for p in points]
    wrong: list[str] = []

    def call(k: int) -> None:
        for _ in range(30):
            if f(VALUES["X"], VALUES["y"], points[k])[1].tobytes() != expected[k]:
                wrong.append(f"caller {k}")
            if not np.allclose(g(VALUES["x"]), np.exp(VALUES["x"]), rtol=1e-14):
                wrong.append(f"caller {k}, exp")
    callers = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong


FORKED = """
    import os, sys, warnings
    import numpy as np
    import symdiff as sd
    from codegen.backends.parted_calls import Pace
    from codegen.planning import cuts
    from codegen.runtime.workers import STATE, WORKERS
    cuts.PART_WORK = 1
    Pace.threaded = Pace.is_settled = lambda self: True
    x = sd.symbol("x", sd.dim("n"))
    f = sd.compile(sd.sum(sd.exp(x)), x, threads=4, cache=False)
    values = np.linspace(0, 1, 5000)
    before = [f(values) for _ in range(4)][0]
    warnings.simplefilter("ignore")  # Python 3.12 warns of threads at a fork
    child = os.fork()
    if child == 0:
        g = sd.compile(sd.sum(sd.sin(x)), x, threads=4, cache=False)
        right = all([f(values) == before and abs(g(values) - np.sin(values).sum()) < 1e-9 for _ in range(50)])
        right = right and f.fast is not None and WORKERS.table[1:, STATE].any()
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)
    assert f(values) == before
    sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_workers_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FORKED)], timeout=120, check=False)
    assert done.returncode == 0


def test_threads_are_chosen_by_what_calls_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pace = Pace()
    for seconds in (0.5, 0.4, 0.4):
        assert not pace.threaded()
        pace.note(False, seconds)
    for seconds in (0.9, 0.21, 0.3):
        assert pace.threaded()
        pace.note(True, seconds)
    assert pace.threaded()
    slow = Pace(best=[0.4, 0.41], timed=[3, 3])
    assert not slow.threaded()
    assert not Pace(best=[1e-5, float("inf")], timed=[3, 0]).threaded()


def test_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDIFF_THREADS", "3")
    assert sd.compile(x + 1, x, cache=False).stats()["threads"] == 3
    assert sd.compile(x + 1, x, cache=False, threads=2).stats()["threads"] == 2
    monkeypatch.setenv("SYMDIFF_THREADS", "many")
    with pytest.raises(sd.ArgumentMismatch, match=r"SYMDIFF_THREADS is 'many'"):
        sd.compile(x + 1, x)


def test_no_more_threads_are_asked_than_there_are_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    crew = PartedCalls.crew

    def noted(calls: PartedCalls, sizes: Any, threads: int) -> Any:
        found = crew(calls, sizes, threads)
        asked.append(found.words[THREADS])
        return found
    monkeypatch.setattr(PartedCalls, "crew", noted)
    f = sd.compile(sd.sum(sd.exp(x)), x, threads=4, cache=False)
    parts = []
    for size in (100_000, 2048, 1024, 600):
        np.testing.assert_allclose(f(np.zeros(size)), size)
        executable: Any = f.last[1].executable
        parts.append([len(s.ends({"n": size})) for s in executable.parted.stages if isinstance(s, CutRange)])
    assert asked == [min(4, max(counts)) for counts in parts]
    assert 1 in asked and 2 in asked and 4 in asked


def test_large_sums_are_folded_by_all_threads() -> None:
    """Rows of the instances are shared out, those of sums that have fewer go with the first; the bits are those of one thread."""
    n, d = sd.dim("n_folds", minimum=1), 211
    X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)
    loss = sd.mean(sd.softplus(X @ w) - y * (X @ w))
    roots = [loss, sd.grad(loss, w), sd.hessian(loss, w), sd.max(X)]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(12_000, d)), rng.integers(0, 2, 12_000).astype(float), 0.1 * rng.normal(size=d)]
    kernels = [sd.compile(roots, [X, y, w], threads=threads) for threads in (1, 2, 3, 4)]
    found = [kernel(*values) for kernel in kernels for _ in range(8)]
    for results in found:
        for ours, first in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(ours, first)
    p = 1 / (1 + np.exp(-values[0] @ values[2]))
    np.testing.assert_allclose(found[0][2], values[0].T @ ((p * (1 - p))[:, None] * values[0]) / 12_000, rtol=1e-11, atol=1e-14)
    assert found[0][3] == values[0].max()
    assert "i64 %.lo, i64 %.hi" in kernels[0].llvm.split("@fold_")[1].split("{")[0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_sums_without_rows_are_no_end_of_the_others(threads: int) -> None:
    """A gradient by no features beside a loss: the loss of all parts is there, in code for any size."""
    n, d = sd.dim("n_rowless", minimum=0), sd.dim("d_rowless", minimum=0)
    X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)
    loss = sd.sum(sd.softplus(X @ w) * y)
    kernel = sd.compile([loss, sd.grad(loss, w)], [X, y, w], threads=threads)
    for features in range(1, 7):  # as many as have code of their own, and more
        kernel(np.zeros((10, features)), np.ones(10), np.zeros(features))
    y_value = np.random.default_rng(0).random(200_000)
    for _ in range(8):
        value, gradient = kernel(np.zeros((200_000, 0)), y_value, np.zeros(0))
        np.testing.assert_allclose(value, np.log(2) * y_value.sum(), rtol=1e-12)
        assert gradient.shape == (0,)


FORKED_WHILE_COMPILING = """
    import os, signal, threading, time, warnings
    import numpy as np
    import symdiff as sd
    warnings.simplefilter("ignore")  # Python 3.12 warns of threads at a fork
    p, stop, begun = sd.symbol("p", 6), False, threading.Event()
    latest = [None]

    def compile_on_and_on():
        k = 1.0
        while not stop:
            k += 1
            latest[0] = sd.compile(sd.sum(sd.sin(k * p) ** 3), [p], cache=False)
            begun.set()
            latest[0](np.ones(6))
    other = threading.Thread(target=compile_on_and_on)
    other.start()
    begun.wait()
    statuses = []
    for turn in range(12):
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            if turn % 2:
                latest[0](np.ones(6))
            os._exit(int(sd.compile(sd.sum(sd.cos(7 * p)), [p], cache=False)(np.zeros(6)) != 6))
        statuses.append(os.waitpid(child, 0)[1])
    stop = True
    other.join()
    assert statuses == [0] * 12, statuses
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_while_another_thread_compiles_compiles_too() -> None:
    """It finds neither LLVM in the middle of something, nor a lock that nobody gives back."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FORKED_WHILE_COMPILING)], timeout=500, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


FIRST_CALLS = """
import threading
import numpy as np
import symdiff as sd
kernels = [sd.compile(k * sd.symbol(f"x{k}", k), cache=False) for k in (2, 3, 4, 5)]
values = [np.ones(k) for k in (2, 3, 4, 5)]
for f, v in zip(kernels, values):
    f(v)
barrier = threading.Barrier(len(kernels))
def work(k):
    barrier.wait()
    for _ in range(300):
        assert kernels[k](values[k])[0] == len(values[k])
threads = [threading.Thread(target=work, args=(k,)) for k in range(len(kernels))]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("fine")
"""


@pytest.mark.parametrize("attempt", range(3))
def test_threads_may_be_the_first_to_go_past_python_together(attempt: int) -> None:
    """The code that they all share is linked once: a second library in its place ended the process."""
    done = subprocess.run([sys.executable, "-c", FIRST_CALLS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr
