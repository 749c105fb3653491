"""Nests that are equal but for their buffers: one function in the module, the same bits, and no other nest taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.emitters.llvm import equal_nests
from codegen.emitters.llvm.equal_nests import shared_nests
from codegen.emitters.llvm.module import emit
from codegen.loop_ir.nodes import Buffer, Carried, Let, Load, Loop, Program, Register, SampleLoop, Section, Store, TileLoop, Update
from tests.codegen.programs import F, at, call, f, over, r

RNG = np.random.default_rng(5)


def net(depth: int, rows: Any, dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    """A tanh net of one width: its loss and gradients, and its inputs."""
    X, *weights = inputs = [sd.symbol("X", (rows, 16), dtype), *[sd.symbol(f"W{k}", (16, 16), dtype) for k in range(depth)]]
    layer = X
    for W in weights:
        layer = sd.tanh(layer @ W)
    loss = sd.sum(layer**2)
    return [loss, *sd.grad(loss, weights)], inputs


def values_for(inputs: list[Any], rows: int) -> list[Any]:
    shapes = [[s if isinstance(s, int) else rows for s in symbol.shape] for symbol in inputs]
    return [RNG.standard_normal(shape).astype(symbol.dtype) / 4 for shape, symbol in zip(shapes, inputs, strict=True)]


@pytest.mark.parametrize(("rows", "dtype"), [(24, "float64"), (sd.dim("equal_nests_rows", minimum=1), "float64"), (24, "float32")])
def test_layers_call_functions_and_give_the_same_bits(rows: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, inputs = net(6, rows, dtype)
    values = values_for(inputs, 300 if not isinstance(rows, int) else rows)
    shared = sd.compile(outputs, inputs, cache=False, threads=1)
    results = shared(*values)
    assert shared.llvm.count("call void @.nest_") >= 12
    monkeypatch.setattr(equal_nests, "LEAST_COST", 10**9)
    monkeypatch.setattr(equal_nests, "MatMul", type("Nothing", (), {}))
    apart = sd.compile(outputs, inputs, cache=False, threads=1)
    for one, other in zip(results, apart(*values), strict=True):
        np.testing.assert_array_equal(one, other)
    assert ".nest_" not in apart.llvm


def test_a_module_hardly_grows_with_the_layers() -> None:
    lengths = []
    for depth in (8, 24):
        outputs, inputs = net(depth, 24)
        kernel = sd.compile(outputs, inputs, cache=False)
        kernel(*values_for(inputs, 24))
        lengths.append(kernel.llvm.count("\n"))
    assert lengths[1] < 2 * lengths[0]


def exponentials(out: str, source: str, var: str = "i", factor: float = 1.0, size: int = 100) -> Loop:
    """out[i] = factor · exp(exp(source[i])), in a loop."""
    return over(var, Let("x", F, call("exp", call("exp", Load(source, at(var))))),
                Store(out, at(var), call("mul", f(factor), r("x"))), size=size)


def program(*nests: Any) -> Program:
    buffers = Buffer("a0", F, (100,), "arg"), *[Buffer(f"o{k}", F, (100,), "out") for k in range(3)]
    return Program("nests", (), buffers, (Section("init", 0, nests),))


def calls_of(program: Program) -> int:
    emit(program)
    return len(shared_nests(program, {}))


def test_names_make_no_difference() -> None:
    assert calls_of(program(exponentials("o0", "a0"), exponentials("o1", "a0", "j"))) == 2
    assert calls_of(program(exponentials("o1", "o0"), exponentials("o2", "o1", "j"), exponentials("o0", "o2", "k"))) == 3


@pytest.mark.parametrize("other", [
    exponentials("o1", "a0", factor=2.0), exponentials("o1", "a0", size=99), exponentials("o1", "o1"),
    over("i", Store("o1", at("i"), call("exp", call("mul", f(1.0), call("exp", Load("a0", at("i")))))), size=100)])
def test_whatever_differs_is_written_by_itself(other: Loop) -> None:
    assert calls_of(program(exponentials("o0", "a0"), other)) == 0


def test_arrays_in_one_storage_differ_from_arrays_apart() -> None:
    apart = exponentials("t0", "a0"), exponentials("t2", "t1")
    scratch = [Buffer(f"t{k}", F, (100,), "full", slot=slot) for k, slot in enumerate((0, 1, 1))]
    arrays = (Buffer("a0", F, (100,), "full", slot=5), *scratch)
    assert len(shared_nests(Program("slots", (), arrays, (Section("init", 0, apart),)), {})) == 0


def test_registers_that_are_read_outside_stay_there() -> None:
    def sums(out: str, carried: str) -> tuple[Any, ...]:
        total = Update("add", carried, call("exp", call("exp", Load("a0", at("i")))))
        return over("i", total, size=100, carried=(Carried(carried, F, f(0.0)),)), Store(out, at("z"), Register(carried))

    def inside(out: str, carried: str) -> Any:
        total = Update("add", carried, call("exp", call("exp", Load("a0", at("i")))))
        sum_of = over("i", total, size=100, carried=(Carried(carried, F, f(0.0)),))
        return over("z", sum_of, Store(out, at("z"), r(carried)), size=3)
    outer = [s for k in range(2) for s in sums(f"o{k}", f"r{k}")]
    assert len(shared_nests(program(*outer), {})) == 0
    assert calls_of(program(inside("o0", "r0"), inside("o1", "r1"))) == 2


def test_samples_of_a_range_without_tiles_stay_in_its_function() -> None:
    size = sd.dim("n")
    buffers = Buffer("a0", F, (size,), "arg", 0), *[Buffer(f"o{k}", F, (size,), "out", 0) for k in range(2)]
    values = [call("exp", call("exp", Load("a0", at(var)))) for var in ("i0", "i1")]
    loops = [SampleLoop(f"i{k}", (Store(f"o{k}", at(f"i{k}"), value),)) for k, value in enumerate(values)]
    for body, shared in ((tuple(loops), 0), ((TileLoop("s", 64, tuple(loops)),), 2)):
        assert calls_of(Program("kernel", ("n",), buffers, (Section("range", 0, body, size),))) == shared


def test_batches_of_products_are_nests() -> None:
    A, B, C = (sd.symbol(name, (6, 40, 40)) for name in "ABC")
    kernel = sd.compile([A @ B, B @ C, sd.tanh(A) @ C], [A, B, C], cache=False, threads=1)
    values = [RNG.standard_normal((6, 40, 40)) for _ in range(3)]
    a, b, c = values
    for found, wanted in zip(kernel(a, b, c), [a @ b, b @ c, np.tanh(a) @ c], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert kernel.llvm.count("call void @.nest_") >= 2
