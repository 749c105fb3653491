"""The one namespace of a generated NumPy function: its arguments, sizes, helper functions and temporaries."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Hashable, Iterator
from itertools import chain

from symdiff.expression import Map, Node, Symbol
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.printing.naming import Distinct, numbered

QUIET = {"tanh", "sin", "cos", "abs", "sigmoid", "softplus", "number", "relu", "atan", "erf", "erfc"}
RESERVED = ("np", "__debug__", *keyword.kwlist)


class Words:
    """Hands out identifiers: who asks first keeps its name wherever Python allows it."""

    def __init__(self) -> None:
        self.words = Distinct(RESERVED)
        self.parts = numbered("t", 1)

    def argument(self, symbol: Symbol) -> str:
        """The argument of a symbol."""
        return self.words.of(symbol, wishes(symbol.name, ""))

    def size(self, name: str) -> str:
        """The variable of a named size: `n`, or `n_size` beside another `n`."""
        return self.words.of(("size", name), wishes(name, "size"))

    def function(self, name: str) -> str:
        """The name of a helper function, or of a constant that helper functions use."""
        return self.words.of(("function", name), wishes(name, ""))

    def inside(self, key: Hashable, letter: str) -> str:
        """A variable for what changes in a loop: the letter, or with a number."""
        return self.words.of(key, chain([letter], numbered(letter)))

    def bound(self, symbol: Node, variable: str) -> str:
        """The variable, for which a symbol of a loop stands from now on."""
        self.words.known[symbol] = variable
        return variable

    def temporary(self, node: object) -> str:
        """A variable t1, t2, … for a part."""
        return self.words.of(("part", node), self.parts)


def wishes(name: str, kind: str) -> Iterator[str]:
    """The name as Python normalises it, then with an underscore and its kind, then with numbers."""
    plain = unicodedata.normalize("NFKC", name)
    yield plain
    yield f"{plain}_{kind}"
    yield from numbered(f"{plain}_{kind}")


def may_warn(node: Map) -> bool:
    """Whether NumPy may warn of values of a function that are no numbers, or infinite."""
    if node.function.name in QUIET:
        return False
    p = base_and_exponent(node)[1]
    return not (node.function.name == "power" and isinstance(p, int) and p > 1)
