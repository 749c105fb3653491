"""Binding: the values that a call gives become arrays in order, and the sizes that their shapes tell.

The reference (`symdiff.evaluation`) and compiled kernels bind the same way, with the same errors.
"""

from symdiff.binding.arguments import Argument, Binder, argument_of, named_values, values_by_name
from symdiff.binding.demands import size_demands

__all__ = ["Argument", "Binder", "argument_of", "named_values", "size_demands", "values_by_name"]
