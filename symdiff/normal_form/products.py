"""Products in normal form: merging, powers, distribution, cores (R1 to R4, R8, R12).

`expand_product` returns a list of terms (coefficient, node) whose sum is the product: more than one where the product was
distributed over a sum (R8).
"""

from __future__ import annotations

from symdiff.expression import Add, Constant, Factor, Map, Node, Number, Product, Symbol
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, Label, injective, labels_of, rename
from symdiff.normal_form.cores import components, core, least_reading
from symdiff.normal_form.merging import Contraction, Vanishes, absorb, placed, tighten
from symdiff.normal_form.numbers import base_and_exponent, exact, is_size_constant, number, times
from symdiff.normal_form.windows import closed_windows, patterned, shows_a_sum
from symdiff.sizes import Size
from symdiff.tensor_type import INTEGRAL, TensorType, promote

Term = tuple[Number, Node]
# A longer product inside a product stays a factor: merging a chain of factors again and again would take quadratic time.
FACTOR_LIMIT = 8
# A sum of more numbers is written at its position as a whole.
PLACED_LIMIT = 8
# A part of a sum of more terms is a part of the whole sum, which other steps of a program share.
VIEW_LIMIT = 4
# More outer products in a sum are summed as the matrix that they are.
OUTER_LIMIT = 4


def dense_product(coefficient: Number, factors: list[Factor], out: list[Index], extents: dict[Label, Size],
                  type: TensorType) -> Node | None:
    """The product where no label is summed, nothing is scattered and no index equation is to be solved, else None.

    This is the short way for elementwise formulas: structural factors open by renaming, sums stay closed.
    """
    n = len(out)
    if len(extents) != n or coefficient == 0:
        return None
    for k in range(n):
        if out[k] != k or extents[k] != type.shape[k]:
            return None
    opened: list[Factor] = []
    for factor in factors:
        node, at = factor
        kind = node.__class__
        if kind is Product:
            p: Product = node  # type: ignore[assignment]
            if p.type.dtype != type.dtype or not (p.dense or p.is_core):
                return None
            for k, i in enumerate(at):
                if i.__class__ is not int or i in at[:k] or (p.dense and extents[i] != p.extents[k]):
                    return None
            if p.is_core:
                opened.append((node, least_reading(node, at)) if p.symmetries else factor)
                continue
            coefficient = times(coefficient, p.coefficient)
            if len(factors) > 1 and (p.narrows or len(p.factors) > FACTOR_LIMIT):
                opened.append((with_coefficient(1, p), at))
                continue
            if at == p.out:
                opened.extend(p.factors)
            else:
                names = dict(enumerate(at))
                opened.extend([(f, least_reading(f, tuple([names[i] if i.__class__ is int else placed(i, names)
                                                           for i in indices]))) for f, indices in p.factors])
            continue
        if kind is Symbol and node.facts:
            factor = node, least_reading(node, at)
        opened.append(factor)
    for node, at in opened if len(opened) == 1 or out else ():
        if node.__class__ is Add and not stays_closed(node, at, len(opened) == 1):
            return None
    if coefficient == 0:
        return None
    opened = gather_powers(opened, type.dtype)
    if len(opened) == 1 and opened[0][0].type == type and opened[0][1] == tuple(range(n)):
        node = opened[0][0]
        return None if node.__class__ is Add else with_coefficient(coefficient, node)
    return Product(coefficient, tuple(opened), tuple(out), type.shape, type)


def stays_closed(node: Add, at: tuple[Index, ...], alone: bool) -> bool:
    """Whether a factor that is a sum stays closed in a product that sums nothing: distinct labels, no patterns, not alone."""
    if alone or not at:
        return not alone
    return all([i.__class__ is int for i in at]) and len(set(at)) == len(at) and not any([patterned(t) for _, t in node.terms])


def with_coefficient(coefficient: Number, node: Node) -> Node:
    """coefficient · node for a term of a sum; the coefficient of a structural product is replaced."""
    if node.__class__ is Product and not node.is_core:
        p: Product = node
        return p if p.coefficient == coefficient else Product(coefficient, p.factors, p.out, p.extents, p.type)
    if coefficient == 1:
        return node
    labels = tuple(range(node.ndim))
    return Product(coefficient, ((node, labels),), labels, node.shape, node.type)


