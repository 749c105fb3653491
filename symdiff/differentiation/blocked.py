"""Dependence without a derivative: what reaches a symbol only through integers and truth values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from symdiff.differentiation.rules import passes, unknown
from symdiff.expression import Map, Node
from symdiff.loops import FINAL, is_scan, loop_of, split_args
from symdiff.traversal import topological


def refuse_blocked(root: Node, targets: Sequence[Node]) -> None:
    """Raise `NotDifferentiable` where the root depends on a target, but only through values that carry no derivative.

    A comparison beside a differentiable path (a mask, the condition of a `where`) is no obstacle, and `stop_gradient` says
    that zero is meant.
    """
    open_nodes = set(topological([root], open_children))
    hidden = [t for t in targets if t not in open_nodes]
    if not hidden:
        return
    touched = set(hidden)
    for node in topological([root], meant_children):
        if any(child in touched for child in meant_children(node)):
            touched.add(node)
            if not passes(node):
                raise unknown(node, f"the only way to {names_in(node, hidden)} is through a value of dtype {node.dtype}, "
                                    "which has no derivative")
            if is_scan(node) and not touched.intersection(open_children(node)):
                raise unknown(node, f"in this loop the only way to {names_in(node, hidden)} is through integers or truth values, "
                                    "which have no derivative")


def open_children(node: Node) -> tuple[Node, ...]:
    """The children through which a derivative can pass."""
    if is_scan(node):
        return tuple([arg for arg in reached_arguments(node, open_children) if passes(arg)])
    return tuple([child for child in meant_children(node) if passes(child)])


def meant_children(node: Node) -> tuple[Node, ...]:
    """The children by which the value varies smoothly, or is meant to.

    Left out are what the user stopped, conditions, and the truth values that derivatives of kinks are made of: their own
    derivative is zero almost everywhere.
    """
    if isinstance(node, Map):
        if node.function.name in ("stop_gradient", "shift", "guard", "number"):
            return ()
        if "select" in node.function.traits:
            return node.args[1:]
    return reached_arguments(node, meant_children) if is_scan(node) else node.children


def reached_arguments(node: Node, children: Callable[[Node], Sequence[Node]]) -> tuple[Node, ...]:
    """The arguments of a loop that one of its results depends on, in whichever turn, by `children` in its body."""
    loop, kind, k = loop_of(node)
    inits, xs, outside = split_args(loop, node.children)
    found: set[Node] = {loop.carries[k]} if kind == FINAL else set()
    pending = [loop.nexts[k] if kind == FINAL else loop.stacks[k]]
    while pending:
        fresh = set(topological(pending, children)) - found
        found |= fresh
        pending = [new for carry, new in zip(loop.carries, loop.nexts, strict=True) if carry in fresh and new not in found]
    symbols = (*loop.carries, *loop.slices, *loop.invariants)
    return tuple([arg for symbol, arg in zip(symbols, (*inits, *xs, *outside), strict=True) if symbol in found])


def names_in(node: Node, symbols: Iterable[Node]) -> str:
    """The names of those of some symbols that a node holds."""
    held = set(topological([node], meant_children))
    return ", ".join(str(symbol) for symbol in symbols if symbol in held)
