"""Sums: concatenations, common coefficients and divisors in front, the order of signs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import gcd

from symdiff.expression import Add, Node, Number, Product
from symdiff.index_notation import form_of
from symdiff.normal_form.numbers import exact
from symdiff.normal_form.sums import add, dense_part, pattern
from symdiff.printing.pieces import CHAIN, Monomial, Piece, size_of
from symdiff.printing.reading import clipped
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import Size, combine
from symdiff.tensor_type import TensorType


def concatenation(node: Add) -> tuple[int, list[tuple[Number, Node]]] | None:
    """(axis, parts) where the terms stand one after the other along one axis and fill it."""
    axis: int | None = None
    spans: dict[Size, tuple[Size, Number, Node]] = {}
    for c, whole in node.terms:
        if not isinstance(whole, Product) or whole.is_core or len(whole.out) != len(whole.extents):
            return None
        term = clipped(whole)
        for k, index in enumerate(term.out):
            constant, labels = form_of(index)
            if len(labels) != 1 or labels[0] != (k, 1):
                return None
            if constant == 0 and term.extents[k] == node.shape[k]:
                continue
            if axis not in (None, k):
                return None
            axis = k
            spans[constant] = (term.extents[k], c, term)
    if axis is None or len(spans) != len(node.terms):
        return None
    parts: list[tuple[Number, Node]] = []
    start: Size = 0
    while start in spans and len(parts) < len(spans):
        extent, c, found = spans[start]
        assert isinstance(found, Product)
        parts.append((exact(c * found.coefficient), dense_part(found, TensorType(found.dtype, found.extents))))
        start = combine(((1, start), (1, extent)))
    return (axis, parts) if len(parts) == len(spans) and start == node.shape[axis] else None


def merged_patterns(terms: Sequence[tuple[Number, Node]], type: TensorType) -> list[tuple[Number, Node]]:
    """The terms, with those that are written at the same positions as one: diag(f) + diag(g) as diag(f + g)."""
    groups: dict[object, list[tuple[Number, Node]]] = {}
    for k, (c, term) in enumerate(terms):
        groups.setdefault(pattern(term) or k, []).append((c, term))
    result: list[tuple[Number, Node]] = []
    for group in groups.values():
        first = group[0][1]
        if len(group) == 1 or not isinstance(first, Product):
            result += group
            continue
        inner_type = TensorType(type.dtype, first.extents)
        inner = add([(c, dense_part(p, inner_type)) for c, p in group if isinstance(p, Product)], inner_type)
        labels = tuple(range(len(first.extents)))
        result.append((1, Product(1, ((inner, labels),), first.out, first.extents, type)))
    return result


def positions_of(node: Add) -> dict[tuple[int, ...], list[tuple[Number, Product, Node]]] | None:
    """The terms by position, where each is a scalar written at constant indices of a small array."""
    sizes = node.shape
    if not sizes or len(sizes) > 2 or any(not isinstance(s, int) or s > 4 for s in sizes):
        return None
    found: dict[tuple[int, ...], list[tuple[Number, Product, Node]]] = {}
    for c, term in node.terms:
        if not isinstance(term, Product) or term.extents:
            return None
        place = tuple(int(form_of(index)[0]) for index in term.out)
        found.setdefault(place, []).append((c, term, dense_part(Product(1, term.factors, term.out, (), term.type),
                                                                TensorType(term.dtype, ()))))
    return found


def sum_form(forms: Sequence[Monomial], style: MatrixStyle, axes: int) -> Monomial:
    """The sum of monomials: what all of them share is put in front."""
    common = shared_coefficient([f.coefficient for f in forms])
    divisors = shared_pieces([f.divisors for f in forms])
    scalars = shared_pieces([f.scalars for f in forms]) if all(f.body is not None for f in forms) else ()
    rests = [Monomial(divided(f.coefficient, common), without(f.scalars, scalars), f.body,
                      without(f.divisors, divisors)) for f in forms]
    if all(r.coefficient < 0 for r in rests):
        common = exact(-common)
        rests = [Monomial(exact(-r.coefficient), r.scalars, r.body, r.divisors) for r in rests]
    rests = ordered(rests, axes)
    first = next((k for k, r in enumerate(rests) if not r.coefficient < 0), 0)
    rests = [rests[first], *rests[:first], *rests[first + 1:]]
    total = style.total([(r.coefficient < 0, style.monomial(r)) for r in rests])
    return Monomial(common, scalars, Piece(total.text, total.level, axes), divisors)


def ordered(terms: list[Monomial], axes: int) -> list[Monomial]:
    """Terms of a matrix or vector sum: chains of matrices first, A x before Aᵀ x."""
    if not axes:
        return terms
    terms = sorted(terms, key=lambda m: m.body is None or m.body.level != CHAIN or m.body.text.endswith(("1ᵀ", "1^T")))
    if len(terms) == 2 and terms[0].body is not None and terms[1].body is not None:
        a, b = (m.body.text if m.body else "" for m in terms)
        if len(a) > len(b) and a.replace("ᵀ", "").replace(r"^{\top}", "").replace("^T", "") == b:
            terms.reverse()
    return terms


def shared_coefficient(values: Sequence[Number]) -> Number:
    """The number that stands in front of a sum: common to all coefficients, 1 where nothing is gained."""
    if any(isinstance(v, float) for v in values):
        sizes = [size_of(v) for v in values]
        return sizes[0] if len(set(sizes)) == 1 and sizes[0] else 1
    fractions = [Fraction(v) for v in values]
    above = gcd(*[f.numerator for f in fractions])
    below = {f.denominator for f in fractions}
    return exact(Fraction(above or 1, below.pop() if len(below) == 1 else 1))


def divided(value: Number, by: Number) -> Number:
    """value / by, exact where both are."""
    if by == 1:
        return value
    return exact(value / by) if isinstance(value, float) or isinstance(by, float) else exact(Fraction(value) / by)


def shared_pieces(groups: Sequence[Sequence[Piece]]) -> tuple[Piece, ...]:
    """The pieces that every group holds."""
    common = Counter(groups[0])
    for group in groups[1:]:
        common &= Counter(group)
    return tuple(common.elements())


def without(pieces: Sequence[Piece], gone: Sequence[Piece]) -> tuple[Piece, ...]:
    """The pieces less those that are gone."""
    rest = list(pieces)
    for piece in gone:
        rest.remove(piece)
    return tuple(rest)
