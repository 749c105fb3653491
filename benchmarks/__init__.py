"""The benchmark suite: symdiff beside its peers, hand-written kernels and the limits of the machine, in one run.

`python -m benchmarks` runs it.  `benchmarks/lines/` is the table of what is timed: a line is a row in one of its modules.
`benchmarks/contestants/` has a module for each contestant, where a function bears the key of the row; who has none does not
take part.  `benchmarks/handwritten/` holds the kernels of the contestant `hand`.
"""
