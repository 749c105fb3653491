"""Windows: arrays beside zeros, as slices and pads leave them; which of them in a sum a product sees for themselves (R8)."""

from __future__ import annotations

from itertools import combinations

from symdiff.bounds import at_least
from symdiff.expression import Add, Node, Product
from symdiff.index_notation import Index, bounds, form_of, labels_of
from symdiff.normal_form.merging import Contraction
from symdiff.sizes import Size, combine

# Of more windows none is viewed or multiplied for itself: a program whose steps are stencils would grow several times with each.
WINDOW_LIMIT = 2
# For no more than these sums of products are written for each of them, as for the gates of a recurrent network.
SUMMED_LIMIT = 4


def patterned(node: Node) -> bool:
    """Whether the node is a diagonal, scatter or constant-position pattern."""
    return node.__class__ is Product and not node.dense and not node.is_core


def closed_windows(node: Add, indices: tuple[Index, ...], target: Contraction, summed: bool) -> set[Node]:
    """The windows of a sum that stay together: many, unless there is nothing else and each is seen whole or not at all.

    In a product that is summed those that meet others or dense terms do, and many that were joined: such a sum is a step of its
    own, where each product with it would be as many.
    """
    windows: set[Node] = {term for _, term in node.terms if is_window(term)}
    if summed:
        return windows if windows and (len(windows) > SUMMED_LIMIT or meet(node, windows)) else set()
    if len(windows) <= WINDOW_LIMIT:
        return set()
    all_told = len(windows) == len(node.terms) and all(is_seen(window, indices, target) is not None for window in windows)
    return set() if all_told else windows


def shows_a_sum(node: Add, indices: tuple[Index, ...], target: Contraction) -> bool:
    """Whether a sum is windows alone of which several are seen whole, and of the others nothing.

    Were each multiplied for itself, a program whose steps join such sums would meet the terms of all steps before.
    """
    count = 0
    for _, term in node.terms:
        seen = is_seen(term, indices, target) if is_window(term) else None
        if seen is None:
            return False
        count += seen
    return count > 1


def meet(node: Add, windows: set[Node]) -> bool:
    """Whether some windows of a sum are not proved to lie beside all its other terms."""
    if any([term not in windows for _, term in node.terms]):
        return True
    spans = [[bounds(index, dict(enumerate(window.extents))) for index in window.out] for _, window in node.terms]
    return not all([any([a is not None and b is not None and (is_less(a[1], b[0]) or is_less(b[1], a[0]))
                         for a, b in zip(first, second, strict=True)]) for first, second in combinations(spans, 2)])


def is_less(a: Size, b: Size) -> bool:
    """Whether a < b is proved."""
    return at_least(combine(((1, b), (-1, a))), 1)


def is_window(node: Node) -> bool:
    """Whether the node is an array beside zeros: each of its positions is one label, or a number."""
    if node.__class__ is not Product or node.dense or node.is_core:
        return False
    labels = [label for index in node.out for label in labels_of(index)]
    return len(labels) == len(set(labels)) and all([len(form_of(index)[1]) < 2 for index in node.out])


def is_seen(window: Node, indices: tuple[Index, ...], target: Contraction) -> bool | None:
    """Whether all that is read at the indices lies in the window, or nothing of it; None for a part, or where that is not told."""
    assert isinstance(window, Product)
    extents = dict(enumerate(window.extents))
    is_inside = True
    for at, index in zip(window.out, indices, strict=True):
        written, read = bounds(at, extents), bounds(index, target.extents)
        if written is None or read is None:
            return None
        (low, high), (first, last) = written, read
        if is_less(last, low) or is_less(high, first):
            return False
        is_inside = is_inside and at_least(first, low) and at_least(high, last)
    return is_inside or None
