"""Sums of adjoints that select: a dead branch's NaN must meet the guard itself, never the zero that a guard has made.

An adjoint that came through a `where` is a product with guards.  A plain sum of such adjoints would be zero where all of
them are dead, and zero times the NaN of a partial is NaN; so the guards are kept as factors of the sum.
"""

from __future__ import annotations

from itertools import combinations

from symdiff.expression import Factor, Map, Node, Number, Product
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, Label
from symdiff.normal_form import add, map_node, product
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

Guards = frozenset[Factor]
Pattern = tuple[tuple[Index, ...], tuple[Size, ...]]
NO_GUARDS: Guards = frozenset()
# So many groups of adjoints go their own ways through a node; more would multiply at the next selection.
APART = 3
# Among more groups than this no pairs are looked for.
UNITED = 12


def vanishes(node: Node) -> bool:
    """Whether the adjoint is the number zero."""
    return node.__class__ is Product and not node.factors and node.coefficient == 0


def guards_of(adjoint: Node) -> Guards:
    """The guards among the factors of an adjoint."""
    if adjoint.__class__ is not Product:
        return NO_GUARDS
    found = [f for f in adjoint.factors if f[0].__class__ is Map and f[0].function is ROWS["guard"]]
    return frozenset(found) if found else NO_GUARDS


def joined(pending: list[Node], type: TensorType) -> list[Node]:
    """The sum of the contributions to an adjoint, in as few parts as selections allow: mostly one.

    Where one contribution has no guard, or two have opposite ones, the node is alive everywhere and the sum is plain.
    """
    if len(pending) == 1 and pending[0].type == type:
        return pending
    groups: dict[tuple[Guards, Pattern | None], list[Node]] = {}
    for adjoint in pending:
        guards = guards_of(adjoint)
        if not guards:
            return plain_sum(pending, type)
        assert isinstance(adjoint, Product)
        groups.setdefault((guards, (adjoint.out, adjoint.extents)), []).append(adjoint)
    if len(groups) <= UNITED:
        groups = unite(groups)
    if any(not guards for guards, _ in groups):
        return plain_sum(pending, type)
    if len(groups) > APART and all(isinstance(node, Product) and node.dense for node in pending):
        return [under_any([guards for guards, _ in groups], pending, type)]
    sums = [guarded(group, guards, type) for (guards, _), group in groups.items()]
    return [total for total in sums if not vanishes(total)]


def plain_sum(pending: list[Node], type: TensorType) -> list[Node]:
    """The sum as one part, or none."""
    total = add([(1, adjoint) for adjoint in pending], type)
    return [] if vanishes(total) else [total]


def unite(groups: dict[tuple[Guards, Pattern | None], list[Node]]) -> dict[tuple[Guards, Pattern | None], list[Node]]:
    """Groups put together where what they share is guard enough: one holds the other's guards, or their rests are opposite."""
    changed = True
    while changed:
        changed = False
        for (one, where), (other, there) in combinations(groups, 2):
            shared = one & other
            if where == there and (shared in (one, other) or opposite(one - shared, other - shared)):
                nodes = groups.pop((one, where)) + groups.pop((other, there))
                groups.setdefault((shared, where), []).extend(nodes)
                changed = True
                break
    return groups


def opposite(one: Guards, other: Guards) -> bool:
    """Whether the guards are [c] and [¬c] at the same place."""
    if len(one) != 1 or len(other) != 1:
        return False
    (f, at), (g, there) = next(iter(one)), next(iter(other))
    c, d = f.children[0], g.children[0]
    return at == there and (map_node(ROWS["logical_not"], (c,)) is d or map_node(ROWS["logical_not"], (d,)) is c)


def guarded(group: list[Node], guards: Guards, type: TensorType) -> Node:
    """guards · (sum of the rests) for products that hold these guards and are written at the same positions."""
    if len(group) == 1 and group[0].type == type:
        return group[0]
    first = group[0]
    assert isinstance(first, Product)
    labels = tuple(range(len(first.extents)))
    extents: dict[Label, Size] = dict(enumerate(first.extents))
    inner_type = TensorType(type.dtype, first.extents)
    rests: list[tuple[Number, Node]] = []
    for node in group:
        assert isinstance(node, Product)
        rest = [f for f in node.factors if f not in guards]
        rests.append((1, product(node.coefficient, rest, list(labels), dict(extents), inner_type)))
    kept = [f for f in first.factors if f in guards]
    return product(1, [(add(rests, inner_type), labels), *kept], list(first.out), extents, type)


def under_any(choices: list[Guards], pending: list[Node], type: TensorType) -> Node:
    """[one of the guards holds] · (sum of all), for dense products."""
    shape = TensorType("bool", type.shape)
    labels = tuple(range(len(type.shape)))
    extents: dict[Label, Size] = dict(enumerate(type.shape))
    alive: Node | None = None
    for guards in choices:
        ordered = sorted(guards, key=lambda f: (f[0].key, str(f[1])))
        holds = product(1, ordered, list(labels), dict(extents), shape)
        alive = holds if alive is None else map_node(ROWS["logical_or"], (alive, holds))
    assert alive is not None
    total = add([(1, adjoint) for adjoint in pending], type)
    return product(1, [(map_node(ROWS["guard"], (alive,)), labels), (total, labels)], list(labels), extents, type)
