"""Bodies of loops: traced over symbols that nothing else holds, then closed over symbols of their own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from symdiff.expression import Add, Constant, Factor, Map, Node, Product, Reduce, Symbol
from symdiff.loops import BOUND, TURN, Loop, bound_symbol
from symdiff.normal_form import add, is_guard, map_node, number_of, product, reduce_node
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


def at_each_turn(value: Node, turns: Size) -> Node:
    """The same value at so many turns, along a first axis."""
    shape = (turns, *value.shape)
    labels = tuple(range(1, value.ndim + 1))
    return product(1, [(value, labels)], [0, *labels], dict(enumerate(shape)), TensorType(value.dtype, shape))


def at_all_turns(root: Node, moving: set[Node], rows: Mapping[Node, Node], fixed: Mapping[Node, Node], turns: Size) -> Node:
    """The values of a node of a body at all turns, along a first axis.

    `rows` are the arrays whose slices change from turn to turn, `fixed` the values of what does not.
    """
    done: dict[Node, Node] = dict(rows)

    def whole(node: Node) -> Node:
        if node in moving:
            return done[node]
        return at_each_turn(replaced([node], dict(fixed))[0], turns)
    for node in topological([root]):
        if node not in moving or node in done:
            continue
        type = TensorType(node.dtype, (turns, *node.shape))
        if isinstance(node, Product):
            label = len(node.extents)
            factors: list[Factor] = [(done[f], (label, *at)) if f in moving else (replaced([f], dict(fixed))[0], at)
                                     for f, at in node.factors]
            extents: dict[int, Size] = {**dict(enumerate(node.extents)), label: turns}
            done[node] = product(node.coefficient, factors, [label, *node.out], extents, type)
        elif isinstance(node, Add):
            done[node] = add([(c, whole(term)) for c, term in node.terms], type)
        elif isinstance(node, Map):
            done[node] = map_node(node.function, tuple([whole(arg) for arg in node.args]))
        else:
            assert isinstance(node, Reduce)
            done[node] = reduce_node(node.function, done[node.arg], tuple([axis + 1 for axis in node.axes]))
    return done[root]
