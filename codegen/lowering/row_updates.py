"""Row updates: a carry of a loop to which rows are added at computed positions is changed there, and stays where it is.

before:  for each turn:  new[v, d] = U[v, d] − s [i = v] g[d]  for all v;  U = new
after:   for each turn:  U[i, d] −= s g[d]

What is added, and where, is stored before any carry is changed: it may be made of rows of the same or of another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from codegen.planning.gathers import labels_in
from symdiff.expression import Add, Node, Number, Product, Symbol
from symdiff.gathers import Solved, index_of, with_scatter_opened, written
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


def row_updates(loop: Loop, stacks: Sequence[Node]) -> dict[Symbol, list[RowUpdate]]:
    """The updates of each carry that is changed at rows alone, and whose new value nothing else asks for."""
    found: dict[Symbol, list[RowUpdate]] = {}
    for k, (carry, new) in enumerate(zip(loop.carries, loop.nexts, strict=True)):
        updates = updates_of(carry, new)
        others = topological([*loop.nexts[:k], *loop.nexts[k + 1:], *stacks])
        if updates and new not in set(others) and not any(
                is_changing(part, loop) for u in updates for part in (u.value, u.told.given)):
            found[carry] = updates
    return found


def is_changing(node: Node | None, loop: Loop) -> bool:
    """Whether a node is a carry as it is, of which no copy is made."""
    return node in loop.carries if isinstance(node, Symbol) else False


def updates_of(carry: Symbol, new: Node) -> list[RowUpdate]:
    """The updates that make the new value of a carry; none where it is no sum of the carry and of rows."""
    if not isinstance(new, Add) or not carry.ndim or not any(term is carry and c == 1 for c, term in new.terms):
        return []
    found = [update_of(c, term) for c, term in new.terms if term is not carry]
    return [update for update in found if update is not None] if None not in found else []


def update_of(coefficient: Number, term: Node) -> RowUpdate | None:
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
    label, others = at[axis], [factor for k, factor in enumerate(term.factors) if k != position]
    if type(label) is not int or not written(term, label) or label in {i for _, there in others for i in labels_in(there)}:
        return None
    labels = tuple(k for k in range(len(term.extents)) if k != label)
    places = {k: place for place, k in enumerate(labels)}
    if not all(type(i) is int for _, there in others for i in there):
        return None
    type_ = TensorType(term.dtype, tuple(term.extents[k] for k in labels))
    factors = tuple([(f, tuple([places[i] for i in there])) for f, there in others])  # type: ignore[index]
    value = Product(1, factors, tuple(range(len(labels))), type_.shape, type_) if others else None
    if value is not None and len(factors) == 1 and factors[0][1] == value.out and factors[0][0].type == type_:
        value = factors[0][0]  # type: ignore[assignment]
    told = Solved(label, position, given, (*at[:axis], *at[axis + 1:]), mark.shape[axis])
    return RowUpdate(coefficient, term, mark, told, value, labels)


def stored_before(updates: Sequence[RowUpdate]) -> list[Node]:
    """What is computed before any carry is changed."""
    parts = [part for update in updates for part in (update.value, update.told.given)]
    return [part for part in parts if part is not None and not isinstance(part, Symbol) and number_of(part) is None]
