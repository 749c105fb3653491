"""Derivatives of loops are loops.

Forward, the tangents are carried along.  Backward, a loop from the last turn to the first carries the adjoints of the
carries; what it reads of the forward turns is kept there (`histories`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from symdiff.bodies import closed, opened, private, replaced, shown
from symdiff.bounds import at_least
from symdiff.differentiation.histories import residuals
from symdiff.differentiation.late_sums import outer_parts, sums_of_factors, with_sums_first
from symdiff.expression import Factor, Map, Node, Number, Product
from symdiff.index_notation import Index
from symdiff.loops import FINAL, STACK, Loop, final, is_scan, loop_of, split_args, stacked
from symdiff.normal_form import add, expand, is_guard, map_node, number, number_of, permute, product
from symdiff.sizes import Size, combine
from symdiff.tensor_type import FLOATING, TensorType
from symdiff.traversal import reaching, topological

Shape = tuple[Size, ...]
Adjoints = Callable[[Sequence[tuple[Node, Node]], Shape, list[Node]], dict[Node, Node]]
Changes = Callable[[Sequence[Node], dict[Node, Node]], list[Node]]
Group = tuple[Loop, tuple[Node, ...]]


def floats(symbols: Iterable[Node]) -> list[int]:
    """The places of floating symbols."""
    return [k for k, s in enumerate(symbols) if s.dtype in FLOATING]


class LoopAdjoints:
    """Collects the adjoints of the results of each loop, and passes them on together once all are known."""

    def __init__(self, order: Sequence[Node], wanted: set[Node], s: Shape, walk: Adjoints) -> None:
        self.wanted, self.s, self.walk = wanted, s, walk
        self.kept: dict[Group, dict[tuple[str, int], Node]] = {}
        self.last: dict[Group, Node] = {}
        for node in order:
            if is_scan(node) and node in wanted:
                self.last.setdefault(self.group(node), node)

    def group(self, node: Node) -> Group:
        """The loop of a result, and its arguments."""
        return loop_of(node)[0], node.children

    def keep(self, node: Node, pending: Sequence[Node]) -> None:
        """Note the adjoint of one result."""
        if pending and node.dtype in FLOATING:
            _, kind, k = loop_of(node)
            total = add([(1, adjoint) for adjoint in pending], TensorType(node.dtype, (*self.s, *node.shape)))
            self.kept.setdefault(self.group(node), {})[kind, k] = total

    def finished(self, node: Node) -> list[tuple[Node, Node]]:
        """(argument, adjoint) pairs, where the node is the last result of its loop to be reached."""
        group = self.group(node)
        if self.last[group] is not node or group not in self.kept:
            return []
        return scan_adjoints(*group, self.kept.pop(group), self.wanted, self.s, self.walk)


def scan_adjoints(loop: Loop, args: tuple[Node, ...], given: dict[tuple[str, int], Node], wanted: set[Node], s: Shape,
                  walk: Adjoints) -> list[tuple[Node, Node]]:
    """The adjoints of the arguments of a loop, from those of its results: results of one backward loop."""
    inits, xs, outside = split_args(loop, args)
    own, names = opened(loop)
    carried = floats(own.carries)
    sliced = [k for k in floats(own.slices) if xs[k] in wanted]
    shared = [k for k in floats(own.invariants) if outside[k] in wanted]
    kept = [k for kind, k in given if kind == STACK]
    lambdas = [private(TensorType(own.carries[k].dtype, (*s, *own.carries[k].shape))) for k in carried]
    deltas = [private(TensorType(own.stacks[k].dtype, (*s, *own.stacks[k].shape))) for k in kept]
    roots: list[tuple[Node, Node]] = [(own.nexts[k], seed) for k, seed in zip(carried, lambdas, strict=True)]
    roots += [(own.stacks[k], seed) for k, seed in zip(kept, deltas, strict=True)]
    targets: list[Node] = [*[own.carries[k] for k in carried], *[own.slices[k] for k in sliced],
                           *[own.invariants[k] for k in shared]]
    found = walk(roots, s, list(dict.fromkeys(targets)))
    results = [found.get(t, number(0, t.dtype, (*s, *t.shape))) for t in targets]
    a, b = len(carried), len(carried) + len(sliced)
    split = sums_of_factors([outer_parts(part) for part in results[b:]])
    added = [place for place, (_, rest) in enumerate(split) if number_of(rest) != 0]
    sums = [private(split[place][1].type) for place in added]
    totals = [add([(1, total), (1, split[place][1])], total.type) for total, place in zip(sums, added, strict=True)]
    # What is multiplied for a contraction over all turns is kept for each of them.
    turning = reaching(topological([f for cores, _ in split for _, p in cores for f in p.children]),
                       [*lambdas, *deltas, *own.carries, *own.slices, own.turn])
    split = [([(c, with_sums_first(p, turning)) for c, p in cores], rest) for cores, rest in split]
    turning |= reaching(topological([f for cores, _ in split for _, p in cores for f in p.children]), turning)
    states = states_after(loop, args, own, kept)
    read = [part for cores, _ in split for _, p in cores for f in p.children if f not in states for part in parts_kept(f)]
    pieces = list(dict.fromkeys(part for part in read if part in turning))
    bodies = [*results[:a], *totals, *results[a:b], *pieces]
    bodies, history, arrays = residuals(loop, args, own, names, bodies, {*lambdas, *deltas, *sums})
    front: dict[Node, Node] = {node: outer for node, outer in zip(own.invariants, outside, strict=True)}
    bodies = replaced(bodies, front)
    zeros = [number(0, total.dtype, total.shape) for total in sums]
    starts = [given.get((FINAL, k), number(0, lam.dtype, lam.shape)) for k, lam in zip(carried, lambdas, strict=True)]
    back, invariants = closed([*lambdas, *sums], [*deltas, *history.values()], own.turn, bodies[:a + len(sums)],
                              bodies[a + len(sums):], loop.length, not loop.backward)
    moved = [leading(given[STACK, k], len(s)) for k in kept]
    new_args = (*starts, *zeros, *moved, *arrays, *invariants)
    pairs = [(inits[k], final(back, new_args, place)) for place, k in enumerate(carried) if inits[k] in wanted]
    there = {piece: stacked(back, new_args, len(sliced) + place) for place, piece in enumerate(pieces)}
    there.update(zip(history, arrays, strict=True))
    for place, k in enumerate(shared):
        cores, rest = split[place]
        terms: list[tuple[Number, Node]] = [(c, over_turns(p, loop, there, states, front)) for c, p in cores]
        if place in added:
            terms.append((1, final(back, new_args, a + added.index(place))))
        if terms:
            pairs.append((outside[k], add(terms, rest.type)))
    pairs += [(xs[k], trailing(stacked(back, new_args, place), len(s))) for place, k in enumerate(sliced)]
    return pairs


def states_after(loop: Loop, args: tuple[Node, ...], own: Loop, kept: Sequence[int]) -> dict[Node, tuple[Node, Node]]:
    """Carries whose value after a turn is among what is `kept`: the value before the first turn, and those after each."""
    inits, _, _ = split_args(loop, args)
    if not at_least(loop.length, 1):
        return {}
    return {own.carries[j]: (inits[j], stacked(loop, args, k)) for j, new in enumerate(own.nexts) for k in kept
            if own.stacks[k] is new}


def over_turns(core: Product, loop: Loop, there: Mapping[Node, Node], states: Mapping[Node, tuple[Node, Node]],
               front: dict[Node, Node]) -> Node:
    """Σ over all turns of a contraction, from the arrays that hold its factors for every turn.

    A carry of `states` is before a turn what it is after the one before that: nothing more is kept for it.
    """
    label = len(core.extents)
    extents = {**dict(enumerate(core.extents)), label: loop.length}
    if all(f in there or f not in states for f in core.children):
        return product(1, [whole_factor(f, at, label, there, front, loop.length) for f, at in core.factors], list(core.out),
                       extents, core.type)
    last = combine(((1, loop.length), (-1, 1)))
    before: Index = (1, ((label, 1),)) if loop.backward else label
    here: Index = label if loop.backward else (1, ((label, 1),))
    first: Index = (last if loop.backward else 0, ())
    rest = [(states[f][1], (before, *at)) if f in states else whole_factor(f, at, here, there, front, loop.length)
            for f, at in core.factors]
    start = [(states[f][0], at) if f in states else whole_factor(f, at, first, there, front, loop.length)
             for f, at in core.factors]
    later = product(1, rest, list(core.out), {**extents, label: last}, core.type)
    if any(number_of(f) == 0 for f, _ in start):
        return later
    return add([(1, later), (1, product(1, start, list(core.out), dict(enumerate(core.extents)), core.type))], core.type)


def whole_factor(f: Node, at: Sequence[Index], turn: Index, there: Mapping[Node, Node], front: dict[Node, Node],
                 length: Size) -> Factor:
    """A factor of a contraction at a turn, where it changes from one to the next."""
    if f in there or (is_guard(f) and any(part in there for part in parts_kept(f))):
        return along_turns(f, there, front, length), (turn, *at)
    return replaced([f], front)[0], tuple(at)


def parts_kept(f: Node) -> list[Node]:
    """What is kept of a factor for every turn: of a guard, such as an entry that an index tells, what it reads."""
    return [shown(child) for child in f.children] if is_guard(f) else [f]


def along_turns(node: Node, there: Mapping[Node, Node], front: dict[Node, Node], length: Size) -> Node:
    """A factor at all turns, along a first axis."""
    if node in there:
        return there[node]
    if isinstance(node, Map):
        return map_node(node.function, tuple([along_turns(child, there, front, length) for child in node.children]))
    if shown(node) in there:
        assert isinstance(node, Product)
        (inner, at), label = node.factors[0], len(node.extents)
        whole = along_turns(inner, there, front, length)
        return product(1, [(whole, (label, *at))], [label, *node.out], {**dict(enumerate(node.extents)), label: length},
                       TensorType(node.dtype, (length, *node.shape)))
    return expand(replaced([node], front)[0], (length, *node.shape), tuple(range(1, node.ndim + 1)))


def leading(stack: Node, s: int) -> Node:
    """(S, T, …) as (T, S, …)."""
    return permute(stack, (s, *range(s), *range(s + 1, stack.ndim))) if s else stack


def trailing(stack: Node, s: int) -> Node:
    """(T, S, …) as (S, T, …)."""
    return permute(stack, (*range(1, s + 1), 0, *range(s + 1, stack.ndim))) if s else stack


def scan_tangents(nodes: Sequence[Node], tangents: dict[Node, Node], walk: Changes) -> dict[Node, Node]:
    """The changes of results of one loop, over the same arguments, that change; T axes come last, after those of the result.

    The body is walked once for all of them.
    """
    first = nodes[0]
    loop = loop_of(first)[0]
    inits, xs, outside = split_args(loop, first.children)
    shapes: list[Shape] = [tangents[arg].shape[arg.ndim:] for arg in first.children if arg in tangents]
    if not shapes:
        return {}
    extra = shapes[0]
    kept: dict[Node, int] = {}
    for node in nodes:
        written, kind, k = loop_of(node)
        if kind == STACK:
            kept.setdefault(written.stacks[k], len(kept))
    own, _ = opened(replace(loop, stacks=tuple(kept)))
    carried = floats(own.carries)
    moved = [j for j in floats(own.slices) if xs[j] in tangents]
    dots = [private(TensorType(own.carries[j].dtype, (*own.carries[j].shape, *extra))) for j in carried]
    slides = [private(TensorType(own.slices[j].dtype, (*own.slices[j].shape, *extra))) for j in moved]
    known: dict[Node, Node] = {own.carries[j]: dot for j, dot in zip(carried, dots, strict=True)}
    known |= {own.slices[j]: slide for j, slide in zip(moved, slides, strict=True)}
    known |= {symbol: tangents[arg] for symbol, arg in zip(own.invariants, outside, strict=True) if arg in tangents}
    wanted = [own.nexts[j] for j in carried] + list(own.stacks)
    found = [widened(change, root, extra) for change, root in zip(walk(wanted, known), wanted, strict=True)]
    bodies = replaced([*own.nexts, *found], dict(zip(own.invariants, outside, strict=True)))
    count = len(own.carries) + len(carried)
    longer, invariants = closed([*own.carries, *dots], [*own.slices, *slides], own.turn, bodies[:count], bodies[count:],
                                loop.length, loop.backward)
    starts = [tangents[inits[j]] if inits[j] in tangents else number(0, dot.dtype, dot.shape)
              for j, dot in zip(carried, dots, strict=True)]
    args = (*inits, *starts, *xs, *[tangents[xs[j]] for j in moved], *invariants)
    result: dict[Node, Node] = {}
    for node in nodes:
        written, kind, k = loop_of(node)
        if kind == STACK:
            result[node] = stacked(replace(longer, stacks=(longer.stacks[kept[written.stacks[k]]],)), args, 0)
        elif k in carried:
            result[node] = final(replace(longer, stacks=()), args, len(own.carries) + carried.index(k))
    return result


def widened(change: Node, root: Node, extra: Shape) -> Node:
    """A change of the full shape: a zero one comes without the T axes."""
    return change if change.shape == (*root.shape, *extra) else number(0, root.dtype, (*root.shape, *extra))
