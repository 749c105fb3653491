"""Derivatives against differences: every operation, forty models to second order, trees, mixtures, kinks, refusals."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.evaluation import evaluate_nodes
from symdiff.expression import Node
from symdiff.traversal import symbols_of, topological
from tests.operations import OPERATIONS, SIZES, Operation

Array = np.ndarray[Any, Any]
Values = dict[Node, Array]
SIZED = {**SIZES, "p": 3}
INF, NAN = math.inf, math.nan


def value(node: Any, values: Values) -> Array:
    return np.asarray(evaluate_nodes([sd.asarray(node)], values, SIZED)[0])


def moved(values: Values, along: Values, step: float) -> Values:
    return {s: a + step * along[s] if s in along else a for s, a in values.items()}


def slope(node: Any, values: Values, along: Values, step: float = 2e-3) -> Array:
    """The derivative along a direction by differences of sixth order."""
    weights = {1: 45, 2: -9, 3: 1}
    total = sum(w * (value(node, moved(values, along, k * step)) - value(node, moved(values, along, -k * step)))
                for k, w in weights.items())
    return np.asarray(total / (60 * step))


def near(ours: Any, theirs: Any, rtol: float = 1e-8) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * max(1.0, float(np.abs(theirs).max(initial=0))))


SMOOTH = [row for row in OPERATIONS if row.smooth]


@pytest.mark.parametrize("row", SMOOTH, ids=[row.name for row in SMOOTH])
def test_every_operation_in_every_mode(row: Operation) -> None:
    symbols, arrays = row.symbols(), row.sample()
    rng = np.random.default_rng(zlib.crc32(row.name.encode()))
    result = sd.asarray(row.formula(sd, *symbols))
    values = dict(zip(symbols, arrays, strict=True))
    loss = sd.sum(sd.sin(result) * (1 + result))
    directions = [sd.symbol(f"v{k}", s.shape) for k, s in enumerate(symbols)]
    along = {s: rng.normal(size=values[s].shape) for s in symbols}
    everything = {**values, **{v: along[s] for s, v in zip(symbols, directions, strict=True)}}
    change = sd.jvp(result, symbols, directions)
    if row.name not in ("stop_gradient", "shift"):
        near(value(change, everything), slope(result, values, along, 2e-5), 1e-7)
    gradient = sd.grad(loss, symbols)
    inner = sum(np.sum(value(g, values) * along[s]) for g, s in zip(gradient, symbols, strict=True))
    near(value(sd.jvp(loss, symbols, directions), everything), inner, 1e-11)
    weights = sd.symbol("u", result.shape)
    everything[weights] = rng.normal(size=value(result, values).shape)
    pulled = sd.vjp(result, symbols, weights)
    near(sum(np.sum(value(g, everything) * along[s]) for g, s in zip(pulled, symbols, strict=True)),
         np.sum(value(change, everything) * everything[weights]), 1e-11)
    for g, product in zip(gradient, sd.hvp(loss, symbols, directions), strict=True):
        if row.name not in ("stop_gradient", "shift"):
            near(value(product, everything), slope(g, values, along, 2e-5), 1e-6)


n, d, k, p = sd.dims("n d k p")
X, y, w, x = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("x", p)
A, S, B = sd.symbol("A", (p, p)), sd.symbol("S", (p, p), symmetric=True), sd.symbol("B", (4, 4))
W, V, Y, U = sd.symbol("W", (d, k)), sd.symbol("V", (k, k)), sd.symbol("Y", (n, k)), sd.symbol("U", (n, k))
M, z, a, b = sd.symbol("M", (n, d)), sd.symbol("z", 5), sd.symbol("a"), sd.symbol("b")
SYMBOLS = (X, y, w, x, A, S, B, W, V, Y, U, M, z, a, b)
P = U @ W.T
MODELS: dict[str, tuple[Any, Node]] = {
    "ridge": (sd.mean((X @ w - y) ** 2) + a**2 * sd.sum(w**2), w),
    "logistic": (sd.sum(sd.log(1 + sd.exp(X @ w)) - y * (X @ w)), w),
    "poisson": (sd.sum(sd.exp(X @ w) - y * (X @ w)), w),
    "softmax regression": (-sd.sum(Y * sd.log_softmax(X @ W)), W),
    "factorisation": (sd.sum(((P - X) * M) ** 2), U),
    "net, first layer": (sd.sum((sd.tanh(X @ W) @ V - Y) ** 2), W),
    "net, last layer": (sd.sum((sd.sigmoid(X @ W) @ V - Y) ** 2), V),
    "attention": (sd.sum(sd.softmax(U @ U.T / 3) @ U), U),
    "quadratic form": (x @ A @ x + x @ S @ x, x),
    "in the matrix": (x @ A @ A.T @ x, A),
    "Rayleigh quotient": ((x @ A @ x) / (x @ x), x),
    "exponential of a form": (sd.exp(x @ A @ x / 9), x),
    "trace of a product": (sd.trace(A @ A.T @ A), A),
    "elementwise power": (sd.sum((1 + x**2) ** a), x),
    "power in the exponent": (sd.sum((1 + x**2) ** a), a),
    "variance": (sd.var(x), x),
    "deviation": (sd.std(x), x),
    "product": (sd.prod(z) ** 2, z),
    "logsumexp": (sd.logsumexp(X @ w), w),
    "mixture": (-sd.sum(sd.logsumexp(-((y[:, None] - x[None, :]) ** 2) + x, axis=1)), x),
    "norm": (sd.norm(X @ w - y), w),
    "p-norm": (sd.norm(x, 3), x),
    "Huber": (sd.sum(sd.where(sd.abs(X @ w - y) < 1, (X @ w - y) ** 2 / 2, sd.abs(X @ w - y) - 0.5)), w),
    "pseudo-Huber": (sd.sum(sd.sqrt(1 + (X @ w - y) ** 2)), w),
    "log cosh": (sd.sum(sd.log(sd.cosh(X @ w - y))), w),
    "Cauchy": (sd.sum(sd.log1p((X @ w - y) ** 2)), w),
    "kernel": (sd.sum(sd.exp(-((x[:, None] - x[None, :]) ** 2) / 2)), x),
    "second differences": (sd.sum((z[2:] - 2 * z[1:-1] + z[:-2]) ** 4), z),
    "convolution": (sd.sum(sd.sin(z[2:] * a + z[1:-1] * b + z[:-2])), z),
    "pieces put together": (sd.sum(sd.concat([z, 2 * z[::-1], z[1:] * z[:-1]]) ** 3), z),
    "padded": (sd.sum(sd.pad(z, 1)[1:] * sd.exp(sd.pad(z, 1)[:-1])), z),
    "reshaped": (sd.sum(sd.reshape(B, (2, 8))[0] * sd.reshape(B, (2, 8))[1] ** 2), B),
    "strided": (sd.sum(B[::2, 1::2] ** 3) * sd.sum(B[::-1] * B), B),
    "rolled": (sd.sum(sd.roll(z, 1) * sd.tanh(z) * sd.roll(z, -2)), z),
    "diagonals": (sd.sum(sd.diag(x) @ A @ x) + sd.sum(sd.diag(A) ** 3) * sd.sum(x**2), x),
    "triangle": (sd.sum((sd.tril(B) @ B) ** 2), B),
    "extremes": (sd.max(sd.sin(z)) ** 2 * sd.min(z) + sd.sum(sd.maximum(z, 0.1) * sd.minimum(z, z[::-1] + 0.01)), z),
    "clipped": (sd.sum(sd.clip(z, -0.5, 0.5) ** 2 * z), z),
    "angles": (sd.sum(sd.atan2(z, 2 + z**2) * sd.hypot(z, z[::-1] + 3)), z),
    "errors": (sd.sum(sd.erf(z) * sd.erfc(z / 2) + sd.softplus(z) * sd.relu(z)), z),
    "entropy": (-sd.sum(sd.softmax(x) * sd.log(sd.softmax(x))), x),
    "x log x": (sd.sum(sd.exp(x) * sd.log(sd.exp(x)) + sd.xlogy(x**2, 1 + x**2)), x),
    "scalars": (sd.sin(a) * b + a * a * sd.exp(a * b) / (1 + a**2), a),
    "stopped": (sd.sum(sd.stop_gradient(sd.sin(x)) * x**3), x),
}


def sampled(seed: int) -> Values:
    rng = np.random.default_rng(seed)
    values: Values = {}
    for s in SYMBOLS:
        values[s] = rng.uniform(0.2, 1.4, tuple(v if isinstance(v, int) else SIZED[str(v)] for v in s.shape))
        if s is S:
            values[s] = values[s] + values[s].T
        elif s in (z, w, x):
            values[s] = values[s] * rng.choice([-1, 1], values[s].shape)
    return values


def basis(symbol: Node, values: Values) -> list[Values]:
    """The unit directions of a symbol."""
    shape = values[symbol].shape
    return [{symbol: np.eye(math.prod(shape))[j].reshape(shape)} for j in range(math.prod(shape))]


def jacobian_by_differences(node: Any, symbol: Node, values: Values) -> Array:
    columns = [slope(node, values, unit) for unit in basis(symbol, values)]
    return np.stack(columns, axis=-1).reshape(columns[0].shape + values[symbol].shape)


@pytest.mark.parametrize("name", MODELS)
def test_models_to_second_order(name: str) -> None:
    f, wrt = MODELS[name]
    values = sampled(zlib.crc32(name.encode()) % 1000)
    gradient, hessian = sd.grad(f, wrt), sd.hessian(f, wrt)
    assert gradient.type == wrt.type
    assert hessian.shape == wrt.shape + wrt.shape
    if name != "stopped":
        near(value(gradient, values), jacobian_by_differences(f, wrt, values))
        near(value(hessian, values), jacobian_by_differences(gradient, wrt, values), 1e-7)
        turned = np.moveaxis(value(hessian, values), range(wrt.ndim), range(wrt.ndim, 2 * wrt.ndim))
        near(turned, value(hessian, values), 1e-11)
    v = sd.symbol("v", wrt.shape)
    along = {**values, v: np.random.default_rng(3).normal(size=values[wrt].shape)}
    axes = wrt.ndim
    expected = np.tensordot(value(hessian, values), along[v], axes)
    near(value(sd.hvp(f, wrt, v), along), expected, 1e-10)
    near(value(sd.jvp(gradient, wrt, v), along), expected, 1e-10)
    near(value(sd.grad(sd.sum(gradient * v), wrt), along), expected, 1e-10)
    near(value(sd.vjp(gradient, wrt, v), along), expected, 1e-10)
    near(value(sd.jacobian(gradient, wrt), values), value(hessian, values), 1e-11)
    near(value(sd.jvp(f, wrt, v), along), np.sum(value(gradient, values) * along[v]), 1e-11)
    near(value(sd.value_and_grad(f, wrt)[0], values), value(f, values), 1e-12)


@pytest.mark.parametrize("name", ["logistic", "attention", "Rayleigh quotient", "deviation", "kernel", "mixture", "product",
                                  "pieces put together", "net, first layer"])
def test_mixtures_of_third_order(name: str) -> None:
    f, wrt = MODELS[name]
    values = sampled(7)
    u, v = sd.symbol("u", wrt.shape), sd.symbol("v", wrt.shape)
    rng = np.random.default_rng(5)
    values |= {u: rng.normal(size=values[wrt].shape), v: rng.normal(size=values[wrt].shape)}
    third = slope(sd.hvp(f, wrt, u), values, {wrt: values[v]})
    near(value(sd.jvp(sd.hvp(f, wrt, u), wrt, v), values), third, 1e-7)
    near(value(sd.hvp(sd.jvp(f, wrt, u), wrt, v), values), third, 1e-7)
    near(value(sd.grad(sd.jvp(sd.jvp(f, wrt, u), wrt, v), wrt), values), third, 1e-7)
    near(value(sd.vjp(sd.jvp(sd.grad(f, wrt), wrt, u), wrt, v), values), third, 1e-7)
    full = value(sd.jacobian(sd.hessian(f, wrt), wrt), values)
    near(np.tensordot(np.tensordot(full, values[v], wrt.ndim), values[u], wrt.ndim), third, 1e-7)


SCALARS: dict[str, tuple[Callable[[Any], Any], Callable[[int, float], float]]] = {
    "sin": (sd.sin, lambda m, t: math.sin(t + m * math.pi / 2)),
    "exp": (lambda t: sd.exp(2 * t), lambda m, t: 2**m * math.exp(2 * t)),
    "log": (sd.log, lambda m, t: (-1) ** (m - 1) * math.factorial(m - 1) / t**m if m else math.log(t)),
    "power": (lambda t: t**5, lambda m, t: math.prod(range(5, 5 - m, -1)) * t ** (5 - m)),
    "reciprocal": (lambda t: 1 / t, lambda m, t: (-1) ** m * math.factorial(m) / t ** (m + 1)),
    "root": (sd.sqrt, lambda m, t: math.prod(0.5 - j for j in range(m)) * t ** (0.5 - m)),
    "any power": (lambda t: t**1.3, lambda m, t: math.prod(1.3 - j for j in range(m)) * t ** (1.3 - m)),
    "cosh": (sd.cosh, lambda m, t: math.sinh(t) if m % 2 else math.cosh(t)),
    "x exp": (lambda t: t * sd.exp(t), lambda m, t: (t + m) * math.exp(t)),
    "tanh": (sd.tanh, lambda m, t: {0: (h := math.tanh(t)), 1: 1 - h**2, 2: -2 * h * (1 - h**2),
                                    3: (6 * h**2 - 2) * (1 - h**2), 4: (16 * h - 24 * h**3) * (1 - h**2)}[m]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_four_derivatives_of_scalars(name: str) -> None:
    f, known = SCALARS[name]
    node = f(a)
    for order in range(5):
        for point in (0.3, 1.7):
            near(value(node, {a: np.asarray(point)}), known(order, point), 1e-11)
        node = sd.grad(node, a)


def test_trees() -> None:
    f = sd.sum((X @ w - y) ** 2) * a + sd.sum(y) * b
    values = sampled(1)
    tree = {"weights": [w, (a, b)], "y": y}
    gradient = sd.grad(f, tree)
    assert isinstance(gradient["weights"], list) and isinstance(gradient["weights"][1], tuple)
    for ours, s in ((gradient["weights"][0], w), (gradient["weights"][1][0], a), (gradient["weights"][1][1], b),
                    (gradient["y"], y)):
        assert ours is sd.grad(f, s)
    total, again = sd.value_and_grad(f, (w, a))
    assert again == (sd.grad(f, w), sd.grad(f, a)) and total is f
    hessian = sd.hessian(f, {"w": w, "a": a})
    assert hessian["w"]["a"].shape == (d,) and hessian["a"]["w"].shape == (d,) and hessian["a"]["a"].shape == ()
    assert hessian["w"]["w"] is sd.hessian(f, w)
    near(value(hessian["w"]["a"], values), value(hessian["a"]["w"], values))
    jacobian = sd.jacobian(X @ w * a, [w, a])
    assert [j.shape for j in jacobian] == [(n, d), (n,)]
    directions = {"w": sd.symbol("dw", d), "a": sd.symbol("da")}
    along = {**values, directions["w"]: np.ones(3), directions["a"]: np.asarray(2.0)}
    products = sd.hvp(f, {"w": w, "a": a}, directions)
    near(value(products["w"], along),
         value(hessian["w"]["w"], values) @ np.ones(3) + 2 * value(hessian["w"]["a"], values), 1e-11)
    change = sd.jvp(f, {"w": w, "a": a}, directions)
    near(value(change, along), slope(f, values, {w: np.ones(3), a: np.asarray(2.0)}), 1e-8)


def at(node: Any, *points: Any, symbol: Node = z) -> Array:
    return value(node, {symbol: np.array(points, float) if symbol is z else np.asarray(points[0], float)})


KINKS: list[tuple[str, Any, float, float]] = [
    ("abs", sd.abs(a), 0.0, 0.0), ("sign", sd.sign(a) * a, 0.0, 0.0), ("relu", sd.relu(a), 0.0, 0.0),
    ("relu above", sd.relu(a), 1e-300, 1.0), ("sqrt", sd.sqrt(a), 0.0, INF), ("safe_sqrt", sd.safe_sqrt(a), 0.0, 0.0),
    ("clip below", sd.clip(a, -1, 1), -1.0, 1.0), ("clip above", sd.clip(a, -1, 1), 1.0, 1.0),
    ("clip outside", sd.clip(a, -1, 1), 1.1, 0.0), ("maximum", sd.maximum(a, 0), 0.0, 0.5),
    ("minimum", sd.minimum(2 * a, 0), 0.0, 1.0), ("hypot", sd.hypot(a, 3 * a), 0.0, 0.0),
    ("power", a**0.5, 0.0, INF), ("square", a**2, 0.0, 0.0), ("to the power 1", a ** (b * 0 + 1), 0.0, 1.0),
    ("cbrt", sd.cbrt(a), 0.0, INF), ("floor", sd.floor(a) + a, 2.0, 1.0), ("round", sd.round(a) + a, 0.5, 1.0),
    ("xlogy", sd.xlogy(a, a), 0.0, -INF), ("norm", sd.norm(sd.stack([a, 2 * a])), 0.0, 0.0),
    ("logsumexp of -inf", sd.logsumexp(sd.stack([a, a])), -INF, 0.0), ("logaddexp of -inf", sd.logaddexp(a, a), -INF, 0.0),
    ("softplus", sd.softplus(a), -INF, 0.0), ("stop_gradient", sd.stop_gradient(a) * a, 3.0, 3.0),
]


@pytest.mark.parametrize(("name", "f", "point", "expected"), KINKS, ids=[row[0] for row in KINKS])
def test_kinks(name: str, f: Any, point: float, expected: float) -> None:
    values = {a: np.asarray(point), b: np.asarray(1.0)}
    np.testing.assert_equal(value(sd.grad(f, a), values), np.asarray(expected))
    np.testing.assert_equal(value(sd.jvp(f, a, 1.0), values), np.asarray(expected))


def test_ties_of_extremes_share() -> None:
    np.testing.assert_allclose(at(sd.grad(sd.max(z), z), 1, 3, 3, 0, 3), [0, 1 / 3, 1 / 3, 0, 1 / 3])
    np.testing.assert_allclose(at(sd.grad(sd.min(z), z), 1, 0, 3, 0, 3), [0, 0.5, 0, 0.5, 0])
    np.testing.assert_allclose(at(sd.grad(sd.sum(sd.maximum(z, z[::-1])), z), 1, 2, 5, 2, 0), [2, 1, 1, 1, 0])
    np.testing.assert_allclose(at(sd.jvp(sd.max(z), z, z**2), 1, 3, 3, 0, 3), 9)


@pytest.mark.parametrize("zeros", [(), (2,), (1, 4), (0, 1, 2)])
def test_product_with_zeros(zeros: tuple[int, ...]) -> None:
    point = np.array([1.5, -2.0, 0.5, 3.0, -1.0])
    point[list(zeros)] = 0
    others = [np.prod(np.delete(point, j)) for j in range(5)]
    near(at(sd.grad(sd.prod(z), z), *point), others)
    pairs = [[0.0 if i == j else np.prod(np.delete(point, [i, j])) for j in range(5)] for i in range(5)]
    near(at(sd.hessian(sd.prod(z), z), *point), pairs)


@pytest.mark.parametrize("f", [sd.sum(z**2), sd.norm(z), sd.norm(z) ** 2, sd.std(z), sd.logsumexp(z)])
def test_special_points_of_vectors(f: Any) -> None:
    zero = at(sd.grad(f, z), 0, 0, 0, 0, 0)
    assert np.isfinite(zero).all() or f is sd.std(z)
    if f is sd.norm(z):
        assert not zero.any()


def test_logsumexp_of_nothing() -> None:
    gone = (-INF,) * 5
    assert at(sd.logsumexp(z), *gone) == -INF
    assert not at(sd.grad(sd.logsumexp(z), z), *gone).any()
    assert not at(sd.hessian(sd.logsumexp(z), z), *gone).any()
    np.testing.assert_allclose(at(sd.grad(sd.logsumexp(z), z), -INF, 0, 0, -INF, -INF), [0, 0.5, 0.5, 0, 0])
    np.testing.assert_allclose(at(sd.hessian(sd.logsumexp(z), z), -INF, 0, 0, -INF, -INF)[1, 1], 0.25)


i = sd.symbol("i", 3, "int64")
REFUSED: dict[str, Callable[[], Any]] = {
    "integer symbol": lambda: sd.grad(sd.sum(i * 1.5), i), "boolean function": lambda: sd.grad(a > 0, a),
    "integer function": lambda: sd.jacobian(i, i), "argmax": lambda: sd.jacobian(sd.argmax(z), z),
    "through argmax": lambda: sd.grad(sd.argmax(z) * 2.0, z), "truth value": lambda: sd.grad(sd.astype(a > 0, "float64"), a),
    "integer on the way": lambda: sd.grad(sd.astype(sd.astype(a, "int64"), "float64"), a),
    "forward": lambda: sd.jvp(sd.argmax(z) * 2.0, z, z),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_silent_zero(name: str) -> None:
    with pytest.raises(sd.NotDifferentiable) as caught:
        REFUSED[name]()
    assert "Traceback" not in str(caught.value)


def test_masks_are_no_obstacle() -> None:
    f = sd.sum((z > 0) * z**2)
    np.testing.assert_allclose(at(sd.grad(f, z), -1, 2, 0, -3, 4), [0, 4, 0, 0, 8])
    np.testing.assert_allclose(at(sd.hessian(f, z), -1, 2, 0, -3, 4), np.diag([0, 2, 0, 0, 2]))
    assert not at(sd.hessian(sd.sum((z > 0) * z), z), -1, 2, 0, -3, 4).any()


def test_other_refusals() -> None:
    with pytest.raises(sd.ShapeMismatch):
        sd.grad(z, z)
    with pytest.raises(sd.TypeMismatch):
        sd.grad(sd.sum(z), 2 * z)
    with pytest.raises(sd.ShapeMismatch):
        sd.jvp(z, z, sd.symbol("t", 4))
    assert value(sd.grad(a, b), {}) == 0


f32 = {s: sd.symbol(f"{s}32", s.shape, "float32") for s in (X, w, y, z, a)}


SINGLE: dict[str, tuple[Any, Node]] = {
    "ridge": (sd.mean((f32[X] @ f32[w] - f32[y]) ** 2) + 0.1 * sd.sum(f32[w] ** 2), f32[w]),
    "logistic": (sd.sum(sd.log(1 + sd.exp(f32[X] @ f32[w])) - f32[y] * (f32[X] @ f32[w])), f32[w]),
    "extremes": (sd.sum(sd.maximum(f32[z], 0) * sd.minimum(f32[z], 1)) * sd.max(f32[z]) + sd.min(f32[z]) ** 2, f32[z]),
    "deviation": (sd.std(f32[y]), f32[y]), "norm": (sd.norm(f32[y]), f32[y]), "product": (sd.prod(f32[z]), f32[z]),
    "softmax": (sd.sum(sd.softmax(f32[z]) ** 2) + sd.logsumexp(f32[z]), f32[z]),
    "where": (sd.sum(sd.where(f32[z] > 0, sd.sqrt(f32[z]), 0.5 * f32[z])), f32[z]),
    "powers": (sd.sum(sd.abs(f32[z]) ** 2.5) + f32[a] ** 3 / 7, f32[z]), "clip": (sd.sum(sd.clip(f32[z], -1, 1) ** 2), f32[z]),
    "functions": (sd.sum(sd.erf(f32[z]) * sd.log2(2 + f32[z] ** 2) * sd.tanh(f32[z])), f32[z]),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_precision_stays_single(name: str) -> None:
    f, wrt = SINGLE[name]
    v = sd.symbol("v32", wrt.shape, "float32")
    for result in (f, sd.grad(f, wrt), sd.hessian(f, wrt), sd.jvp(f, wrt, v), sd.hvp(f, wrt, v),
                   sd.value_and_grad(f, wrt)[0], sd.jacobian(sd.grad(f, wrt), wrt), sd.grad(sd.sum(sd.grad(f, wrt) * v), wrt)):
        assert result.dtype == "float32"
        wide = [node for node in topological([result]) if node.dtype == "float64"]
        assert all(getattr(node, "function", None) is sd.functions.ROWS["number"] for node in wide), wide


def test_products_along_cut_symbolic_axes() -> None:
    M, y = sd.symbol("M", ("n", "d")), sd.symbol("y", "n")
    cut = sd.grad(sd.sum(sd.prod(M[1:, 1:], axis=0)), M)
    np.testing.assert_allclose(sd.evaluate(cut, {M: np.arange(1.0, 13).reshape(4, 3)})[1:, 1:], [[88, 108], [55, 72], [40, 54]])
    np.testing.assert_allclose(sd.evaluate(sd.hessian(sd.prod(y[1:]), y), {y: [1.0, 2, 3, 4]})[1:, 1:],
                               [[0, 4, 3], [4, 0, 2], [3, 2, 0]])


@pytest.mark.parametrize("at", [(0, 0, 1), (0, 2, 0), (3, 0, 0), (0, -1, 2), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("more", [0, 1, "w"])
def test_second_derivatives_of_lengths_where_sides_are_zero(at: tuple[int, ...], more: Any) -> None:
    """(I − x xᵀ / r²) / r, on the axes too: the length is smooth wherever it is not zero."""
    v, w = sd.symbol("v", 3), sd.symbol("w")
    rest = w**2 if more == "w" else more
    length = sd.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2 + rest)
    x = np.array(at, float)
    r = np.sqrt(x @ x + (1 if more else 0))
    kernel = sd.compile([sd.grad(length, v), sd.hessian(length, v), sd.hvp(length, v, sd.constant([1.0, 2.0, 3.0]))], [v, w])
    gradient, hessian, product = kernel(x, 1.0)
    wanted = (np.eye(3) - np.outer(x, x) / r**2) / r
    np.testing.assert_allclose(gradient, x / r, atol=1e-15)
    np.testing.assert_allclose(hessian, wanted, atol=1e-15)
    np.testing.assert_allclose(product, wanted @ [1, 2, 3], atol=1e-14)


def test_the_gradient_by_a_symmetric_matrix_is_symmetric() -> None:
    """However the function is written, and so that a step along it leaves the matrix symmetric."""
    T, M = sd.symbol("T", (2, 2), symmetric=True), sd.symbol("M", (2, 2))
    a, b = sd.symbol("a", 2), sd.symbol("b", 2)
    for f, wanted in ((sd.trace(M @ T), "(M + Mᵀ) / 2"), (sd.sum(M.T * T), "(M + Mᵀ) / 2"), (a @ T @ b, "(b aᵀ + a bᵀ) / 2"),
                      (a @ T @ a, "a aᵀ"), (sd.sum(sd.sin(2 * T) * T), "sin(2 T) + 2 T ⊙ cos(2 T)"), (sd.trace(T @ T), "2 T")):
        assert str(sd.grad(f, T)) == wanted
        values = {T: [[1.0, 0.3], [0.3, 2.0]], M: [[1.0, 2.0], [3.0, 4.0]], a: [1.0, 2.0], b: [3.0, 5.0]}
        sd.check_derivatives(f, T, at={s: values[s] for s in values if s in symbols_of([f])})
