"""Exponentials as straight lines of arithmetic, which LLVM turns into vector instructions; libm's would stay scalar.

Method: x = k log 2 + r with the rounding done by adding and taking off 1.5 · 2⁵² (2²³ in float32), eʳ by its Taylor
polynomial, 2ᵏ by writing k into the bits of the exponent.  They must keep the order of additions, hence no `fastmath`
beyond fused multiply-add: a callee without flags of its own would take those of its caller.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "nsz", "arcp"}
LOG2_E = 1 / math.log(2)
ROUND_64, ROUND_32 = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)
# log 2 in two parts; the first has zeros at its end, so that k times it is exact.
HIGH_64, LOW_64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
HIGH_32, LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
LOG2_E_32 = np.float32(LOG2_E)
LEAST_64, LEAST_32 = -700.0, np.float32(-87.0)
MOST_64, MOST_32 = 700.0, np.float32(87.0)
TAYLOR = tuple(1 / math.factorial(k) for k in range(14))
TAYLOR_32 = tuple(np.float32(c) for c in TAYLOR[:8])
C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = TAYLOR
F0, F1, F2, F3, F4, F5, F6, F7 = TAYLOR_32
ONE, TWO = np.float32(1), np.float32(2)


@njit(fastmath={"contract"}, error_model="numpy")
def exp64(x):
    """e^x in float64, x held to [−700, 700]."""
    x = min(max(x, LEAST_64), MOST_64)
    t = x * LOG2_E + ROUND_64
    k = t - ROUND_64
    r = (x - k * HIGH_64) - k * LOW_64
    p = C13
    p = p * r + C12
    p = p * r + C11
    p = p * r + C10
    p = p * r + C9
    p = p * r + C8
    p = p * r + C7
    p = p * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r + C1
    p = p * r + C0
    bits = (np.float64(t).view(np.int64) + np.int64(1023)) << np.int64(52)
    return p * np.int64(bits).view(np.float64)


@njit(fastmath={"contract"}, error_model="numpy")
def exp32(x):
    """e^x in float32, x held to [−87, 87]."""
    x = min(max(x, LEAST_32), MOST_32)
    t = x * LOG2_E_32 + ROUND_32
    k = t - ROUND_32
    r = (x - k * HIGH_32) - k * LOW_32
    p = F7
    p = p * r + F6
    p = p * r + F5
    p = p * r + F4
    p = p * r + F3
    p = p * r + F2
    p = p * r + F1
    p = p * r + F0
    bits = (np.float32(t).view(np.int32) + np.int32(127)) << np.int32(23)
    return p * np.int32(bits).view(np.float32)


@njit(fastmath={"contract"}, error_model="numpy")
def sigmoid32(x):
    """1 / (1 + e⁻ˣ) in float32."""
    return ONE / (ONE + exp32(-x))


@njit(fastmath={"contract"}, error_model="numpy")
def tanh32(x):
    """tanh in float32, to an absolute error of a few units of the last digit of 1."""
    return ONE - TWO / (ONE + exp32(TWO * x))
