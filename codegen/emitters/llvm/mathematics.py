"""What all elementary functions are made of: numbers brought down to a small interval, polynomials, and powers of two put back.

Each recipe takes the writer and values and returns a value; nothing branches, so it vectorises as it stands, for any number of
lanes.  The polynomials of log, sine and cosine, and the forms that they stand in, are those of fdlibm (Sun Microsystems, 1993:
e_log.c, k_sin.c, k_cos.c) and its single precision version; that of eʳ is a minimax fit.
"""

from __future__ import annotations

import math

from msgspec import Struct

from codegen.emitters.llvm import avx512
from codegen.emitters.llvm.instructions import Function, Ssa, literal

LOG_2 = math.log(2.0)


class Format(Struct, frozen=True):
    """What the recipes need to know of a floating type.

    `magic` is 1.5 · 2^(mantissa bits): added to a number it leaves the nearest integer in the low bits.  `exp` are the
    coefficients of (eʳ − 1 − r)/r² on |r| ≤ ½ log 2, `log` those of Lg(z) in log(1 + f), `least` the smallest normal number.
    """

    integer: str
    mantissa: int
    bias: int
    magic: float
    log2_high: float
    log2_low: float
    least: float
    rescale: int
    exp_range: tuple[float, float]
    expm1_range: tuple[float, float]
    exp: tuple[float, ...]
    log: tuple[float, ...]
    half_pi: tuple[float, ...]
    sin: tuple[float, ...]
    cos: tuple[float, ...]
    largest_angle: float


FORMATS = {
    "double": Format(
        "i64", 52, 1023, 1.5 * 2.0**52, 0.6931471805598903, 5.497923018708371e-14, 2.0**-1022, 54,
        (-746.0, 710.0), (-40.0, 710.0),
        (0.5, 0.16666666666666685, 0.04166666666660283, 0.00833333333331474, 0.00138888889272204, 0.0001984126990293682,
         2.480150817834915e-05, 2.7557228071296926e-06, 2.7625378279761515e-07, 2.511438914009475e-08),
        (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
         1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01),
        (1.5707963267948966, 6.123233932053594e-17, 6.36831716351095e-25),
        (-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
         -2.50507602534068634195e-08, 1.58969099521155010221e-10),
        (4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05, -2.75573143513906633035e-07,
         2.08757232129817482790e-09, -1.13596475577881948265e-11), 2.0**25),
    "float": Format(
        "i32", 23, 127, 1.5 * 2.0**23, 0.693145751953125, 1.428606765330187e-06, 2.0**-126, 25,
        (-104.0, 89.0), (-20.0, 89.0),
        (0.5, 0.1666651964187622, 0.0416664183139801, 0.008368774317204952, 0.0013938859337940812),
        (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841),
        (1.5707963705062866, -4.371139000186241e-08, -1.7151245100058819e-15),
        (-1.6666654611e-01, 8.3321608736e-03, -1.9515295891e-04),
        (4.166664568298827e-02, -1.388731625493765e-03, 2.443315711809948e-05), 2.0**13),
}


def constant(x: Ssa, value: float) -> Ssa:
    """A literal of the type of x."""
    return literal(value, x.kind, x.lanes)


def integer(x: Ssa, value: int) -> Ssa:
    """An integer literal as wide as x."""
    return literal(value, FORMATS[x.kind].integer, x.lanes)


