"""The line search of the first-order methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.training.points import Point, length

Array = np.ndarray[Any, Any]
ARMIJO = 1e-4
WOLFE = 0.9
GROWTH = 4.0
TRIALS = 120


def search(evaluate: Callable[[Array], Point], point: Point, direction: Array, first: float,
           noise: float) -> Point | None:
    """A point x + t d that satisfies the weak Wolfe conditions, by bracketing and bisection; None if no t decreases f.

    With φ(t) = f(x + t d) the conditions are φ(t) ≤ φ(0) + c₁ t φ′(0) and φ′(t) ≥ c₂ φ′(0), c₁ = 1e-4, c₂ = 0.9
    (Nocedal and Wright, Numerical Optimization, 2nd ed., 3.6; the bisection is that of Lewis and Overton, Mathematical
    Programming 141, 2013, algorithm 4.6).  The first trial is t = `first`, and t grows until it is bracketed, so no
    scale is built in.  Where φ changes by no more than `noise`, its rounding, the first condition is asked of the slope
    instead: φ′(t) ≤ (2 c₁ − 1) φ′(0) (Hager and Zhang, SIAM Journal on Optimization 16, 2005, equation 4.1).
    """
    slope = float(direction @ point.gradient)
    if not -np.inf < slope < 0:
        return None
    low, high, t = 0.0, np.inf, first
    best = None
    least = np.finfo(float).eps * length(point.x) / length(direction)
    for _ in range(TRIALS):
        fresh = evaluate(point.x + t * direction)
        steepness = float(direction @ fresh.gradient)
        falls = fresh.value <= point.value + ARMIJO * t * slope
        level = abs(fresh.value - point.value) <= noise and steepness <= (2 * ARMIJO - 1) * slope
        if not (fresh.finite and (falls or level)):
            high = t
        elif steepness < WOLFE * slope:
            low, best = t, fresh
        else:
            return fresh
        if high - low <= least or high == 0.0:
            break
        t = (low + high) / 2 if high < np.inf else GROWTH * t
    return best
