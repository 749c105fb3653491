"""The LLVM emitter: the programs of the collection, in one lane and many, against the interpreter; its listings."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends.llvm_cpu import LlvmCpu
from codegen.backends.protocol import BuildOptions, Code
from codegen.emitters.llvm import module
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Program
from codegen.loop_ir.walks import INPUTS, parameters, storage_shape, tile_rows
from symdiff.errors import BackendUnavailable
from symdiff.sizes import value_of
from tests.codegen import programs
from tests.codegen.test_python_emitter import CASES
from tests.codegen.test_scalars import grid, table_program, ulps

RNG = np.random.default_rng(4)
TARGET = LlvmCpu()


def scheduled(program: Program) -> Program:
    for schedule in TARGET.SCHEDULE:
        program = check(schedule(program))
    return program


def run(program: Program, arguments: list[Any], sizes: dict[str, int]) -> list[Any]:
    """The outputs of a program on storage that holds NaN before."""
    program, options = scheduled(program), BuildOptions()
    kernel = TARGET.build(program, Code(lambda: TARGET.emit(program, options)), options)
    rows, given = tile_rows(program), iter(arguments)
    arrays = []
    for b in parameters(program):
        shape = tuple(value_of(s, sizes) for s in storage_shape(b, rows))
        arrays.append(np.ascontiguousarray(next(given)) if b.role in INPUTS else
                      np.full(shape, np.nan if b.dtype.startswith("float") else 1, b.dtype))
    kernel(arrays, [sizes[name] for name in program.sizes])
    return [a for a, b in zip(arrays, parameters(program), strict=True) if b.role == "out"]


def same(found: list[Any], expected: list[Any], rtol: float = 1e-12) -> None:
    for f, e in zip(found, expected, strict=True):
        assert f.dtype == e.dtype
        np.testing.assert_allclose(f, e, rtol=1e-5 if e.dtype == np.float32 else rtol, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_interpreter(name: str) -> None:
    program, arguments, sizes = CASES[name]
    same(run(program, arguments, sizes), interpret(program, arguments, sizes))


@pytest.mark.parametrize("samples", [1, 3, 4, 5, 16, 17, 40])
@pytest.mark.parametrize("columns", [1, 2, 4, 7, 16, 19, 35])
def test_every_rest_of_a_vector(samples: int, columns: int) -> None:
    X, Y, W = RNG.normal(size=(samples, columns)), RNG.normal(size=samples), RNG.normal(size=columns)
    sizes = {"n": samples, "d": columns}
    same(run(programs.gradient(), [X, Y, W], sizes), interpret(programs.gradient(), [X, Y, W], sizes))
    same(run(programs.chain(), [X], sizes), interpret(programs.chain(), [X], sizes))
    same(run(programs.folds(), [np.where(X < -1, np.nan, 9 * X)], sizes),
         interpret(programs.folds(), [np.where(X < -1, np.nan, 9 * X)], sizes))


@pytest.mark.parametrize("flags", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 1, 1)])
@pytest.mark.parametrize(("dtype", "kind"), [("float64", "gemm"), ("float32", "gemm"), ("float64", "skinny"), ("int64", "gemm"),
                                             ("int32", "gemm")])
def test_matrix_products(flags: tuple[int, int, int], dtype: str, kind: Any) -> None:
    ta, tb, tc = map(bool, flags)
    sizes = {"n": 5, "d": 3, "m": 4}
    a, b = ((10 * RNG.normal(size=s[::-1] if t else s)).astype(dtype) for s, t in (((5, 3), ta), ((3, 4), tb)))
    program = programs.matmul(ta, tb, tc, dtype=dtype, kind=kind)
    same(run(program, [a, b], sizes), interpret(program, [a, b], sizes))


def test_batched_products() -> None:
    a, b = RNG.normal(size=(4, 3, 5)), RNG.normal(size=(4, 3, 2))
    program = programs.matmul(True, batch=True)
    same(run(program, [a, b], {"n": 5, "d": 3, "m": 2, "k": 4}), [a.transpose(0, 2, 1) @ b])


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32"])
def test_scalar_rows_in_lanes(dtype: str) -> None:
    """All rows of the table on special values, vectors and the rest of one; some ulps are ours, zeros may lose their sign."""
    program, rows = table_program(dtype)
    arguments = grid(dtype)
    size = arguments[0].size - 1  # not a multiple of any vector's length
    arguments = [a[:size] for a in arguments]
    expected = interpret(program, arguments, {"n": size})
    found = run(program, arguments, {"n": size})
    bad = {}
    for row, got, reference in zip(rows, found, expected, strict=True):
        error = ulps(got, reference) if reference.dtype.kind == "f" else (got != reference).astype(float)
        if row.name == "power":  # NumPy takes a square root here, and C's pow has other rules at -inf and -0
            error[(arguments[1] == 0.5) & np.isin(arguments[0], [-np.inf, 0])] = 0
        if error.max() > 5:
            worst = int(error.argmax())
            bad[row.name] = (error.max(), [x[worst] for x in arguments[:3]], got[worst], reference[worst])
    assert not bad


def test_listings() -> None:
    x = sd.symbol("x", "n")
    kernel = sd.compile(sd.sum(sd.exp(x)), [x], target="cpu")
    assert kernel([0.0, 0.0, 0.0]) == 3.0
    assert "define void @kernel" in kernel.llvm and re.search(r"<\d+ x double>", kernel.llvm)
    assert "kernel" in kernel.assembly and "def kernel" in kernel.source
    with pytest.raises(BackendUnavailable, match="has no llvm"):
        _ = sd.compile(x, target="interpreter").llvm


def test_no_name_of_the_user_and_no_address_in_the_module() -> None:
    secret = sd.symbol("secret_name", "secret_size")
    text = sd.compile([sd.sum(sd.sin(secret)), secret @ secret], [secret], target="cpu").llvm
    assert "secret_name" not in text and "inttoptr" not in text
    assert module.emit(scheduled(programs.gradient())) == module.emit(scheduled(programs.gradient()))


@pytest.mark.parametrize(("samples", "whole"), [(256, True), (1024, True), (72, True), (250, False), (99, False)])
def test_ranges_of_whole_vectors_need_no_masks(samples: int, whole: bool) -> None:
    """Where it is known from the start that vectors fill every tile, what is left of a tile is not written."""
    x, k = sd.symbol("x", (samples, 3)), sd.symbol("k", 3)
    y = sd.tanh(x @ k)
    kernel = sd.compile([sd.sum(y), sd.grad(sd.sum(y), k), y], [x, k], cache=False, threads=2)
    u, v = RNG.normal(size=(samples, 3)), RNG.normal(size=3)
    for _ in range(8):
        total, slope, values = kernel(u, v)
    right = np.tanh(u @ v)
    np.testing.assert_allclose(values, right, rtol=1e-11)
    np.testing.assert_allclose(total, right.sum(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope, u.T @ (1 - right**2), rtol=1e-11, atol=1e-12)
    text = kernel.llvm
    begin = text.index("define void @range_0(")
    assert ("masked" in text[begin:text.index("\n}", begin)]) != whole


def test_short_loops_around_long_ones_are_not_written_out() -> None:
    """Three turns around a sum over 400 rows, taken four at a time with none left, are one nest."""
    x = sd.symbol("x", (3, 400, 16))
    kernel = sd.compile(sd.sum(x, axis=(0, 1)), cache=False)
    values = RNG.normal(size=(3, 400, 16))
    np.testing.assert_allclose(kernel(values), values.sum((0, 1)), rtol=1e-12, atol=1e-12)
    text = kernel.loop_ir
    assert "0 : 3 unrolled" not in text and "in 400 : 400" not in text


def test_conditions_are_spread_without_shuffles() -> None:
    """LLVM 22 asks a broadcast of conditions by an instruction that knows 16 of 32 registers, and so reads another one."""
    x, A = sd.symbol("x", 6), sd.symbol("A", (6, 6))
    windows = sd.pad(x[:3] * 2, ((2, 1),)) + sd.pad(x[1:5], ((1, 1),))
    kernel = sd.compile(sd.sum(sd.sin(A.T @ windows)), [x, A], cache=False)
    values = np.linspace(-1, 1, 6), np.cos(np.arange(36.0)).reshape(6, 6)
    spread = np.pad(2 * values[0][:3], (2, 1)) + np.pad(values[0][1:5], (1, 1))
    np.testing.assert_allclose(kernel(*values), np.sin(values[1].T @ spread).sum(), rtol=1e-12)
    assert not re.search(r"shufflevector <\d+ x i1> [^\n]* zeroinitializer\n", kernel.llvm)
