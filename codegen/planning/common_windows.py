"""Terms of a sum that are written at the same positions are one term, the number that they have in common before it.

before:  y[k] += 0.6 x[k], y[k] += -0.6 x[k + 1], y[k + 1] += 0.6 x[k + 1], y[k + 1] += -0.6 x[k]         for k < n - 1
after:   y[k] += 0.6 (x[k] - x[k + 1]), y[k + 1] += 0.6 (x[k + 1] - x[k])

The normal form opens what is written at positions of a larger array.  Computed so, a difference of near numbers would be
that of their rounded multiples, which has lost most of its digits: 1e-4 of 0.6 (x[k] - x[k + 1]) in float32 where x is near 1e3.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from codegen.planning.rewriting import rewritten
from symdiff.expression import Add, Node, Number, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index
from symdiff.normal_form.numbers import as_float, times
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

Window = tuple[tuple[Index, ...], tuple[Size, ...]]


def join_windows(roots: Sequence[Node]) -> list[Node]:
    """The roots with the terms of sums that are written at the same positions as one."""
    return rewritten(roots, joined)


def joined(node: Node) -> Node:
    """A sum with one term for all that is written at the same positions; any other node as it is."""
    if not isinstance(node, Add):
        return node
    windows: dict[Window, list[tuple[Number, Product]]] = {}
    for c, term in node.terms:
        if isinstance(term, Product) and is_written_apart(term, node):
            windows.setdefault((term.out, term.extents), []).append((c, term))
    if all(len(window) < 2 for window in windows.values()):
        return node
    terms: list[tuple[Number, Node]] = []
    for c, term in node.terms:
        if isinstance(term, Product) and is_written_apart(term, node):
            window = windows.pop((term.out, term.extents), ())  # all of it stands where the first of it stood
            if len(window) > 1:
                number, inner = summed(window)
                terms.append((number, Product(1, ((inner, tuple(range(inner.ndim))),), term.out, inner.shape, node.type)))
            elif window:
                terms.append((c, term))
        else:
            terms.append((c, term))
    if len(terms) > 1:
        return Add(tuple(terms), node.type)
    (number, whole), = terms
    assert isinstance(whole, Product)
    return Product(number, whole.factors, whole.out, whole.extents, whole.type)


def is_written_apart(term: Product, total: Add) -> bool:
    """Whether a term of a sum is written at positions of its own, element by element, of which no index tells any."""
    return not term.dense and not term.is_core and not solved_labels(term) and term.dtype == total.dtype


def summed(group: Sequence[tuple[Number, Product]]) -> tuple[Number, Add]:
    """A number, and the sum that the terms are that number times, where they are written."""
    parts = [(times(c, term.coefficient), inside(term)) for c, term in group]
    number = common([c for c, _ in parts])
    return number, Add(tuple((c if number == 1 else quotient(c, number), part) for c, part in parts), parts[0][1].type)


def inside(term: Product) -> Node:
    """What a term writes, by the labels with which it does, without its number."""
    labels = tuple(range(len(term.extents)))
    type = TensorType(term.dtype, term.extents)
    if len(term.factors) == 1 and term.factors[0][1] == labels and term.factors[0][0].type == type:
        return term.factors[0][0]
    return Product(1, term.factors, labels, term.extents, type)


def common(numbers: Sequence[Number]) -> Number:
    """The least of some numbers where they are whole multiples of it, else 1."""
    least = min(numbers, key=lambda c: abs(as_float(c)))
    if least == 0 or not all(isinstance(quotient(c, least), int) for c in numbers):
        return 1
    return least


def quotient(a: Number, b: Number) -> Number:
    """a / b, a whole number where it is one exactly."""
    if isinstance(a, float) or isinstance(b, float):
        x, y = as_float(a), as_float(b)
        near = x / y
        return int(near) if near.is_integer() and near * y == x else near
    exact = Fraction(a) / Fraction(b)
    return int(exact) if exact.denominator == 1 else exact
