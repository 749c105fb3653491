"""Joint sums: what is added at several computed positions of one table is added up there.

before:  d Σ_e one_hot(i_e, k) a[e] + d Σ_e one_hot(j_e, k) b[e]        two tables, cleared, added to, and added
after:   d (Σ_e one_hot(i_e, k) a[e] + Σ_e one_hot(j_e, k) b[e])        one table (`Passes.joint`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from codegen.planning.rewriting import over
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.gathers import is_scatter
from symdiff.normal_form.numbers import times
from symdiff.shared_steps import multiple
from symdiff.traversal import topological

# What a scatter multiplies, and where, in a term of a sum: alike in terms that may be taken together.
Way = tuple[Any, ...]
# The terms that read a scatter: the sum, the way, and the number before the term.
Uses = list[tuple[Node, Way, Number]]


def join_scatters(roots: Sequence[Node]) -> list[Node]:
    """The roots with scatters that are read in the same way, in the same sums alone, added before that."""
    order = topological(roots)
    if not any(map(is_scatter, order)):
        return list(roots)
    partners = {scatter: group for group in groups_of(order, roots) for _, scatter in group}
    if not partners:
        return list(roots)
    done: dict[Node, Node] = {}
    for node in order:
        fresh = over(node, [done[child] for child in node.children])
        done[node] = joined(node, fresh, partners, done) if isinstance(node, Add) and isinstance(fresh, Add) else fresh
    return [done[root] for root in roots]


def groups_of(order: Sequence[Node], roots: Sequence[Node]) -> list[list[tuple[Number, Node]]]:
    """Scatters that may be added up in one table, each with its sign."""
    users = Counter(child for node in order for child in node.children)
    users.update(roots)
    uses: dict[Node, Uses] = {}
    for node in order:
        for c, term in node.terms if isinstance(node, Add) else ():
            found = scattered(term) if users[term] == 1 or is_scatter(term) else None
            if found is not None:
                uses.setdefault(found[1], []).append((node, found[2], times(c, found[0])))
    groups: dict[Way, list[tuple[Number, Node]]] = {}
    for scatter, read in uses.items():
        if len(read) == users[scatter]:
            sign = -1 if read[0][2] < 0 else 1
            ways = tuple([(id(total), way, times(sign, c)) for total, way, c in read])
            groups.setdefault((scatter.type, ways), []).append((sign, scatter))
    return [group for group in groups.values() if len(group) > 1]


def scattered(term: Node) -> tuple[Number, Node, Way] | None:
    """The number before a term, the one scatter that it reads, and how; None where there is none."""
    if is_scatter(term):
        return 1, term, ()
    places = [k for k, (f, _) in enumerate(term.factors) if is_scatter(f)] if isinstance(term, Product) else []
    if not isinstance(term, Product) or len(places) != 1:
        return None
    way = tuple([("here", at) if k == places[0] else (id(f), at) for k, (f, at) in enumerate(term.factors)])
    return term.coefficient, term.factors[places[0]][0], (way, term.out, term.extents, term.type)


def joined(node: Add, fresh: Add, partners: dict[Node, list[tuple[Number, Node]]], done: dict[Node, Node]) -> Node:
    """A sum over done terms, of which those that read partners in one way are one."""
    terms: list[tuple[Number, Node]] = []
    seen: set[Way] = set()
    for (c, term), new in zip(node.terms, fresh.children, strict=True):
        found = scattered(term)
        group = partners.get(found[1]) if found is not None else None
        if found is None or group is None:
            terms.append((c, new))
            continue
        before, scatter, way = found
        if (id(group), way) in seen:
            continue
        seen.add((id(group), way))
        sign = next(s for s, partner in group if partner is scatter)
        total: Node = Add(tuple([(s, done[partner]) for s, partner in group]), scatter.type)
        if isinstance(term, Product) and term is not scatter:
            factors = tuple([(total if f is scatter else done[f], at) for f, at in term.factors])
            total = Product(1, factors, term.out, term.extents, term.type)
        terms.append((times(times(c, before), sign), total))
    return multiple(*terms[0]) if len(terms) == 1 and terms[0][1].type == node.type else Add(tuple(terms), node.type)


def parted(node: Node) -> list[tuple[Number, Node]]:
    """The terms of a joint sum, each multiplied by what the sum is; any other node alone."""
    if isinstance(node, Add) and all(map(is_scatter, node.children)):
        return list(node.terms)
    if isinstance(node, Product) and node.dense and not node.is_core:
        for k, (f, at) in enumerate(node.factors):
            if isinstance(f, Add) and at == node.out == tuple(range(node.ndim)) and all(map(is_scatter, f.children)):
                rest = [factor for place, factor in enumerate(node.factors) if place != k]
                return [(times(node.coefficient, c), multiplied(term, rest)) for c, term in f.terms]
    return [(1, node)]


def multiplied(node: Node, rest: Sequence[Factor]) -> Node:
    """The node times other factors at its positions."""
    here = tuple(range(node.ndim))
    return Product(1, ((node, here), *rest), here, node.shape, node.type) if rest else node
