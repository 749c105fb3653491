"""Cuts: along which axis the data is cut into tiles and parts, and whether it is, by the memory traffic of each plan.

What is computed sample by sample stays in the cache with its tile; all else is written in full and read again.  An array
without the sample axis is read again with every tile, and a sum over samples is touched with every tile.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import TURNS_AT_ONCE, Cut
from codegen.planning.costs import Hints
from codegen.planning.materialisation import broadcast_up, choose_stored, is_contraction, is_costly, is_view
from codegen.planning.passes import (
    SMALLEST_SAMPLE_AXIS,
    WHOLE_BYTES,
    Passes,
    is_leaf,
    is_pattern,
    joint_terms,
    placed,
    sample_sizes,
)
from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import children_read, factors_read, is_scatter, solved_labels
from symdiff.index_notation import labels_in, labels_of
from symdiff.simplification.rule import TRANSCENDENTAL

TILE_BYTES = 256 * 1024
STREAM_BYTES = 6656
# Of long rows a tile has what the first cache holds, and no fewer than products with vectors take at once.
FIRST_BYTES = 1 << 15
MOST_ROWS, LEAST_ROWS = 512, 16
# Matrix products of fewer rows are mostly calls; where a sample has several rows, as the places of an image, of so many the copies
# of the other operand take little.
PRODUCT_ROWS, BLOCK_ROWS = 64, 256
# What a byte costs in the first caches, and in the last one, beside one in memory; a plan that stores no more than
# `WHOLE_BYTES` stays in the cache as a whole.
CACHED, LAST = 0.25, 0.5
# So many bytes of a sample mostly go on in registers, and cost so much of what the cache does.
FEW_BYTES, HELD = 64, 0.25
# Products with so small a part of the most work tell no rows of a tile.
SHARE = 8
# A tile may be so large.
CACHE_BYTES = 8 * 1024 * 1024
# The sums that are touched with every tile stay in the second cache up to this size, all together; what is larger, and not cut, is
# read again from further away by each loop that goes through it.
HOT_BYTES = 1024 * 1024
# Operations on an element for which memory does not wait.
LITTLE = 8
# So many times less traffic, for all that is stored, have tiles where most of it speaks against them; and so many times as much
# they may have where a plan without them would store so many times as much, and more bytes than the last cache holds.
CLEARLY, MUCH, MUCH_BYTES = 1.5, 4, 1 << 25
# What each pass over the data adds: more loops to build and to run.
PASS = 0.1
# A part of a range takes so many operations, some 20 to 50 microseconds, and so many for each element of a sum that it folds:
# to clear it and to add it up takes 1 to 2 nanoseconds, in which a matrix product does some 30 operations; 25 times that.
PART_WORK, FOLD_WORK = 1 << 16, 768
MOST_PARTS = 32
# What the sums of all parts may take together.
PART_BYTES = 1 << 25
# Rows of an axis that does not come first lie apart; of so many the pieces that a tile reads are long enough.
ASIDE, ASIDE_ROWS = 1.5, 128


def plan_passes(order: Sequence[Node], roots: Sequence[Node], hints: Hints) -> tuple[Passes, dict[Node, str]]:
    """The passes of nodes, what is read first, along the axis that costs the least memory traffic; what they store, and why."""
    joint = joint_terms(order, roots)
    sizes = sample_sizes(order, hints)
    # An axis that is short at this call may be long at the next, but one that is long now is the better guess.
    long = [size for size in sizes if size is None or isinstance(size, int) or hints.value(size) >= SMALLEST_SAMPLE_AXIS]
    plans = [placed(order, size, joint) for size in long or sizes]
    best, *others = sorted(plans, key=lambda plan: traffic(order, plan, hints)) if len(plans) > 1 else plans
    stored = choose_stored(roots, order, best, hints)
    if best.size is None and others:
        # Without tiles all that is stored is so in full, and that may be much that most of it does not tell.
        tiled, kept = others[0], choose_stored(roots, order, others[0], hints)
        whole, in_full = traffic(order, best, hints, stored), bytes_in_full(stored, roots, best, hints)
        is_much = in_full > MUCH_BYTES and in_full > MUCH * bytes_in_full(kept, roots, tiled, hints)
        if CLEARLY * traffic(order, tiled, hints, kept) < whole or (
                is_much and traffic(order, tiled, hints, kept, hides=True) < CLEARLY * whole):
            return tiled, kept
    if None not in sizes and any(isinstance(node, (Map, Add, Product)) for node in best.full):
        # What is read beside its place, as by a stencil, is computed again there where nothing so long needs storing then.
        at_once, asked = placed(order, None, joint), set(roots)
        kept = choose_stored(roots, order, at_once, hints)
        if all(isinstance(size, int) for node in kept if node not in asked for size in node.shape) and (
                traffic(order, at_once, hints, kept) < traffic(order, best, hints, stored)):
            return at_once, kept
    return best, stored


def bytes_in_full(stored: Collection[Node], roots: Collection[Node], passes: Passes, hints: Hints) -> int:
    """What a plan stores in full beside the outputs."""
    asked = set(roots)
    return sum([hints.count(node.shape) * BYTES[node.dtype] for node in stored if node not in asked and not is_leaf(node) and (
        node not in passes.sample or node in passes.full)])


def tile_rows(during: Sequence[Node], passes: Passes, hints: Hints, multiplies: bool = True) -> int:
    """Rows of a tile: what fits the cache beside its per-sample values, a power of two within bounds.

    Where a pass has no matrix product and reads more than it stores, a tile is read from memory once and from the first cache
    after that: a small one, so that memory goes on being read.  With a matrix product, or along an axis that does not come first,
    a tile may fill the last cache rather than have too few rows.
    """
    stored = 8 + sum(row_bytes(node, passes, hints) for node in during if node in passes.sample)
    leaves = {child for node in during for child in node.children if isinstance(child, Symbol) and child in passes.sample}
    given = sum(row_bytes(leaf, passes, hints) for leaf in leaves)
    if not multiplies and any(passes.sample[node] for node in (*leaves, *during) if node in passes.sample):
        most = max(power_of_two_below(CACHE_BYTES // stored), LEAST_ROWS)
        return min(max(power_of_two_below(TILE_BYTES // (stored + given)), ASIDE_ROWS), MOST_ROWS, most)
    if not multiplies and given > stored:
        rows = power_of_two_below(STREAM_BYTES // given)
        return min(rows, MOST_ROWS) if rows >= LEAST_ROWS // 2 else max(power_of_two_below(FIRST_BYTES // given), TURNS_AT_ONCE)
    each = product_rows(during, passes, hints) if multiplies else 1
    rows = min(max(power_of_two_below(TILE_BYTES // stored), -(-LEAST_ROWS // each)), MOST_ROWS)
    while multiplies and rows * each < (PRODUCT_ROWS if each == 1 else BLOCK_ROWS) and 2 * rows * stored <= CACHE_BYTES:
        rows *= 2
    return rows


def product_rows(during: Sequence[Node], passes: Passes, hints: Hints) -> int:
    """How many rows, or columns, a sample has in the matrix products that take most of the work: one, or its places."""
    found: list[tuple[int, int]] = []
    for node in during:
        label = passes.label.get(node)
        if label is None or not isinstance(node, Product) or not node.is_core or len(node.factors) != 2:
            continue
        mine, others = (labels_in(at) for _, at in node.factors)
        if label not in mine:
            mine, others = others, mine
        if label not in node.summed:
            if label in others:
                continue  # each sample has a product of its own
            group = mine - others
        else:
            group = set(node.summed)
        found.append((operations(node, hints), hints.count([node.extents[i] for i in group if i != label])))
    most = max((work for work, _ in found), default=0)
    return min([rows for work, rows in found if SHARE * work >= most], default=1)


def parts(order: Sequence[Node], passes: Passes, number: int, rows: int, hints: Hints) -> Cut | None:
    """How the range of a pass is cut into parts of whole tiles, None where its sums are too large to have several of."""
    here = [n for n in order if passes.level.get(n) == number and passes.has_samples(n)]
    samples = 1 if passes.size is None else hints.value(passes.size)
    work = sum(operations(node, hints) for node in here) / samples
    sums = [node for node in here if node in passes.folded]
    most = min(MOST_PARTS, PART_BYTES // (1 + sum(BYTES[n.dtype] * hints.count(n.shape) for n in sums)))
    least = (PART_WORK + FOLD_WORK * sum(hints.count(n.shape) for n in sums)) / max(work, 1)
    return Cut(rows * math.ceil(least / rows), most) if most > 1 else None


def operations(node: Node, hints: Hints) -> int:
    """Operations to compute a node from its children, roughly."""
    if isinstance(node, Product):
        told = {s.label for s in solved_labels(node)}
        return hints.count([s for k, s in enumerate(node.extents) if k not in told]) * max(len(node.factors), 1)
    if isinstance(node, Reduce):
        return hints.count(node.arg.shape)
    return hints.count(node.shape) * (TRANSCENDENTAL if is_costly(node) else max(len(node.children), 1))


def power_of_two_below(number: int) -> int:
    """The largest power of two that is not greater, 0 below 1."""
    return 1 << number.bit_length() - 1 if number else 0


def row_bytes(node: Node, passes: Passes, hints: Hints) -> int:
    """What a node has of one sample."""
    return BYTES[node.dtype] * hints.count([s for k, s in enumerate(node.shape) if k != passes.sample[node]])


def least_bytes(node: Node, passes: Passes, hints: Hints) -> int:
    """What a node has of the samples of a small tile."""
    return (ASIDE_ROWS if passes.sample[node] else LEAST_ROWS) * row_bytes(node, passes, hints)


def read_in_full(node: Node) -> list[Node]:
    """What a node reads but for elements of arrays that an index tells, which are the same in any plan."""
    told = {s.label for s in solved_labels(node)} if isinstance(node, Product) else set()
    if not told:
        return list(children_read(node))
    return [f for f, at in factors_read(node) if not any(told.intersection(labels_of(i)) for i in at)]  # type: ignore[arg-type]


def multiplies(node: Node) -> bool:
    """Whether the node sums products of two arrays that differ in what is not summed, as a matrix product does."""
    if not isinstance(node, Product) or not node.is_core or len(node.factors) != 2:
        return False
    kept = set(node.out)
    (_, one), (_, other) = node.factors
    return bool(kept & (labels_in(one) - labels_in(other))) and bool(kept & (labels_in(other) - labels_in(one)))


def adds_at_positions(node: Node) -> bool:
    """Whether samples add to some elements of a sum alone, which an index tells."""
    return is_scatter(node) or (isinstance(node, Add) and all(map(is_scatter, node.children)))


def kept_costly(order: Sequence[Node]) -> set[Node]:
    """The nodes that are stored since they take costly functions, and are read at several places or again along another axis."""
    users: dict[Node, list[Node]] = {}
    for node in order:
        for child in dict.fromkeys(children_read(node)):
            users.setdefault(child, []).append(node)
    kept: set[Node] = set()
    dear: set[Node] = set()
    for node in order:
        costly = is_costly(node)
        if is_leaf(node) or is_contraction(node) or not (costly or any(child in dear for child in children_read(node))):
            continue
        readers = users.get(node, ())
        (kept if broadcast_up(node, readers) or (costly and len(readers) > 1) else dear).add(node)
    return kept


def separate_reads(order: Sequence[Node], stored: Collection[Node], hints: Hints) -> dict[Node, int]:
    """How often loops without samples wait for what each node reads: every contraction does that does little with an element.

    All else may go together; what is not stored is computed where it is read.
    """
    goers: dict[Node, set[int]] = {}
    for place in range(len(order) - 1, -1, -1):
        node = order[place]
        through = goers.get(node, set())
        if is_contraction(node):
            through = {place}
        elif node in stored or not through:
            through = {-1}
        work = operations(node, hints) if is_contraction(node) else 0
        for child in read_in_full(node):
            goers.setdefault(child, set()).update(through if work <= LITTLE * hints.count(child.shape) else {-1})
    return {node: len(found) for node, found in goers.items()}


def traffic(order: Sequence[Node], passes: Passes, hints: Hints, chosen: Collection[Node] | None = None, *,
            hides: bool = False) -> float:
    """Bytes that a plan moves, those in the cache for less; without what is `chosen` to be stored, by most of that.

    A matrix product `hides` that its sum comes from the last cache with every tile: it has more to do meanwhile than to wait.
    """
    if chosen is None:
        operands = {f for n in order if is_contraction(n) and isinstance(n, Product) for f in n.children if not is_view(f)}
        chosen = {*operands, *kept_costly(order), *passes.full, *passes.folded,
                  *[n for n in order if is_contraction(n) or isinstance(n, Apply)]}
    stored = [n for n in order if n in chosen and not is_leaf(n) and n.shape and n not in passes.joint and not is_pattern(n)]
    tiles, rows = 0.0, LEAST_ROWS
    if passes.size is not None:
        rows = tile_rows([n for n in stored if n not in passes.full], passes, hints)
        tiles = max(hints.value(passes.size) / rows, 1)
    readers: dict[Node, set[int]] = {}
    for place, node in enumerate(order):
        if passes.has_samples(node):
            for child in read_in_full(node):
                # A part that does not stay in the cache is read anew by each reader, not once a pass.
                tall = child in passes.sample and least_bytes(child, passes, hints) > TILE_BYTES
                readers.setdefault(child, set()).add(-1 - place if tall else passes.level[node])
    reads = separate_reads(order, {*stored}, hints) if passes.size is None else {}
    total = 0.0
    sizes = {n: hints.count(n.shape) * BYTES[n.dtype] for n in [*stored, *(n for n in order if isinstance(n, Symbol))]}
    small = sum(sizes.values()) <= WHOLE_BYTES
    hot = sum([size for node, size in sizes.items() if node in passes.folded]) <= HOT_BYTES
    for node, size in sizes.items():
        near = CACHED if small or size <= TILE_BYTES else LAST if size <= WHOLE_BYTES else 1.0
        if size > HOT_BYTES and node in reads:
            total += (reads[node] - 1) * size * near
        if isinstance(node, Symbol):
            if node in passes.sample and node not in passes.across:
                total += max(len(readers.get(node, ())), 1) * size * (ASIDE if passes.sample[node] else 1)
            else:
                total += size + (tiles - 1) * size * near * (node in readers)
        elif node in passes.folded and not adds_at_positions(node):
            # A sum is touched with every tile, and so stays nearer than what is written once.
            hidden = hides and multiplies(node) and size <= WHOLE_BYTES
            total += 2 * tiles * size * (CACHED if small or hot or hidden else 1.0)
        elif node in passes.sample and node not in passes.full and row_bytes(node, passes, hints) <= FEW_BYTES:
            total += 2 * size * CACHED * HELD
        elif node in passes.sample and node not in passes.full:
            held = min(rows, LEAST_ROWS) * row_bytes(node, passes, hints)
            total += 2 * size * (CACHED if least_bytes(node, passes, hints) <= TILE_BYTES else min(
                near, LAST if held <= CACHE_BYTES else 1.0))
        else:
            total += 2 * size * near + (tiles - 1) * size * near * (node in readers and node not in passes.sample)
    return total * (1 + PASS * passes.count)
