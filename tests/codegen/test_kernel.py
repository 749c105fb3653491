"""Kernel: built once and lazily, any layout, out= and aliasing, threads, the user's own njit code, every target."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

import symdiff as sd
from codegen.backends.protocol import BuildOptions, Code
from codegen.backends.registry import backend
from codegen.loop_ir.nodes import Buffer, Program, Section, Store
from codegen.runtime.kernel import Kernel, Planned
from symdiff.binding.arguments import Argument
from symdiff.errors import ArgumentMismatch, BackendUnavailable, TypeMismatch
from tests.codegen import programs

RNG = np.random.default_rng(2)
X, Y, W = RNG.normal(size=(13, 3)), RNG.normal(size=13), RNG.normal(size=3)


def flat(tree):
    return list(tree) if isinstance(tree, (list, tuple)) else [tree]


def make(program, target="numba", constants=(), log=None, names="XywUV"):
    chosen, options = backend(target), BuildOptions()
    arguments = [b for b in program.buffers if b.role == "arg"]
    outputs = sum(b.role == "out" for b in program.buffers)

    def plan(sizes, fixed):
        if log is not None:
            log.append(sizes)
        code = Code(lambda: chosen.emit(program, options))
        return Planned(program, code.text, lambda: chosen.build(program, code, options), lambda: "the plan",
                       {"plan": 0.1}, constants)

    return Kernel(plan, [Argument(name, b.dtype, b.shape) for name, b in zip(names, arguments, strict=False)],
                  lambda results: results[0] if outputs == 1 else list(results), flat, formula=lambda: "f = …",
                  names=[f"out[{k}]" for k in range(outputs)])


@pytest.fixture(scope="module")
def kernel():
    return make(programs.gradient())


@pytest.fixture(scope="module")
def expected():
    r = X @ W - Y
    return [0.5 * (r @ r) / 13, X.T @ r / 13, X.T @ X / 13]


def same(got, expected):
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12)


def test_call_by_position_and_name(kernel, expected):
    same(kernel(X, Y, W), expected)
    same(kernel(w=W, X=X, y=Y), expected)
    assert type(kernel(X, Y, W)[0]) is np.float64


@pytest.mark.parametrize("convert", [np.asfortranarray, lambda a: a[::-1][::-1], lambda a: a.astype(">f8"),
                                     np.ndarray.tolist, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_any_layout(kernel, expected, convert):
    kept = X.copy()
    same(kernel(convert(X), convert(Y), convert(W)), expected)
    np.testing.assert_array_equal(X, kept)


def test_read_only_arguments_need_no_second_compile(kernel, expected):
    frozen = X.copy()
    frozen.flags.writeable = False
    same(kernel(frozen, Y, W), expected)


def test_out_is_used(kernel, expected):
    out = [np.empty(()), np.empty(3), np.empty((3, 3), order="F")]
    result = kernel(X, Y, W, out=out)
    assert all(a is b for a, b in zip(result, out, strict=True))
    same(out, expected)


def test_out_may_overlap_inputs(kernel, expected):
    w, x = W.copy(), X.copy()
    kernel(x, Y, w, out=[np.empty(()), w, x[:3]])
    same([w, x[:3]], expected[1:])
    square = RNG.normal(size=(4, 4))
    identity = make(programs.matmul())
    product = square @ square
    identity(square, square, out=square)
    np.testing.assert_allclose(square, product)


@pytest.mark.parametrize("message, out", {
    "is a list, not": [np.empty(()), [1.0, 2, 3], np.empty((3, 3))],
    "is float32": [np.empty(()), np.empty(3, np.float32), np.empty((3, 3))],
    r"shape \(4,\)": [np.empty(()), np.empty(4), np.empty((3, 3))],
    "cannot be written": [np.empty(()), np.broadcast_to(0.0, 3), np.empty((3, 3))],
}.items())
def test_out_that_does_not_fit(kernel, message, out):
    with pytest.raises(ArgumentMismatch, match=message):
        kernel(X, Y, W, out=out)


def test_outputs_may_not_share_memory(kernel):
    both = np.empty(9)
    with pytest.raises(ArgumentMismatch, match="share memory"):
        kernel(X, Y, W, out=[np.empty(()), both[:3], both.reshape(3, 3)])


@pytest.mark.parametrize("strides", [(8, 8), (16, 8), (8, 16), (0, 8), (4, 24)])
def test_elements_of_an_output_may_not_share_memory(strides: tuple[int, int]) -> None:
    storage = np.empty(40)
    given = np.lib.stride_tricks.as_strided(storage, (3, 3), strides)
    with pytest.raises(ArgumentMismatch, match="elements of out share memory"):
        sd.compile(2 * sd.symbol("X", (3, 3)))(np.eye(3), out=given)


def test_an_output_may_have_gaps_and_stand_in_any_order() -> None:
    double, X = sd.compile(2 * sd.symbol("X", (3, 3))), np.arange(9.0).reshape(3, 3)
    storage = np.zeros(40)
    for strides in ((8, 24), (80, 16), (16, 48), (40, 8)):
        given = np.lib.stride_tricks.as_strided(storage, (3, 3), strides)
        np.testing.assert_array_equal(double(X, out=given), 2 * X)


def test_planned_once_and_only_when_needed():
    log = []
    lazy = make(programs.mean(), "interpreter", log=log)
    assert log == []
    assert "program mean" in lazy.source and log == [None]
    assert lazy(np.arange(4.0)) == 1.5 and log == [None]
    log = []
    make(programs.mean(), "interpreter", log=log)(np.arange(4.0))
    assert log == [{"n": 4}]


def test_looks(kernel):
    kernel(X, Y, W)
    assert "def range_0(lo, hi" in kernel.source and kernel.loop_ir.startswith("program gradient")
    assert kernel.explain() == "the plan" and kernel.formula == "f = …"
    stats = kernel.stats()
    assert stats["calls"] >= 1 and stats["scratch_bytes"] == 8 * (4 + 1 + 3) and stats["seconds"]["build"] > 0


def test_many_threads_at_once(expected):
    fresh = make(programs.gradient())
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        for _ in range(50):
            same(fresh(X, Y, W), expected)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert fresh.stats()["calls"] == 400


def test_from_the_users_own_numba_code(kernel, expected):
    f = kernel.njit

    @njit
    def twice(x, y, w):
        value, gradient, hessian = f(x, y, w)
        return 2 * value, 2 * gradient, 2 * hessian

    same(twice(X, Y, W), [2 * e for e in expected])
    same(twice(np.asfortranarray(X), Y, W), [2 * e for e in expected])


def test_scalars_and_constants_inline():
    at = programs.at
    n = programs.n
    body = (programs.Loop("i", 0, n, (Store("o0", at("i"), programs.call(
        "mul", programs.Load("a0", ()), programs.Load("c0", at("i")))),)),)
    program = Program("scale", ("n",), (Buffer("a0", "float64", (), "arg"), Buffer("c0", "float64", (n,), "const"),
                                        Buffer("o0", "float64", (n,), "out")), (Section("init", 0, body),))
    fixed = make(Program("scale", (), tuple(
        Buffer(b.name, b.dtype, (3,) if b.shape else (), b.role) for b in program.buffers), (Section("init", 0, (
            programs.Loop("i", 0, 3, body[0].body),)),)), constants=(np.array([1.0, 2, 3]),))
    np.testing.assert_array_equal(fixed(2.0), [2, 4, 6])
    f = fixed.njit

    @njit
    def call(x):
        return f(x)

    np.testing.assert_array_equal(call(3.0), [3, 6, 9])
    np.testing.assert_array_equal(call(np.array(2.0)), [2, 4, 6])


def test_interpreter_is_a_target(expected):
    same(make(programs.gradient(), "interpreter")(X, Y, W), expected)
    with pytest.raises(BackendUnavailable, match="cannot be called from Numba"):
        _ = make(programs.mean(), "interpreter").njit


def test_unknown_targets():
    with pytest.raises(BackendUnavailable, match="did you mean 'numba'"):
        backend("numbaa")
    with pytest.raises(BackendUnavailable, match="cuda"):
        backend("cuda")


def test_errors_name_the_argument(kernel):
    with pytest.raises(ArgumentMismatch, match="size n is 13 by axis 0 of X, but 12 by axis 0 of y"):
        kernel(X, Y[:-1], W)


def test_counts_of_the_last_call() -> None:
    X, w = sd.symbol("X", ("n", "d")), sd.symbol("w", "d")
    f = sd.compile(sd.sum(sd.exp(X @ w)), [X, w], target="interpreter")
    assert f.stats()["flops"] is None
    f(np.ones((6, 3)), np.ones(3))
    assert f.stats()["bytes"] == 8 * (6 * 3 + 3 + 1)
    assert 6 * (2 * 3 + 2) <= f.stats()["flops"] <= 6 * (2 * 3 + 2) + 8


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
@pytest.mark.parametrize("size", [1, 3, 5, 6, 7])
def test_steps_that_do_not_divide_a_negative_difference(target: str, size: int) -> None:
    n = sd.dim("tiled")
    marks = sd.symbol("marks", n)
    kernel = sd.compile(sd.sum(sd.exp(sd.tile(sd.diag(marks), 2))), target=target)
    given = np.arange(1.0, size + 1) / size
    np.testing.assert_allclose(kernel(given), 2 * np.sum(np.exp(np.diag(given))), rtol=1e-13)


@pytest.mark.parametrize("target", ["interpreter", "cpu", "numba"])
def test_a_pattern_and_a_truth_value_are_added(target: str) -> None:
    x, b = sd.symbol("x", (4, 4)), sd.symbol("b", (), "bool")
    given = np.arange(16.0).reshape(4, 4)
    kernel = sd.compile(sd.stack([x, x], axis=-1) + b, [x, b], target=target)
    np.testing.assert_array_equal(kernel(given, True), np.stack([given, given], axis=-1) + 1)


def test_explanation_tells_passes_parts_and_why_values_are_stored() -> None:
    n, d = sd.dims("n d")
    X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)
    loss = sd.mean(sd.softplus(-y * (X @ w)))
    f = sd.compile([loss, sd.grad(loss, w), sd.hessian(loss, w)], [X, y, w], cache=False)
    rows, columns = 20_000, 30
    f(np.ones((rows, columns)), np.ones(rows), np.zeros(columns))
    lines = f.explain().split("\n")
    assert lines[:3] == ["sizes: d = 30, a number in the code; n = 20000", "arguments: a0 = X, a1 = y, a2 = w",
                         "passes over the data: 1, along the axis of size n"]
    (section,) = [line for line in lines if line.startswith("range 0: tiles of ")]
    assert " parts of " in section and "flop, 4.97 MB: a0 a1 a2" in section
    text = "\n".join(lines)
    assert "per sample, since costly, and read at 2 places: σ(-y ⊙ (X w))" in text
    assert "since an output: " in text and "an operand of a matrix product" in text
    assert "recomputed where it is read:\n  at 2 places, cheaper than to store and load it: -y ⊙ (X w)" in text


def test_copies_and_pickles() -> None:
    """A kernel is its own copy, before and after it is called past Python; pickle is told what to do instead."""
    x = sd.symbol("x", 3)
    f = sd.compile(sd.sum(x**2), [x])
    for _ in range(4):
        assert f(np.ones(3)) == 3
        for copied in (copy.copy(f), copy.deepcopy(f), copy.deepcopy([f])[0]):
            assert copied is f
        with pytest.raises(TypeMismatch, match="pickle the expressions"):
            pickle.dumps(f)
