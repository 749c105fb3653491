"""One line by one contestant in a process that has done nothing yet: `python -m benchmarks.cold CONTESTANT LINE SCALE`.

Prints, as JSON, the seconds to import what the contestant needs, and those from the formula to the first result.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

from benchmarks.contests import CONTESTANTS
from benchmarks.lines import TABLE


def measure(contestant: str, name: str, scale: float) -> dict[str, float]:
    """Import, formulate, compile and call once."""
    line = TABLE[name]
    values = line.data(scale)
    start = time.perf_counter()
    module = importlib.import_module(f"benchmarks.contestants.{CONTESTANTS[contestant]}")
    imported = time.perf_counter()
    getattr(module, line.key)(values, *line.options)()
    return {"import": imported - start, "compile": time.perf_counter() - imported}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
