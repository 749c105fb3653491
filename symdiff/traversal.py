"""Walks over expressions: iterative, each node once, children first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.normal_form import add, map_node, product, reduce_node
from symdiff.tensor_type import TensorType


def topological(roots: Iterable[Node], children: Callable[[Node], Sequence[Node]] | None = None) -> list[Node]:
    """Every node under the roots once, children before parents, in an order fixed by the roots."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
            continue
        if node in seen:
            continue
        seen.add(node)
        below = node.children if children is None else children(node)
        if not below:
            order.append(node)
            continue
        stack.append((node, True))
        for child in reversed(below):
            if child not in seen:
                stack.append((child, False))
    return order


def symbols_of(roots: Iterable[Node]) -> list[Symbol]:
    """The symbols under the roots, in order of first appearance."""
    found: list[Symbol] = []
    seen: set[Node] = set()
    stack = list(reversed(list(roots)))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Symbol):
            found.append(node)
        stack.extend(reversed(node.children))
    return found


def rebuild(node: Node, children: Sequence[Node]) -> Node:
    """The node over other children, in normal form; the node itself where they are the same."""
    if all(a is b for a, b in zip(node.children, children, strict=True)):
        return node
    if isinstance(node, Add):
        return add([(c, child) for (c, _), child in zip(node.terms, children, strict=True)], node.type)
    if isinstance(node, Product):
        factors = [(child, at) for (_, at), child in zip(node.factors, children, strict=True)]
        return product(node.coefficient, factors, list(node.out), dict(enumerate(node.extents)), node.type)
    if isinstance(node, Map):
        return map_node(node.function, tuple(children))
    if isinstance(node, Reduce):
        return reduce_node(node.function, children[0], node.axes)
    assert isinstance(node, Apply)
    return Apply(node.operation, tuple(children), node.parameters, TensorType(node.dtype, node.shape))


def transform(roots: Sequence[Node], rule: Callable[[Node], Node | None]) -> list[Node]:
    """The roots with `rule` applied to every node, children first; `rule` gives None for "as it is"."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        fresh = rebuild(node, [done[child] for child in node.children])
        if fresh is not node and fresh.origin is None:
            fresh.origin = node.origin
        changed = rule(fresh)
        done[node] = fresh if changed is None else changed
    return [done[root] for root in roots]


def reaching(roots: Iterable[Node], targets: Iterable[Node]) -> set[Node]:
    """The nodes under the roots that depend on a target."""
    wanted = set(targets)
    found: set[Node] = set()
    for node in topological(roots):
        if node in wanted or any(child in found for child in node.children):
            found.add(node)
    return found
