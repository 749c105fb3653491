"""What a loop carries, and nothing that is asked for depends on, is left out, with all that it is made of.

before:  scan(c ← f(c), d ← A d, …) of which d is asked for
after:   scan(d ← A d, …)

The derivative of a linear loop carries what the loop does, and asks for the other half alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from msgspec.structs import replace

from codegen.planning.rewriting import over
from symdiff.expression import Apply, Node
from symdiff.loops import FINAL, SCAN, STACK, Key, is_scan, key_of, loop_of, split_args
from symdiff.traversal import symbols_of, topological


def drop_dead_carries(roots: Sequence[Node]) -> list[Node]:
    """The roots with loops that carry and read what is needed alone; their bodies are planned by themselves, loops in them too."""
    current = list(roots)
    while True:
        fresh = with_live_carries(current)
        if all(map(is_, fresh, current)):
            return fresh
        current = fresh


def with_live_carries(roots: Sequence[Node]) -> list[Node]:
    """The roots with loops that carry what their results, as they stand there, depend on."""
    order = topological(roots)
    asked: dict[Key, list[Node]] = {}
    for node in order:
        if is_scan(node):
            asked.setdefault(key_of(node), []).append(node)
    if not asked:
        return list(roots)
    live = {key: live_symbols(results) for key, results in asked.items()}
    done: dict[Node, Node] = {}
    for node in order:
        children = [done[child] for child in node.children]
        done[node] = over_live(node, children, live[key_of(node)]) if is_scan(node) else over(node, children)
    return [done[root] for root in roots]


def live_symbols(results: Sequence[Node]) -> set[Node]:
    """The symbols of a body on which results of its loop depend."""
    loop = loop_of(results[0])[0]
    following = dict(zip(loop.carries, loop.nexts, strict=True))
    pending: list[Node] = []
    live: set[Node] = set()
    for node in results:
        own, kind, k = loop_of(node)
        pending.append(own.carries[k] if kind == FINAL else own.stacks[k])
    while pending:
        for symbol in symbols_of([pending.pop()]):
            if symbol not in live:
                live.add(symbol)
                if symbol in following:
                    pending.append(following[symbol])
    return live


def over_live(node: Node, children: Sequence[Node], live: set[Node]) -> Node:
    """A result of a loop over other children, of those that its live symbols stand for."""
    loop, kind, k = loop_of(node)
    symbols = (*loop.carries, *loop.slices, *loop.invariants)
    if live.issuperset(symbols):
        return over(node, children)
    inits, xs, outside = (tuple([arg for symbol, arg in zip(group, args, strict=True) if symbol in live]) for group, args in zip(
        (loop.carries, loop.slices, loop.invariants), split_args(loop, children), strict=True))
    carries = tuple([symbol for symbol in loop.carries if symbol in live])
    fresh = replace(
        loop, carries=carries, slices=tuple([s for s in loop.slices if s in live]),
        invariants=tuple([s for s in loop.invariants if s in live]),
        nexts=tuple([following for symbol, following in zip(loop.carries, loop.nexts, strict=True) if symbol in live]),
        stacks=(loop.stacks[k],) if kind == STACK else ())
    place = 0 if kind == STACK else carries.index(loop.carries[k])
    return Apply(SCAN, (*inits, *xs, *outside), (fresh, kind, place), node.type)
