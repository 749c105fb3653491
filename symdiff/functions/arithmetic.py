"""Powers and roots, absolute value and sign, rounding, remainders, extremes of two numbers, lengths and ratios.

Negation, square and reciprocal are no rows: the normal form writes −x as a coefficient and x², 1/x as powers.
Where a derivative is zero almost everywhere the partial is None; the values at kinks are those of the design's table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.functions.row import BUILDERS, ROWS, Expression, define

Array = Any
quiet = np.errstate(all="ignore")


def power_by_base(x: Expression, p: Expression, y: Expression) -> Expression:
    """∂xᵖ/∂x = p xᵖ⁻¹; at x = 0 it is 0 for p = 0 too, which only an exponent that is no number can meet there."""
    value = BUILDERS["number_of"](p)
    if value is not None:
        return x * 2 if value == 2 else ROWS["power"](x, value - 1) * value
    return ROWS["weighted"](p, ROWS["power"](x, p - 1))


def larger(x: Expression, z: Expression) -> Expression:
    """1 where x > z, ½ where they are equal, 0 where x < z."""
    number = BUILDERS["number"]
    return number(ROWS["greater"](x, z), x) + number(ROWS["equal"](x, z), x) / 2


@quiet
def direction(x: Array, y: Array) -> Array:
    """x/√(x² + y²), and 0 at the origin."""
    length = np.hypot(x, y)
    return np.where(length == 0, length, x / length)


@quiet
def ratio(x: Array, y: Array) -> Array:
    """x/y, and 0 where both are 0."""
    both_zero = (x == 0) & (y == 0)
    return np.where(both_zero, x, np.divide(x, y))


@quiet
def softsign(x: Array) -> Array:
    """x/(1 + |x|)."""
    return np.divide(x, 1 + np.abs(x))


def shift(x: Array) -> Array:
    """x, and 0 where it is not finite."""
    return np.where(np.isfinite(x), x, np.zeros_like(x))


define(
    "power", quiet(np.power),
    (power_by_base, lambda x, p, y: ROWS["xlogy"](y, x)),
    result="same", text="{0}^{1}", latex="{{{0}}}^{{{1}}}", infix="power", domain=((0.2, 3.0), (-2.0, 3.0)),
    doc="xᵖ: ∂x = p xᵖ⁻¹, ∂p = xᵖ log x, which is 0 at x = 0 for p > 0.",
)
define(
    "sqrt", quiet(np.sqrt), (lambda x, y: 1 / (2 * y),),
    text="sqrt({0})", latex=r"\sqrt{{{0}}}", traits="increasing nonnegative zero_at_zero", domain=(0.2, 3.0), kinks=(0.0,),
    doc="√x: ∂ = 1/(2√x), which is inf at 0.",
)
define(
    "cbrt", quiet(np.cbrt), (lambda x, y: 1 / (3 * y**2),),
    text="cbrt({0})", latex=r"\sqrt[3]{{{0}}}", traits="odd increasing zero_at_zero", domain=(0.2, 3.0), kinks=(0.0,),
    doc="∛x: ∂ = 1/(3 ∛x²), which is inf at 0.",
)
define(
    "abs", quiet(np.abs), (lambda x, y: ROWS["sign"](x),),
    result="same", text="|{0}|", latex=r"\left|{0}\right|", kinks=(0.0,),
    traits="even nonnegative zero_at_zero idempotent",
    doc="|x|: ∂ = sign x, which is 0 at 0.",
)
define(
    "sign", quiet(np.sign), (None,),
    result="same", text="sign({0})", latex=r"\operatorname{{sign}}\left({0}\right)", kinks=(0.0,),
    traits="odd increasing zero_at_zero idempotent numeric",
    doc="−1, 0 or 1 by the sign of x: ∂ = 0.",
)
define(
    "minimum", quiet(np.minimum), (lambda x, z, y: larger(z, x), lambda x, z, y: larger(x, z)),
    result="same", text="min({0}, {1})", latex=r"\min\left({0}, {1}\right)",
    traits="increasing commutative zero_at_zero",
    doc="The smaller of x and z, NaN if one is: ∂x = [x < z] + ½ [x = z].",
)
define(
    "maximum", quiet(np.maximum), (lambda x, z, y: larger(x, z), lambda x, z, y: larger(z, x)),
    result="same", text="max({0}, {1})", latex=r"\max\left({0}, {1}\right)",
    traits="increasing commutative zero_at_zero",
    doc="The larger of x and z, NaN if one is: ∂x = [x > z] + ½ [x = z].",
)
define(
    "remainder", quiet(np.remainder), (lambda x, z, y: 1, lambda x, z, y: -ROWS["floor"](x / z)),
    result="same", text="mod({0}, {1})", latex=r"\operatorname{{mod}}\left({0}, {1}\right)",
    domain=((5.2, 5.8), (2.0, 2.5)), traits="numeric",
    doc="x − z ⌊x/z⌋, with the sign of z: ∂x = 1, ∂z = −⌊x/z⌋.",
)
define(
    "floor", quiet(np.floor), (None,),
    result="same", text="⌊{0}⌋", latex=r"\left\lfloor{0}\right\rfloor", kinks=(-2.0, -1.0, 0.0, 1.0, 2.0),
    traits="increasing zero_at_zero idempotent",
    doc="The largest integer not above x: ∂ = 0.",
)
define(
    "ceil", quiet(np.ceil), (None,),
    result="same", text="⌈{0}⌉", latex=r"\left\lceil{0}\right\rceil", kinks=(-2.0, -1.0, 0.0, 1.0, 2.0),
    traits="increasing zero_at_zero idempotent",
    doc="The least integer not below x: ∂ = 0.",
)
define(
    "trunc", quiet(np.trunc), (None,),
    result="same", text="trunc({0})", latex=r"\operatorname{{trunc}}\left({0}\right)", kinks=(-2.0, -1.0, 1.0, 2.0),
    traits="odd increasing zero_at_zero idempotent",
    doc="x without its fraction: ∂ = 0.",
)
define(
    "round", quiet(np.round), (None,),
    result="same", text="round({0})", latex=r"\operatorname{{round}}\left({0}\right)", kinks=(-1.5, -0.5, 0.5, 1.5),
    traits="odd increasing zero_at_zero idempotent numeric",
    doc="The nearest integer, the even one where two are: ∂ = 0.",
)
define(
    "hypot", quiet(np.hypot), (lambda x, z, y: ROWS["direction"](x, z), lambda x, z, y: ROWS["direction"](z, x)),
    text="hypot({0}, {1})", latex=r"\sqrt{{\left({0}\right)^2 + \left({1}\right)^2}}",
    traits="commutative nonnegative zero_at_zero",
    doc="√(x² + z²) without overflow: ∂x = x/√(x² + z²), which is 0 at the origin.",
)
define(
    "direction", direction,
    (lambda x, z, y: ROWS["direction"](z, x) ** 2 / ROWS["hypot"](x, z),
     lambda x, z, y: -y * ROWS["direction"](z, x) / ROWS["hypot"](x, z)),
    text="{0} / hypot({0}, {1})", latex=r"\frac{{{0}}}{{\sqrt{{\left({0}\right)^2 + \left({1}\right)^2}}}}",
    infix="product", traits="zero_at_zero",
    expansion=lambda x, z: ROWS["ratio"](x, ROWS["hypot"](x, z)),
    doc="x/√(x² + z²), 0 at the origin: ∂x = (z/r)²/r, not 1/r − x²/r³, which cancels; ∂z = −(x/r)(z/r)/r.",
)
define(
    "atan2", quiet(np.arctan2),
    (lambda x, z, y: ROWS["direction"](z, x) / ROWS["hypot"](x, z),
     lambda x, z, y: -ROWS["direction"](x, z) / ROWS["hypot"](x, z)),
    text="atan2({0}, {1})", latex=r"\operatorname{{atan2}}\left({0}, {1}\right)", domain=((-2.0, 2.0), (0.2, 2.0)),
    doc="The angle of the point (z, x), in [−π, π]: ∂x = z/(x² + z²), ∂z = −x/(x² + z²).",
)
define(
    "ratio", ratio, (lambda x, z, y: 1 / z, lambda x, z, y: -ROWS["ratio"](y, z)),
    text="{0} / {1}", latex=r"\frac{{{0}}}{{{1}}}", infix="product", domain=((-2.0, 2.0), (0.3, 2.0)),
    traits="zero_at_zero",
    expansion=lambda x, z: ROWS["where"](
        ROWS["logical_and"](ROWS["equal"](x, 0), ROWS["equal"](z, 0)), 0, x / z),
    doc="x/z, and 0 where both are 0; the derivative of x log z: ∂x = 1/z, ∂z = −x/z².",
)
define(
    "softsign", softsign, (lambda x, y: 1 / (1 + ROWS["abs"](x)) ** 2,),
    text="{0} / (1 + |{0}|)", latex=r"\frac{{{0}}}{{1 + \left|{0}\right|}}", infix="product", traits="odd increasing zero_at_zero",
    expansion=lambda x: x / (1 + ROWS["abs"](x)),
    doc="x/(1 + |x|): ∂ = 1/(1 + |x|)², not 1/(1 + |x|) − |x|/(1 + |x|)², which cancels.",
)
define(
    "safe_sqrt", quiet(np.sqrt), (lambda x, y: ROWS["guard"](y > 0) / (2 * y),),
    text="sqrt({0})", latex=r"\sqrt{{{0}}}", traits="increasing nonnegative zero_at_zero", domain=(0.2, 3.0), kinks=(0.0,),
    expansion=lambda x: ROWS["sqrt"](x),
    doc="√x with the derivative 0 at 0, so that the gradient of a norm at 0 is 0: ∂ = 1/(2 √x).",
)
define(
    "floor_divide", quiet(np.floor_divide), (None, None),
    result="same", text="⌊{0} / {1}⌋", latex=r"\left\lfloor \frac{{{0}}}{{{1}}}\right\rfloor", domain=((5.2, 5.8), (2.0, 2.5)),
    traits="numeric",
    doc="⌊x / z⌋ of integers: ∂ = 0.",
)
define(
    "stop_gradient", lambda x: x, (None,),
    result="same", text="stop_gradient({0})", latex=r"\operatorname{{stop}}\left({0}\right)", traits="odd increasing",
    expansion=lambda x: x,
    doc="x, with the derivative declared zero.",
)
define(
    "shift", shift, (None,),
    result="same", text="shift({0})", latex=r"\operatorname{{shift}}\left({0}\right)", traits="odd",
    expansion=lambda x: ROWS["where"](ROWS["isfinite"](x), x, 0),
    doc="x, or 0 where x is not finite, in formulas of which the value is the same whatever it is: ∂ = 0, and people read 0.",
)
