"""Matrix products of a loop that no carry reaches are computed for all turns at once, before the loop.

before:  scan(c ← tanh(W c + V x_t), …)
after:   scan(c ← tanh(W c + a_t), a_t ∈ X Vᵀ, …)

One large matrix product takes the place of small ones that read their matrix anew each turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from codegen.planning.costs import Hints
from codegen.planning.rewriting import over
from symdiff.bodies import at_all_turns, replaced
from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import solved_labels
from symdiff.loops import SCAN, Key, is_scan, key_of, loop_of, split_args, unused_symbol
from symdiff.traversal import reaching, topological

# Elements of a matrix that is worth reading less often, and how much longer than a product with it: with more rows a turn a
# product is as fast by itself, and nothing is stored for all turns.  Fewer turns than these are not worth it.
SMALLEST, LONGER, FEW_TURNS = 256, 16, 4


def hoist(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with products of slices and of what does not change taken out of their loops."""
    order = topological(roots)
    bodies: dict[Key, list[Node]] = {}
    for node in order:
        if is_scan(node):
            loop = loop_of(node)[0]
            bodies.setdefault(key_of(node), list(loop.nexts)).extend(loop.stacks)
    if not bodies:
        return list(roots)
    found = {key: hoisted(key, list(dict.fromkeys(nodes)), hints) for key, nodes in bodies.items()}
    done: dict[Node, Node] = {}
    for node in order:
        children = [done[child] for child in node.children]
        taken = found[key_of(node)] if is_scan(node) else []
        done[node] = without(node, children, taken) if taken else over(node, children)
    return [done[root] for root in roots]


def hoisted(key: Key, bodies: Sequence[Node], hints: Hints) -> list[Product]:
    """The largest products in the bodies of a loop that are worth computing for all turns at once."""
    loop, _ = key
    if hints.value(loop.length) < FEW_TURNS:
        return []
    order = topological(bodies)
    moving = reaching(order, loop.slices) - reaching(order, [*loop.carries, loop.turn])
    simple = set[Node](loop.slices)
    for node in order:
        if node in moving and isinstance(node, (Add, Product, Map, Reduce)) and all(
                child in simple or child not in moving for child in node.children):
            simple.add(node)
    worth = [node for node in order if node in simple and isinstance(node, Product) and is_worth(node, moving, hints)]
    inside = {part for node in worth for part in topological(node.children)}
    return [node for node in worth if node not in inside]


def is_worth(node: Product, moving: set[Node], hints: Hints) -> bool:
    """Whether a product reads a matrix that does not change, which is much longer than the product."""
    if not node.is_core or solved_labels(node):
        return False
    matrix = max((hints.count(f.shape) for f, _ in node.factors if f not in moving), default=0)
    return matrix >= SMALLEST and LONGER * hints.count(node.shape) <= matrix


def without(node: Node, children: Sequence[Node], taken: Sequence[Product]) -> Node:
    """The result of a loop over other children, with products computed before it."""
    loop, kind, k = loop_of(node)
    inits, xs, outside = split_args(loop, tuple(children))
    rows: dict[Node, Node] = dict(zip(loop.slices, xs, strict=True))
    fixed: dict[Node, Node] = dict(zip(loop.invariants, outside, strict=True))
    moving = reaching(topological(taken), loop.slices)
    arrays = [at_all_turns(part, moving, rows, fixed, loop.length) for part in taken]
    symbols: list[Symbol] = []
    for part in taken:
        symbols.append(unused_symbol("x", part.type, (*loop.bound, *symbols)))
    names: dict[Node, Node] = dict(zip(taken, symbols, strict=True))
    bodies = replaced([*loop.nexts, *loop.stacks], names)
    count = len(loop.nexts)
    fresh = replace(loop, slices=(*loop.slices, *symbols), nexts=tuple(bodies[:count]), stacks=tuple(bodies[count:]))
    args = (*inits, *xs, *arrays, *outside)
    return Apply(SCAN, args, (fresh, kind, k), node.type)
