"""Inlined: what `Kernel.njit` gives.  Numba takes it for the compiled function, plain Python gets the errors of a kernel."""

from __future__ import annotations

from typing import Any

from symdiff.binding.arguments import Binder


class Inlined:
    """A compiled function that is called from the user's own Numba code, or from Python to try it.

    From Python the arguments are checked and converted as a kernel does it: raises `ArgumentMismatch`.  In compiled code
    a wrong dtype or rank is Numba's own error, a wrong size a `ValueError`.
    """

    def __init__(self, dispatcher: Any, binder: Binder) -> None:
        self.dispatcher, self.binder = dispatcher, binder

    @property
    def _numba_type_(self) -> Any:
        """What Numba sees where its code mentions this object."""
        return self.dispatcher._numba_type_

    def __call__(self, *args: Any) -> Any:
        """The outputs for the inputs in order: one of them, or a tuple."""
        arrays, _ = self.binder.bind(args, {})
        return self.dispatcher(*arrays)
