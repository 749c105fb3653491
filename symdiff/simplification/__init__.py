"""Simplification: named rules, applied in named phases."""

from symdiff.simplification.phases import PHASES, before_differentiation, simplify

__all__ = ["PHASES", "before_differentiation", "simplify"]
