"""What several rules look for: scalar functions, sums with a number, powers among the factors of a product."""

from __future__ import annotations

from symdiff.expression import Add, Factor, Map, Node, Number, Product
from symdiff.index_notation import Index
from symdiff.normal_form import number_of, product, scale
from symdiff.normal_form.numbers import base_and_exponent, exact, times

Place = tuple[Index, ...]


def is_map(node: Node, name: str) -> bool:
    """Whether the node is the scalar function `name`."""
    return node.__class__ is Map and node.function.name == name


def one_plus(node: Node) -> tuple[int, Node] | None:
    """(sign, x) where the node is 1 ± x, given as a sum of two terms."""
    if node.__class__ is not Add or len(node.terms) != 2:
        return None
    (a, s), (b, t) = node.terms
    for c, x, k, u in ((a, s, b, t), (b, t, a, s)):
        value = number_of(x)
        if value is not None:
            return (int(k), u) if times(c, value) == 1 and k in (1, -1) else None
    return None


def is_minus(a: Node, b: Node) -> bool:
    """Whether a is −b by its form."""
    return a.type == b.type and scale(-1, a) is b


def powers_of(node: Product) -> list[tuple[Node, Number, Place]]:
    """(x, p, indices) of the factors xᵖ[indices]."""
    return [(*base_and_exponent(f), at) for f, at in node.factors]


def with_factors(node: Product, replaced: dict[int, list[Factor]], coefficient: Number = 1) -> Node:
    """coefficient · the product with some factors, by position, replaced by others."""
    factors = [new for k, factor in enumerate(node.factors) for new in replaced.get(k, [factor])]
    return product(times(node.coefficient, coefficient), factors, list(node.out), dict(enumerate(node.extents)), node.type)


def positive(value: Number | None) -> bool:
    """Whether the value is a known positive number."""
    return value is not None and exact(value) > 0
