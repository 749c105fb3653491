"""A loop of the formula becomes a loop of the program: its carries live in buffers, its body is a small section.

copy the inits into the carries
for each turn:  compute the body;  keep what is kept;  copy the new carries over the old ones
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from codegen.loop_ir.nodes import Accumulate, Affine, If, IndexValue, Value
from codegen.lowering.affine import placed as placed_at
from codegen.lowering.affine import variable
from codegen.lowering.changed_rows import PatternUpdate, RowUpdate, Update, row_updates, stored_before
from codegen.lowering.nests import Nests, use_counts
from codegen.lowering.scalars import cast, conjunction, literal, times
from codegen.lowering.scopes import At, Names, Scopes
from codegen.planning.costs import Hints
from codegen.planning.materialisation import choose_stored
from codegen.planning.matrices import MatrixForm, matrix_form
from codegen.planning.passes import Passes, is_leaf, joint_terms, placed
from symdiff.bodies import private
from symdiff.expression import Constant, Node, Product, Symbol
from symdiff.gathers import children_read
from symdiff.index_notation import labels_of
from symdiff.loops import Loop, final, is_scan, loop_of, split_args, stacked
from symdiff.sizes import Size, combine
from symdiff.traversal import topological


class LoopNests(Nests):
    """Nests, among which are loops; `fresh_buffer` gives a buffer of a dtype and shape."""

    def __init__(self, passes: Passes, buffers: Mapping[Node, str], shared: Mapping[Node, int], names: Names, hints: Hints,
                 fresh_buffer: Callable[[str, tuple[Size, ...]], str], scopes: Scopes | None = None) -> None:
        super().__init__(passes, buffers, shared, None, names, scopes)
        self.hints, self.fresh_buffer = hints, fresh_buffer
        self.written: set[tuple[Loop, tuple[Node, ...]]] = set()

    def compute(self, node: Node, form: MatrixForm | None) -> None:
        """Write the nests of one stored node; the results of a loop are written together."""
        if not is_scan(node):
            super().compute(node, form)
            return
        key = loop_of(node)[0], node.children
        if key not in self.written:
            self.written.add(key)
            self.loop(*key)

    def loop(self, loop: Loop, args: tuple[Node, ...]) -> None:
        """One loop, all of its results."""
        inits, xs, outside = split_args(loop, args)
        ends = [final(loop, args, k) for k in range(len(loop.carries))]
        carries = [self.place(end) if end in self.buffers else (self.fresh_buffer(end.dtype, end.shape), ()) for end in ends]
        for (name, before), init in zip(carries, inits, strict=True):
            self.copy(name, init, before)
        depth, least = len(self.scopes.chain), self.scopes.least
        turn = variable(self.scopes.open(loop.length))
        if loop.backward:
            turn = Affine(combine(((1, loop.length), (-1, 1))), tuple((var, -1) for var, _ in turn.terms))
        self.scopes.least = depth
        rows = {k: self.place(row, (turn,)) for k in range(len(loop.stacks)) if (row := stacked(loop, args, k)) in self.buffers}
        updates = row_updates(loop, [loop.stacks[k] for k in rows])
        nexts = [new for carry, new in zip(loop.carries, loop.nexts, strict=True) if carry not in updates]
        before_changes = [part for changes in updates.values() for part in stored_before(changes)]
        roots = list(dict.fromkeys([*nexts, *[loop.stacks[k] for k in rows], *before_changes]))
        # What patterns are made of is planned like all else; they themselves are written into the carries.
        patterns = [u.pattern for changes in updates.values() for u in changes if isinstance(u, PatternUpdate)]
        everything = topological([*roots, *patterns], children_read)
        passes = placed(everything, None, joint_terms(everything, roots))
        stored = choose_stored(roots, everything, passes, self.hints)
        order = [node for node in everything if node in stored and not is_leaf(node)]
        names: dict[Node, str] = {node: self.buffers[node] for node in topological([*roots, *patterns]) if is_array(node)}
        body = LoopNests(passes, names, use_counts(everything), self.scopes.names, self.hints, self.fresh_buffer, self.scopes)
        prefixes = body.elements.prefixes
        for symbol, (name, before) in zip(loop.carries, carries, strict=True):
            names[symbol], prefixes[symbol] = name, before
        for symbol, x in zip(loop.slices, xs, strict=True):
            self.bind(body, names, symbol, x, (turn,))
        for symbol, value in zip(loop.invariants, outside, strict=True):
            self.bind(body, names, symbol, value, ())
        body.elements.outside[loop.turn] = lambda at: IndexValue(turn, "int64")
        present = set(order)
        for k, (name, before) in rows.items():
            if loop.stacks[k] in present and loop.stacks[k] not in names:
                names[loop.stacks[k]], prefixes[loop.stacks[k]] = name, before
        for node in order:
            if node not in names:
                names[node] = self.fresh_buffer(node.dtype, node.shape)
        for node in order:
            body.compute(node, matrix_form(node, self.hints) if isinstance(node, Product) else None)
        for k, (name, before) in rows.items():
            if names.get(loop.stacks[k]) != name:
                body.copy(name, loop.stacks[k], before)
        body.carry_on(loop, names, updates)
        self.scopes.least = least
        self.close_loops(depth)

    def place(self, node: Node, at: At = ()) -> tuple[str, At]:
        """The buffer of a node, and the first indices there."""
        return self.buffers[node], self.elements.index(node, at)

    def bind(self, body: LoopNests, names: dict[Node, str], symbol: Symbol, arg: Node, before: At) -> None:
        """Let a symbol of the body read an argument of the loop, at the present turn where it is walked along."""
        if arg in self.buffers:
            names[symbol] = self.buffers[arg]
            body.elements.prefixes[symbol] = self.elements.index(arg, before)
        else:
            body.elements.outside[symbol] = lambda at: self.elements.value(arg, (*before, *at))

    def carry_on(self, loop: Loop, names: dict[Node, str], updates: Mapping[Symbol, Sequence[Update]]) -> None:
        """Copy the new carries over the old ones, or change their rows; what changes places goes through buffers of its own."""
        pending: list[tuple[Symbol, Node]] = []
        carries = set(loop.carries)
        for carry, new in zip(loop.carries, loop.nexts, strict=True):
            if new is carry or carry in updates:
                continue
            if isinstance(new, Symbol) and new in carries:
                aside = private(new.type)
                names[aside] = self.fresh_buffer(new.dtype, new.shape)
                self.copy(names[aside], new)
                new = aside
            pending.append((carry, new))
        for carry, changes in updates.items():
            for change in changes:
                if isinstance(change, RowUpdate):
                    self.add_rows(carry, change)
                else:
                    self.push(carry, change.pattern, change.coefficient, fresh=False)
        for carry, new in pending:
            self.copy(names[carry], new, self.elements.prefixes.get(carry, ()))


    def add_rows(self, carry: Symbol, update: RowUpdate) -> None:
        """carry[out(labels)] += coefficient · value(labels)."""
        extents = update.product.extents
        telling = list(dict.fromkeys([label for index in update.told.at for label in labels_of(index)]))
        labels = self.open_loops(telling, extents, None)
        labels[update.told.label] = self.elements.position(update.mark, update.told, labels)
        depth, around = len(self.scopes.chain), self.scopes.inner.body
        labels.update(self.open_loops([k for k in update.labels if k not in labels], extents, None))
        at = tuple(placed_at(index, labels) for index in update.product.out)
        one: Value = literal(1, carry.dtype)
        value = one if update.value is None else self.elements.value(update.value, tuple(labels[k] for k in update.labels))
        added = times(update.coefficient, cast(value, update.product.dtype, carry.dtype), carry.dtype)
        tests = self.write_tests(at, carry)
        self.scopes.inner.body.append(Accumulate("add", self.buffers[carry], self.elements.index(carry, at), added))
        self.close_loops(depth)
        if tests:  # the row is there, or is not: its elements are not asked
            around.append(If(conjunction(tests), (around.pop(),)))
        self.close_loops(self.floor)


def is_array(node: Node) -> bool:
    """Whether the node is a known array."""
    return isinstance(node, Constant) and isinstance(node.value, np.ndarray)
