"""The methods of minimisation: each goes, from where it stands, to the next point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct

from symdiff.errors import ArgumentMismatch
from symdiff.training.line_search import search
from symdiff.training.objectives import Objective
from symdiff.training.points import Point, length
from symdiff.training.trust_region import QuadraticModel

Array = np.ndarray[Any, Any]
ENOUGH, GOOD, POOR, SHRINKS = 1e-4, 0.75, 0.25, 0.9
TRIALS = 80
SMALL = 1e-8
FIRST = 0.1


class Options(Struct):
    """What a user may set; None means the method's own default."""

    learning_rate: float | None = None
    momentum: float = 0.9
    decay: float | None = None
    memory: int = 10
    line_search: bool | None = None
    damping: float = 0.0


class Method(ABC):
    """What all methods share; a subclass says how to `advance`."""

    name: ClassVar[str]
    steps: ClassVar[int] = 10_000
    rate: ClassVar[float] = 1.0
    searches: ClassVar[tuple[bool, ...]] = (True, False)

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rate_given = options.learning_rate is not None
        self.learning_rate = self.rate if options.learning_rate is None else options.learning_rate
        wanted = options.line_search
        if wanted is not None and wanted not in self.searches:
            raise ArgumentMismatch(f"line_search={wanted}, but {self.name} {'never' if wanted else 'always'} searches",
                                   where="minimize", mend="leave line_search out")
        self.searching = self.searches[0] if wanted is None else wanted

    def evaluate(self, objective: Objective, x: Array) -> Point:
        """The point at x."""
        return Point(x, *objective.gradient(x))

    @abstractmethod
    def advance(self, objective: Objective, point: Point) -> Point | None:
        """The next point, or None where no step decreases the value."""

    def lowest_curvature(self, objective: Objective, point: Point) -> float:
        """The least eigenvalue of the Hessian if it is known and clearly negative, else 0."""
        return 0.0

    def settled(self, objective: Objective, point: Point, noise: float) -> bool:
        """Whether the value can fall by no more than `noise`, or the gradient is no more than rounding.

        With the slope g = ‖∇f‖ and the curvature c from one more gradient at a distance √ε ‖x‖ downhill, a parabola
        falls by g²/2c, and c ‖x‖ is what g is rounded relative to.  At a kink the gradient jumps within that distance, and
        neither is small.
        """
        slope = point.norm
        if not 0.0 < slope < np.inf:
            return slope == 0.0
        distance = objective.epsilon**0.5 * point.reach
        beyond = self.evaluate(objective, point.x - distance * (point.gradient / slope))
        curvature = (slope - float(beyond.gradient @ (point.gradient / slope))) / distance
        return bool(0.0 < curvature < np.inf and (0.5 * slope * (slope / curvature) <= noise
                                                  or slope <= objective.rounding * curvature * length(point.x)))


class FixedRate(Method):
    """Methods that take every step they propose."""

    searches = (False,)

    @abstractmethod
    def step(self, gradient: Array) -> Array:
        """What to add to the parameters."""

    def advance(self, objective: Objective, point: Point) -> Point | None:
        """The point after the step."""
        return self.evaluate(objective, point.x + self.step(point.gradient))


class GradientDescent(Method):
    """x − t ∇f with t = `learning_rate` where that is given, else with t from a search.

    The search starts at the step of Barzilai and Borwein (IMA Journal of Numerical Analysis 8, 1988, equation 5),
    t = sᵀs / sᵀy with the last step s and the change y of the gradient over it.
    """

    name = "gd"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.searching = not self.rate_given if options.line_search is None else options.line_search
        self.previous: Point | None = None

    def advance(self, objective: Objective, point: Point) -> Point | None:
        """The point after the step."""
        if not self.searching:
            return self.evaluate(objective, point.x - self.learning_rate * point.gradient)
        first = self.first_length(point)
        self.previous = point
        return downhill(self, objective, point, first)

    def first_length(self, point: Point) -> float:
        """How far to go at first."""
        if self.previous is None:
            return self.learning_rate * point.norm if self.rate_given else FIRST * point.reach
        s, y = point.x - self.previous.x, point.gradient - self.previous.gradient
        size = length(s)
        bend = float(s / size @ y) if size else 0.0
        return point.norm * (size / bend) if bend > 0 else size or FIRST * point.reach


