"""The two walks: reverse, from a seed down to the symbols, and forward, from tangents of symbols up."""

from __future__ import annotations

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.guards import joined, vanishes
from symdiff.differentiation.rules import child_adjoints, passes, tangent
from symdiff.expression import Node
from symdiff.normal_form import add, number, product
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


