"""What expressions ask of sizes beyond the shapes of arguments: an axis such as n − 3 must not turn out negative.

Most sizes are proved to be long enough when an expression is written; those that are not are looked at when a call tells them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from symdiff.binding.ranges import Range, ranges_of
from symdiff.bodies import at_all_turns, at_each_turn, replaced
from symdiff.bounds import at_least
from symdiff.errors import ArgumentMismatch
from symdiff.expression import Add, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import index_of, is_count, solved_labels
from symdiff.loops import Loop, deep, is_scan, loop_of, split_args
from symdiff.normal_form import number_of
from symdiff.normal_form.cores import is_one_hot
from symdiff.normal_form.numbers import is_size_constant
from symdiff.reference import evaluate_nodes
from symdiff.sizes import Size, named_sizes, value_of
from symdiff.tensor_type import INTEGRAL, TensorType
from symdiff.traversal import reaching, topological

LONGEST = 60
# How often a range is halved that is tried around one that is enough, and for how many sets of sizes ranges are kept.
TRIES, MOST_SIZES = 6, 16
# The types of elements that calls past Python look at.
LOOKED_AT = ("int64", "int32", "float64")
# What an index may be made of, of products those that read at positions alone.
ELEMENTWISE = (Symbol, Constant, Add, Map, Product)


class Demand(Struct, frozen=True):
    """`size` must be at least `least`, because of `node`: an axis of it, or one that it reduces."""

    size: Size
    least: int
    node: Node
    reduced: Node | None = None
    # The loop of the formula in whose turns that is, whose text has the user's names.
    loop: Node | None = None


class Positions(Struct, frozen=True):
    """The values of `index`, made of the symbols, must be positions −size … size − 1, because `node` reads there.

    Where none counts from the end, as class numbers do not, they must be 0 … size − 1.
    """

    index: Node
    symbols: tuple[Symbol, ...]
    size: Size
    node: Node
    from_end: bool = True

    def span(self, sizes: Mapping[str, int]) -> tuple[int, int]:
        """The least and the greatest position."""
        size = value_of(self.size, sizes)
        return (-size if self.from_end else 0), size - 1


class Turns(NamedTuple):
    """The turns of a loop: its arguments as the body of the loop around it has them, and the turns of that one."""

    loop: Loop
    args: tuple[Node, ...]
    around: Turns | None


class Demands(NamedTuple):
    """All that expressions ask of a call beyond the shapes of its arguments."""

    sizes: Sequence[Demand] = ()
    positions: Sequence[Positions] = ()


def demands_of(roots: Iterable[Node]) -> Demands:
    """What the expressions ask of sizes and of positions."""
    nodes = list(roots)
    return Demands(size_demands(nodes), index_demands(nodes))


def index_demands(roots: Iterable[Node]) -> list[Positions]:
    """The indices, in bodies of loops too, whose values the arguments of a call tell without much work.

    >>> import symdiff as sd
    >>> x, i = sd.symbol("x", "n"), sd.symbol("i", "m", "int64")
    >>> [(p.index, p.size) for p in index_demands([x[i + 1]])]
    [(<i + 1: int64 (m,)>, n)]
    """
    found: dict[tuple[Node, Size, bool], Positions] = {}
    # Bodies of different loops may share symbols, so each is looked at in its own place.
    pending: list[tuple[list[Node], Turns | None, Node | None]] = [(list(roots), None, None)]
    seen: set[Turns] = set()
    while pending:
        bodies, around, outer = pending.pop()
        order = topological(bodies)
        for node in order:
            if is_scan(node) and (inner := Turns(loop_of(node)[0], node.children, around)) not in seen:
                seen.add(inner)
                pending.append(([*inner.loop.nexts, *inner.loop.stacks], inner, node if outer is None else outer))
        # What reads at positions comes before the marks of those: it tells better where they are asked for.
        for node in sorted(order, key=is_one_hot) if any(map(is_of_positions, order)) else ():
            for given, size, from_end in asked_positions(node):
                index = seen_outside(given, around)
                if index is not None and (is_cheap(index) or is_of_counts(index)):
                    symbols = tuple([s for s in topological([index]) if isinstance(s, Symbol)])
                    where = node if outer is None else outer
                    found.setdefault((index, size, from_end), Positions(index, symbols, size, where, from_end))
    return list(found.values())


def is_of_positions(node: Node) -> bool:
    """Whether the node is about a position among so many: whether it is a given one, or which it is."""
    return is_one_hot(node) or (isinstance(node, Map) and node.function.name == "class_number")


def asked_positions(node: Node) -> Iterator[tuple[Node, Size, bool]]:
    """The indices at which a node reads, the size of the axis of each, and whether they may count from the end."""
    for mark in node.children if not is_one_hot(node) else (node,):
        size = size_of(mark.children[2]) if is_one_hot(mark) else None
        if size is not None:
            known = index_of(mark)
            # Of an axis that is read in part, or has one position, no label counts the positions.
            yield spread(mark.children[0]) if known is None else known[0], size, True
    if isinstance(node, Map) and node.function.name == "class_number":
        classes = size_of(node.children[1])
        if classes is not None:
            yield node.children[0], classes, False


def spread(node: Node) -> Node:
    """What a node is along all of its axes, of which it may have more; the node itself where it is nothing else."""
    while isinstance(node, Product) and node.dense and node.coefficient == 1 and len(node.factors) == 1:
        (inner, at), = node.factors
        if inner.dtype != node.dtype or len(set(at)) < len(at) or any([not isinstance(i, int) for i in at]):
            break
        node = inner
    return node


def size_of(node: Node) -> Size | None:
    """The size that a node, maybe spread along axes, is everywhere; None where it is none."""
    while isinstance(node, Product) and node.factors:
        node = node.factors[0][0]
    known = number_of(node)
    return int(known) if known is not None else node.value if is_size_constant(node) else None


def seen_outside(node: Node, around: Turns | None) -> Node | None:
    """A node of a body as one of the formula: at all turns of the loops around it, None where it depends on what they carry."""
    found: Node | None = node
    while around is not None and found is not None:
        found, around = at_turns(found, around), around.around
    return found


def at_turns(node: Node, turns: Turns) -> Node | None:
    """A node of a body as one of what stands around its loop: along a first axis where it changes from turn to turn."""
    loop = turns.loop
    _, xs, outside = split_args(loop, turns.args)
    order = topological([node])
    used = set(order)
    if not used.isdisjoint(loop.carries):
        return None
    fixed: dict[Node, Node] = dict(zip(loop.invariants, outside, strict=True))
    rows: dict[Node, Node] = {s: arg for s, arg in zip(loop.slices, xs, strict=True) if s in used}
    if loop.turn in used:
        rows[loop.turn] = Constant("arange", TensorType("int64", (loop.length,)))
    if not rows:
        outer = replaced([node], fixed)[0]
        return outer if isinstance(loop.length, int) and loop.length > 0 else at_each_turn(outer, loop.length)
    if not all(isinstance(n, ELEMENTWISE) for n in order):
        return None
    return at_all_turns(node, reaching(order, rows), rows, fixed, loop.length)


def is_cheap(index: Node) -> bool:
    """Whether an index takes no more than elementwise work, and reads at positions."""
    return all(isinstance(n, ELEMENTWISE) and (not isinstance(n, Product) or not n.is_core or reads_elements(n))
               for n in topological([index]))


def reads_elements(node: Product) -> bool:
    """Whether a core adds up nothing: each of its labels is told by an index, or has one value."""
    told = {solved.label for solved in solved_labels(node)}
    return all(label in told or node.extents[label] == 1 for label in node.summed)


def is_of_counts(index: Node) -> bool:
    """Whether sizes tell an index: how many turns a loop takes, say."""
    return all(isinstance(n, (Add, Map)) or is_count(n) or (isinstance(n, Product) and not n.is_core) or is_size_constant(n)
               for n in topological([index]))


class PositionCheck:
    """Whether all that is asked of positions holds for the arguments of a call.

    Between which values they lie is kept of the last call of some sizes for which that told, as far as it may be: what lies there
    is not asked again.
    """

    def __init__(self, demands: Sequence[Positions]) -> None:
        self.demands = demands
        self.order = topological([demand.index for demand in demands])
        self.symbols = tuple(dict.fromkeys(symbol for demand in demands for symbol in demand.symbols))
        self.proved: dict[tuple[tuple[str, int], ...], list[Range]] = {}

    def __call__(self, values: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        """Raise `ArgumentMismatch` for an array that holds a position outside of the axis that it indexes."""
        arrays = [values[symbol.name] for symbol in self.symbols]
        spans = [(a.min().item(), a.max().item()) if a.size else None for a in arrays]
        proved = self.proved.get(tuple(sizes.items()))
        if proved is not None and all(span is not None and low <= span[0] and span[1] <= high
                                      for span, (low, high) in zip(spans, proved, strict=True)):
            return
        untold = self.untold(spans, sizes)
        for demand in untold:
            check_elements(demand, values, sizes)
        told = [span for span in spans if span is not None]
        if not untold and len(told) == len(spans):
            if len(self.proved) >= MOST_SIZES:
                self.proved.clear()
            self.proved[tuple(sizes.items())] = self.grown(told, sizes)

    def grown(self, spans: list[Range], sizes: Mapping[str, int]) -> list[Range]:
        """Ranges around those of the symbols from which all still follows, as far as a few tries tell."""
        longest = max([value_of(demand.size, sizes) for demand in self.demands], default=0)
        for down in (True, False):
            for step in [longest >> k for k in range(TRIES) if longest >> k]:
                wide = [(low - step, high) if down else (low, high + step) for low, high in spans]
                if not self.untold(wide, sizes):
                    spans = wide
        return spans

    def ranges(self, sizes: Mapping[str, int]) -> dict[str, Range] | None:
        """By name, the least and the greatest elements of arguments that are enough, None where no such numbers are known."""
        found: dict[str, Range] = dict(direct_positions(self.demands, sizes))
        if all(isinstance(demand.index, Symbol) or not demand.symbols for demand in self.demands):
            return found
        proved = self.proved.get(tuple(sizes.items()))
        if proved is None or any(s.dtype not in LOOKED_AT for s in self.symbols):
            return None
        for symbol, (low, high) in zip(self.symbols, proved, strict=True):
            least, greatest = found.get(symbol.name, (low, high))
            span = max(low, least), min(high, greatest)
            found[symbol.name] = span if symbol.dtype in INTEGRAL else (float(span[0]), float(span[1]))
        return found

    def untold(self, spans: Sequence[Range | None], sizes: Mapping[str, int]) -> list[Positions]:
        """What does not follow from the least and the greatest elements of the symbols."""
        known = ranges_of(self.order, dict(zip(self.symbols, spans, strict=True)).__getitem__, sizes)
        found = []
        for demand in self.demands:
            least, greatest = demand.span(sizes)
            low, high = known.get(demand.index, (-math.inf, math.inf))
            if not (least <= low and high <= greatest):
                found.append(demand)
        return found


def check_elements(demand: Positions, values: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Raise `ArgumentMismatch` where an index, which is computed, holds a position outside of its axis."""
    least, greatest = demand.span(sizes)
    arrays: dict[Node, Any] = {symbol: values[symbol.name] for symbol in demand.symbols}
    array = arrays[demand.index] if isinstance(demand.index, Symbol) else evaluate_nodes([demand.index], arrays, sizes)[0]
    if array.size and not (least <= array.min() and array.max() <= greatest):
        wrong = array[(array < least) | (array > greatest)].flat[0]
        origin = f" at {demand.node.origin}" if demand.node.origin else ""
        if not demand.from_end:
            raise ArgumentMismatch(f"{shortened(str(demand.index))} holds class number {wrong}, which is not one of the "
                                   f"{greatest + 1} classes", where=shortened(str(demand.node)) + origin,
                                   mend=f"give numbers from 0 to {greatest}, and leave out samples without a class")
        raise ArgumentMismatch(f"{shortened(str(demand.index))} holds position {wrong}, which is outside of an axis of size "
                               f"{greatest + 1}", where=shortened(str(demand.node)) + origin,
                               mend=f"give positions from {least} to {greatest}")


