"""scan and fori: values, derivatives to second order, every target, run-time length, errors."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import ArgumentMismatch, ShapeMismatch, TypeMismatch
from symdiff.traversal import symbols_of
from tests.symdiff.numpy_calls import compare

rng = np.random.default_rng(5)
TARGETS = ["interpreter", "cpu", "numba"]
x, a, b = sd.symbol("x", "t"), sd.symbol("a"), sd.symbol("b")
X, W, U, h0 = sd.symbol("X", ("t", "m", 2)), sd.symbol("W", (2, 3)), sd.symbol("U", (3, 3)), sd.symbol("h0", ("m", 3))
A, v = sd.symbol("A", (3, 3)), sd.symbol("v", 3)
idx = sd.symbol("idx", ("t", 2), "int64")
VALUES = {"x": rng.normal(size=5), "a": 0.7, "b": -0.4, "X": rng.normal(size=(5, 4, 2)), "W": rng.normal(size=(2, 3)),
          "U": rng.normal(size=(3, 3)) / 2, "h0": rng.normal(size=(4, 3)), "A": rng.normal(size=(3, 3)) / 2,
          "v": rng.normal(size=3),
          "idx": np.array([[0, 1], [3, 2], [-1, 0], [1, 1], [2, -2]])}


def recurrence() -> Any:
    return sd.scan(lambda c, s: (a * c + sd.sin(s), c * s), b, x)


def network(reverse: bool = False) -> Any:
    return sd.scan(lambda h, s: ((n := sd.tanh(s @ W + h @ U)), n), h0, X, reverse=reverse)


def pair() -> Any:
    """Two carries that change places, one of them a dict, a turn that counts."""
    def step(carry: Any, s: Any) -> Any:
        p, q = carry["p"], carry["q"]
        return {"p": q, "q": p + a * s}, None
    return sd.scan(step, {"p": b, "q": 1.0}, x)[0]


def nested() -> Any:
    """A loop in a loop, both of which use what is outside."""
    def step(c: Any, s: Any) -> Any:
        inner = sd.fori(0, 3, lambda i, z: z + a * sd.sin(z) * (i + 1), c + s)
        return inner * b, inner
    return sd.scan(step, 0.3, x)


def descent() -> Any:
    """Gradient steps on minibatches that the call gives."""
    D, z = sd.symbol("D", (5, 3)), sd.symbol("z", 5)
    w = sd.symbol("w", 3)
    gradient = sd.grad(sd.mean((sd.symbol("rows", (2, 3)) @ w - sd.symbol("zs", 2)) ** 2), w)

    def step(w_now: Any, i: Any) -> Any:
        g = sd.substitute(gradient, {"rows": D[i], "zs": z[i], "w": w_now})
        return w_now - a * g, sd.sum(g**2)
    return sd.scan(step, v, idx), (D, z)


(DESCENT, KEPT), (D_SYMBOL, Z_SYMBOL) = descent()
VALUES |= {"D": rng.normal(size=(5, 3)), "z": rng.normal(size=5)}
LOSSES = {
    "final": recurrence()[0] ** 2, "stack": sd.sum(recurrence()[1] ** 2), "both": recurrence()[0] * sd.sum(recurrence()[1]),
    "network": sd.sum(network()[0] ** 2), "states": sd.sum(sd.exp(network()[1]) * 0.1), "backwards": sd.sum(network(True)[1] ** 3),
    "pair": pair()["p"] ** 2 * pair()["q"], "nested": nested()[0] + sd.sum(nested()[1] ** 2),
    "powers": sd.sum(sd.fori(0, 4, lambda i, z: A @ z, v) ** 2), "newton": sd.fori(0, 6, lambda i, z: (z + a / z) / 2, 1.0) ** 2,
    "counted": sd.fori(2, 5, lambda i, z: z * a + i * b, 0.0), "descent": sd.sum(DESCENT**2) + sd.sum(KEPT),
    "matrix": sd.trace(sd.fori(0, 3, lambda i, M: M @ A + sd.eye(3), sd.eye(3)) @ A),
}


def given(root: Any) -> dict[str, Any]:
    return {s.name: VALUES[s.name] for s in symbols_of([root])}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", TARGETS)
def test_derivatives(name: str, target: str) -> None:
    loss = LOSSES[name]
    wrt = [s for s in symbols_of([loss]) if s.dtype == "float64"]
    sd.check_derivatives(loss, wrt, at=given(loss), target=target, limit=4, order=1 if target == "numba" else 2)


@pytest.mark.parametrize("name", LOSSES)
def test_products_with_derivatives(name: str) -> None:
    loss = LOSSES[name]
    s = next(s for s in symbols_of([loss]) if s.dtype == "float64")
    way = sd.symbol("way", s.shape)
    values = {**given(loss), "way": rng.normal(size=np.shape(VALUES[s.name]))}
    roots = [sd.jvp(loss, s, way), sd.sum(sd.grad(loss, s) * way), sd.sum(sd.hvp(loss, s, way) * way),
             sd.jvp(sd.jvp(loss, s, way), s, way)]
    forward, reverse, second, twice = sd.evaluate(roots, values)
    np.testing.assert_allclose(forward, reverse, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(twice, second, rtol=1e-10, atol=1e-11)
    inputs = [*symbols_of([loss]), way]
    np.testing.assert_allclose(sd.compile(roots, inputs)(*[values[i.name] for i in inputs]), [forward, reverse, second, twice],
                               rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("target", ["reference", *TARGETS])
def test_as_a_python_loop_does_it(target: str) -> None:
    roots = {"r": recurrence(), "n": network(), "p": pair(), "back": network(True)[1], "d": (DESCENT, KEPT)}
    flat = [recurrence()[0], recurrence()[1], *network(), pair()["p"], pair()["q"], network(True)[1], DESCENT, KEPT]
    values = {name: value for name, value in VALUES.items() if name not in ("A",)}
    inputs = symbols_of(flat)
    got = sd.evaluate(roots, {s.name: values[s.name] for s in inputs}) if target == "reference" else \
        sd.compile(roots, inputs, target=target)(*[values[s.name] for s in inputs])
    c, kept = -0.4, []
    p, q = -0.4, 1.0
    for s in VALUES["x"]:
        kept.append(c * s)
        c = 0.7 * c + np.sin(s)
        p, q = q, p + 0.7 * s
    np.testing.assert_allclose(got["r"][0], c)
    np.testing.assert_allclose(got["r"][1], kept)
    np.testing.assert_allclose([got["p"]["p"], got["p"]["q"]], [p, q])
    h, states = VALUES["h0"], []
    for s in VALUES["X"]:
        h = np.tanh(s @ VALUES["W"] + h @ VALUES["U"])
        states.append(h)
    np.testing.assert_allclose(got["n"][0], h)
    np.testing.assert_allclose(got["n"][1], states)
    h, states = VALUES["h0"], []
    for s in VALUES["X"][::-1]:
        h = np.tanh(s @ VALUES["W"] + h @ VALUES["U"])
        states.append(h)
    np.testing.assert_allclose(got["back"], states[::-1])
    w = VALUES["v"]
    for i in VALUES["idx"]:
        rows, zs = VALUES["D"][i], VALUES["z"][i]
        w = w - 0.7 * rows.T @ (rows @ w - zs)
    np.testing.assert_allclose(got["d"][0], w)


def test_the_length_is_known_at_the_call() -> None:
    total, kept = recurrence()
    kernel = sd.compile([total, kept, sd.grad(total, [x, a])], [x, a, b])
    for size in (1, 2, 7, 1000):
        values = rng.normal(size=size)
        expected = sd.evaluate([total, kept, sd.grad(total, [x, a])], {"x": values, "a": 0.9, "b": 0.1})
        for ours, theirs in zip(flat_of(kernel(values, 0.9, 0.1)), flat_of(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)
    # One loop in the kernel for the value and its history, one for the derivative.
    assert kernel.loop_ir.count("in 0 : t serial") + kernel.loop_ir.count("in 0 : t lane") == 2


def flat_of(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in (part if isinstance(part, list) else [part])]


def test_no_turn_at_all() -> None:
    T = sd.dim("t_none", minimum=0)
    s = sd.symbol("s", T)
    total, kept = sd.scan(lambda c, e: (c * e, c), a, s)
    kernel = sd.compile([total, kept, sd.grad(total, a)], [s, a])
    value, rows, slope = kernel(np.zeros(0), 3.0)
    assert (value, rows.shape, slope) == (3.0, (0,), 1.0)


def test_what_does_not_change_is_computed_once() -> None:
    kernel = sd.compile(sd.fori(0, 9, lambda i, z: z + sd.sum(sd.exp(A)) * z, b), [A, b])
    kernel(VALUES["A"], 1.0)
    before, _, inside = kernel.loop_ir.partition("in 0 : 9")
    assert "exp" in before and "exp" not in inside


def test_equal_loops_are_one_expression() -> None:
    assert recurrence()[0] is recurrence()[0]
    assert nested()[1] is nested()[1]
    assert pickle.loads(pickle.dumps(LOSSES["nested"])) is LOSSES["nested"]
    assert pickle.loads(pickle.dumps(sd.grad(LOSSES["network"], W))) is sd.grad(LOSSES["network"], W)


def test_xs_of_any_structure_and_length() -> None:
    xs = {"k": x, "l": [x + 1]}
    total, kept = sd.scan(lambda c, s: (c + s["k"] * s["l"][0], (c, {"z": s["k"]})), 0.0, xs, length=sd.dim("t"))
    got = sd.evaluate([total, kept[0], kept[1]["z"]], {"x": [1.0, 2.0]})
    np.testing.assert_allclose(got[0], 8.0)
    np.testing.assert_allclose(got[1], [0.0, 2.0])
    np.testing.assert_allclose(got[2], [1.0, 2.0])
    assert float(sd.evaluate(sd.scan(lambda c, _: (2 * c, None), 1.0, length=10)[0])) == 1024.0
    assert float(sd.evaluate(sd.fori(3, 1, lambda i, c: c + 1, 2.0))) == 2.0


def test_formulas_name_the_loop() -> None:
    text = str(recurrence()[0])
    assert "scan" in text and "sin" in text and "a" in text
    assert "⟨" not in text
    assert "scan" in str(sd.grad(LOSSES["final"], a)) and "⟨" not in sd.latex(LOSSES["network"])


@pytest.mark.parametrize("call,error,text", [
    (lambda: sd.scan(lambda c, s: c, 0.0, x), TypeMismatch, "returns"),
    (lambda: sd.scan(lambda c, s: (c * v, None), 0.0, x), ShapeMismatch, "starts as float64 \\(\\), but one turn makes it"),
    (lambda: sd.scan(lambda c, s: (c * 1.5, None), sd.constant(1), x), TypeMismatch, "int64"),
    (lambda: sd.scan(lambda c, s: ((c, c), None), 0.0, x), TypeMismatch, "structure"),
    (lambda: sd.scan(lambda c, s: (c, None), 0.0), TypeMismatch, "length"),
    (lambda: sd.scan(lambda c, s: (c, None), 0.0, a), ShapeMismatch, "no axis"),
    (lambda: sd.scan(lambda c, s: (c, None), 0.0, [x, sd.symbol("y", "other")]), ShapeMismatch, "turns"),
    (lambda: sd.scan(lambda c, s: (c, None), 0.0, x, length=3), ShapeMismatch, "turns"),
    (lambda: sd.fori(0, 2.5, lambda i, c: c, 0.0), TypeMismatch, "upper"),
    (lambda: sd.fori(0, 3, lambda i, c: (c,), 0.0), TypeMismatch, "structure"),
])
def test_errors(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert "test_loops.py" in str(caught.value)


def test_changes_that_vanish_before_they_reach_a_loop() -> None:
    values, start = sd.symbol("values", 5), sd.symbol("start", ())
    given = {values: np.arange(5.0), start: 0.5}
    states = sd.scan(lambda c, s: (0.9 * c + s, c), start, values)[1]
    for loss in (sd.sum(sd.relu(states)), sd.sum(sd.abs(states)), sd.max(states)):
        np.testing.assert_array_equal(sd.evaluate(sd.hvp(loss, values, values), given), np.zeros(5))
    stepped = sd.scan(lambda c, s: (0.9 * c + s, c), start, sd.sign(values))[0]
    assert sd.evaluate(sd.jvp(stepped, values, values), given) == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_numpy_style(name: str) -> None:
    loss = LOSSES[name]
    roots = [loss, *sd.grad(loss, [s for s in symbols_of([loss]) if s.dtype == "float64"])]
    compare(roots, {s: np.asarray(VALUES[s.name]) for s in symbols_of(roots)}, {"t": 5, "m": 4}, 1e-10)


def test_numpy_style_is_a_loop() -> None:
    total, sums = sd.scan(lambda c, s: (a * c + s, c), 0.0, x)
    text = sd.formula([total, sums], style="numpy")
    # Terms and factors stand as in the first loop that wrote them.
    assert re.sub(r"c = (h \+ )?(a \* c|c \* a)( \+ h)?$", "c = a * c + h", text, flags=re.M).endswith("""
    c = np.float64(0.0)
    t1 = np.empty((t,), 'float64')
    for t2 in np.arange(t):
        h = x[t2]
        t1[t2] = c
        c = a * c + h
    return [c, t1]
