"""Square roots by multiplication, where a loop would wait for the processor's unit that takes them.

y ≈ 1/√x to 14 bits is an instruction of AVX-512.  From g = x y and h = y/2 each step e = ½ − g h, g ← g + g e, h ← h + h e doubles
the bits of both, and g + (x − g²) h is √x rounded once, as IEEE 754 wants it (P. Markstein, "Computation of elementary functions
on the IBM RISC System/6000 processor", IBM J. Res. Dev. 34 (1990), 111).  Numbers so small that x − g² would be rounded, 0 and
∞ among them, go to the unit.

That unit takes two dozen cycles for a register on some processors, in which two other units do four times as many multiplications
as these steps have; in a loop with much else to do the root is taken beside it, and these steps would be in the way.
"""

from __future__ import annotations

import math
from collections import Counter

from codegen.emitters.llvm import avx512
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import constant, fma
from codegen.loop_ir.scalars import SCALARS

# From here on x − g² is exact; and how many steps there are.
LEAST = {"double": 2.0**-900, "float": 2.0**-100}
STEPS = {"double": 2, "float": 1}
# What a loop may do beside each root, where a sum is 1.
LIGHT = 12
UNIT = frozenset({"sqrt", "div", "reciprocal"})


def waits_for_roots(functions: Counter[str]) -> bool:
    """Whether a loop with these functions takes square roots and does little beside; divisions go to the same unit."""
    roots = functions["sqrt"]
    return roots > 0 and sum(SCALARS[f].cost * n for f, n in functions.items() if f not in UNIT) <= LIGHT * roots


def sqrt(w: Function, x: Ssa) -> Ssa:
    """√x, rounded once."""
    if not (w.waits_for_roots and avx512.fills_register(w, x)):
        return w.intrinsic("sqrt", x)
    small = w.compare("fcmp ult", x, constant(x, LEAST[x.kind]))
    outside = w.any_lane(w.logic("or", small, w.compare("fcmp oeq", x, constant(x, math.inf))))
    return w.either(outside, lambda: w.intrinsic("sqrt", x), lambda: root(w, x))


def root(w: Function, x: Ssa) -> Ssa:
    """√x of numbers from `LEAST` on."""
    half = constant(x, 0.5)
    y = avx512.inverse_root(w, x)
    g, h = w.binary("fmul", x, y), w.binary("fmul", y, half)
    for _ in range(STEPS[x.kind]):
        e = fma(w, w.unary("fneg", g), h, half)
        g, h = fma(w, g, e, g), fma(w, h, e, h)
    return fma(w, fma(w, w.unary("fneg", g), g, x), h, g)
