"""The two walks: reverse, from a seed down to the symbols, and forward, from tangents of symbols up."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.guards import joined, vanishes
from symdiff.differentiation.loops import LoopAdjoints, scan_tangents
from symdiff.differentiation.rules import child_adjoints, passes, tangent
from symdiff.expression import Apply, Node
from symdiff.loops import Key, is_scan, key_of
from symdiff.normal_form import add, number, product
from symdiff.shared_steps import SharedSteps
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
    result = adjoints([(root, seed)], s, targets)
    # What goes around in a loop may be zero and not look like it.
    missing = list(targets) if written and any(map(is_scan, topological([root]))) else [t for t in targets if t not in result]
    if written and missing:
        refuse_blocked(root, missing)
    return [result[t] if t in result else number(0, t.dtype, (*s, *t.shape)) for t in targets]


def adjoints(roots: Sequence[tuple[Node, Node]], s: tuple[Size, ...], targets: list[Node]) -> dict[Node, Node]:
    """The adjoints of the targets that several roots with seeds hold, in one walk."""
    order, opened = SharedSteps([root for root, _ in roots]).over_steps()
    wanted = reaching(order, targets, opened)
    parts: dict[Node, list[Node]] = {}
    for root, seed in roots:
        if root in wanted:
            parts.setdefault(root, []).append(seed)
    result: dict[Node, Node] = {}
    goals = set(targets)
    loops = LoopAdjoints(order, wanted, s, adjoints)
    for node in reversed(order):
        if node.__class__ is Apply and is_scan(node) and node in wanted:
            loops.keep(node, parts.pop(node, []))
            for child, passed in loops.finished(node):
                if not vanishes(passed):
                    parts.setdefault(child, []).append(passed)
            continue
        if node not in wanted or node not in parts:
            continue
        pending = parts.pop(node)
        type = node.type
        if s or type.dtype not in FLOATING:
            type = TensorType(type.dtype if type.dtype in FLOATING else "float64", (*s, *type.shape))
        if node in goals:
            result[node] = add([(1, adjoint) for adjoint in pending], type)
            if not node.children:
                continue
        for adjoint in joined(pending, type):
            for child, passed in child_adjoints(opened[node], adjoint, wanted):
                if vanishes(passed):
                    continue
                if child in parts:
                    parts[child].append(passed)
                else:
                    parts[child] = [passed]
    return result


def changes(roots: Sequence[Node], tangents: dict[Node, Node]) -> list[Node]:
    """The changes of several roots, in one walk; a change that is zero has the shape of its root alone."""
    order, opened = SharedSteps(roots).over_steps()
    wanted = reaching(order, tangents, opened)
    known = dict(tangents)
    loops: dict[Key, list[Node]] = {}
    for node in order:
        if is_scan(node) and node in wanted and passes(node):
            loops.setdefault(key_of(node), []).append(node)
    # Changes of results of loops, found with that of the first.
    ahead: dict[Node, Node] = {}
    for node in order:
        if node in known or node not in wanted or not passes(node):
            continue
        if is_scan(node):
            together = loops.pop(key_of(node), None)
            if together is not None:
                ahead.update(scan_tangents(together, known, changes))
            change = ahead.get(node)
        else:
            change = tangent(opened[node], known)
        if change is not None and not vanishes(change):
            known[node] = change
    return [known[root] if root in known else number(0, root.dtype, root.shape) for root in roots]


