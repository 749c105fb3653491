"""The command line of the suite: which lines, peers, sizes and rounds; where the results go."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contests import CONTESTANTS, OWN, Contest, contest, installed
from benchmarks.lines import TABLE
from benchmarks.plots import write_plot
from benchmarks.tables import markdown, text_of

SIZES = {"quarter": 0.25, "whole": 1.0, "four": 4.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit status: 0 when every result was right."""
    options = parser().parse_args(arguments)
    contests = []
    modules, notes = installed([OWN, *options.peers])
    for note in notes:
        print(note)
    for name in options.lines or TABLE:
        for size in options.sizes:
            contests.append(contest(TABLE[name], size, SIZES[size], modules, options.rounds))
            print(text_of(contests[-1]), flush=True)
    if options.out is not None:
        write(contests, notes, options.out)
    return 0 if all(c.is_right for c in contests) else 1


def write(contests: Sequence[Contest], notes: Sequence[str], folder: Path) -> None:
    """The table as Markdown and the plot into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = f"Python {platform.python_version()}, {platform.machine()}, one thread"
    (folder / "benchmarks.md").write_text(markdown(contests, machine, notes), encoding="utf-8")
    if not write_plot(contests, folder / "benchmarks.png"):
        print("no plot: Matplotlib is not installed", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time symdiff beside its peers, hand-written kernels and the limits of "
        "the machine, interleaved, on one thread.", formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="lines:\n" + "\n".join(f"  {name:<4} {line.title}" for name, line in TABLE.items()))
    peers = [name for name in CONTESTANTS if name != OWN]
    top.add_argument("lines", nargs="*", metavar="LINE", type=one_of("line", TABLE), help="some of the lines (all unless given)")
    top.add_argument("--peers", type=listed("peer", peers), default=peers, metavar="A,B",
                     help=f"some of {', '.join(peers)} (all that are installed unless given)")
    top.add_argument("--sizes", type=listed("size", SIZES), default=["whole"], metavar="A,B",
                     help=f"some of {', '.join(SIZES)} (whole unless given)")
    top.add_argument("--rounds", type=whole_number, default=15, help="samples of each contestant (15 unless given)")
    top.add_argument("--out", type=Path, metavar="FOLDER", help="write the table as Markdown and a plot there")
    return top


def one_of(what: str, known: Mapping[str, Any]) -> Callable[[str], str]:
    """The type of an option that is one of the names known."""
    def read(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}; there are {', '.join(known)}")
        return text
    return read


def listed(what: str, known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an option that is some of the names known, with commas between."""
    single = one_of(what, dict.fromkeys(known))
    return lambda text: [single(name.strip()) for name in text.split(",")]


def whole_number(text: str) -> int:
    """The type of an option that is a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)
