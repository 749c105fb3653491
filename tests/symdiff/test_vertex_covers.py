"""Vertex covers against all subsets."""

from __future__ import annotations

import random
from itertools import chain, combinations

import pytest

from symdiff.differentiation.vertex_covers import least_cover


@pytest.mark.parametrize("seed", range(60))
def test_least_cover(seed: int) -> None:
    rng = random.Random(seed)
    names = range(rng.randint(1, 6))
    edges = {a: sorted({rng.choice("uvwxyz") for _ in range(rng.randint(1, 4))}) for a in names}
    left = {a: rng.randint(0, 4) for a in names}
    right = {b: rng.randint(0, 4) for b in "uvwxyz"}

    def weight(taken: tuple[int, ...]) -> int:
        others = {b for a in names if a not in taken for b in edges[a]}
        return sum(left[a] for a in taken) + sum(right[b] for b in others)
    found = least_cover(edges, left, right)
    subsets = list(chain.from_iterable(combinations(names, k) for k in range(len(names) + 1)))
    least = min(map(weight, subsets))
    assert weight(tuple(found)) == least
    assert found == set.intersection(*[set(taken) for taken in subsets if weight(taken) == least])
