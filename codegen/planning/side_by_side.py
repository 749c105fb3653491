"""Products with parts of one matrix are one product with what they are multiplied by, side by side.

before:  Σ_k p[i,k] U[j,k] + Σ_k q[i,k] U[j, k + 64] + …
after:   Σ_e t[i,e] U[j,e] + … with t[i,k] += p[i,k], t[i, k + 64] += q[i,k]

The gates of a recurrent network are such parts, and the way back needs t for the weights too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from codegen.planning.passes import is_leaf
from codegen.planning.rewriting import rewritten
from codegen.planning.windows import in_order
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index, Label, form_of, labels_of, rename, tidy
from symdiff.normal_form import is_guard
from symdiff.sizes import Size, combine
from symdiff.tensor_type import TensorType

Whole = tuple[Node, int, tuple[Index, ...], tuple[Index, ...], tuple[Size, ...], frozenset[Label]]


class Part(NamedTuple):
    """A term that reads the part of an array from `start`; `rows` are the labels of what it multiplies it with, `k` is summed."""

    place: int
    coefficient: Number
    term: Product
    factors: tuple[Factor, ...]
    rows: tuple[Label, ...]
    k: Label
    start: int
    end: int


def join_parts(roots: Sequence[Node]) -> list[Node]:
    """The roots with terms of sums joined that multiply neighbouring parts of one array."""
    return rewritten(roots, lambda node: joined(node) if isinstance(node, Add) else node)


def joined(node: Add) -> Node:
    """A sum with such terms joined."""
    groups: dict[Whole, list[Part]] = {}
    for place, (c, term) in enumerate(node.terms):
        found = part_of(place, c, term)
        if found is not None:
            groups.setdefault(found[0], []).append(found[1])
    terms = list(node.terms)
    gone: set[int] = set()
    for whole, parts in groups.items():
        ordered = sorted(parts, key=lambda part: part.start)
        if len(parts) > 1 and all(a.end == b.start for a, b in pairwise(ordered)):
            terms[parts[0].place] = (1, product_of(whole, ordered))
            gone.update(part.place for part in parts[1:])
    if not gone:
        return node
    kept = tuple(term for place, term in enumerate(terms) if place not in gone)
    return kept[0][1] if len(kept) == 1 and kept[0][0] == 1 and kept[0][1].type == node.type else Add(kept, node.type)


def part_of(place: int, c: Number, term: Node) -> tuple[Whole, Part] | None:
    """What a term shares with others that read parts of the same array, and what it has of its own."""
    if not isinstance(term, Product) or not term.is_core or len(term.summed) != 1 or solved_labels(term) or \
            term.out != tuple(range(term.ndim)):
        return None
    k, = term.summed
    length = term.extents[k]
    reading = [(j, axis) for j, (_, at) in enumerate(term.factors) for axis, i in enumerate(at) if k in dict(form_of(i)[1])]
    partial = [(j, axis) for j, axis in reading if term.factors[j][0].shape[axis] != length]
    if not isinstance(length, int) or len(partial) != 1 or any(
            type(i) is not int for j, (_, at) in enumerate(term.factors) if j != partial[0][0] for i in at):
        return None
    j, axis = partial[0]
    array, at = term.factors[j]
    start, slopes = form_of(at[axis])
    others = at[:axis] + at[axis + 1:]
    factors = term.factors[:j] + term.factors[j + 1:]
    # Where it is false, a guard silences the array too.  An array that is there already would be copied, and beside a vector
    # nothing needs to be stored.
    if any(is_guard(f) for f, _ in factors) or (len(factors) == 1 and is_leaf(factors[0][0])) or not others:
        return None
    read = {label for _, there in factors for index in there for label in labels_of(index)}
    if slopes != ((k, 1),) or not isinstance(start, int) or start < 0 or k not in read or any(
            type(i) is not int or i == k for i in others) or array.children or array.dtype != term.dtype:
        return None
    rows = tuple(sorted(read - {k}))
    whole = (array, axis, others, term.out, tuple(term.extents[:term.ndim]), frozenset(rows))
    return whole, Part(place, c, term, factors, rows, k, start, start + length)


def product_of(whole: Whole, parts: Sequence[Part]) -> Product:
    """One product of the array with what the parts, in order, multiply it with."""
    low, high = parts[0].start, parts[-1].end
    array, axis, others, out, extents, _ = whole
    rows = parts[0].rows
    shape: tuple[Size, ...] = (*(extents[i] for i in rows), high - low)
    kind = TensorType(parts[0].term.dtype, shape)
    patterns: list[tuple[Number, Node]] = []
    for part in parts:
        names = {label: place for place, label in enumerate((*rows, part.k))}
        last = len(rows)
        made = tuple((f, tuple(rename(i, names) for i in at)) for f, at in part.factors)
        own = (*shape[:-1], part.end - part.start)
        place: Index = tidy(part.start - low, {last: 1})
        patterns.append((part.coefficient, Product(part.term.coefficient, made, (*range(last), place), own, kind)))
    side_by_side = Add(in_order(patterns), kind)
    k = len(extents)
    index: Index = tidy(low, {k: 1})
    return Product(1, ((side_by_side, (*rows, k)), (array, (*others[:axis], index, *others[axis:]))), out,
                   (*extents, combine(((1, high), (-1, low)))), parts[0].term.type)
