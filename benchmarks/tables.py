"""Results as text for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contests import HAND, OWN, Contest
from benchmarks.timing import Sample


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return "–"
    factor, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    return f"{seconds * factor:.3g} {unit}"


def times(ratio: float | None) -> str:
    """A ratio."""
    return "–" if ratio is None else f"{ratio:.2f}"


def median(sample: Sample | None) -> str:
    """The median of a sample, if there is one."""
    return "–" if sample is None else duration(sample.median)


def text_of(contest: Contest) -> str:
    """A contest in lines: who took how long, how far the quartiles lie apart, and how many times that symdiff took."""
    lines = [f"{contest.line.name}  {contest.line.title} ({contest.size})"]
    for name, s in sorted(contest.samples.items(), key=lambda item: item[1].median):
        ratio = "" if name == OWN else f"symdiff takes {times(contest.ratio(name))} of it"
        lines.append(f"    {name:<10} {duration(s.median):>10} ± {50 * s.spread:3.0f} %   error {contest.errors[name]:.0e}   "
                     f"{ratio}")
    if contest.limit is not None:
        lines.append(f"    {'limit':<10} {duration(contest.limit):>10}                         "
                     f"symdiff takes {times(to_limit(contest))} of it")
    return "\n".join(line.rstrip() for line in [*lines, *[f"    {note}" for note in contest.notes]])


def to_limit(contest: Contest) -> float | None:
    """How many times as long as the limit symdiff takes."""
    if contest.limit is None or OWN not in contest.samples:
        return None
    return contest.samples[OWN].median / contest.limit


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first two columns are text, the others numbers."""
    rule = ["---" if k < 2 else "---:" for k in range(len(heads))]
    return "\n".join([row(heads), row(rule), *map(row, rows)])


def summary(contests: Sequence[Contest]) -> str:
    """A row for each line and size: symdiff beside the hand-written kernel, the best peer and the limit."""
    rows = []
    for c in contests:
        best = c.best_peer
        rows.append([f"{c.line.name} {c.line.title}", c.size, median(c.samples.get(OWN)), median(c.samples.get(HAND)),
                     "–" if best is None else f"{median(c.samples[best])} ({best})", duration(c.limit), times(c.ratio(HAND)),
                     times(c.ratio(best)), times(to_limit(c))])
    return table(["line", "size", "symdiff", "by hand", "best peer", "limit", "to hand", "to best peer", "to limit"], rows)


def everyone(contests: Sequence[Contest]) -> str:
    """Medians and spreads of everyone."""
    names = list(dict.fromkeys(name for c in contests for name in c.samples))
    rows = [[f"{c.line.name} {c.line.title}", c.size,
             *[f"{median(s)} ± {50 * s.spread:.0f} %" if (s := c.samples.get(name)) else "–" for name in names]] for c in contests]
    return table(["line", "size", *names], rows)


def markdown(machine: str, sections: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """The page: what the numbers mean, titled tables, notes."""
    meaning = (f"{machine}.  Medians over interleaved rounds; ± is half the distance of the quartiles.  Ratios are the time of "
               "symdiff over that of the other: below 1, symdiff is faster.  The limit is the time to read the arguments once, "
               "or of the products of matrices at the rate of a large one, whichever is longer.")
    parts = ["# Benchmarks", meaning, *[part for title, body in sections for part in (f"## {title}", body)]]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"
