"""A few sums and products by element of what a loop walks along are computed in its turns, and stored nowhere.

before:  scan(c ← f(c) + r_t, …, r ∈ 2 (h - y))
after:   scan(c ← f(c) + 2 (h_t - y_t), …)

The adjoint of what a loop keeps is often such a sum: to write it down for all turns and to read it again takes longer than to
read what it is made of.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from codegen.planning.materialisation import is_contraction, is_costly
from codegen.planning.passes import FEW_OPERATIONS, is_leaf, is_pattern
from codegen.planning.rewriting import over
from symdiff.bodies import replaced
from symdiff.expression import Add, Apply, Factor, Map, Node, Product, Symbol
from symdiff.loops import SCAN, Loop, is_scan, loop_of, split_args, unused_symbol
from symdiff.normal_form import add, map_node, number, number_of, product
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological


def sink(roots: Sequence[Node]) -> list[Node]:
    """The roots with sums and products by element, which nothing but loops would store, taken into the loops."""
    order = topological(roots)
    if not any(is_scan(node) for node in order):
        return list(roots)
    stored = {*roots, *[arg for node in order for arg in stored_for(node)]}
    done: dict[Node, Node] = {}
    for node in order:
        children = [done[child] for child in node.children]
        done[node] = taken_in(node, children, stored) if is_scan(node) else over(node, children)
    return [done[root] for root in roots]


def stored_for(node: Node) -> Sequence[Node]:
    """What a node reads that is stored for it, but for what a loop walks along."""
    if is_scan(node):
        inits, _, outside = split_args(loop_of(node)[0], node.children)
        return (*inits, *outside)
    return node.children if is_contraction(node) and node.ndim else ()


def taken_in(node: Node, children: Sequence[Node], stored: set[Node]) -> Node:
    """The result of a loop over other children, with what it walks along taken into the body where that is worth it."""
    loop, kind, k = loop_of(node)
    inits, xs, outside = split_args(loop, tuple(children))
    _, written, _ = split_args(loop, node.children)
    bodies = Bodies(loop, dict(zip(xs, loop.slices, strict=True)), dict(zip(outside, loop.invariants, strict=True)))
    known: dict[Node, Node] = {symbol: bodies.invariants[value] for symbol, value in zip(loop.invariants, outside, strict=True)
                               if bodies.invariants[value] is not symbol}
    for symbol, x, before in zip(loop.slices, xs, written, strict=True):
        if number_of(x) is not None or (before not in stored and is_by_element(x) and is_few(x)):
            known[symbol] = bodies.slice_of(x)
        elif bodies.slices[x] is not symbol:
            known[symbol] = bodies.slices[x]
    if not known:
        return over(node, children)
    kept = {x: symbol for x, symbol in bodies.slices.items() if symbol not in known}
    nexts, stacks = replaced(loop.nexts, known), replaced(loop.stacks, known)
    fresh = replace(loop, slices=tuple(kept.values()), invariants=tuple(bodies.invariants.values()), nexts=tuple(nexts),
                    stacks=tuple(stacks))
    return Apply(SCAN, (*inits, *kept, *bodies.invariants), (fresh, kind, k), node.type)


def is_few(root: Node) -> bool:
    """Whether an array is a few sums and products by element of arrays that are there anyway, or do not change."""
    pending, operations = [root], 0
    while pending:
        node = pending.pop()
        if number_of(node) is not None or is_leaf(node) or is_scan(node) or is_contraction(node):
            continue
        operations += 1
        if operations > FEW_OPERATIONS or not is_by_element(node):
            return False
        pending += [child for child in node.children if not isinstance(node, Product) or (child, 0) in heads(node)]
    return True


def is_by_element(node: Node) -> bool:
    """Whether an element takes one operation, and only elements of the same turn."""
    if isinstance(node, Product):
        return bool(node.ndim) and node.dense and not node.is_core and not is_pattern(node) and not node.narrows and all(
            type(index) is int for _, at in node.factors for index in at) and all(
            0 not in at[1:] for _, at in node.factors)
    return isinstance(node, Add) or (isinstance(node, Map) and not is_costly(node))


def heads(node: Product) -> set[tuple[Node, object]]:
    """The factors, each with the first of its indices."""
    return {(f, at[0]) for f, at in node.factors if at}


class Bodies(Struct):
    """What stands for the arrays of a loop in its body: symbols of slices and of what does not change, more as needed."""

    loop: Loop
    slices: dict[Node, Symbol]
    invariants: dict[Node, Symbol]

    def slice_of(self, node: Node) -> Node:
        """The slice of an array at the present turn."""
        type = TensorType(node.dtype, node.shape[1:])
        value = number_of(node)
        if value is not None:
            return number(value, type.dtype, type.shape)
        if is_leaf(node) or is_scan(node) or is_contraction(node):
            return self.symbol_of(node, "x", type, self.slices)
        if isinstance(node, Add):
            return add([(c, self.slice_of(term)) for c, term in node.terms], type)
        if isinstance(node, Map):
            return map_node(node.function, tuple([self.slice_of(arg) for arg in node.args]))
        assert isinstance(node, Product)
        factors: list[Factor] = []
        for f, at in node.factors:
            walked = bool(at) and at[0] == 0
            labels = tuple([index - 1 for index in at[walked:] if isinstance(index, int)])
            factors.append((self.slice_of(f) if walked else self.unchanging(f), labels))
        return product(node.coefficient, factors, list(range(node.ndim - 1)), dict(enumerate(node.shape[1:])), type)

    def unchanging(self, node: Node) -> Symbol:
        """The symbol of what is the same in all turns."""
        return self.symbol_of(node, "p", node.type, self.invariants)

    def symbol_of(self, node: Node, role: str, type: TensorType, symbols: dict[Node, Symbol]) -> Symbol:
        """The symbol among some that stands for an array, a new one where none does."""
        if node not in symbols:
            symbols[node] = unused_symbol(role, type, (*self.loop.bound, *symbols.values()))
        return symbols[node]
