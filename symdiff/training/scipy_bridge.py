"""The bridge to `scipy.optimize.minimize`: a loss as functions of one flat vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symdiff.training.objectives import Objective

Array = np.ndarray[Any, Any]
Tree = Any


class ScipyObjective:
    """`fun`, `jac`, `hess`, `hessp`, `x0` for `scipy.optimize.minimize`; `unflatten` gives a vector's tree back.

    Raises `ArgumentMismatch` for a vector that is not real or has not as many entries as the parameters together.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.x0: Array = objective.start
        self.latest: tuple[Array, float, Array] | None = None

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Both at x; SciPy asks for them one after the other, so the latest pair is kept."""
        vector = self.objective.vector(x, "x")
        if self.latest is None or not np.array_equal(self.latest[0], vector):
            self.latest = (vector.copy(), *self.objective.gradient(vector))
        return self.latest[1], self.latest[2]

    def fun(self, x: Array) -> float:
        """The value at x."""
        return self.value_and_gradient(x)[0]

    def jac(self, x: Array) -> Array:
        """The gradient at x."""
        return self.value_and_gradient(x)[1].copy()

    def hess(self, x: Array) -> Array:
        """The Hessian at x."""
        return self.objective.hessian(self.objective.vector(x, "x"))[2]

    def hessp(self, x: Array, v: Array) -> Array:
        """The Hessian at x times v, without the Hessian."""
        return self.objective.product(self.objective.vector(x, "x"), self.objective.vector(v, "v"))

    def unflatten(self, x: Array) -> Tree:
        """A vector in the structure of the parameters."""
        return self.objective.tree(self.objective.vector(x, "x"))


def scipy_objective(loss: Any, wrt: Tree, data: Mapping[Any, Any] | None = None, start: Tree = None, *,
                    seed: int | None = None, spread: float = 1.0, target: str = "cpu") -> ScipyObjective:
    """The loss for SciPy: `s = scipy_objective(...)`, then `minimize(s.fun, s.x0, jac=s.jac, hess=s.hess)`.

    Arguments are those of `sd.minimize`.  Kernels are compiled when they are first asked for.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", 2)
    >>> s = scipy_objective(sd.sum(x**4), {"x": x}, start={"x": [1.0, 2.0]}, target="interpreter")
    >>> s.fun(s.x0), s.jac(s.x0), s.hessp(s.x0, s.x0)
    (17.0, array([ 4., 32.]), array([12., 96.]))
    """
    return ScipyObjective(Objective("scipy_objective", loss, wrt, data, start, seed=seed, spread=spread, target=target))
