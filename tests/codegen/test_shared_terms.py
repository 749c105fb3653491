"""Shared steps: a program of many steps costs what it was written as, whatever its sums and products opened to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.loop_ir.identity import program_identity
from codegen.planning.shared_terms import share_terms, with_numbers_before, with_numbers_outside
from symdiff.expression import Add, Product
from symdiff.normal_form import products, sums
from symdiff.reference import evaluate_nodes
from symdiff.traversal import topological

a, b, c, e = sd.symbols("a b c e")


def program(length: int, seed: int, kinds: str) -> tuple[Any, Any]:
    """A random program over scalars; its input and the sum of its last steps."""
    rng = np.random.default_rng(seed)
    p = sd.symbol("p", 8)
    steps = [p[k] for k in range(8)]
    made = {"times": lambda x, y: x * y, "plus": lambda x, y: x + y, "minus": lambda x, y: x - 0.5 * y,
            "mean": lambda x, y: 0.5 * (x + y), "sin": lambda x, y: sd.sin(x), "tanh": lambda x, y: sd.tanh(y)}
    for _ in range(length):
        first, second = (steps[rng.integers(max(0, len(steps) - 32), len(steps))] for _ in range(2))
        steps.append(made[rng.choice(kinds.split())](first, second))
    return p, sum(steps[-8:])


@pytest.mark.parametrize(("kinds", "most"), [("plus mean minus times sin tanh", 1.3), ("plus mean sin", 1.2), ("times sin", 1.2)])
def test_a_kernel_does_no_more_than_was_written(kinds: str, most: float) -> None:
    """Operations of a kernel against steps of its program; without shared steps there are up to ten times as many."""
    p, value = program(600, 1, kinds)
    f = sd.compile([value, sd.grad(value, p)], cache=False)
    x = np.random.default_rng(0).uniform(-1, 1, 8)
    found, wanted = f(x), sd.evaluate([value, sd.grad(value, p)], {p: x})
    for u, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(u, w, rtol=1e-9, atol=1e-12)
    alone = sd.compile(value, cache=False)
    alone(x)
    # A difference x − y / 2 counts as one step, and as two operations.
    assert alone.stats()["flops"] < most * 600 * (1 + kinds.count("minus") / len(kinds.split()))
    # The bound of reverse differentiation is five times the program (Griewank and Walther, Evaluating Derivatives, 2nd ed., 3.3).
    assert f.stats()["flops"] < 5 * alone.stats()["flops"]


@pytest.mark.parametrize("kinds", ["plus mean minus times sin tanh", "minus times sin"])
def test_a_second_kernel_is_the_same_program(kinds: str) -> None:
    """Whatever the first one left behind: else its bits would differ, and what is kept on the disk would not be found."""
    p, value = program(1200, 2, kinds)
    outputs = [value, sd.grad(value, p)]
    kernels = [sd.compile(outputs, cache=False) for _ in range(3)]
    first, *others = [program_identity(f.planned().program) for f in kernels]
    assert all(other == first for other in others)


System = Callable[[list[Any], list[Any]], list[Any]]


def attractor(s: list[Any], p: list[Any]) -> list[Any]:
    """Lorenz (1963): polynomials, whose normal form opens all that is written."""
    return [p[0] * (s[1] - s[0]), s[0] * (p[1] - s[2]) - s[1], s[0] * s[1] - p[2] * s[2]]


def pendulums(s: list[Any], p: list[Any]) -> list[Any]:
    """Two pendulums that are coupled."""
    return [s[2], s[3], p[0] * sd.sin(s[1] - s[0]) - p[1] * sd.sin(s[0]) - p[2] * s[2],
            -p[0] * sd.sin(s[1] - s[0]) - p[1] * sd.sin(s[1])]


def orbit(system: System, size: int, steps: int, h: float = 0.01) -> tuple[Any, list[Any]]:
    """The squared end of an orbit by the method of Runge and Kutta, written out step by step; what it depends on."""
    start, given = sd.symbol("start", size), sd.symbol("given", 3)
    s, p = [start[k] for k in range(size)], [given[k] for k in range(3)]

    def along(k: list[Any], by: float) -> list[Any]:
        return [x + by * v for x, v in zip(s, k, strict=True)]
    for _ in range(steps):
        a = system(s, p)
        b = system(along(a, h / 2), p)
        c = system(along(b, h / 2), p)
        e = system(along(c, h), p)
        s = [x + h / 6 * (u + 2 * v + 2 * w + z) for x, u, v, w, z in zip(s, a, b, c, e, strict=True)]
    return sum(x * x for x in s), [start, given]


@pytest.mark.parametrize(("system", "size"), [(attractor, 3), (pendulums, 4)])
def test_gradients_of_unrolled_orbits(system: System, size: int) -> None:
    """Linear work to derive them, and no more operations than reverse differentiation takes."""
    built = []
    for steps in (10, 20, 40):
        value, wrt = orbit(system, size, steps)
        gradient = sd.grad(value, wrt)
        built.append(len(topological([value, *gradient])))
    assert built[2] - built[1] < 2.2 * (built[1] - built[0])
    both, alone = sd.compile([value, *gradient], wrt, cache=False), sd.compile(value, wrt, cache=False)
    at = [np.linspace(0.2, 1.0, size), np.array([1.5, 0.7, 0.3])]
    _, found, by_given = both(*at)
    alone(*at)
    assert both.stats()["flops"] < 4 * alone.stats()["flops"]
    for place, slope in [((0, 0), found[0]), ((0, 1), found[1]), ((1, 2), by_given[2])]:
        moved = [[a.copy() for a in at] for _ in range(2)]
        for sign, arrays in zip((1, -1), moved, strict=True):
            arrays[place[0]][place[1]] += sign * 1e-5
        assert slope == pytest.approx((alone(*moved[0]) - alone(*moved[1])) / 2e-5, rel=1e-7)


def test_sums_of_sums_are_placed_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adjoint of an element x[0] of many sums, shared by one another: walking through them took exponential time."""
    expansions: list[int] = []
    expand = products.expand_product
    for where in (products, sums):
        monkeypatch.setattr(where, "expand_product", lambda *given: expansions.append(1) or expand(*given))
    counts = []
    for steps in (15, 30):
        expansions.clear()
        sd.grad(*orbit(attractor, 3, steps))
        counts.append(len(expansions))
    assert counts[1] < 2.2 * counts[0]


