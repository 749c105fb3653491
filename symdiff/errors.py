"""Every error that symdiff raises on purpose, and the warning that it gives, one class each.

A message has three parts: what is wrong, in which expression (the user's names, shapes and source line), and how to
mend it.  `SymdiffError.__init__` puts them together and adds the user's line where the caller names none, so no caller
formats a message by hand.
"""

from __future__ import annotations

import copyreg
import re
from typing import Any

from symdiff.provenance import user_line


class SymdiffError(Exception):
    """Root of all errors of symdiff and codegen.

    Parameters: `what` is wrong, `where` it is (expression, shapes; the user's line is added), `mend` says how to
    repair it.

    >>> print(SymdiffError("sizes differ", where="X @ w, X is (n, d)", mend="transpose X"))
    sizes differ
      in: X @ w, X is (n, d) at <doctest ...
      mend: transpose X
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, with_line(where), mend
        lines = [what]
        if self.where:
            lines.append(f"  in: {self.where}")
        if mend:
            lines.append(f"  mend: {mend}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> Any:
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


def with_line(where: str) -> str:
    """The second part of a message with the user's line, unless that stands in it already."""
    line = user_line()
    if not line or re.search(re.escape(line) + r"(?!\d)", where):
        return where
    if not where:
        return line
    # Another line is told already: where a symbol was declared, or an expression written.
    return f"{where}{'; called' if re.search(r' at .*:[0-9]+', where) else ''} at {line}"


class ShapeMismatch(SymdiffError, ValueError):
    """Shapes, axes or sizes do not fit together."""


class TypeMismatch(SymdiffError, TypeError):
    """A dtype, or the kind of an argument, is not one that the operation takes."""


class UnknownAttribute(TypeMismatch, AttributeError):
    """An attribute that other libraries' arrays have and expressions have not; an `AttributeError`, so that `hasattr` works."""


class NotDifferentiable(SymdiffError, ValueError):
    """A derivative was asked for that does not exist or is not known; it is never silently zero."""


class DerivativeMismatch(SymdiffError, AssertionError):
    """Symbolic and numeric derivatives part by more than the error estimate allows."""


class ArgumentMismatch(SymdiffError, ValueError):
    """A value given for a symbol does not fit it: name, rank, size, dtype or layout."""


class CannotLower(SymdiffError, NotImplementedError):
    """An expression has no kernel on the chosen target."""


class BackendUnavailable(SymdiffError, RuntimeError):
    """The chosen target cannot run on this machine."""


class ModelFormatError(SymdiffError, ValueError):
    """A saved model cannot be read."""


class CacheWarning(UserWarning):
    """Compiled kernels are not kept on disk, or a kept one is not trusted: it is compiled again, and the numbers are right."""

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(f"{what}\n  mend: {mend}" if mend else what)
