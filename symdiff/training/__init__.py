"""Fitting: minimisation of a loss over trees of parameters, with compiled value, gradient and Hessian."""

from symdiff.training.minimization import minimize
from symdiff.training.results import Result, Step
from symdiff.training.scipy_bridge import ScipyObjective, scipy_objective

__all__ = ["Result", "ScipyObjective", "Step", "minimize", "scipy_objective"]
