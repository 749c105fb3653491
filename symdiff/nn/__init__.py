"""Neural networks in formulas: activations, losses, convolution, pooling, attention (`sd.nn`)."""

from symdiff.nn.activations import elu, gelu, hard_tanh, leaky_relu, log_sigmoid, mish, silu, softsign
from symdiff.nn.attention import layer_norm, scaled_dot_product_attention
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
from symdiff.nn.windows import avg_pool2d, conv2d, max_pool2d
from symdiff.operators.elementwise import relu, sigmoid, softplus, tanh
from symdiff.operators.reductions import log_softmax, softmax

__all__ = [
    "avg_pool2d", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv2d", "cross_entropy", "elu", "gelu",
    "hard_tanh", "hinge", "huber", "layer_norm", "leaky_relu", "log_sigmoid", "log_softmax", "max_pool2d",
    "mean_absolute_error", "mish", "mse", "poisson_nll", "relu", "scaled_dot_product_attention", "sigmoid", "silu",
    "softmax", "softplus", "softsign", "tanh",
]