def test_steps_are_kept_where_others_need_them() -> None:
    s = a + b + c
    t = s + e
    shared = share_terms([sd.exp(s), t])
    assert isinstance(shared[1], Add) and s in shared[1].children and len(shared[1].children) == 2
    assert share_terms([t])[0] is t
    p = a * b * c
    q = p * e
    shared = share_terms([sd.exp(p), q])
    assert isinstance(shared[1], Product) and p in shared[1].children


def test_a_multiple_keeps_its_coefficient() -> None:
    s = -(a * b)
    assert evaluate_nodes(share_terms([sd.exp(s), a * b, sd.exp(a * b)]), {a: np.array(2.0), b: np.array(3.0)}, {})[1] == 6


def test_a_sum_and_its_double_are_no_circle() -> None:
    s = a + b
    half = 0.5 * s
    again = 2 * half
    for root in share_terms([half, again, sd.exp(half), sd.exp(again)]):
        assert np.isfinite(evaluate_nodes([root], {a: np.array(1.0), b: np.array(2.0)}, {})[0])


def test_what_cancels_stays_cancelled() -> None:
    """(x + y) − y is x, to the last digit, though x + y is needed as well."""
    s = a + b
    f = sd.compile([sd.exp(s * 1e-20), s - b, s - 0.999999 * b], [a, b], cache=False)
    _, same, small = f(1.0, 1e17)
    assert same == 1.0 and abs(small - (1 + 1e11)) < 1e2


def test_views_of_steps() -> None:
    X = sd.symbol("X", (3, 3))
    s = X * X.T
    f = sd.compile([sd.exp(s), s[:, ::-1], (2 * s).T * X], [X], cache=False)
    x = np.random.default_rng(2).normal(size=(3, 3))
    for u, w in zip(f(x), [np.exp(x * x.T), (x * x.T)[:, ::-1], (2 * x * x.T).T * x], strict=True):
        np.testing.assert_allclose(u, w, rtol=1e-14)


@pytest.mark.parametrize("kinds", ["plus mean sin", "times mean tanh"])
def test_time_to_lower_is_no_power_of_the_length(kinds: str) -> None:
    """Long sums of patterns inside of others are read under tests of positions: the numbers in them are read once."""
    p, value = program(600, 1, kinds)
    kernel = sd.compile(sd.grad(value, p), cache=False)
    assert kernel.stats()["statements"] < 20_000


def test_axes_of_length_one_are_no_steps() -> None:
    """The sum of a mean that keeps its axis is put together of what has one more axis than the sum."""
    x = sd.symbol("x", "step_n")
    kept = sd.mean(x, axis=0, keepdims=True)
    f = sd.compile([sd.sum(kept), kept, sd.sum(kept * kept)], [x], cache=False)
    value, whole, square = f(np.arange(4.0))
    assert value == 1.5 and whole.shape == (1,) and square == 2.25


def test_a_guarded_product_is_no_step_of_itself() -> None:
    """A guard counts once: tril(tril X) is tril X, put together of tril X."""
    X = sd.symbol("X", ("step_n", "step_n"))
    lower = sd.tril(X)
    f = sd.compile([sd.sum(sd.tril(lower)), lower, sd.grad(sd.sum(lower**2), X)], [X], cache=False)
    x = np.random.default_rng(0).normal(size=(4, 4))
    for u, w in zip(f(x), [np.tril(x).sum(), np.tril(x), 2 * np.tril(x)], strict=True):
        np.testing.assert_allclose(u, w, rtol=1e-14)


