"""Square roots of scales: Σ s[n] x[n,i] x[n,j] with s ≥ 0 is the square of √s x, which takes half of the work of a product.

Σₙ (s x)[n,i] x[n,j]    →    Σₙ (√s x)[n,i] (√s x)[n,j]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codegen.planning.costs import Hints
from codegen.planning.matrices import Operand, matrix_form, scale_of
from codegen.planning.rewriting import rewritten
from symdiff.expression import Add, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.functions.row import ROWS
from symdiff.index_notation import Label, labels_of
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological


def take_square_roots(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with symmetric products that are scaled by what is nowhere negative as products of one factor with itself."""
    return rewritten(roots, lambda node: squared(node, hints) if isinstance(node, Product) and node.is_core else node)


def squared(node: Product, hints: Hints) -> Node:
    """A core as a square, where it is one."""
    form = matrix_form(node, hints)
    if form is None or not form.symmetric or form.A.node is form.B.node:
        return node
    turned = dict(zip((*form.rows, *form.columns), (*form.columns, *form.rows), strict=True))
    for whole, part in ((form.A, form.B), (form.B, form.A)):
        scale = scale_of(whole, part, turned)
        # Labels of the part, where each is one of its axes from end to end.
        own: list[Label] = [i for axis, i in enumerate(part.at) if type(i) is int and node.extents[i] == part.node.shape[axis]]
        if scale and len(set(own)) == part.node.ndim and all(
                is_nonnegative(f) and all(type(i) is int and i in own for i in at) for f, at in scale):
            scaled = with_root(part, scale, own)
            return Product(1, ((scaled, tuple(turned.get(i, i) for i in own)), (scaled, tuple(own))), node.out, node.extents,
                           node.type)
    return node


def with_root(part: Operand, scale: Sequence[Operand], own: Sequence[Label]) -> Node:
    """√scale · part, with the axes of the part."""
    labels = sorted({i for _, at in scale for k in at for i in labels_of(k)}, key=own.index)
    names = {label: k for k, label in enumerate(labels)}
    shape = tuple(part.node.shape[own.index(label)] for label in labels)
    type = TensorType(part.node.dtype, shape)
    factors = tuple((f, tuple(names[i] for k in at for i in labels_of(k))) for f, at in scale)
    root = Map(ROWS["sqrt"], (Product(1, factors, tuple(range(len(labels))), shape, type),), type)
    whole = tuple(range(part.node.ndim))
    return Product(1, ((part.node, whole), (root, tuple(own.index(label) for label in labels))), whole, part.node.shape,
                   part.node.type)


def is_nonnegative(root: Node) -> bool:
    """Whether no element of a node can be below zero (it may be NaN)."""
    known: dict[Node, bool] = {}
    for node in topological([root]):
        known[node] = by_kind(node, known)
    return known[root]


def by_kind(node: Node, known: dict[Node, bool]) -> bool:
    """Whether a node is nowhere negative, by what is known of its children."""
    value = number_of(node)
    if value is not None:
        return value >= 0
    if isinstance(node, Symbol):
        return bool({"positive", "nonnegative"} & set(node.facts))
    if isinstance(node, Constant):  # sizes and counts are never negative
        return not isinstance(node.value, np.ndarray) or bool((node.value >= 0).all())
    if isinstance(node, Map):
        exponent = base_and_exponent(node)[1] if node.function.name == "power" else None
        if isinstance(exponent, int):
            return exponent % 2 == 0 or known[node.args[0]]
        return "nonnegative" in node.function.traits
    if isinstance(node, Add):
        return all(c >= 0 and known[term] for c, term in node.terms)
    if isinstance(node, Reduce):
        return node.function.fold in ("max", "min", "prod") and known[node.arg]
    return isinstance(node, Product) and node.coefficient >= 0 and all(known[f] for f in node.children)
