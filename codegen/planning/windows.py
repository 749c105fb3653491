"""Terms that are zero outside of a window are written inside of it alone.

before:  y[i,e] = x[i, e - 64] z[i, e - 64] + …      (zero where the reads are outside)
after:   y[i, h + 64] += x[i,h] z[i,h], …

before:  y[e] = Σ_i x[i, e - 64] + …
after:   y[h + 64] += s[h] with s[h] = Σ_i x[i,h], …
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codegen.planning.costs import Hints
from codegen.planning.rewriting import over, rewritten
from symdiff.bounds import at_least
from symdiff.expression import Add, Node, Number, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index, bounds, form_of, injective, inside, labels_of, replace, tidy
from symdiff.sizes import Size, combine
from symdiff.tensor_type import TensorType


def write_in_windows(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with the terms of their sums as patterns, where they are zero but in a window of half the axis at most.

    A stencil, whose terms are zero at an end alone, is better written in one loop.
    """
    def parted(node: Node) -> Node:
        if not isinstance(node, Add) or len(node.terms) < 2:
            return node
        written = over(node, [windowed(term, hints) for _, term in node.terms])
        return written if written is node else Add(in_order(written.terms), node.type)
    return rewritten(roots, parted)


def in_order(terms: Iterable[tuple[Number, Node]]) -> tuple[tuple[Number, Node], ...]:
    """The terms of a sum with those in windows last, from the first window to the last: sums of the same terms are one."""
    def start(term: Node) -> list[int]:
        moved = [form_of(i)[0] for i in term.out if type(i) is not int] if isinstance(term, Product) else []
        return [s if isinstance(s, int) else 0 for s in moved]
    return tuple(sorted(terms, key=lambda t: start(t[1])))


def windowed(term: Node, hints: Hints) -> Node:
    """A term written in its window; as it is where it has none."""
    if not isinstance(term, Product) or not term.factors or not (term.dense or (term.is_core and not solved_labels(term))):
        return term
    if term.out != tuple(range(term.ndim)):
        return term
    for label in range(term.ndim):
        window = window_of(term, label)
        if window is not None and 2 * hints.value(window[1]) <= hints.value(term.extents[label]):
            start, length = window
            moved: Index = tidy(start, {label: 1})
            factors = tuple((f, tuple(replace(i, label, moved) for i in at)) for f, at in term.factors)
            out = tuple(replace(i, label, moved) for i in term.out)
            extents = tuple(length if k == label else e for k, e in enumerate(term.extents))
            if term.dense:
                return Product(term.coefficient, factors, out, extents, term.type)
            # What sums is an array of its own, as long as the window.
            shape = extents[:term.ndim]
            inner = Product(term.coefficient, factors, term.out, extents, TensorType(term.dtype, shape))
            return Product(1, ((inner, term.out),), out, shape, term.type)
    return term


def window_of(term: Product, label: int) -> tuple[Size, Size] | None:
    """(start, length) of the values of a label at which every factor that reads by it is inside."""
    found: set[tuple[Size, Size]] = set()
    for f, at in term.factors:
        for k, index in enumerate(at):
            if label not in labels_of(index):
                continue
            constant, terms = form_of(index)
            if len(terms) != 1 or terms[0][1] != 1:
                return None
            found.add((combine(((-1, constant),)), f.shape[k]))
    if len(found) != 1:
        return None
    (start, length), = found
    end = combine(((1, start), (1, length)))
    whole = inside(tidy(combine(((-1, start),)), {label: 1}), length, dict(enumerate(term.extents)))
    if whole or not at_least(start, 0) or not at_least(term.extents[label], end):
        return None
    return start, length


def fills_axis(node: Add) -> bool:
    """Whether the windows of a sum's terms lie one behind the other along an axis, and leave nothing of it out."""
    cut: set[int] = set()
    spans = []
    for _, term in node.terms:
        if not isinstance(term, Product) or solved_labels(term):
            return False
        labels = [label for index in term.out for label in labels_of(index)]
        if len(set(labels)) < len(labels):
            return False  # a diagonal leaves out what is beside it
        extents = dict(enumerate(term.extents))
        for axis, index in enumerate(term.out):
            if type(index) is not int or extents[index] != node.shape[axis]:
                ends = bounds(index, extents)
                here = list(labels_of(index))
                if ends is None or len(here) != 1 or index != tidy(ends[0], {here[0]: 1}):
                    return False
                cut.add(axis)
                spans.append(ends)
        if not injective(term.out, extents):
            return False
    if len(cut) != 1 or len(spans) != len(node.terms) or not all(isinstance(end, int) for ends in spans for end in ends):
        return False
    size, reached = node.shape[next(iter(cut))], 0
    for low, high in sorted(spans):
        if low != reached:
            return False
        reached = high + 1
    return reached == size
