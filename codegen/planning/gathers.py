"""Reads and writes at computed positions: a label that a one-hot factor tells is not looped over.

before:  Σ_kf one_hot(u_i, k) U[k,f] W[f,j]       a product of three, K times too dear
after:   Σ_f (Σ_k one_hot(u_i, k) U[k,f]) W[f,j]  a gather, which is read where it is needed, and a matrix product

before:  Σ_ij one_hot(u_i, k) A[i,j] B[j,f]
after:   Σ_i one_hot(u_i, k) (Σ_j A[i,j] B[j,f])  a matrix product, added at its positions
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeGuard

from codegen.planning.costs import Hints
from codegen.planning.openings import together
from codegen.planning.rewriting import made, over, rewritten
from codegen.planning.rows_first import multiply_rows
from codegen.planning.shared_terms import is_multiple
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.gathers import Solved, holds_marks, index_of, is_gather, is_scatter, solved_labels, written
from symdiff.index_notation import Index, Label, labels_in, labels_of
from symdiff.normal_form.cores import is_guard, is_one_hot
from symdiff.normal_form.numbers import times
from symdiff.shared_steps import multiple
from symdiff.tensor_type import FLOATING
from symdiff.traversal import topological

# Sums of one-hot factors are written out in a product up to so many.
MOST_MARKS = 16


def with_numbers_added(roots: Sequence[Node]) -> list[Node]:
    """The roots with the numbers before scatters in what these add: 2 Σ_i one_hot(u_i, k) x_i is Σ_i one_hot(u_i, k) (2 x_i).

    So the result is the table to which is added, and no second one.
    """
    order = topological(roots)
    if not any(map(is_scatter, order)):
        return list(roots)
    users = Counter(child for node in order for child in node.children)
    users.update(roots)
    done: dict[Node, Node] = {}
    for node in order:
        fresh = over(node, [done[child] for child in node.children])
        alone = is_multiple(node) and users[node.factors[0][0]] == 1
        done[node] = with_number_added(fresh) if alone and isinstance(fresh, Product) else fresh
    return [done[root] for root in roots]


def with_number_added(node: Product) -> Product:
    """A multiple of a scatter as a scatter of multiples, any other node as it is."""
    inner = node.factors[0][0]
    if not isinstance(inner, Product) or not is_scatter(inner) or node.dtype not in FLOATING:
        return node
    place = next((k for k, (f, _) in enumerate(inner.factors) if not is_guard(f) and f.dtype == node.dtype), None)
    if place is None:
        return node
    factors = [(multiple(node.coefficient, f), at) if k == place else (f, at) for k, (f, at) in enumerate(inner.factors)]
    return Product(1, tuple(factors), inner.out, inner.extents, inner.type)


def separate_gathers(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with gathers and scatters taken out of the contractions that they stand in."""
    spread = rewritten(roots, lambda node: mark_by_mark(node) if is_core(node) else node)
    opened = rewritten(spread, lambda node: with_marks_opened(node) if is_core(node) else node)
    by_rows = rewritten(opened, lambda node: multiply_rows(node, hints) if is_core(node) else node)
    return rewritten(by_rows, lambda node: with_gathers_apart(node) if is_core(node) else node)


def mark_by_mark(node: Product) -> Node:
    """The core with sums of one-hot factors in it written out, where each then tells a label.

    before:  Σ_k (one_hot(i_k, a) - one_hot(j_k, a)) w[k] one_hot(j_k, b)       for each k all a
    after:   Σ_k one_hot(i_k, a) w[k] one_hot(j_k, b) - …                        for each k a few elements
    """
    terms: list[tuple[Number, Product]] = []
    pending: list[tuple[Number, Product]] = [(1, node)]
    while pending:
        c, core = pending.pop()
        place = sum_of_marks(core)
        if place is None:
            terms.append((c, core))
            continue
        total, at = core.factors[place]
        assert isinstance(total, Add)
        for k, part in reversed(total.terms):
            factors = (*core.factors[:place], (part, at), *core.factors[place + 1:])
            if isinstance(part, Product):
                pending.append((times(c, times(k, part.coefficient)), together(core, factors, place)))
            else:
                pending.append((times(c, k), Product(core.coefficient, factors, core.out, core.extents, core.type)))
        if len(pending) + len(terms) > MOST_MARKS:
            return node
    return Add(tuple(terms), node.type) if len(terms) > 1 and all(solved_labels(core) for _, core in terms) else node


