"""Numeric derivatives of the reference, by which symbolic ones are checked: complex step, differences, kinks."""

from symdiff.numeric.complex_field import COMPLEX, NotAnalytic
from symdiff.numeric.kinks import Kink, nearest_kink
from symdiff.numeric.steps import Column, Function, partials

__all__ = ["COMPLEX", "Column", "Function", "Kink", "NotAnalytic", "nearest_kink", "partials"]
