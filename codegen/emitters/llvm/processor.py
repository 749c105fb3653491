"""What the writer of LLVM IR knows of the processor that it writes for."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


def unknown() -> int:
    """A number that is not known."""
    return 0


class Processor(Struct, frozen=True):
    """Bytes of a vector, and of the second cache of a core; whether there are the instructions of AVX-512.

    `library_bytes` tells the bytes of the vectors of BLAS, 0 where they are not known.
    """

    vector_bytes: int = 32
    cache_bytes: int = 1 << 19
    avx512: bool = False
    library_bytes: Callable[[], int] = unknown

    @property
    def library_is_narrow(self) -> bool:
        """Whether BLAS uses shorter vectors than the processor has: it was told to, or does not know the processor."""
        return 0 < self.library_bytes() < self.vector_bytes


USUAL = Processor()
