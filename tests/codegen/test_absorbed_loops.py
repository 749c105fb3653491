"""Loops that carry what another one carries too: one loop is left, with the same results."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd


def training(d: int) -> tuple[list[sd.Node], sd.Node, list[sd.Node]]:
    """Inputs, the loss after 17 turns of momentum on a ridge regression, and what it is differentiated by."""
    X, y, w, h = sd.symbol("X", (30, d)), sd.symbol("y", 30), sd.symbol("w", d), sd.symbol("h", 2)
    rate, weight = sd.exp(h[0]), sd.exp(h[1])

    def turn(_, carry):  # type: ignore[no-untyped-def]
        v, m = carry
        m = 0.9 * m + X.T @ (X @ v - y) / 30 + weight * v
        return v - rate * m, m
    end, _ = sd.fori(0, 17, turn, (w, 0.0 * w))
    return [X, y, w, h], sd.mean((X @ end - y)**2), [h, w]


def test_a_product_with_the_hessian_of_a_training_takes_two_loops() -> None:
    """One forward, with tangents, and one backward."""
    inputs, loss, over = training(5)
    vectors = [sd.symbol("vh", 2), sd.symbol("vw", 5)]
    outputs = [loss, *sd.grad(loss, over), *sd.hvp(loss, over, vectors)]
    f = sd.compile(outputs, inputs=[*inputs, *vectors])
    assert f.loop_ir.count(" : 17 serial") == 2
    rng = np.random.default_rng(3)
    values = [rng.normal(size=s.shape) for s in inputs[:3]] + [np.array([-3.0, -1.0]), rng.normal(size=2), rng.normal(size=5)]
    names = dict(zip([*inputs, *vectors], values, strict=True))
    for got, output in zip(f(*values), outputs, strict=True):
        np.testing.assert_allclose(got, sd.evaluate(output, names), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("swapped", [False, True])
def test_what_waits_for_a_loop_does_not_absorb_it(swapped: bool) -> None:
    """A loop over what another one keeps stays behind it, also where it carries the same."""
    x, c = sd.symbol("x", 6), sd.symbol("c")
    first, kept = sd.scan(lambda a, t: (sd.sin(a) + t, a), c, x)

    def both(carry, row):  # type: ignore[no-untyped-def]
        a, b = carry
        t, seen = row
        return (sd.sin(a) + t, b * seen), a * b
    (end, more), products = sd.scan(both, (c, c + 1), (x, kept))
    outputs = [first, kept, end, more, products, *sd.grad(first * more + sd.sum(products), [x, c])]
    outputs = outputs[::-1] if swapped else outputs
    values = {x: np.linspace(-1, 1, 6), c: np.asarray(0.3)}
    for got, output in zip(sd.compile(outputs, inputs=[x, c])(*values.values()), outputs, strict=True):
        np.testing.assert_allclose(got, sd.evaluate(output, values), rtol=1e-12)


def test_carries_that_begin_alike_are_told_apart() -> None:
    """Loops from the same values, in another order, and with another rule, which is no part of any."""
    x, c = sd.symbol("x", 5), sd.symbol("c")
    step = {"f": lambda a, t: sd.tanh(a + t), "g": lambda a, t: a * 0.5 - t}
    one, _ = sd.scan(lambda a, t: (step["g"](a, t), a), c, x)
    (p, q), rows = sd.scan(lambda s, t: ((step["f"](s[0], t), step["g"](s[1], t)), s[0] + s[1]), (c, c), x)
    other, _ = sd.scan(lambda a, t: (step["f"](a, t) + 1, a), c, x)
    f = sd.compile([one, p, q, rows, other], inputs=[x, c])
    assert f.loop_ir.count(" : 5 serial") == 2
    values = {x: np.linspace(-1, 2, 5), c: np.asarray(0.7)}
    for got, output in zip(f(*values.values()), [one, p, q, rows, other], strict=True):
        np.testing.assert_allclose(got, sd.evaluate(output, values), rtol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_random_loops_that_share_what_they_carry(seed: int) -> None:
    """Loops over some of the same carries and sequences, over what others keep, and their derivatives."""
    rng = np.random.default_rng(seed)
    c, w, x, y = sd.symbol("c"), sd.symbol("w", 3), sd.symbol("x", 6), sd.symbol("y", (6, 3))
    rules = [lambda v, t, r: sd.tanh(v + t), lambda v, t, r: 0.9 * v + sd.sin(t) * sd.sum(r), lambda v, t, r: v * 0.5 + t,
             lambda v, t, r: sd.sin(v) * sd.cos(t) + 0.1 * sd.sum(r * r)]
    sequences = [x]
    results = []
    for _ in range(int(rng.integers(2, 5))):
        size = int(rng.integers(1, 4))
        chosen = [rules[int(k)] for k in rng.integers(0, len(rules), size)]
        inits = tuple([c, sd.sum(w), c * 0.5][int(k)] for k in rng.integers(0, 3, size))
        source, backward = sequences[int(rng.integers(len(sequences)))], bool(rng.integers(4) == 0)

        def turn(carry, now, chosen=chosen):  # type: ignore[no-untyped-def]
            t, row = now
            return tuple([rule(v, t, row) for rule, v in zip(chosen, carry, strict=True)]), carry[-1] * t + carry[0]
        ends, kept = sd.scan(turn, inits, (source, y), reverse=backward)
        sequences.append(kept)
        results += [*ends, sd.sum(kept * x)]
    loss = sum(float(rng.normal()) * r for r in results)
    over, along = [c, w, x], [sd.cos(w), 0.3 * x]
    outputs = [loss, *sd.grad(loss, over), *sd.hvp(loss, [w, x], along), results[0], results[-1]]
    values = {c: np.asarray(0.4), w: rng.normal(size=3), x: rng.normal(size=6), y: rng.normal(size=(6, 3))}
    for got, output in zip(sd.compile(outputs, inputs=[c, w, x, y])(*values.values()), outputs, strict=True):
        want = sd.evaluate(output, values)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10 * (1 + np.max(np.abs(want))))
