"""Contraction paths: a core of many factors becomes products of two, in the cheapest order found.

The search is exact over subsets of up to EXACT factors, greedy above.  A product of two costs 2 · Π labels where it is a
matrix product and 4 · Π labels otherwise, plus 4 · |result| where it is stored.  The products made here are plan nodes: they
are interned as they are and never go through the normal form again, which would merge them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

from codegen.planning.costs import Hints
from codegen.planning.rewriting import rewritten
from codegen.planning.views import plain
from symdiff.expression import Factor, Map, Node, Product, Reduce
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.gathers import solved_labels
from symdiff.index_notation import Index, Label
from symdiff.normal_form import is_guard, silences
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

EXACT = 8


def order_contractions(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with every core of three or more factors, or with labels that one factor alone sums, split into steps."""
    def in_steps(node: Node) -> Node:
        if not isinstance(node, Product) or not node.is_core or solved_labels(node):
            return node
        if splits(node):
            node = silenced(node)
        return split(node, hints) if splits(node) else node
    return rewritten(roots, in_steps)


def splits(node: Product) -> bool:
    """Whether a path can be searched: plain indices only, and more than one way to go."""
    if not plain(node):
        return False
    return len(node.factors) > 2 or (len(node.factors) == 2 and any(private(node, k) for k in range(2)))


def path_cost(node: Product, hints: Hints) -> int:
    """The cost of the best path of a core with plain indices."""
    return path_of(node, hints)[0]


def path_of(node: Product, hints: Hints) -> tuple[int, Tree]:
    """The best path found, and its cost."""
    sizes = tuple([hints.value(extent) for extent in node.extents])
    labels: tuple[frozenset[Label], ...] = tuple([frozenset(at) for _, at in node.factors])  # type: ignore[arg-type]
    out: tuple[Label, ...] = node.out  # type: ignore[assignment]
    return exact_path(labels, out, sizes) if len(labels) <= EXACT else greedy_path(labels, frozenset(out), sizes)


def silenced(node: Product) -> Product:
    """The core with its guards put on the factors that they may have to silence, rather than left to meet them on a path.

    before:  Σ [c[i]] x[i] y[i,j] z[j]
    after:   Σ ([c[i]] x[i]) ([c[i]] y[i,j]) z[j]

    A step that paired the guard with one factor alone would leave a zero to meet the NaN of another.  A factor that holds a part
    of the guard's labels is silenced where the guard is false along all of the others: y[j], where no [c[i,j]] holds.
    """
    guards = [(f, at) for f, at in node.factors if is_guard(f)]
    factors: list[Factor] = [(f, at) for f, at in node.factors if not is_guard(f)]
    kept: list[Factor] = []
    changed = False
    for guard, there in guards:
        touched = [k for k, (f, at) in enumerate(factors) if set(there) <= set(at) or (isinstance(f, Map) and set(at) < set(there))]
        if not touched:
            kept.append((guard, there))
        for k in touched:
            f, at = factors[k]
            whole = at if set(there) <= set(at) else there
            shape = tuple(node.extents[i] for i in whole)  # type: ignore[index]
            places = [tuple(whole.index(i) for i in labels) for labels in (there, at)]
            factors[k] = Product(1, ((guard, places[0]), (f, places[1])), tuple(range(len(whole))), shape,
                                 TensorType(f.dtype, shape)), whole
        for k, (f, at) in enumerate(factors):
            full = all(g.shape == tuple(node.extents[i] for i in labels) for g, labels in ((f, at), (guard, there)))  # type: ignore[index]
            if k not in touched and f.children and full and set(there) & set(at):
                factors[k], changed = (beside(guard, there, f, at), at), True
    if len(kept) == len(guards) and not changed:
        return node
    return Product(1, (*factors, *kept), node.out, node.extents, node.type)


def beside(guard: Node, there: tuple[Index, ...], f: Node, at: tuple[Index, ...]) -> Node:
    """A factor that is zero where the guard is false whatever the labels are that the factor does not hold."""
    shared = [axis for axis, i in enumerate(there) if i in at]
    others = tuple(axis for axis in range(len(there)) if axis not in shared)
    shape = tuple(guard.shape[axis] for axis in shared)
    condition = guard.children[0] if silences(guard) else guard
    holds = Reduce(REDUCTIONS["any"], condition, others, TensorType("bool", shape))
    alive = Map(ROWS["guard"], (holds,), TensorType("bool", shape))
    labels = tuple(range(f.ndim))
    return Product(1, ((alive, tuple(at.index(there[axis]) for axis in shared)), (f, labels)), labels, f.shape, f.type)


def private(node: Product, k: int) -> set[Label]:
    """The summed labels that stand in the k-th factor alone."""
    elsewhere = {i for j, (_, at) in enumerate(node.factors) if j != k for i in at}
    return {i for i in node.factors[k][1] if i not in elsewhere and i not in node.out}  # type: ignore[misc]


def split(node: Product, hints: Hints) -> Node:
    """The core as a tree of products of at most two factors."""
    extents = dict(enumerate(node.extents))
    out: frozenset[Label] = frozenset(node.out)  # type: ignore[arg-type]
    built, at = build(path_of(node, hints)[1], node, extents, out, final=True)
    if at == node.out and built.type == node.type:
        return built
    return Product(1, ((built, at),), node.out, tuple(extents[label] for label in range(len(node.out))), node.type)


Tree = int | tuple["Tree", "Tree"]


