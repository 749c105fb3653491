"""From formula to first result: compile times in fresh processes, one contestant after the other in each round."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contests import HAND, OWN
from benchmarks.lines import TABLE
from benchmarks.tables import duration, table, times
from benchmarks.threads import environment

# Little data, so that the first call itself takes no time beside the compilation; the program of scalars at its whole size.
LINES = {"1": 1 / 64, "3": 1 / 64, "4": 1 / 64, "6": 1.0, "8a": 1.0, "12": 1.0, "11": 1.0, "13": 1.0, "chain": 1.0}
# Seconds after which a process is given up.
PATIENCE = 60.0
CONTESTANTS = (OWN, "jax", "pytensor", "casadi", HAND)


@dataclass(frozen=True)
class Cold:
    """Medians of one contestant at one line: seconds to import, from formula to first result, of the whole process."""

    line: str
    contestant: str
    imports: float
    compiles: float
    whole: float


def fresh(contestant: str, line: str) -> tuple[float, float, float] | str:
    """Import, compile and whole seconds of a fresh process, or why it failed."""
    start = time.perf_counter()
    try:
        done = subprocess.run([sys.executable, "-m", "benchmarks.cold", contestant, line, str(LINES[line])], env=environment(),
                              capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"not done after {PATIENCE:.0f} s"
    whole = time.perf_counter() - start
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    told = json.loads(done.stdout.splitlines()[-1])
    return told["import"], told["compile"], whole


def compile_times(names: Sequence[str], knowing: dict[str, Sequence[str]], rounds: int) -> tuple[list[Cold], list[str]]:
    """Medians of each line of `names` by those who know it, and notes of those that gave none."""
    found, notes = [], []
    for name in names:
        seconds: dict[str, list[tuple[float, float, float]]] = {c: [] for c in knowing[name]}
        for _ in range(rounds):
            for contestant in list(seconds):
                told = fresh(contestant, name)
                if isinstance(told, str):
                    notes.append(f"{contestant} gave no result of {name}: {told}")
                    del seconds[contestant]
                else:
                    seconds[contestant].append(told)
        found += [Cold(name, c, *map(statistics.median, zip(*taken, strict=True))) for c, taken in seconds.items()]
    return found, notes


def compile_table(found: Sequence[Cold]) -> str:
    """The medians as a Markdown table, with how many times as long as symdiff each takes to compile."""
    own = {c.line: c for c in found if c.contestant == OWN}
    rows = []
    for c in found:
        ratio = c.compiles / own[c.line].compiles if c.line in own else None
        rows.append([f"{c.line} {TABLE[c.line].title}", c.contestant, duration(c.imports), duration(c.compiles),
                     duration(c.whole), times(ratio)])
    return table(["line", "by", "import", "formula to first result", "whole process", "compile time to symdiff's"], rows)
