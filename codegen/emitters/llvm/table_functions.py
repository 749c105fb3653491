"""Exponentials and logarithms by tables that lie in vector registers, for processors with AVX-512.

e^x = 2^⌊k⌋ T[j] eʳ, where k is x/log 2 to the nearest sixteenth, j its last four bits, T[j] = 2^(j/16) and |r| ≤ log 2/32.
log x = k log 2 − log c[j] + log(1 + r), where x = 2ᵏ m, j are the first four bits of m − 1, c[j] is near 1/m, and r = c[j] m − 1
(P. T. P. Tang, "Table-driven implementation of the exponential function", ACM TOMS 15 (1989), of the logarithm, 16 (1990)).
c is 1 at the least m and ½ at the largest, with which nothing of log x is lost near x = 1 from either side.

With a table of sixteen the polynomials are half as long as without.  Exponents are taken out and put in by instructions that
know of 0, ∞, NaN, and subnormal numbers, so that nothing is chosen by hand.  The polynomials are least-squares fits at Chebyshev
points, their leading coefficients rounded one after another.
"""

from __future__ import annotations

from typing import NamedTuple

from codegen.emitters.llvm import avx512
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import FORMATS, LOG_2, constant, fma, integer, polynomial


class Tabled(NamedTuple):
    """What a floating type takes, each number with what it lacks: `powers` 2^(j/16), `inverses` c[j], and `logs` −log c[j].

    `exp` are the coefficients of (eʳ − 1 − r)/r² on |r| ≤ log 2/32, `log` those of (log(1 + r) − r)/r² on −0.0335 ≤ r ≤ 0.0625;
    products of exponents and `log2_high` are exact, and so are their sums with `logs`.
    """

    exp: tuple[float, ...]
    log: tuple[float, ...]
    log2: tuple[float, float]
    sixteenths: float
    powers: tuple[float, ...]
    powers_low: tuple[float, ...]
    logs: tuple[float, ...]
    logs_low: tuple[float, ...]


# c[j]: a few bits, with which r is exact.
INVERSES = (1.0, 0.9375, 0.875, 0.84375, 0.78125, 0.75, 0.71875, 0.6875, 0.65625, 0.625, 0.625, 0.59375, 0.5625, 0.5625, 0.53125,
            0.5)
