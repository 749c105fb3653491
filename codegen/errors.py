"""Errors that only code generation raises.  They name a fault of the compiler, not of the user's formula."""

from __future__ import annotations

from symdiff.errors import SymdiffError


class IllegalProgram(SymdiffError, RuntimeError):
    """A program of the loop IR breaks a rule of the language; a pass that made it is wrong."""


class OutOfBounds(SymdiffError, IndexError):
    """The interpreter met an index outside its buffer; in compiled code the same read would return nonsense."""
