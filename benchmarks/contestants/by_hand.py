"""The hand-written kernels."""

from benchmarks.handwritten.convolutions import cnn_sgd
from benchmarks.handwritten.latency import five_products, sum_of_squares
from benchmarks.handwritten.mixtures import gmm
from benchmarks.handwritten.networks import mlp_adam, xor, xor_training
from benchmarks.handwritten.regressions import linear, logistic, logistic_hessian, logistic_hvp, softmax_hessian
from benchmarks.handwritten.sequences import lstm
from benchmarks.handwritten.transformers import transformer

__all__ = [
    "cnn_sgd", "five_products", "gmm", "linear", "logistic", "logistic_hessian", "logistic_hvp", "lstm", "mlp_adam",
    "softmax_hessian", "sum_of_squares", "transformer", "xor", "xor_training",
]
