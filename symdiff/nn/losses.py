"""Losses: one number from predictions and targets, the mean over all elements unless `reduction=` says otherwise.

`reduction` is "mean", "sum" or "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Constant, Node
from symdiff.normal_form import number_of
from symdiff.operators.arithmetic import add, multiply, negative, square, subtract, where
from symdiff.operators.coercion import as_node, describe, where_written
from symdiff.operators.contraction import vecdot
from symdiff.operators.creation import arange
from symdiff.operators.elementwise import abs, equal, exp, less_equal, relu, softplus, xlogy
from symdiff.operators.gathering import class_number
from symdiff.operators.reductions import floating, log_softmax, mean
from symdiff.operators.reductions import sum as total
from symdiff.operators.shaping import expand_dims
from symdiff.operators.special import xlog1py
from symdiff.tensor_type import FLOATING

Value = Any


def reduced(losses: Node, reduction: str) -> Node:
    """The mean or the sum of the losses of the elements, or these as they are."""
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return total(losses)
    if reduction == "none":
        return losses
    raise TypeMismatch(f"reduction {describe(reduction)} is not known", where=where_written("loss", losses),
                       mend="use 'mean', 'sum' or 'none'")


def mse(prediction: Value, target: Value, reduction: str = "mean") -> Node:
    """(prediction − target)².

    >>> import symdiff as sd
    >>> y, t = sd.symbol("y", "n"), sd.symbol("t", "n")
    >>> float(sd.evaluate(mse(y, t), {"y": [1.0, 2.0], "t": [1.0, 4.0]}))
    2.0
    """
    return reduced(square(subtract(floating(prediction), target)), reduction)


def mean_absolute_error(prediction: Value, target: Value, reduction: str = "mean") -> Node:
    """|prediction − target|."""
    return reduced(abs(subtract(floating(prediction), target)), reduction)


def huber(prediction: Value, target: Value, delta: float = 1.0, reduction: str = "mean") -> Node:
    """½ r² where |r| ≤ δ, else δ (|r| − ½ δ), with r = prediction − target."""
    residual = subtract(floating(prediction), target)
    size = abs(residual)
    near = multiply(0.5, square(residual))
    return reduced(where(less_equal(size, delta), near, multiply(delta, subtract(size, 0.5 * delta))), reduction)


def binary_cross_entropy_with_logits(logits: Value, target: Value, reduction: str = "mean") -> Node:
    """log(1 + eᶻ) − t z for a logit z and a target t in [0, 1], right for logits of any size."""
    z = floating(logits)
    return reduced(subtract(softplus(z), multiply(target, z)), reduction)


def binary_cross_entropy(probability: Value, target: Value, reduction: str = "mean") -> Node:
    """−t log p − (1 − t) log(1 − p); where p comes from a sigmoid, prefer the form with logits."""
    p = floating(probability)
    losses = add(xlogy(target, p), xlog1py(subtract(1, as_node(target)), negative(p)))
    return reduced(negative(losses), reduction)


def cross_entropy(logits: Value, target: Value, reduction: str = "mean") -> Node:
    """−Σ tₖ log softmax(z)ₖ over the last axis; integer targets are class numbers, others probabilities.

    >>> import symdiff as sd
    >>> Z, t = sd.symbol("Z", ("n", 3)), sd.symbol("t", "n", dtype="int64")
    >>> cross_entropy(Z, t).shape
    ()
    """
    z = floating(logits)
    scores = log_softmax(z)
    wanted = as_node(target)
    if wanted.dtype not in FLOATING:
        if wanted.shape != scores.shape[:-1]:
            raise ShapeMismatch("class numbers must have the shape of the logits without the last axis",
                                where=where_written("cross_entropy", z, wanted),
                                mend="give one class number for each row, or floating probabilities")
        check_classes(wanted, z)
        hot = equal(expand_dims(class_number(wanted, z.shape[-1]), wanted.ndim), arange(z.shape[-1]))
        return reduced(negative(total(where(hot, scores, 0.0), -1)), reduction)
    return reduced(negative(vecdot(wanted, scores)), reduction)


def check_classes(target: Node, logits: Node) -> None:
    """Raise `ShapeMismatch` where known class numbers are none of 0 … number of classes − 1."""
    known, classes = number_of(target), logits.shape[-1]
    numbers = target.value if isinstance(target, Constant) and isinstance(target.value, np.ndarray) else \
        np.zeros(0) if known is None else np.asarray(known)
    wrong = numbers[(numbers < 0) | (numbers >= classes if isinstance(classes, int) else False)]
    if wrong.size:
        raise ShapeMismatch(f"class number {wrong.flat[0]} is not one of the {classes} classes",
                            where=where_written("cross_entropy", logits, target),
                            mend="classes are counted from 0; leave out samples without a class")


def hinge(score: Value, target: Value, reduction: str = "mean") -> Node:
    """max(0, 1 − t s) for targets −1 and 1."""
    return reduced(relu(subtract(1, multiply(target, floating(score)))), reduction)


def poisson_nll(log_rate: Value, count: Value, reduction: str = "mean") -> Node:
    """eˣ − k x: the negative log-likelihood of a count k under the rate eˣ, without its constant."""
    x = floating(log_rate)
    return reduced(subtract(exp(x), multiply(count, x)), reduction)
