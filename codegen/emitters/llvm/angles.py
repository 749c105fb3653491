"""Sine, cosine, tangent and their inverses as straight lines of instructions.

The polynomials of sine and cosine are those of fdlibm (Sun Microsystems, 1993: k_sin.c, k_cos.c) and its single precision
version.  atan t = t + t³ A(t²) on |t| ≤ tan π/8, asin s = s + s³ S(s²) on |s| ≤ ½: minimax fits of our own, their leading
coefficients rounded one after another.
"""

from __future__ import annotations

import math

from codegen.emitters.llvm import angle_tables, avx512
from codegen.emitters.llvm.instructions import Function, Ssa, literal
from codegen.emitters.llvm.mathematics import FORMATS, constant, fast_sum, fma, integer, polynomial, signed, turned_back

ATAN = {
    "double": (-0.333333333333332, 0.19999999999953877, -0.14285714280230213, 0.11111110785280766, -0.09090897812702947,
               0.07692061228180025, -0.06663115920425204, 0.05847978178433221, -0.05039716683566915, 0.03807533376574646,
               -0.017919355016838143),
    "float": (-0.33333316445350647, 0.1999853253364563, -0.14244519174098969, 0.10600338876247406, -0.06093455106019974),
}
ASIN = {
    "double": (0.16666666666665383, 0.07500000000342738, 0.04464285682375321, 0.030381959319329487, 0.02237175383757405,
               0.017359765844783704, 0.013884655910396443, 0.01217286710295856, 0.006512778569465378, 0.019568277366163324,
               -0.01628472031092869, 0.03195222365425148),
    "float": (0.16666753590106964, 0.07495252043008804, 0.045476220548152924, 0.02415095642209053, 0.042213015258312225),
}
# π/2 in two parts; halves and doubles of them are parts of π/4 and π.
HALF_PI = {"double": (1.5707963267948966, 6.123233995736766e-17), "float": (1.5707963705062866, -4.371138828673793e-08)}
EIGHTH_TURN = math.sqrt(2.0) - 1.0


