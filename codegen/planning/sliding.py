"""Sums over sliding windows run over the window, not over all that it slides along.

The derivative of a convolution by what it reads is y[i] = Σ_a t[a, i + 1 − a]: of its n turns for each i only those count in
which i + 1 − a is inside the window.

before:  y[i] = Σ_{a<n} t[a, i + 1 − a]
after:   y[i] = Σ_{p<3} t[i + 1 − p, p]             three turns

before:  y[i] = Σ_{a<n} t[a, i + 1 − 2 a]           a window that moves by two
after:   y[2 a + p − 1] += t[a, p]                  every element once
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from codegen.planning.costs import Hints
from codegen.planning.rewriting import rewritten
from symdiff.expression import Factor, Node, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index, Label, form_of, labels_of, rename, replace, tidy
from symdiff.sizes import Size, multiply
from symdiff.tensor_type import TensorType


class Solved(NamedTuple):
    """A label, told by the position in a window: label = `by`, in which it now counts the window's `length`."""

    label: Label
    by: Index
    length: Size


def sum_over_windows(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with every sum over a sliding window in the shorter of its two forms."""
    def shorter(node: Node) -> Node:
        if not isinstance(node, Product) or solved_labels(node):
            return node
        return in_order(pushed(pulled(node, hints), hints)) if node.is_core else node
    return rewritten(roots, shorter)


def pulled(node: Product, hints: Hints) -> Product:
    """The core with summed labels counted by the position in the window."""
    for label in node.summed:
        found = window_of(node, label, label, hints)
        if found is not None:
            return pulled(renewed(node, [found], {}), hints)
    return node


def pushed(node: Product, hints: Hints) -> Product:
    """The core as a scatter from its windows, where every summed label moves one by more than a step."""
    found: dict[Label, Solved] = {}
    for label in node.summed:
        for other in range(len(node.extents)):
            solved = window_of(node, label, other, hints) if other in node.out and other not in found else None
            if solved is not None:
                found[other] = solved
                break
        else:
            return node
    return renewed(node, list(found.values()), {s.label: s.by for s in found.values()})


def window_of(node: Product, label: Label, told: Label, hints: Hints) -> Solved | None:
    """How the position in a window shorter than the walk along `told` tells that label, None where there is none.

    The position is read at an index that holds `label` and ± `told`, and what is outside of the walk counts nothing.
    """
    if not any(index == told and f.shape[k] == node.extents[told] for f, at in node.factors for k, index in enumerate(at)) \
            and told not in node.out:
        return None
    for f, at in node.factors:
        for k, index in enumerate(at):
            constant, terms = form_of(index)
            slopes = dict(terms)
            if len(terms) < 2 or label not in slopes or slopes.get(told) not in (1, -1):
                continue
            if hints.value(f.shape[k]) >= hints.value(node.extents[told]):
                continue
            slope = slopes.pop(told)
            # index = constant + slope · told + Σ others, so told = slope · (index − constant − Σ others).
            others: dict[Label, Size] = {i: multiply(-slope, c) for i, c in slopes.items()}
            by = tidy(multiply(-slope, constant), {**others, told: slope})
            return Solved(told, by, f.shape[k])
    return None


def renewed(node: Product, solved: Sequence[Solved], out: Mapping[Label, Index]) -> Product:
    """The core with labels told by positions in windows; `out` says where it is written then."""
    factors, extents = list(node.factors), list(node.extents)
    for label, by, length in solved:
        factors = [(f, tuple(replace(index, label, by) for index in at)) for f, at in factors]
        extents[label] = length
    places = tuple(out.get(label, label) for label in node.out)  # type: ignore[arg-type]
    return Product(node.coefficient, tuple(factors), places, tuple(extents), node.type)


def in_order(node: Product) -> Product:
    """The core, whose single factor is a contraction read by windows, over one with its axes in the order of reading.

    before:  y[b,i,j] = Σ_pq t[b, i + 1 − p, p, j + 1 − q, q]
    after:   y[b,i,j] = Σ_pq u[b, p, q, i + 1 − p, j + 1 − q] with u[b,p,q,a,e] = t[b,a,p,e,q]

    The rows of u are read one after the other; axes that one factor of t brings stand together, behind the first axis, since a
    matrix product takes such a group for one.
    """
    if len(node.factors) != 1 or not node.is_core:
        return node
    (inner, at), = node.factors
    if not isinstance(inner, Product) or not inner.is_core or solved_labels(inner) or inner.out != tuple(range(inner.ndim)):
        return node
    ahead = next((k for k, index in enumerate(at) if len(form_of(index)[1]) > 1), len(at))
    summed = set(node.summed)
    rest = sorted(range(ahead, len(at)), key=lambda k: not summed.issuperset(labels_of(at[k])))
    order = [*range(ahead), *rest]
    brought = {axis: tuple([axis in labels_in(there) for _, there in inner.factors]) for axis in order}
    groups = list(dict.fromkeys([brought[axis] for axis in rest]))
    order[1:] = sorted(order[1:], key=lambda axis: groups.index(brought[axis]) if brought[axis] in groups else -1)
    if order == list(range(len(at))):
        return node
    names = {axis: place for place, axis in enumerate(order)}
    names.update((label, label) for label in range(inner.ndim, len(inner.extents)))
    factors: tuple[Factor, ...] = tuple((f, tuple(rename(index, names) for index in there)) for f, there in inner.factors)
    extents = (*(inner.extents[axis] for axis in order), *inner.extents[inner.ndim:])
    shape = tuple(inner.shape[axis] for axis in order)
    turned = Product(1, factors, tuple(range(inner.ndim)), extents, TensorType(inner.dtype, shape))
    return Product(node.coefficient, ((turned, tuple(at[axis] for axis in order)),), node.out, node.extents, node.type)


def labels_in(at: Sequence[Index]) -> set[Label]:
    """The labels of several indices."""
    return {label for index in at for label in labels_of(index)}
