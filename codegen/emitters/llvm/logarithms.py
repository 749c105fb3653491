"""Logarithms and the inverses of the hyperbolic functions, which are logarithms too.

log(1 + f) = f − s (f − z Lg(z)) with s = f/(2 + f), z = s², the form and Lg from fdlibm (Sun Microsystems, 1993: e_log.c) and its
single precision version.  Where the argument is 1 + x, what the sum loses is put back to f: then k = 0 takes x itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from codegen.emitters.llvm import avx512, table_functions
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import (
    FORMATS,
    LOG_2,
    constant,
    fast_sum,
    fma,
    log_parts,
    polynomial,
    signed,
)


class Base(NamedTuple):
    """What a base B takes: 1/log B, and log 2/log B whose product with an exponent is exact, each with what it lacks."""

    scale: tuple[float, float]
    step: tuple[float, float]


BASES = {
    ("double", 2): Base((1.4426950408889634, 2.0355273740931033e-17), (1.0, 0.0)),
    ("float", 2): Base((1.4426950216293335, 1.925963033500011e-08), (1.0, 0.0)),
    ("double", 10): Base((0.4342944819032518, 1.098319650216765e-17), (0.30102999566383914, 1.42050232272661e-13)),
    ("float", 10): Base((0.4342944920063019, -1.0103049952192578e-08), (0.301025390625, 4.605039066518657e-06)),
}

# Lg for s up to ⅓: a minimax fit, its leading coefficients rounded one after another.
WIDE_LG = {
    "double": (0.6666666666666631, 0.400000000001562, 0.28571428547958594, 0.2222222396430633, 0.18181744089020063,
               0.15386556853778288, 0.1330100966861695, 0.12105826005920683, 0.08341155928037236, 0.1701673473520398),
    "float": (0.6666641235351562, 0.40021735429763794, 0.2799859941005707, 0.2802696228027344),
}


def curvature(w: Function, f: Ssa, coefficients: tuple[float, ...] = ()) -> tuple[Ssa, Ssa]:
    """Two factors of f − log(1 + f)."""
    s = w.binary("fdiv", f, w.binary("fadd", f, constant(f, 2.0)))
    z = w.binary("fmul", s, s)
    return s, fma(w, w.unary("fneg", z), polynomial(w, z, coefficients or FORMATS[f.kind].log), f)


def sum_log(w: Function, f: Ssa, k: Ssa) -> Ssa:
    """k log 2 + log(1 + f): what is small is summed first."""
    form = FORMATS[f.kind]
    small = fma(w, *curvature(w, f), w.binary("fmul", k, constant(f, -form.log2_low)))
    return fma(w, k, constant(f, form.log2_high), w.binary("fsub", f, small))


def parts(w: Function, x: Ssa) -> tuple[Ssa, Ssa]:
    """(f, k) with x = 2ᵏ (1 + f) for x > 0, subnormal ones too."""
    form = FORMATS[x.kind]
    small = w.compare("fcmp olt", x, constant(x, form.least))
    f, k = log_parts(w, w.select(small, w.binary("fmul", x, constant(x, 2.0**form.rescale)), x))
    return f, w.select(small, w.binary("fsub", k, constant(x, float(form.rescale))), k)


def completed(w: Function, x: Ssa, value: Ssa) -> Ssa:
    """A logarithm of x that is right for finite x > 0 with its values at all others."""
    value = w.select(w.compare("fcmp olt", x, constant(x, math.inf)), value, x)
    zero = constant(x, 0.0)
    outside = w.select(w.compare("fcmp oeq", x, zero), constant(x, -math.inf), constant(x, math.nan))
    return w.select(w.compare("fcmp ugt", x, zero), value, outside)


def log(w: Function, x: Ssa) -> Ssa:
    """The natural logarithm."""
    if avx512.fills_register(w, x):
        return table_functions.log(w, x)
    return completed(w, x, sum_log(w, *parts(w, x)))


def based(w: Function, x: Ssa, base: int) -> Ssa:
    """The logarithm to another base: f/log B in two parts, k log 2/log B in two parts, and all else."""
    scale, step = BASES[x.kind, base]
    f, k = parts(w, x)
    high, low = constant(x, scale[0]), constant(x, scale[1])
    product = w.binary("fmul", f, high)
    rest = fma(w, f, low, fma(w, f, high, w.unary("fneg", product)))
    bent, slope = curvature(w, f)
    rest = fma(w, w.binary("fmul", bent, w.unary("fneg", slope)), high, rest)
    if step[1]:
        rest = fma(w, k, constant(x, step[1]), rest)
        k = w.binary("fmul", k, constant(x, step[0]))
    total, lost = fast_sum(w, k, product)
    return completed(w, x, w.binary("fadd", total, w.binary("fadd", rest, lost)))


def log2(w: Function, x: Ssa) -> Ssa:
    """The logarithm to base 2."""
    return based(w, x, 2)


def log10(w: Function, x: Ssa) -> Ssa:
    """The logarithm to base 10."""
    return based(w, x, 10)


def log_of_one_and(w: Function, x: Ssa) -> Ssa:
    """log(1 + x) for finite x > −1; NaN stays."""
    form = FORMATS[x.kind]
    one = constant(x, 1.0)
    u = w.binary("fadd", x, one)
    lost = w.binary("fsub", x, w.binary("fsub", u, one))
    f, k = log_parts(w, u)
    # 2^(1 − k) from the bits of 1 + f less those of u, for k may be as large as the bias + 1.
    bits = w.binary("sub", w.convert("bitcast", w.binary("fadd", f, one), form.integer), w.convert("bitcast", u, form.integer))
    two = w.convert("bitcast", constant(x, 2.0), form.integer)
    twice = w.convert("bitcast", w.binary("add", bits, two), x.kind)
    return sum_log(w, fma(w, w.binary("fmul", lost, constant(x, 0.5)), twice, f), k)


def log_up_to_two(w: Function, e: Ssa) -> Ssa:
    """log(1 + e) for e from 0 to 1, which needs no powers of two."""
    bent, slope = curvature(w, e, WIDE_LG[e.kind])
    return fma(w, w.unary("fneg", bent), slope, e)


def log1p(w: Function, x: Ssa) -> Ssa:
    """log(1 + x)."""
    value = signed(w, log_of_one_and(w, x), x)
    value = w.select(w.compare("fcmp olt", x, constant(x, math.inf)), value, x)
    edge = constant(x, -1.0)
    outside = w.select(w.compare("fcmp oeq", x, edge), constant(x, -math.inf), constant(x, math.nan))
    return w.select(w.compare("fcmp ugt", x, edge), value, outside)


def log_of_twice(w: Function, small: Ssa, x: Ssa) -> Ssa:
    """log(1 + small), where x ≥ 0 is large log 2x, which is the same there."""
    large = w.compare("fcmp oge", x, constant(x, 2.0 ** (FORMATS[x.kind].mantissa + 2)))
    value = log_of_one_and(w, w.select(large, x, small))
    value = w.select(large, w.binary("fadd", value, constant(x, LOG_2)), value)
    return w.select(w.compare("fcmp olt", x, constant(x, math.inf)), value, x)


def asinh(w: Function, x: Ssa) -> Ssa:
    """asinh |x| = log(1 + |x| + x²/(1 + √(1 + x²))); then the sign of x."""
    size, one = w.intrinsic("fabs", x), constant(x, 1.0)
    square = w.binary("fmul", x, x)
    root = w.intrinsic("sqrt", w.binary("fadd", square, one))
    small = w.binary("fadd", size, w.binary("fdiv", square, w.binary("fadd", root, one)))
    return signed(w, log_of_twice(w, small, size), x)


def acosh(w: Function, x: Ssa) -> Ssa:
    """acosh x = log(1 + t + √(2t + t²)) with t = x − 1."""
    t = w.binary("fsub", x, constant(x, 1.0))
    small = w.binary("fadd", t, w.intrinsic("sqrt", fma(w, t, t, w.binary("fadd", t, t))))
    return w.select(w.compare("fcmp olt", x, constant(x, 1.0)), constant(x, math.nan), log_of_twice(w, small, x))


def atanh(w: Function, x: Ssa) -> Ssa:
    """atanh |x| = ½ log(1 + 2|x|/(1 − |x|)); then the sign of x."""
    size, one = w.intrinsic("fabs", x), constant(x, 1.0)
    ratio = w.binary("fdiv", w.binary("fadd", size, size), w.binary("fsub", one, size))
    value = w.binary("fmul", log_of_one_and(w, ratio), constant(x, 0.5))
    value = w.select(w.compare("fcmp oeq", size, one), constant(x, math.inf), value)
    return signed(w, w.select(w.compare("fcmp ogt", size, one), constant(x, math.nan), value), x)
