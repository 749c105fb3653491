"""JAX: jitted functions of arrays that are on its device already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp, relu, sigmoid, softplus

from benchmarks.lines.chains import run_program
from benchmarks.lines.images import LEARNING_RATE as IMAGE_RATE
from benchmarks.lines.images import WEIGHTS
from benchmarks.lines.line import Values
from benchmarks.lines.mixtures import EXTRA, GAMMA, prior_constant, triangle_positions
from benchmarks.lines.networks import ADAM, LEARNING_RATE
from benchmarks.lines.sequences import BLOCK, EPSILON, HEADS

jax.config.update("jax_enable_x64", True)
# A call then runs on the thread that makes it; results are waited for anyhow.
jax.config.update("jax_cpu_enable_async_dispatch", False)

Call = Callable[[], Any]
LAYERS = ("W1", "b1", "W2", "b2")
NET = ("W1", "b1", "w2", "b2")


def called(function: Callable[..., Any], values: Values) -> Call:
    """A jitted call with the values, waited for."""
    jitted = jax.jit(function)
    arguments = [jnp.asarray(v) for v in values.values()]
    return lambda: jax.block_until_ready(jitted(*arguments))


def with_gradient(loss: Callable[..., Any], values: Values, *names: str) -> Call:
    """Value and gradients of a loss of the values, in the order of their names."""
    places = tuple(list(values).index(name) for name in names)
    return called(jax.value_and_grad(loss, argnums=places), values)


def elementwise(values: Values, function: str) -> Call:
    """One function of an array."""
    own = {"sigmoid": sigmoid, "softplus": softplus, "erf": jax.lax.erf, "pow": lambda x: x**1.7}.get(function)
    return called(own or getattr(jnp, function), values)


def sum_of_squares(values: Values) -> Call:
    """One array in, one number out."""
    return called(lambda a: jnp.sum(a**2), values)


def five_products(values: Values) -> Call:
    """Five arrays in, one number out."""
    return called(lambda a, b, c, d, e: jnp.sum(a * b + c * d + e), values)


def linear(values: Values) -> Call:
    """Value and gradient."""
    return with_gradient(lambda X, y, w: jnp.mean((X @ w - y) ** 2), values, "w")


def logistic_loss(X: Any, y: Any, w: Any) -> Any:
    """Σ log(1 + eᶻ) − y z."""
    z = X @ w
    return jnp.sum(softplus(z) - y * z)


def logistic(values: Values) -> Call:
    """Value and gradient."""
    return with_gradient(logistic_loss, values, "w")


def logistic_hessian(values: Values) -> Call:
    """Value, gradient and Hessian."""
    def all_three(X: Any, y: Any, w: Any) -> Any:
        return (*jax.value_and_grad(logistic_loss, 2)(X, y, w), jax.hessian(logistic_loss, 2)(X, y, w))
    return called(all_three, values)


def logistic_hvp(values: Values) -> Call:
    """Forward over reverse."""
    def product(X: Any, y: Any, w: Any, v: Any) -> Any:
        return (jax.jvp(lambda w: jax.grad(logistic_loss, 2)(X, y, w), (w,), (v,))[1],)
    return called(product, values)


def softmax_hessian(values: Values) -> Call:
    """Value, gradient and Hessian."""
    def loss(X: Any, Y: Any, W: Any) -> Any:
        Z = X @ W
        return jnp.sum(logsumexp(Z, axis=1)) - jnp.sum(Y * Z)

    def all_three(X: Any, Y: Any, W: Any) -> Any:
        return (*jax.value_and_grad(loss, 2)(X, Y, W), jax.hessian(loss, 2)(X, Y, W))
    return called(all_three, values)


def xor_loss(X: Any, y: Any, W1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    """Squared errors of the net."""
    return jnp.sum((sigmoid(sigmoid(X @ W1 + b1) @ w2 + b2) - y) ** 2)


def xor(values: Values) -> Call:
    """Value and gradients."""
    return with_gradient(xor_loss, values, *NET)


def xor_training(values: Values) -> Call:
    """A loop in the compiled function."""
    steps = int(values["steps"])

    def training(X: Any, y: Any, *weights: Any) -> Any:
        def step(turn: Any, now: Any) -> Any:
            return tuple(w - LEARNING_RATE * g for w, g in zip(now, jax.grad(xor_loss, (2, 3, 4, 5))(X, y, *now), strict=True))
        return jax.lax.fori_loop(0, steps, step, weights)
    return called(training, {name: v for name, v in values.items() if name != "steps"})


def picked(scores: Any, labels: Any) -> Any:
    """The mean of −log softmax at the labels."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=1))


