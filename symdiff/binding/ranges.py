"""Between which values an elementwise expression lies, told by the least and the greatest element of each symbol in it.

That is far less work than the expression itself, and mostly enough to see that an index stays inside of its axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.expression import Add, Constant, Map, Node, Product, Symbol
from symdiff.sizes import Dim, value_of
from symdiff.traversal import topological

Range = tuple[Any, Any]
# By how much of itself a number of each floating type may be off, after the few roundings of an index.
ROUNDED = {"float64": 1e-14, "float32": 1e-5}


def range_of(node: Node, elements: Callable[[Symbol], Range | None], sizes: Mapping[str, int]) -> Range | None:
    """Two numbers between which all elements are; None where nothing is known.

    `elements` gives the least and the greatest element of a symbol, None where it has none.

    >>> import symdiff as sd
    >>> u = sd.symbol("u", "n")
    >>> range_of(sd.floor(u).astype("int64") + 1, lambda symbol: (0.5, 9.75), {"n": 5})
    (1, 10)
    """
    known: dict[Node, Range] = {}
    for part in topological([node]):
        found = elements(part) if isinstance(part, Symbol) else range_of_node(part, [known[c] for c in part.children], sizes)
        if found is None or not all(map(math.isfinite, found)) or not is_held(*found, part.dtype):
            return None
        if part.dtype in ROUNDED and not isinstance(part, Symbol):
            low, high = found
            found = low - abs(low) * ROUNDED[part.dtype], high + abs(high) * ROUNDED[part.dtype]
        known[part] = found
    return known[node]


def is_held(low: Any, high: Any, dtype: str) -> bool:
    """Whether integers of a type hold numbers of a range: those that do not come round at the other end."""
    if dtype not in ("int64", "int32"):
        return True
    kind = np.iinfo(dtype)
    return bool(kind.min <= low <= high <= kind.max)


def range_of_node(node: Node, parts: Sequence[Range], sizes: Mapping[str, int]) -> Range | None:
    """The range of one node from those of its children."""
    if node.dtype == "bool":
        return 0, 1
    if isinstance(node, Constant):
        if isinstance(node.value, np.ndarray):
            return (node.value.min().item(), node.value.max().item()) if node.value.size else None
        size = value_of(node.value if isinstance(node.value, Dim) else node.shape[0], sizes)
        return (size, size) if isinstance(node.value, Dim) else (0, max(size - 1, 0))
    if isinstance(node, Add):
        scaled = [times(c, part) for (c, _), part in zip(node.terms, parts, strict=True)]
        return sum(low for low, _ in scaled), sum(high for _, high in scaled)
    if isinstance(node, Product) and len(node.factors) < 2:
        low, high = times(node.coefficient, parts[0] if parts else (1, 1))
        return (low, high) if node.dense else (min(low, 0), max(high, 0))
    if isinstance(node, Map) and node.function.name == "where":
        return chosen(node, *parts)
    if isinstance(node, Map) and node.function.name in OTHERS:
        return OTHERS[node.function.name](*parts)
    if isinstance(node, Map) and "increasing" in node.function.traits:
        low, high = ([np.asarray(part[end], arg.dtype) for part, arg in zip(parts, node.args, strict=True)] for end in (0, 1))
        with np.errstate(all="ignore"):
            return node.function.numpy(*low).item(), node.function.numpy(*high).item()
    return None


def remainders(x: Range, divisor: Range) -> Range | None:
    """The range of x mod z for a positive z: below it for integers, while a rounded result may be all of it."""
    if divisor[0] <= 0:
        return None
    return 0, divisor[1] - 1 if isinstance(x[0], int) and isinstance(divisor[1], int) else divisor[1]


def magnitudes(x: Range) -> Range:
    """The range of |x|."""
    return (0 if x[0] < 0 < x[1] else min(map(abs, x))), max(map(abs, x))


OTHERS: Mapping[str, Callable[..., Range | None]] = {"remainder": remainders, "abs": magnitudes}


def chosen(node: Map, condition: Range, a: Range, b: Range) -> Range:
    """The range of what is one of two: the smaller or the larger one, where they are compared, as clipping does."""
    asked, first, second = node.args
    name = asked.function.name if isinstance(asked, Map) else ""
    if name in ("less", "less_equal", "greater", "greater_equal") and {*map(id, asked.children)} == {id(first), id(second)}:
        best = min if name.startswith("less") == (asked.children[0] is first) else max
        return best(a[0], b[0]), best(a[1], b[1])
    return min(a[0], b[0]), max(a[1], b[1])


def times(c: Any, part: Range) -> Range:
    """The range of a multiple."""
    low, high = sorted((c * part[0], c * part[1]))
    return low, high
