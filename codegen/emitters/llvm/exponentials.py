"""Exponentials and the hyperbolic functions as straight lines of instructions, for any number of lanes.

`tests/codegen/test_mathematics.py` measures each one's error in units of the last place over its whole range.
"""

from __future__ import annotations

from codegen.emitters.llvm import avx512, table_functions
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import (
    FORMATS,
    LOG_2,
    at_least,
    at_most,
    brought_down,
    clamped,
    constant,
    fma,
    nearest,
    polynomial,
    power_of_two,
    reduced,
    scaled,
    signed,
)

# Beyond these tanh of half of it is ±1, and sinh and cosh are infinite.
LAST_TANH = {"double": -44.0, "float": -20.0}
LAST_COSH = {"double": 710.6, "float": 89.5}


def exp_parts(w: Function, x: Ssa, low: Ssa | None = None) -> tuple[Ssa, Ssa]:
    """(eʳ − 1, bits of k) with e^(x + low) = 2ᵏ eʳ; `low` is what x has lost by rounding."""
    f = FORMATS[x.kind]
    r, k = brought_down(w, clamped(w, x, *f.exp_range))
    r = r if low is None else w.binary("fadd", r, low)
    return fma(w, polynomial(w, r, f.exp), w.binary("fmul", r, r), r), k


def exp(w: Function, x: Ssa) -> Ssa:
    """eˣ."""
    return exp_below(w, at_most(w, x, FORMATS[x.kind].exp_range[1]))


def exp_below(w: Function, x: Ssa) -> Ssa:
    """eˣ for x that does not overflow it."""
    f = FORMATS[x.kind]
    x = at_least(w, x, f.exp_range[0])
    if avx512.fills_register(w, x):
        return table_functions.exp(w, x)
    r, k = brought_down(w, x)
    grown = fma(w, polynomial(w, r, f.exp), w.binary("fmul", r, r), r)
    return scaled(w, w.binary("fadd", grown, constant(x, 1.0)), k)


def exp2(w: Function, x: Ssa) -> Ssa:
    """2ˣ."""
    f = FORMATS[x.kind]
    x = clamped(w, x, f.exp_range[0] / LOG_2, f.exp_range[1] / LOG_2)
    k, bits = nearest(w, x, 1.0)
    r = w.binary("fmul", w.binary("fsub", x, k), constant(x, LOG_2))
    q = polynomial(w, r, f.exp)
    return scaled(w, w.binary("fadd", fma(w, q, w.binary("fmul", r, r), r), constant(x, 1.0)), bits)


def growth(w: Function, x: Ssa) -> tuple[Ssa, Ssa]:
    """(eʳ − 1, bits of k) as in `exp_parts`, rounded little more than once; x is within bounds."""
    r, low, bits = reduced(w, x)
    near = w.binary("fadd", r, low)
    return w.binary("fadd", r, fma(w, polynomial(w, near, FORMATS[x.kind].exp), w.binary("fmul", near, near), low)), bits


def expm1(w: Function, x: Ssa) -> Ssa:
    """eˣ − 1 = 2 (2ᵏ⁻¹ (eʳ − 1) + (2ᵏ⁻¹ − ½))."""
    f = FORMATS[x.kind]
    q, k = growth(w, clamped(w, x, *f.expm1_range))
    half = power_of_two(w, k, x.kind, -1)
    value = fma(w, half, q, w.binary("fsub", half, constant(x, 0.5)))
    value = w.binary("fadd", value, value)
    # Below the precision of 1 it is x itself, subnormal numbers and −0 too.
    tiny = w.compare("fcmp olt", w.intrinsic("fabs", x), constant(x, 2.0**-(f.mantissa + 2)))
    return w.select(tiny, x, value)


def tanh(w: Function, x: Ssa) -> Ssa:
    """tanh |x| = (1 − e)/(1 + e) with e = e^(−2|x|), each side rounded once; then the sign of x."""
    one = constant(x, 1.0)
    q, k = growth(w, at_least(w, w.binary("fmul", w.intrinsic("fabs", x), constant(x, -2.0)), LAST_TANH[x.kind]))
    e = power_of_two(w, k, x.kind)
    difference = fma(w, e, q, w.binary("fsub", e, one))
    return signed(w, w.binary("fdiv", difference, fma(w, e, q, w.binary("fadd", e, one))), x)


def sinh(w: Function, x: Ssa) -> Ssa:
    """sinh |x| = t + t/(2t + 1) with t = ½ (e^|x| − 1) = 2 (2ᵏ⁻² (eʳ − 1) + (2ᵏ⁻² − ¼)); then the sign of x."""
    size = w.intrinsic("fabs", x)
    q, k = growth(w, at_most(w, size, LAST_COSH[x.kind]))
    quarter = power_of_two(w, k, x.kind, -2)
    t = fma(w, quarter, q, w.binary("fsub", quarter, constant(x, 0.25)))
    t = w.binary("fadd", t, t)
    u = at_most(w, t, 2.0 ** (FORMATS[x.kind].bias - 1))
    value = w.binary("fadd", t, w.binary("fdiv", u, w.binary("fadd", w.binary("fadd", u, u), constant(x, 1.0))))
    tiny = w.compare("fcmp olt", size, constant(x, 2.0 ** -(FORMATS[x.kind].mantissa // 2 + 2)))
    return signed(w, w.select(tiny, size, value), x)


def cosh(w: Function, x: Ssa) -> Ssa:
    """cosh x = e + ¼/e with e = ½ e^|x|."""
    q, k = growth(w, at_most(w, w.intrinsic("fabs", x), LAST_COSH[x.kind]))
    e = scaled(w, w.binary("fadd", q, constant(x, 1.0)), k, -1)
    return w.binary("fadd", e, w.binary("fdiv", constant(x, 0.25), e))
