"""Residual blocks: derivatives go by vectors of samples, outer products of them by loops for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd


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


def test_what_a_long_nest_carries_is_read_behind_it() -> None:
    """The place of the largest of many numbers of a sample, each of which takes some work, beside outer products."""
    X, W = sd.symbol("X", (600, 3)), sd.symbol("W", (3, 20))
    x = [X[:, k] for k in range(3)]
    parts = [sd.sin(x[k % 3] + 0.1 * k) * sd.exp(-x[(k + 1) % 3]**2) + sd.tanh(x[(k + 2) % 3] * (k + 1)) / (2 + sd.cos(x[0] * k))
             for k in range(12)]
    rows = sd.stack(parts, axis=1)
    outputs = [sd.einsum("ni,nj->nij", rows, rows), sd.argmax(X @ W, axis=1), sd.argmax(rows, axis=1), sd.sum(rows, axis=1)]
    values = {X: np.random.default_rng(0).normal(size=(600, 3)), W: np.random.default_rng(1).normal(size=(3, 20))}
    for got, output in zip(sd.compile(outputs, inputs=[X, W])(*values.values()), outputs, strict=True):
        np.testing.assert_allclose(got, sd.evaluate(output, values), rtol=1e-11, atol=1e-12)
