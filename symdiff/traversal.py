"""Walks over expressions: iterative, each node once, children first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import Any

from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.normal_form import add, map_node, product, put_together, reduce_node
from symdiff.tensor_type import TensorType


def topological(roots: Iterable[Node], children: Callable[[Node], Sequence[Node]] | None = None) -> list[Node]:
    """Every node under the roots once, children before parents, in an order fixed by the roots."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = [*roots][::-1]  # type: ignore[assignment]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())  # type: ignore[arg-type]
            continue
        if node in seen:
            continue
        seen.add(node)
        below = node.children if children is None else children(node)
        if not below:
            order.append(node)
            continue
        stack.append(node)
        stack.append(None)
        for child in reversed(below):
            if child not in seen:
                stack.append(child)
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
    if all(map(is_, node.children, children)):
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


def rebuilt(node: Node, done: dict[Node, Node]) -> Node:
    """The node over what its children have become; the node itself where `done` tells of none."""
    if not changes(node, done):
        return node
    parts = become_parts(node, done)
    fresh = rebuild(node, [done.get(child, child) for child in node.children])
    if fresh is not node:
        if fresh.origin is None:
            fresh.origin = node.origin
        if parts is not None and fresh.__class__ is node.__class__:
            put_together(fresh, *parts)  # type: ignore[arg-type]
    return fresh


def parts_of(node: Node) -> Sequence[Node]:
    """The nodes of which a sum or a product was put together, as far as it knows."""
    if node.__class__ is Add:
        total: Add = node
        return [part for _, part in total.written or ()]
    if node.__class__ is Product:
        term: Product = node
        return [part for part, _ in term.written[1]] if term.written is not None else ()
    return ()


def become_parts(node: Node, done: dict[Node, Node]) -> tuple[Any, list[Node]] | None:
    """What the parts of which a node was put together have become, as its `written` and in a row.

    Nothing but the parts themselves may have led a walk here, so that a part may miss a change far below: who uses `written`
    makes sure that the node is the sum or the product of it.
    """
    if node.__class__ is Add:
        total: Add = node
        if total.written is not None:
            terms = tuple([(c, become(part, done)) for c, part in total.written])
            return terms, [part for _, part in terms]
    elif node.__class__ is Product:
        term: Product = node
        if term.written is not None:
            c, written = term.written
            factors = tuple([(become(part, done), at) for part, at in written])
            return (c, factors), [part for part, _ in factors]
    return None


def become(part: Node, done: dict[Node, Node]) -> Node:
    """What a part has become: a walk need not have come by, nor by the parts of which it was put together itself."""
    if part in done or not changes(part, done):
        return done.get(part, part)
    for node in topological([part], lambda n: [p for p in parts_of(n) if p not in done and changes(p, done)]):
        done[node] = rebuilt(node, done)
    return done[part]


def changes(node: Node, done: dict[Node, Node]) -> bool:
    """Whether a child has become something else."""
    return any([child in done for child in node.children])


def transform(roots: Sequence[Node], rule: Callable[[Node], Node | None]) -> list[Node]:
    """The roots with `rule` applied to every node, children first; `rule` gives None for "as it is"."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        fresh = rebuilt(node, done)
        changed = rule(fresh)
        if changed is not None:
            done[node] = changed
        elif fresh is not node:
            done[node] = fresh
    return [done.get(root, root) for root in roots]


def reaching(order: Iterable[Node], targets: Iterable[Node]) -> set[Node]:
    """The targets, and the nodes of `order` (children first) that depend on one."""
    found = set(targets)
    for node in order:
        for child in node.children:
            if child in found:
                found.add(node)
                break
    return found
