"""480 random graphs, 60 of them wide, 120 with loops, layers and derivatives inside of them.

Interpreter and compiled kernels against the reference, the reference against differences.
"""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import force_setattr

import symdiff as sd
from tests import fuzz
from tests.fuzz_graphs import generate
from tests.fuzz_operations import MORE_FROM

INTERPRETED = [range(lo, lo + 25) for lo in range(0, 220, 25)]
ALL = [range(lo, lo + 30) for lo in range(0, 300, 30)]
WIDE = [range(lo, lo + 30) for lo in range(0, 60, 30)]
MORE = [range(MORE_FROM + lo, MORE_FROM + lo + 30) for lo in range(0, 120, 30)]
COMPILED = [range(lo, lo + 10) for lo in range(225, 300, 10)]
# Found by the campaign, and mended.
ONCE_WRONG = (1527, 7429, 8404)
LONGEST = 300


@pytest.mark.parametrize("seeds", INTERPRETED, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_interpreter(seeds: range) -> None:
    assert not (reports := fuzz.check(seeds, ("interpreter",))), "\n".join(reports)


def statements(seed: int) -> int:
    """How long the program of a graph is."""
    symbols, outputs = generate(seed).build("g")
    return int(sd.compile(outputs, symbols, target="interpreter").stats()["statements"])


@pytest.mark.parametrize("seeds", COMPILED, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_numba(seeds: range) -> None:
    """All but the longest programs, for which Numba takes minutes: those are for the campaign."""
    short = [seed for seed in seeds if statements(seed) <= LONGEST]
    assert len(short) >= 5
    assert not (reports := fuzz.check(short, ("numba",))), "\n".join(reports)


@pytest.mark.parametrize("seeds", [*ALL, *MORE], ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_cpu(seeds: range) -> None:
    assert not (reports := fuzz.check(seeds, ("cpu",), differences=False)), "\n".join(reports)


@pytest.mark.parametrize("seeds", WIDE, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_wide(seeds: range) -> None:
    assert not (reports := fuzz.check(seeds, ("cpu",), differences=False, wide=True)), "\n".join(reports)


@pytest.mark.parametrize("seed", ONCE_WRONG)
def test_once_wrong(seed: int) -> None:
    assert not (reports := fuzz.check([seed], ("cpu",))), "\n".join(reports)


def test_a_seed_gives_one_graph() -> None:
    assert [generate(seed).source() for seed in range(5)] == [generate(seed).source() for seed in range(5)]


def test_faults_are_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that is wrong in one function is caught, and the report is short."""
    wrong = sd.functions.ROWS["tanh"]
    seed = next(s for s in range(100) if generate(s).has("sd.tanh(") and fuzz.faults([generate(s)], "interpreter") == {})
    graph = generate(seed)
    true = wrong.numpy
    force_setattr(wrong, "numpy", lambda x: true(x) + 1e-6 * np.sign(x))
    try:
        assert fuzz.all_faults(graph, "interpreter")
        least = fuzz.shrunk(graph, "interpreter")
        assert fuzz.all_faults(least, "interpreter") and "sd.tanh(" in least.source()
        assert len(least.lines) < len(graph.lines)
    finally:
        force_setattr(wrong, "numpy", true)
