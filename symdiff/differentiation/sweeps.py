"""The two walks: reverse, from a seed down to the symbols, and forward, from tangents of symbols up."""

from __future__ import annotations

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.rules import child_adjoints, guards_of, passes, tangent
from symdiff.expression import Node, Number, Product
from symdiff.index_notation import Label
from symdiff.normal_form import add, number, product
from symdiff.sizes import Size
from symdiff.tensor_type import FLOATING, TensorType
from symdiff.traversal import reaching, topological


def identity_seed(root: Node) -> Node:
    """The seed of a Jacobian: ones where position and place agree, out = (S, S) with no factor."""
    labels = list(range(root.ndim))
    return product(1, [], [*labels, *labels], dict(enumerate(root.shape)), TensorType(root.dtype, (*root.shape, *root.shape)))


def reverse(root: Node, seed: Node, targets: list[Node], written: bool = True) -> list[Node]:
    """The adjoint of each target, of shape S + its shape, for a seed of shape S + shape of the root.

    Where the root is what a user has `written`, and no derivative of something, a target that it holds only in truth
    values and integers is refused.
    """
    s = seed.shape[: seed.ndim - root.ndim]
    order = topological([root])
    wanted = reaching(order, targets)
    parts: dict[Node, list[Node]] = {root: [seed]} if root in wanted else {}
    result: dict[Node, Node] = {}
    goals = set(targets)
    for node in reversed(order):
        if node not in wanted or node not in parts:
            continue
        pending = parts.pop(node)
        type = node.type if not s and node.dtype in FLOATING else \
            TensorType(node.dtype if node.dtype in FLOATING else "float64", (*s, *node.shape))
        if node in goals:
            result[node] = add([(1, adjoint) for adjoint in pending], type)
            if not node.children:
                continue
        for adjoint in joined(pending, type):
            for child, passed in child_adjoints(node, adjoint, wanted):
                if not vanishes(passed):
                    parts.setdefault(child, []).append(passed)
    missing = [t for t in targets if t not in result]
    if written and missing:
        refuse_blocked(root, missing)
    return [result[t] if t in result else number(0, t.dtype, (*s, *t.shape)) for t in targets]


def vanishes(node: Node) -> bool:
    """Whether the adjoint is the number zero."""
    return isinstance(node, Product) and not node.factors and node.coefficient == 0


def joined(pending: list[Node], type: TensorType) -> list[Node]:
    """The sum of the contributions; those under different guards stay apart, so that each keeps its guard."""
    if len(pending) == 1 and pending[0].type == type:
        return pending
    groups: dict[object, list[Node]] = {}
    for adjoint in pending:
        guards = guards_of(adjoint)
        key = (guards, adjoint.out, adjoint.extents) if guards and isinstance(adjoint, Product) else None
        groups.setdefault(key, []).append(adjoint)
    sums = [add([(1, adjoint) for adjoint in group], type) if key is None or len(group) == 1 else guarded(group, type)
            for key, group in groups.items()]
    return [total for total in sums if not vanishes(total)]


def guarded(group: list[Node], type: TensorType) -> Node:
    """The sum of products with the same guards, written at the same positions: guards · (sum of the rests).

    The guards stay factors of the whole: in a sum of guarded terms a later factor that is NaN would meet a plain zero.
    """
    first = group[0]
    assert isinstance(first, Product)
    guards = guards_of(first)
    labels = tuple(range(len(first.extents)))
    extents: dict[Label, Size] = dict(enumerate(first.extents))
    inner_type = TensorType(type.dtype, first.extents)
    rests: list[tuple[Number, Node]] = []
    for node in group:
        assert isinstance(node, Product)
        rests.append((1, product(node.coefficient, [f for f in node.factors if f not in guards], list(labels), dict(extents),
                                 inner_type)))
    kept = [f for f in first.factors if f in guards]
    return product(1, [(add(rests, inner_type), labels), *kept], list(first.out), extents, type)


def forward(root: Node, tangents: dict[Node, Node]) -> Node:
    """The change of the root for the given changes of the targets."""
    order = topological([root])
    wanted = reaching(order, tangents)
    known = dict(tangents)
    for node in order:
        if node in known or node not in wanted or not passes(node):
            continue
        change = tangent(node, known)
        if change is not None and not vanishes(change):
            known[node] = change
    return known[root] if root in known else number(0, root.dtype, root.shape)


