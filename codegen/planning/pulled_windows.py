"""Pulled windows: what windows that lie over one another add to an array is summed for each element of it, and stored once.

pushed:  x[y + k] += w[y, k]               each addition waits for the one before, which went to the same element
pulled:  x[p] = Σ_k w[p - k, k]            where p - k is no window, there is zero
"""

from __future__ import annotations

from collections import Counter

from symdiff.expression import Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Label, form_of, injective, labels_of, replace, tidy
from symdiff.sizes import Size, multiply


def pulled(node: Product) -> Product | None:
    """What a structural product writes, but for its coefficient, as a core that sums over the positions in the windows.

    For each axis the label of the windows is told by the position there and the other labels: one of which there are more than
    of each of the others, and that counts one by one.  None where an axis has none such, or no position is written twice.
    """
    extents = dict(enumerate(node.extents))
    if node.is_core or node.dense or solved_labels(node) or injective(node.out, extents):
        return None
    counts = Counter(label for index in node.out for label in labels_of(index))
    factors, out = list(node.factors), list(node.out)
    for axis, index in enumerate(node.out):
        if type(index) is int and counts[index] == 1 and extents[index] == node.shape[axis]:
            continue
        constant, terms = form_of(index)
        if terms and constant == 0 and node.shape[axis] == 1 and all(extents[label] == 1 == counts[label] for label, _ in terms):
            out[axis] = terms[0][0]
            continue
        told = next((label for label, c in terms if c == 1 and all(
            other == label or is_as_long(extents[label], extents[other]) for other, _ in terms)), None)
        if told is None or any(counts[label] > 1 for label, _ in terms) or not is_full(node.shape[axis], extents[told]):
            return None
        if not any(i == told and f.shape[k] == extents[told] for f, at in node.factors for k, i in enumerate(at)):
            return None
        # The label counts the axis now, and the window is what is left of that behind the others.
        others: dict[Label, Size] = {label: multiply(-1, c) for label, c in terms if label != told}
        window = tidy(multiply(-1, constant), {**others, told: 1})
        factors = [(f, tuple([replace(i, told, window) for i in at])) for f, at in factors]
        extents[told], out[axis] = node.shape[axis], told
    return Product(1, tuple(factors), tuple(out), tuple(extents.values()), node.type)


def is_as_long(one: Size, other: Size) -> bool:
    """Whether an axis is at least as long as another one, for all that is known; named sizes are longer than numbers."""
    return isinstance(other, int) and (not isinstance(one, int) or one >= other)


def is_full(size: Size, windows: Size) -> bool:
    """Whether windows lie on most of an axis: elsewhere sums of nothing would be stored."""
    return not isinstance(size, int) or not isinstance(windows, int) or 2 * size <= 3 * windows


def as_read(node: Product) -> Product:
    """The product with its factors at the indices at which they are read."""
    windows = pulled(node)
    return node if windows is None else windows