def fma(w: Function, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
    """a · b + c, rounded once."""
    return w.intrinsic("fma", a, b, c)


def polynomial(w: Function, x: Ssa, coefficients: tuple[float, ...]) -> Ssa:
    """Σ c_k xᵏ: even and odd powers side by side, each by Horner's rule, so that two chains run at once."""
    if len(coefficients) < 4:
        result = constant(x, coefficients[-1])
        for c in coefficients[-2::-1]:
            result = fma(w, result, x, constant(x, c))
        return result
    square = w.binary("fmul", x, x)
    even, odd = (polynomial(w, square, coefficients[k::2]) for k in (0, 1)) if len(coefficients) < 8 else \
        (horner(w, square, coefficients[k::2]) for k in (0, 1))
    return fma(w, odd, x, even)


def horner(w: Function, x: Ssa, coefficients: tuple[float, ...]) -> Ssa:
    """Σ c_k xᵏ from the highest power down."""
    result = constant(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        result = fma(w, result, x, constant(x, c))
    return result


def fast_sum(w: Function, a: Ssa, b: Ssa) -> tuple[Ssa, Ssa]:
    """a + b and what rounding took from it, where |a| ≥ |b| or a = 0."""
    total = w.binary("fadd", a, b)
    return total, w.binary("fsub", b, w.binary("fsub", total, a))


def at_most(w: Function, x: Ssa, high: float) -> Ssa:
    """x, or `high` where it is larger; NaN stays."""
    above = constant(x, high)
    return w.select(w.compare("fcmp ogt", x, above), above, x)


def at_least(w: Function, x: Ssa, low: float) -> Ssa:
    """x, or `low` where it is smaller; NaN stays."""
    below = constant(x, low)
    return w.select(w.compare("fcmp olt", x, below), below, x)


def clamped(w: Function, x: Ssa, low: float, high: float) -> Ssa:
    """x brought into [low, high]; NaN stays."""
    return at_most(w, at_least(w, x, low), high)


def nearest(w: Function, x: Ssa, scale: float) -> tuple[Ssa, Ssa]:
    """(k, an integer whose low half is that of k) for the integer k nearest to x · scale, |k| below 2^(mantissa bits − 2)."""
    f = FORMATS[x.kind]
    magic = constant(x, f.magic)
    moved = fma(w, x, constant(x, scale), magic)
    return w.binary("fsub", moved, magic), w.convert("bitcast", moved, f.integer)


def turned_back(w: Function, x: Ssa, parts: int) -> tuple[Ssa, Ssa, Ssa]:
    """(r, s, an integer whose low half is that of k) with x = k π/(2 · parts) + r + s, k the nearest, |x| ≤ `largest_angle`.

    Multiples of three parts of π/2 are taken off.  The first difference is exact.  Near a multiple of π/2 it and the second product
    cancel: in double precision that product is exact, the part having 26 bits, and in single it is taken with what it lacks.
    """
    f = FORMATS[x.kind]
    k, whole = nearest(w, x, parts * 2 / math.pi)
    first, second, third = (constant(x, -part / parts) for part in f.half_pi)
    near = fma(w, k, first, x)
    if x.kind == "double":
        r = fma(w, k, second, near)
        return r, fma(w, k, third, fma(w, k, second, w.binary("fsub", near, r))), whole
    product = w.binary("fmul", k, second)
    r = w.binary("fadd", near, product)
    lost = w.binary("fadd", w.binary("fsub", near, r), product)
    return r, fma(w, k, third, w.binary("fadd", lost, fma(w, k, second, w.unary("fneg", product)))), whole


def less_magic(w: Function, bits: Ssa, kind: str, more: int = 0) -> Ssa:
    """k + more from the bits of k + `magic`."""
    magic = w.convert("bitcast", literal(FORMATS[kind].magic, kind, bits.lanes), bits.kind)
    return w.binary("sub", bits, w.binary("sub", magic, literal(more, bits.kind, bits.lanes)))


def reduced(w: Function, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """(r, s, bits of k) with x = k log 2 + r + s and |r| ≤ ½ log 2: r is exact, s is k times the low part of log 2."""
    f = FORMATS[x.kind]
    k, bits = nearest(w, x, 1 / LOG_2)
    return fma(w, k, constant(x, -f.log2_high), x), w.binary("fmul", k, constant(x, -f.log2_low)), bits


def power_of_two(w: Function, bits: Ssa, kind: str, more: int = 0) -> Ssa:
    """2^(k + more) from an integer whose low half is that of k."""
    f = FORMATS[kind]
    raised = w.binary("shl", bits, literal(f.mantissa, bits.kind, bits.lanes))
    return w.convert("bitcast", w.binary("add", raised, literal((f.bias + more) << f.mantissa, bits.kind, bits.lanes)), kind)


def scaled(w: Function, x: Ssa, bits: Ssa, more: int = 0) -> Ssa:
    """x · 2^(k + more) from the bits of k + `magic`, right where it overflows or is subnormal.

    It is one instruction where the processor has that, else two factors, each of which is a number.
    """
    f = FORMATS[x.kind]
    if avx512.fills_register(w, x):
        k = w.binary("fsub", w.convert("bitcast", bits, x.kind), constant(x, f.magic))
        return avx512.times_power(w, x, w.binary("fadd", k, constant(x, float(more))) if more else k)
    biased = less_magic(w, bits, x.kind, 2 * f.bias + more)
    half = w.binary("lshr", biased, integer(x, 1))
    rest = w.binary("sub", biased, half)
    for part in (half, rest):
        x = w.binary("fmul", x, w.convert("bitcast", w.binary("shl", part, integer(x, f.mantissa)), x.kind))
    return x


def brought_down(w: Function, x: Ssa) -> tuple[Ssa, Ssa]:
    """(r, bits of k) with x = k log 2 + r and |r| ≤ ½ log 2."""
    f = FORMATS[x.kind]
    k, bits = nearest(w, x, 1 / LOG_2)
    return fma(w, k, constant(x, -f.log2_low), fma(w, k, constant(x, -f.log2_high), x)), bits


def log_parts(w: Function, x: Ssa) -> tuple[Ssa, Ssa]:
    """(f, k) with x = 2ᵏ (1 + f) and √½ < 1 + f < √2, for normal x > 0."""
    f = FORMATS[x.kind]
    bits = w.convert("bitcast", x, f.integer)
    one = w.convert("bitcast", constant(x, 1.0), f.integer)
    root = w.convert("bitcast", constant(x, math.sqrt(0.5)), f.integer)
    moved = w.binary("add", bits, w.binary("sub", one, root))
    exponent = w.binary("lshr", moved, integer(x, f.mantissa))
    fraction = w.binary("and", moved, integer(x, (1 << f.mantissa) - 1))
    m = w.convert("bitcast", w.binary("add", fraction, root), x.kind)
    # An integer below 2^mantissa becomes a number by putting the bits of 2^mantissa over it.
    high = w.convert("bitcast", constant(x, 2.0**f.mantissa), f.integer)
    counted = w.convert("bitcast", w.binary("or", exponent, high), x.kind)
    return w.binary("fsub", m, constant(x, 1.0)), w.binary("fsub", counted, constant(x, 2.0**f.mantissa + f.bias))


def signed(w: Function, size: Ssa, sign: Ssa) -> Ssa:
    """|size| with the sign of another number."""
    return w.intrinsic("copysign", size, sign)
