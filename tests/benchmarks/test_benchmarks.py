"""Every line of the benchmarks at a tiny size: the results agree, and tables and the plot are written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.command import main
from benchmarks.compile_times import Cold, compile_table
from benchmarks.contests import CONTESTANTS, HAND, Contest, contest, installed, largest_error
from benchmarks.growth import Sweep, deep, grow, growth_table, outputs, write_growth_plot
from benchmarks.lines import TABLE
from benchmarks.mapped import mapped, mapped_table
from benchmarks.scaling import scaling, scaling_table
from benchmarks.soak import soak, soak_table
from benchmarks.tables import duration, markdown, summary, text_of
from benchmarks.timing import Sample, interleaved

TINY = 1 / 64


def tiny(name: str, *contestants: str) -> Contest:
    """A line with the contestants named, at a tiny size."""
    modules, notes = installed(contestants)
    assert not notes
    return contest(TABLE[name], "tiny", TINY, modules, rounds=1)


@pytest.mark.parametrize("name", TABLE)
def test_line(name: str) -> None:
    done = tiny(name, "symdiff", "numpy")
    assert done.is_right, done.notes
    assert "symdiff" in done.samples


@pytest.mark.parametrize("name", [name for name, line in TABLE.items() if line.group in ("models", "latency")])
def test_line_by_hand(name: str) -> None:
    done = tiny(name, HAND)
    assert done.is_right, done.notes
    assert HAND in done.samples


def test_the_command_writes_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["3", "6", "--peers", "numpy", "--sizes", "quarter", "--rounds", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "symdiff takes" in printed and "(quarter)" in printed
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| 3 logistic regression" in page and "(numpy) |" in page
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_and_failing_contestants_are_told() -> None:
    class Wrong:
        linear = staticmethod(lambda values: lambda: (0.0, values["w"]))

    class Failing:
        @staticmethod
        def linear(values: Any) -> Any:
            raise ValueError("no such thing")

    class Silent:
        pass
    done = contest(TABLE["2"], "tiny", TINY, {"jax": Wrong, "torch": Failing, "numpy": Silent}, rounds=1)  # type: ignore[dict-item]
    assert not done.is_right and done.best_peer is None
    assert "jax is WRONG: relative error" in text_of(done)
    assert "torch FAILED: ValueError: no such thing" in text_of(done)
    assert "- torch FAILED" in markdown("a machine", [("Summary", summary([done]))], done.notes)
    assert list(done.samples) == ["jax"]


def test_growth(tmp_path: Path) -> None:
    modules, _ = installed(["symdiff"])
    sweeps = [Sweep("a net", "layers", (1, 2), deep), Sweep("sums", "outputs", (1, 3), outputs)]
    points, notes = grow(modules, 1, sweeps)
    assert [(p.size, p.is_right) for p in points] == [(1, True), (2, True), (1, True), (3, True)] and not notes
    assert "| a net: layers | symdiff | 2 |" in growth_table(points)
    pytest.importorskip("matplotlib")
    assert write_growth_plot(points, tmp_path / "growth.png")


def test_threads() -> None:
    (found,) = scaling(1, ("4",), 0.05)
    assert found.is_same and 1 in found.samples
    assert found.title in scaling_table([found])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the resident memory this way")
def test_mapped_file() -> None:
    found = mapped(150_000)
    assert found.data == 150_000 * 50 * 8 and found.extra < 64 * 2**20
    assert "| 150,000 | 57 MiB |" in mapped_table(found)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the resident memory this way")
def test_soak() -> None:
    assert "| calls of one kernel | 3 |" in soak_table(soak(calls=3, models=2))


def test_compile_times_are_told() -> None:
    text = compile_table([Cold("6", "symdiff", 0.1, 0.2, 0.5), Cold("6", "jax", 0.3, 0.4, 0.9)])
    assert "| jax | 300 ms | 400 ms | 900 ms | 2.00 |" in text


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTESTANTS, "jax", "with_abacus")
    modules, notes = installed(["jax"])
    assert modules == {} and "jax is left out" in notes[0]


def test_errors_are_relative_to_the_largest_number() -> None:
    wanted = [1.0, np.array([1.0, 100.0])]
    assert largest_error((1.0, [np.array([1.0, 101.0])]), wanted) == pytest.approx(0.01)
    assert largest_error((1.0, np.ones((2, 1))), wanted) == math.inf
    assert math.isnan(largest_error((1.0, np.array([1.0, math.nan])), wanted))


def test_samples_last_long_enough() -> None:
    calls = []
    samples = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert {name: s.rounds for name, s in samples.items()} == {"a": 3, "b": 3}
    assert len(calls) > 1000


@pytest.mark.parametrize(("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.2e-7, "0.42 µs"), (None, "–")])
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_spread() -> None:
    assert Sample(2.0, 1.5, 2.5, 5, 1.0).spread == 0.5
