"""Residual blocks: derivatives go by vectors of samples, outer products of them by loops for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.nodes import Affine, Assign, Call, Carried, If, Let, Literal, Loop, Register, Store
from codegen.scheduling.divided_loops import parted


def blocks(camera: int, point: int, edges: Any, seed: int) -> tuple[list[sd.Node], list[sd.Node], Callable[[int], list[Any]]]:
    """Inputs, residuals with their blocks of normal equations, and values for so many edges."""
    rng = np.random.default_rng(seed)
    C, P, z = sd.symbol("C", (7, camera)), sd.symbol("P", (40, point)), sd.symbol("z", (edges, 2))
    i, j = sd.symbol("i", edges, "int64"), sd.symbol("j", edges, "int64")
    cs, ps = ([sd.symbol(f"{name}{k}", edges) for k in range(size)] for name, size in (("c", camera), ("p", point)))
    a, b = (rng.normal(size=(2, size)) for size in (camera, point))
    parts = []
    for q in range(2):
        u = sum(a[q][k] * sd.sin(c) for k, c in enumerate(cs)) * sd.exp(0.1 * sum(b[q][k] * p for k, p in enumerate(ps)))
        for k, c in enumerate(cs):
            u = u + c * sd.tanh(ps[k % point] + 0.3 * q) / (1.5 + sd.cos(ps[(k + 1) % point]))
        parts.append(u - z[:, q])
    values = {c: C[i][:, k] for k, c in enumerate(cs)} | {p: P[j][:, k] for k, p in enumerate(ps)}
    rows = [sd.grad(sd.sum(part), [*cs, *ps]) for part in parts]
    by_camera, by_point = (sd.stack([sd.stack([rows[q][k] for q in range(2)], axis=1) for k in span], axis=2)
                           for span in (range(camera), range(camera, camera + point)))
    r = sd.stack(parts, axis=1)
    like, of_points = sd.symbol("L", (7, camera, camera)), sd.symbol("M", (40, point, point))
    of_cameras = sd.symbol("N", (7, camera))
    outputs = [r, sd.sum(r**2), sd.vjp(like[i], like, sd.einsum("mri,mrj->mij", by_camera, by_camera)),
               sd.vjp(of_points[j], of_points, sd.einsum("mri,mrj->mij", by_point, by_point)),
               sd.einsum("mri,mrj->mij", by_camera, by_point),
               sd.vjp(of_cameras[i], of_cameras, sd.einsum("mri,mr->mi", by_camera, r))]

    def given(count: int) -> list[Any]:
        ends = [rng.integers(-size, size, count) for size in (7, 40)]
        return [rng.normal(size=(7, camera)), rng.normal(size=(40, point)), *ends, rng.normal(size=(count, 2))]
    return [C, P, i, j, z], [sd.substitute(output, values) for output in outputs], given


@pytest.mark.parametrize(("camera", "point"), [(9, 3), (6, 3), (12, 2), (3, 3), (17, 4)])
@pytest.mark.parametrize("named", [False, True])
def test_normal_equations(camera: int, point: int, named: bool) -> None:
    """Residuals, their sum of squares, and blocks of JᵀJ and Jᵀr, added up by camera and by point."""
    inputs, outputs, given = blocks(camera, point, sd.dim("edges_of_blocks") if named else 700, camera)
    kernels = [sd.compile(outputs, inputs, threads=k) for k in (1, 2)]
    for count in ((700, 65, 1) if named else (700,)):
        values = given(count)
        wanted = sd.evaluate(outputs, dict(zip(inputs, values, strict=True)))
        found = [f(*values) for f in kernels]
        for one, two, theirs in zip(*found, wanted, strict=True):
            np.testing.assert_array_equal(one, two)
            np.testing.assert_allclose(one, theirs, rtol=1e-9, atol=1e-10 * (1 + np.max(np.abs(theirs))))


def test_derivatives_go_by_vectors() -> None:
    """Cameras of nine numbers: one loop by vectors of samples, and one for each."""
    inputs, outputs, _ = blocks(9, 3, 5000, 0)
    text = sd.compile(outputs, inputs).loop_ir
    assert text.count("sample i0 lane") == 1 and text.count("sample i0 serial") == 1


def test_what_a_long_nest_assigns_is_read_behind_it() -> None:
    """The place of the largest number, which a nest carries, is not stored before the nest."""
    number, place = Register("x"), Literal(3, "int64")
    better = If(Call("less", (Register("best"), number), "bool"), (Assign("best", number), Assign("where", place)))
    nest = Loop("j", 0, 20, (better,), carried=(Carried("best", "float64", number), Carried("where", "int64", place)))
    before, behind = Let("x", "float64", Literal(1.0, "float64")), Store("t", (Affine(0, (("i", 1),)),), Register("where"))
    assert parted([before, nest, behind]) == ([before], [nest, behind])
