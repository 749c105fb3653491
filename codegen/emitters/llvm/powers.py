"""Powers with any exponent: xʸ = e^(y log x), the logarithm to many more bits than the result has.

In double precision the logarithm is a sum of two numbers, log(1 + f) = u + u³/12 + u⁵ T(u²) with u = 2f/(2 + f), the sum and
products of pairs as T. J. Dekker, "A floating-point technique for extending the available precision" (1971), has them, with
one fma for the error of a product.  In single precision all of it is done in double.  What holds at zeros, infinities and
numbers below zero is what ISO C, annex F, says of `pow`.  The polynomials are minimax fits, their leading coefficients rounded
one after another.
"""

from __future__ import annotations

import math

from codegen.emitters.llvm.instructions import Function, Ssa, number_of
from codegen.emitters.llvm.logarithms import parts
from codegen.emitters.llvm.mathematics import (
    FORMATS,
    clamped,
    constant,
    fast_sum,
    fma,
    integer,
    log_parts,
    nearest,
    polynomial,
    reduced,
    scaled,
)

# T(z), and its like for 2/log 2 · atanh(u/2)/u in single precision, on z ≤ 0.1178.
SERIES = (0.0125, 0.002232142857142919, 0.0004340277777667233, 8.877840984040236e-05, 1.878002315783137e-05,
          4.069459301216231e-06, 8.931158859956654e-07, 2.2359945350833422e-07)
SHORT_SERIES = (1.4426950408949935, 0.12022458418144356, 0.01803386143765206, 0.003216201298732114, 0.0006654532061756027)
# 2ʳ on |r| ≤ ½, to 29 bits.
SHORT_EXP2 = (1.0, 0.6931472066087988, 0.240226512621352, 0.05550327457148469, 0.009618013613625078, 0.00134003355289895,
              0.00015473740970841694)
# 1/12 in two parts.
TWELFTH = (1 / 12, 4.625929269271485e-18)
# |log x| is 2⁻⁵³ or more, or 0: an exponent beyond this does what an infinite one does.
LARGEST_EXPONENT = 2.0**65


def precise_log(w: Function, x: Ssa) -> tuple[Ssa, Ssa]:
    """log x as a sum of two, for finite x > 0 in double precision, to 2⁻⁶⁵ of its size."""
    g, k = parts(w, x)
    one, half = constant(x, 1.0), constant(x, 0.5)
    # u = g/(1 + g/2) with one division; what it lacks is the remainder over the divisor.
    divisor = fma(w, g, half, one)
    inverse = w.binary("fdiv", one, divisor)
    u = w.binary("fmul", g, inverse)
    minus = w.unary("fneg", u)
    rest = fma(w, minus, divisor, g)
    rest = fma(w, minus, fma(w, g, half, w.binary("fsub", one, divisor)), rest)
    u_low = w.binary("fmul", rest, inverse)
    z = w.binary("fmul", u, u)
    z_low = fma(w, w.binary("fadd", u, u), u_low, fma(w, u, u, w.unary("fneg", z)))
    twelfth = constant(x, TWELFTH[0])
    p = w.binary("fmul", z, twelfth)
    p_low = fma(w, z, constant(x, TWELFTH[1]), fma(w, z, twelfth, w.unary("fneg", p)))
    # The slope of z/12 + z²/80 takes the low part of z along.
    p_low = fma(w, z_low, fma(w, z, constant(x, 2 * SERIES[0]), twelfth), p_low)
    p_low = fma(w, w.binary("fmul", z, z), polynomial(w, z, SERIES), p_low)
    cubic = w.binary("fmul", u, p)
    low = w.binary("fadd", u_low, fma(w, u, p, w.unary("fneg", cubic)))
    low = fma(w, u, p_low, fma(w, u_low, p, low))
    high, lost = fast_sum(w, u, cubic)
    low = w.binary("fadd", low, lost)
    f = FORMATS[x.kind]
    high, lost = fast_sum(w, w.binary("fmul", k, constant(x, f.log2_high)), high)
    return fast_sum(w, high, fma(w, k, constant(x, f.log2_low), w.binary("fadd", low, lost)))


def with_ends(w: Function, x: Ssa, logarithm: Ssa) -> Ssa:
    """The logarithm of a finite x > 0, or −∞ at 0, ∞ at ∞; in the type of the logarithm."""
    ends = {end: w.compare("fcmp oeq", x, constant(x, end)) for end in (0.0, math.inf)}
    logarithm = w.select(ends[0.0], constant(logarithm, -math.inf), logarithm)
    return w.select(ends[math.inf], constant(logarithm, math.inf), logarithm)


