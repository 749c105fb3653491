"""Loops are planned like everything else: loops that carry the same are one, and a body is a small program of its own.

A forward loop whose derivative is asked for too stands in the outputs several times, each time with other kept values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from codegen.planning.rewriting import over
from symdiff.expression import Apply, Node
from symdiff.loops import SCAN, STACK, Key, Loop, is_scan, key_of, loop_of
from symdiff.traversal import topological

Plan = Callable[[list[Node]], list[Node]]


def plan_loops(roots: Sequence[Node], plan: Plan) -> list[Node]:
    """The roots with loops joined and their bodies planned by `plan`, loops inside of bodies too."""
    order = topological(roots)
    members: dict[Key, list[Node]] = {}
    for node in order:
        if is_scan(node):
            members.setdefault(key_of(node), []).append(node)
    if not members:
        return list(roots)
    joined = {key: joint(key, nodes, plan) for key, nodes in members.items()}
    done: dict[Node, Node] = {}
    for node in order:
        children = [done[child] for child in node.children]
        if is_scan(node):
            loop, kind, k = loop_of(node)
            whole, places = joined[key_of(node)]
            place = places[loop.stacks[k]] if kind == STACK else k
            done[node] = Apply(SCAN, tuple(children), (whole, kind, place), node.type)
        else:
            done[node] = over(node, children)
    return [done[root] for root in roots]


def joint(key: Key, nodes: Sequence[Node], plan: Plan) -> tuple[Loop, dict[Node, int]]:
    """The loop that keeps all that is asked for, planned, and the place of each kept value as it was written."""
    loop, _ = key
    kept: dict[Node, int] = {}
    for node in nodes:
        own, kind, k = loop_of(node)
        if kind == STACK:
            kept.setdefault(own.stacks[k], len(kept))
    bodies = plan_loops(plan([*loop.nexts, *kept]), plan)
    count = len(loop.nexts)
    return replace(loop, nexts=tuple(bodies[:count]), stacks=tuple(bodies[count:])), kept
