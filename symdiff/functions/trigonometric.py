"""Circular and hyperbolic functions and their inverses.

The partials of the inverse functions hold 1 − x² as a function of its own, so that they keep their digits near ±1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.functions.row import ROWS, Expression, define

Array = Any
quiet = np.errstate(all="ignore")


def chord(x: Expression) -> Expression:
    """√(1 − x²)."""
    return ROWS["sqrt"](ROWS["one_less_square"](x))


@quiet
def sech_squared(x: Array) -> Array:
    """1/cosh² x = 4t/(1 + t)² with t = e^−2|x|, relatively exact in both tails."""
    decay = np.exp(-2 * np.abs(x))
    return 4 * decay / (1 + decay) ** 2


def one_less_square(x: Array) -> Array:
    """1 − x² as (1 − x) (1 + x)."""
    return (1 - x) * (1 + x)


define(
    "one_less_square", quiet(one_less_square), (lambda x, y: -2 * x,),
    result="same", text="(1 - {0}²)", latex=r"\left(1 - {0}^2\right)", traits="even",
    expansion=lambda x: (1 - x) * (1 + x),
    doc="1 − x² as (1 − x) (1 + x), which keeps its digits near ±1, while its partial −2 x keeps them near 0.",
)
define(
    "sin", quiet(np.sin), (lambda x, y: ROWS["cos"](x),),
    text="sin({0})", latex=r"\sin\left({0}\right)", traits="odd zero_at_zero",
    doc="sine: ∂ = cos x.",
)
define(
    "cos", quiet(np.cos), (lambda x, y: -ROWS["sin"](x),),
    text="cos({0})", latex=r"\cos\left({0}\right)", traits="even",
    doc="cosine: ∂ = −sin x.",
)
define(
    "tan", quiet(np.tan), (lambda x, y: 1 + y**2,),
    text="tan({0})", latex=r"\tan\left({0}\right)", traits="odd zero_at_zero", domain=(-1.2, 1.2),
    doc="tangent: ∂ = 1 + tan² x.",
)
define(
    "asin", quiet(np.arcsin), (lambda x, y: 1 / chord(x),),
    text="asin({0})", latex=r"\arcsin\left({0}\right)", traits="odd increasing zero_at_zero", domain=(-0.9, 0.9),
    kinks=(-1.0, 1.0),
    doc="The inverse of sine, in [−π/2, π/2]: ∂ = 1/√(1 − x²).",
)
define(
    "acos", quiet(np.arccos), (lambda x, y: -1 / chord(x),),
    text="acos({0})", latex=r"\arccos\left({0}\right)", traits="decreasing nonnegative", domain=(-0.9, 0.9),
    kinks=(-1.0, 1.0),
    doc="The inverse of cosine, in [0, π]: ∂ = −1/√(1 − x²).",
)
define(
    "atan", quiet(np.arctan), (lambda x, y: 1 / (1 + x**2),),
    text="atan({0})", latex=r"\arctan\left({0}\right)", traits="odd increasing zero_at_zero",
    doc="The inverse of tangent, in [−π/2, π/2]: ∂ = 1/(1 + x²).",
)
define(
    "sinh", quiet(np.sinh), (lambda x, y: ROWS["cosh"](x),),
    text="sinh({0})", latex=r"\sinh\left({0}\right)", traits="odd increasing zero_at_zero",
    doc="(eˣ − e⁻ˣ)/2: ∂ = cosh x.",
)
define(
    "cosh", quiet(np.cosh), (lambda x, y: ROWS["sinh"](x),),
    text="cosh({0})", latex=r"\cosh\left({0}\right)", traits="even positive nonnegative",
    doc="(eˣ + e⁻ˣ)/2: ∂ = sinh x.",
)
define(
    "tanh", quiet(np.tanh), (lambda x, y: ROWS["sech_squared"](x),),
    text="tanh({0})", latex=r"\tanh\left({0}\right)", traits="odd increasing zero_at_zero",
    doc="sinh x / cosh x: ∂ = 1 − tanh² x, computed without that difference.",
)
define(
    "sech_squared", sech_squared, (lambda x, y: -2 * ROWS["tanh"](x) * y,),
    text="sech({0})²", latex=r"\operatorname{{sech}}^2\left({0}\right)", infix="power", traits="even positive nonnegative",
    doc="1 − tanh² x = 1/cosh² x, which formulas for people write as the former: ∂ = −2 tanh(x) (1 − tanh² x).",
)
define(
    "asinh", quiet(np.arcsinh), (lambda x, y: 1 / ROWS["sqrt"](1 + x**2),),
    text="asinh({0})", latex=r"\operatorname{{arsinh}}\left({0}\right)", traits="odd increasing zero_at_zero",
    doc="log(x + √(x² + 1)): ∂ = 1/√(1 + x²).",
)
define(
    "acosh", quiet(np.arccosh), (lambda x, y: 1 / (ROWS["sqrt"](x - 1) * ROWS["sqrt"](x + 1)),),
    text="acosh({0})", latex=r"\operatorname{{arcosh}}\left({0}\right)", traits="increasing nonnegative",
    domain=(1.1, 4.0), kinks=(1.0,),
    doc="log(x + √(x² − 1)) for x ≥ 1: ∂ = 1/(√(x − 1) √(x + 1)).",
)
define(
    "atanh", quiet(np.arctanh), (lambda x, y: 1 / ROWS["one_less_square"](x),),
    text="atanh({0})", latex=r"\operatorname{{artanh}}\left({0}\right)", traits="odd increasing zero_at_zero",
    domain=(-0.9, 0.9),
    doc="½ log((1 + x)/(1 − x)): ∂ = 1/(1 − x²).",
)