@lru_cache(maxsize=1024)  # each turn of a loop that is written out has the same ones
def exact_path(labels: tuple[frozenset[Label], ...], out: tuple[Label, ...], sizes: tuple[int, ...]) -> tuple[int, Tree]:
    """The cheapest tree over all ways to pair subsets, for the labels of factors, those of the result, and the size of each.

    Of two that are about as cheap, the one whose results hold neighbours in `out`, as a matrix product takes them for one label,
    and the one whose products are not many, one for each value of what both factors and the result have in common.
    """
    everything = (1 << len(labels)) - 1
    kept_labels = frozenset(out)

    @cache
    def apart(subset: int) -> int:
        inside = [label in kept(subset) for label in out]
        return sum(b and not a for a, b in pairwise([False, *inside]))

    @cache
    def kept(subset: int) -> frozenset[Label]:
        inside: frozenset[Label] = frozenset().union(*[labels[k] for k in range(len(labels)) if subset >> k & 1])
        outside = kept_labels.union(*[labels[k] for k in range(len(labels)) if not subset >> k & 1])
        return inside & outside

    def many(part: int, rest: int, subset: int) -> int:
        common = kept(part) & kept(rest) & kept(subset)
        return 4 if kept(part) | kept(rest) != kept(subset) and any(sizes[label] > 1 for label in common) else 0

    @cache
    def best(subset: int) -> tuple[int, Tree]:
        if subset & (subset - 1) == 0:
            k = subset.bit_length() - 1
            return (step_cost(labels[k], kept(subset), sizes) if kept(subset) != labels[k] else 0), k
        lowest = subset & -subset
        found: tuple[int, Tree] | None = None
        part = (subset - 1) & subset
        while part:
            if part & lowest:
                rest = subset ^ part
                a, b = best(part), best(rest)
                own = step_cost(kept(part) | kept(rest), kept(subset), sizes)
                cost = a[0] + b[0] + own + own * (apart(subset) + many(part, rest, subset)) // 64
                if found is None or cost < found[0]:
                    found = (cost, (a[1], b[1]))
            part = (part - 1) & subset
        assert found is not None
        return found
    return best(everything)


def step_cost(labels: frozenset[Label], kept: frozenset[Label], sizes: tuple[int, ...]) -> int:
    """The cost of one product over `labels` that leaves `kept`."""
    total = 1
    for label in labels:
        total *= sizes[label]
    result = 1
    for label in kept:
        result *= sizes[label]
    return (2 if labels != kept else 4) * total + 4 * result


def greedy_path(labels: Sequence[frozenset[Label]], out: frozenset[Label], sizes: tuple[int, ...]) -> tuple[int, Tree]:
    """Pair the two factors whose product is cheapest, again and again."""
    items: list[tuple[frozenset[Label], Tree]] = list(zip(labels, range(len(labels)), strict=True))
    total = 0
    while len(items) > 1:
        best: tuple[int, int, int, frozenset[Label]] | None = None
        for a in range(len(items)):
            for b in range(a + 1, len(items)):
                outside = out.union(*[item[0] for k, item in enumerate(items) if k not in (a, b)])
                union = items[a][0] | items[b][0]
                cost = step_cost(union, union & outside, sizes)
                if best is None or cost < best[0]:
                    best = (cost, a, b, union & outside)
        assert best is not None
        cost, a, b, kept = best
        total += cost
        joined = (kept, (items[a][1], items[b][1]))
        items = [item for k, item in enumerate(items) if k not in (a, b)] + [joined]
    return total, items[0][1]


def leaves(tree: Tree) -> list[int]:
    """The factors of a tree."""
    if isinstance(tree, int):
        return [tree]
    return leaves(tree[0]) + leaves(tree[1])


def build(tree: Tree, node: Product, extents: dict[Label, Size], needed: frozenset[Label], final: bool = False) -> Factor:
    """The plan node of a tree, and the labels of its axes; `needed` are the labels that must survive.

    The final product has its axes in the order of `out`, a step in that of its factors (so that it is written as they are
    read).
    """
    if isinstance(tree, int):
        child, at = node.factors[tree]
        gone = [i for i in at if i not in needed]
        return step([(child, at)], at, extents, needed, node) if gone else (child, at)
    inside = [frozenset(node.factors[k][1]) for k in leaves(tree[0])]
    other = [frozenset(node.factors[k][1]) for k in leaves(tree[1])]
    left = build(tree[0], node, extents, needed.union(*other))  # type: ignore[arg-type]
    right = build(tree[1], node, extents, needed.union(*inside))  # type: ignore[arg-type]
    first, second = (left, right) if min(leaves(tree[0])) < min(leaves(tree[1])) else (right, left)
    return step([first, second], (*first[1], *second[1]), extents, needed, node, final)


def step(factors: list[Factor], labels: Sequence[object], extents: dict[Label, Size], needed: frozenset[Label],
         node: Product, final: bool = False) -> Factor:
    """One product of a path."""
    present: list[Label] = list(dict.fromkeys(labels))  # type: ignore[arg-type]
    kept = [label for label in present if label in needed]
    if final:
        kept.sort()
    else:
        # Labels of the result stand in its order, so that a matrix product takes neighbours for one label.
        ordered_out = iter([label for label in node.out if label in kept])
        kept = [next(ordered_out) if label in node.out else label for label in kept]
    order = kept + [label for label in present if label not in needed]
    names = {label: k for k, label in enumerate(order)}
    # A step has the dtype of the whole contraction: truth values are counted, and narrow numbers multiplied as wide ones.
    both = len(kept) == len(order) and all(f.dtype == "bool" for f, _ in factors)
    dtype = "bool" if both else node.dtype
    made = tuple((f, tuple(names[i] for i in at)) for f, at in factors)  # type: ignore[index]
    shape = tuple(extents[label] for label in kept)
    ordered = tuple(extents[label] for label in order)
    return Product(1, made, tuple(range(len(kept))), ordered, TensorType(dtype, shape)), tuple(kept)
