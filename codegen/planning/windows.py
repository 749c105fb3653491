"""Terms that are zero outside of a window are written inside of it alone.

before:  y[i,e] = x[i, e - 64] z[i, e - 64] + …      (zero where the reads are outside)
after:   y[i, h + 64] += x[i,h] z[i,h], …
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.costs import Hints
from codegen.planning.rewriting import over, rewritten
from symdiff.bounds import at_least
from symdiff.expression import Add, Node, Product
from symdiff.index_notation import Index, form_of, inside, labels_of, replace, tidy
from symdiff.sizes import Size, combine


def write_in_windows(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with the terms of their sums as patterns, where they are zero but in a window of half the axis at most.

    A stencil, whose terms are zero at an end alone, is better written in one loop.
    """
    def parted(node: Node) -> Node:
        if not isinstance(node, Add) or len(node.terms) < 2:
            return node
        terms = tuple((c, windowed(term, hints)) for c, term in node.terms)
        return over(node, [term for _, term in terms])
    return rewritten(roots, parted)


def windowed(term: Node, hints: Hints) -> Node:
    """A term written in its window; as it is where it has none."""
    if not isinstance(term, Product) or not term.dense or not term.factors:
        return term
    for label in range(len(term.extents)):
        window = window_of(term, label)
        if window is not None and 2 * hints.value(window[1]) <= hints.value(term.extents[label]):
            start, length = window
            moved: Index = tidy(start, {label: 1})
            factors = tuple((f, tuple(replace(i, label, moved) for i in at)) for f, at in term.factors)
            out = tuple(replace(i, label, moved) for i in term.out)
            extents = tuple(length if k == label else e for k, e in enumerate(term.extents))
            return Product(term.coefficient, factors, out, extents, term.type)
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
