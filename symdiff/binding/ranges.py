"""Between which values an elementwise expression lies, told by the least and the greatest element of each symbol in it.

That is far less work than the expression itself, and mostly enough to see that an index stays inside of its axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.expression import Add, Constant, Map, Node, Product, Symbol
from symdiff.gathers import is_gather, solved_labels
from symdiff.normal_form.windows import is_window, meet
from symdiff.sizes import Dim, value_of

Range = tuple[Any, Any]
# Of so many arrays that were joined it is asked whether they lie beside one another.
MOST_JOINED = 64
# The least and the greatest number that a type holds, as integers, and those of all other types.
HELD = {name: (int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in ("int64", "int32")}
FINITE = (-float(np.finfo(np.float64).max), float(np.finfo(np.float64).max))
# By how much of what was added or multiplied a number of each floating type may be off, after the few roundings of an index.
ROUNDED = {"float64": 1e-14, "float32": 1e-5}


def ranges_of(order: Sequence[Node], elements: Callable[[Symbol], Range | None], sizes: Mapping[str, int]) -> dict[Node, Range]:
    """For each node two numbers between which all its elements are, where they are known; children come before what reads them.

    `elements` gives the least and the greatest element of a symbol, None where it has none.

    >>> import symdiff as sd
    >>> from symdiff.traversal import topological
    >>> u = sd.symbol("u", "n")
    >>> index = sd.floor(u).astype("int64") + 1
    >>> ranges_of(topological([index]), lambda symbol: (0.5, 9.75), {"n": 5})[index]
    (1, 10)
    """
    known: dict[Node, Range] = {}
    with np.errstate(all="ignore"):
        for node in order:
            parts: list[Range] = []
            if isinstance(node, Symbol):
                found = elements(node)
            else:
                read = table_read(node) if is_gather(node) else node.children
                parts = [known[c] for c in read if c in known]
                found = range_of_node(node, parts, known, sizes) if len(parts) == len(read) else None
            if found is None:
                continue
            low, high = found
            least, greatest = HELD.get(node.dtype, FINITE)
            if not least <= low <= high <= greatest:
                continue  # infinite, not a number, or integers that come round at the other end
            if node.dtype in ROUNDED and not isinstance(node, (Symbol, Constant)) and not is_whole(node):
                off = ROUNDED[node.dtype] * largest(node, parts, found)
                low, high = low - off, high + off
            known[node] = low, high
    return known


def is_whole(node: Node) -> bool:
    """Whether a node holds whole numbers, which are not rounded once more."""
    return isinstance(node, Map) and node.function.name in ("floor", "ceil", "trunc", "round")


def largest(node: Node, parts: Sequence[Range], found: Range) -> float:
    """How large the numbers are that are rounded for a node: terms may be far larger than their sum."""
    if not isinstance(node, Add):
        return float(max(map(abs, found)))
    return float(sum(max(map(abs, times(c, part))) for (c, _), part in zip(node.terms, parts, strict=True)))


def range_of_node(node: Node, parts: Sequence[Range], known: Mapping[Node, Range], sizes: Mapping[str, int]) -> Range | None:
    """The range of one node from those of its children, `parts`, and of all before it."""
    if node.dtype == "bool":
        return 0, 1
    if isinstance(node, Constant):
        if isinstance(node.value, np.ndarray):
            return (node.value.min().item(), node.value.max().item()) if node.value.size else None
        size = value_of(node.value if isinstance(node.value, Dim) else node.shape[0], sizes)
        return (size, size) if isinstance(node.value, Dim) else (0, max(size - 1, 0))
    if isinstance(node, Add) and lie_apart(node):
        # Of joined arrays each element is one of them, or of what is left out 0.
        spans = [times(c, known[term]) for c, term in node.terms]
        return min([0, *[low for low, _ in spans]]), max([0, *[high for _, high in spans]])
    if isinstance(node, Add):
        # x n − x is (n − 1) x: the same x, and n is known.
        multiples: dict[Node, Any] = {}
        for c, term in node.terms:
            number, base = as_multiple(term, known)
            multiples[base] = multiples.get(base, 0) + c * number
        spans = [times(c, known[base]) for base, c in multiples.items()]
        return sum([low for low, _ in spans]), sum([high for _, high in spans])
    if is_gather(node) and len(parts) == 1:
        return parts[0]  # where that is read is asked for itself
    if isinstance(node, Product) and not node.is_core:
        low, high = node.coefficient, node.coefficient
        for part in parts:
            spans = [times(end, part) for end in (low, high)]
            low, high = min([first for first, _ in spans]), max([last for _, last in spans])
        return (low, high) if node.dense else (min(low, 0), max(high, 0))
    if not isinstance(node, Map):
        return None
    name = node.function.name
    if name in OTHERS:
        return OTHERS[name](*parts)
    if name == "where":
        return chosen(node, *parts)
    if "increasing" not in node.function.traits:
        return None
    ends = zip(*parts, strict=True)
    low, high = (node.function.numpy(*[np.asarray(x, arg.dtype) for x, arg in zip(end, node.args, strict=True)]) for end in ends)
    return low.item(), high.item()


def lie_apart(node: Add) -> bool:
    """Whether the terms are arrays that were joined, each beside the others."""
    windows = {term for _, term in node.terms if is_window(term)}
    return len(windows) <= MOST_JOINED and not meet(node, windows)


def table_read(node: Product) -> list[Node]:
    """What a product reads at positions that an index tells, beside the index."""
    marks = {s.position for s in solved_labels(node)}
    return [f for k, (f, _) in enumerate(node.factors) if k not in marks]


def as_multiple(node: Node, known: Mapping[Node, Range]) -> tuple[Any, Node]:
    """A number, and what the node is that number times, element by element."""
    if not isinstance(node, Product) or not node.dense or node.dtype in HELD:
        return 1, node
    number: Any = node.coefficient
    bases = []
    for f, at in node.factors:
        low, high = known[f]
        if low == high:
            number = number * low
        else:
            bases.append((f, at))
    if len(bases) != 1 or bases[0][0].type != node.type or bases[0][1] != tuple(range(node.ndim)):
        return 1, node
    return number, bases[0][0]


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
    return (c * part[0], c * part[1]) if c >= 0 else (c * part[1], c * part[0])
