"""Late sums: what the turns of a loop add up for an argument, such as the weights of a network, is summed after the loop.

Σ_t a_t b_tᵀ = Aᵀ B        a matrix product over all turns in place of an outer product in each, whose factors are kept
Σ_t [i_t = v] g_t          an addition at the rows of a table, in place of a table in each turn
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symdiff.expression import Add, Factor, Node, Number, Product, Symbol
from symdiff.gathers import index_of, with_scatter_opened, written
from symdiff.index_notation import Index, labels_of
from symdiff.normal_form import add, is_guard, number, permute, product, silences
from symdiff.normal_form.numbers import times
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

# The products of two factors in a sum, each with its coefficient, and the rest of it.
Parts = tuple[list[tuple[Number, Product]], Node]
Terms = frozenset[tuple[Number, Node]]


def outer_parts(part: Node) -> Parts:
    """The terms of a sum that are products of matrices or outer products, each of two factors, and the rest.

    Such a one is summed over all turns at once, with one more label: for the weights of a network that is one large matrix
    product in the place of many small ones that are added up.
    """
    terms = part.terms if isinstance(part, Add) else ((1, part),)
    cores: list[tuple[Number, Product]] = []
    rest: list[tuple[Number, Node]] = []
    for c, term in terms:
        core, front = term, c
        if isinstance(term, Product) and not term.is_core and len(term.factors) == 1 and term.factors[0][1] == term.out == tuple(
                range(term.ndim)) and term.dense:
            core, front = term.factors[0][0], times(c, term.coefficient)
        if isinstance(core, Product) and core.ndim and core.type == part.type and (two := of_two_factors(core)) is not None:
            cores.append((times(front, core.coefficient), two))
        else:
            rest.append((c, term))
    return cores, add(rest, part.type)


def of_two_factors(node: Product) -> Product | None:
    """A matrix product or an outer product, but for its coefficient, as one of two factors; None for any other.

    Factors that share a label that is not summed are one, unless they are larger together than each.  A guard has to silence
    both, and stays where it is.
    """
    if not (node.is_core or node.dense) or node.narrows or any(silences(f) for f, _ in node.factors):
        return None
    node = with_scatter_opened(node)
    # What is added at computed positions is what there is for each of them, beside where that goes.
    marks = {k: at[known[1]] for k, (f, at) in enumerate(node.factors) if (known := index_of(f)) is not None}
    told = {k: label for k, label in marks.items() if type(label) is int and written(node, label)}
    added = [factor for k, factor in enumerate(node.factors) if k not in told]
    if len(told) == 1 and added and spanned(added).isdisjoint(told.values()):
        return Product(1, (*[node.factors[k] for k in told], as_one(added, node)), node.out, node.extents, node.type)
    groups: list[tuple[set[int], list[Factor]]] = []
    for f, at in node.factors:
        labels, members = read_labels(at) - set(node.summed), [(f, at)]
        for group in [g for g in groups if g[0] & labels]:
            groups.remove(group)
            labels, members = labels | group[0], [*group[1], *members]
        groups.append((labels, members))
    loose = [factor for labels, members in groups for factor in members if not labels]
    matrices = [members for labels, members in groups if labels]
    if len(matrices) != 2:
        return None
    for f, at in loose:
        matrices[not any(read_labels(at) <= read_labels(there) for _, there in matrices[0])].append((f, at))
    if not all(any(read_labels(at) == spanned(members) for _, at in members) for members in matrices):
        return None
    parts = tuple([as_one(members, node) for members in matrices])
    return Product(1, parts, node.out, node.extents, node.type)


def as_one(factors: list[Factor], node: Product) -> Factor:
    """The product of some factors of a node, and where it is read."""
    if len(factors) == 1:
        return factors[0]
    labels = sorted(spanned(factors))
    sizes = tuple(node.extents[label] for label in labels)
    return product(1, factors, list(labels), dict(zip(labels, sizes, strict=True)), TensorType(node.dtype, sizes)), tuple(labels)


def read_labels(at: Sequence[Index]) -> set[int]:
    """The labels of some indices."""
    return {label for index in at for label in labels_of(index)}


def spanned(factors: Sequence[Factor]) -> set[int]:
    """The labels of some factors."""
    return {label for _, at in factors for label in read_labels(at)}


def sums_of_factors(split: Sequence[Parts]) -> list[Parts]:
    """The parts, with sums of what a contraction multiplies as contractions of one factor: a layer's bias beside its weights.

    What is multiplied is kept for every turn anyway, and summed over all of them at once.
    """
    known: dict[Terms, Product] = {}
    for f, at, core in [(f, at, whole) for cores, _ in split for _, whole in cores for f, at in whole.factors]:
        gone = [k for k in range(f.ndim) if at[k] in core.summed]
        if gone and not isinstance(f, Symbol):
            order = [k for k in range(f.ndim) if k not in gone] + gone
            extents = tuple(f.shape[k] for k in order)
            out = tuple(range(f.ndim - len(gone)))
            whole = Product(1, ((f, tuple(order.index(k) for k in range(f.ndim))),), out, extents,
                            TensorType(f.dtype, extents[:len(out)]))
            known[terms_of([(c, summed_along(term, gone)) for c, term in added_in(f)])] = whole
    found = [known.get(terms_of(added_in(rest))) for _, rest in split]
    return [(cores, rest) if whole is None else ([*cores, (1, whole)], number(0, rest.dtype, rest.shape))
            for (cores, rest), whole in zip(split, found, strict=True)]


def added_in(node: Node) -> Sequence[tuple[Number, Node]]:
    """The terms of a sum, or the node as one."""
    return node.terms if isinstance(node, Add) else ((1, node),)


def terms_of(terms: Iterable[tuple[Number, Node]]) -> Terms:
    """What tells a sum, in whatever order its terms stand.

    A sum that stands at the start of a longer axis, which is 0 further on, is told as one that stands elsewhere on it: summed
    along all of the axis.
    """
    told: set[tuple[Number, Node]] = set()
    for c, node in terms:
        if isinstance(node, Product) and len(node.factors) == 1 and node.extents != node.shape:
            (inner, at), = node.factors
            if isinstance(inner, Product) and inner.is_core and at == node.out == inner.out == tuple(range(node.ndim)) and all(
                    f.shape[k] == inner.extents[i] if type(i) is int else False for f, there in inner.factors
                    for k, i in enumerate(there)):
                c, extents = times(c, node.coefficient), (*node.shape, *inner.extents[node.ndim:])
                node = product(inner.coefficient, list(inner.factors), list(inner.out), dict(enumerate(extents)), node.type)
        told.add((c, node))
    return frozenset(told)


def summed_along(node: Node, axes: Sequence[int]) -> Node:
    """The sum of a node along some of its axes."""
    kept = [k for k in range(node.ndim) if k not in axes]
    labels: list[Index] = list(range(node.ndim))
    factors: list[Factor] = [(node, tuple(labels))]
    extents: Sequence[Size] = node.shape
    coefficient: Number = 1
    if isinstance(node, Product):
        own = dict(enumerate(node.extents))
        if all(type(node.out[k]) is int and own[node.out[k]] == node.shape[k] for k in axes):  # type: ignore[index]
            factors, labels, extents, coefficient = list(node.factors), list(node.out), node.extents, node.coefficient
    return product(coefficient, factors, [labels[k] for k in kept], dict(enumerate(extents)),
                   TensorType(node.dtype, tuple(node.shape[k] for k in kept)))


def with_sums_first(core: Product, turning: set[Node]) -> Product:
    """The core with the summed axes of what is kept for every turn before the others, in one order.

    So they stand beside the turns, and both are summed over as one.  Symbols of the body are arrays that are there already.
    """
    factors: list[Factor] = []
    for f, at in core.factors:
        plain = not isinstance(f, Symbol) and not is_guard(f) and all(type(i) is int for i in at)
        if f in turning and plain and len(set(at)) == len(at):
            order = sorted(range(f.ndim), key=lambda k: (at[k] not in core.summed, at[k]))
            f, at = permute(f, tuple(order)), tuple(at[k] for k in order)
        factors.append((f, at))
    return Product(1, tuple(factors), core.out, core.extents, core.type)
