"""Expansions: functions that have no scalar word of their own become formulas of those that have.

logsumexp(x) → m + where(isfinite(m), log Σ e^(x − m), 0) with m = max x
e^(x − logsumexp(x)) → e^(x − m) / Σ e^(x − m)
hypot(x, y)/hypot(hypot(x, y), z) · x/hypot(x, y) → x / hypot(hypot(x, y), z), the derivative of a length in space
rows with an `expansion` → that formula
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import is_

from codegen.loop_ir.scalars import SCALARS
from codegen.planning.costs import Hints
from codegen.planning.rewriting import over, rewritten
from symdiff.exponential_sums import logsumexp_in, sum_shared
from symdiff.expression import Add, Map, Node, Number, Product, Reduce
from symdiff.functions.exponential import at_least_finite
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.normal_form import add, expand, map_node, number, number_of, product, reduce_node
from symdiff.simplification.patterns import is_map, with_factors
from symdiff.tensor_type import TensorType
from symdiff.traversal import rebuild, topological, transform

# Elements of a sum of exponentials that are kept for their shares in it.
LONGEST_KEPT = 4096
# Its inverse is finite in both precisions.
SMALLEST_NUMBER = 1e-30
# Functions of lengths in space.
LENGTHS = ("hypot", "direction", "ratio")
# Rows that lowering writes by other words of the loop IR.
WRITTEN = {"where": "select", "guard": "", "number": "cast", "as_integer": "cast", "power": "power",
           "one_hot": "equal"}


def expand_functions(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots in the scalar vocabulary of the loop IR."""
    current, order = list(roots), topological(roots)
    names = {node.function.name for node in order if isinstance(node, (Map, Reduce))}
    if "logsumexp" in names:
        current = share_exponentials(current, hints)
    if not names.isdisjoint(LENGTHS):
        current = transform(current, by_one_length)
    if not all(map(is_, current, roots)):
        order = topological(current)
    while any(map(is_expandable, order)):
        current = transform(current, expansion)
        order = topological(current)
    return current


def narrow_truths(roots: Sequence[Node]) -> list[Node]:
    """The roots with truth values as numbers of the dtype of the product that they stand in, not wider."""
    def is_wide(node: Node) -> bool:
        return isinstance(node, Product) and node.dtype == "float32" and any(
            [isinstance(f, Map) and f.function.name == "number" and f.dtype != node.dtype for f in node.children])

    def narrowed(node: Node) -> Node:
        if not is_wide(node):
            return node
        return over(node, [Map(f.function, f.children, TensorType(node.dtype, f.shape))
                           if isinstance(f, Map) and f.function.name == "number" else f for f in node.children])
    return rewritten(roots, narrowed) if any(map(is_wide, topological(roots))) else list(roots)


def is_expandable(node: Node) -> bool:
    """Whether a node has no word in the vocabulary, but a formula."""
    if node.__class__ is Map:
        row = node.function
        return row.expansion is not None and row.name not in SCALARS and row.name not in WRITTEN
    return node.__class__ is Reduce and node.function.fold == "logsumexp"


def expansion(node: Node) -> Node | None:
    """The formula of one node, None where it is in the vocabulary."""
    if not is_expandable(node):
        return None
    if isinstance(node, Map):
        assert node.function.expansion is not None
        found = quotient_of(node)
        if found is not None:
            x, length = found
            labels = tuple(range(node.ndim))
            if never_zero(length):
                inverse = map_node(ROWS["power"], (length, number(-1, node.dtype, node.shape)))
                return product(1, [(x, labels), (inverse, labels)], [*labels], dict(enumerate(node.shape)), node.type)
            return ROWS["ratio"].expansion(x, length)  # type: ignore[no-any-return, misc]
        return node.function.expansion(*node.args)  # type: ignore[no-any-return]
    assert isinstance(node, Reduce)
    return add([(1, part) for part in logsumexp(node)], node.type)


def by_one_length(node: Node) -> Node | None:
    """A product of quotients x / r and r / s of lengths as x / s; lengths with their sides in one order, so that they are one."""
    if is_map(node, "hypot"):
        return length_of(*node.children)
    while isinstance(node, Product):
        quotients = [(k, at, found) for k, (f, at) in enumerate(node.factors) if (found := quotient_of(f)) is not None]
        pair = next(((j, k, x, s) for j, there, (r, s) in quotients for k, at, (x, length) in quotients
                     if j != k and length is r and at == there), None)
        if pair is None:
            break
        j, k, x, length = pair
        node = with_factors(node, {j: [], k: [(map_node(ROWS["ratio"], (x, length)), node.factors[k][1])]})
    return node


