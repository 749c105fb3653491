"""The quadratic model of a loss at a point, and its minimiser within a ball: the step of Newton's method."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from symdiff.training.points import length

Array = np.ndarray[Any, Any]
HALVINGS = 200
NEAR = 0.05


class QuadraticModel:
    """m(s) = gᵀ s + ½ sᵀ H s.

    `rounding` is the relative precision of H.  Eigenvalues below it count as zero; so does the part of g along them where
    it is at most `noise`, the precision of g.
    """

    def __init__(self, gradient: Array, matrix: Array, rounding: float, noise: float) -> None:
        self.gradient, self.matrix, self.rounding, self.noise = gradient, matrix, rounding, noise

    def decrease(self, step: Array) -> float:
        """−m(s): how much the step should lower the value."""
        return -float(self.gradient @ step + 0.5 * (step @ (self.matrix @ step)))

    @cached_property
    def spectrum(self) -> tuple[Array, Array, Array]:
        """The eigenvalues λ of H in growing order, its eigenvectors Q, and Qᵀ g."""
        values, vectors = np.linalg.eigh(self.matrix)
        values = np.where(np.abs(values) <= self.rounding * len(values) * np.abs(values).max(initial=0.0), 0.0, values)
        slopes = vectors.T @ self.gradient
        return values, vectors, np.where((values == 0) & (np.abs(slopes) <= self.noise), 0.0, slopes)

    @cached_property
    def newton_step(self) -> Array | None:
        """−H⁻¹ g where H is positive definite, −H⁺ g where it is semidefinite and g in its range, else None."""
        scale = np.sqrt(np.abs(np.diag(self.matrix)))
        if (np.diag(self.matrix) > 0).all():
            scaled = self.matrix / np.outer(scale, scale)
            try:
                pivots = np.diag(np.linalg.cholesky(scaled)) ** 2
                if (pivots > self.rounding * len(scale)).all():
                    return np.asarray(np.linalg.solve(scaled, -self.gradient / scale) / scale)
            except np.linalg.LinAlgError:
                pass
        values, vectors, slopes = self.spectrum
        if (values < 0).any() or slopes[values == 0].any():
            return None
        return np.asarray(vectors @ -np.where(values > 0, slopes / np.where(values > 0, values, 1.0), 0.0))

    @property
    def lowest(self) -> float:
        """The least eigenvalue, 0 where no eigenvalue is negative."""
        return 0.0 if self.newton_step is not None else min(0.0, float(self.spectrum[0][0]))

    def step(self, radius: float) -> Array:
        """The minimiser of the model among the steps no longer than `radius`, which is finite unless H is semidefinite.

        It is −(H + μ I)⁻¹ g with the μ ≥ max(0, −λ₁) that gives it the length `radius`, to 5 percent, or Newton's step
        where that is short enough (Nocedal and Wright, Numerical Optimization, 2nd ed., theorem 4.1 and section 4.3).
        Where g has no part along the lowest eigenvector, which is so at a saddle, a multiple of that vector is added (the
        hard case).
        """
        if self.newton_step is not None and length(self.newton_step) <= radius:
            return self.newton_step
        values, vectors, slopes = self.spectrum
        floor = min(float(values[0]), 0.0)
        shifted = values - floor
        low, high = 0.0, length(slopes) / radius
        inside = -slopes / (shifted + high) if high else np.zeros_like(slopes)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if length(inside) >= (1 - NEAR) * radius or not low < middle < high:
                break
            trial = -slopes / (shifted + middle)
            if length(trial) <= radius:
                high, inside = middle, trial
            else:
                low = middle
        if floor < 0 and length(inside) < (1 - NEAR) * radius:
            others = length(inside[1:])
            upward = inside[0] > 0 or (inside[0] == 0 and vectors[np.abs(vectors[:, 0]).argmax(), 0] > 0)
            inside[0] = (1 if upward else -1) * np.sqrt(radius - others) * np.sqrt(radius + others)
        return np.asarray(vectors @ inside)
