"""Walks over expressions: iterative, each node once, children first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import is_

from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.normal_form import add, map_node, product, reduce_node
from symdiff.normal_form.steps import keep_steps
from symdiff.tensor_type import TensorType


def topological(roots: Iterable[Node], children: Callable[[Node], Sequence[Node]] | None = None) -> list[Node]:
    """Every node under the roots once, children before parents, in an order fixed by the roots."""
    order: list[Node] = []
    seen: set[Node] = set()
    # The nodes whose children are being visited, each with what its own parent has left to visit.
    above: list[tuple[Node, Iterator[Node]]] = []
    rest = iter(roots)
    while True:
        for node in rest:
            if node in seen:
                continue
            seen.add(node)
            below = node.children if children is None else children(node)
            if below:
                above.append((node, rest))
                rest = iter(below)
                break
            order.append(node)
        else:
            if not above:
                return order
            node, rest = above.pop()
            order.append(node)


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
    if all(map(is_, node.children, children)):
        return node
    if isinstance(node, (Add, Product)):
        if isinstance(node, Add):
            fresh = add([(c, child) for (c, _), child in zip(node.terms, children, strict=True)], node.type)
        else:
            factors = [(child, at) for (_, at), child in zip(node.factors, children, strict=True)]
            fresh = product(node.coefficient, factors, list(node.out), dict(enumerate(node.extents)), node.type)
        keep_steps(fresh, node, children)
        return fresh
    if isinstance(node, Map):
        return map_node(node.function, tuple(children))
    if isinstance(node, Reduce):
        return reduce_node(node.function, children[0], node.axes)
    assert isinstance(node, Apply)
    return Apply(node.operation, tuple(children), node.parameters, TensorType(node.dtype, node.shape))


def rebuilt(node: Node, done: dict[Node, Node]) -> Node:
    """The node over what its children have become; the node itself where `done` tells of none."""
    for child in node.children:
        if child in done:
            break
    else:
        return node
    fresh = rebuild(node, [done.get(child, child) for child in node.children])
    if fresh is not node and fresh.origin is None:
        fresh.origin = node.origin
    return fresh


def transform(roots: Sequence[Node], rule: Callable[[Node], Node | None]) -> list[Node]:
    """The roots with `rule` applied to every node, children first; `rule` gives None for "as it is"."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        fresh = rebuilt(node, done) if done else node
        changed = rule(fresh)
        if changed is not None:
            done[node] = changed
        elif fresh is not node:
            done[node] = fresh
    return [done.get(root, root) for root in roots]


def reaching(order: Iterable[Node], targets: Iterable[Node], read: Mapping[Node, Node] | None = None) -> set[Node]:
    """The targets, and the nodes of `order` (children first) that depend on one; `read` has each as what it is read as."""
    found = set(targets)
    for node in order:
        for child in (node if read is None else read[node]).children:
            if child in found:
                found.add(node)
                break
    return found
