"""Derivatives: one reverse sweep, one forward walk, and what is composed of them."""

from symdiff.differentiation.derivatives import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
