"""What the writer of LLVM IR knows of the processor that it writes for."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


def never() -> bool:
    """No."""
    return False


class Processor(Struct, frozen=True):
    """Bytes of a vector, and of the second cache of a core; `scales` says whether an instruction multiplies 2ᵏ to vectors."""

    vector_bytes: int = 32
    cache_bytes: int = 1 << 19
    scales: Callable[[], bool] = never


USUAL = Processor()
