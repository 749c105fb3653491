"""Powers of one number with negative exponents share its reciprocal in a loop."""

from __future__ import annotations

import numpy as np

import symdiff as sd
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Affine, Assign, Buffer, Call, Carried, Literal, Loop, Program, Register, Section, Store
from codegen.scheduling.shared_reciprocals import share_reciprocals


def test_powers_of_a_distance() -> None:
    """Lennard-Jones forces take one division for each pair of particles."""
    x = sd.symbol("x", (300, 3))
    i, j = sd.symbol("i", 2000, "int64"), sd.symbol("j", 2000, "int64")
    sixth = 1 / sd.sum((x[i] - x[j])**2, axis=1)**3
    energy = sd.sum(sixth**2 - sixth)
    f = sd.compile(list(sd.value_and_grad(energy, x)), inputs=[x, i, j])
    assert f.loop_ir.count("reciprocal") == 1
    rng = np.random.default_rng(0)
    X, I = rng.normal(size=(300, 3)), rng.integers(0, 300, 2000)
    J = (I + rng.integers(1, 300, 2000)) % 300
    value, gradient = f(X, I, J)
    d = X[I] - X[J]
    r = 1 / np.sum(d**2, axis=1)
    push = ((6 * r**4 - 12 * r**7)[:, None] * d)
    want = np.zeros_like(X)
    np.add.at(want, I, push)
    np.add.at(want, J, -push)
    np.testing.assert_allclose(value, np.sum(r**6 - r**3), rtol=1e-12)
    np.testing.assert_allclose(gradient, want, atol=1e-12 * np.max(np.abs(want)))


def test_special_values() -> None:
    """Zeros, infinities, nan and numbers with tiny or huge powers, as the reference has them."""
    x = sd.symbol("x", 9)
    outputs = [(1 / x)**3 + sd.sin(x), 1 / x**2 * sd.cos(x), x**-5 - 1]
    values = np.array([0.0, np.inf, -np.inf, np.nan, 1e-80, -1e80, -2.0, 0.5, 1e150])
    for got, output in zip(sd.compile(outputs, inputs=[x])(values), outputs, strict=True):
        with np.errstate(all="ignore"):
            want = sd.evaluate(output, {x: values})
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_a_number_that_a_turn_changes_has_no_reciprocal_for_all_of_it() -> None:
    """Powers of what a loop carries, before it changes and after that."""
    old, new = Register("r"), Call("add", (Register("r"), Literal(1.0, "float64")), "float64")
    inverse = [Call("reciprocal", (Call(word, (old,), "float64"),), "float64") for word in ("square", "cube")]
    row = (Affine(0, (("i", 1),)),)
    body = (Store("a", row, inverse[0]), Assign("r", new), Store("b", row, inverse[1]))
    loop = Loop("i", 0, 5, body, carried=(Carried("r", "float64", Literal(1.0, "float64")),))
    buffers = tuple(Buffer(name, "float64", (5,), "out") for name in "ab")
    program = Program("kernel", (), buffers, (Section("init", 0, (loop,)),))
    a, b = interpret(share_reciprocals(program), [], {})
    np.testing.assert_allclose(a, 1 / np.arange(1.0, 6)**2, rtol=1e-15)
    np.testing.assert_allclose(b, 1 / np.arange(2.0, 7)**3, rtol=1e-15)
