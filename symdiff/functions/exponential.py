"""Exponentials, logarithms, and what is built of them without overflow or cancellation: σ, softplus, x log y, erf."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.functions.row import ROWS, define

Array = Any
LOG_2 = math.log(2.0)
LOG_10 = math.log(10.0)
TWO_BY_ROOT_PI = 2.0 / math.sqrt(math.pi)
quiet = np.errstate(all="ignore")
every_erf = np.vectorize(math.erf, otypes=[np.float64])
every_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@quiet
def sigmoid(x: Array) -> Array:
    """1/(1 + e⁻ˣ), relatively exact in both tails because e^−|x| is what is computed."""
    decay = np.exp(-np.abs(x))
    return np.where(np.less(x, 0), decay, np.ones_like(decay)) / (1 + decay)


@quiet
def softplus(x: Array) -> Array:
    """log(1 + eˣ) = max(x, 0) + log1p(e^−|x|)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@quiet
def xlogy(x: Array, y: Array) -> Array:
    """x log y, and 0 where x is 0 (NaN where y is NaN)."""
    product = x * np.log(y)
    return np.where(np.equal(x, 0) & ~np.isnan(y), np.zeros_like(product), product)


@quiet
def xlog1py(x: Array, y: Array) -> Array:
    """x log(1 + y), and 0 where x is 0 (NaN where y is NaN)."""
    product = x * np.log1p(y)
    return np.where(np.equal(x, 0) & ~np.isnan(y), np.zeros_like(product), product)


@quiet
def weighted(w: Array, x: Array) -> Array:
    """w x, and 0 where w is 0 (NaN where x is NaN)."""
    product = w * x
    return np.where(np.equal(w, 0) & ~np.isnan(x), np.zeros_like(product), product)


@quiet
def log1mexp(x: Array) -> Array:
    """log(1 − e⁻ˣ), by the one of two formulas that keeps its digits."""
    return np.where(np.greater(x, LOG_2), np.log1p(-np.exp(-x)), np.log(-np.expm1(-x)))


@quiet
def exp_difference(x: Array, m: Array) -> Array:
    """e^(x − m), and 0 where x = −inf, for m = −inf too."""
    return np.exp(x - np.maximum(m, np.finfo(np.result_type(x, m, np.float16)).min))


def at_least_finite(m: Any) -> Any:
    """max(m, the least finite number) of an expression: −inf less that is −inf, and not NaN."""
    return ROWS["maximum"](m, float(np.finfo(m.dtype).min))


@quiet
def sigmoid_difference(x: Array, z: Array) -> Array:
    """σ(x − z), and 0 where x = −inf."""
    value = sigmoid(x - z)
    return np.where(np.equal(x, -np.inf), np.zeros_like(value), value)


@quiet
def relu(x: Array) -> Array:
    """max(x, 0), NaN where x is NaN."""
    return np.maximum(x, 0)


@quiet
def step(x: Array) -> Array:
    """1 where x > 0, else 0; NaN where x is NaN."""
    positive = np.greater(x, 0).astype(np.asarray(x).dtype)
    return np.where(np.isnan(x), x, positive)


def like(x: Array, values: Array) -> Array:
    """The values in the floating dtype of x."""
    dtype = np.asarray(x).dtype
    return values.astype(dtype if dtype.kind == "f" else np.float64)


@quiet
def erf(x: Array) -> Array:
    """The error function."""
    return like(x, every_erf(x))


@quiet
def erfc(x: Array) -> Array:
    """1 − erf x, relatively exact in its tail."""
    return like(x, every_erfc(x))


