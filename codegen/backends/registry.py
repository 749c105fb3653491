"""The table of targets."""

from __future__ import annotations

from codegen.backends.interpreted import Interpreted
from codegen.backends.llvm_cpu import LlvmCpu
from codegen.backends.numba_cpu import NumbaCpu
from codegen.backends.protocol import Backend
from symdiff.errors import BackendUnavailable
from symdiff.option_values import suggestion

BACKENDS: dict[str, Backend] = {"cpu": LlvmCpu(), "numba": NumbaCpu(), "interpreter": Interpreted()}
# The reference is planned and shown as its neighbour is; only what runs differs.
REFERENCE = "numpy"
TARGETS = (*BACKENDS, REFERENCE)
PLANNED = {"cuda": "use target=\"cpu\"; kernels for NVIDIA GPUs are not built yet"}


def backend(target: str) -> Backend:
    """The backend of a target; raises `BackendUnavailable` for one that cannot be used.

    >>> backend("numba").NAME
    'numba'
    """
    if not isinstance(target, str) or target not in (*TARGETS, *PLANNED):
        raise BackendUnavailable(f"there is no target {target!r:.60}",
                                 mend=f"{suggestion(target, TARGETS)}targets are {', '.join(map(repr, TARGETS))}")
    if target in PLANNED:
        raise BackendUnavailable(f"target {target!r} is not available", mend=PLANNED[target])
    return BACKENDS["numba" if target == REFERENCE else target]
