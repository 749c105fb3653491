"""Bodies of loops: traced over symbols that nothing else holds, then closed over symbols of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from symdiff.expression import Constant, Node, Product, Symbol
from symdiff.loops import BOUND, TURN, Loop, bound_symbol
from symdiff.normal_form import is_guard, number_of
from symdiff.simplification.phases import before_differentiation
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType
from symdiff.traversal import reaching, rebuilt, topological

COUNT = itertools.count()


def private(type: TensorType, shown: str = "traced") -> Symbol:
    """A symbol that nothing else holds, for as long as a body is traced, and how messages call it."""
    return Symbol(f"{shown}{BOUND}{next(COUNT)}⟩", type)


def closed(carries: Sequence[Symbol], slices: Sequence[Symbol], turn: Symbol, nexts: Sequence[Node], kept: Sequence[Node],
           turns: Size, backward: bool) -> tuple[Loop, list[Node]]:
    """The loop of traced bodies, over symbols of its own, and its invariants: the largest parts without a traced symbol."""
    roots = [before_differentiation(node) for node in (*nexts, *kept)]
    order = topological(roots)
    inside = reaching(order, [*carries, *slices, turn])
    # Roots, and what is read by something that changes; of a view what it shows, of a guard what it reads, since an argument
    # does not select; a number stays where it is.
    read = [shown(node) for node in [*roots, *[child for node in order if node in inside for child in node.children]]]
    read = [part for node in read for part in (map(shown, node.children) if is_guard(node) else (node,))]
    invariants = [node for node in dict.fromkeys(read) if node not in inside and not stays(node)]
    fixed = [bound_symbol("p", k, node.type) for k, node in enumerate(invariants)]
    names: dict[Node, Node] = dict(zip(invariants, fixed, strict=True))
    own = [bound_symbol(role, k, s.type) for role, group in (("c", carries), ("x", slices)) for k, s in enumerate(group)]
    names.update(zip((*carries, *slices), own, strict=True))
    names[turn] = TURN
    bodies = replaced(roots, names)
    loop = Loop(tuple(own[:len(carries)]), tuple(own[len(carries):]), tuple(fixed), TURN,
                tuple(bodies[:len(nexts)]), tuple(bodies[len(nexts):]), turns, backward)
    return loop, invariants


def shown(node: Node) -> Node:
    """What a broadcast, turned or cut view shows."""
    while isinstance(node, Product) and node.dense and node.coefficient == 1 and len(node.factors) == 1 and not node.narrows:
        node = node.factors[0][0]
    return node


def stays(node: Node) -> bool:
    """Whether a node may stand in a body as it is: numbers, sizes and counts."""
    return number_of(node) is not None or (isinstance(node, Constant) and not isinstance(node.value, np.ndarray))


def replaced(roots: Sequence[Node], names: dict[Node, Node]) -> list[Node]:
    """The roots with nodes replaced, whole ones before their parts are looked at."""
    done = dict(names)
    for node in topological(roots, lambda n: () if n in names else n.children):
        if node not in done:
            done[node] = rebuilt(node, done)
    return [done[root] for root in roots]


def opened(loop: Loop) -> tuple[Loop, dict[Symbol, Symbol]]:
    """The loop over private symbols, and which stands for which: bodies of loops inside each other may not mix."""
    names = {symbol: private(symbol.type) for symbol in loop.bound}
    bodies = replaced([*loop.nexts, *loop.stacks], dict(names.items()))

    def renamed(group: Sequence[Symbol]) -> tuple[Symbol, ...]:
        return tuple([names[symbol] for symbol in group])
    count = len(loop.nexts)
    return Loop(renamed(loop.carries), renamed(loop.slices), renamed(loop.invariants), names[loop.turn],
                tuple(bodies[:count]), tuple(bodies[count:]), loop.length, loop.backward), names
