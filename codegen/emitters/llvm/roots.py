"""Cube roots and the length of a pair of numbers.

∛m follows from y ≈ m^(−⅓): t = m y² is near it, and t + (m − t³) y²/3 is it, where t³ is known to twice the precision.  The first
y is a minimax polynomial on √½ ≤ m ≤ √2; in double precision a step of the third order, y (1 + h/3 + 2h²/9) with h = 1 − m y³,
makes it better.
"""

from __future__ import annotations

import math

from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.logarithms import parts
from codegen.emitters.llvm.mathematics import (
    FORMATS,
    clamped,
    constant,
    fma,
    integer,
    nearest,
    polynomial,
    power_of_two,
    signed,
)

INVERSE_ROOT = {
    "double": (1.8744780797962493, -1.8616570662381648, 1.5610356138460963, -0.702203571608405, 0.1283237750273042),
    "float": (1.9991322755813599, -2.4857177734375, 2.7917940616607666, -1.8977136611938477, 0.7005341053009033,
              -0.10802518576383591),
}


def cbrt(w: Function, x: Ssa) -> Ssa:
    """∛x: with x = 2^(3q + r) m and r from −1 to 1 it is 2^q ∛(2ʳ m)."""
    size, one, third = w.intrinsic("fabs", x), constant(x, 1.0), constant(x, 1 / 3)
    f, k = parts(w, size)
    q, whole = nearest(w, k, 1 / 3)
    r = fma(w, q, constant(x, -3.0), k)
    more, less = w.compare("fcmp ogt", r, constant(x, 0.5)), w.compare("fcmp olt", r, constant(x, -0.5))

    def chosen(base: float) -> Ssa:
        return w.select(more, constant(x, base), w.select(less, constant(x, 1 / base), one))
    m = w.binary("fadd", f, one)
    y = w.binary("fmul", polynomial(w, m, INVERSE_ROOT[x.kind]), chosen(0.5 ** (1 / 3)))
    m = w.binary("fmul", m, chosen(2.0))
    square = w.binary("fmul", y, y)
    if x.kind == "double":
        h = fma(w, w.unary("fneg", w.binary("fmul", m, y)), square, one)
        y = fma(w, w.binary("fmul", y, h), fma(w, h, constant(x, 2 / 9), third), y)
        square = w.binary("fmul", y, y)
    t = w.binary("fmul", m, square)
    minus = w.unary("fneg", w.binary("fmul", t, t))
    left = fma(w, w.unary("fneg", fma(w, t, t, minus)), t, fma(w, minus, t, m))
    root = fma(w, left, w.binary("fmul", square, third), t)
    value = w.binary("fmul", root, power_of_two(w, whole, x.kind))
    value = w.select(w.compare("fcmp oeq", x, constant(x, 0.0)), x, value)
    return signed(w, w.select(w.compare("fcmp olt", size, constant(x, math.inf)), value, size), x)


def hypot(w: Function, x: Ssa, y: Ssa) -> Ssa:
    """√(x² + y²): single precision in double; double with both scaled by the power of two at the larger one."""
    a, b, infinite = w.intrinsic("fabs", x), w.intrinsic("fabs", y), constant(x, math.inf)
    if x.kind == "float":
        wide, other = w.convert("fpext", x, "double"), w.convert("fpext", y, "double")
        root = w.convert("fptrunc", w.intrinsic("sqrt", fma(w, wide, wide, w.binary("fmul", other, other))), "float")
    else:
        f = FORMATS[x.kind]
        largest = clamped(w, w.select(w.compare("fcmp ogt", a, b), a, b), 2.0**-900, 2.0**1022)
        bits = w.binary("and", w.convert("bitcast", largest, f.integer), integer(x, (2 * f.bias + 1) << f.mantissa))
        up = w.convert("bitcast", bits, x.kind)
        down = w.convert("bitcast", w.binary("sub", integer(x, 2 * f.bias << f.mantissa), bits), x.kind)
        p, q = w.binary("fmul", a, down), w.binary("fmul", b, down)
        root = w.binary("fmul", w.intrinsic("sqrt", fma(w, p, p, w.binary("fmul", q, q))), up)
    endless = w.logic("or", w.compare("fcmp oeq", a, infinite), w.compare("fcmp oeq", b, infinite))
    return w.select(endless, infinite, root)
