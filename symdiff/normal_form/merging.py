"""Merging: a structural product read at an index opens into its consumer, by label unification (R1, R2).

`Contraction` is a product under construction: coefficient, factors, `out` and extents that change together when a label
is replaced.  `merge` solves `inner.out = indices` for the labels; where an equation has no solution in the language it
leaves everything as it was and says so.
"""

from __future__ import annotations

from msgspec import Struct, field

from symdiff.bounds import at_least
from symdiff.expression import Factor, Number, Product
from symdiff.index_notation import (
    Index,
    Label,
    bounds,
    form_of,
    inside,
    labels_of,
    mixed_radix,
    outside,
    rename,
    replace,
    subtract,
    tidy,
)
from symdiff.normal_form.numbers import times
from symdiff.sizes import Size, combine, divide_exactly


class Unsolved(Exception):
    """An index equation that has no solution in the language: the node stays as it is."""


class Vanishes(Exception):
    """An index equation that no label value solves: the product is zero."""


class Contraction(Struct):
    """coefficient · Σ Π factors, at `out`; labels are keys of `extents`."""

    coefficient: Number
    factors: list[Factor]
    out: list[Index]
    extents: dict[Label, Size]
    next_label: Label = field(default=0)

    def fresh(self, extent: Size) -> Label:
        """A new label."""
        label = self.next_label
        self.next_label += 1
        self.extents[label] = extent
        return label

    def copy(self) -> Contraction:
        """A copy that can change without touching this one."""
        return Contraction(self.coefficient, list(self.factors), list(self.out), dict(self.extents), self.next_label)

    def replace(self, label: Label, by: Index) -> None:
        """Replace a label everywhere and forget it."""
        self.factors = [(node, tuple([replace(i, label, by) for i in indices])) for node, indices in self.factors]
        self.out = [replace(i, label, by) for i in self.out]
        del self.extents[label]

    def used(self, label: Label) -> bool:
        """Whether the label occurs in `out`."""
        return any(label in labels_of(index) for index in self.out)

    def shift(self, label: Label, low: Size, extent: Size) -> Index:
        """Restrict a label to low … low + extent − 1: it becomes a fresh label plus `low`; returns that index."""
        new = self.fresh(extent)
        by = tidy(low, {new: 1})
        self.replace(label, by)
        return by


def absorb(target: Contraction, node: Product, indices: tuple[Index, ...]) -> Contraction | None:
    """`target` with the structural factor node[indices] opened, or None where an index equation is not solvable.

    Raises `Vanishes` where no label value meets all the equations.
    """
    if not contained(node, indices, target):
        return None
    n = len(node.extents)
    if node.out == tuple(range(n)) and n == len(indices):
        fast = all(type(i) is int and target.extents[i] == node.extents[k] for k, i in enumerate(indices))
        if fast or all(readable(node, k, i, target) for k, i in enumerate(indices)):
            names = dict(enumerate(indices))
            result = target.copy()
            result.coefficient = times(target.coefficient, node.coefficient)
            for inner, at in node.factors:
                there = tuple([names[i] if type(i) is int else placed(i, names) for i in at])
                if any([type(i) is not int and outside(i, size, result.extents)
                        for i, size in zip(there, inner.shape, strict=True)]):
                    raise Vanishes  # it is read where it is zero
                result.factors.append((inner, there))
            return result
    try:
        return solve(target.copy(), node, indices)
    except Unsolved:
        return None


def contained(node: Product, indices: tuple[Index, ...], target: Contraction) -> bool:
    """Whether no position outside of the node is both written and read: what is written there is dropped, and read as zero."""
    extents: dict[Label, Size] | None = None
    for k, size in enumerate(node.shape):
        out = node.out[k]
        if type(out) is int and node.extents[out] == size:
            continue
        extents = extents or dict(enumerate(node.extents))
        if not inside(out, size, extents) and not inside(indices[k], size, target.extents):
            return False
    return True


def placed(index: Index, by: dict[Label, Index]) -> Index:
    """The index with every label replaced at once."""
    constant, terms = form_of(index)
    total: dict[Label, Size] = {}
    for label, c in terms:
        more, extra = form_of(by[label])
        constant = combine(((1, constant), (1, c * more)))
        for name, k in extra:
            total[name] = combine(((1, total.get(name, 0)), (1, c * k)))
    return tidy(constant, total)


def readable(node: Product, axis: int, index: Index, target: Contraction) -> bool:
    """Whether reading the plain out label `axis` of the node at `index` needs no further range test.

    True where the index is proved inside, or where a factor of the node is itself read at that very label along an axis
    of the label's extent, so that a read outside is zero anyway.
    """
    if inside(index, node.extents[axis], target.extents):
        return True
    return any(at_axis == axis and type(at_axis) is int and inner.shape[k] == node.extents[axis]
               for inner, at in node.factors for k, at_axis in enumerate(at))