""")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [0, 4, *sd.dims("t")])
def test_numpy_style_of_lengths_and_dtypes(dtype: str, length: Any) -> None:
    scale = sd.symbol("scale", 2, dtype)
    doubled, kept = sd.scan(lambda c, _: (c * scale, (c, sd.sum(c) > 1)), sd.ones(2, dtype=dtype), length=length)
    best = sd.scan(lambda c, s: (sd.maximum(c, s), c), -np.inf, x)[0]
    turns = length if isinstance(length, int) else 5
    compare([doubled, *kept], {scale: np.array([0.5, 2], dtype)}, {"t": turns}, 1e-6)
    compare([best], {x: VALUES["x"]}, {"t": 5}, 0.0)


MASKS = {
    "outside": lambda c, s, w, m: sd.where(m > 0, sd.log(m) * c * w, sd.sin(c * w)),
    "slices": lambda c, s, w, m: sd.where(s > 0, sd.log(s) * c * w, sd.sin(c) * w),
    "carries": lambda c, s, w, m: sd.where(c > s, sd.sqrt(c - s) * w, sd.sqrt(s - c + 1) * w),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("target", ["cpu", "numba", "numpy"])
def test_masks_silence_what_is_not_taken(name: str, target: str) -> None:
    """Logarithms and roots of negative numbers in the other branch: as in the same turns one by one."""
    X, w, m = sd.symbol("X", (5, 3)), sd.symbol("w", (3,)), sd.symbol("m", (3,))
    values = [np.array([[0.5, -1, 2], [-0.3, 0.1, -2], [1, 0.7, -0.2], [0.4, -0.8, 0.9], [-1.5, 0.6, 0.3]]),
              np.array([0.7, -0.4, 0.2]), np.array([2.0, -1, 0.5])]

    def step(c: Any, s: Any) -> tuple[Any, Any]:
        c = MASKS[name](c, s, w, m)
        return c, c
    turn, one_by_one = w, []
    for k in range(5):
        turn = MASKS[name](turn, X[k], w, m)
        one_by_one.append(sd.sum(turn**2))
    totals = [sd.sum(sd.scan(step, w, X)[1] ** 2), sum(one_by_one)]
    found, expected = [sd.compile([total, sd.grad(total, w)], [X, w, m], target=target)(*values) for total in totals]
    assert np.isfinite(expected[1]).all()
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)


def test_errors_call_what_is_traced_as_the_step_does() -> None:
    X, W = sd.symbol("X", (5, 3)), sd.symbol("W", (2, 2))
    cases = [(lambda state, row: (W @ state["h"], None), "state[\"h\"] of shape (3,)"),
             (lambda *both: (W @ both[1], None), "slice of shape (3,)"),
             (lambda c, s: (sd.tanh(s) @ W, None), "`tanh(s)` of shape (3,)")]
    for step, words in cases:
        with pytest.raises(ShapeMismatch, match=re.escape(words)):
            sd.scan(step, {"h": sd.zeros(3)}, X)
    with pytest.raises(ShapeMismatch, match=re.escape("`k z` of shape (3,)")):
        sd.fori(0, 4, lambda k, z: W @ (sd.astype(k, "float64") * z), sd.zeros(3))


def test_the_counter_of_a_loop_that_begins_later_is_an_integer() -> None:
    n = sd.dim("n_counter", minimum=3)
    x = sd.symbol("x", n)
    total = sd.fori(1, n - 1, lambda i, c: c + x[i - 1] * i, 0.0)
    values = np.arange(1.0, 7.0)
    expected = sum(values[i - 1] * i for i in range(1, 5))
    for target in ("numpy", "cpu"):
        assert sd.compile(total, [x], target=target)(values) == expected
    assert sd.evaluate(sd.fori(1, 4, lambda i, c: c + i, sd.constant(np.int64(0)))) == 6
    late = sd.fori(n, n + 2, lambda i, c: c + i * x[0], 0.0)
    assert sd.compile(late, [x])(values) == 13.0


def test_what_gets_out_of_a_body_is_refused() -> None:
    x = sd.symbol("x", "n_leak")
    leaked: list[Any] = []

    def step(total: Any, value: Any) -> Any:
        leaked.append(value * 2)
        return total + value, None
    total = sd.scan(step, 0.0, x)[0] + leaked[0]
    for use in (lambda: sd.compile(total), lambda: sd.compile(total, [x]), lambda: sd.evaluate(total, {"x": np.ones(3)})):
        with pytest.raises(ArgumentMismatch, match=r"value, which a loop gives its body .* outside of that loop") as caught:
            use()
        assert "return it from the body" in str(caught.value) and "⟨" not in str(caught.value)
