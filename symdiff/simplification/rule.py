"""What a rule is, the engine that applies rules, and the trace of those that fired."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import is_

from msgspec import Struct

from symdiff.expression import METHODS, VALUE_ASKED, Map, Node, Product, Reduce
from symdiff.settings import debug_level
from symdiff.sizes import typical_value
from symdiff.traversal import rebuilt, topological

LIMIT = 8
# So many times a program may grow under the rules; one of fewer nodes than SHORT may grow as if it had as many.
GROWTH = 2
SHORT = 500
TRANSCENDENTAL = 16
# How far below a node a rule sees, and how many nodes: what a rewrite costs is judged by these alone.
REACH = 6
MOST_SEEN = 200
SELECTIONS = frozenset("where guard number maximum minimum abs sign relu step shift stop_gradient".split())


class Rule(Struct, frozen=True):
    """A named rewrite: `identity` says what it does, `rewrite(node)` gives the new node or None.

    `head` says on which nodes it can fire: the name of a scalar function, or of a kind of node (`Add`, `Product`);
    of the scalar functions in `beside` one must be among the `ingredients` of the node, where the rule asks for any.  A
    rule may raise the cost up to `worth` times where it buys the digits of the result.
    """

    name: str
    identity: str
    rewrite: Callable[[Node], Node | None]
    head: str
    beside: tuple[str, ...] = ()
    worth: float = 1.0


Table = dict[str, tuple[tuple[Rule, ...], frozenset[str]]]
TABLES: dict[tuple[Rule, ...], int] = {}
NOTHING: tuple[tuple[Rule, ...], frozenset[str]] = ((), frozenset())


@lru_cache(maxsize=16)
def table_of(rules: tuple[Rule, ...]) -> Table:
    """The rules by head, in their order, with the functions of which a node must hold one (none: some rule asks for none)."""
    found: Table = {}
    for head in dict.fromkeys([rule.head for rule in rules]):
        those = tuple(rule for rule in rules if rule.head == head)
        every = all(rule.beside for rule in those)
        found[head] = those, frozenset(name for rule in those if every for name in rule.beside)
    return found


def ingredients(node: Node) -> set[str]:
    """The scalar functions among the children of a node, also those that stand in a power or a product there."""
    names: set[str] = set()
    for child in node.children:
        below = child.children if child.__class__ is Product else (child,)
        for part in below:
            if part.__class__ is Map:
                name = part.function.name
                names.add(name)
                if name == "power":
                    base = part.children[0]
                    if base.__class__ is Map:
                        names.add(base.function.name)
    return names


def apply_rules(roots: Sequence[Node], rules: tuple[Rule, ...]) -> list[Node]:
    """The roots with the rules applied, children first, until nothing changes (at most LIMIT sweeps).

    A rewrite that would raise the cost of its node, beyond what the rule is worth, is refused; and so is a sweep after
    which a long program would have grown GROWTH times, by rewrites that looked cheap where each of them stood.
    """
    settled, held, _ = marks_of(rules)
    current = before = list(roots)
    most = 0
    for sweeps in range(LIMIT + 1 if rules else 0):
        order = topological(current, lambda n: () if n.settled & settled else n.children)
        most = most or GROWTH * max(len(order), SHORT)
        if len(order) > most:
            for node in topological(before):
                node.settled |= held
            return before
        fresh = sweep(current, order, rules) if sweeps < LIMIT else current
        if all(map(is_, fresh, current)):
            break
        before, current = current, fresh
    return current


def sweep(roots: Sequence[Node], order: Sequence[Node], rules: tuple[Rule, ...]) -> list[Node]:
    """The roots with the rules applied once to every node of an order, children first.

    A node on which no rule fires, nor on any below it, is marked as settled: no later sweep looks at it again.
    """
    table = table_of(rules)
    done: dict[Node, Node] = {}
    settled, held, tried = marks_of(rules)
    for node in order:
        if node.settled & settled:
            continue
        fresh = rebuilt(node, done) if done else node
        made = None if fresh.settled & tried else rewritten(fresh, table)
        if made is not None:
            made.origin = made.origin or node.origin
            fresh = made
        else:
            fresh.settled |= tried
            if fresh is node or all([child.settled & settled for child in fresh.children]):
                fresh.settled |= held
        if fresh is not node:
            done[node] = fresh
    return [done.get(root, root) for root in roots]


def rewritten(node: Node, table: Table) -> Node | None:
    """What the first rule of a table that fires on a node makes of it, where that does not cost too much."""
    rules, asked = table.get(node.function.name if node.__class__ is Map else node.__class__.__name__, NOTHING)
    if not rules:
        return None
    names = ingredients(node)
    if asked and asked.isdisjoint(names):
        return None
    for rule in rules:
        made = rule.rewrite(node) if not rule.beside or not names.isdisjoint(rule.beside) else None
        if made is not None and made is not node and not costs_more(made, node, rule.worth):
            if debug_level() >= 2:
                report(rule, node, made)
            return made
    return None


def marks_of(rules: tuple[Rule, ...]) -> tuple[int, int, int]:
    """The bits of `Node.settled` for these rules: that of "settled", those to set with it, that of "no rule fires here".

    With a table every other one seen so far that holds none but its rules is settled.
    """
    place = 2 * TABLES.setdefault(rules, len(TABLES)) + 1
    held = sum([VALUE_ASKED << 2 * k + 1 for table, k in TABLES.items() if set(table) <= set(rules)])
    return VALUE_ASKED << place, held, VALUE_ASKED << place + 1


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
    most = worth * sum(map(node_cost, old))
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
            if added > most:
                return True
            stack.extend(node.children)
    return added > worth * sum([node_cost(node) for node in old if node not in kept])


def nearby(node: Node) -> dict[Node, int]:
    """The nodes that a rule can see from a node: those at most REACH steps below it, the nearest where they are many."""
    found = {node: 0}
    for now in (queue := [node]):
        if found[now] < REACH and len(found) < MOST_SEEN:
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