def mlp_adam(values: Values) -> Call:
    """The loss, and weights, means and squares after a step."""
    def step(*arguments: Any) -> Any:
        v = dict(zip(values, arguments, strict=True))

        def loss(p: Any) -> Any:
            return picked(relu(v["X"] @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"], v["labels"])
        value, g = jax.value_and_grad(loss)({k: v[k] for k in LAYERS})
        m = {k: ADAM["beta1"] * v[f"m_{k}"] + (1 - ADAM["beta1"]) * g[k] for k in LAYERS}
        s = {k: ADAM["beta2"] * v[f"v_{k}"] + (1 - ADAM["beta2"]) * g[k] ** 2 for k in LAYERS}
        first, second = 1 - ADAM["beta1"] ** v["t"], 1 - ADAM["beta2"] ** v["t"]
        p = [v[k] - ADAM["learning_rate"] * (m[k] / first) / (jnp.sqrt(s[k] / second) + ADAM["eps"]) for k in LAYERS]
        return value, p, [m[k] for k in LAYERS], [s[k] for k in LAYERS]
    return called(step, values)


def chain(values: Values) -> Call:
    """The program over eight scalars that one vector holds."""
    program = values["program"]
    return with_gradient(lambda p: run_program(program, list(p), jnp.sin, jnp.cos, jnp.tanh), {"p": values["p"]}, "p")


def deep(values: Values) -> Call:
    """A net of many layers."""
    def loss(X: Any, Y: Any, *weights: Any) -> Any:
        for W in weights:
            X = jnp.tanh(X @ W)
        return 0.5 * jnp.sum((X - Y) ** 2)
    return with_gradient(loss, values, *list(values)[2:])


def outputs(values: Values) -> Call:
    """Many outputs of one function."""
    factors = values["factors"].tolist()
    return called(lambda x: [jnp.sum(jnp.sin(a * x)) for a in factors], {"x": values["x"]})


def gmm(values: Values) -> Call:
    """The objective of the mixture and its gradients."""
    n, d = values["x"].shape
    k = len(values["alphas"])
    rows, columns = triangle_positions(d)

    def loss(x: Any, alphas: Any, means: Any, icf: Any) -> Any:
        scales = jnp.exp(icf[:, :d])
        Q = jnp.zeros((k, d, d)).at[:, rows, columns].set(icf[:, d:]) + scales[:, :, None] * jnp.eye(d)
        z = jnp.einsum("kab,knb->kna", Q, x[None] - means[:, None])
        scores = (alphas + icf[:, :d].sum(axis=1))[:, None] - 0.5 * jnp.sum(z**2, axis=2)
        prior = GAMMA**2 / 2 * (jnp.sum(scales**2) + jnp.sum(icf[:, d:] ** 2)) - EXTRA * jnp.sum(icf[:, :d])
        return jnp.sum(logsumexp(scores, axis=0)) - n * logsumexp(alphas) + prior + prior_constant(n, d, k)
    return with_gradient(loss, values, "alphas", "means", "icf")


def lstm(values: Values) -> Call:
    """A scan over the turns; the products with the inputs are one product before it."""
    turns, batch, _ = values["X"].shape
    size = values["U"].shape[0]

    def loss(X: Any, Y: Any, W: Any, U: Any, b: Any) -> Any:
        def step(carry: Any, z: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(z + h @ U, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
            h = sigmoid(o) * jnp.tanh(c)
            return (h, c), h
        nothing = jnp.zeros((batch, size), X.dtype)
        _, states = jax.lax.scan(step, (nothing, nothing), X @ W + b)
        return 0.5 * jnp.sum((states - Y) ** 2) / (turns * batch)
    return with_gradient(loss, values, "W", "U", "b")


def normed(x: Any, scale: Any, shift: Any) -> Any:
    """Layer normalisation."""
    return (x - x.mean(axis=-1, keepdims=True)) / jnp.sqrt(x.var(axis=-1, keepdims=True) + EPSILON) * scale + shift


def transformer(values: Values) -> Call:
    """Normalisation, attention and a hidden layer."""
    batch, turns, d = values["x"].shape

    def loss(*arguments: Any) -> Any:
        v = dict(zip(values, arguments, strict=True))

        def heads(z: Any) -> Any:
            return z.reshape(batch, turns, HEADS, d // HEADS).transpose(0, 2, 1, 3)
        a = normed(v["x"], v["g1"], v["c1"])
        q, k, w = heads(a @ v["Wq"]), heads(a @ v["Wk"]), heads(a @ v["Wv"])
        seen = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // HEADS).astype("float32")) @ w
        x = v["x"] + seen.transpose(0, 2, 1, 3).reshape(batch, turns, d) @ v["Wo"]
        e = normed(x, v["g2"], v["c2"])
        r = x + relu(e @ v["W1"] + v["b1"]) @ v["W2"] + v["b2"] - v["y"]
        return 0.5 * jnp.sum(r**2) / (batch * turns)
    return with_gradient(loss, values, *BLOCK)


def cnn_sgd(values: Values) -> Call:
    """The loss, and the weights after a step; with channels last and pooling by a maximum over axes, the fastest of its forms."""
    def loss(p: Any, x: Any, labels: Any) -> Any:
        x = x.transpose(0, 2, 3, 1)
        for kernel, bias in (("K1", "b1"), ("K2", "b2")):
            weights = p[kernel].transpose(2, 3, 1, 0)
            x = relu(jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + p[bias])
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
        return picked(x.transpose(0, 3, 1, 2).reshape(len(x), -1) @ p["W"] + p["c"], labels)

    def step(*arguments: Any) -> Any:
        v = dict(zip(values, arguments, strict=True))
        p = {name: v[name] for name in WEIGHTS}
        value, g = jax.value_and_grad(loss)(p, v["x"], v["labels"])
        return value, [p[name] - IMAGE_RATE * g[name] for name in WEIGHTS]
    return called(step, values)
