"""symdiff: from a formula to its derivatives to kernels at the speed of the hardware.

The functions on expressions bear the names of the Array API, with NumPy's as aliases.  What needs a compiler is loaded
when it is first asked for.
"""

# ruff: noqa: I001, RUF022 - the lists of names are packed, so that the face stays on a few screens

import importlib
from typing import TYPE_CHECKING

from symdiff import linalg, nn, pickling, special  # noqa: F401 - pickling gives expressions their copies and pickles
from symdiff.constants import bool, e, float32, float64, inf, int32, int64, nan, newaxis, pi
from symdiff.derivations import derive_all as derivation
from symdiff.differentiation import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from symdiff.errors import (
    ArgumentMismatch, BackendUnavailable, CacheWarning, CannotLower, DerivativeMismatch, ModelFormatError,
    NotDifferentiable, ShapeMismatch, SymdiffError, TypeMismatch,
)
from symdiff.evaluation import evaluate
from symdiff.expression import Node
from symdiff.operators.arithmetic import (
    add, astype, bitwise_and, bitwise_invert, bitwise_or, bitwise_xor, clip, conjugate, divide, float_power,
    floor_divide, invert, multiply, negative, positive, pow, power, reciprocal, square, stop_gradient, subtract,
    true_divide, where,
)
from symdiff.operators.contraction import dot, einsum, inner, matmul, outer, tensordot, vecdot
from symdiff.operators.creation import (
    arange, asarray, constant, eye, full, full_like, identity, linspace, ones, ones_like, symbol, symbols, zeros,
    zeros_like,
)
from symdiff.operators.elementwise import (
    abs, absolute, acos, acosh, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, around, asin, asinh,
    atan, atan2, atanh, cbrt, ceil, cos, cosh, equal, erf, erfc, exp, exp2, expit, expm1, fabs, floor, fmax, fmin,
    greater, greater_equal, hypot, isfinite, isinf, isnan, less, less_equal, log, log10, log1p, log2, logaddexp,
    logical_and, logical_not, logical_or, logical_xor, maximum, minimum, mod, not_equal, relu, remainder, rint,
    round, safe_sqrt, sigmoid, sign, sin, sinh, softplus, sqrt, tan, tanh, trunc, xlogy,
)
from symdiff.operators.loops import fori, scan
from symdiff.operators.matrices import diag, diagonal, trace, tril, triu
from symdiff.operators.methods import from_numpy
from symdiff.operators.rearranging import (
    column_stack, diff, flip, fliplr, flipud, hstack, ndim, repeat, roll, shape, size, tile, unstack, vstack,
)
from symdiff.operators.reductions import (
    all, amax, amin, any, argmax, argmin, log_softmax, logsumexp, max, mean, min, norm, prod, softmax, std, sum,
    var, vector_norm,
)
from symdiff.operators.shaping import (
    broadcast_arrays, broadcast_to, concat, concatenate, expand_dims, matrix_transpose, moveaxis, pad, permute_dims,
    ravel, reshape, squeeze, stack, swapaxes, transpose,
)
from symdiff.printing import formula, latex
from symdiff.simplification import simplify
from symdiff.sizes import Dim, dim, dims
from symdiff.substitution import substitute

if TYPE_CHECKING:
    from codegen.compiler import compile
    from codegen.runtime.kernel import Kernel
    from symdiff.training.minimization import minimize
    from symdiff.training.scipy_bridge import scipy_objective
    from symdiff.verification import check_derivatives

LAZY = {
    "compile": "codegen.compiler",
    "Kernel": "codegen.runtime.kernel",
    "check_derivatives": "symdiff.verification",
    "minimize": "symdiff.training.minimization",
    "scipy_objective": "symdiff.training.scipy_bridge",
}
__all__ = [
    "ArgumentMismatch", "BackendUnavailable", "CacheWarning", "CannotLower", "DerivativeMismatch", "Dim", "Kernel",
    "ModelFormatError", "Node", "NotDifferentiable", "ShapeMismatch", "SymdiffError", "TypeMismatch", "abs",
    "absolute", "acos", "acosh", "add", "all", "amax", "amin", "any", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "around", "asarray", "asin", "asinh", "astype",
    "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert", "bitwise_or", "bitwise_xor", "bool",
    "broadcast_arrays", "broadcast_to", "cbrt", "ceil", "check_derivatives", "clip", "column_stack", "compile",
    "concat", "concatenate", "conjugate", "constant", "cos", "cosh", "derivation", "diag", "diagonal", "diff",
    "dim", "dims", "divide", "dot", "e", "einsum", "equal", "erf", "erfc", "evaluate", "exp", "exp2", "expand_dims",
    "expit", "expm1", "eye", "fabs", "flip", "fliplr", "flipud", "float32", "float64", "float_power", "floor", "fori",
    "floor_divide", "fmax", "fmin", "formula", "from_numpy", "full", "full_like", "grad", "greater",
    "greater_equal", "hessian", "hstack", "hvp", "hypot", "identity", "inf", "inner", "int32", "int64", "invert",
    "isfinite", "isinf", "isnan", "jacobian", "jvp", "latex", "less", "less_equal", "linalg", "linspace", "log",
    "log10", "log1p", "log2", "log_softmax", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor",
    "logsumexp", "matmul", "matrix_transpose", "max", "maximum", "mean", "min", "minimize", "minimum", "mod",
    "moveaxis", "multiply", "nan", "ndim", "negative", "newaxis", "nn", "norm", "not_equal", "ones", "ones_like",
    "outer", "pad", "permute_dims", "pi", "positive", "pow", "power", "prod", "ravel", "reciprocal", "relu",
    "remainder", "repeat", "reshape", "rint", "roll", "round", "safe_sqrt", "scan", "scipy_objective", "shape", "sigmoid",
    "sign", "simplify", "sin", "sinh", "size", "softmax", "softplus", "special", "sqrt", "square", "squeeze",
    "stack", "std", "stop_gradient", "substitute", "subtract", "sum", "swapaxes", "symbol", "symbols", "tan",
    "tanh", "tensordot", "tile", "trace", "transpose", "tril", "triu", "true_divide", "trunc", "unstack",
    "value_and_grad", "var", "vecdot", "vector_norm", "vjp", "vstack", "where", "xlogy", "zeros", "zeros_like",
]


def __getattr__(name: str) -> object:
    """What needs a compiler, loaded when it is first asked for."""
    if name in LAZY:
        return getattr(importlib.import_module(LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Every public name."""
    return sorted(__all__)
