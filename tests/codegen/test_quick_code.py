"""Long straight programs run as quickly written code first, then as better code, with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends import llvm_cpu
from codegen.loop_ir.nodes import Store
from codegen.loop_ir.walks import statements
from codegen.runtime import blas
from tests.codegen.test_shared_terms import program


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better code after little more than a millisecond of running."""
    monkeypatch.setattr(llvm_cpu, "PATIENCE", 0.01)


def executable(kernel: Any) -> Any:
    assert kernel.last is not None
    return kernel.last[1].executable


@pytest.mark.usefixtures("soon")
def test_better_code_follows(tmp_path: Path) -> None:
    p, value = program(2500, 1, "mean minus times sin tanh")
    outputs = [value, sd.grad(value, p)]
    f = sd.compile(outputs, cache=str(tmp_path))
    x = np.random.default_rng(0).uniform(-1, 1, 8)
    first = f(x)
    quick = executable(f)
    assert quick.better is not None
    for _ in range(3000):
        found = f(x)
        if quick.better is None:
            break
    assert quick.better is None
    assert np.isfinite(first[1]).all()
    for a, b, c in zip(first, found, f(x), strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
    calls = f.fast_calls()
    f(x)
    assert f.fast_calls() in (calls, calls + 1)
    # The better code is on the disk: it is what the next kernel loads.
    again = sd.compile(outputs, cache=str(tmp_path))
    again(x)
    assert executable(again).better is None and again.stats()["cache"] == "hit"


def test_code_that_may_reorder_is_written_once() -> None:
    _, value = program(2500, 1, "mean minus times sin tanh")
    f = sd.compile(value, cache=False, fast_math=True)
    f(np.zeros(8))
    assert executable(f).better is None


def test_what_parts_hand_on_lies_in_one_buffer() -> None:
    """Positions are given on as soon as their values are read no more; integers have a buffer of their own."""
    p, value = program(1500, 1, "mean minus times sin tanh")
    whole = sd.symbol("i", (), "int64")
    odd = whole
    for k in range(400):
        odd = odd * 3 + k * whole - odd // 7
    f = sd.compile([value, sd.grad(value, p), odd], [p, whole], cache=False)
    kept = {b.name: b for b in f.planned().program.buffers if b.name.startswith("k")}
    assert sorted(b.dtype for b in kept.values()) == ["float64", "int64"]
    stores = [(s.buffer, s.index[0].const) for section in f.planned().program.sections for s in statements(section.body)
              if isinstance(s, Store) and s.buffer in kept]
    assert len(stores) > len(set(stores))
    for name, buffer in kept.items():
        assert {place for written, place in stores if written == name} == set(range(int(buffer.shape[0])))
    x = np.random.default_rng(0).uniform(-1, 1, 8)
    for found, wanted in zip(f(x, 5), sd.evaluate([value, sd.grad(value, p), odd], {p: x, whole: 5}), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_passes_beside_a_straight_program_are_written_once() -> None:
    """They may run on several threads, which do not ask for better code."""
    p, value = program(1500, 1, "mean minus times sin tanh")
    x = sd.symbol("x", "quick_rows")
    f = sd.compile([value, sd.sum(sd.exp(x))], [p, x], cache=False)
    f(np.zeros(8), np.ones(400_000))
    assert executable(f).better is None


def test_short_programs_and_loops_are_written_once() -> None:
    x = sd.symbol("x", "quick_n")
    for outputs, value in ((sd.sum(sd.exp(x)), np.ones(300)), ([x * k for k in range(3)], np.ones(4))):
        f = sd.compile(outputs, cache=False)
        f(value)
        assert executable(f).better is None


def test_blas_without_the_import_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library by its file, and by SciPy's capsules where that has none of the names, give the same routines."""
    assert blas.exported("dgemm") is not None and blas.exported("no_such_routine") is None
    direct = list(blas.addresses())
    handed = blas.handed_on()
    assert len(direct) == len(handed) + 2 and None not in handed
    a = np.random.default_rng(0).normal(size=(70, 60))
    X = sd.symbol("X", (70, 60))
    expected = a.T @ a
    np.testing.assert_allclose(sd.compile(X.T @ X, cache=False)(a), expected, rtol=1e-12)
    blas.addresses.cache_clear()
    monkeypatch.setattr(blas, "exported", lambda routine: None)
    np.testing.assert_allclose(sd.compile(X.T @ X, cache=False)(a), expected, rtol=1e-12)
    blas.addresses.cache_clear()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_squares_with_scales(dtype: str) -> None:
    """Σ s x xᵀ for scales of one sign, of any sign, and NaN; over whole arrays and along tiles."""
    n = sd.dim("square_n")
    X, s = sd.symbol("X", (n, 60), dtype), sd.symbol("s", n, dtype)
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(700, 60)).astype(dtype), rng.normal(size=700).astype(dtype)
    for scale, numbers in ((s**2, w**2), (sd.exp(s), np.exp(w)), (s, w), (sd.abs(s) + 1, np.abs(w) + 1), (-(s**2), -(w**2))):
        f = sd.compile((X.T * scale) @ X, [X, s], cache=False)
        found, wanted = f(x, w), (x.T.astype(float) * numbers) @ x
        exact = dtype == "float64"
        np.testing.assert_allclose(found, wanted, rtol=1e-11 if exact else 1e-3, atol=1e-9 if exact else 1e-2)
        np.testing.assert_array_equal(found, found.T)
    w[3] = np.nan
    assert np.isnan(sd.compile((X.T * s**2) @ X, [X, s], cache=False)(x, w)).all()
