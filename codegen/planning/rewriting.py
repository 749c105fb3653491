"""Plans are rewritten node by node, children first, as they are written: the normal form would merge what planning parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_

from symdiff.expression import Add, Apply, Map, Node, Product, Reduce
from symdiff.normal_form.steps import keep_steps
from symdiff.traversal import topological


def rewritten(roots: Sequence[Node], change: Callable[[Node], Node]) -> list[Node]:
    """The roots with every node changed, over children that are."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        done[node] = change(over(node, [done[child] for child in node.children]))
    return [done[root] for root in roots]


def over(node: Node, children: Sequence[Node]) -> Node:
    """The node over other children, its steps kept; the node itself where they are its own."""
    fresh = as_written(node, children)
    if fresh is not node:
        keep_steps(fresh, node, children)
    return fresh


def as_written(node: Node, children: Sequence[Node]) -> Node:
    """The node over other children, without its steps; the node itself where they are its own."""
    if all(map(is_, children, node.children)):
        return node
    if isinstance(node, Add):
        return Add(tuple([(c, child) for (c, _), child in zip(node.terms, children, strict=True)]), node.type)
    if isinstance(node, Product):
        factors = tuple([(child, at) for (_, at), child in zip(node.factors, children, strict=True)])
        return Product(node.coefficient, factors, node.out, node.extents, node.type)
    if isinstance(node, Reduce):
        return Reduce(node.function, children[0], node.axes, node.type)
    if isinstance(node, Apply):
        return Apply(node.operation, tuple(children), node.parameters, node.type)
    assert isinstance(node, Map)
    return Map(node.function, tuple(children), node.type)
