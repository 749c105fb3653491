"""What a loop of a few numbers keeps, and no later turn reads, is computed for all turns behind it, by vectors.

before:  scan(c ← a c + b x_t, y_t = log(c) + x_t² / c)
after:   log(h) + x² / h with h = scan(c ← a c + b x_t, h_t = c)

A turn with a few numbers waits for each of its functions; vectors take those of eight turns at once.  The carries are kept for
all turns instead, which the way back of a derivative asks for mostly anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from codegen.planning.costs import Hints
from codegen.planning.expansions import expand_functions
from codegen.planning.materialisation import is_costly
from codegen.planning.rewriting import over
from symdiff.bodies import at_all_turns, replaced
from symdiff.expression import Add, Map, Node, Product, Symbol
from symdiff.gathers import solved_labels
from symdiff.loops import STACK, is_scan, loop_of, split_args, stacked, unused_symbol
from symdiff.traversal import reaching, topological

# Numbers of a turn with which it fills no vector by itself, turns that are worth it, how many arrays are kept for one, and how many
# operations are done behind the loop, those that its turns do too among them.
FEW, LEAST_TURNS, MOST_KEPT, MOST_OPERATIONS = 4, 32, 3, 40


def lift(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with what loops only keep computed behind them, where that takes costly functions."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        children = [done[child] for child in node.children]
        root = stack_of(node, hints)
        kept = None if root is None else kept_for(root, node, hints)
        done[node] = over(node, children) if root is None or kept is None else lifted(root, node, children, kept)
    return [done[root] for root in roots]


def stack_of(node: Node, hints: Hints) -> Node | None:
    """What a loop of a few numbers and many turns keeps, in the functions that are computed; None for other nodes."""
    if not is_scan(node):
        return None
    loop, kind, k = loop_of(node)
    if kind != STACK or hints.value(loop.length) < LEAST_TURNS or hints.count(loop.stacks[k].shape) >= FEW:
        return None
    return expand_functions([loop.stacks[k]], hints)[0]


def kept_for(root: Node, node: Node, hints: Hints) -> list[Node] | None:
    """The nodes of a body of which what a loop keeps is computed; None where it stays in the loop."""
    loop = loop_of(node)[0]
    nexts = expand_functions(loop.nexts, hints)
    changing = reaching(topological([*nexts, root]), loop.carries)
    going_on = set(topological(nexts))
    carries, given = set[Node](loop.carries), {*loop.slices, *loop.invariants}
    # What a function of the same numbers is there for, as 1 - tanh² beside tanh.
    at_hand = {part.children for part in going_on if is_costly(part)}
    kept: dict[Node, None] = {}
    seen: set[Node] = set()
    pending: list[Node] = [root]
    costly = False
    while pending:
        part = pending.pop()
        if part in seen or part in given:
            continue
        seen.add(part)
        if part in carries or (part in going_on and is_costly(part)):
            kept[part] = None
            continue
        simple = isinstance(part, (Add, Map)) or (isinstance(part, Product) and not part.is_core and not solved_labels(part))
        if not simple or len(seen) > MOST_OPERATIONS or (is_costly(part) and part.children in at_hand):
            return None
        costly = costly or (part in changing and is_costly(part))
        pending.extend(part.children)
    return list(kept) if costly and 0 < len(kept) <= MOST_KEPT else None


def lifted(root: Node, node: Node, children: Sequence[Node], kept: Sequence[Node]) -> Node:
    """What a loop keeps, of arrays that it keeps instead."""
    loop = loop_of(node)[0]
    _, xs, outside = split_args(loop, tuple(children))
    symbols: list[Symbol] = []
    for part in kept:
        symbols.append(unused_symbol("x", part.type, (*loop.bound, *symbols)))
    body = replaced([root], dict(zip(kept, symbols, strict=True)))[0]
    rows: dict[Node, Node] = dict(zip(loop.slices, xs, strict=True))
    rows.update((symbol, stacked(replace(loop, stacks=(part,)), children, 0)) for symbol, part in zip(symbols, kept, strict=True))
    moving = reaching(topological([body]), rows)
    return at_all_turns(body, moving, rows, dict(zip(loop.invariants, outside, strict=True)), loop.length)
