"""Vertex covers of bipartite graphs: of each pair of neighbours one is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

A = TypeVar("A", bound=Hashable)
B = TypeVar("B", bound=Hashable)


def least_cover(edges: Mapping[A, Sequence[B]], left: Mapping[A, int], right: Mapping[B, int]) -> set[A]:
    """The nodes on the left of a vertex cover of least weight; of several, that with the fewest nodes on the left.

    The cover is where the largest flow from left to right is stopped: D. König 1931, "Gráfok és mátrixok", Matematikai és
    Fizikai Lapok 38, 116–119; L. R. Ford and D. R. Fulkerson 1956, "Maximal flow through a network", Canadian Journal of
    Mathematics 8, 399–404.

    >>> least_cover({"a": [1, 2], "b": [2]}, {"a": 3, "b": 5}, {1: 4, 2: 2})
    {'a'}
    """
    readers: dict[B, list[A]] = {}
    for node, parts in edges.items():
        for part in parts:
            readers.setdefault(part, []).append(node)
    space, flow = dict(right), Counter[tuple[A, B]]()
    closed: set[B] = set()
    for start in edges:
        given = left[start]
        while given and (way := way_with_space(start, edges, readers, space, flow, closed)):
            amount = min(given, space[way[-1][1]], *[flow[node, part] for (_, part), (node, _) in pairwise(way)])
            given -= amount
            space[way[-1][1]] -= amount
            flow.update(dict.fromkeys(way, amount))
            flow.subtract({(node, part): amount for (_, part), (node, _) in pairwise(way)})
    found: set[A] = set()
    spare = {part for part in readers if space[part]}
    pending = list(spare)
    while pending:
        for node in readers[pending.pop()]:
            if node not in found:
                found.add(node)
                more = {part for part in edges[node] if flow[node, part]} - spare
                spare |= more
                pending += more
    return found


def way_with_space(start: A, edges: Mapping[A, Sequence[B]], readers: Mapping[B, Sequence[A]], space: Mapping[B, int],
                   flow: Mapping[tuple[A, B], int], closed: set[B]) -> list[tuple[A, B]]:
    """The edges of a way from the left to some space on the right, where it may turn back against what flows already.

    Where there is none, nothing that was reached will ever lead on: it is `closed` from then on.
    """
    came: dict[A, tuple[A, B] | None] = {start: None}
    pending, seen = [start], set[B]()
    for node in pending:
        for part in edges[node]:
            if part in closed or part in seen:
                continue
            seen.add(part)
            if space[part]:
                way = [(node, part)]
                while (before := came[way[-1][0]]) is not None:
                    way.append(before)
                return way[::-1]
            for other in readers[part]:
                if other not in came and flow[other, part]:
                    came[other] = (node, part)
                    pending.append(other)
    closed |= seen
    return []