GUARDED: dict[str, Callable[[Any, Any], Any]] = {
    "nested": lambda x, y: sd.where(x < 0, 0.0, sd.where(y > 0, x * sd.log(x), 0.0)),
    "weighted": lambda x, y: y * sd.where(x > 0, x * sd.log(x), 0.0),
    "inside a function": lambda x, y: sd.sin(sd.where(x > 0, x * sd.log(x), 0.0)),
    "masked": lambda x, y: (y > 0) * sd.where(x > 0, x * sd.sqrt(x) + x, 0.0),
    "squared": lambda x, y: sd.where(x > 0, x * sd.log(x) + sd.exp(x), y) ** 2,
    "rel_entr": lambda x, y: sd.special.rel_entr(x, sd.where(y > 0, y, 1.0)),
}


@pytest.mark.parametrize("target", ["cpu", "numba", "interpreter"])
@pytest.mark.parametrize("name", GUARDED)
def test_guards_are_not_taken_apart_from_what_they_silence(name: str, target: str) -> None:
    """A step with a guard, log x beside it: that would be 0 · NaN."""
    x, y = sd.symbol("x", "n"), sd.symbol("y", "n")
    u, v = np.array([-1.0, 0.0, 2.0, 2.0]), np.array([1.0, -1.0, 3.0, -3.0])
    value = sd.sum(GUARDED[name](x, y))
    outputs = [value, sd.grad(value, x), sd.hvp(value, x, y)]
    found = sd.compile(outputs, inputs=[x, y], target=target, cache=False)(u, v)
    for f, e in zip(found, sd.evaluate(outputs, {x: u, y: v}), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-13)
    assert np.isfinite(found[1][[0, 2]]).all()


def test_numbers_stand_before_sums_and_products() -> None:
    """½ (2 x) + y is x + y, and (2 x) y is 2 (x y)."""
    x, y = sd.symbol("x", 3), sd.symbol("y", 3)
    double = Product(2, ((x, (0,)),), (0,), (3,), x.type)
    half = Add(((0.5, double), (1, y)), x.type)
    often = Counter({double: 2, x: 2, y: 2})
    found = with_numbers_before(half, half.children, often)
    assert isinstance(found, Add) and found.terms == ((1.0, x), (1, y))
    found = with_numbers_before(Add(((0.5, x), (1, y)), x.type), [x, y], Counter([x, y]))
    assert isinstance(found, Add) and found.terms == ((0.5, x), (1, y))
    found = with_numbers_outside(Product(1, ((double, (0,)), (y, (0,))), (0,), (3,), x.type), [double, y], often)
    assert isinstance(found, Product) and found.coefficient == 2 and found.children == (x, y)


def test_residual_streams_are_kept_layer_by_layer() -> None:
    """What each layer adds is added once, though passes over the plan have rewritten what it is made of."""
    x, W = sd.symbol("x", (16, 8)), [sd.symbol(f"W{k}", (8, 8)) for k in range(6)]
    stream = x
    for matrix in W:
        stream = stream + sd.relu(stream @ matrix) @ matrix
    assert "add(add(" not in compared(sd.mean(stream**2), x, W)


def test_layers_that_subtract_a_mean_read_the_stream_as_it_is() -> None:
    """Of c = h - mean(h) the mean is a term with a number: c is one difference, and h the sum of the layers before, added once."""
    depth = 6
    x, W = sd.symbol("x", (16, 8)), [sd.symbol(f"W{k}", (8, 8)) for k in range(depth)]
    stream = x
    for matrix in W:
        centred = stream - sd.mean(stream, axis=-1, keepdims=True)
        stream = stream + sd.tanh(centred / sd.sqrt(sd.mean(centred**2, axis=-1, keepdims=True) + 1e-5)) @ matrix
    assert "add(add(add(" not in compared(sd.mean(stream**2), x, W)


def test_layers_that_add_an_outer_product_each_grow_with_their_number() -> None:
    """(x + Σ aₖ uₖᵀ) w is not the sum of all aₖ (uₖᵀ w)."""
    def operations(depth: int) -> int:
        x, weights = sd.symbol("x", (16, 8)), [sd.symbol(f"w{k}", (8,)) for k in range(2 * depth)]
        stream, total = x, 0.0
        for w, u in zip(weights[::2], weights[1::2], strict=True):
            a = sd.tanh(stream @ w)
            total += sd.sum(sd.log(1 + a**2 * (w @ u)**2))
            stream = stream + a[:, None] * u
        text = compared(sd.mean(stream**2) + total, x, weights)
        return text.count("add(") + text.count("mul(")
    assert operations(16) < 2.5 * operations(8)


def compared(loss: Any, x: Any, weights: list[Any]) -> str:
    """The loop IR of a loss and its gradient, whose values are the reference's."""
    kernel = sd.compile([loss, sd.grad(loss, weights)], [x, *weights], cache=False)
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s.shape) / 3 for s in (x, *weights)]
    found, wanted = kernel(*values), sd.evaluate([loss, sd.grad(loss, weights)], dict(zip([x, *weights], values, strict=True)))
    for mine, right in zip([found[0], *found[1]], [wanted[0], *wanted[1]], strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-12)
    return kernel.loop_ir
