"""Layouts: in which order the axes of a stored array lie, so that matrix products find neighbours that count as one.

before:  C[n,o,p] = Σ_c V[n,c,p] K[o,c]   a product for each n
after:   C lies as (n,p,o), V as (n,p,c): one product of n·p rows

Expressions keep their axes: only the place of an element in its buffer changes.  What is computed from such an array position
by position lies like it, so that both are walked along rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from codegen.planning.costs import Hints
from codegen.planning.cuts import tile_rows
from codegen.planning.matrices import AS_WRITTEN, Layouts, MatrixForm, Operand, groups_of, matrix_form
from codegen.planning.passes import Passes, is_leaf
from symdiff.expression import Add, Apply, Map, Node, Product, Reduce
from symdiff.gathers import factors_read
from symdiff.index_notation import Label, labels_in, labels_of

# Elements side by side that are worth copying or adding together: half a vector of AVX-512.
RUN = 8
# From so many places on, rows of an image are rather walked along than its channels; shorter ones are halved by a pool.
LONG_RUN = 16
# For each axis of a node, axes of the one that reads it.
Origins = tuple[frozenset[int], ...]


def choose_layouts(roots: Sequence[Node], order: Sequence[Node], stored: Mapping[Node, str], passes: Passes,
                   hints: Hints) -> Layouts:
    """The order of axes of each stored node that does not lie as it is written; `order` has all under the roots."""
    search = Search(roots, order, stored, passes, hints)
    sampled = [node for node in search.order if node in passes.sample or node in passes.folded]
    # Where a tile is one sample, products of several samples are several anyway.
    search.one_by_one = bool(sampled) and tile_rows(sampled, passes, hints) == 1
    for node in search.order:
        if isinstance(node, Product):
            search.settle(node)
    search.keep_products()
    if search.found:
        search.spread()
        search.keep_products()
    return {node: layout for node, layout in search.found.items() if layout != tuple(range(node.ndim))}


class Search:
    """What is known so far: the layouts that were `found`, and the nodes that are `settled`, for products count on them.

    `free` to be laid out is what no other pass, loop or caller expects as it is written.
    """

    def __init__(self, roots: Sequence[Node], everything: Sequence[Node], stored: Mapping[Node, str], passes: Passes,
                 hints: Hints) -> None:
        self.stored, self.passes, self.hints = stored, passes, hints
        self.order = [node for node in everything if node in stored and not is_leaf(node)]
        loops = {child for node in everything if isinstance(node, Apply) for child in (node, *node.children)}
        asked = set(roots)
        self.free = {node for node in self.order if node not in asked and node not in loops and node not in passes.folded
                     and node.ndim > 1}
        self.found: dict[Node, tuple[int, ...]] = {}
        self.settled: set[Node] = set()
        self.one_by_one = False

    def form(self, node: Product, layouts: Layouts) -> MatrixForm | None:
        """The product as one of matrices that lie like this."""
        return matrix_form(node, self.hints, self.passes.label.get(node), layouts)

    def in_place(self, node: Node, layout: Sequence[int]) -> bool:
        """Whether samples stay ahead of all else, as tiles need them."""
        return node not in self.passes.sample or (self.passes.sample[node] == 0 and layout[0] == 0)

    def settle(self, node: Product) -> None:
        """Lay out the operands and the result of a product so that it is one product of matrices, where it is several."""
        form = self.form(node, self.found)
        groups = groups_of(node, copied=form is None or {form.A.node, form.B.node} <= {*node.children})
        if groups is None or any(f.node not in self.stored and not is_leaf(f.node) for f in groups[:2]):
            return
        a, b, rows, columns, inner = groups
        operands = (a, b, Operand(node, node.out))
        # What is common to all three is looped over however it lies.
        common = [i for i in range(len(node.extents)) if all(any(i in labels_of(j) for j in f.at) for f in operands) or (
            self.one_by_one and i == self.passes.label.get(node))]
        if form is not None and (form.symmetric or set(form.batch) <= set(common)):
            self.settled.update(f.node for f in operands)
            return
        if not columns or any(type(i) is not int and (labels_in((i,)) or not self.fixed(f)) for f in (a, b) for i in f.at):
            return
        trial = dict(self.found)
        rows, columns, inner = ([i for i in group if i not in common] for group in (rows, columns, inner))
        if not (rows and columns and inner):
            return
        rows, columns, inner = self.as_in(rows, a, operands[2]), self.as_in(columns, b, operands[2]), self.as_in(inner, b, a)
        for f, first, second in zip(operands, (rows, inner, rows), (inner, columns, columns), strict=True):
            if not self.fixed(f):
                if f.at[0] in second:
                    first, second = second, first
                outside = [i for i in f.at if i in common or i not in (*first, *second)]
                order, turned = (tuple(f.at.index(i) for i in (*outside, *one, *other)) for one, other in (
                    (first, second), (second, first)))
                # What lies side by side is copied and added together, if there is enough of it: places, not those of a window.
                # The result lies along rows of several labels, as those of images, where the operand with them does: no matrix is
                # turned then.  An operand lies as that of which it is computed position by position.
                last, other = (self.hints.value(node.extents[group[-1]]) for group in (second, first))
                along = f.node is node and first is rows and len(rows) > 1 and other >= LONG_RUN and (
                    trial.get(a.node, range(len(a.at)))[-1] == a.at.index(rows[-1]))
                alike = {self.found.get(child) for child, origins in reads(f.node, self.stored) if all(
                    origin == {axis} for axis, origin in enumerate(origins))} & {order, turned}
                turns = turned in alike if len(alike) == 1 else last < RUN <= other or along
                trial[f.node] = turned if turns and self.in_place(f.node, turned) else order
        better = self.form(node, trial)
        if better is not None and set(better.batch) <= set(common) and all(
                self.in_place(n, layout) for n, layout in trial.items()):
            self.found = trial
            self.settled.update(f.node for f in operands)

    def fixed(self, f: Operand) -> bool:
        """Whether an array lies as it does."""
        return f.node not in self.free or f.node in self.settled or f.node in self.found

    def as_in(self, group: Iterable[Label], *operands: Operand) -> list[Label]:
        """A group in the order of the first of the operands that stays as it is, else of the first of all."""
        one = next((f for f in operands if self.fixed(f)), operands[0])
        return sorted(group, key=[one.at[k] for k in self.found.get(one.node, range(len(one.at)))].index)

    def keep_products(self) -> None:
        """Take back layouts because of which a product of matrices would be none."""
        lost = bool(self.found)
        while lost:
            lost = False
            for node in self.order:
                if isinstance(node, Product) and any(n in self.found for n in (node, *node.children)):
                    form = self.form(node, AS_WRITTEN)
                    if form is not None and self.form(node, self.found) is None:
                        lost = True
                        for n in (form.A.node, form.B.node, node):
                            self.found.pop(n, None)

    def spread(self) -> None:
        """Lay out what is computed from arrays with layouts like these, and what they are computed from."""
        readers: dict[Node, list[tuple[Node, Origins]]] = {}
        for node in self.order:
            told = list(reads(node, self.stored))
            for child, origins in told:
                readers.setdefault(child, []).append((node, turned(origins, child, node)))
            self.follow(node, told)
        for node in reversed(self.order):
            self.follow(node, readers.get(node, ()))

    def follow(self, node: Node, others: Iterable[tuple[Node, Origins]]) -> None:
        """Lay out a free node like the first of others whose layout tells the place of each of its axes."""
        if node not in self.free or node in self.settled or node in self.found:
            return
        for other, origins in others:
            # Where several tell it, as the place and the one in a window, the longest counts.
            rank: dict[int, int] = {}
            places = list(enumerate(self.found.get(other, ())))
            for place, axis in sorted(places, key=lambda told: (-self.hints.value(other.shape[told[1]]), told[0])):
                for own in origins[axis]:
                    rank.setdefault(own, place)
            layout = tuple(sorted(rank, key=lambda axis: (rank[axis], axis)))
            if len(layout) == node.ndim and self.in_place(node, layout):
                self.found[node] = layout
                return


def reads(node: Node, stored: Mapping[Node, str]) -> Iterator[tuple[Node, Origins]]:
    """The stored nodes that a node is computed from, and for each of their axes the axes of the node that tell where it is read."""
    pending: list[tuple[Node, Origins]] = [(node, tuple(frozenset({k}) for k in range(node.ndim)))]
    seen: set[Node] = set()
    while pending:
        reader, origins = pending.pop()
        if reader in seen:
            continue
        seen.add(reader)
        if reader is not node and reader in stored:
            yield reader, origins
            continue
        if isinstance(reader, (Map, Add)):
            pending += [(child, origins) for child in reader.children if child.ndim == reader.ndim]
        elif isinstance(reader, Reduce):
            kept = iter(origins)
            pending.append((reader.arg, tuple(
                frozenset() if k in reader.axes else next(kept) for k in range(reader.arg.ndim))))
        elif isinstance(reader, Product):
            told: dict[Label, frozenset[int]] = {}
            for index, origin in zip(reader.out, origins, strict=True):
                told.update((i, told.get(i, frozenset()) | origin) for i in labels_of(index))
            pending += [(f, tuple(frozenset().union(*[told.get(i, frozenset()) for i in labels_of(index)]) for index in at))
                        for f, at in factors_read(reader)]


def turned(origins: Origins, child: Node, reader: Node) -> Origins:
    """For each axis of the reader, the axes of the child that it tells."""
    return tuple(frozenset(k for k in range(child.ndim) if axis in origins[k]) for axis in range(reader.ndim))
