"""`evaluate`: the value of expressions by the reference interpreter, for values that users give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdiff.binding import Argument, Binder, argument_of
from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.operators.coercion import as_node
from symdiff.provenance import plain, user_line
from symdiff.reference import evaluate_nodes
from symdiff.substitution import check_mapping
from symdiff.traversal import symbols_of
from symdiff.trees import flatten

Array = Any
Tree = Any


def evaluate(x: Tree, values: Mapping[Any, Any] | None = None) -> Tree:
    """The value of an expression, or of a tree of them, for values of its symbols, given by symbol or by name.

    Values are converted and checked as a compiled kernel does it: raises `ArgumentMismatch` that names the symbol for a
    missing or unknown name, a wrong rank, size or dtype.  Symbols that x does not hold are allowed as keys; they may
    tell sizes.

    >>> import symdiff as sd
    >>> x, A = sd.symbol("x", "n"), sd.symbol("A", ("n", "n"))
    >>> float(sd.evaluate(x @ A @ x, {x: [1.0, 2.0], "A": [[1.0, 0.0], [0.0, 3.0]]}))
    13.0
    """
    roots, back = flatten(x, lambda v: not isinstance(v, (list, tuple, dict)), "expression")
    nodes = [as_node(root) for root in roots]
    given = {} if values is None else values
    check_mapping(given, "evaluate")
    arrays, sizes = bind_symbols(nodes, given)
    return back([array if array.ndim else array[()] for array in evaluate_nodes(nodes, arrays, sizes)])


def bind_symbols(roots: Sequence[Node], values: Mapping[Any, Any], callee: str = "evaluate") -> tuple[
        dict[Node, Array], dict[str, int]]:
    """The arrays of the symbols under the roots and the named sizes; raises `ArgumentMismatch` as `evaluate` does."""
    symbols = symbols_of(roots)
    for key in values:
        if isinstance(key, Symbol):
            symbols += [key] if key not in symbols else []
        elif not isinstance(key, str):
            raise TypeMismatch(f"{plain(key)} is no symbol", where=f"{callee} at {user_line()}",
                               mend="use symbols or their names as keys")
    names = [symbol.name for symbol in symbols]
    for symbol in symbols:
        if names.count(symbol.name) > 1:
            raise ArgumentMismatch(f"two symbols have the name {symbol.name}", where=f"{callee} at {user_line()}",
                                   mend="give each symbol a name of its own, or declare it once")
    named: dict[str, Any] = {}
    for key, value in values.items():
        name = key.name if isinstance(key, Symbol) else key
        if name in named:
            raise ArgumentMismatch(f"{name} is given twice, by symbol and by name", where=f"{callee} at {user_line()}",
                                   mend="leave out one of the two")
        named[name] = value
    arguments: list[Argument] = [argument_of(symbol) for symbol in symbols]
    arrays, sizes = Binder(arguments, callee=callee).bind((), named)
    return dict(zip(symbols, arrays, strict=True)), sizes
