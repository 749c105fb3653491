"""Where a method of minimisation stands, and lengths that do not overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

Array = np.ndarray[Any, Any]


class Point(Struct, frozen=True):
    """Parameters, value, gradient, and the Hessian where the method wants it."""

    x: Array
    value: float
    gradient: Array
    hessian: Array | None = None

    @property
    def norm(self) -> float:
        """The Euclidean norm of the gradient."""
        return length(self.gradient)

    @property
    def finite(self) -> bool:
        """Whether value and gradient are numbers."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())

    @property
    def reach(self) -> float:
        """The length of the parameters, or 1 where all are zero: the scale for a first step."""
        return length(self.x) or 1.0


def length(v: Array) -> float:
    """The Euclidean norm, scaled by the largest entry so that no square overflows or vanishes."""
    largest = float(np.abs(v).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(v / largest))