def downhill(method: Method, objective: Objective, point: Point, first: float) -> Point | None:
    """A search along the unit vector of the negative gradient; `first` is the length of the first trial."""
    noise = objective.rounding * abs(point.value)
    return search(lambda x: method.evaluate(objective, x), point, -point.gradient / point.norm, first, noise)


class Momentum(FixedRate):
    """The heavy ball: v ← β v − ∇f, x ← x + η v, with η = `learning_rate` and β = `momentum`.

    Source: Polyak, USSR Computational Mathematics and Mathematical Physics 4(5), 1964, equation 9.
    """

    name = "momentum"
    rate = 0.01

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.velocity: Array | float = 0.0

    def step(self, gradient: Array) -> Array:
        """η v after the update of v."""
        self.velocity = self.options.momentum * self.velocity - gradient
        return self.learning_rate * self.velocity


class RMSProp(FixedRate):
    """v ← ρ v + (1 − ρ) ∇f², x ← x − η ∇f / (√v + 1e-8), with ρ = `decay`, 0.9 unless given.

    Source: Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.
    """

    name = "rmsprop"
    rate = 0.001

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.decay = 0.9 if options.decay is None else options.decay
        self.square: Array | float = 0.0

    def step(self, gradient: Array) -> Array:
        """−η ∇f / (√v + 1e-8) after the update of v."""
        self.square = self.decay * self.square + (1 - self.decay) * gradient**2
        return np.asarray(-self.learning_rate * gradient / (np.sqrt(self.square) + SMALL))


class Adam(FixedRate):
    """m ← β₁ m + (1 − β₁) ∇f, v ← β₂ v + (1 − β₂) ∇f², x ← x − η m̂ / (√v̂ + 1e-8).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) correct the bias of the zeros that step t = 1 starts from; β₁ = `momentum` and
    β₂ = `decay`, 0.999 unless given.  Source: Kingma and Ba, ICLR 2015, algorithm 1.
    """

    name = "adam"
    rate = 0.001

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.decay = 0.999 if options.decay is None else options.decay
        self.mean: Array | float = 0.0
        self.square: Array | float = 0.0
        self.count = 0

    def step(self, gradient: Array) -> Array:
        """−η m̂ / (√v̂ + 1e-8) after the updates of m and v."""
        momentum = self.options.momentum
        self.count += 1
        self.mean = momentum * self.mean + (1 - momentum) * gradient
        self.square = self.decay * self.square + (1 - self.decay) * gradient**2
        mean = self.mean / (1 - momentum**self.count)
        square = self.square / (1 - self.decay**self.count)
        return np.asarray(-self.learning_rate * mean / (np.sqrt(square) + SMALL))


class LimitedMemory(Method):
    """L-BFGS: −B ∇f with B, the inverse Hessian's approximation, kept as the last `memory` steps and gradient changes.

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5, with the scaling 7.20.
    """

    name = "lbfgs"
    steps = 1000
    searches = (True,)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.previous: Point | None = None
        self.pairs: deque[tuple[Array, Array, float]] = deque(maxlen=options.memory)

    def advance(self, objective: Objective, point: Point) -> Point | None:
        """The point after the step; where the search along −B ∇f fails, the memory is dropped for −∇f."""
        self.remember(point)
        self.previous = point
        if self.pairs:
            noise = objective.rounding * abs(point.value)
            fresh = search(lambda x: self.evaluate(objective, x), point, -self.product(point.gradient),
                           self.learning_rate, noise)
            if fresh is not None:
                return fresh
            self.pairs.clear()
        return downhill(self, objective, point, FIRST * point.reach)

    def remember(self, point: Point) -> None:
        """Add s = x − x₋₁ and y = ∇f − ∇f₋₁ to the memory, unless the curvature sᵀy is no more than rounding."""
        if self.previous is None:
            return
        s, y = point.x - self.previous.x, point.gradient - self.previous.gradient
        bend = float(s @ y)
        if bend > np.finfo(float).eps * length(s) * length(y):
            self.pairs.append((s, y, bend))

    def product(self, gradient: Array) -> Array:
        """B ∇f by the two loops of algorithm 7.4."""
        q = gradient
        weights = []
        for s, y, bend in reversed(self.pairs):
            weights.append(float(s @ q) / bend)
            q = q - weights[-1] * y
        s, y, bend = self.pairs[-1]
        q = q * (bend / length(y) / length(y))
        for (s, y, bend), weight in zip(self.pairs, reversed(weights), strict=True):
            q = q + (weight - float(y @ q) / bend) * s
        return q


