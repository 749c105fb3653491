"""Pulled windows: what windows that lie over one another add to an array is read for each element of it, and stored once.

pushed:  for y: for k: x[y + k] += w[y, k]         each addition waits for the one before, which went to the same element
pulled:  for p: x[p] = Σ_k w[p - k, k]             over the k for which p - k is a window
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from codegen.loop_ir.nodes import Affine
from codegen.lowering.affine import difference, placed
from symdiff.expression import Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import form_of, injective, labels_of
from symdiff.sizes import Size


def pulled_labels(node: Product) -> dict[int, int] | None:
    """For each axis of what a structural product writes the label that follows from the position there and the other labels.

    That is the label of the windows, of which there are more than positions in each; None where an axis has none that counts them
    one by one, or where no position is written twice.
    """
    extents = dict(enumerate(node.extents))
    if solved_labels(node) or injective(node.out, extents):
        return None
    counts = Counter(label for index in node.out for label in labels_of(index))
    found: dict[int, int] = {}
    for axis, index in enumerate(node.out):
        terms = form_of(index)[1]
        if any(counts[label] > 1 for label, _ in terms):
            return None
        told = [label for label, c in terms if c == 1 and all(
            other == label or is_as_long(extents[label], extents[other]) for other, _ in terms)]
        if not told or (len(terms) > 1 and not is_full(node.shape[axis], extents[told[0]])):
            return None
        found[axis] = told[0]
    return found


def windows_at(node: Product, at: tuple[Affine, ...], windows: Mapping[int, int],
               labels: Mapping[int, Affine]) -> dict[int, Affine]:
    """The labels that follow from a position and the other labels."""
    found: dict[int, Affine] = {}
    for axis, label in windows.items():
        start, terms = form_of(node.out[axis])
        found[label] = difference(at[axis], placed((start, tuple([t for t in terms if t[0] != label])), labels))
    return found


def is_full(size: Size, windows: Size) -> bool:
    """Whether windows lie on most of an axis: elsewhere sums of nothing would be stored."""
    return not isinstance(size, int) or not isinstance(windows, int) or 2 * size <= 3 * windows


def is_as_long(one: Size, other: Size) -> bool:
    """Whether an axis is at least as long as another one, for all that is known; named sizes are longer than numbers."""
    return isinstance(other, int) and (not isinstance(one, int) or one >= other)