TABLED = {
    "double": Tabled(
        (0.5000000000000004, 0.16666666664372584, 0.0416666666607442, 0.008333473002952427, 0.0013889110198476572),
        (-0.4999999999999997, 0.3333333333335078, -0.2500000000034228, 0.19999999922850642, -0.16666665104178993,
         0.14285808617550688, -0.12502452398533637, 0.11085657838567313, -0.08834549455364091),
        (0.6931471805598903, 5.497923018708371e-14), 1.5 * 2.0**48,
        (1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916, 1.189207115002721, 1.241857812073484,
         1.2968395546510096, 1.3542555469368927, 1.4142135623730951, 1.4768261459394993, 1.5422108254079407, 1.6104903319492543,
         1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474),
        (0.0, 8.551889705537965e-17, -3.046782079812471e-17, 8.912812676025408e-17, 3.982015231465646e-17,
         4.658027591836937e-17, 2.5382502794888315e-17, 7.70094837980299e-17, -9.667293313452913e-17, -3.483994556892796e-17,
         7.949834809697621e-17, 2.4707192569797888e-17, 8.199010020581497e-17, 2.960140695448873e-17, 3.283107224245627e-17,
         -1.0619946056195963e-16),
        (0.0, 0.0645385211375924, 0.13353139262449076, 0.16989903679541385, 0.2468600779316148, 0.28768207245184385,
         0.33024168687052224, 0.3746934494413381, 0.4212134650763346, 0.4700036292456389, 0.4700036292456389, 0.521296923633372,
         0.5753641449034603, 0.5753641449034603, 0.6325225587434034, 0.6931471805598903),
        (0.0, -2.1225608044809997e-14, 3.1859736349078334e-14, -1.6376276414097503e-14, -8.899851356560444e-14,
         -6.292357389008195e-14, 5.4612144489920215e-14, 7.260466149925637e-14, -3.1063837541003616e-14, 9.667719603235566e-14,
         9.667719603235566e-14, -8.590204918402764e-14, 1.0152652766306816e-13, 1.0152652766306816e-13, 1.0711543657844876e-13,
         5.497923018708371e-14)),
    "float": Tabled(
        (0.5000162720680237, 0.1666700839996338),
        (-0.4999999701976776, 0.33334505558013916, -0.25014057755470276, 0.18943871557712555),
        (0.693145751953125, 1.428606765330187e-06), 1.5 * 2.0**19,
        (1.0, 1.0442737340927124, 1.0905077457427979, 1.1387885808944702, 1.1892070770263672, 1.2418577671051025,
         1.2968395948410034, 1.3542555570602417, 1.4142135381698608, 1.4768261909484863, 1.5422108173370361, 1.610490322113037,
         1.6817928552627563, 1.7562521696090698, 1.8340080976486206, 1.9152065515518188),
        (0.0, 4.8334701574503924e-08, -1.3077539939843064e-08, 5.386222312608879e-08, 3.797635272917432e-08,
         4.496838101886169e-08, -4.018999533172973e-08, -1.0123349269974824e-08, 2.4203234971764687e-08, -4.500898853621038e-08,
         8.070904833346049e-09, 9.836217174097328e-09, -2.4755326677450284e-08, -9.235770370707996e-09, -1.1239277952768134e-08,
         9.845328108326612e-09),
        (0.0, 0.064544677734375, 0.133544921875, 0.169891357421875, 0.246856689453125, 0.287689208984375, 0.330230712890625,
         0.37469482421875, 0.42120361328125, 0.470001220703125, 0.470001220703125, 0.52130126953125, 0.57537841796875,
         0.57537841796875, 0.63250732421875, 0.693145751953125),
        (0.0, -6.1565970099763945e-06, -1.3529250281862915e-05, 7.679373084101826e-06, 3.388478489796398e-06,
         -7.136532531148987e-06, 1.0973980351991486e-05, -1.3747772982242168e-06, 9.851794857240748e-06, 2.408542513876455e-06,
         2.408542513876455e-06, -4.345898105384549e-06, -1.4273065062297974e-05, -1.4273065062297974e-05, 1.52345246533514e-05,
         1.428606765330187e-06)),
}


def exp(w: Function, x: Ssa) -> Ssa:
    """eˣ for x that neither overflows it by far nor is infinite; NaN stays."""
    f = TABLED[x.kind]
    magic = constant(x, f.sixteenths)
    moved = fma(w, x, constant(x, 1 / LOG_2), magic)
    k = w.binary("fsub", moved, magic)
    high, low = (constant(x, -part) for part in f.log2)
    r = fma(w, k, low, fma(w, k, high, x))
    square = w.binary("fmul", r, r)
    grown = fma(w, polynomial(w, r, f.exp), square, r)
    j = w.convert("bitcast", moved, FORMATS[x.kind].integer)
    base = avx512.looked_up(w, f.powers, j, x)
    return avx512.times_power(w, w.binary("fadd", base, fma(w, base, grown, avx512.looked_up(w, f.powers_low, j, x))), k)


def log(w: Function, x: Ssa) -> Ssa:
    """The natural logarithm of any number."""
    f = TABLED[x.kind]
    k, m = avx512.exponent(w, x), avx512.mantissa(w, x)
    j = w.binary("lshr", w.convert("bitcast", m, FORMATS[x.kind].integer), integer(x, FORMATS[x.kind].mantissa - 4))
    r = fma(w, m, avx512.looked_up(w, INVERSES, j, x), constant(x, -1.0))
    square = w.binary("fmul", r, r)
    high, low = (constant(x, part) for part in f.log2)
    rest = fma(w, polynomial(w, r, f.log), square, fma(w, k, low, avx512.looked_up(w, f.logs_low, j, x)))
    return w.binary("fadd", fma(w, k, high, avx512.looked_up(w, f.logs, j, x)), w.binary("fadd", r, rest))
