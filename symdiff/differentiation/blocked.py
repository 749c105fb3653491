"""Dependence without a derivative: what reaches a symbol only through integers and truth values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symdiff.differentiation.rules import passes, unknown
from symdiff.expression import Map, Node
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
                raise unknown(node, f"the only way to {names(hidden)} is through a value of dtype {node.dtype}, "
                                    "which has no derivative")


def open_children(node: Node) -> tuple[Node, ...]:
    """The children through which a derivative can pass."""
    return tuple(child for child in meant_children(node) if passes(child))


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
    return node.children


def names(targets: Iterable[Node]) -> str:
    """The names of symbols."""
    return ", ".join(str(t) for t in targets)
