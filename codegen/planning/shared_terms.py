"""Shared terms: sums and products are computed from what they were put together of (`symdiff.shared_steps`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import is_
from typing import TypeGuard

from codegen.planning.rewriting import as_written
from symdiff.expression import Add, Node, Number, Product
from symdiff.normal_form.numbers import times
from symdiff.shared_steps import ProductOver, SharedSteps, SumOver, multiple


def share_terms(roots: Sequence[Node]) -> list[Node]:
    """The roots with shared steps of sums and products closed."""
    steps = SharedSteps(roots)
    if not steps.gainful:
        return list(roots)
    order, records = steps.records()
    users = Counter([child for node in order for child in records[node].children])
    done: dict[Node, Node] = {}
    for node in order:
        written = records[node]
        children = [done[child] for child in written.children]
        kind = written.__class__
        if kind is Product or kind is ProductOver:
            done[node] = with_numbers_outside(written, children, users)  # type: ignore[arg-type]
        elif kind is Add or kind is SumOver:
            done[node] = with_numbers_before(written, children, users)  # type: ignore[arg-type]
        else:
            done[node] = as_written(written, children)  # type: ignore[arg-type]
    return [done[root] for root in roots]


def with_numbers_outside(written: Product | ProductOver, children: Sequence[Node], users: Counter[Node]) -> Node:
    """A product over other factors with the numbers in them before it, a sum of products outside of it: Σ (2 x) y → 2 Σ x y.

    What only the product reads of `users` may be changed for that.
    """
    inner = list(children)
    coefficient: Number = 1
    for place, child in enumerate(children):
        if child.__class__ is Product:
            before, inner[place] = taken_apart(child, users[written.factors[place][0]] == 1)
            coefficient = times(coefficient, before)
    if coefficient.__class__ is int and coefficient == 1:
        return over_factors(written, written.coefficient, children)
    if isinstance(written, Product) and written.is_core:
        return multiple(coefficient, over_factors(written, written.coefficient, inner))
    return over_factors(written, times(written.coefficient, coefficient), inner)


def over_factors(written: Product | ProductOver, coefficient: Number, children: Sequence[Node]) -> Node:
    """A product with another coefficient over other factors; the node itself where they are its own."""
    if isinstance(written, Product) and coefficient == written.coefficient and all(map(is_, children, written.children)):
        return written
    factors = tuple([(child, at) for (_, at), child in zip(written.factors, children, strict=True)])
    return Product(coefficient, factors, written.out, written.extents, written.type)


def with_numbers_before(written: Add | SumOver, children: Sequence[Node], users: Counter[Node]) -> Node:
    """A sum over other terms with the numbers in them before them: 0.5 (2 x) + y → x + y."""
    terms: list[tuple[Number, Node]] = []
    is_changed = not isinstance(written, Add)
    for child, (c, term) in zip(children, written.terms, strict=True):
        part, number = child, c
        if child.__class__ is Product:
            before, part = taken_apart(child, users[term] == 1)
            number = times(before, c)
        is_changed = is_changed or part is not term
        terms.append((number, part))
    return Add(tuple(terms), written.type) if is_changed else written  # type: ignore[return-value]


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
    if not isinstance(node, Product) or len(node.factors) != 1 or node.coefficient == 1 or node.is_core or not node.dense:
        return False
    (part, at), = node.factors
    return part.type == node.type and at == node.out == tuple(range(node.ndim))
