"""Loops carry what is asked for alone: halves of derivatives, results that nothing reads, what only they read."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from codegen.planning.dead_carries import drop_dead_carries
from symdiff.loops import is_scan, loop_of
from symdiff.traversal import symbols_of, topological

A, x, y, v = sd.symbol("A", (3, 3)), sd.symbol("x", 3), sd.symbol("y", (5, 3)), sd.symbol("v", 3)


def carried(root: sd.Expression) -> list[int]:
    """How many values each loop under a root carries, in what is planned."""
    return [len(loop_of(node)[0].carries) for node in topological(drop_dead_carries([root])) if is_scan(node)]


def test_the_derivative_of_a_linear_loop_does_not_carry_the_loop() -> None:
    end = sd.fori(0, 4, lambda t, c: A @ c + x, 0 * x)
    product = sd.hvp(sd.sum((end - 1) ** 2), x, v)
    # Forward the tangent alone; on the way back its adjoint, and that of x.
    assert max(carried(product)) == 2 < max(len(loop_of(n)[0].carries) for n in topological([product]) if is_scan(n))
    kernel, reference = (sd.compile(product, [A, x, v], target=target) for target in ("cpu", "numpy"))
    values = np.random.default_rng(0).normal(size=(3, 3)), np.ones(3), np.arange(3.0)
    np.testing.assert_allclose(kernel(*values), reference(*values), rtol=1e-12)
    assert kernel.loop_ir.count("in 0 : 4 ") == 2


@pytest.mark.parametrize("backward", [False, True])
def test_results_that_nothing_reads(backward: bool) -> None:
    """The first carry needs itself, the second both, the third all; slices go with what reads them."""
    (first, second, third), kept = sd.scan(
        lambda c, row: ((sd.sin(c[0] + 1), c[1] * c[0] + row[0], c[2] + c[1] + row), c[1] * row[1]), (0.5, 0.0, x), y,
        reverse=backward)
    assert carried(first) == [1] and carried(second) == [2] and carried(third) == [3] and carried(kept) == [2]
    assert carried(first + second) == [2, 2]
    roots = [first, second, sd.sum(third), kept, first + sd.sum(kept)]
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=3), "y": rng.normal(size=(5, 3))}
    for root in [*roots, roots]:
        for target in ("cpu", "interpreter"):
            inputs = [x, y]
            found, wanted = (sd.compile(root, inputs, target=t)(**values) for t in (target, "numpy"))
            for mine, right in zip(found, wanted, strict=True) if root is roots else [(found, wanted)]:
                np.testing.assert_allclose(mine, right, rtol=1e-12)


def test_what_stands_before_a_loop_goes_with_it() -> None:
    """A loop whose result only starts what is left out is left out too."""
    before = sd.fori(0, 6, lambda t, c: sd.sin(A @ c), x)
    after = sd.fori(0, 5, lambda t, c: (c[0] + A @ c[1], A @ c[1]), (before, v))
    assert carried(after[1]) == [1]
    assert sorted(carried(after[0])) == [1, 2]


def test_what_enters_a_loop_later_has_a_name_of_its_own() -> None:
    """Of sequences and invariants those of the first carry are left out; what is hoisted and sunk is named beside the rest."""
    rng = np.random.default_rng(0)
    a, b, V = sd.symbol("a", (9, 16)), sd.symbol("b", (9, 16)), sd.symbol("V", (16, 16))
    (_, hoisted), _ = sd.scan(lambda c, z: ((c[0] + z[0], sd.tanh(0.5 * c[1] + V @ z[1]) + z[1]), None),
                              (sd.zeros(16), sd.zeros(16)), (a, b))
    q, r, s, w = (sd.symbol(name, 3) for name in "qrsw")
    (_, sunk), _ = sd.scan(lambda c, z: ((sd.sin(c[0] * r) + sd.cos(c[0] * s), sd.tanh(c[1] * w + z)), None),
                           (sd.zeros(3), sd.zeros(3)), y * q)
    B, C = sd.symbol("B", (3, 3)), sd.symbol("C", (3, 3))

    def turn(h: sd.Expression, row: sd.Expression) -> tuple[sd.Expression, sd.Expression]:
        h = v * h + B @ row
        return h, C @ h
    _, seen = sd.scan(turn, sd.zeros(3), y)
    for root in (hoisted, *sd.grad(sd.sum(hoisted**2), [b, V]), sunk, *sd.grad(sd.sum(sunk**2), [q, y]),
                 sd.hvp(sd.sum(seen**2), B, sd.ones((3, 3)))):
        inputs = symbols_of([root])
        values = [0.3 * rng.normal(size=[int(size) for size in symbol.shape]) for symbol in inputs]
        wanted = sd.compile(root, inputs, target="numpy")(*values)
        for target in ("cpu", "numba", "interpreter"):
            np.testing.assert_allclose(sd.compile(root, inputs, target=target)(*values), wanted, rtol=1e-11)
