"""The table of what is timed: each module holds the rows of its kind in `LINES`, with their data and references."""

from benchmarks.lines import images, mixtures, networks, regressions, sequences

TABLE = {line.name: line for line in sorted(
    [line for module in (regressions, networks, mixtures, sequences, images) for line in module.LINES],
    key=lambda line: (int(line.name.rstrip("ab")), line.name))}

__all__ = ["TABLE"]
