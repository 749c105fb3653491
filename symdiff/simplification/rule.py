"""What a rule is, the engine that applies rules, and the trace of those that fired."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symdiff.sizes import typical_value
from symdiff.expression import Map, Node, Product, Reduce
from symdiff.traversal import topological, transform

LIMIT = 8
TRANSCENDENTAL = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rewrite: `identity` says what it does, `rewrite(node)` gives the new node or None.

    `sample` builds an expression on which the rule fires, from scalars and vectors: tests draw values for it.
    """

    name: str
    identity: str
    rewrite: Callable[[Node], Node | None]


TRACE: list[tuple[str, str]] = []


def apply_rules(roots: Sequence[Node], rules: Sequence[Rule]) -> list[Node]:
    """The roots with the rules applied, children first, until nothing changes (at most LIMIT sweeps).

    A rewrite that would raise the cost of its node is refused.
    """
    verbose = int(os.environ.get("SYMDIFF_DEBUG", "0") or 0) >= 2

    def rewrite(node: Node) -> Node | None:
        for rule in rules:
            changed = rule.rewrite(node)
            if changed is not None and changed is not node and cost([changed]) <= cost([node]):
                if verbose:
                    print(f"symdiff: {rule.name}: {rule.identity}", file=sys.stderr)
                changed.origin = changed.origin or node.origin
                return changed
        return None
    current = list(roots)
    for _ in range(LIMIT):
        fresh = transform(current, rewrite)
        if all(a is b for a, b in zip(fresh, current, strict=True)):
            break
        current = fresh
    return current


def cost(roots: Sequence[Node]) -> int:
    """Operations to evaluate the roots, each node once, at typical sizes."""
    return sum(node_cost(node) for node in topological(roots))


def node_cost(node: Node) -> int:
    """Operations to evaluate one node from its children, at typical sizes."""
    elements = 1
    for size in node.shape:
        elements *= typical_value(size)
    if isinstance(node, Map):
        exponent = node.function.name == "power" or not node.function.infix
        return elements * (TRANSCENDENTAL if exponent else 1)
    if isinstance(node, Reduce):
        total = 1
        for size in node.arg.shape:
            total *= typical_value(size)
        return total
    if isinstance(node, Product):
        total = 1
        for size in node.extents:
            total *= typical_value(size)
        return total * max(len(node.factors), 1)
    return elements * max(len(node.children), 1)
