"""Sums that hold another sum of the formula: x² + y - 11 + 2 s x, with s = x² + y - 11, is written s + 2 s x."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from symdiff.expression import Add, Node, Number
from symdiff.normal_form.numbers import exact

MOST_TERMS = 24
Terms = list[tuple[Number, Node]]


class Regrouping:
    """Finds in sums the terms of other sums."""

    def __init__(self, sums: Iterable[Node]) -> None:
        self.found: dict[Add, Terms] = {}
        self.holding: dict[Node, list[Add]] = {}
        for node in sums:
            if isinstance(node, Add) and len(node.terms) <= MOST_TERMS:
                self.holding.setdefault(node.terms[0][1], []).append(node)

    def terms(self, node: Add) -> Terms:
        """The terms of a sum, with multiples of other sums in the place of theirs, the largest first."""
        if node not in self.found:
            self.found[node] = self.grouped(node) if len(node.terms) <= MOST_TERMS else list(node.terms)
        return self.found[node]

    def grouped(self, node: Add) -> Terms:
        """As `terms`, found for the first time."""
        coefficients = {term: c for c, term in node.terms}
        inner = [part for term in coefficients for part in self.holding.get(term, ())
                 if part.type == node.type and len(part.terms) < len(coefficients)]
        shown: dict[Node, tuple[Number, Node]] = {term: (c, term) for c, term in node.terms}
        for part in sorted(inner, key=lambda part: -len(part.terms)):
            ratio = common_ratio(coefficients, part)
            if ratio is not None:
                covered = {term for _, term in part.terms}
                first = next(term for term in coefficients if term in covered)
                shown[first] = (ratio, part)
                for term in covered:
                    del coefficients[term]
                    if term is not first:
                        del shown[term]
        return list(shown.values())


def common_ratio(coefficients: dict[Node, Number], part: Add) -> Number | None:
    """c where c times the part is in a sum with these coefficients, None where it is not."""
    ratios = {Fraction(coefficients[term]) / Fraction(c) if term in coefficients and c != 0 and finite(coefficients[term], c)
              else None for c, term in part.terms}
    ratio = ratios.pop()
    return exact(ratio) if ratio is not None and not ratios else None


def finite(*values: Number) -> bool:
    """Whether the numbers are neither infinite nor NaN."""
    return all(value - value == 0 for value in values)
