"""The table of what is timed: each module holds the rows of its kind in `LINES`, with their data and references."""

from benchmarks.lines import chains, elementwise, images, latency, mixtures, networks, regressions, sequences

# The models are numbered; what measures one thing alone bears its name.
MODELS = sorted([line for module in (regressions, networks, mixtures, sequences, images) for line in module.LINES],
                key=lambda line: (int(line.name.rstrip("ab")), line.name))
TABLE = {line.name: line for line in [*MODELS, *chains.LINES, *latency.LINES, *elementwise.LINES]}
GROUPS = list(dict.fromkeys(line.group for line in TABLE.values()))

__all__ = ["GROUPS", "TABLE"]
