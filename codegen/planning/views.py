"""Views: parts and windows of arrays as factors of their own, so that a contraction reads all of them at plain labels.

A part is read where it stands.  A window is stored, element by element, where the contraction reads each of its elements
often enough: a convolution is then a product of two matrices, its weight gradient another one with the same windows
(Chellapilla, Puri, Simard: High performance convolutional neural networks for document processing, 2006, sec. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from codegen.planning.costs import Hints
from symdiff.expression import Factor, Map, Node, Product
from symdiff.index_notation import Index, Label, form_of, injective, labels_of, rename
from symdiff.normal_form import is_guard, silences
from symdiff.tensor_type import TensorType

# A window is stored where each of its elements is read this often: a copy costs a load and a store.
REUSE = 4


def with_views(node: Product, hints: Hints) -> Product:
    """The core with parts of arrays as factors of their own, so that all of them are read at plain labels.

    before:  Σ_k x[i,k] y[i,k] W[j, k + 64]
    after:   Σ_k x[i,k] y[i,k] V[j,k] with V[j,k] = W[j, k + 64]

    before:  Σ_cp x[b, c, i + p] w[o,c,p]
    after:   Σ_cp V[b,c,p,i] w[o,c,p] with V[b,c,p,i] = x[b, c, i + p], for four outputs o and more
    """
    if plain(node) or len(node.factors) < 2:
        return node
    factors: list[Factor] = []
    extents = dict(enumerate(node.extents))
    for place, (f, at) in enumerate(node.factors):
        labels = list(dict.fromkeys(label for index in at for label in labels_of(index)))
        if all(type(i) is int for i in at) and len(labels) == len(at):
            factors.append((f, at))
            continue
        if is_guard(f) and not silences(f):
            return node  # a position that an index tells stays where its index is
        alone = injective(at, extents)
        often = hints.count(node.extents) >= REUSE * hints.count([node.extents[label] for label in labels])
        if not alone and not often:
            return node
        # Windows that lie side by side are read where they stand, or stored as those that lie over one another.
        if not alone or (often and any(len(form_of(index)[1]) > 1 for index in at)):
            others = [index for k, (_, there) in enumerate(node.factors) if k != place for index in there]
            shared = list(dict.fromkeys(i for index in others for i in labels_of(index) if i in labels))
            labels = in_groups(at, labels, shared, node, hints)
        shape = tuple(node.extents[label] for label in labels)
        names = {label: k for k, label in enumerate(labels)}
        inner = tuple(rename(index, names) for index in at)
        # A part of a guard is a guard: it selects, it does not multiply.
        child = f.children[0] if is_guard(f) else f
        view: Node = Product(1, ((child, inner),), tuple(range(len(labels))), shape, TensorType(child.dtype, shape))
        if isinstance(f, Map) and is_guard(f):
            view = Map(f.function, (view,), TensorType(f.dtype, shape))
        factors.append((view, tuple(labels)))
    return Product(node.coefficient, tuple(factors), node.out, node.extents, node.type)


def plain(node: Product) -> bool:
    """Whether every factor is read at plain labels, each once."""
    return all(type(i) is int for _, at in node.factors for i in at) and all(len(set(at)) == len(at) for _, at in node.factors)


def in_groups(at: Sequence[Index], labels: Sequence[Label], shared: Sequence[Label], node: Product,
              hints: Hints) -> list[Label]:
    """The labels of a window, those together that are `shared` with another factor, in the order that they have there.

    A matrix product takes such a group for one axis, and the others for another.  The longest label of the last axis is among
    the last, so that windows are copied row by row.
    """
    if sum((a in shared) != (b in shared) for a, b in pairwise(labels)) < 2:
        return list(labels)
    ahead = next(k for k, index in enumerate(at) if len(form_of(index)[1]) > 1)
    leading = [label for label in labels if label in {i for index in at[:ahead] for i in labels_of(index)}]
    # What comes before the windows stays ahead of all, or of its own group.
    first, labels = leading[:1], [*leading[1:], *[label for label in labels if label not in leading]]
    last = max(labels_of(next(index for index in reversed(at) if form_of(index)[1])), key=lambda i: hints.value(node.extents[i]))
    own = [label for label in labels if label not in first and label not in shared]
    common = [label for label in shared if label not in first]
    return [*first, *own, *common] if last in shared else [*first, *common, *own]
