"""Terms that are zero outside of a window are written inside of it alone.

before:  y[i,e] = x[i, e - 64] z[i, e - 64] + …      (zero where the reads are outside)
after:   y[i, h + 64] += x[i,h] z[i,h], …
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.contractions import replaced
from codegen.planning.costs import Hints
from symdiff.bounds import at_least
from symdiff.expression import Add, Node, Product
from symdiff.index_notation import Index, form_of, inside, labels_of, replace, tidy
from symdiff.sizes import Size, combine
from symdiff.traversal import topological


def write_in_windows(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with the terms of their sums as patterns, where they are zero but in a window of half the axis at most.

    A stencil, whose terms are zero at an end alone, is better written in one loop.
    """
    done: dict[Node, Node] = {}
    for node in topological(roots):
        children = [done[child] for child in node.children]
        fresh = node if all(a is b for a, b in zip(children, node.children, strict=True)) else replaced(node, children)
        if isinstance(fresh, Add) and len(fresh.terms) > 1:
            terms = tuple((c, windowed(term, hints)) for c, term in fresh.terms)
            if any(new is not old for (_, new), (_, old) in zip(terms, fresh.terms, strict=True)):
                fresh = Add(terms, fresh.type)
        done[node] = fresh
    return [done[root] for root in roots]


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
