"""Binding of calls, which `symdiff.binding` holds for the reference and for kernels alike."""

from symdiff.binding.arguments import Argument, Binder, argument_of

__all__ = ["Argument", "Binder", "argument_of"]
