"""Reading at computed positions: which labels of a product follow from the others through a one-hot factor.

x[i] is Σ_k one_hot(i, k, n) x[k]: the label k need not be looped over, it is i.  The adjoint is the same product with k in
`out`: a scatter, which adds at position i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from symdiff.expression import Constant, Factor, Node, Product
from symdiff.index_notation import Index, Label, labels_of, rename
from symdiff.normal_form.cores import is_one_hot
from symdiff.normal_form.numbers import broadcast_axes
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType


class Solved(NamedTuple):
    """A label that is `given` read at `at`, counted from the end of `size` where that is negative."""

    label: Label
    position: int
    given: Node
    at: tuple[Index, ...]
    size: Size


def index_of(node: Node) -> tuple[Node, int] | None:
    """The index i and the axis k of a one-hot factor one_hot(i, k, n), None where k does not count positions."""
    if not is_one_hot(node):
        return None
    index, positions, _ = node.args
    axis = counted_axis(positions)
    if axis is None or axis not in broadcast_axes(index):
        return None
    return without_axis(index, axis), axis  # type: ignore[arg-type]


def without_axis(view: Product, axis: int) -> Node:
    """A view without an axis along which it is constant, as it is written (plans have forms of their own)."""
    names = {k: k - (k > axis) for k in range(view.ndim) if k != axis}
    shape = tuple(s for k, s in enumerate(view.shape) if k != axis)
    factors = tuple((f, tuple(rename(i, names) for i in at)) for f, at in view.factors)
    if view.coefficient == 1 and len(factors) == 1:
        inner, at = factors[0]
        if at == tuple(range(len(shape))) and inner.type == TensorType(view.dtype, shape):
            return inner
    return Product(view.coefficient, factors, tuple(range(len(shape))), shape, TensorType(view.dtype, shape))


def counted_axis(node: Node) -> int | None:
    """The axis along which the node counts 0, 1, 2 …, and along no other."""
    if is_count(node):
        return 0
    if node.__class__ is Product and node.dense and node.coefficient == 1 and len(node.factors) == 1:
        inner, at = node.factors[0]
        if is_count(inner) and at[0].__class__ is int:
            return at[0]
    return None


def is_count(node: Node) -> bool:
    """Whether the node is 0, 1, 2 and so on."""
    return node.__class__ is Constant and node.value.__class__ is str


def solved_labels(node: Product) -> list[Solved]:
    """The labels that one-hot factors tell, each after those that its own index reads."""
    found: list[Solved] = []
    if not holds_marks(node):
        return found
    for position, (factor, at) in enumerate(node.factors):
        known = index_of(factor)
        if known is None:
            continue
        index, axis = known
        label, there = at[axis], (*at[:axis], *at[axis + 1:])
        around = {i for entry in there for i in labels_of(entry)}
        whole = node.extents[label] == factor.shape[axis] if label.__class__ is int else False
        if not whole or label in around or any(s.label == label for s in found):
            continue
        found.append(Solved(label, position, index, there, factor.shape[axis]))  # type: ignore[arg-type]
    told: list[Solved] = []
    base: dict[Label, set[Label]] = {}
    for s in in_order(found):
        roots: set[Label] = set()
        for label in {i for entry in s.at for i in labels_of(entry)}:
            roots |= base.get(label, {label})
        # Where all of it is written out, the product is a table of where the index points, and every label is looped over.
        if not (written(node, s.label) and all(written(node, i) for i in roots)):
            told.append(s)
            base[s.label] = roots
    return told


def factors_read(node: Product) -> Sequence[Factor]:
    """The factors of a product, of a one-hot factor that tells a label only the index."""
    solved = {s.position: (s.given, s.at) for s in solved_labels(node)}
    return [solved.get(k, factor) for k, factor in enumerate(node.factors)] if solved else node.factors


def children_read(node: Node) -> Sequence[Node]:
    """The nodes whose values give that of a node."""
    return [f for f, _ in factors_read(node)] if (
        node.__class__ is Product and node.extents and holds_marks(node)) else node.children


def holds_marks(node: Node) -> bool:
    """Whether a factor is one-hot."""
    if node.__class__ is Product and not node.extents:
        return False
    return any([is_one_hot(child) for child in node.children])


def is_gather(node: Node) -> TypeGuard[Product]:
    """Whether every label that the node sums is told by an index, so that an element takes no loop."""
    if not isinstance(node, Product) or not node.is_core:
        return False
    told = {s.label for s in solved_labels(node)}
    return bool(told) and set(node.summed) <= told


def is_scatter(node: Node) -> TypeGuard[Product]:
    """Whether the node adds at positions that an index tells."""
    return isinstance(node, Product) and node.is_core and any([written(node, s.label) for s in solved_labels(node)])


def with_scatter_opened(node: Product) -> Product:
    """The product with a factor that adds at positions opened in its place: (Σ_b [i_b = v] e_b) g_d as Σ_b [i_b = v] e_b g_d.

    The coefficient is left out.
    """
    for k, (f, at) in enumerate(node.factors if node.dense and not node.is_core else ()):
        if isinstance(f, Product) and f.is_core and any(
                [(known := index_of(part)) is not None and there[known[1]] in f.out for part, there in f.factors]):
            names: dict[Label, Index] = dict(zip(f.out, at, strict=True))  # type: ignore[arg-type]
            names.update({label: len(node.extents) + j for j, label in enumerate(f.summed)})
            if not all([type(i) is int for _, there in f.factors for i in there]):
                continue
            inner = [(part, tuple([names[i] for i in there])) for part, there in f.factors]  # type: ignore[index]
            factors = (*node.factors[:k], *inner, *node.factors[k + 1:])
            extents = (*node.extents, *[f.extents[label] for label in f.summed])
            return Product(1, factors, node.out, extents, node.type)
    return node if node.coefficient == 1 else Product(1, node.factors, node.out, node.extents, node.type)


def written(node: Product, label: Label) -> bool:
    """Whether the label stands in `out`."""
    return any(label in labels_of(index) for index in node.out)


def in_order(found: list[Solved]) -> list[Solved]:
    """Solved labels so that each follows those that it needs; what goes round in a circle is left out."""
    ordered: list[Solved] = []
    rest = list(found)
    while rest:
        open_labels = {s.label for s in rest}
        ready = [s for s in rest if not open_labels & {i for entry in s.at for i in labels_of(entry)}]
        if not ready:
            break
        ordered += ready
        rest = [s for s in rest if not any(s is r for r in ready)]
    return ordered
