"""Shared terms: sums and products are computed from what they were put together of (`symdiff.shared_steps`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import TypeGuard

from codegen.planning.rewriting import as_written
from symdiff.expression import Add, Node, Number, Product
from symdiff.normal_form.numbers import times
from symdiff.shared_steps import SharedSteps, multiple


def share_terms(roots: Sequence[Node]) -> list[Node]:
    """The roots with shared steps of sums and products closed."""
    steps = SharedSteps(roots)
    if not steps.gainful:
        return list(roots)
    order, opened = steps.over_steps()
    users = Counter(child for node in order for child in opened[node].children)
    done: dict[Node, Node] = {}
    for node in order:
        written = opened[node]
        children = [done[child] for child in written.children]
        alone = [users[child] == 1 for child in written.children]
        if isinstance(written, Product):
            done[node] = with_numbers_outside(written, children, alone)
        elif isinstance(written, Add):
            done[node] = with_numbers_before(written, children, alone)
        else:
            done[node] = as_written(written, children)
    return [done[root] for root in roots]


def with_numbers_outside(node: Product, children: Sequence[Node], alone: Sequence[bool]) -> Node:
    """A product over other factors with the numbers in them before it, a sum of products outside of it: Σ (2 x) y → 2 Σ x y.

    `alone` says which factors nothing else reads.
    """
    if not children:
        return node
    inner = [taken_apart(factor, is_alone) for factor, is_alone in zip(children, alone, strict=True)]
    coefficient = reduce(times, [c for c, _ in inner])
    if coefficient == 1:
        return as_written(node, children)
    factors = tuple([(plain, at) for (_, plain), (_, at) in zip(inner, node.factors, strict=True)])
    if not node.is_core:
        return Product(times(node.coefficient, coefficient), factors, node.out, node.extents, node.type)
    return multiple(coefficient, Product(node.coefficient, factors, node.out, node.extents, node.type))


def with_numbers_before(node: Add, children: Sequence[Node], alone: Sequence[bool]) -> Node:
    """A sum over other terms with the numbers in them before them: 0.5 (2 x) + y → x + y."""
    inner = [taken_apart(term, is_alone) for term, is_alone in zip(children, alone, strict=True)]
    if all([c == 1 for c, _ in inner]):
        return as_written(node, children)
    return Add(tuple([(times(before, c), term) for (before, _), (c, term) in zip(node.terms, inner, strict=True)]), node.type)


def taken_apart(node: Node, is_alone: bool) -> tuple[Number, Node]:
    """A number, and what the node is that number times; what is a product of several is changed where nothing else reads it."""
    coefficient: Number = 1
    if node.__class__ is not Product:
        return coefficient, node
    while is_multiple(node):
        coefficient, node = times(coefficient, node.coefficient), node.factors[0][0]
    if not is_alone or not isinstance(node, Product) or node.is_core:
        return coefficient, node
    inner = [(taken_apart(factor, False), at) for factor, at in node.factors]
    outside = reduce(times, [c for (c, _), _ in inner], node.coefficient)
    if outside == 1:
        return coefficient, node
    plain = Product(1, tuple((part, at) for (_, part), at in inner), node.out, node.extents, node.type)
    return times(coefficient, outside), plain


def is_multiple(node: Node) -> TypeGuard[Product]:
    """Whether a node is a number times another one as it stands."""
    if not isinstance(node, Product) or node.coefficient == 1 or len(node.factors) != 1 or node.is_core or not node.dense:
        return False
    (part, at), = node.factors
    return part.type == node.type and at == node.out == tuple(range(node.ndim))
