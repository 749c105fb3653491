"""Substitution: symbols of an expression replaced by expressions, numbers or arrays of the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdiff.binding import named_values
from symdiff.errors import ArgumentMismatch
from symdiff.expression import Node, Symbol
from symdiff.fitting import fitted
from symdiff.namesakes import refuse_namesakes
from symdiff.operators.coercion import as_node
from symdiff.traversal import symbols_of, transform
from symdiff.trees import flatten

Tree = Any


def substitute(x: Tree, values: Mapping[Any, Any]) -> Tree:
    """x (an expression or a tree of them) with symbols, given as such or by name, replaced by `values`.

    A value is an expression, a number or an array; it has the shape of the symbol or broadcasts to it, and a dtype that
    the symbol's dtype holds.  All symbols are replaced at once, so two can be exchanged.  Raises `ArgumentMismatch` for
    a name that x does not hold, a symbol of which x holds another with its name, and a symbol that is given twice,
    `ShapeMismatch` and `TypeMismatch` for a value that does not fit.

    >>> import symdiff as sd
    >>> a, b = sd.symbols("a b")
    >>> print(sd.substitute(a - b, {a: b, "b": 2}))
    b - 2
    """
    roots, back = flatten(x, lambda v: not isinstance(v, (list, tuple, dict)), "expression")
    nodes = [as_node(root) for root in roots]
    present = symbols_of(nodes)
    changes: dict[Node, Node] = {}
    for key, value in named_values(values, "substitute").items():
        for symbol in chosen(key, present):
            if symbol in changes:
                raise ArgumentMismatch(f"{symbol.name} is given twice, by symbol and by name", where="substitute",
                                       mend="leave out one of the two")
            changes[symbol] = fitted(value, symbol, f"the value of {symbol.name}", "substitute")
    return back(transform(nodes, changes.get))


def chosen(key: Any, present: list[Symbol]) -> list[Symbol]:
    """The symbols that a key of the mapping names."""
    if isinstance(key, Symbol):
        refuse_namesakes([key], present, "the expression")
        return [key]
    found = [symbol for symbol in present if symbol.name == key]
    if not found:
        names = ", ".join(symbol.name for symbol in present) or "none"
        raise ArgumentMismatch(f"there is no symbol {key!r}", where="substitute", mend=f"the symbols are {names}")
    return found
