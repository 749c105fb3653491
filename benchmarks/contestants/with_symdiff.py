"""symdiff: the formulas a user would write, and the public call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symdiff as sd
from benchmarks.lines.chains import run_program
from benchmarks.lines.images import LEARNING_RATE as IMAGE_RATE
from benchmarks.lines.images import WEIGHTS
from benchmarks.lines.line import Values
from benchmarks.lines.mixtures import EXTRA, GAMMA, prior_constant, triangle_positions
from benchmarks.lines.networks import ADAM, LEARNING_RATE
from benchmarks.lines.sequences import BLOCK, EPSILON, HEADS

Call = Callable[[], Any]


def called(outputs: Any, inputs: list[Any], values: Values) -> Call:
    """The call of the compiled outputs with the values of the inputs."""
    # Compile times are those of the compiler: nothing comes from the disk.
    kernel = sd.compile(outputs, inputs, cache=False)
    arguments = [values[s.name] for s in inputs]
    return lambda: kernel(*arguments)


def symbols_like(values: Values, *names: str) -> dict[str, Any]:
    """Symbols with the shapes and dtypes of values."""
    return {name: sd.symbol(name, values[name].shape, dtype=str(values[name].dtype)) for name in names or values}


def regression() -> tuple[Any, Any, Any]:
    """X, y, w of any size."""
    return sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")


def elementwise(values: Values, function: str) -> Call:
    """One function of an array, written into an array that is there."""
    x = sd.symbol("x", "n", dtype=str(values["x"].dtype))
    kernel = sd.compile(x**1.7 if function == "pow" else getattr(sd, function)(x), [x], cache=False)
    argument, target = values["x"], np.empty_like(values["x"])
    return lambda: kernel(argument, out=target)


def sum_of_squares(values: Values) -> Call:
    """One array in, one number out."""
    x = sd.symbol("a", "n")
    return called(sd.sum(x**2), [x], values)


def five_products(values: Values) -> Call:
    """Five arrays in, one number out."""
    a, b, c, d, e = (sd.symbol(name, "n") for name in "abcde")
    return called(sd.sum(a * b + c * d + e), [a, b, c, d, e], values)


def linear(values: Values) -> Call:
    """Mean squares."""
    X, y, w = regression()
    return called(sd.value_and_grad(sd.mean((X @ w - y) ** 2), w), [X, y, w], values)


def logistic_loss() -> tuple[Any, tuple[Any, Any, Any]]:
    """The loss and its symbols."""
    X, y, w = regression()
    z = X @ w
    return sd.sum(sd.softplus(z) - y * z), (X, y, w)


def logistic(values: Values) -> Call:
    """Value and gradient."""
    loss, (X, y, w) = logistic_loss()
    return called(sd.value_and_grad(loss, w), [X, y, w], values)


def logistic_hessian(values: Values) -> Call:
    """Value, gradient and Hessian in one kernel."""
    loss, (X, y, w) = logistic_loss()
    return called([loss, sd.grad(loss, w), sd.hessian(loss, w)], [X, y, w], values)


def logistic_hvp(values: Values) -> Call:
    """The Hessian times a vector."""
    loss, (X, y, w) = logistic_loss()
    v = sd.symbol("v", "d")
    return called([sd.hvp(loss, w, v)], [X, y, w, v], values)


def softmax_hessian(values: Values) -> Call:
    """Value, gradient and Hessian in one kernel."""
    d, k = values["W"].shape
    X, Y, W = sd.symbol("X", ("n", d)), sd.symbol("Y", ("n", k)), sd.symbol("W", (d, k))
    Z = X @ W
    loss = sd.sum(sd.logsumexp(Z, axis=1)) - sd.sum(Y * Z)
    return called([loss, sd.grad(loss, W), sd.hessian(loss, W)], [X, Y, W], values)


def xor_loss(values: Values) -> tuple[Any, dict[str, Any]]:
    """The loss and its symbols."""
    s = symbols_like(values, "X", "y", "W1", "b1", "w2", "b2")
    p = sd.sigmoid(sd.sigmoid(s["X"] @ s["W1"] + s["b1"]) @ s["w2"] + s["b2"])
    return sd.sum((p - s["y"]) ** 2), s


def xor(values: Values) -> Call:
    """Value and gradients."""
    loss, s = xor_loss(values)
    return called(sd.value_and_grad(loss, [s[name] for name in ("W1", "b1", "w2", "b2")]), list(s.values()), values)


def xor_training(values: Values) -> Call:
    """Gradient descent as a loop in the kernel."""
    loss, s = xor_loss(values)
    names = ("W1", "b1", "w2", "b2")
    gradients = sd.grad(loss, [s[name] for name in names])

    def step(turn: Any, weights: Any) -> Any:
        now = dict(zip(names, weights, strict=True))
        return [w - LEARNING_RATE * sd.substitute(g, now) for w, g in zip(weights, gradients, strict=True)]
    return called(sd.fori(0, int(values["steps"]), step, [s[name] for name in names]), list(s.values()), values)


def mlp_adam(values: Values) -> Call:
    """The loss, and weights, means and squares after a step."""
    s = symbols_like(values)
    hidden = sd.relu(s["X"] @ s["W1"] + s["b1"])
    loss = sd.nn.cross_entropy(hidden @ s["W2"] + s["b2"], s["labels"])
    names = ("W1", "b1", "W2", "b2")
    gradients = sd.grad(loss, [s[name] for name in names])
    first, second = 1 - ADAM["beta1"] ** s["t"], 1 - ADAM["beta2"] ** s["t"]
    weights, means, squares = [], [], []
    for name, g in zip(names, gradients, strict=True):
        means.append(ADAM["beta1"] * s[f"m_{name}"] + (1 - ADAM["beta1"]) * g)
        squares.append(ADAM["beta2"] * s[f"v_{name}"] + (1 - ADAM["beta2"]) * g**2)
        weights.append(s[name] - ADAM["learning_rate"] * (means[-1] / first) / (sd.sqrt(squares[-1] / second) + ADAM["eps"]))
    return called([loss, weights, means, squares], list(s.values()), values)


def chain(values: Values) -> Call:
    """The program over eight scalars that one vector holds."""
    p = sd.symbol("p", len(values["p"]))
    loss = run_program(values["program"], [p[k] for k in range(len(values["p"]))], sd.sin, sd.cos, sd.tanh)
    return called(sd.value_and_grad(loss, p), [p], values)


def deep(values: Values) -> Call:
    """A net of many layers."""
    s = symbols_like(values)
    layers = [name for name in values if name.startswith("W")]
    h = s["X"]
    for name in layers:
        h = sd.tanh(h @ s[name])
    return called(sd.value_and_grad(0.5 * sd.sum((h - s["Y"]) ** 2), [s[name] for name in layers]), list(s.values()), values)


def outputs(values: Values) -> Call:
    """Many outputs of one kernel."""
    x = sd.symbol("x", "n")
    return called([sd.sum(sd.sin(float(a) * x)) for a in values["factors"]], [x], values)


def gmm(values: Values) -> Call:
    """The objective of the mixture and its gradients."""
    d, k = values["x"].shape[1], len(values["alphas"])
    n = sd.dim("n")
    x, s = sd.symbol("x", (n, d)), symbols_like(values, "alphas", "means", "icf")
    alphas, means, icf = s["alphas"], s["means"], s["icf"]
    place, below = np.zeros((d, d), int), np.zeros((d, d), bool)
    rows, columns = triangle_positions(d)
    place[rows, columns], below[rows, columns] = d + np.arange(len(rows)), True
    Q = sd.where(sd.constant(below), icf[:, place], 0.0) + sd.exp(icf[:, :d])[:, :, None] * sd.eye(d)
    z = sd.einsum("kab,nkb->nka", Q, x[:, None, :] - means)
    scores = alphas + sd.sum(icf[:, :d], axis=1) - 0.5 * sd.sum(z**2, axis=2)
    squares = sd.sum(sd.exp(icf[:, :d]) ** 2) + sd.sum(icf[:, d:] ** 2)
    loss = (sd.sum(sd.logsumexp(scores, axis=1)) - n * sd.logsumexp(alphas) + GAMMA**2 / 2 * squares
            - EXTRA * sd.sum(icf[:, :d]) + prior_constant(len(values["x"]), d, k))
    return called(sd.value_and_grad(loss, [alphas, means, icf]), [x, alphas, means, icf], values)


def lstm(values: Values) -> Call:
    """A scan over the turns."""
    s = symbols_like(values)
    turns, batch, _ = values["X"].shape
    size = values["U"].shape[0]

    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        z = x @ s["W"] + h @ s["U"] + s["b"]
        i, f, g, o = (z[:, k * size:(k + 1) * size] for k in range(4))
        c = sd.sigmoid(f) * c + sd.sigmoid(i) * sd.tanh(g)
        h = sd.sigmoid(o) * sd.tanh(c)
        return (h, c), h
    nothing = sd.zeros((batch, size), dtype="float32")
    _, states = sd.scan(step, (nothing, nothing), s["X"])
    loss = 0.5 * sd.sum((states - s["Y"]) ** 2) / (turns * batch)
    return called(sd.value_and_grad(loss, [s["W"], s["U"], s["b"]]), list(s.values()), values)


def transformer(values: Values) -> Call:
    """Normalisation, attention and a hidden layer."""
    s = symbols_like(values)
    batch, turns, d = values["x"].shape

    def heads(z: Any) -> Any:
        return z.reshape((batch, turns, HEADS, d // HEADS)).transpose((0, 2, 1, 3))
    a = sd.nn.layer_norm(s["x"], s["g1"], s["c1"], eps=EPSILON)
    seen = sd.nn.scaled_dot_product_attention(heads(a @ s["Wq"]), heads(a @ s["Wk"]), heads(a @ s["Wv"]))
    x = s["x"] + seen.transpose((0, 2, 1, 3)).reshape((batch, turns, d)) @ s["Wo"]
    e = sd.nn.layer_norm(x, s["g2"], s["c2"], eps=EPSILON)
    r = x + sd.relu(e @ s["W1"] + s["b1"]) @ s["W2"] + s["b2"] - s["y"]
    loss = 0.5 * sd.sum(r**2) / (batch * turns)
    return called(sd.value_and_grad(loss, [s[name] for name in BLOCK]), list(s.values()), values)


def cnn_sgd(values: Values) -> Call:
    """The loss, and the weights after a step."""
    s = symbols_like(values)
    x = s["x"]
    for kernel, bias in (("K1", "b1"), ("K2", "b2")):
        x = sd.nn.max_pool2d(sd.relu(sd.nn.conv2d(x, s[kernel], s[bias], padding=1)), 2)
    loss = sd.nn.cross_entropy(x.reshape((len(values["x"]), -1)) @ s["W"] + s["c"], s["labels"])
    gradients = sd.grad(loss, [s[name] for name in WEIGHTS])
    return called([loss, *[s[name] - IMAGE_RATE * g for name, g in zip(WEIGHTS, gradients, strict=True)]], list(s.values()), values)
