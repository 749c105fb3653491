"""The table of targets."""

from __future__ import annotations

import difflib

from codegen.backends.interpreted import Interpreted
from codegen.backends.llvm_cpu import LlvmCpu
from codegen.backends.numba_cpu import NumbaCpu
from codegen.backends.protocol import Backend
from symdiff.errors import BackendUnavailable

BACKENDS: dict[str, Backend] = {"cpu": LlvmCpu(), "numba": NumbaCpu(), "interpreter": Interpreted()}
PLANNED = {"cuda": "use target=\"cpu\"; kernels for NVIDIA GPUs are not built yet"}


def backend(target: str) -> Backend:
    """The backend of a target; raises `BackendUnavailable` for one that cannot be used.

    >>> backend("numba").NAME
    'numba'
    """
    if target in BACKENDS:
        return BACKENDS[target]
    if target in PLANNED:
        raise BackendUnavailable(f"target {target!r} is not available", mend=PLANNED[target])
    near = difflib.get_close_matches(str(target), BACKENDS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BackendUnavailable(f"there is no target {target!r}",
                             mend=f"{hint}targets are {', '.join(map(repr, BACKENDS))}")
