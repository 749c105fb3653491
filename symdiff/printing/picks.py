"""Products that are read at computed positions, X[i], and one-hot matrices."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.expression import Map, Node, Product
from symdiff.gathers import factors_read, index_of, solved_labels
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType


def picks_of(node: Product) -> tuple[Node, list[Node | None]] | None:
    """(x, the index of each axis or None) where the node is x[i, :, j], as NumPy orders its axes."""
    if not node.is_core:
        return None
    solved = {s.label: s for s in solved_labels(node)}
    if not solved or set(node.summed) - set(solved):
        return None
    marks = {s.position for s in solved.values()}
    rest = [factor for k, factor in enumerate(node.factors) if k not in marks]
    if len(rest) != 1:
        return None
    (x, at), = rest
    if any(type(i) is not int for i in at) or len(set(at)) != len(at) or not set(solved) <= set(at) or x.dtype != node.dtype:
        return None
    around = {s.at for s in solved.values()}
    if len(around) != 1:
        return None
    labels = list(around.pop())
    told = [axis for axis, i in enumerate(at) if i in solved]
    free = [i for i in at if i not in solved]
    place = sum(1 for i in at[:told[0]] if i not in solved) if told[-1] - told[0] == len(told) - 1 else 0
    if [*free[:place], *labels, *free[place:]] != list(range(node.ndim)):
        return None
    return beginning(x, [node.extents[i] for i in at]), [solved[i].given if i in solved else None for i in at]  # type: ignore[index]


def beginning(x: Node, sizes: Sequence[Size]) -> Node:
    """What of x is read: of each axis so many places."""
    shape, labels = tuple(sizes), tuple(range(x.ndim))
    return x if shape == x.shape else Product(1, ((x, labels),), labels, shape, TensorType(x.dtype, shape))


def values_of(node: Node) -> Sequence[Node]:
    """The nodes whose numbers enter those of a node: what is picked, but not the positions."""
    found = picks_of(node) if isinstance(node, Product) else None
    if found is not None:
        return found[:1]
    return () if isinstance(node, Map) and index_of(node) is not None else node.children


def read_by(node: Node) -> list[Node]:
    """The nodes whose text stands in that of a product that picks, or of a one-hot matrix; none for another node."""
    if isinstance(node, Product):
        found = picks_of(node)
        return [] if found is None else [f for f, _ in factors_read(node)]
    known = index_of(node) if isinstance(node, Map) else None
    return [] if known is None else [known[0]]
