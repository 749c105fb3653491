"""Sums over one place are none, and a step of 0 alone is none: products over axes of one place are products without them.

before:  y[n,o,i,j] = Σ_c Σ_{p<1} Σ_{q<1} x[n, c, i + p, j + q] w[o,c,p,q]       a convolution with kernels of one place
after:   y[n,o,i,j] = Σ_c x[n,c,i,j] w[o,c,0,0]

before:  y[i,j] = Σ_{k<1} x[i,k] w[k,j]
after:   y[i,j] = x[i,0] w[0,j]
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.expression import Node, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index, Label, form_of, tidy
from symdiff.normal_form import product
from symdiff.traversal import transform


def without_single_places(roots: Sequence[Node]) -> list[Node]:
    """The roots without labels of one place in sums, or beside other labels."""
    return transform(roots, plainly)


def plainly(node: Node) -> Node | None:
    """A product without them; None where it has none."""
    if not isinstance(node, Product) or 1 not in node.extents or solved_labels(node):
        return None
    single = {label for label, size in enumerate(node.extents) if size == 1}
    # Beside longer axes that are summed it may stay: what else reads the array counts it too.
    summed = set(node.summed) if node.is_core and single.issuperset(node.summed) else set()
    factors = [(f, tuple([plain(index, single, summed) for index in at])) for f, at in node.factors]
    if factors == list(node.factors):
        return None
    extents = {label: size for label, size in enumerate(node.extents) if label not in summed}
    return product(node.coefficient, factors, list(node.out), extents, node.type)


def plain(index: Index, single: set[Label], summed: set[Label]) -> Index:
    """An index without labels that are 0; one that is such a label alone stays, unless it is summed."""
    constant, terms = form_of(index)
    left = {label: c for label, c in terms if label not in single}
    if len(left) == len(terms) or (not left and len(terms) == 1 and terms[0][0] not in summed):
        return index
    return tidy(constant, left)