class Newton(Method):
    """Newton's steps −H⁻¹ ∇f within a trust region.

    The step minimises the quadratic model within a ball, which has no bound until a step fails: where H is positive
    definite the first trial is the full step.  A step is taken if the value falls by more than 1e-4 of what the model
    says; else the ball shrinks to a quarter of it.  Where H has a negative eigenvalue the step goes to the edge of the
    ball, along the eigenvector at a saddle; where H is zero it goes along −∇f.  Source: Nocedal and Wright, Numerical
    Optimization, 2nd ed., algorithm 4.1 and section 4.3.
    """

    name = "newton"
    steps = 100

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.radius = np.inf
        self.largest_curvature = 0.0
        self.latest: tuple[Point, QuadraticModel] | None = None

    def evaluate(self, objective: Objective, x: Array) -> Point:
        """The point at x with its Hessian: one kernel gives all three."""
        return Point(x, *objective.hessian(x))

    def model(self, objective: Objective, point: Point) -> QuadraticModel:
        """The quadratic model at the point, not damped; a Hessian with NaN or inf counts as zero."""
        if self.latest is None or self.latest[0] is not point:
            assert point.hessian is not None
            matrix = point.hessian if np.isfinite(point.hessian).all() else np.zeros_like(point.hessian)
            noise = objective.rounding * (point.norm + length(np.abs(matrix) @ np.abs(point.x)))
            self.largest_curvature = max(self.largest_curvature, min(1.0, float(np.abs(matrix).max(initial=0.0))))
            self.latest = (point, QuadraticModel(point.gradient, matrix, objective.epsilon, noise))
        return self.latest[1]

    def lowest_curvature(self, objective: Objective, point: Point) -> float:
        """The least eigenvalue of the Hessian if it is clearly negative, else 0.

        Clearly means by more than √ε times the largest entry of H here, and times that of the run (at most 1).
        """
        if not point.finite:
            return 0.0
        model = self.model(objective, point)
        scale = max(self.largest_curvature, float(np.abs(model.matrix).max(initial=0.0)))
        return model.lowest if model.lowest < -(objective.epsilon**0.5) * scale else 0.0

    def settled(self, objective: Objective, point: Point, noise: float) -> bool:
        """Whether ½ ∇fᵀ H⁻¹ ∇f, the fall over Newton's step, is within `noise`, or ∇f within the rounding of |H| |x|."""
        if not point.finite:
            return False
        step = self.model(objective, point).newton_step
        if step is None or not (step.any() or point.norm == 0.0):
            return self.lowest_curvature(objective, point) == 0.0 and super().settled(objective, point, noise)
        assert point.hessian is not None
        limits = objective.rounding * (np.abs(point.hessian) @ np.abs(point.x))
        return bool(-0.5 * float(point.gradient @ step) <= noise
                    or (np.abs(point.gradient) <= limits).all())

    def advance(self, objective: Objective, point: Point) -> Point | None:
        """The point after the step, or None where the model promises no decrease beyond the rounding of the value."""
        if not point.finite:
            return None
        model = self.model(objective, point)
        if self.options.damping:
            model = QuadraticModel(model.gradient, model.matrix + self.options.damping * np.eye(len(model.matrix)),
                                   model.rounding, model.noise)
        if model.newton_step is None and self.radius == np.inf:
            self.radius = max(point.reach, 1.0)
        noise = objective.rounding * abs(point.value)
        for _ in range(TRIALS):
            step = model.step(self.radius)
            size, promised = length(step), model.decrease(self.learning_rate * step)
            fresh = self.evaluate(objective, point.x + self.learning_rate * step)
            if not self.searching:
                return fresh
            fall = point.value - fresh.value
            if fresh.finite and promised > noise and fall >= ENOUGH * promised:
                if fall < POOR * promised:
                    self.radius = size / 2
                elif fall > GOOD * promised and size > GOOD * self.radius:
                    self.radius *= 2
                return fresh
            if promised <= noise and fresh.finite and fall >= -noise and fresh.norm < SHRINKS * point.norm:
                return fresh
            if promised <= noise or size <= objective.epsilon * length(point.x):
                return None
            self.radius = size / 4
        return None


METHODS: dict[str, type[Method]] = {m.name: m for m in (
    GradientDescent, Momentum, RMSProp, Adam, Newton, LimitedMemory)}
