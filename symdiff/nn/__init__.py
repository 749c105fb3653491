"""Neural networks in formulas: activations and losses (`sd.nn`)."""

from symdiff.nn.activations import elu, gelu, hard_tanh, leaky_relu, log_sigmoid, mish, silu, softsign
from symdiff.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    mean_absolute_error,
    mse,
    poisson_nll,
)
from symdiff.operators.elementwise import relu, sigmoid, softplus, tanh
from symdiff.operators.reductions import log_softmax, softmax

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "elu", "gelu", "hard_tanh", "hinge",
    "huber", "leaky_relu", "log_sigmoid", "log_softmax", "mean_absolute_error", "mish", "mse", "poisson_nll", "relu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
]
