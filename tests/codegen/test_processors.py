"""What follows from the processor: vectors, data that is fetched ahead, products in registers up to a part of a cache."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends import processor_caches
from codegen.backends.processor_caches import LEAST, MOST, USUAL, from_sysfs, second_cache_bytes
from codegen.emitters.llvm.module import emit
from codegen.emitters.llvm.processor import Processor
from codegen.loop_ir.nodes import Program

PREFETCH = "call void @llvm.prefetch"


def program_of(outputs: Any, inputs: list[Any]) -> Program:
    """The program for a million samples, as it is emitted."""
    program = sd.compile(outputs, inputs).planned({"n": 1_000_000}).program
    assert all(b.sample_axis == 0 for b in program.buffers if b.role == "arg" and "n" in str(b.shape))
    return program


def regression(columns: int, dtype: str = "float64") -> Program:
    X, y, w = sd.symbol("X", ("n", columns), dtype), sd.symbol("y", "n", dtype), sd.symbol("w", columns, dtype)
    return program_of(list(sd.value_and_grad(sd.sum((X @ w - y) ** 2), [w])), [X, y, w])


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize(("columns", "dtype"), [(32, "float64"), (48, "float32"), (16, "float64")])
def test_each_line_of_a_row_is_fetched_ahead_once(vector_bytes: int, columns: int, dtype: str) -> None:
    """The row nest reads a row twice, and the weights and the goals beside it."""
    text = emit(regression(columns, dtype), Processor(vector_bytes))
    assert text.count(PREFETCH) == columns * np.dtype(dtype).itemsize // 64


@pytest.mark.parametrize(("columns", "again"), [(1000, True), (4000, True), (200, False), (32, False)])
def test_where_long_rows_are_read_again_the_next_ones_are_fetched(columns: int, again: bool) -> None:
    """Into the second cache, which is told by a 2; rows of which a tile has more than four are read one after the other."""
    text = emit(regression(columns), Processor(64))
    assert ("i32 0, i32 2, i32 1)" in text) is again
    assert ("i32 0, i32 3, i32 1)" in text) is not again


def test_what_is_no_row_of_data_is_not_fetched() -> None:
    x, A = sd.symbol("x", "n"), sd.symbol("A", (40, 40))
    assert PREFETCH not in emit(program_of(sd.sum(sd.exp(x)), [x]), Processor(32))
    assert PREFETCH not in emit(program_of(sd.sum(sd.exp(A)), [A]), Processor(32))


@pytest.mark.parametrize("columns", [32, 1024])
def test_data_may_end_with_the_memory_of_the_process(columns: int) -> None:
    """What is fetched ahead of the last rows belongs to nobody."""
    rows = 16 * mmap.PAGESIZE // (8 * columns)
    with mmap.mmap(-1, rows * columns * 8) as memory:
        X = np.frombuffer(memory).reshape(rows, columns)
        X[:] = np.random.default_rng(0).normal(size=X.shape)
        y, w = np.ones(rows), np.linspace(-1, 1, columns)
        program = sd.symbol("X", ("n", columns)), sd.symbol("y", "n"), sd.symbol("w", columns)
        residual = program[0] @ program[2] - program[1]
        kernel = sd.compile(list(sd.value_and_grad(sd.sum(residual ** 2), [program[2]])), list(program), cache=False)
        value, (slope,) = kernel(X, y, w)
        np.testing.assert_allclose(value, np.sum((X @ w - y) ** 2), rtol=1e-12)
        np.testing.assert_allclose(slope, 2 * X.T @ (X @ w - y), rtol=1e-11)
        del X


@pytest.mark.parametrize(("order", "cache_bytes", "in_registers"), [
    (64, 1 << 18, True), (256, 1 << 18, False), (128, 1 << 20, True), (512, 1 << 20, False), (200, 1 << 21, True)])
def test_products_in_registers_meet_what_the_second_cache_holds(order: int, cache_bytes: int, in_registers: bool) -> None:
    A, B = sd.symbol("A", (order, order)), sd.symbol("B", (order, order))
    program = program_of(A @ B, [A, B])
    assert ("@.tile_double" in emit(program, Processor(32, cache_bytes))) == in_registers


def cache(folder: Path, name: str, level: str, kind: str, size: str) -> None:
    (folder / name).mkdir()
    for what, text in (("level", level), ("type", kind), ("size", size)):
        (folder / name / what).write_text(text + "\n")


def test_the_second_cache_is_read_from_the_system(tmp_path: Path) -> None:
    assert from_sysfs(tmp_path) == from_sysfs(tmp_path / "absent") == 0
    cache(tmp_path, "index0", "1", "Data", "32K")
    cache(tmp_path, "index1", "2", "Instruction", "64K")
    assert from_sysfs(tmp_path) == 0
    cache(tmp_path, "index2", "2", "Unified", "512K")
    assert from_sysfs(tmp_path) == 1 << 19
    for text, told in (("2M", 1 << 21), ("1280K", 1280 << 10), ("", 0), ("many", 0), ("12", 0)):
        (tmp_path / "index2" / "size").write_text(text)
        assert from_sysfs(tmp_path) == told


def test_nonsense_about_caches_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LEAST <= second_cache_bytes() <= MOST
    monkeypatch.setattr(processor_caches.sys, "platform", "linux")
    for told, taken in ((0, USUAL), (1 << 10, LEAST), (1 << 30, MOST), (1 << 20, 1 << 20)):
        monkeypatch.setattr(processor_caches, "from_sysfs", lambda folder, told=told: told)
        assert second_cache_bytes() == taken
