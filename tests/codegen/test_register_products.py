"""Products of small matrices in registers: every way to lie, heights and widths that fill no tile, sums, not-a-numbers."""

from __future__ import annotations

import itertools
import re
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from msgspec.structs import replace

import symdiff as sd
from codegen.backends.native_code import machine
from codegen.emitters.llvm.instructions import literal
from codegen.emitters.llvm.register_products import HIGHEST, copy_function, rows_of_tile, tile_function

SIZES = [(1, 1, 1), (3, 3, 3), (10, 64, 10), (64, 16, 64), (5, 7, 9), (1, 20, 30), (33, 17, 65), (64, 64, 1), (7, 40, 2),
         (12, 300, 20), (9, 2, 31), (200, 200, 200), (130, 600, 41),
         (1100, 300, 70), (150, 1, 3000)]
LEFT = {"float64": 1e-13, "float32": 2e-5}


@pytest.mark.parametrize("dtype", LEFT)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_way_to_lie(dtype: str, sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    wanted = left.astype("float64") @ right
    scale = np.max(np.abs(left)) * np.max(np.abs(right)) * k
    outputs, inputs, values = [], [], []
    for case, (a_turned, b_turned, c_turned) in enumerate(itertools.product((False, True), repeat=3)):
        A = sd.symbol(f"A{case}", (k, m) if a_turned else (m, k), dtype)
        B = sd.symbol(f"B{case}", (n, k) if b_turned else (k, n), dtype)
        product = (A.T if a_turned else A) @ (B.T if b_turned else B)
        outputs.append(product.T if c_turned else product)
        inputs += [A, B]
        values += [np.ascontiguousarray(left.T if a_turned else left), np.ascontiguousarray(right.T if b_turned else right)]
    for case, found in enumerate(sd.compile(outputs, inputs)(*values)):
        np.testing.assert_allclose(found.T if case % 2 else found, wanted, rtol=0, atol=LEFT[dtype] * scale, err_msg=str(case))


@pytest.mark.parametrize("dtype", LEFT)
@pytest.mark.parametrize("few", [1, 2, 5, 6, 7, 10, 12, 13])
def test_few_rows_or_columns(few: int, dtype: str) -> None:
    """Whatever the other sizes are, and by whichever axis the result lies; sums of two products add to what is there."""
    k, n = 900, 150
    rng = np.random.default_rng(few)
    P, Q, R, S = (sd.symbol(name, shape, dtype) for name, shape in (("P", (k, few)), ("Q", (k, n)), ("R", (few, k)), ("S", (k, n))))
    outputs = [P.T @ Q, Q.T @ P, R @ Q, Q.T @ R.T, P.T @ Q + R @ S, Q.T @ P + S.T @ R.T, 0.5 * (Q.T @ P)]
    kernel = sd.compile(outputs, [P, Q, R, S], cache=False)
    given = [rng.normal(size=s.shape).astype(dtype) for s in (P, Q, R, S)]
    p, q, r, s = (x.astype("float64") for x in given)
    wanted = [p.T @ q, q.T @ p, r @ q, q.T @ r.T, p.T @ q + r @ s, q.T @ p + s.T @ r.T, 0.5 * q.T @ p]
    for found, right in zip(kernel(*given), wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=LEFT[dtype] * 20 * k)
    if few * np.dtype(dtype).itemsize <= 48:
        assert ".tile_" in kernel.llvm


@pytest.mark.parametrize("dtype", LEFT)
@pytest.mark.usefixtures("large_cache")
def test_sizes_that_only_the_call_knows(dtype: str) -> None:
    """One code for products that are small, and for those that BLAS gets."""
    p, q, r = sd.dims("rp_p rp_q rp_r")
    A, B, Y = sd.symbol("A", (p, q), dtype), sd.symbol("B", (q, r), dtype), sd.symbol("Y", (p, r), dtype)
    outputs = [A @ B, A.T @ Y, Y @ B.T, (A @ B).T]
    kernel = sd.compile(outputs, [A, B, Y])
    text = kernel.llvm
    rng = np.random.default_rng(1)
    for sizes in ((70, 65, 90), (1, 1, 1), (3, 2, 5), (300, 260, 280), (65, 9, 7), (100, 101, 3)):
        a, b, y = (rng.normal(size=(sizes[i], sizes[j])).astype(dtype) for i, j in ((0, 1), (1, 2), (0, 2)))
        wide = [x.astype("float64") for x in (a, b, y)]
        wanted = [wide[0] @ wide[1], wide[0].T @ wide[2], wide[2] @ wide[1].T, (wide[0] @ wide[1]).T]
        for found, expected in zip(kernel(a, b, y), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=LEFT[dtype] * 20 * max(sizes))
    assert ".tile_" in text and "%.routines" in text


def test_sums_over_tiles_add_to_what_is_there() -> None:
    n = sd.dim("rp_n")
    X, w = sd.symbol("X", (n, 6)), sd.symbol("w", (n,))
    outputs = [sd.einsum("ni,nj,n->ij", X, X, sd.sin(w)), X.T @ sd.exp(X * 0.1)]
    kernel = sd.compile(outputs, [X, w])
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(5000, 6)), rng.normal(size=5000)
    for found, expected in zip(kernel(x, v), (x.T @ (x * np.sin(v)[:, None]), x.T @ np.exp(x * 0.1)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    assert "_adds" in kernel.llvm


def test_not_a_number_stays_where_it_belongs() -> None:
    """Nothing of the columns beside a narrow matrix, or of the old result, gets into the new one."""
    A, B = sd.symbol("A", (7, 5)), sd.symbol("B", (5, 3))
    kernel = sd.compile(sd.sin(A) @ B, [A, B], cache=False)
    a, b = np.ones((7, 5)), np.ones((5, 3))
    a[2, 1], b[4, 2] = np.nan, np.inf
    for _ in range(2):
        found = kernel(a, b, out=np.full((7, 3), np.nan))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(found, np.sin(a) @ b)


@pytest.fixture()
def large_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second cache of 2 MiB and a BLAS for the processor, whatever this machine has: what is done in registers depends on it."""
    monkeypatch.setattr(machine(), "processor", replace(machine().processor, cache_bytes=1 << 21, library_bytes=lambda: 0))


@pytest.fixture(params=[16, 64], ids=["narrow", "wide"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A BLAS of shorter vectors than the processor has, and one of as long ones; says whether it is called."""
    vectors = max(machine().processor.vector_bytes, 32)
    told = replace(machine().processor, cache_bytes=1 << 18, vector_bytes=vectors, library_bytes=lambda: int(request.param))
    monkeypatch.setattr(machine(), "processor", told)
    return request.param == 64


@pytest.mark.usefixtures("large_cache")
def test_small_products_do_not_call_blas_and_large_ones_do() -> None:
    def calls(*shapes: tuple[int, int]) -> tuple[bool, bool]:
        A, B = (sd.symbol(name, shape) for name, shape in zip("AB", shapes, strict=True))
        text = sd.compile(A @ B, [A, B]).llvm
        return "call void @.tile" in text, "%.routines, i64 0" in text
    assert calls((40, 50), (50, 60)) == (True, False)
    assert calls((300, 300), (300, 300)) == (True, False)
    assert calls((300, 900), (900, 900))[1]


@pytest.mark.parametrize("dtype", LEFT)
@pytest.mark.parametrize("sizes", [(32, 2100, 290), (17, 300, 400), (300, 500, 350), (257, 259, 263)], ids=str)
def test_large_products_with_and_without_blas(dtype: str, sizes: tuple[int, int, int], library: bool) -> None:
    """All ways to lie, symmetric products too: by blocks where BLAS uses shorter vectors, else by BLAS."""
    m, k, n = sizes
    rng = np.random.default_rng(4)
    A, B, P, Q = (sd.symbol(name, shape, dtype) for name, shape in (("A", (m, k)), ("B", (k, n)), ("P", (k, m)), ("Q", (n, k))))
    s = sd.symbol("s", k, dtype)
    outputs = [A @ B, A @ Q.T, P.T @ B, P.T @ Q.T, (A @ B).T, B.T @ B, (B * s[:, None]).T @ B, 2 * (A @ Q.T) + P.T @ B]
    given = [rng.normal(size=x.shape).astype(dtype) for x in (A, B, P, Q, s)]
    a, b, p, q, w = (x.astype("float64") for x in given)
    wanted = [a @ b, a @ q.T, p.T @ b, p.T @ q.T, (a @ b).T, b.T @ b, (b * w[:, None]).T @ b, 2 * a @ q.T + p.T @ b]
    kernel = sd.compile(outputs, [A, B, P, Q, s], cache=False)
    out = [np.full(x.shape, np.nan, dtype) for x in outputs]
    for found, right in zip(kernel(*given, out=out), wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=LEFT[dtype] * 60 * k)
    assert bool(re.search(r"%\.routines, i64 [0-3]\b", kernel.llvm)) is library


@pytest.mark.parametrize("dtype", LEFT)
@pytest.mark.parametrize("sizes", [(130, 700, 75), (1050, 270, 64)], ids=str)
@pytest.mark.usefixtures("large_cache")
def test_panels_that_are_copied(dtype: str, sizes: tuple[int, int, int]) -> None:
    """Several blocks of rows of B and strips of A; sums of products add to what is there, also multiplied by a number."""
    m, k, n = sizes
    rng = np.random.default_rng(3)
    A, B, P, Q = (sd.symbol(name, shape, dtype) for name, shape in (("A", (m, k)), ("B", (k, n)), ("P", (k, m)), ("Q", (n, k))))
    outputs = [A @ B + P.T @ B, 0.5 * (A @ Q.T) + A @ B, 3 * (P.T @ Q.T)]
    given = [rng.normal(size=s.shape).astype(dtype) for s in (A, B, P, Q)]
    a, b, p, q = (x.astype("float64") for x in given)
    wanted = [a @ b + p.T @ b, 0.5 * a @ q.T + a @ b, 3 * p.T @ q.T]
    kernel = sd.compile(outputs, [A, B, P, Q], cache=False)
    for _ in range(2):
        out = [np.full((m, n), np.nan, dtype) for _ in wanted]
        for found, right in zip(kernel(*given, out=out), wanted, strict=True):
            np.testing.assert_allclose(found, right, rtol=0, atol=LEFT[dtype] * 60 * k)
    assert "call void @.copy_" in kernel.llvm and "_adds" in kernel.llvm


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_the_rows_of_a_tile(vector_bytes: int) -> None:
    for vectors, most in HIGHEST[vector_bytes > 32].items():
        found: dict[int, Any] = {m: rows_of_tile(literal(m, "i64"), vectors, vector_bytes) for m in range(1, 100)}
        assert all(1 <= rows <= most for rows in found.values())
        assert all(found[m] == m for m in range(1, 5))
        assert all(-(-m // rows) * rows - m < 4 for m, rows in found.items())


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("kind", ["double", "float"])
def test_tiles_of_all_widths_are_legal(kind: str, lanes: int) -> None:
    for vectors, masked, adds, scaled in itertools.product((1, 2), (False, lanes > 1), (False, True), (False, True)):
        text, declared = tile_function("tile", kind, lanes, 5, vectors, masked, adds, scaled)
        llvm.parse_assembly("\n".join([*declared.values(), text])).verify()
        text, declared = copy_function("copy", kind, lanes, vectors, masked, adds)
        llvm.parse_assembly("\n".join([*declared.values(), text])).verify()


def test_masked_stores_of_several_widths_are_several_functions() -> None:
    """A Hessian of few classes: tiles with masks of 8 and of 16 lanes in one module."""
    rng = np.random.default_rng(0)
    W, X = sd.symbol("W", (20, 6), dtype="float32"), sd.symbol("X", (200, 20), dtype="float32")
    y = sd.symbol("y", 200, dtype="int64")
    loss = sd.nn.cross_entropy(X @ W, y)
    outputs = [loss, sd.hessian(loss, W)]
    kernel, reference = sd.compile(outputs, [W, X, y], cache=False), sd.compile(outputs, [W, X, y], target="numpy")
    values = [rng.normal(size=(20, 6)).astype("f"), rng.normal(size=(200, 20)).astype("f"), rng.integers(0, 6, 200)]
    for found, wanted in zip(kernel(*values), reference(*values), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    names = dict(re.findall(r"declare void (@llvm\.masked\.store\S+)\(<(\d+) x", kernel.llvm))
    assert all(f".v{lanes}f" in name for name, lanes in names.items()) and len(names) > 1