def direct_positions(demands: Sequence[Positions], sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """By the name of each array that indexes as it is, the least and the greatest position that all of its axes have."""
    found: dict[str, tuple[int, int]] = {}
    for demand in demands:
        if isinstance(demand.index, Symbol):
            least, greatest = demand.span(sizes)
            low, high = found.get(demand.index.name, (least, greatest))
            found[demand.index.name] = max(low, least), min(high, greatest)
    return found


def size_demands(roots: Sequence[Node]) -> list[Demand]:
    """The demands of all nodes under the roots that are not proved to hold, each once.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", "n")
    >>> [(d.size, d.least) for d in size_demands([sd.max(x[1:])])]
    [(n - 1, 1)]
    """
    found: dict[Size, Demand] = {}

    def holder_of(node: Node) -> Node | None:
        loop = None
        while node in inside:
            loop = node = inside[node]
        return loop

    def ask(size: Size, least: int, node: Node, reduced: Node | None = None) -> None:
        if isinstance(size, int) or at_least(size, least):
            return
        if size not in found or found[size].least < least:
            found[size] = Demand(size, least, node, reduced, holder_of(node))
    nodes = deep(roots)
    if not any(map(has_named_sizes, nodes)):
        return []
    inside = {node: loop for loop in nodes if is_scan(loop) for node in deep([*loop_of(loop)[0].nexts, *loop_of(loop)[0].stacks])}
    # What exponents are shifted by is no maximum that was asked for: of none there is nothing to shift.
    loops = {loop_of(node)[0] for node in nodes if is_scan(node)}
    read = {*roots, *[root for loop in loops for root in (*loop.nexts, *loop.stacks)]}
    for node in nodes:
        if not (isinstance(node, Map) and node.function.name == "shift"):
            read.update(node.children)
    for node in nodes:
        if isinstance(node, Reduce) and node.function.needs_elements and node in read:
            for axis in node.axes:
                ask(node.arg.shape[axis], 1, node.arg, node)
        for size in node.shape:
            ask(size, 0, node)
        if isinstance(node, Product):
            for size in node.extents:
                ask(size, 0, node)
    return list(found.values())


def has_named_sizes(node: Node) -> bool:
    """Whether an axis of the node, or of what it goes through, has a size that is told at the call alone."""
    sizes = (*node.type.shape, *node.extents) if isinstance(node, Product) else node.type.shape
    return any([not isinstance(size, int) for size in sizes]) if sizes else False


def check_demands(demands: Sequence[Demand], sizes: Mapping[str, int]) -> None:
    """Raise `ArgumentMismatch` where a size is too small for what is computed with it."""
    for demand in demands:
        names = sorted(named_sizes(demand.size))
        if any(name not in sizes for name in names):
            continue
        value = value_of(demand.size, sizes)
        if value >= demand.least:
            continue
        node = demand.node if demand.reduced is None else demand.reduced
        origin = node.origin or demand.node.origin
        where = shortened(str(demand.node if demand.loop is None else demand.loop)) + (f" at {origin}" if origin else "")
        known = ", ".join(f"{name} = {sizes[name]}" for name in names)
        if demand.reduced is not None:
            assert isinstance(node, Reduce)
            raise ArgumentMismatch(f"an axis of length {demand.size} has {value} elements where {known}, but "
                                   f"{node.function.name} needs one", where=where, mend="pass longer arrays")
        raise ArgumentMismatch(f"an axis of length {demand.size} would have {value} elements where {known}", where=where,
                               mend="pass longer arrays, or take less off them")


def shortened(text: str) -> str:
    """The first line of a text, cut where it is long."""
    line = text.split("\n")[0]
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
