"""Progressions: parts that stand side by side and are read at equal steps of one array are one product over their number (R11).

    [x[0:9]; x[1:10]; x[2:11]; …], a stack of lags    →    x[i + k] for all k at once, a window

Written part by part, each would be computed, and differentiated, for itself.
"""

from __future__ import annotations

from itertools import pairwise

from symdiff.expression import Factor, Product
from symdiff.index_notation import Index, Label, form_of, labels_of, tidy
from symdiff.normal_form.products import Term, expand_product
from symdiff.sizes import Size, combine
from symdiff.tensor_type import TensorType

# Two parts always have equal steps, by chance too.
FEWEST = 3


def join_progressions(terms: list[Term], type: TensorType) -> list[Term]:
    """The terms of a sum with progressions of them as one."""
    if len(terms) < FEWEST:
        return terms
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, (c, node) in enumerate(terms):
        if isinstance(node, Product) and not node.dense and not node.is_core:
            groups.setdefault((c, *steady(node)), []).append(place)
    joined: dict[int, list[Term]] = {}
    gone: set[int] = set()
    for places in groups.values():
        if len(places) >= FEWEST:
            whole = progression([terms[place][1] for place in places])  # type: ignore[misc]
            if whole is not None:
                factors, out, extents = whole
                first = min(places)
                joined[first] = expand_product(terms[first][0], factors, out, dict(enumerate(extents)), type)
                gone.update(places)
    if not joined:
        return terms
    result: list[Term] = []
    for place, term in enumerate(terms):
        result += joined.get(place, [] if place in gone else [term])
    return result


def steady(node: Product) -> tuple[object, ...]:
    """All of a product but the constants in its indices."""
    return (tuple([form_of(i)[1] for i in node.out]), tuple([(f, tuple([form_of(i)[1] for i in at])) for f, at in node.factors]),
            node.extents, node.coefficient)


def constants(node: Product) -> list[Size]:
    """The constants in the indices of a product, those of `out` first."""
    return [form_of(i)[0] for indices in (node.out, *[at for _, at in node.factors]) for i in indices]


def differences(a: list[Size], b: list[Size]) -> list[Size]:
    """b − a."""
    return [combine(((1, later), (-1, earlier))) for earlier, later in zip(a, b, strict=True)]


def progression(nodes: list[Product]) -> tuple[list[Factor], list[Index], tuple[Size, ...]] | None:
    """The factors, `out` and extents of products that differ in constants alone as one, None where those have no equal steps."""
    rows = [constants(p) for p in nodes]
    moving = [k for k, column in enumerate(zip(*rows, strict=True)) if any(c != column[0] for c in column)]
    axes = [k for k in moving if k < len(nodes[0].out)]
    if len(axes) != 1 or not all(isinstance(row[axes[0]], int) for row in rows):
        return None
    axis = axes[0]
    places = sorted(range(len(nodes)), key=lambda k: rows[k][axis])
    rows = [rows[k] for k in places]
    steps = differences(rows[0], rows[1])
    if steps[axis] != 1 or any(differences(a, b) != steps for a, b in pairwise(rows)):
        return None
    first = nodes[places[0]]
    label = number_of_parts(first, axis)
    if label is None:
        return None
    every = iter(steps)
    out, *reads = [tuple([along(i, label, next(every)) for i in at]) for at in (first.out, *[at for _, at in first.factors])]
    extents = tuple([len(rows) if k == label else e for k, e in enumerate(first.extents)])
    return [(f, at) for (f, _), at in zip(first.factors, reads, strict=True)], list(out), extents


def number_of_parts(node: Product, axis: int) -> Label | None:
    """The label that can count the parts: it has one value, and stands nowhere but at one axis of `out`."""
    _, terms = form_of(node.out[axis])
    if len(terms) != 1 or terms[0][1] != 1 or node.extents[terms[0][0]] != 1:
        return None
    label = terms[0][0]
    elsewhere = [i for k, i in enumerate(node.out) if k != axis] + [i for _, at in node.factors for i in at]
    return None if any(label in labels_of(i) for i in elsewhere) else label


def along(index: Index, label: Label, step: Size) -> Index:
    """An index that moves by a step with each part."""
    constant, terms = form_of(index)
    return tidy(constant, {**dict(terms), label: step})
