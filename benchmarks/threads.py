"""One thread for everybody: the environment in which all contestants run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOP = Path(__file__).parents[1]

# Each library reads its own variable, and reads it once, when it is first imported.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "SYMDIFF_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "NPROC": "1",
    "JAX_PLATFORMS": "cpu",
    "PYTENSOR_FLAGS": "openmp=False",
}


def is_single() -> bool:
    """Whether this process was started in the environment of one thread."""
    return all(os.environ.get(name) == value for name, value in ONE_THREAD.items())


def environment() -> dict[str, str]:
    """The environment of one thread, in which this checkout's packages are found."""
    paths = [str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)}


def run_again(arguments: Sequence[str]) -> int:
    """Run the suite in a fresh process of one thread; its exit status."""
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], env=environment(), check=False).returncode
