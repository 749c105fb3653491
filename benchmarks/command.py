"""The command line of the suite: which lines, peers, sizes and rounds; where the results go."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from benchmarks.compile_times import CONTESTANTS as COMPILED
from benchmarks.compile_times import LINES as COLD
from benchmarks.compile_times import compile_table, compile_times
from benchmarks.contests import CONTESTANTS, OWN, contest, installed
from benchmarks.growth import grow, growth_table, write_growth_plot
from benchmarks.lines import GROUPS, TABLE
from benchmarks.mapped import mapped, mapped_table
from benchmarks.plots import write_plot
from benchmarks.scaling import scaling, scaling_table
from benchmarks.soak import soak, soak_table
from benchmarks.tables import everyone, markdown, summary, text_of

SIZES = {"quarter": 0.25, "whole": 1.0, "four": 4.0}
COMPILE = "compile"
GROWING = (OWN, "jax")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit status: 0 when every result was right."""
    options = parser().parse_args(arguments)
    modules, notes = installed([OWN, *options.peers])
    sections: list[tuple[str, str]] = []
    plots: list[Callable[[Path], bool]] = []
    is_right = True
    for note in notes:
        print(note)
    names = options.lines or ([] if options.growth or options.soak or options.threads or options.mapped else ["models"])
    contests = []
    for name in chosen(names):
        for size in options.sizes:
            contests.append(contest(TABLE[name], size, SIZES[size], modules, options.rounds))
            print(text_of(contests[-1]), flush=True)
    if contests:
        is_right = all(c.is_right for c in contests)
        sections += [("Summary", summary(contests)), ("Everyone", everyone(contests))]
        notes += [f"{c.line.name} ({c.size}): {note}" for c in contests for note in c.notes]
        plots.append(lambda folder: write_plot(contests, folder / "benchmarks.png"))
    if COMPILE in names:
        knowing = {name: [c for c in COMPILED if hasattr(modules.get(c), TABLE[name].key)] for name in COLD}
        cold, remarks = compile_times(list(COLD), knowing, options.rounds)
        sections.append(("Compile times", told(compile_table(cold))))
        notes += remarks
    if options.growth:
        points, remarks = grow({name: m for name, m in modules.items() if name in GROWING}, options.rounds)
        sections.append(("Growth", told(growth_table(points))))
        notes += remarks
        is_right = is_right and all(p.is_right for p in points)
        plots.append(lambda folder: write_growth_plot(points, folder / "growth.png"))
    if options.soak:
        sections.append(("Memory", told(soak_table(soak()))))
    if options.threads:
        found = scaling(options.rounds)
        sections.append(("Threads", told(scaling_table(found))))
        is_right = is_right and all(s.is_same for s in found)
    if options.mapped:
        sections.append(("A mapped file", told(mapped_table(mapped()))))
    if options.out is not None:
        write(options.out, sections, notes, plots)
    return 0 if is_right else 1


def told(text: str) -> str:
    """The text, printed."""
    print(text, flush=True)
    return text


def chosen(names: Sequence[str]) -> list[str]:
    """The lines named, a group standing for its lines."""
    groups = {group: [name for name, line in TABLE.items() if line.group == group] for group in GROUPS}
    return list(dict.fromkeys(line for name in names if name != COMPILE for line in groups.get(name, [name])))


def write(folder: Path, sections: Sequence[tuple[str, str]], notes: Sequence[str], plots: Sequence[Callable[[Path], bool]]) -> None:
    """The tables as a page of Markdown, and the plots, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = f"Python {platform.python_version()}, {platform.machine()}, one thread"
    (folder / "benchmarks.md").write_text(markdown(machine, sections, notes), encoding="utf-8")
    if not all([plot(folder) for plot in plots]):
        print("no plots: Matplotlib is not installed", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time symdiff beside its peers, hand-written kernels and the limits of "
        "the machine, interleaved, on one thread.", formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join([*(listing(group) for group in GROUPS), f"{COMPILE}:\n  from formula to first result in fresh processes"]))
    peers = [name for name in CONTESTANTS if name != OWN]
    top.add_argument("lines", nargs="*", metavar="LINE", type=one_of("line", [*TABLE, *GROUPS, COMPILE]),
                     help="some of the lines, or of the groups of lines (models unless given)")
    top.add_argument("--peers", type=listed("peer", peers), default=peers, metavar="A,B",
                     help=f"some of {', '.join(peers)} (all that are installed unless given)")
    top.add_argument("--sizes", type=listed("size", SIZES), default=["whole"], metavar="A,B",
                     help=f"some of {', '.join(SIZES)} (whole unless given)")
    top.add_argument("--rounds", type=whole_number, default=15, help="samples of each contestant (15 unless given)")
    top.add_argument("--growth", action="store_true", help="how calls and compilation grow with sizes, depth and outputs")
    top.add_argument("--soak", action="store_true", help="what memory many calls and many models leave behind")
    top.add_argument("--threads", action="store_true", help="how much faster passes over the data are on several threads")
    top.add_argument("--mapped", action="store_true", help="what memory a pass over a mapped file of 4 GB takes")
    top.add_argument("--out", type=Path, metavar="FOLDER", help="write the tables as Markdown and plots there")
    return top


def listing(group: str) -> str:
    """The lines of a group, for the help."""
    return "\n".join([f"{group}:", *[f"  {name:<18} {line.title}" for name, line in TABLE.items() if line.group == group]])


def one_of(what: str, known: Collection[str]) -> Callable[[str], str]:
    """The type of an option that is one of the names known."""
    def read(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}; there are {', '.join(known)}")
        return text
    return read


def listed(what: str, known: Collection[str]) -> Callable[[str], list[str]]:
    """The type of an option that is some of the names known, with commas between."""
    single = one_of(what, known)
    return lambda text: [single(name.strip()) for name in text.split(",")]


def whole_number(text: str) -> int:
    """The type of an option that is a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)
