"""Rows first: what multiplies rows that an index tells is multiplied in the table, where that has no more rows than are read.

before:  Σ_v one_hot(i_e, v) q[v,k] d[v]               e times a row of q, an element of d, and their product
after:   Σ_v one_hot(i_e, v) (q[v,k] d[v])             the product for each row, of which e are read

before:  Σ_ek one_hot(i_e, v) A[e,k] q[v,k]            e times a row of q
after:   Σ_k (Σ_e one_hot(i_e, v) A[e,k]) q[v,k]       a table, which others read too, and one product for each row

A row that nothing reads counts as 0 times what stands there then, as in other libraries, and not as 0 whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.costs import Hints
from codegen.planning.rewriting import made
from symdiff.expression import Factor, Node, Product
from symdiff.gathers import Solved, solved_labels, written
from symdiff.index_notation import Label, labels_in


def multiply_rows(node: Product, hints: Hints) -> Node:
    """A core with one-hot factors with rows multiplied first, another core as it is."""
    solved = solved_labels(node)
    told = {s.label for s in solved}
    for s in solved:
        if told & labels_in(s.at) or hints.count([node.extents[s.label]]) > hints.count(
                [node.extents[i] for i in labels_in(s.at)]):
            continue
        rows = [factor for k, factor in enumerate(node.factors) if k != s.position and s.label in labels_in(factor[1])]
        if not all(type(i) is int for _, at in rows for i in at) or any(f.dtype != node.dtype for f, _ in rows):
            continue
        if written(node, s.label):
            change: Node | None = rows_after(node, s, rows, hints) if rows and len(solved) == 1 else None
        else:
            change = rows_before(node, s, rows)
        if change is not None:
            return change
    return node


def rows_before(node: Product, s: Solved, rows: Sequence[Factor]) -> Node | None:
    """The core with what is read at a told label as one factor, None where that would be larger than the largest of them."""
    labels = set().union(*[labels_in(at) for _, at in rows])
    widest = next((at for _, at in rows if set(at) == labels and len(at) == len(labels)), None)
    if len(rows) < 2 or widest is None:
        return None
    table = made(rows, widest, node.extents, node.dtype)
    rest = [factor for k, factor in enumerate(node.factors) if not any(factor is row for row in rows)]
    return Product(node.coefficient, ((table, widest), *rest), node.out, node.extents, node.type)


def rows_after(node: Product, s: Solved, rows: Sequence[Factor], hints: Hints) -> Node | None:
    """The core with what is read at the label of a scatter outside of it, None where the table would be the larger."""
    if not all(type(i) is int for i in node.out):
        return None
    rest = [factor for factor in node.factors if not any(factor is row for row in rows)]
    wanted = set().union(labels_in(node.out), *[labels_in(at) for _, at in rows])
    kept: list[Label] = [label for label in range(len(node.extents)) if label in wanted and (
        label == s.label or any(label in labels_in(at) for _, at in rest))]
    if len(rest) < 2 or hints.count([node.extents[i] for i in kept]) > max(hints.count(f.shape) for f, _ in rows):
        return None
    table = made(rest, tuple(kept), node.extents, node.dtype)
    return made([*rows, (table, tuple(kept))], node.out, node.extents, node.dtype)