def sum_of_marks(node: Product) -> int | None:
    """The place of a factor that is a sum of one-hot factors, turned or not, and nothing else."""
    for place, (f, at) in enumerate(node.factors):
        if isinstance(f, Add) and f.dtype == node.dtype and all(type(i) is int for i in at) and len(set(at)) == len(at) and all(
                is_one_hot(t) or (isinstance(t, Product) and t.dense and holds_marks(t)) for t in f.children):
            return place
    return None


def is_core(node: Node) -> TypeGuard[Product]:
    """Whether the node sums over labels."""
    return isinstance(node, Product) and node.is_core


def with_marks_opened(node: Product) -> Product:
    """The core with gathers and scatters among its factors written out, where it reads at computed positions itself.

    before:  Σ_k one_hot(i_k, l) (Σ_m one_hot(j_m, k) h[m])
    after:   Σ_mk one_hot(i_k, l) one_hot(j_m, k) h[m]        one position tells the next

    Sums at positions that are read at others stay: two indices would tell one label, and each pair of theirs be looked at.
    """
    position = 0
    while position < len(node.factors):
        inner, at = node.factors[position]
        if is_core(inner) and inner.dtype == node.dtype and is_light(inner) and (
                holds_marks(node) or is_table(inner)) and all(type(i) is int for i in at) and len(set(at)) == len(at) and not (
                told_where(inner, at) & {s.label for s in solved_labels(node)}):
            node, position = together(node, node.factors, position), 0
        else:
            position += 1
    return node


def told_where(inner: Product, at: tuple[Index, ...]) -> set[Label]:
    """The labels at which a factor is read along the axes where it adds at positions."""
    told = {s.label for s in solved_labels(inner)}
    return {label for index, place in zip(inner.out, at, strict=True) if told & set(labels_of(index)) for label in labels_of(place)}


def is_light(node: Product) -> bool:
    """Whether all that a core sums are positions and the labels of their indices."""
    marks = [at for f, at in node.factors if index_of(f) is not None]
    return bool(marks) and set(node.summed) <= {label for at in marks for label in labels_in(at)}


def is_table(node: Product) -> bool:
    """Whether a core writes out where an index points."""
    told = {s.position for s in solved_labels(node)}
    return any(index_of(f) is not None and position not in told for position, (f, _) in enumerate(node.factors))


def with_gathers_apart(node: Product) -> Node:
    """The core with its gathers and scatters as products of their own."""
    solved = [] if is_gather(node) else solved_labels(node)
    return separated(node, solved) if solved else node


def separated(node: Product, solved: Sequence[Solved]) -> Node:
    """The core with a gather for each factor that reads a told label, inside a scatter for those that are written."""
    told = {s.label: s for s in solved}
    marks = {s.position for s in solved}
    factors: list[Factor] = []
    for position, (factor, at) in enumerate(node.factors):
        if position not in marks:
            factors.append(gathered(factor, at, node, told) if labels_in(at) & set(told) else (factor, at))
    reads = {label for position, (_, at) in enumerate(node.factors) for label in labels_in(
        at if position not in marks else next(s.at for s in solved if s.position == position))}
    for s in solved:
        if s.label not in reads and not written(node, s.label):
            # Nothing is read there, but a position that is outside counts for nothing.
            chain = needed([s], told)
            free = tuple(sorted({i for t in chain for i in labels_in(t.at)} - set(told)))
            factors.append((made([node.factors[t.position] for t in chain], free, node.extents, node.dtype), free))
    targets = [s for s in solved if written(node, s.label)]
    if not targets:
        return made(factors, node.out, node.extents, node.dtype)
    kept = [label for label in range(len(node.extents)) if label not in told and (
        written(node, label) or any(label in labels_in(s.at) for s in needed(targets, told)))]
    inner = made(factors, tuple(kept), node.extents, node.dtype)
    around = [node.factors[s.position] for s in needed(targets, told)]
    return made([(inner, tuple(kept)), *around], node.out, node.extents, node.dtype)


def needed(targets: Sequence[Solved], told: dict[Label, Solved]) -> list[Solved]:
    """The told labels that tell the given ones, themselves included, in order."""
    wanted = {s.label for s in targets}
    for s in reversed(list(told.values())):
        if s.label in wanted:
            wanted |= labels_in(s.at) & set(told)
    return [s for s in told.values() if s.label in wanted]


def gathered(factor: Node, at: tuple[Index, ...], node: Product, told: dict[Label, Solved]) -> Factor:
    """The factor with its told labels read at their indices, as a product of its own."""
    chain = needed([told[label] for label in labels_in(at) if label in told], told)
    marks = [node.factors[s.position] for s in chain]
    free = sorted((labels_in(at) | {i for s in chain for i in labels_in(s.at)}) - set(told))
    return made([(factor, at), *marks], tuple(free), node.extents, factor.dtype), tuple(free)
