"""When a minimisation has converged, and in what words it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from symdiff.training.methods import Method
from symdiff.training.objectives import Objective
from symdiff.training.points import Point
from symdiff.training.results import Step

PATIENCE = 20
PROGRESS = 0.95
BOTTOMLESS = -1e300
VANISHED = "the gradient vanishes"
SETTLED = "no step decreases the value by more than its rounding"
LEVEL = "the gradient is no more than its rounding"
STALLED = "no step decreases the value any more"


class Ending(NamedTuple):
    """Whether a run has converged, and why it ends."""

    converged: bool
    reason: str


class Criterion:
    """Two ways to have converged, both free of the scale of the value and of its offset.

    1. ‖∇f‖ ≤ tolerance · min(1, the largest ‖∇f‖ of the run).  Where the Hessian is known and has a clearly negative
       eigenvalue, this is a saddle or a maximum, and no convergence.
    2. `Method.settled`: the gradient is no more than rounding, which is asked after 20 steps in which neither the value nor
       the gradient norm fell; or no step decreases the value by more than its rounding, where a method finds no step.
    """

    def __init__(self, objective: Objective, method: Method, tolerance: float) -> None:
        self.objective, self.method = objective, method
        self.tolerance = max(tolerance, objective.rounding)
        self.largest = 0.0

    def reached(self, point: Point, history: Sequence[Step]) -> str | None:
        """Why the run has converged at the point, the last of its history; None if it has not."""
        self.largest = max(self.largest, point.norm)
        if point.norm <= self.tolerance * min(1.0, self.largest):
            return VANISHED if self.method.lowest_curvature(self.objective, point) == 0.0 else None
        if len(history) > 2 * PATIENCE and len(history) % PATIENCE == 0:
            before, now = history[-1 - PATIENCE], history[-1]
            level = before.value - now.value <= self.objective.epsilon * abs(now.value)
            if level and best(history[-PATIENCE:]) > PROGRESS * best(history[-2 * PATIENCE:-PATIENCE]) and (
                    self.method.settled(self.objective, point, 0.0)):
                return LEVEL
        return None

    def stopped(self, point: Point) -> Ending:
        """How a run ends whose method finds no step."""
        if point.value < BOTTOMLESS:
            return Ending(False, "the value falls without bound")
        if not np.isfinite(point.norm):
            return Ending(False, "the gradient is not finite")
        lowest = self.method.lowest_curvature(self.objective, point)
        if lowest:
            return Ending(False, f"stopped at a saddle or a maximum: the Hessian has the eigenvalue {lowest:.3g}")
        noise = self.objective.rounding * abs(point.value)
        settled = self.method.settled(self.objective, point, noise)
        return Ending(settled, SETTLED if settled else STALLED)


def best(steps: Sequence[Step]) -> float:
    """The least gradient norm."""
    return min(step.gradient_norm for step in steps)
