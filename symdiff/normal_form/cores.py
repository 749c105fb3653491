"""Contraction cores: connected components of summed labels, and their canonical form (R3, R5).

The canonical form of a core does not depend on how its labels were numbered, in which order its factors came or in which
order its out axes stand, so the cores of AᵀB and of (AᵀB)ᵀ are one node.  It is found by colour refinement of the labels,
with individualisation where colours stay tied.  Ties that lead to the same form are the symmetries of the core; among the
ways to write the axes the consumer takes the smallest, which makes (XᵀX)ᵀ and XᵀX one expression.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from symdiff.expression import Factor, Map, Node, Product, Symbol, factor_key
from symdiff.index_notation import Extents, Index, Label, form_of, index_hash, labels_of, rename
from symdiff.sizes import size_hash
from symdiff.tensor_type import TensorType

LEAF_CAP = 128
Form = tuple[object, ...]


def components(factors: list[Factor], summed: set[Label]) -> tuple[list[Factor], list[list[Factor]]]:
    """Factors without a summed label, and the groups of factors that summed labels tie together.

    What a guard of a sum may have to silence stays in that sum, though it does not change in it: where nothing is alive the
    sum is zero, and zero times the NaN of 1/s would be NaN.
    """
    free: list[Factor] = []
    groups: list[tuple[set[Label], list[tuple[int, Factor]]]] = []
    for position, factor in enumerate(factors):
        labels = {label for index in factor[1] for label in labels_of(index)} & summed
        if not labels:
            free.append(factor)
            continue
        members = [(position, factor)]
        apart = []
        for group in groups:
            if group[0] & labels:
                labels |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (labels, members)]
    under_guard = next((members for _, members in groups if any(silences(f) for _, (f, _) in members)), None)
    if under_guard is not None:
        silenced = [factor for factor in free if factor[0].__class__ is Map]
        free = [factor for factor in free if factor[0].__class__ is not Map]
        under_guard.extend((position, factor) for position, factor in enumerate(factors)
                           if any(factor is other for other in silenced))
    ordered = [sorted(group[1], key=lambda t: t[0]) for group in groups]
    ordered.sort(key=lambda members: members[0][0])
    return free, [[factor for _, factor in members] for members in ordered]


def is_guard(node: Node) -> bool:
    """Whether a factor selects instead of multiplying."""
    return node.__class__ is Map and "guard" in node.function.traits


def is_one_hot(node: Node) -> TypeGuard[Map]:
    """Whether a factor holds at the one position that an index tells."""
    return node.__class__ is Map and "one_hot" in node.function.traits


def silences(node: Node) -> bool:
    """Whether a guard may be false at all values of a summed label; a one-hot factor holds at one of them."""
    return is_guard(node) and not is_one_hot(node)


def core(factors: list[Factor], summed: set[Label], extents: Extents, dtype: str) -> Factor:
    """The core of one component, with the index tuple at which the consumer reads it."""
    labels: list[Label] = []
    for _, indices in factors:
        for index in indices:
            labels.extend(label for label in labels_of(index) if label not in labels)
    kept = sorted(label for label in labels if label not in summed)
    orders, canonical = canonical_orders(factors, labels, summed, extents)
    first = orders[0]
    places = {label: place for place, label in enumerate(label for label in first if label not in summed)}
    # Written orientation: out axes by the consumer's order, summed labels by first appearance.
    written = kept + [label for label in labels if label in summed]
    names = {label: k for k, label in enumerate(written)}
    shape = tuple(extents[label] for label in kept)
    order = [0] * len(kept)
    for axis, label in enumerate(kept):
        order[places[label]] = axis
    readings = []
    for leaf in orders:
        axes = [0] * len(kept)
        for place, label in enumerate(label for label in leaf if label not in summed):
            axes[order[place]] = label
        readings.append(tuple(axes))
    symmetries = {tuple(readings[0].index(label) for label in reading) for reading in readings}
    node = Product(1, tuple((f, tuple([rename(i, names) for i in indices])) for f, indices in factors),
                   tuple(range(len(kept))), tuple(extents[label] for label in written), TensorType(dtype, shape),
                   canonical=canonical, order=tuple(order),
                   symmetries=tuple(sorted(p for p in symmetries if p != tuple(range(len(kept))))))
    at = [0] * len(kept)
    for place, label in enumerate(label for label in first if label not in summed):
        at[node.order[place]] = label
    return node, least_reading(node, tuple(at))


def least_reading(node: Node, at: tuple[Index, ...]) -> tuple[Index, ...]:
    """The smallest of the index tuples that read the same value by the symmetries of the node."""
    best = at
    for p in symmetries_of(node):
        other = tuple([at[axis] for axis in p])
        if reading_key(other) < reading_key(best):
            best = other
    return best


def symmetries_of(node: Node) -> tuple[tuple[int, ...], ...]:
    """The permutations of the axes, besides the identity, that leave the node as it is."""
    if node.__class__ is Product:
        return node.symmetries
    if node.__class__ is Symbol and ("symmetric" in node.facts or "psd" in node.facts):
        return ((1, 0),)
    return ()


def reading_key(at: tuple[Index, ...]) -> tuple[tuple[bool, int], ...]:
    """An order of index tuples: plain labels first, by number."""
    return tuple([(i.__class__ is not int, i if i.__class__ is int else index_hash((i,))) for i in at])


def canonical_orders(factors: list[Factor], labels: list[Label], summed: set[Label],
                     extents: Extents) -> tuple[list[tuple[Label, ...]], Form]:
    """Every order of the labels that gives the least form (out labels first), and that form."""
    colours = {label: hash((label in summed, extents[label])) for label in labels}
    leaves: list[tuple[Label, ...]] = []
    pending = [refine(factors, labels, colours)]
    while pending:
        state = pending.pop()
        classes: dict[int, list[Label]] = {}
        for label in labels:
            classes.setdefault(state[label], []).append(label)
        tied = [group for _, group in sorted(classes.items()) if len(group) > 1]
        if not tied:
            leaves.append(tuple(sorted(labels, key=lambda label: (label in summed, state[label]))))
            continue
        if len(leaves) + len(pending) > LEAF_CAP:
            # Symmetry-blind: still a valid order, only some equal cores are then kept apart.
            leaves.append(tuple(sorted(labels, key=lambda label: (label in summed, state[label], label))))
            continue
        for chosen in tied[0]:
            marked = dict(state)
            marked[chosen] = hash((state[chosen], 1))
            pending.append(refine(factors, labels, marked))
    best: tuple[int, ...] | None = None
    winners: list[tuple[Label, ...]] = []
    form: Form = ()
    for leaf in leaves:
        names = {label: k for k, label in enumerate(leaf)}
        written = sorted([(f, least_reading(f, tuple([rename(i, names) for i in indices]))) for f, indices in factors],
                         key=factor_key)
        key = tuple(k for factor in written for k in factor_key(factor))
        if best is None or key < best:
            best, winners = key, [leaf]
            form = ("core", tuple(written), tuple(extents[label] for label in leaf), len(labels) - len(summed & set(labels)))
        elif key == best:
            winners.append(leaf)
    return winners, form


def refine(factors: list[Factor], labels: Iterable[Label], colours: dict[Label, int]) -> dict[Label, int]:
    """Colours that tell labels apart by the factors and positions in which they stand, until nothing changes."""
    count = len(set(colours.values()))
    total = len(colours)
    while count < total:
        marks: dict[Label, list[int]] = {label: [] for label in labels}
        for node, indices in factors:
            seen = tuple([colour_of(index, colours) for index in indices])
            # A node with symmetries is seen in all its orientations, so that none of them tells labels apart.
            views = [range(len(indices)), *symmetries_of(node)]
            for position, index in enumerate(indices):
                if len(views) == 1:
                    signature = hash((node.key, seen, position))
                else:
                    signature = hash((node.key, tuple(sorted([(tuple([seen[axis] for axis in view]), view.index(position))
                                                              for view in views]))))
                for label, c in form_of(index)[1]:
                    marks[label].append(hash((signature, size_hash(c))))
        colours = {label: hash((colours[label], tuple(sorted(marks[label])))) for label in labels}
        refined = len(set(colours.values()))
        if refined == count:
            break
        count = refined
    return colours


def colour_of(index: Index, colours: dict[Label, int]) -> int:
    """The colour of an index: its constant and the colours of its labels."""
    if type(index) is int:
        return colours[index]
    constant, terms = index  # type: ignore[misc]
    return hash((size_hash(constant), tuple(sorted((colours[label], size_hash(c)) for label, c in terms))))


