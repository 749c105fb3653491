"""What the machine can do at most, measured in the same rounds: reading memory, and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ORDER = 512
READ, PRODUCT = "read", "product"


def reading(count: int) -> Callable[[], Any]:
    """Read `count` bytes once; from the cache that holds them, if one does.

    A dot product of a vector with itself: BLAS reads one stream and keeps up with memory.
    """
    block = np.ones(max(count // 8, 1))
    return lambda: np.dot(block, block)


def product(dtype: str) -> Callable[[], Any]:
    """A product of two square matrices of `ORDER`, by BLAS."""
    left, right = np.ones((ORDER, ORDER), dtype), np.ones((ORDER, ORDER), dtype)
    target = np.empty_like(left)
    return lambda: np.dot(left, right, out=target)


PRODUCT_OPERATIONS = 2 * ORDER**3