def solve(target: Contraction, node: Product, indices: tuple[Index, ...]) -> Contraction:
    """Open the node with fresh labels and solve out = indices, axis by axis, simplest equations first."""
    names = {label: target.fresh(extent) for label, extent in enumerate(node.extents)}
    inner = set(names.values())
    target.coefficient = times(target.coefficient, node.coefficient)
    target.factors.extend((factor, tuple([rename(i, names) for i in at])) for factor, at in node.factors)
    marker = len(target.out)
    equations = [(rename(a, names), b) for a, b in zip(node.out, indices, strict=True)]
    # The equations ride along in `out`, so that replacing a label changes them too.
    for a, b in equations:
        target.out.extend((a, b))
    count = len(equations)
    pending = list(range(count))
    while pending:
        pending.sort(key=lambda k: complexity(target.out[marker + 2 * k], target.out[marker + 2 * k + 1]))
        k = pending.pop(0)
        unify(target, target.out[marker + 2 * k], target.out[marker + 2 * k + 1], inner)
    del target.out[marker:]
    return target


def complexity(a: Index, b: Index) -> int:
    """How hard an equation is to solve: the number of labels in it, plain ones first."""
    return len(list(labels_of(a))) + len(list(labels_of(b))) + 2 * (type(a) is not int)


def unify(target: Contraction, a: Index, b: Index, inner: set[Label]) -> None:
    """Make a = b hold by replacing labels; raises `Unsolved` or `Vanishes`."""
    difference = subtract(a, b)
    constant, terms = difference
    if not terms:
        if constant == 0:
            return
        if isinstance(constant, int) or outside(difference, 1, target.extents):
            raise Vanishes
        raise Unsolved
    parts = parted(target, constant, terms)
    if parts:
        # The second equation rides along in `out`, so that what the first one replaces is replaced there too.
        target.out.append(parts[1])
        unify(target, parts[0], (0, ()), inner)
        unify(target, target.out.pop(), (0, ()), inner)
        return
    # Prefer to eliminate an inner label, then one that is summed, then the last.
    candidates = [(label, c) for label, c in terms if c in (1, -1)]
    candidates.sort(key=lambda t: (t[0] not in inner, target.used(t[0]), -t[0]))
    if len(terms) > 2:
        # A merged axis is counted by its parts: l = d i + j puts i and j for l, rather than testing every l for each i.
        candidates.sort(key=lambda t: not inside(solved_for(t, constant, terms), target.extents[t[0]], target.extents))
    for label, c in candidates:
        by = solved_for((label, c), constant, terms)
        if not searches(target, label, by, terms, inner) and eliminate(target, label, by):
            return
    if len(terms) == 1:
        solve_single(target, terms[0], constant)
    elif len(terms) == 2:
        solve_pair(target, terms, constant)
    else:
        raise Unsolved


def solved_for(term: tuple[Label, Size], constant: Size, terms: tuple[tuple[Label, Size], ...]) -> Index:
    """The index that a label of coefficient ±1 equals in constant + Σ terms = 0."""
    rest = tidy(0, {name: k for name, k in terms if name != term[0]})
    return placed_sum(constant, rest, -1 if term[1] == 1 else 1)


def placed_sum(constant: Size, rest: Index, sign: int) -> Index:
    """sign · (constant + rest)."""
    more, terms = form_of(rest)
    return tidy(combine(((sign, constant), (sign, more))), {label: c * sign for label, c in terms})


def searches(target: Contraction, label: Label, by: Index, terms: tuple[tuple[Label, Size], ...], inner: set[Label]) -> bool:
    """Whether a position in a merged axis would be looked for among all values of its other parts, of which one alone has it.

    r[p + 1] with r[d i + j] = x[i,j] is not Σᵢ x[i, p + 1 − d i]: the merged array stays, and is read where it lies.
    """
    merged = [(name, k) for name, k in terms if (name in inner) == (label in inner)]
    return 1 < len(merged) < len(terms) and not inside(by, target.extents[label], target.extents) and mixed_radix(
        [(name, k if at_least(k, 0) else combine(((-1, k),))) for name, k in merged], target.extents)


def parted(target: Contraction, constant: Size, terms: tuple[tuple[Label, Size], ...]) -> tuple[Index, Index] | None:
    """Two indices that are both zero where constant + Σ terms is: low and high with low + radix · high and |low| < radix.

    So the digits of positions in merged axes agree one by one: d i + j = d k + l where j and l are below d.
    """
    for _, c in terms:
        radix = c if at_least(c, 0) else combine(((-1, c),))
        if radix == 1 or not at_least(radix, 0):
            continue
        high = {label: q for label, k in terms if (q := divide_exactly(k, radix)) is not None}
        whole = divide_exactly(constant, radix)
        if whole is None and isinstance(constant, int) and isinstance(radix, int):
            whole = constant // radix
        rest = constant if whole is None else combine(((1, constant), (-1, radix * whole)))
        low = tidy(rest, {label: k for label, k in terms if label not in high})
        span = bounds(low, target.extents)
        if span and at_least(radix, combine(((1, span[1]), (1, 1)))) and at_least(combine(((1, span[0]), (1, radix))), 1):
            return low, tidy(whole or 0, high)
    return None