define(
    "exp", quiet(np.exp), (lambda x, y: y,),
    text="exp({0})", latex=r"\exp\left({0}\right)", traits="increasing positive nonnegative",
    doc="eˣ: ∂ = eˣ.",
)
define(
    "exp2", quiet(np.exp2), (lambda x, y: LOG_2 * y,),
    text="exp2({0})", latex=r"2^{{{0}}}", traits="increasing positive nonnegative",
    doc="2ˣ: ∂ = 2ˣ log 2.",
)
define(
    "expm1", quiet(np.expm1), (lambda x, y: ROWS["exp"](x),),
    text="expm1({0})", latex=r"\operatorname{{expm1}}\left({0}\right)", traits="increasing zero_at_zero",
    doc="eˣ − 1 without cancellation: ∂ = eˣ.",
)
define(
    "log", quiet(np.log), (lambda x, y: 1 / x,),
    text="log({0})", latex=r"\log\left({0}\right)", traits="increasing", domain=(0.2, 3.0),
    doc="The natural logarithm: ∂ = 1/x.",
)
define(
    "log2", quiet(np.log2), (lambda x, y: 1 / (LOG_2 * x),),
    text="log2({0})", latex=r"\log_2\left({0}\right)", traits="increasing", domain=(0.2, 3.0),
    doc="The logarithm to base 2: ∂ = 1/(x log 2).",
)
define(
    "log10", quiet(np.log10), (lambda x, y: 1 / (LOG_10 * x),),
    text="log10({0})", latex=r"\log_{{10}}\left({0}\right)", traits="increasing", domain=(0.2, 3.0),
    doc="The logarithm to base 10: ∂ = 1/(x log 10).",
)
define(
    "log1p", quiet(np.log1p), (lambda x, y: 1 / (1 + x),),
    text="log1p({0})", latex=r"\operatorname{{log1p}}\left({0}\right)", traits="increasing zero_at_zero",
    domain=(-0.8, 3.0),
    doc="log(1 + x) without cancellation: ∂ = 1/(1 + x).",
)
define(
    "sigmoid", sigmoid, (lambda x, y: y * ROWS["sigmoid"](-x),),
    text="σ({0})", latex=r"\sigma\left({0}\right)", traits="increasing positive nonnegative",
    doc="1/(1 + e⁻ˣ): ∂ = σ(x) σ(−x), relatively exact where 1 − σ(x) cancels.",
)
define(
    "softplus", softplus, (lambda x, y: ROWS["sigmoid"](x),),
    text="softplus({0})", latex=r"\operatorname{{softplus}}\left({0}\right)", traits="increasing positive nonnegative",
    expansion=lambda x: ROWS["maximum"](x, 0) + ROWS["log1p"](ROWS["exp"](-ROWS["abs"](x))),
    doc="log(1 + eˣ): ∂ = σ(x).",
)
define(
    "logaddexp", quiet(np.logaddexp),
    (lambda x, z, y: ROWS["sigmoid_difference"](x, z), lambda x, z, y: ROWS["sigmoid_difference"](z, x)),
    text="logaddexp({0}, {1})", latex=r"\operatorname{{logaddexp}}\left({0}, {1}\right)",
    traits="increasing commutative",
    expansion=lambda x, z: ROWS["where"](
        ROWS["equal"](x, z), x + LOG_2, ROWS["maximum"](x, z) + ROWS["log1p"](ROWS["exp"](-ROWS["abs"](x - z)))),
    doc="log(eˣ + eᶻ): ∂x = σ(x − z), which is 0 where both are −inf.",
)
define(
    "sigmoid_difference", sigmoid_difference,
    (lambda x, z, y: y * ROWS["sigmoid_difference"](z, x), lambda x, z, y: -y * ROWS["sigmoid_difference"](z, x)),
    text="σ({0} - {1})", latex=r"\sigma\left({0} - {1}\right)", traits="nonnegative",
    expansion=lambda x, z: ROWS["where"](ROWS["equal"](x, -math.inf), 0, ROWS["sigmoid"](x - z)),
    doc="σ(x − z) = eˣ/(eˣ + eᶻ), and 0 where x = −inf whatever z is: ∂x = σ(x − z) σ(z − x).",
)
define(
    "xlogy", xlogy, (lambda x, z, y: ROWS["log"](z), lambda x, z, y: ROWS["ratio"](x, z)),
    text="{0} log({1})", latex=r"{0} \log\left({1}\right)", infix="product", domain=((-2.0, 2.0), (0.2, 3.0)),
    traits="zero_at_zero",
    expansion=lambda x, z: ROWS["where"](
        ROWS["logical_and"](ROWS["equal"](x, 0), ROWS["logical_not"](ROWS["isnan"](z))), 0, x * ROWS["log"](z)),
    doc="x log z with 0 log 0 = 0: ∂x = log z, ∂z = x/z, which is 0 at 0/0.",
)
define(
    "xlog1py", xlog1py, (lambda x, z, y: ROWS["log1p"](z), lambda x, z, y: ROWS["ratio"](x, 1 + z)),
    text="{0} log1p({1})", latex=r"{0} \operatorname{{log1p}}\left({1}\right)", infix="product",
    domain=((-2.0, 2.0), (-0.8, 3.0)), traits="zero_at_zero",
    expansion=lambda x, z: ROWS["where"](
        ROWS["logical_and"](ROWS["equal"](x, 0), ROWS["logical_not"](ROWS["isnan"](z))), 0, x * ROWS["log1p"](z)),
    doc="x log(1 + z) with 0 log 0 = 0: ∂x = log(1 + z), ∂z = x/(1 + z), which is 0 at 0/0.",
)
define(
    "weighted", weighted, (lambda w, x, y: x, lambda w, x, y: w),
    result="same", text="{0} {1}", latex=r"{0} {1}", infix="product", traits="zero_at_zero",
    expansion=lambda w, x: ROWS["where"](
        ROWS["logical_and"](ROWS["equal"](w, 0), ROWS["logical_not"](ROWS["isnan"](x))), 0, w * x),
    doc="w x, and 0 where the weight w is 0 even if x is infinite: ∂w = x, ∂x = w.",
)
define(
    "log1mexp", log1mexp, (lambda x, y: 1 / ROWS["expm1"](x),),
    text="log(1 - exp(-{0}))", latex=r"\log\left(1 - \exp\left(-{0}\right)\right)", traits="increasing",
    domain=(0.2, 3.0),
    expansion=lambda x: ROWS["where"](ROWS["greater"](x, LOG_2), ROWS["log1p"](-ROWS["exp"](-x)),
                                      ROWS["log"](-ROWS["expm1"](-x))),
    doc="log(1 − e⁻ˣ) without cancellation at either end: ∂ = 1/(eˣ − 1).",
)
define(
    "exp_difference", exp_difference, (lambda x, m, y: y, lambda x, m, y: -y),
    text="exp({0} - {1})", latex=r"\exp\left({0} - {1}\right)", traits="nonnegative",
    expansion=lambda x, m: ROWS["exp"](x - at_least_finite(m)),
    doc="e^(x − m), and 0 where x = −inf, for m = −inf too: ∂x = y, ∂m = −y.",
)
define(
    "relu", relu, (lambda x, y: ROWS["step"](x),),
    result="same", text="relu({0})", latex=r"\operatorname{{relu}}\left({0}\right)", kinks=(0.0,),
    traits="increasing nonnegative zero_at_zero idempotent numeric",
    expansion=lambda x: ROWS["maximum"](x, 0),
    doc="max(x, 0): ∂ = [x > 0], which is 0 at 0.",
)
define(
    "step", step, (None,),
    result="same", text="[{0} > 0]", latex=r"\left[{0} > 0\right]", kinks=(0.0,),
    traits="increasing nonnegative zero_at_zero idempotent numeric",
    expansion=lambda x: ROWS["where"](ROWS["greater"](x, 0), 1, ROWS["where"](ROWS["isnan"](x), x, 0)),
    doc="1 where x > 0, else 0 (NaN where x is): the derivative of relu; ∂ = 0.",
)
define(
    "erf", erf, (lambda x, y: TWO_BY_ROOT_PI * ROWS["exp"](-(x**2)),),
    text="erf({0})", latex=r"\operatorname{{erf}}\left({0}\right)", traits="odd increasing zero_at_zero",
    doc="2/√π ∫₀ˣ e^(−t²) dt: ∂ = 2/√π e^(−x²).",
)
define(
    "erfc", erfc, (lambda x, y: -TWO_BY_ROOT_PI * ROWS["exp"](-(x**2)),),
    text="erfc({0})", latex=r"\operatorname{{erfc}}\left({0}\right)", traits="decreasing positive nonnegative",
    doc="1 − erf x: ∂ = −2/√π e^(−x²).",
)
