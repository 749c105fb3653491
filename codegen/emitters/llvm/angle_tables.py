"""Sine and cosine by tables that lie in vector registers, for processors with AVX-512.

x = j π/8 + r with |r| ≤ π/16, and sin x = S + S (cos r − 1) + C (r + (sin r − r)) with S and C the sine and cosine of j π/8, whose
sixteen are once around: no quarter has to be told from another.  C r is exactly the part of sin x near its zeros.  The polynomials
are least-squares fits at Chebyshev points, their leading coefficients rounded one after another.
"""

from __future__ import annotations

from typing import NamedTuple

from codegen.emitters.llvm import avx512
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import fma, polynomial, turned_back


class Turn(NamedTuple):
    """What a floating type takes: (sin r − r)/r³ and (cos r − 1)/r² in r², and the sines of j π/8, with what they lack."""

    odd: tuple[float, ...]
    even: tuple[float, ...]
    sines: tuple[float, ...]
    sines_low: tuple[float, ...]


TURNS = {
    "double": Turn(
        (-0.16666666666666266, 0.00833333333233928, -0.00019841262127598763, 2.753366322530444e-06),
        (-0.5, 0.04166666666666596, -0.0013888888887583306, 2.480157901246601e-05, -2.7535322311578594e-07),
        (0.0, 0.3826834323650898, 0.7071067811865476, 0.9238795325112867, 1.0, 0.9238795325112867, 0.7071067811865476,
         0.3826834323650898, 0.0, -0.3826834323650898, -0.7071067811865476, -0.9238795325112867, -1.0, -0.9238795325112867,
         -0.7071067811865476, -0.3826834323650898),
        (0.0, -1.0050772696461588e-17, -4.833646656726457e-17, 1.7645047084336677e-17, 0.0, 1.7645047084336677e-17,
         -4.833646656726457e-17, -1.0050772696461588e-17, 0.0, 1.0050772696461588e-17, 4.833646656726457e-17,
         -1.7645047084336677e-17, 0.0, -1.7645047084336677e-17, 4.833646656726457e-17, 1.0050772696461588e-17)),
    "float": Turn(
        (-0.16666653752326965, 0.008322617970407009), (-0.5, 0.04166664555668831, -0.0013874034630134702),
        (0.0, 0.3826834261417389, 0.7071067690849304, 0.9238795042037964, 1.0, 0.9238795042037964, 0.7071067690849304,
         0.3826834261417389, 0.0, -0.3826834261417389, -0.7071067690849304, -0.9238795042037964, -1.0, -0.9238795042037964,
         -0.7071067690849304, -0.3826834261417389),
        (0.0, 6.2233507236442165e-09, 1.2101617485882343e-08, 2.830748968563057e-08, 0.0, 2.830748968563057e-08,
         1.2101617485882343e-08, 6.2233507236442165e-09, 0.0, -6.2233507236442165e-09, -1.2101617485882343e-08,
         -2.830748968563057e-08, 0.0, -2.830748968563057e-08, -1.2101617485882343e-08, -6.2233507236442165e-09)),
}
QUARTER = avx512.ENTRIES // 4


def turned(table: tuple[float, ...], quarter: int) -> tuple[float, ...]:
    """A table once around, some quarters further on."""
    start = quarter * QUARTER % avx512.ENTRIES
    return table[start:] + table[:start]


def sine(w: Function, x: Ssa, quarter: int) -> Ssa:
    """sin(x + quarter · π/2) for |x| up to `largest_angle`, but for −0."""
    f = TURNS[x.kind]
    r, lost, j = turned_back(w, x, QUARTER)
    z = w.binary("fmul", r, r)
    odd = fma(w, w.binary("fmul", polynomial(w, z, f.odd), z), r, lost)
    even = w.binary("fmul", polynomial(w, z, f.even), z)
    base, low, slope, slope_low = (avx512.looked_up(w, turned(table, quarter + turn), j, x)
                                   for turn in (0, 1) for table in (f.sines, f.sines_low))
    rest = fma(w, slope, odd, fma(w, base, even, fma(w, slope_low, r, low)))
    return w.binary("fadd", base, fma(w, slope, r, rest))
