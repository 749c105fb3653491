"""`evaluate`: the value of expressions by the reference interpreter, for values that users give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.binding import Argument, Binder, argument_of, demands_of, refuse_inner, told_size, values_by_name
from symdiff.expression import Node, Symbol
from symdiff.namesakes import refuse_doubles
from symdiff.operators.coercion import as_node
from symdiff.reference import evaluate_nodes
from symdiff.sizes import NAMED, dim
from symdiff.traversal import symbols_of
from symdiff.trees import flatten

Array = Any
Tree = Any


def evaluate(x: Tree, values: Mapping[Any, Any] | None = None) -> Tree:
    """The value of an expression, or of a tree of them, for values of its symbols, given by symbol or by name.

    Values are converted and checked as a compiled kernel does it: raises `ArgumentMismatch` that names the symbol for a
    missing or unknown name, a wrong rank, size or dtype.  Symbols that x does not hold are allowed as keys; they may
    tell sizes.  So may sizes, with a number.

    >>> import symdiff as sd
    >>> x, A = sd.symbol("x", "n"), sd.symbol("A", ("n", "n"))
    >>> float(sd.evaluate(x @ A @ x, {x: [1.0, 2.0], "A": [[1.0, 0.0], [0.0, 3.0]]}))
    13.0
    """
    roots, back = flatten(x, lambda v: not isinstance(v, (list, tuple, dict)), "expression")
    nodes = [as_node(root) for root in roots]
    arrays, sizes = bind_symbols(nodes, {} if values is None else values)
    # Copies: a result may be the array of a symbol, or of another result.
    return back([np.array(array) if array.ndim else array[()] for array in evaluate_nodes(nodes, arrays, sizes)])


def bind_symbols(roots: Sequence[Node], values: Mapping[Any, Any], callee: str = "evaluate") -> tuple[
        dict[Node, Array], dict[str, int]]:
    """The arrays of the symbols under the roots and the named sizes; raises `ArgumentMismatch` as `evaluate` does."""
    symbols = symbols_of(roots)
    refuse_inner(symbols)
    named = values_by_name(values, callee)
    symbols += [key for key in values if isinstance(key, Symbol) and not any(key is s for s in symbols)]
    names = {symbol.name for symbol in symbols}
    symbols += [told_size(dim(name)) for name in named if name in NAMED and name not in names]
    refuse_doubles(symbols)
    arguments: list[Argument] = [argument_of(symbol) for symbol in symbols]
    arrays, sizes = Binder(arguments, callee=callee, demands=demands_of(roots)).bind((), named)
    return dict(zip(symbols, arrays, strict=True)), sizes
