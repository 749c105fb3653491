"""PyTorch, eagerly: its own layers, losses and optimisers where it has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.lines.chains import run_program
from benchmarks.lines.images import LEARNING_RATE as IMAGE_RATE
from benchmarks.lines.images import WEIGHTS
from benchmarks.lines.line import Values
from benchmarks.lines.mixtures import EXTRA, GAMMA, prior_constant, triangle_positions
from benchmarks.lines.networks import ADAM, LEARNING_RATE
from benchmarks.lines.sequences import BLOCK, EPSILON, HEADS

torch.set_num_threads(1)

Call = Callable[[], Any]
Tensors = dict[str, torch.Tensor]
LAYERS = ("W1", "b1", "W2", "b2")
NET = ("W1", "b1", "w2", "b2")


def tensors(values: Values, *learned: str) -> Tensors:
    """Copies as tensors; gradients are kept for those named."""
    return {name: torch.tensor(v, requires_grad=name in learned) for name, v in values.items()}


def with_gradient(loss: Callable[[Tensors], torch.Tensor], values: Values, *learned: str) -> Call:
    """Value and gradients of a loss of the values, in the order of their names."""
    t = tensors(values, *learned)
    wanted = [t[name] for name in learned]

    def call() -> Any:
        value = loss(t)
        return value.detach(), torch.autograd.grad(value, wanted)
    return call


def elementwise(values: Values, function: str) -> Call:
    """One function of an array, written into an array that is there where PyTorch can."""
    x = torch.tensor(values["x"])
    target = torch.empty_like(x)
    if function == "softplus":
        return lambda: functional.softplus(x)
    if function == "pow":
        return lambda: torch.pow(x, 1.7, out=target)
    own = getattr(torch, function)
    return lambda: own(x, out=target)


def sum_of_squares(values: Values) -> Call:
    """One array in, one number out."""
    a = torch.tensor(values["a"])
    return lambda: torch.dot(a, a)


def five_products(values: Values) -> Call:
    """Five arrays in, one number out."""
    a, b, c, d, e = tensors(values).values()
    return lambda: torch.dot(a, b) + torch.dot(c, d) + e.sum()


def linear(values: Values) -> Call:
    """Value and gradient."""
    return with_gradient(lambda t: torch.mean((t["X"] @ t["w"] - t["y"]) ** 2), values, "w")


def logistic_loss(t: Tensors, w: torch.Tensor) -> torch.Tensor:
    """Σ log(1 + eᶻ) − y z."""
    return functional.binary_cross_entropy_with_logits(t["X"] @ w, t["y"], reduction="sum")


def logistic(values: Values) -> Call:
    """Value and gradient."""
    return with_gradient(lambda t: logistic_loss(t, t["w"]), values, "w")


def logistic_hessian(values: Values) -> Call:
    """Value, gradient, and the Hessian by forward over reverse."""
    t = tensors(values)

    def call() -> Any:
        gradient, value = torch.func.grad_and_value(lambda w: logistic_loss(t, w))(t["w"])
        return value, gradient, torch.func.hessian(lambda w: logistic_loss(t, w))(t["w"])
    return call


def logistic_hvp(values: Values) -> Call:
    """Forward over reverse."""
    t = tensors(values)
    return lambda: (torch.func.jvp(torch.func.grad(lambda w: logistic_loss(t, w)), (t["w"],), (t["v"],))[1],)


def softmax_hessian(values: Values) -> Call:
    """Value, gradient, and the Hessian by forward over reverse."""
    t = tensors(values)

    def loss(W: torch.Tensor) -> torch.Tensor:
        Z = t["X"] @ W
        return torch.logsumexp(Z, 1).sum() - (t["Y"] * Z).sum()

    def call() -> Any:
        gradient, value = torch.func.grad_and_value(loss)(t["W"])
        return value, gradient, torch.func.hessian(loss)(t["W"])
    return call


def xor_loss(t: Tensors) -> torch.Tensor:
    """Squared errors of the net."""
    p = torch.sigmoid(torch.sigmoid(t["X"] @ t["W1"] + t["b1"]) @ t["w2"] + t["b2"])
    return torch.sum((p - t["y"]) ** 2)


def xor(values: Values) -> Call:
    """Value and gradients."""
    return with_gradient(xor_loss, values, *NET)


def xor_training(values: Values) -> Call:
    """A Python loop of steps."""
    steps = int(values["steps"])

    def call() -> Any:
        t = tensors(values, *NET)
        weights = [t[name] for name in NET]
        for _ in range(steps):
            gradients = torch.autograd.grad(xor_loss(t), weights)
            with torch.no_grad():
                for w, g in zip(weights, gradients, strict=True):
                    w.sub_(g, alpha=LEARNING_RATE)
        return [w.detach() for w in weights]
    return call


def mlp_adam(values: Values) -> Call:
    """A step of the fused optimiser, which goes on from the state given, in place."""
    t = tensors(values, *LAYERS)
    weights = [t[name] for name in LAYERS]
    betas = ADAM["beta1"], ADAM["beta2"]
    optimizer = torch.optim.Adam(weights, lr=ADAM["learning_rate"], betas=betas, eps=ADAM["eps"], fused=True)
    for name in LAYERS:
        optimizer.state[t[name]] = {"step": t["t"].clone() - 1, "exp_avg": t[f"m_{name}"], "exp_avg_sq": t[f"v_{name}"]}
    results = [*[w.detach() for w in weights], *[t[f"m_{name}"] for name in LAYERS], *[t[f"v_{name}"] for name in LAYERS]]

    def call() -> Any:
        optimizer.zero_grad()
        scores = functional.relu(t["X"] @ t["W1"] + t["b1"]) @ t["W2"] + t["b2"]
        value = functional.cross_entropy(scores, t["labels"])
        value.backward()
        optimizer.step()
        return value.detach(), results
    return call


def chain(values: Values) -> Call:
    """The program over eight scalars that one vector holds."""
    program = values["program"]

    def loss(t: Tensors) -> torch.Tensor:
        return run_program(program, list(t["p"]), torch.sin, torch.cos, torch.tanh)
    return with_gradient(loss, {"p": values["p"]}, "p")


def gmm(values: Values) -> Call:
    """The objective of the mixture and its gradients."""
    n, d = values["x"].shape
    k = len(values["alphas"])
    rows, columns = (torch.tensor(p) for p in triangle_positions(d))

    def loss(t: Tensors) -> torch.Tensor:
        logarithms, below = t["icf"][:, :d], t["icf"][:, d:]
        scales = torch.exp(logarithms)
        Q = torch.diag_embed(scales).index_put((torch.arange(k)[:, None], rows, columns), below)
        z = (t["x"] - t["means"][:, None]) @ Q.mT
        scores = (t["alphas"] + logarithms.sum(1))[:, None] - 0.5 * torch.sum(z**2, 2)
        prior = GAMMA**2 / 2 * ((scales**2).sum() + (below**2).sum()) - EXTRA * logarithms.sum()
        return torch.logsumexp(scores, 0).sum() - n * torch.logsumexp(t["alphas"], 0) + prior + prior_constant(n, d, k)
    return with_gradient(loss, values, "alphas", "means", "icf")


def lstm(values: Values) -> Call:
    """`torch.nn.LSTM`, whose weights are transposed and whose bias comes twice."""
    t = tensors(values)
    turns, batch, d = values["X"].shape
    net = torch.nn.LSTM(d, values["U"].shape[0])
    with torch.no_grad():
        for parameter, value in ((net.weight_ih_l0, t["W"].T), (net.weight_hh_l0, t["U"].T), (net.bias_ih_l0, t["b"])):
            parameter.copy_(value)
        net.bias_hh_l0.zero_()
    learned = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0]

    def call() -> Any:
        states, _ = net(t["X"])
        value = 0.5 * torch.sum((states - t["Y"]) ** 2) / (turns * batch)
        dW, dU, db = torch.autograd.grad(value, learned)
        return value.detach(), dW.T, dU.T, db
    return call


def transformer(values: Values) -> Call:
    """Normalisation, attention and a hidden layer."""
    batch, turns, d = values["x"].shape

    def heads(z: torch.Tensor) -> torch.Tensor:
        return z.view(batch, turns, HEADS, d // HEADS).transpose(1, 2)

    def loss(t: Tensors) -> torch.Tensor:
        a = functional.layer_norm(t["x"], (d,), t["g1"], t["c1"], EPSILON)
        seen = functional.scaled_dot_product_attention(heads(a @ t["Wq"]), heads(a @ t["Wk"]), heads(a @ t["Wv"]))
        x = t["x"] + seen.transpose(1, 2).reshape(batch, turns, d) @ t["Wo"]
        e = functional.layer_norm(x, (d,), t["g2"], t["c2"], EPSILON)
        r = x + functional.relu(e @ t["W1"] + t["b1"]) @ t["W2"] + t["b2"] - t["y"]
        return 0.5 * torch.sum(r**2) / (batch * turns)
    return with_gradient(loss, values, *BLOCK)


def cnn_sgd(values: Values) -> Call:
    """A step against the gradient, in place."""
    t = tensors(values, *WEIGHTS)
    weights = [t[name] for name in WEIGHTS]

    def call() -> Any:
        x = t["x"]
        for kernel, bias in (("K1", "b1"), ("K2", "b2")):
            x = functional.max_pool2d(functional.relu(functional.conv2d(x, t[kernel], t[bias], padding=1)), 2)
        value = functional.cross_entropy(x.flatten(1) @ t["W"] + t["c"], t["labels"])
        gradients = torch.autograd.grad(value, weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients, strict=True):
                w.sub_(g, alpha=IMAGE_RATE)
        return value.detach(), [w.detach() for w in weights]
    return call
