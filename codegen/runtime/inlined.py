"""Inlined: what `Kernel.njit` gives.  Numba takes it for the compiled function, plain Python gets the errors of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.binding.arguments import Argument, Binder


class Inlined:
    """A compiled function that is called from the user's own Numba code, or from Python to try it.

    From Python the arguments are checked and converted as a kernel does it: raises `ArgumentMismatch`.  In compiled code
    a wrong dtype or rank is Numba's own error, a wrong size a `ValueError`.
    """

    def __init__(self, dispatcher: Any, binder: Binder) -> None:
        self.dispatcher, self.binder = dispatcher, binder
        self.entry = with_numbers(dispatcher, binder.arguments)

    @property
    def _numba_type_(self) -> Any:
        """What Numba sees where its code mentions this object."""
        return self.entry._numba_type_

    def __call__(self, *args: Any) -> Any:
        """The outputs for the inputs in order: one of them, or a tuple."""
        arrays, _ = self.binder.bind(args, {})
        return self.dispatcher(*arrays)


def with_numbers(dispatcher: Any, arguments: Sequence[Argument]) -> Any:
    """The compiled function with numbers for sizes that are told, where it takes arrays as long."""
    if not any(a.is_size for a in arguments):
        return dispatcher
    import numba

    names = [f"p{k}" for k in range(len(arguments))]
    given = [f"np.empty({name}, np.bool_)" if a.is_size else name for name, a in zip(names, arguments, strict=True)]
    namespace = {"run": dispatcher, "np": np}
    source = f"def inline({', '.join(names)}):\n    return run({', '.join(given)})\n"
    exec(compile(source, "<symdiff inline>", "exec"), namespace)
    return numba.njit(error_model="numpy")(namespace["inline"])