def expand_product(coefficient: Number, factors: list[Factor], out: list[Index], extents: dict[Label, Size],
                   type: TensorType) -> list[Term]:
    """The terms whose sum is coefficient · Σ Π factors written at `out`, a value of the given type."""
    target = Contraction(coefficient, factors, out, extents, max(extents, default=-1) + 1)
    position, opened = 0, False
    try:
        while position < len(target.factors):
            node, indices = target.factors[position]
            if node.__class__ is Product and stays(node, indices, target):
                target.coefficient = times(target.coefficient, node.coefficient)
                target.factors[position] = with_coefficient(1, node), indices
            elif node.__class__ is Product and opens(node, indices, type) and not (len(target.factors) > 1 and joins(node)):
                rest = target.copy()
                del rest.factors[position]
                merged = absorb(rest, node, indices)
                if merged is not None:
                    count = len(rest.factors)
                    kept, new = merged.factors[:count], merged.factors[count:]
                    merged.factors = kept[:position] + new + kept[position:]
                    # A replaced label may have given an earlier factor a repeated index: look again at all of them.
                    if kept[:position] != target.factors[:position]:
                        position = 0
                    target, opened = merged, True
                    continue
            position += 1
        if target.coefficient != 0 and reads_one_sum(target, type, opened):
            # The terms as they are: sums within sums, which programs share many times, are not walked through.
            return [(times(target.coefficient, c), term) for c, term in target.factors[0][0].terms]
        for position, (node, indices) in enumerate(target.factors):
            if node.__class__ is Add:
                parts = distribution(target, position, node, indices)
                if parts:
                    return [term for part in parts for term in expand_product(
                        times(target.coefficient, part[0]),
                        [*target.factors[:position], (part[1], indices), *target.factors[position + 1:]],
                        list(target.out), dict(target.extents), type)]
        tighten(target)
    except Vanishes:
        return []
    return finish(target, type)


def reads_one_sum(target: Contraction, type: TensorType, opened: bool) -> bool:
    """Whether the product is a sum read as it is, maybe with a coefficient.

    In a product that was `opened` the patterns in the terms may be narrower: they are worked out again.
    """
    if len(target.factors) != 1 or target.factors[0][0].__class__ is not Add:
        return False
    node, indices = target.factors[0]
    if opened and any([patterned(t) for _, t in node.terms]):
        return False
    return node.type == type and tuple(target.out) == indices == tuple(range(len(target.extents))) and (
        all([target.extents[k] == size for k, size in enumerate(type.shape)]))


def stays(node: Product, indices: tuple[Index, ...], target: Contraction) -> bool:
    """Whether a structural product stays closed, but for its coefficient: one that rounds, a long one read plainly, a slid one.

    One over which a window slides would be multiplied at each place of the window.
    Alone, in a product that sums nothing, it opens: a scaled or permuted product is a product.
    """
    if not node.dense or (len(node.factors) < 2 and not node.narrows):
        return False
    slides = is_slid_over(node, indices)
    if not (slides or node.narrows or len(node.factors) > FACTOR_LIMIT):
        return False
    alone = len(target.factors) == 1 and len({label for i in target.out for label in labels_of(i)}) == len(target.extents)
    plain = all([i.__class__ is int for i in indices]) and len(set(indices)) == len(indices)
    return not alone and (slides or node.narrows or plain)


def is_slid_over(node: Product, indices: tuple[Index, ...]) -> bool:
    """Whether an index counts along several labels where several factors of the product differ."""
    return any([len(list(labels_of(index))) > 1 and sum([any([axis in labels_of(i) for i in at]) for _, at in node.factors]) > 1
                for axis, index in enumerate(indices) if index.__class__ is not int])


def opens(node: Product, indices: tuple[Index, ...], type: TensorType) -> bool:
    """Whether a factor that is a product may open: structural ones always, cores at a repeated index (R4).

    A product that rounds or wraps (its dtype is lower than its consumer's kind) is a conversion and stays.
    """
    if node.dtype != type.dtype and node.factors:
        inner = promote(*[f.dtype for f, _ in node.factors])
        if inner != node.dtype and not (inner == "bool" and promote(node.dtype, type.dtype) == type.dtype):
            return False
        if node.dtype in INTEGRAL and type.dtype not in INTEGRAL and (len(node.factors) > 1 or node.coefficient != 1):
            return False
    if node.is_core:
        plain = [i for i in indices if i.__class__ is int]
        return len(set(plain)) < len(plain)
    return True


def joins(node: Product) -> bool:
    """Whether several labels stand at one axis of what the node writes: windows are added up, or axes are one.

    That is a step of its own: in other products each of the labels would be theirs too, for every factor that reads the axis.
    """
    return not node.dense and not node.is_core and any([
        index.__class__ is not int and len(list(labels_of(index))) > 1 for index in node.out])


