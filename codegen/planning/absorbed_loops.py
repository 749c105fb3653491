"""Absorbed loops: a loop that carries what another one carries too is no loop of its own.

before:  scan(c ← f(c)) keeps c;  scan(c ← f(c), d ← f'(c) d)        two loops, the first of which goes its way twice
after:   scan(c ← f(c), d ← f'(c) d) keeps c

Hessian-vector products stand so: the loop itself, and the one with its tangent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_

from msgspec.structs import replace

from codegen.planning.rewriting import over
from symdiff.bodies import replaced
from symdiff.expression import Apply, Node
from symdiff.loops import FINAL, SCAN, Key, is_scan, key_of, loop_of, split_args
from symdiff.traversal import topological

# So many ways to tell which of the carries are the same are tried.
MOST_WAYS = 16
Names = dict[Node, Node]


def absorb_loops(roots: Sequence[Node]) -> list[Node]:
    """The roots with every loop taken from one that carries the same and more, where that does not wait for it."""
    current = list(roots)
    while True:
        fresh = with_one_absorbed(current)
        if fresh is None:
            return current
        current = fresh


def with_one_absorbed(roots: Sequence[Node]) -> list[Node] | None:
    """The roots with one loop less, None where there is none to absorb."""
    groups: dict[Key, list[Node]] = {}
    for node in topological(roots):
        if is_scan(node):
            groups.setdefault(key_of(node), []).append(node)
    wide = sorted(groups, key=lambda key: -len(key[0].carries))
    for small in reversed(wide):
        for large in wide:
            if len(large[0].carries) <= len(small[0].carries):
                break
            names = names_in(groups[small][0], groups[large][0])
            if names is not None and set(groups[small]).isdisjoint(topological(groups[large][0].children)):
                return rewritten(roots, set(groups[small]), groups[large][0], names)
    return None


def names_in(small: Node, large: Node) -> Names | None:
    """The symbols of a larger loop that stand for those of a smaller one, None where it does not do the same with them."""
    one, two = loop_of(small)[0], loop_of(large)[0]
    if not one.carries or one.length != two.length or one.backward != two.backward:
        return None
    (inits, xs, outside), (starts, ys, around) = split_args(one, small.children), split_args(two, large.children)
    names: Names = {one.turn: two.turn}
    for symbols, args, others, given in ((one.slices, xs, two.slices, ys), (one.invariants, outside, two.invariants, around)):
        known: Names = {}
        for arg, symbol in zip(given, others, strict=True):
            known.setdefault(arg, symbol)
        if not all(arg in known for arg in args):
            return None
        names.update((symbol, known[arg]) for symbol, arg in zip(symbols, args, strict=True))
    places = [[k for k, start in enumerate(starts) if start is init and two.carries[k].type == carry.type]
              for init, carry in zip(inits, one.carries, strict=True)]
    for tries, way in enumerate(ways(places)):
        if tries == MOST_WAYS:
            break
        trial = dict(names)
        for carry, k in zip(one.carries, way, strict=True):
            trial[carry] = two.carries[k]
        if all(map(is_, replaced(one.nexts, trial), [two.nexts[k] for k in way])):
            return trial
    return None


def ways(places: Sequence[Sequence[int]], taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The choices of one place from each, no place twice."""
    if len(taken) == len(places):
        yield taken
        return
    for k in places[len(taken)]:
        if k not in taken:
            yield from ways(places, (*taken, k))


def rewritten(roots: Sequence[Node], small: set[Node], large: Node, names: Names) -> list[Node]:
    """The roots with the results of a smaller loop taken from a larger one."""
    whole = loop_of(large)[0]
    done: dict[Node, Node] = {}
    for node in topological(roots, lambda n: large.children if n in small else n.children):
        if node not in small:
            done[node] = over(node, [done[child] for child in node.children])
            continue
        loop, kind, k = loop_of(node)
        args = tuple([done[child] for child in large.children])
        if kind == FINAL:
            done[node] = Apply(SCAN, args, (whole, FINAL, whole.carries.index(names[loop.carries[k]])), node.type)
        else:
            stacks = tuple(replaced([loop.stacks[k]], names))
            done[node] = Apply(SCAN, args, (replace(whole, stacks=stacks), kind, 0), node.type)
    return [done[root] for root in roots]