def quarter_turns(w: Function, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """(sin r, cos r, k) with x = k π/2 + r for |x| up to `largest_angle`.

    What rounding takes from r, and from 1 − r²/2, is put to the small terms.
    """
    f = FORMATS[x.kind]
    r, low, whole = turned_back(w, x, 1)
    z = w.binary("fmul", r, r)
    one, half = constant(x, 1.0), w.binary("fmul", z, constant(x, 0.5))
    flat, lost = fast_sum(w, one, w.unary("fneg", half))
    bent = fma(w, w.unary("fneg", r), low, lost)
    even = w.binary("fadd", flat, fma(w, w.binary("fmul", z, z), polynomial(w, z, f.cos), bent))
    odd = w.binary("fadd", r, fma(w, w.binary("fmul", polynomial(w, z, f.sin), z), r, w.binary("fmul", flat, low)))
    return odd, even, whole


def is_odd(w: Function, whole: Ssa) -> Ssa:
    """Whether an integer is odd."""
    one = literal(1, whole.kind, whole.lanes)
    return w.compare("icmp eq", w.binary("and", whole, one), one)


def sine(w: Function, x: Ssa, quarter: int) -> Ssa:
    """sin(x + quarter · π/2)."""
    own = angle_tables.sine if avx512.fills_register(w, x) else sine_by_quarters
    value = own(w, x, quarter)
    # −0 stays −0.
    return w.select(w.compare("fcmp oeq", x, constant(x, 0.0)), x, value) if quarter == 0 else value


def sine_by_quarters(w: Function, x: Ssa, quarter: int) -> Ssa:
    """sin(x + quarter · π/2), but for −0."""
    odd, even, whole = quarter_turns(w, x)
    turn = w.binary("add", whole, integer(x, quarter))
    value = w.select(is_odd(w, turn), even, odd)
    half = w.compare("icmp ne", w.binary("and", turn, integer(x, 2)), integer(x, 0))
    return w.select(half, w.unary("fneg", value), value)


def sin(w: Function, x: Ssa) -> Ssa:
    """sin x."""
    return sine(w, x, 0)


def cos(w: Function, x: Ssa) -> Ssa:
    """cos x."""
    return sine(w, x, 1)


def tan(w: Function, x: Ssa) -> Ssa:
    """tan x: sin r/cos r, after an odd number of quarter turns −cos r/sin r."""
    odd, even, whole = quarter_turns(w, x)
    turned = is_odd(w, whole)
    value = w.binary("fdiv", w.select(turned, w.unary("fneg", even), odd), w.select(turned, odd, even))
    return w.select(w.compare("fcmp oeq", x, constant(x, 0.0)), x, value)


def small_asin(w: Function, x: Ssa, size: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """(s, asin s − s, whether |x| > ½): s is √(½ (1 − |x|)) there, else `size`."""
    half = constant(x, 0.5)
    large = w.compare("fcmp ogt", w.intrinsic("fabs", x), half)
    folded = fma(w, w.intrinsic("fabs", x), constant(x, -0.5), half)
    z = w.select(large, folded, w.binary("fmul", x, x))
    s = w.select(large, w.intrinsic("sqrt", folded), size)
    return s, w.binary("fmul", w.binary("fmul", s, z), polynomial(w, z, ASIN[x.kind])), large


def asin(w: Function, x: Ssa) -> Ssa:
    """asin |x| = π/2 − 2 asin √(½ (1 − |x|)) beyond ½; then the sign of x."""
    s, rest, large = small_asin(w, x, w.intrinsic("fabs", x))
    quarter, lost = (constant(x, part) for part in HALF_PI[x.kind])
    two = constant(x, 2.0)
    near, more = fast_sum(w, quarter, w.binary("fmul", s, constant(x, -2.0)))
    beyond = w.binary("fadd", near, w.binary("fsub", w.binary("fadd", more, lost), w.binary("fmul", rest, two)))
    return signed(w, w.select(large, beyond, w.binary("fadd", s, rest)), x)


def acos(w: Function, x: Ssa) -> Ssa:
    """π/2 − asin x; above ½ it is 2 asin √(½ (1 − x)), below −½ π less that of −x."""
    s, rest, large = small_asin(w, x, x)
    quarter, lost = (constant(x, part) for part in HALF_PI[x.kind])
    left = w.binary("fsub", w.binary("fsub", quarter, s), w.binary("fsub", rest, lost))
    value = w.select(w.compare("fcmp ogt", x, constant(x, 0.5)), w.binary("fadd", s, rest), left)
    return w.select(large, w.binary("fadd", value, value), value)


def first_quadrant(w: Function, y: Ssa, x: Ssa, scale: Ssa) -> Ssa:
    """atan y/x for x, y ≥ 0 that are not both 0 nor both infinite.

    From tan π/8 on it is π/4 + atan (y − x)/(y + x), from tan 3π/8 on π/2 − atan x/y; `scale` keeps the sums in range, and bits
    of subnormal numbers.
    """
    tall, wide = w.binary("fmul", y, scale), w.binary("fmul", x, scale)
    middle = w.compare("fcmp ogt", tall, w.binary("fmul", wide, constant(x, EIGHTH_TURN)))
    high = w.compare("fcmp ogt", w.binary("fmul", tall, constant(x, EIGHTH_TURN)), wide)
    top = w.select(middle, w.binary("fsub", tall, wide), y)
    bottom = w.select(middle, w.binary("fadd", tall, wide), x)
    t = w.binary("fdiv", w.select(high, w.unary("fneg", x), top), w.select(high, y, bottom))
    zero = constant(x, 0.0)
    base, lost = (w.select(high, constant(x, part), w.select(middle, constant(x, part / 2), zero)) for part in HALF_PI[x.kind])
    z = w.binary("fmul", t, t)
    rest = fma(w, w.binary("fmul", t, z), polynomial(w, z, ATAN[x.kind]), lost)
    return w.binary("fadd", base, w.binary("fadd", t, rest))


def atan(w: Function, x: Ssa) -> Ssa:
    """The angle with tangent x."""
    one = constant(x, 1.0)
    return signed(w, first_quadrant(w, w.intrinsic("fabs", x), one, one), x)


def atan2(w: Function, y: Ssa, x: Ssa) -> Ssa:
    """The angle of the point (x, y)."""
    zero, one = constant(x, 0.0), constant(x, 1.0)
    height, width = w.intrinsic("fabs", y), w.intrinsic("fabs", x)
    infinite = constant(x, math.inf)
    both = w.logic("and", w.compare("fcmp oeq", height, infinite), w.compare("fcmp oeq", width, infinite))
    nothing = w.compare("fcmp oeq", w.binary("fadd", height, width), zero)
    height = w.select(both, one, height)
    width = w.select(w.logic("or", both, nothing), one, width)
    scale = w.select(w.compare("fcmp ogt", height, one), constant(x, 0.5), constant(x, 4.0))
    angle = first_quadrant(w, height, width, scale)
    quarter, lost = (constant(x, 2 * part) for part in HALF_PI[x.kind])
    bits = w.convert("bitcast", x, FORMATS[x.kind].integer)
    left = w.compare("icmp slt", bits, integer(x, 0))
    angle = w.select(left, w.binary("fsub", quarter, w.binary("fsub", angle, lost)), angle)
    return signed(w, angle, y)
