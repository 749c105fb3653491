"""`python -m benchmarks`: the command, in a process of one thread."""

from __future__ import annotations

import sys

from benchmarks.threads import is_single, run_again

if not is_single():
    sys.exit(run_again(sys.argv[1:]))

# Only now: NumPy and what follows it read the environment when they are imported.
from benchmarks.command import main

sys.exit(main())