def eliminate(target: Contraction, label: Label, by: Index) -> bool:
    """Replace `label` by an index of other labels, restricting a label where it would leave the range of `label`."""
    extent = target.extents[label]
    if inside(by, extent, target.extents):
        target.replace(label, by)
        return True
    if outside(by, extent, target.extents):
        raise Vanishes
    if read_fully(target, label, extent):
        target.replace(label, by)
        return True
    constant, terms = form_of(by)
    if len(terms) != 1:
        return False
    other, c = terms[0]
    if c not in (1, -1):
        return False
    # 0 ≤ constant ± other < extent
    low, high = (combine(((-1, constant),)), combine(((1, extent), (-1, constant)))) if c == 1 else \
        (combine(((1, constant), (-1, extent), (1, 1))), combine(((1, constant), (1, 1))))
    span = target.extents[other]
    low = low if at_least(low, 0) else 0 if at_least(0, low) else None  # type: ignore[assignment]
    high = high if at_least(span, high) else span if at_least(high, span) else None  # type: ignore[assignment]
    if low is None or high is None:
        return False
    size = combine(((1, high), (-1, low)))
    if at_least(0, size):
        raise Vanishes
    if not at_least(size, 1):
        return False
    moved = target.shift(other, low, size)
    target.replace(label, replace(by, other, moved))
    return True


def read_fully(target: Contraction, label: Label, extent: Size) -> bool:
    """Whether a factor is read at exactly this label along an axis of its extent: outside it is zero anyway."""
    return any(type(i) is int and i == label and node.shape[k] == extent
               for node, indices in target.factors for k, i in enumerate(indices))


def solve_single(target: Contraction, term: tuple[Label, Size], constant: Size) -> None:
    """c · label + constant = 0."""
    label, c = term
    value = divide_exactly(combine(((-1, constant),)), c)
    if value is None:
        if isinstance(c, int) and isinstance(constant, int):
            raise Vanishes
        raise Unsolved
    if not eliminate(target, label, (value, ())):
        raise Unsolved


def solve_pair(target: Contraction, terms: tuple[tuple[Label, Size], ...], constant: Size) -> None:
    """a·x + b·y + constant = 0 over ints, by the extended Euclidean algorithm."""
    (x, a), (y, b) = terms
    if not (isinstance(a, int) and isinstance(b, int) and isinstance(constant, int)):
        raise Unsolved
    ex, ey = target.extents[x], target.extents[y]
    if not (isinstance(ex, int) and isinstance(ey, int)):
        raise Unsolved
    g, s, t = extended_gcd(a, b)
    if constant % g:
        raise Vanishes
    x0, y0 = s * (-constant // g), t * (-constant // g)
    step_x, step_y = b // g, -a // g
    turns = [k for k in range_of(x0, step_x, ex) if 0 <= y0 + step_y * k < ey]
    if not turns:
        raise Vanishes
    low, count = min(turns), len(turns)
    new = target.fresh(count)
    target.replace(x, tidy(x0 + step_x * low, {new: step_x}))
    target.replace(y, tidy(y0 + step_y * low, {new: step_y}))


def range_of(start: int, step: int, extent: int) -> range:
    """All k with 0 ≤ start + step · k < extent."""
    if step > 0:
        return range(-(start // step), (extent - 1 - start) // step + 1)
    return range(-((extent - 1 - start) // -step), start // -step + 1)


def extended_gcd(a: int, b: int) -> tuple[int, int, int]:
    """(g, s, t) with g = gcd(|a|, |b|) = s·a + t·b."""
    old_r, r, old_s, s, old_t, t = a, b, 1, 0, 0, 1
    while r:
        q = old_r // r
        old_r, r = r, old_r - q * r
        old_s, s = s, old_s - q * s
        old_t, t = t, old_t - q * t
    return (old_r, old_s, old_t) if old_r > 0 else (-old_r, -old_s, -old_t)


def tighten(target: Contraction) -> None:
    """Let summed labels run only where a factor that is read at constant + label is not outside, so not zero."""
    reads = [(size, form_of(index)) for node, indices in target.factors for size, index in zip(node.shape, indices, strict=True)
             if index.__class__ is not int or target.extents[index] != size]
    for size, (constant, terms) in reads:
        if len(terms) == 1 and terms[0][1] == 1 and terms[0][0] in target.extents and not target.used(terms[0][0]):
            restrict(target, terms[0][0], constant, size)


def restrict(target: Contraction, label: Label, constant: Size, size: Size) -> None:
    """Restrict a label to 0 ≤ constant + label < size where that is known to cut something off."""
    low, high = combine(((-1, constant),)), combine(((1, size), (-1, constant)))
    span = target.extents[label]
    low = low if at_least(low, 0) else 0 if at_least(0, low) else None  # type: ignore[assignment]
    high = high if at_least(span, high) else span if at_least(high, span) else None  # type: ignore[assignment]
    if low is None or high is None or (low == 0 and high == span):
        return
    length = combine(((1, high), (-1, low)))
    if at_least(0, length):
        raise Vanishes
    if at_least(length, 1):
        target.shift(label, low, length)
