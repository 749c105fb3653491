"""Whether data is cut into tiles: by what is read from memory, whether sizes have names or are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

MODELS: dict[str, Callable[[Any, Any, Any], list[Any]]] = {
    "squares": lambda X, y, w: [loss := sd.sum((X @ w - y) ** 2), sd.grad(loss, w)],
    "logistic": lambda X, y, w: [loss := sd.mean(sd.softplus(-y * (X @ w))), sd.grad(loss, w)],
    "hinge": lambda X, y, w: [loss := sd.mean(sd.maximum(1 - y * (X @ w), 0) ** 2) + sd.sum(w**2), sd.grad(loss, w)],
    "product": lambda X, y, w: [sd.hvp(sd.mean(sd.softplus(-y * (X @ w))), w, sd.ones(w.shape))],
}


def passes_of(name: str, rows: Any, columns: Any, sizes: dict[str, int]) -> int:
    """How many passes over the data a model takes."""
    X, y, w = sd.symbol("X", (rows, columns)), sd.symbol("y", rows), sd.symbol("w", columns)
    sections = sd.compile(MODELS[name](X, y, w), [X, y, w]).planned(sizes).program.sections
    return sum(1 for section in sections if section.kind == "range")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("rows", "columns"), [(1_000_000, 32), (20_000, 200), (20_000, 1000), (25_000, 100)])
def test_data_that_is_read_twice_goes_through_once_whether_its_sizes_have_names(name: str, rows: int, columns: int) -> None:
    named = passes_of(name, "cut_rows", "cut_columns", {"cut_rows": rows, "cut_columns": columns})
    assert passes_of(name, rows, columns, {}) == named == 1


@pytest.mark.parametrize("name", MODELS)
def test_data_that_the_cache_holds_is_not_cut(name: str) -> None:
    assert passes_of(name, 200, 10, {}) == 0


def test_what_is_read_once_is_not_cut() -> None:
    A, x = sd.symbol("A", (20_000, 200)), sd.symbol("x", 200)
    program = sd.compile([A @ x, sd.sum(x**2)], [A, x]).planned().program
    assert all(section.kind != "range" for section in program.sections)


def test_the_gradient_of_data_with_numbers_for_sizes() -> None:
    rng = np.random.default_rng(0)
    X, y, w = sd.symbol("X", (20_000, 200)), sd.symbol("y", 20_000), sd.symbol("w", 200)
    values = rng.normal(size=(20_000, 200)), np.sign(rng.normal(size=20_000)), rng.normal(size=200)
    for name in MODELS:
        outputs = MODELS[name](X, y, w)
        for found, expected in zip(sd.compile(outputs, [X, y, w])(*values), sd.evaluate(
                outputs, dict(zip("Xyw", values, strict=True))), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def chain(x: Any) -> Any:
    """An energy of neighbours in a row."""
    return 50 * sd.sum((x[1:] - x[:-1]) ** 2) + sd.sum((x**2 - 1) ** 2)


def residual(x: Any) -> Any:
    """A banded system of equations, zero beyond both ends (Broyden)."""
    padded = sd.pad(x, (1, 1))
    return sd.sum(((3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1) ** 2)


@pytest.mark.parametrize("energy", [chain, residual])
def test_named_rows_of_neighbours_are_walked_once_and_store_nothing(energy: Any) -> None:
    """What neighbours read is computed where they read it, as it is for numbers: no array as long as the data is in between."""
    n = sd.dim("n_neighbours", minimum=4)
    x, v = sd.symbol("x", n), sd.symbol("v", n)
    kernel = sd.compile(sd.hvp(energy(x), x, v), [x, v], cache=False)
    rng = np.random.default_rng(4)
    for count in (100_000, 4, 5, 7, 1000):
        values = rng.normal(size=count), rng.normal(size=count)
        xs, vs = sd.symbol("x", count), sd.symbol("v", count)
        np.testing.assert_allclose(kernel(*values), sd.evaluate(sd.hvp(energy(xs), xs, vs), {xs: values[0], vs: values[1]}),
                                   rtol=1e-12, atol=1e-12)
    assert [b for b in kernel.planned({"n_neighbours": 100_000}).program.buffers if b.role not in ("arg", "out")] == []


def rotated(q: Any, t: Any) -> Any:
    """Points turned by unit quaternions (scalar first)."""
    w, u = q[:, :1], q[:, 1:]
    s = sd.stack([u[:, 1] * t[:, 2] - u[:, 2] * t[:, 1], u[:, 2] * t[:, 0] - u[:, 0] * t[:, 2],
                  u[:, 0] * t[:, 1] - u[:, 1] * t[:, 0]], axis=1)
    r = sd.stack([u[:, 1] * s[:, 2] - u[:, 2] * s[:, 1], u[:, 2] * s[:, 0] - u[:, 0] * s[:, 2],
                  u[:, 0] * s[:, 1] - u[:, 1] * s[:, 0]], axis=1)
    return t + 2 * w * s + 2 * r


@pytest.mark.parametrize("poses", [500, "poses_of_graph"])
def test_many_values_of_each_edge_are_computed_edge_by_edge(poses: Any) -> None:
    """A Hessian-vector product of a pose graph: some hundred values of each edge are kept in registers, not for all edges."""
    edges = 2000 if isinstance(poses, int) else "edges_of_graph"
    q, t, dq, dt = (sd.symbol(name, (poses, width)) for name, width in (("q", 4), ("t", 3), ("dq", 4), ("dt", 3)))
    z, i, j = sd.symbol("z", (edges, 3)), sd.symbol("i", edges, "int64"), sd.symbol("j", edges, "int64")
    unit = q / sd.sqrt(sd.sum(q**2, axis=1))[:, None]
    turned = rotated(unit[i], t[j] - t[i])
    loss = sd.sum((rotated(unit[j], turned) - z) ** 2)
    rng = np.random.default_rng(6)
    values = [rng.normal(size=(500, 4)), rng.normal(size=(500, 3)), rng.normal(size=(2000, 3)), rng.integers(0, 500, 2000),
              rng.integers(0, 500, 2000), rng.normal(size=(500, 4)), rng.normal(size=(500, 3))]
    inputs = [q, t, z, i, j, dq, dt]
    outputs = sd.hvp(loss, [q, t], [dq, dt])
    kernel = sd.compile(outputs, inputs, cache=False)
    for ours, theirs in zip(kernel(*values), sd.evaluate(outputs, dict(zip(inputs, values, strict=True))), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.max(np.abs(theirs)))
    sizes = {} if isinstance(poses, int) else {"poses_of_graph": 500, "edges_of_graph": 2000}
    program = kernel.planned(sizes).program
    assert sum(1 for section in program.sections if section.kind == "range") == 1
    assert len([b for b in program.buffers if b.role == "full"]) < 20


@pytest.mark.parametrize("target", ["cpu", "numba"])
@pytest.mark.parametrize("rows", [5000, "rows_of_frames"])
def test_frames_of_values_and_constants_are_written_sample_by_sample(rows: Any, target: str) -> None:
    """Rows of zeros and ones in a batch of matrices tell nothing of samples, and are written at each: one pass, in tiles."""
    angle, goal = sd.symbol("angle", (rows, 3)), sd.symbol("goal", (rows, 2))
    frame: Any = None
    for k in range(3):
        c, s = sd.cos(angle[:, k]), sd.sin(angle[:, k])
        none, one = sd.zeros_like(c), sd.ones_like(c)
        turned = sd.stack([sd.stack([c, -s, c / 2], axis=1), sd.stack([s, c, s / 2], axis=1), sd.stack([none, none, one], axis=1)],
                          axis=1)
        frame = turned if frame is None else frame @ turned
    loss = sd.sum((frame[:, :2, 2] - goal) ** 2)
    outputs = list(sd.value_and_grad(loss, angle))
    kernel = sd.compile(outputs, [angle, goal], cache=False, target=target)
    rng = np.random.default_rng(8)
    values = rng.normal(size=(5000, 3)), rng.normal(size=(5000, 2))
    sizes = {} if isinstance(rows, int) else {"rows_of_frames": 5000}
    ends = np.cumsum(values[0], axis=1)
    reached = np.stack([np.cos(ends).sum(axis=1), np.sin(ends).sum(axis=1)], axis=1) / 2
    total, gradient = kernel(*values)
    np.testing.assert_allclose(total, ((reached - values[1]) ** 2).sum(), rtol=1e-12)
    off = reached - values[1]
    for k in range(3):
        moved = off[:, 1] * np.cos(ends[:, k:]).sum(axis=1) - off[:, 0] * np.sin(ends[:, k:]).sum(axis=1)
        np.testing.assert_allclose(gradient[:, k], moved, rtol=1e-9, atol=1e-12)
    program = kernel.planned(sizes).program
    assert sum(1 for section in program.sections if section.kind == "range") == 1
    assert [b.name for b in program.buffers if b.role == "full"] == []


@pytest.mark.parametrize("rows", [6000, "rows_of_softmax"])
def test_what_is_as_long_as_the_data_is_not_stored_for_a_hessian(rows: Any) -> None:
    """X scaled for each class is d · k values a sample: by tiles, however sizes are written, though all tiles touch a large sum."""
    X, W, labels = sd.symbol("X", (rows, 40)), sd.symbol("W", (40, 10)), sd.symbol("labels", rows, "int64")
    loss = sd.nn.cross_entropy(X @ W, labels)
    kernel = sd.compile(sd.hessian(loss, W), [X, W, labels], cache=False)
    rng = np.random.default_rng(4)
    x, w, t = rng.normal(size=(6000, 40)), rng.normal(size=(40, 10)), rng.integers(0, 10, 6000)
    p = np.exp(x @ w)
    p /= p.sum(axis=1, keepdims=True)
    scaled = p[:, None, :] * x[:, :, None]
    wanted = -np.einsum("nia,njb->iajb", scaled, scaled)
    wanted[:, range(10), :, range(10)] += np.einsum("nia,nj->aij", scaled, x)
    np.testing.assert_allclose(kernel(x, w, t), wanted / 6000, rtol=1e-9, atol=1e-13)
    assert kernel.stats()["scratch_bytes"] < 8e6 < scaled.nbytes
