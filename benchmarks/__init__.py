"""The benchmark suite: symdiff beside its peers, hand-written kernels and the limits of the machine, in one run.

`python -m benchmarks` runs it; `benchmarks/lines/` is the table of what is timed, `benchmarks/contestants/` how each
contestant computes it.
"""