def double_power(w: Function, x: Ssa, y: Ssa, ends: bool) -> Ssa:
    """xʸ in double precision for x > 0 that is finite; where `ends` for 0 and infinity too, but for y = 0."""
    high, low = precise_log(w, x)
    high = with_ends(w, x, high) if ends else high
    product = w.binary("fmul", high, y)
    lost = fma(w, low, y, fma(w, high, y, w.unary("fneg", product)))
    # Where the exponent is out of range the low part is as large as you like, or NaN.
    exponent = clamped(w, product, *FORMATS[x.kind].exp_range)
    return exp_of_sum(w, exponent, w.select(w.compare("fcmp oeq", product, exponent), lost, constant(x, 0.0)))


def exp_of_sum(w: Function, high: Ssa, low: Ssa) -> Ssa:
    """e^(high + low) in double precision, high in `exp_range` and low in its last places, with little but one rounding."""
    exact, lost, bits = reduced(w, high)
    low = w.binary("fadd", lost, low)
    r = w.binary("fadd", exact, low)
    first, lost = fast_sum(w, constant(high, 1.0), exact)
    rest = fma(w, polynomial(w, r, FORMATS[high.kind].exp), w.binary("fmul", r, r), w.binary("fadd", lost, low))
    return scaled(w, w.binary("fadd", first, rest), bits)


def float_power(w: Function, x: Ssa, y: Ssa, ends: bool) -> Ssa:
    """xʸ in single precision, through double, for such x."""
    wide = w.convert("fpext", x, "double")
    given = number_of(y)
    exponent = w.convert("fpext", y, "double") if given is None else constant(wide, given)
    f = FORMATS["double"]
    g, k = log_parts(w, wide)
    u = w.binary("fdiv", g, fma(w, g, constant(wide, 0.5), constant(wide, 1.0)))
    log2 = fma(w, u, polynomial(w, w.binary("fmul", u, u), SHORT_SERIES), k)
    log2 = with_ends(w, x, log2) if ends else log2
    product = clamped(w, w.binary("fmul", exponent, log2), -160.0, 140.0)
    k, whole = nearest(w, product, 1.0)
    grown = polynomial(w, w.binary("fsub", product, k), SHORT_EXP2)
    bits = w.binary("add", w.convert("bitcast", grown, f.integer), w.binary("shl", whole, integer(grown, f.mantissa)))
    return w.convert("fptrunc", w.convert("bitcast", bits, "double"), "float")


POSITIVE_POWERS = {"double": double_power, "float": float_power}


def parity(w: Function, y: Ssa) -> tuple[Ssa, Ssa]:
    """(whether y is an integer, whether it is an odd one); infinities are even."""
    half = w.binary("fmul", y, constant(y, 0.5))
    whole = w.compare("fcmp oeq", w.intrinsic("trunc", y), y)
    return whole, w.logic("and", whole, w.compare("fcmp one", w.intrinsic("trunc", half), half))


def below_zero(w: Function, x: Ssa) -> Ssa:
    """Whether x is less than 0 and finite."""
    return w.logic("and", w.compare("fcmp olt", x, constant(x, 0.0)), w.compare("fcmp ogt", x, constant(x, -math.inf)))


def power(w: Function, x: Ssa, y: Ssa) -> Ssa:
    """xʸ, as C's `pow`."""
    given = number_of(y)
    if given is not None and 0 < abs(given) <= LARGEST_EXPONENT:
        return fixed_power(w, x, y, given)
    bounded = clamped(w, y, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    value = POSITIVE_POWERS[x.kind](w, w.intrinsic("fabs", x), bounded, ends=True)
    whole, odd = parity(w, y)
    one, nan = constant(x, 1.0), constant(x, math.nan)
    value = w.select(odd, w.intrinsic("copysign", value, x), value)
    value = w.select(w.logic("and", below_zero(w, x), w.negation(whole)), nan, value)
    value = w.select(w.compare("fcmp uno", x, y), nan, value)
    certain = w.logic("or", w.compare("fcmp oeq", x, one), w.compare("fcmp oeq", y, constant(x, 0.0)))
    return w.select(certain, one, value)


def fixed_power(w: Function, x: Ssa, y: Ssa, exponent: float) -> Ssa:
    """xʸ for a literal y: all that is no finite positive number is put right at once, 0, ∞ and NaN by x itself or 1/x."""
    size = w.intrinsic("fabs", x)
    value = POSITIVE_POWERS[x.kind](w, size, y, ends=False)
    whole = exponent == math.floor(exponent)
    f = FORMATS[x.kind]
    infinite = (2 * f.bias + 1) << f.mantissa
    bits = w.convert("bitcast", size, f.integer)
    # The bits of ∞ less those of 0, ∞ and NaN are those of ∞, 0 and NaN.
    end = size if exponent > 0 else w.convert("bitcast", w.binary("sub", integer(x, infinite), bits), x.kind)
    if not whole:
        end = w.select(below_zero(w, x), constant(x, math.nan), end)
        bits = w.convert("bitcast", x, f.integer)
    outside = w.compare("icmp uge", w.binary("sub", bits, integer(x, 1)), integer(x, infinite - 1))
    value = w.select(outside, end, value)
    return w.intrinsic("copysign", value, x) if exponent % 2 == 1 else value
