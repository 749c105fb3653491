"""Substitution: symbols of an expression replaced by expressions, numbers or arrays of the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdiff.errors import ArgumentMismatch, ShapeMismatch, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.operators.coercion import as_node, broadcast_one, broadcast_shape, describe, to_dtype
from symdiff.provenance import user_line
from symdiff.tensor_type import promote
from symdiff.traversal import symbols_of, transform
from symdiff.trees import flatten

Tree = Any


def substitute(x: Tree, values: Mapping[Any, Any]) -> Tree:
    """x (an expression or a tree of them) with symbols, given as such or by name, replaced by `values`.

    A value is an expression, a number or an array; it has the shape of the symbol or broadcasts to it, and a dtype that
    the symbol's dtype holds.  All symbols are replaced at once, so two can be exchanged.  Raises `ArgumentMismatch` for
    a name that x does not hold, `ShapeMismatch` and `TypeMismatch` for a value that does not fit.

    >>> import symdiff as sd
    >>> a, b = sd.symbols("a b")
    >>> print(sd.substitute(a - b, {a: b, "b": 2}))
    b - 2
    """
    check_mapping(values, "substitute")
    roots, back = flatten(x, lambda v: not isinstance(v, (list, tuple, dict)), "expression")
    nodes = [as_node(root) for root in roots]
    present = symbols_of(nodes)
    changes: dict[Node, Node] = {}
    for key, value in values.items():
        for symbol in chosen(key, present):
            changes[symbol] = fitted(symbol, value)
    return back(transform(nodes, changes.get))


def check_mapping(values: Any, operation: str) -> None:
    """Raise `TypeMismatch` unless the values are given by symbol or by name."""
    if not isinstance(values, Mapping):
        raise TypeMismatch(f"{describe(values)} is no mapping", where=f"{operation} at {user_line()}",
                           mend="give a dict from symbols or their names to values, as in {w: 1.0}")


def chosen(key: Any, present: list[Symbol]) -> list[Symbol]:
    """The symbols that a key of the mapping names."""
    if isinstance(key, Symbol):
        return [key]
    if not isinstance(key, str):
        raise TypeMismatch(f"{describe(key)} is no symbol", where=f"substitute at {user_line()}",
                           mend="use symbols or their names as keys")
    found = [symbol for symbol in present if symbol.name == key]
    if not found:
        names = ", ".join(symbol.name for symbol in present) or "none"
        raise ArgumentMismatch(f"there is no symbol {key!r}", where=f"substitute at {user_line()}",
                               mend=f"the symbols are {names}")
    return found


def fitted(symbol: Symbol, value: Any) -> Node:
    """The value in the shape and dtype of the symbol."""
    node = as_node(value, symbol.dtype)
    where = f"substitute {describe(node)} for {describe(symbol)} at {user_line()}"
    if promote(node.dtype, symbol.dtype) != symbol.dtype:
        raise TypeMismatch(f"{symbol.name} has dtype {symbol.dtype}, but its value has dtype {node.dtype}", where=where,
                           mend=f"convert it: sd.astype(value, {symbol.dtype!r})")
    if node.shape != symbol.shape:
        if node.ndim > symbol.ndim or broadcast_shape("substitute", (node, symbol)) != symbol.shape:
            raise ShapeMismatch(f"{symbol.name} has shape {symbol.type}, but its value is {describe(node)}",
                                where=where, mend="give a value of the same shape, or one that broadcasts to it")
        node = broadcast_one(node, symbol.shape)
    return to_dtype(node, symbol.dtype)
