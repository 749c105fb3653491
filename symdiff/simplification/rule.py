"""What a rule is, the engine that applies rules, and the trace of those that fired."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_

from symdiff.expression import METHODS, Map, Node, Product, Reduce
from symdiff.settings import debug_level
from symdiff.sizes import typical_value
from symdiff.traversal import rebuild, topological

LIMIT = 8
TRANSCENDENTAL = 16
REACH = 6
SELECTIONS = frozenset("where guard number maximum minimum abs sign relu step shift stop_gradient".split())


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rewrite: `identity` says what it does, `rewrite(node)` gives the new node or None.

    `head` says on which nodes it can fire: the name of a scalar function, or of a kind of node (`Add`, `Product`);
    `beside` is a scalar function that must be among the children, where the rule asks for one.  A rule may raise the
    cost up to `worth` times where it buys the digits of the result.
    """

    name: str
    identity: str
    rewrite: Callable[[Node], Node | None]
    head: str
    beside: str = ""
    worth: float = 1.0


TABLES: dict[tuple[Rule, ...], int] = {}


@lru_cache(maxsize=16)
def table_of(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    """The rules by head, in their order."""
    heads = dict.fromkeys([rule.head for rule in rules])
    return {head: tuple(rule for rule in rules if rule.head == head) for head in heads}


def apply_rules(roots: Sequence[Node], rules: tuple[Rule, ...]) -> list[Node]:
    """The roots with the rules applied, children first, until nothing changes (at most LIMIT sweeps).

    A rewrite that would raise the cost of its node, beyond what the rule is worth, is refused.
    """
    current = list(roots)
    for _ in range(LIMIT if rules else 0):
        fresh = sweep(current, rules)
        if all(map(is_, fresh, current)):
            break
        current = fresh
    return current


def sweep(roots: Sequence[Node], rules: tuple[Rule, ...]) -> list[Node]:
    """The roots with the rules applied once to every node, children first.

    A node on which no rule fires, nor on any below it, is marked as settled: no later sweep looks at it again.
    """
    verbose = debug_level() >= 2
    table = table_of(rules)
    done: dict[Node, Node] = {}
    mark = mark_of(rules)
    bit = 1 << TABLES[rules]
    for node in topological(roots, lambda n: () if n.settled & bit else n.children):
        if node.settled & bit:
            continue
        fresh = node
        for child in node.children:
            if child in done:
                fresh = rebuild(node, [done.get(c, c) for c in node.children])
                if fresh is not node and fresh.origin is None:
                    fresh.origin = node.origin
                break
        head = fresh.function.name if fresh.__class__ is Map else fresh.__class__.__name__
        if head in table:
            names = {child.function.name for child in fresh.children if child.__class__ is Map}
            for rule in table[head]:
                changed = rule.rewrite(fresh) if not rule.beside or rule.beside in names else None
                if changed is not None and changed is not fresh and not costs_more(changed, fresh, rule.worth):
                    if verbose:
                        report(rule, fresh, changed)
                    changed.origin = changed.origin or node.origin
                    fresh = changed
                    break
        if fresh is not node:
            done[node] = fresh
        else:
            node.settled |= mark
    return [done.get(root, root) for root in roots]


def mark_of(rules: tuple[Rule, ...]) -> int:
    """The bits that say "settled" for these rules, and for every table seen so far that holds no others."""
    TABLES.setdefault(rules, len(TABLES))
    return sum([1 << k for table, k in TABLES.items() if set(table) <= set(rules)])


def report(rule: Rule, before: Node, after: Node) -> None:
    """One line of the trace: the rule, its identity, what it was applied to, where that was written, and the result."""
    where = f" at {before.origin}" if before.origin else ""
    print(f"symdiff: {rule.name}: {rule.identity}: `{brief(before)}` → `{brief(after)}`{where}", file=sys.stderr)


def brief(node: Node) -> str:
    """The formula of a node on one short line."""
    text: str = METHODS["str"](node).split("\n")[0] if "str" in METHODS else type(node).__name__
    return text if len(text) <= 60 else text[:59] + "…"


def costs_more(after: Node, before: Node, worth: float = 1.0) -> bool:
    """Whether a rewrite raises the cost `worth` times: what it adds against what it no longer needs, near the two nodes."""
    old = nearby(before)
    added = 0
    kept: set[Node] = set()
    stack = [after]
    while stack:
        node = stack.pop()
        if node in kept:
            continue
        kept.add(node)
        if node in old:
            stack.extend([child for child in node.children if child in old])
        else:
            added += node_cost(node)
            stack.extend(node.children)
    return added > worth * sum([node_cost(node) for node in old if node not in kept])


def nearby(node: Node) -> dict[Node, int]:
    """The nodes that a rule can see from a node: those at most REACH steps below it."""
    found = {node: 0}
    for now in (queue := [node]):
        if found[now] < REACH:
            for child in now.children:
                if child not in found:
                    found[child] = found[now] + 1
                    queue.append(child)
    return found


def cost(roots: Sequence[Node]) -> int:
    """Operations to evaluate the roots, each node once, at typical sizes."""
    return sum(node_cost(node) for node in topological(roots))


def node_cost(node: Node) -> int:
    """Operations to evaluate one node from its children, at typical sizes."""
    elements = 1
    for size in node.shape:
        elements *= typical_value(size)
    if isinstance(node, Map):
        row = node.function
        costly = row.name == "power" or not (row.infix or row.name in SELECTIONS)
        return elements * (TRANSCENDENTAL if costly else 1)
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
