"""Changed rows: a carry of a loop that changes at some positions alone is changed there, and stays where it is.

before:  for each turn:  new[v, d] = U[v, d] − s [i = v] g[d]  for all v;  U = new
after:   for each turn:  U[i, d] −= s g[d]

What is added at computed positions, and these, are stored before any carry is changed: they may be made of rows of the same or of
another one.  What is added at the positions of a pattern, such as an element, is made of no array that is carried.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from codegen.planning.joint_sums import parted
from codegen.planning.materialisation import must_push
from codegen.planning.passes import is_pattern
from symdiff.expression import Add, Node, Number, Product, Symbol
from symdiff.gathers import Solved, index_of, with_scatter_opened, written
from symdiff.index_notation import labels_in
from symdiff.loops import Loop
from symdiff.normal_form.numbers import number_of, times
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological


class RowUpdate(Struct, frozen=True):
    """carry[out(labels)] += coefficient · value(labels), where the one-hot `mark` tells one of the labels of the product."""

    coefficient: Number
    product: Product
    mark: Node
    told: Solved
    # What is added, over the labels that are looped over, in order; None for one.
    value: Node | None
    labels: tuple[int, ...]


class PatternUpdate(Struct, frozen=True):
    """carry += coefficient · pattern, at the positions of the pattern."""

    coefficient: Number
    pattern: Product


Update = RowUpdate | PatternUpdate


def row_updates(loop: Loop, stacks: Sequence[Node]) -> dict[Symbol, list[Update]]:
    """The updates of each carry that is changed at rows alone, and whose new value nothing else asks for."""
    found: dict[Symbol, list[Update]] = {}
    carries = set(loop.carries)
    arrays = {carry for carry in carries if carry.ndim}
    for k, (carry, new) in enumerate(zip(loop.carries, loop.nexts, strict=True)):
        updates = updates_of(carry, new, arrays)
        # Of a carry as it is no copy is made.
        read = {part for u in updates if isinstance(u, RowUpdate) for part in (u.value, u.told.given)}
        if updates and carries.isdisjoint(read) and new not in set(
                topological([*loop.nexts[:k], *loop.nexts[k + 1:], *stacks])):
            found[carry] = updates
    return found


def updates_of(carry: Symbol, new: Node, arrays: set[Symbol]) -> list[Update]:
    """The updates that make the new value of a carry; none where it is no sum of the carry and of what changes it in part.

    `arrays` are those that are carried.
    """
    if not isinstance(new, Add) or not carry.ndim or not any(term is carry and c == 1 for c, term in new.terms):
        return []
    found: list[Update] = []
    for c, term in [(times(c, inner), part) for c, whole in new.terms for inner, part in parted(whole)]:
        update: Update | None = row_update(c, term)
        if update is None and isinstance(term, Product) and is_pattern(term) and not must_push(term) and arrays.isdisjoint(
                topological([term])):
            update = PatternUpdate(c, term)
        if update is not None:
            found.append(update)
        elif term is not carry:
            return []
    return found


def row_update(coefficient: Number, term: Node) -> RowUpdate | None:
    """The update that adds a multiple of a term, where that is one at rows that an index tells."""
    if not isinstance(term, Product) or term.narrows:
        return None
    coefficient, term = times(coefficient, term.coefficient), with_scatter_opened(term)
    if len(set(term.out)) < term.ndim or not all(
            type(i) is int and term.extents[i] == term.shape[k] for k, i in enumerate(term.out)):
        return None
    marks = [(k, known) for k, (f, _) in enumerate(term.factors) if (known := index_of(f)) is not None]
    if len(marks) != 1:
        return None
    position, (given, axis) = marks[0]
    mark, at = term.factors[position]
    label, telling = at[axis], (*at[:axis], *at[axis + 1:])
    others = [factor for k, factor in enumerate(term.factors) if k != position]
    # What is read beside the label, and what tells it, does not depend on it: the diagonal of a table of marks is no row.
    if type(label) is not int or not written(term, label) or label in labels_in(telling).union(*[labels_in(a) for _, a in others]):
        return None
    labels = tuple(k for k in range(len(term.extents)) if k != label)
    places = {k: place for place, k in enumerate(labels)}
    if not all(type(i) is int for _, there in others for i in there):
        return None
    kind = TensorType(term.dtype, tuple(term.extents[k] for k in labels))
    factors = tuple([(f, tuple([places[i] for i in there])) for f, there in others])  # type: ignore[index]
    value: Node | None = Product(1, factors, tuple(range(len(labels))), kind.shape, kind) if others else None
    if len(factors) == 1 and factors[0][1] == tuple(range(len(labels))) and factors[0][0].type == kind:
        value = factors[0][0]
    return RowUpdate(coefficient, term, mark, Solved(label, position, given, telling, mark.shape[axis]), value, labels)


def stored_before(updates: Sequence[Update]) -> list[Node]:
    """What is stored before any carry is changed: what is added at rows, and which."""
    parts = [part for update in updates if isinstance(update, RowUpdate) for part in (update.value, update.told.given)]
    return [part for part in parts if part is not None and not isinstance(part, Symbol) and number_of(part) is None]