def distribution(target: Contraction, position: int, node: Add, indices: tuple[Index, ...]) -> list[Term] | None:
    """The parts over which the product is distributed (R8), or None.

    A part is a term of the sum whose diagonal or scatter pattern interacts with the rest of the product (one of its labels
    is summed, shared or repeated), or a term that is a true outer product losing a label, where there are few: layers that add one
    each would meet every layer before.  The other terms stay together, and so do windows, where there are many and not each of
    them is seen whole or not at all, or where several are seen.
    A sum read alone through a permutation, or written at positions of a larger array, is distributed too, so that views of sums
    are sums of views; but not parts of long ones, of which only terms that are patterns themselves stand apart.
    """
    labels = [label for index in indices for label in labels_of(index)]
    others = {label for k, (_, at) in enumerate(target.factors) if k != position for i in at for label in labels_of(i)}
    kept = {label for index in target.out for label in labels_of(index)}
    plain = all(i.__class__ is int for i in indices) and len(set(labels)) == len(labels)
    alone = len(target.factors) == 1 and plain and kept == set(labels) and len(target.extents) == len(labels)
    if alone and spreads(node, tuple([target.extents[i] for i in labels])):
        return list(node.terms)
    repeated = len(set(labels)) < len(labels)
    summed = [label for label in labels if label not in kept]
    touched = repeated or bool(summed) or any(label in others for label in labels)
    if not (touched or alone):
        return None
    if not (repeated or summed or alone) and shows_a_sum(node, indices, target):
        return None
    closed = set() if repeated else closed_windows(node, indices, target, bool(summed))
    if len(target.factors) > 1 and not repeated:
        closed |= {term for _, term in node.terms if term.__class__ is Product and joins(term)}
    outer = {term for _, term in node.terms if outer_product(term, indices, set(summed))} if summed else set()
    if len(outer) > OUTER_LIMIT:
        outer = set()
    apart: list[Term] = []
    together: list[Term] = []
    for term in node.terms:
        split = (patterned(term[1]) and term[1] not in closed) or term[1] in outer
        (apart if split or repeated else together).append(term)
    if not apart:
        return None
    if len(together) > 1:
        together = [(1, Add(tuple(together), node.type))]
    return apart + together


def spreads(node: Add, read: tuple[Size, ...]) -> bool:
    """Whether the terms of a sum, of which so much is read, are viewed for themselves.

    Not where one is a sum, which programs share, nor where they are many numbers, nor where a part of many is read.
    """
    if len(node.terms) > VIEW_LIMIT and read != node.shape:
        return False
    return (node.ndim > 0 or len(node.terms) <= PLACED_LIMIT) and not any([term.__class__ is Add for _, term in node.terms])


def outer_product(node: Node, indices: tuple[Index, ...], summed: set[Label]) -> bool:
    """Whether the node is a product of factors with disjoint labels, one of which has a label that is summed alone."""
    if node.__class__ is not Product or node.is_core or len(node.factors) < 2:
        return False
    groups: list[set[Label]] = []
    for _, at in node.factors:
        labels = {label for i in at for label in labels_of(i)}
        if not labels:
            continue
        apart = [g for g in groups if not g & labels]
        groups = [*apart, labels.union(*[g for g in groups if g & labels])]
    if len(groups) < 2:
        return False
    axes = {axis for axis, i in enumerate(indices) if i.__class__ is int and i in summed}
    return any(group <= axes for group in groups) or bool(axes)


