"""Binding: the values that a call gives become arrays in order, and the sizes that their shapes tell.

The reference (`symdiff.evaluation`) and compiled kernels bind the same way, with the same errors.
"""

from symdiff.binding.arguments import Argument, Binder, argument_of, named_values, refuse_inner, values_by_name
from symdiff.binding.demands import Demands, demands_of
from symdiff.binding.told_sizes import told_size

__all__ = ["Argument", "Binder", "Demands", "argument_of", "demands_of", "named_values", "refuse_inner", "told_size",
           "values_by_name"]