def quotient_of(node: Node) -> tuple[Node, Node] | None:
    """(x, r) of x / r with a length r."""
    if is_map(node, "direction"):
        return node.children[0], length_of(*node.children)
    return (node.children[0], node.children[1]) if is_map(node, "ratio") and is_map(node.children[1], "hypot") else None


def length_of(*sides: Node) -> Node:
    """hypot of sides, and of the sides of lengths among them, in an order of their own."""
    ends: list[Node] = []
    pending = list(sides)
    while pending:
        side = pending.pop()
        if is_map(side, "hypot"):
            pending.extend(side.children)
        else:
            ends.append(side)
    return reduce(lambda x, y: map_node(ROWS["hypot"], (x, y)), sorted(ends, key=lambda side: side.key))


def never_zero(length: Node) -> bool:
    """Whether a length has a side that is a number with a finite inverse."""
    return is_map(length, "hypot") and any(
        never_zero(side) or abs(float(number_of(side) or 0)) > SMALLEST_NUMBER for side in length.children)


def logsumexp(node: Reduce) -> tuple[Node, Node]:
    """(m, log Σ e^(x − m)) with m = max x, whose sum is log Σ eˣ, for infinities of either sign too."""
    largest, finite, _, total = exponentials(node)
    return largest, map_node(ROWS["where"], (finite, map_node(ROWS["log"], (total,)), number(0, node.dtype, node.shape)))


def exponentials(node: Reduce) -> tuple[Node, Node, Node, Node]:
    """(m, whether it is finite, e^(x − m), Σ e^(x − m)) of log Σ eˣ with m = max x; e^(x − m) is 0 where both are −inf."""
    x = node.arg
    largest = reduce_node(REDUCTIONS["max"], x, node.axes)
    kept = kept_axes(node)
    moved = map_node(ROWS["exp"], (add([(1, x), (-1, expand(at_least_finite(largest), x.shape, kept))], x.type),))
    labels = tuple(range(x.ndim))
    total = product(1, [(moved, labels)], list(kept), dict(enumerate(x.shape)), TensorType(x.dtype, largest.shape))
    return largest, map_node(ROWS["isfinite"], (largest,)), moved, total


def kept_axes(node: Reduce) -> tuple[int, ...]:
    """The axes that a reduction leaves."""
    return tuple(a for a in range(node.arg.ndim) if a not in node.axes)


def is_long(node: Reduce, hints: Hints) -> bool:
    """Whether what a reduction goes over is much, or may be: the longest axis, whose size only the call tells."""
    gone = [node.arg.shape[axis] for axis in node.axes]
    left = [hints.value(node.arg.shape[axis]) for axis in kept_axes(node)]
    told = all(isinstance(size, int) for size in gone)
    return hints.count(gone) > LONGEST_KEPT or not (told or hints.count(gone) < max(left, default=0))


def share_exponentials(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with e^(x − log Σ eˣ) as e^(x − m) / Σ e^(x − m), whose exponentials the sum has already.

    Those of long sums would have to be kept until they are complete: there, and where x is another one, it is
    e^((x − m) − log Σ e^(z − m)), and so are the sums in which log Σ eᶻ stands.
    """
    def shared(node: Node) -> Node | None:
        if isinstance(node, Add):
            return with_logarithms_last(node)
        total = sum_shared(node)
        if total is None:
            return None
        x, below = node.children
        _, finite, moved, whole = exponentials(total)
        if total.arg is x and not is_long(total, hints) and expand(total, x.shape, kept_axes(total)) is below:
            zero, labels = number(0, x.dtype, whole.shape), tuple(range(x.ndim))
            inverse = map_node(ROWS["where"], (finite, map_node(ROWS["power"], (whole, number(-1, x.dtype, whole.shape))), zero))
            return product(1, [(moved, labels), (inverse, kept_axes(total))], [*labels], dict(enumerate(x.shape)), x.type)
        largest, logarithm = logsumexp(total)
        parts = [placed(part, below) for part in (at_least_finite(largest), logarithm)]
        return map_node(ROWS["exp"], (add([(1, x), *[(-1, part) for part in parts]], x.type),))
    return transform(roots, shared)


def with_logarithms_last(node: Add) -> Node | None:
    """A sum with the parts of each log Σ eᶻ in it apart: its largest element in its place, the logarithm last."""
    terms: list[tuple[Number, Node]] = []
    last: list[tuple[Number, Node]] = []
    for c, term in node.terms:
        total = logsumexp_in(term)
        if total is None:
            terms.append((c, term))
        else:
            largest, logarithm = logsumexp(total)
            terms.append((c, placed(largest, term)))
            last.append((c, placed(logarithm, term)))
    return add([*terms, *last], node.type) if last else None


def placed(part: Node, below: Node) -> Node:
    """A part of a sum of exponentials where the sum stands."""
    return part if isinstance(below, Reduce) else rebuild(below, [part])