def finish(target: Contraction, type: TensorType) -> list[Term]:
    """Powers, sizes of unused labels, cores, canonical labels; the product as one term."""
    coefficient, factors = target.coefficient, gather_powers(target.factors, type.dtype)
    for axis, index in enumerate(target.out):
        if index.__class__ is not int and type.shape[axis] == 1 and index == (0, ()):
            # The one place of an axis is all of it, and no pattern.
            target.out[axis] = target.fresh(1)
    kept = {label for index in target.out for label in labels_of(index)}
    mentioned = {label for _, at in factors for i in at for label in labels_of(i)}
    for label, extent in target.extents.items():
        if label in kept or label in mentioned:
            continue
        if isinstance(extent, int):
            coefficient = times(coefficient, extent)
        else:
            dtype = "int64" if type.dtype == "bool" else type.dtype
            factors = gather_powers([*factors, (Constant(extent, TensorType(dtype, ())), ())], type.dtype)
    if coefficient == 0 and not factors:
        return []
    # Canonical labels: by first appearance in out, so that index tuples can be compared (R5).
    names: dict[Label, Label] = {}
    for index in target.out:
        for label in labels_of(index):
            names.setdefault(label, len(names))
    summed = {label for label in mentioned if label not in kept}
    if summed:
        for label in sorted(summed):
            names.setdefault(label, len(names))
        factors = [(node, least_reading(node, tuple([rename(i, names) for i in at]))) for node, at in factors]
        extents = {names[label]: extent for label, extent in target.extents.items() if label in names}
        summed = {names[label] for label in summed}
        free, groups = components(factors, summed)
        factors = free
        for group in groups:
            dtype = promote(*[node.dtype for node, _ in group])
            dtype = core_dtype(dtype, type.dtype)
            node, at = core(group, summed, extents, dtype)
            factors.append((node, at))
        factors = gather_powers(factors, type.dtype)
        out = [rename(index, names) for index in target.out]
    else:
        factors = [(node, tuple([rename(i, names) for i in at])) for node, at in factors]
        extents = {names[label]: extent for label, extent in target.extents.items() if label in names}
        out = [rename(index, names) for index in target.out]
    factors = [(node, least_reading(node, at)) for node, at in factors]
    labels = range(len(kept))
    return [structural(coefficient, tuple(factors), tuple(out), tuple([extents[label] for label in labels]), type)]


def core_dtype(dtype: str, wanted: str) -> str:
    """The dtype in which a core sums: that of its factors, or of the result where a conversion widens."""
    wider = promote(dtype, wanted)
    return wider if dtype == "bool" or wider == wanted else dtype


def structural(coefficient: Number, factors: tuple[Factor, ...], out: tuple[Index, ...], extents: tuple[Size, ...],
               type: TensorType) -> Term:
    """The structural product as (coefficient, node with coefficient 1); a plain read of a whole node is that node."""
    if len(factors) == 1:
        node, at = factors[0]
        if at == out and node.type == type and out == tuple(range(len(out))) and extents == type.shape:
            return coefficient, node
    if not factors and out == tuple(range(len(out))) and extents == type.shape:
        return coefficient, number(1, type.dtype, type.shape)
    return coefficient, Product(1, factors, out, extents, type)


def gather_powers(factors: list[Factor], dtype: str) -> list[Factor]:
    """x · x → x², xᵃ · xᵇ → xᵃ⁺ᵇ for integers a, b of one sign (of any sign for sizes); a guard counts once (R12).

    What the product of another `dtype` converts stays apart: its power would be taken before that, and may not fit.
    """
    # Most products hold no base twice: seen here without asking whether exponents are numbers.
    apart = {(node.children[0] if node.__class__ is Map and node.function.name == "power" else node, at) for node, at in factors}
    if len(apart) == len(factors):
        return factors
    seen: dict[tuple[Node, tuple[Index, ...]], int] = {}
    result: list[Factor | None] = []
    for node, at in factors:
        base, exponent = base_and_exponent(node)
        key = (base, at)
        if key not in seen:
            seen[key] = len(result)
            result.append((node, at))
            continue
        previous = result[seen[key]]
        if previous is None:
            seen[key] = len(result)
            result.append((node, at))
            continue
        if node is previous[0] and node.__class__ is Map and "guard" in node.function.traits:
            continue
        _, before = base_and_exponent(previous[0])
        whole = isinstance(exponent, int) and isinstance(before, int)
        if not whole or not (exponent * before > 0 or is_size_constant(base)) or base.dtype == "bool" or (
                base.dtype != dtype and not is_size_constant(base)):
            result.append((node, at))
            continue
        total = exact(exponent + before)
        result[seen[key]] = None if total == 0 else (power(base, total), at)
    return [factor for factor in result if factor is not None]


def power(base: Node, exponent: Number) -> Node:
    """base ** exponent for a base that is no product."""
    if exponent == 1:
        return base
    return Map(ROWS["power"], (base, number(exponent, base.dtype, base.shape)), base.type)


def distributes_power(node: Product, exponent: int) -> bool:
    """Whether (Π factors) ** exponent is the product of the powers: no position is added twice, none is empty for p < 0."""
    if node.is_core or not injective(node.out, dict(enumerate(node.extents))):
        return False
    if any(f.dtype != node.dtype and (f.dtype != "bool" or exponent < 0) for f, _ in node.factors):
        return False  # integers that become floats are raised as floats
    if exponent > 0:
        return True
    return (node.out == tuple(range(len(node.extents))) and node.extents == node.shape and
            all(i.__class__ is int and node.extents[i] == f.shape[k]
                for f, at in node.factors for k, i in enumerate(at)))


