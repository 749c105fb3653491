"""The methods of minimisation: each proposes, from where it stands, where to go next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.training.objectives import Objective

Array = np.ndarray[Any, Any]
ARMIJO = 1e-4
SHORTEST = 2.0**-40
HOPELESS = 1e-4
EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a method stands: parameters, value, gradient, and the Hessian where the method wants it."""

    x: Array
    value: float
    gradient: Array
    hessian: Array | None = None

    @property
    def norm(self) -> float:
        """The Euclidean norm of the gradient."""
        return float(np.linalg.norm(self.gradient))


@dataclass(slots=True)
class Options:
    """What a user may set; None means the method's own default."""

    learning_rate: float | None = None
    momentum: float = 0.9
    line_search: bool | None = None
    damping: float = 0.0

    def rate(self, default: float) -> float:
        """The learning rate, or the method's own."""
        return default if self.learning_rate is None else self.learning_rate


class Descent:
    """Steps along the negative gradient, of fixed length `learning_rate`, or as long as Armijo's condition lets them."""

    steps = 10_000
    second_order = False

    def __init__(self, options: Options) -> None:
        self.options = options
        self.searching = options.learning_rate is None if options.line_search is None else options.line_search
        self.length = options.rate(1.0)

    def evaluate(self, objective: Objective, x: Array) -> Point:
        """The point at x."""
        return Point(x, *objective.gradient(x))

    def direction(self, point: Point) -> Array:
        """Where to go, as a vector that a step size multiplies."""
        return -point.gradient

    def advance(self, objective: Objective, point: Point) -> tuple[Point, float]:
        """The next point and the step size; step size 0 where no decrease is possible."""
        direction = self.direction(point)
        if not self.searching:
            return self.evaluate(objective, point.x + self.length * direction), self.length
        fresh, taken = backtrack(lambda x: self.evaluate(objective, x), point, direction, self.length)
        self.length = 2.0 * taken if taken else self.length
        return fresh, taken


class Momentum(Descent):
    """Steps along a decaying sum of gradients (heavy ball), of fixed length `learning_rate` (0.01 unless given)."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.searching = False
        self.length = options.rate(0.01)
        self.velocity: Array | None = None

    def direction(self, point: Point) -> Array:
        """The sum of the gradients so far, each `momentum` times what it was a step before."""
        before = 0.0 if self.velocity is None else self.options.momentum * self.velocity
        self.velocity = before - point.gradient
        return self.velocity


class Newton(Descent):
    """Newton's steps, searched along; where the Hessian is not positive definite, μ I is added (Levenberg)."""

    steps = 100
    second_order = True

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.searching = True if options.line_search is None else options.line_search
        self.length = options.rate(1.0)

    def evaluate(self, objective: Objective, x: Array) -> Point:
        """The point at x with its Hessian: one kernel gives all three."""
        return Point(x, *objective.hessian(x))

    def direction(self, point: Point) -> Array:
        """−(H + μ I)⁻¹ g with the least μ of a growing sequence that makes the matrix positive definite."""
        assert point.hessian is not None
        matrix = point.hessian
        scale = float(np.abs(matrix).max()) if matrix.size else 1.0
        damping = self.options.damping
        identity = np.eye(len(matrix))
        if not np.isfinite(matrix).all():
            return -point.gradient
        while True:
            damped = matrix + damping * identity if damping else matrix
            try:
                np.linalg.cholesky(damped)
                return np.asarray(np.linalg.solve(damped, -point.gradient))
            except np.linalg.LinAlgError:
                damping = max(10.0 * damping, 1e-10 * scale, 1e-300)

    def advance(self, objective: Objective, point: Point) -> tuple[Point, float]:
        """The next point and the step size; every search starts at the full step."""
        self.length = self.options.rate(1.0)
        return super().advance(objective, point)


def backtrack(evaluate: Callable[[Array], Point], point: Point, direction: Array, length: float) -> tuple[Point, float]:
    """The first of the steps length, length/2, … that decreases the value enough (Armijo); (point, 0) if none does.

    Where the decrease that is asked for is below the rounding of the value, a step that shortens the gradient is taken.
    """
    slope = float(direction @ point.gradient)
    if not slope < 0:
        return point, 0.0
    noise = 8 * EPSILON * max(abs(point.value), 1e-300)
    t = length
    while t > SHORTEST * length:
        fresh = evaluate(point.x + t * direction)
        if fresh.value <= point.value + ARMIJO * t * slope:
            return fresh, t
        if fresh.value <= point.value + noise and fresh.norm < point.norm:
            return fresh, t
        if -t * slope < HOPELESS * noise:
            break
        t /= 2
    return point, 0.0


METHODS: dict[str, type[Descent]] = {"gd": Descent, "momentum": Momentum, "newton": Newton}
