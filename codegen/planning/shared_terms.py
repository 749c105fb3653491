"""Shared terms: sums and products are computed from what they were put together of (`symdiff.shared_steps`)."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.rewriting import over
from symdiff.expression import Node
from symdiff.shared_steps import SharedSteps


def share_terms(roots: Sequence[Node]) -> list[Node]:
    """The roots with shared steps of sums and products closed."""
    steps = SharedSteps(roots)
    if not steps.gainful:
        return list(roots)
    order, opened = steps.over_steps()
    done: dict[Node, Node] = {}
    for node in order:
        done[node] = over(opened[node], [done[child] for child in opened[node].children])
    return [done[root] for root in roots]
