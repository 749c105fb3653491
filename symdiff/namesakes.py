"""Namesakes: different symbols of one name, told apart by dtype, shape and facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symdiff.errors import ArgumentMismatch
from symdiff.expression import Symbol
from symdiff.tensor_type import shape_text


def signature(symbol: Symbol) -> str:
    """A symbol as errors tell it from its namesakes.

    >>> from symdiff.tensor_type import TensorType
    >>> signature(Symbol("w", TensorType("float64", (3,)), ("positive",)))
    'w of float64 (3,), positive'
    """
    return ", ".join([f"{symbol.name} of {symbol.dtype} {shape_text(symbol.shape)}", *symbol.facts])


def refuse_namesakes(wanted: Iterable[Symbol], present: Sequence[Symbol], what: str) -> None:
    """Raise `ArgumentMismatch` for a symbol that is not present, while another of its name is, in `what`."""
    known = set(present)
    for symbol in wanted:
        for other in present:
            if other.name == symbol.name and symbol not in known:
                raise ArgumentMismatch(
                    f"{signature(symbol)} does not stand in {what}, but {signature(other)} does",
                    mend=f"declare {symbol.name} once, and use that symbol everywhere")


def refuse_doubles(symbols: Iterable[Symbol]) -> None:
    """Raise `ArgumentMismatch` for two different symbols of one name."""
    seen: dict[str, Symbol] = {}
    for symbol in symbols:
        other = seen.setdefault(symbol.name, symbol)
        if other is not symbol:
            raise ArgumentMismatch(f"two symbols have the name {symbol.name}: {signature(other)}; {signature(symbol)}",
                                   mend=f"give each a name of its own, or declare {symbol.name} once")
