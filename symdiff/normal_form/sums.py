"""Sums in normal form: like terms, patterns, broadcast axes, carriers (R6, R7, R11); and the builders of products.

`add` and `product` are the two ways in which linear structure is built; both return one node.
"""

from __future__ import annotations

import threading
from functools import reduce

from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.index_notation import Index, Label, labels_of
from symdiff.normal_form.cores import is_guard, is_one_hot
from symdiff.normal_form.numbers import broadcast_axes, exact, number, number_of, times
from symdiff.normal_form.products import Term, dense_product, expand_product, structural, with_coefficient
from symdiff.normal_form.progressions import join_progressions
from symdiff.normal_form.steps import put_together
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType


def product(coefficient: Number, factors: list[Factor], out: list[Index], extents: dict[Label, Size],
            type: TensorType) -> Node:
    """coefficient · Σ Π factors written at `out`, in normal form."""
    node = dense_product(coefficient, factors, out, extents, type)
    if node is None:
        node = add(expand_product(coefficient, factors, out, extents, type), type)
    if list(out) == list(range(len(extents))):
        remember(node, coefficient, factors)
    return node


def remember(node: Node, coefficient: Number, factors: list[Factor]) -> None:
    """Let a product, or a multiple of a sum, know what it was put together of, where that opened."""
    if node.__class__ is Product:
        p: Product = node
        if p.dense and p.written is None:
            for f, _ in factors:
                if f.__class__ is Product and len(f.children) > 1:
                    put_together(p, coefficient, [(at, f) for f, at in factors])
                    break
    elif node.__class__ is Add and node.written is None:
        # A number that stands for itself in a derivative is a coefficient like any other.
        given = [(f, at, number_of(f)) for f, at in factors]
        sums = [(f, at) for f, at, c in given if c is None]
        if len(sums) == 1 and sums[0][0].__class__ is Add:
            part, at = sums[0]
            if at == tuple(range(part.ndim)) and part.type == node.type:
                numbers = [c for _, _, c in given if c is not None]
                put_together(node, 1, [(reduce(times, numbers, coefficient), part)])


def scale(coefficient: Number, node: Node) -> Node:
    """coefficient · node."""
    if coefficient == 1:
        return node
    labels = list(range(node.ndim))
    return product(coefficient, [(node, tuple(labels))], list(labels), dict(enumerate(node.shape)), node.type)


def expand(node: Node, shape: tuple[Size, ...], axes: tuple[int, ...]) -> Node:
    """The node broadcast to `shape`; axis k of the node stands at `axes[k]`."""
    if node.shape == shape:
        return node
    labels = list(range(len(shape)))
    return product(1, [(node, axes)], list(labels), dict(enumerate(shape)), TensorType(node.dtype, shape))


def permute(node: Node, axes: tuple[int, ...]) -> Node:
    """The node with its axes reordered: result axis k is axis `axes[k]`."""
    if axes == tuple(range(node.ndim)):
        return node
    at: list[Index] = [0] * node.ndim
    for k, axis in enumerate(axes):
        at[axis] = k
    shape = tuple(node.shape[a] for a in axes)
    return product(1, [(node, tuple(at))], list(range(node.ndim)), dict(enumerate(shape)), TensorType(node.dtype, shape))


def terms_of(node: Node) -> list[Term]:
    """The terms whose sum the node is."""
    if node.__class__ is Add:
        return list(node.terms)
    return [unscaled(node)]


def unscaled(node: Node) -> Term:
    """(coefficient, node with coefficient 1)."""
    if node.__class__ is Product and node.coefficient != 1:
        p: Product = node
        return structural(p.coefficient, p.factors, p.out, p.extents, p.type)
    return 1, node


def as_term(c: Number, node: Node) -> Term:
    """c · node as a sum of more terms has it: with the number that stands in the node before it, unless it is one."""
    if node.__class__ is not Product or not node.children:
        return c, node
    k, node = unscaled(node)
    return c if k == 1 else exact(c * k), node


def add(terms: list[Term], type: TensorType) -> Node:
    """Σ coefficient · node in normal form; the nodes have the shape of `type`."""
    collected = collect(terms, type)
    if len(collected) > 1 and type.shape:
        collected = join_progressions(merge_patterns(collected, type), type)
        hoisted = hoist(collected, type) if len(collected) > 1 else None
        if hoisted is not None:
            return hoisted
    if len(collected) > 1:
        collected = share_carriers(collected, type)
    if not collected:
        return number(0, type.dtype, type.shape)
    if len(collected) == 1:
        c, node = collected[0]
        return with_coefficient(c, convert(node, type))
    made = Add(tuple(collected), type)
    for _, node in terms:
        if flattens(node, type):
            # With the numbers in terms before them, so that steps are told by the terms of the sum wherever it is rewritten.
            put_together(made, 1, [as_term(c, part) for c, part in terms])
            break
    return made


def convert(node: Node, type: TensorType) -> Node:
    """The node in the dtype of the sum."""
    if node.dtype == type.dtype:
        return node
    labels = tuple(range(node.ndim))
    if node.__class__ is Product and not node.is_core and not node.factors:
        p: Product = node
        return Product(p.coefficient, p.factors, p.out, p.extents, type)
    return Product(1, ((node, labels),), labels, node.shape, type)


class Nested(threading.local):
    """How many carriers are being taken out, one inside another, in this thread."""

    depth = 0


NESTED = Nested()
# v + A v of v + A v of …: the sum that a carrier leaves has the same carrier again, down to the start of the chain.
DEEPEST_SHARING = 3
# A longer sum inside a sum stays a term: flattening chains such as e + f(e) again and again would take quadratic time.
FLATTEN_LIMIT = 24


def flattens(node: Node, type: TensorType) -> bool:
    """Whether a sum inside a sum opens."""
    return node.__class__ is Add and node.dtype == type.dtype and len(node.terms) <= FLATTEN_LIMIT


def collect(terms: list[Term], type: TensorType) -> list[Term]:
    """Flatten nested sums and add up the coefficients of like terms; terms that cancel are dropped.

    A term that was written with the coefficient 0 stays: 0 · x is not 0 where x may be inf or nan (R12).
    """
    for _, node in terms:
        if node.__class__ is Add or (node.__class__ is Product and node.coefficient != 1):
            terms = flat(terms, type)
            break
    total: dict[Node, Number] = {}
    kept_zero: set[Node] = set()
    gone = False
    for c, node in terms:
        before = total.get(node)
        if before is not None:
            now = total[node] = exact(before + c)
            gone = gone or now == 0
        else:
            total[node] = c
        if c == 0:
            gone = True
            if not (node.__class__ is Product and not node.factors):
                kept_zero.add(node)
    if gone:
        return [(c, node) for node, c in total.items() if c != 0 or node in kept_zero]
    return [(c, node) for node, c in total.items()]


def flat(terms: list[Term], type: TensorType) -> list[Term]:
    """The terms with sums inside opened and coefficients taken out."""
    result: list[Term] = []
    pending = terms[::-1]
    while pending:
        c, node = pending.pop()
        if flattens(node, type):
            pending.extend([(k if c == 1 else exact(c * k), t) for k, t in reversed(node.terms)])
            continue
        k, node = unscaled(node)
        if flattens(node, type):
            pending.append((exact(c * k), node))
            continue
        result.append((c if k == 1 else exact(c * k), node))
    return result


def pattern(node: Node) -> tuple[object, ...] | None:
    """(out, extents) of a diagonal or scatter term, None for a dense one."""
    if node.__class__ is not Product or node.dense or node.is_core:
        return None
    return node.out, node.extents


def merge_patterns(terms: list[Term], type: TensorType) -> list[Term]:
    """diag(f) + diag(g) → diag(f + g): terms written at the same positions become one."""
    groups: dict[tuple[object, ...], list[Term]] = {}
    shared = False
    for term in terms:
        key = pattern(term[1])
        if key is not None:
            group = groups.setdefault(key, [])
            shared = shared or bool(group)
            group.append(term)
    if not shared:
        return terms
    result: list[Term] = []
    done: set[tuple[object, ...]] = set()
    for term in terms:
        key = pattern(term[1])
        if key is None or len(groups[key]) == 1:
            result.append(term)
        elif key not in done:
            done.add(key)
            first: Product = term[1]  # type: ignore[assignment]
            inner_type = TensorType(type.dtype, first.extents)
            labels = tuple(range(len(first.extents)))
            inner = add([(c, dense_part(p, inner_type)) for c, p in groups[key]], inner_type)  # type: ignore[arg-type]
            result += expand_product(1, [(inner, labels)], list(first.out), dict(enumerate(first.extents)), type)
    return collect(result, type)


def dense_part(node: Product, type: TensorType) -> Node:
    """The values of a scatter, indexed by its labels."""
    labels = list(range(len(node.extents)))
    return product(1, list(node.factors), list(labels), dict(enumerate(node.extents)), type)


def hoist(terms: list[Term], type: TensorType) -> Node | None:
    """Where every term is constant along an axis, the sum is taken without it and broadcast after."""
    common = broadcast_axes(terms[0][1])
    for _, node in terms[1:]:
        if not common:
            return None
        common &= broadcast_axes(node)
    if not common:
        return None
    kept = [axis for axis in range(len(type.shape)) if axis not in common]
    inner_type = TensorType(type.dtype, tuple(type.shape[axis] for axis in kept))
    inner = add([(c, drop_axes(node, common, inner_type)) for c, node in terms], inner_type)
    return expand(inner, type.shape, tuple(kept))


def drop_axes(node: Node, axes: frozenset[int], type: TensorType) -> Node:
    """The node without axes along which it is constant."""
    p: Product = node  # type: ignore[assignment]
    kept = [axis for axis in range(node.ndim) if axis not in axes]
    return product(p.coefficient, list(p.factors), list(kept), {axis: node.shape[axis] for axis in kept}, type)


def share_carriers(terms: list[Term], type: TensorType) -> list[Term]:
    """F·a + F·b → F·(a + b) where F holds a label that no other factor of either term has (R7)."""
    if NESTED.depth >= DEEPEST_SHARING:
        return terms
    wide = 0
    for _, node in terms:
        if node.__class__ is Product and len(node.extents) > 1 and len(node.factors) > 1:
            wide += 1
    if wide < 2:
        return terms
    refused: set[tuple[object, ...]] = set()
    current = [(term, carriers(term[1])) for term in terms]
    merged = False
    while len(current) > 1:
        members: dict[tuple[object, ...], list[int]] = {}
        for place, (_, ways) in enumerate(current):
            for key, _ in ways:
                if place not in members.setdefault(key, []):
                    members[key].append(place)
        open_keys = [k for k, places in members.items() if len(places) > 1 and k not in refused]
        if not open_keys:
            break
        key = open_keys[0]
        rests = [(current[place][0][0], next(rest for k, rest in current[place][1] if k == key)) for place in members[key]]
        if add_up(rests):
            refused.add(key)
            continue
        NESTED.depth += 1
        try:
            together = joined(rests, key, type)
        finally:
            NESTED.depth -= 1
        if together is None:
            refused.add(key)
            continue
        merged = True
        first, gone = members[key][0], set(members[key])
        current = [(together, carriers(together[1])) if place == first else item for place, item in enumerate(current)
                   if place == first or place not in gone]
    return collect([term for term, _ in current], type) if merged else terms


Rest = tuple[list[Factor], list[Factor], dict[Label, Size], list[Label]]


def carriers(node: Node) -> list[tuple[tuple[object, ...], Rest]]:
    """Ways to see a term as carrier · rest: a key that says what carrier and how it is read, and the rest.

    The key holds the carrier, where its axes go (to an out axis, or to a place that the rest shares), and the out axes that
    the rest has beyond it; and the guards, which silence carrier and rest and stand apart from both.
    """
    if node.__class__ is not Product:
        return []
    p: Product = node
    if p.out != tuple(range(len(p.out))) or len(p.factors) < 2:
        # A structural product that only reads a core at permuted axes is looked into by its core.
        return []
    found: list[tuple[tuple[object, ...], Rest]] = []
    for position, (carrier, at) in enumerate(p.factors):
        if len(at) < 2 or not all([i.__class__ is int for i in at]) or len(set(at)) != len(at):
            continue
        others = [f for k, f in enumerate(p.factors) if k != position]
        if any(is_one_hot(f) for f, _ in others):
            # Reads and writes at computed positions, x[i] - x[j], are no sums of matrices.
            continue
        elsewhere = {label for _, indices in others for i in indices for label in labels_of(i)}
        own = [label for label in at if label not in elsewhere]
        if not own or not any(label in elsewhere for label in at):
            continue
        kept = len(p.out)
        places = {label: kept + k for k, label in enumerate(at) if label >= kept}  # type: ignore[operator]
        if any(label >= kept and label not in places for label in elsewhere):
            # The rest sums a label of its own: it would be a core inside; leave such terms alone.
            continue
        shared = sorted(places.get(label, label) for label in elsewhere)
        signature = tuple(places.get(label, label) for label in at)
        extents = {places.get(label, label): extent for label, extent in enumerate(p.extents)}
        relabelled = [(f, tuple([relabel(i, places) for i in indices])) for f, indices in others]  # type: ignore[arg-type]
        # What a guard silences it must go on to silence, the carrier too.
        guards = [factor for factor in relabelled if is_guard(factor[0])]
        sizes = tuple([extents[label] for label in (*signature, *shared)])  # type: ignore[index]
        key = (carrier, signature, tuple(shared), frozenset(guards), p.is_core, sizes)
        rest: Rest = ([factor for factor in relabelled if not is_guard(factor[0])], guards, extents, shared)
        found.append((key, rest))
    return found


def relabel(index: Index, places: dict[Label, Label]) -> Index:
    """The index with some labels renamed."""
    if index.__class__ is int:
        return places.get(index, index)
    constant, terms = index  # type: ignore[misc]
    return constant, tuple(sorted((places.get(label, label), c) for label, c in terms))


def joined(rests: list[tuple[Number, Rest]], key: tuple[object, ...], type: TensorType) -> Term | None:
    """carrier · Σ c · rest; None where it would be distributed again (R8), for the two would never end."""
    carrier, signature, shared, *_ = key
    _, guards, extents, _ = rests[0][1]
    shape = tuple(extents[label] for label in shared)  # type: ignore[attr-defined]
    inner_type = TensorType(type.dtype, shape)
    inner = add([(c, product(1, list(rest[0]), list(shared), {label: extents[label] for label in shared},  # type: ignore[call-overload, attr-defined]
                             inner_type)) for c, rest in rests], inner_type)
    terms = expand_product(1, [(carrier, signature), *guards, (inner, tuple(shared))],  # type: ignore[arg-type, list-item]
                           list(range(len(type.shape))), dict(extents), type)
    return terms[0] if len(terms) == 1 else None


def add_up(rests: list[tuple[Number, Rest]]) -> bool:
    """Whether a sum among the rests shares terms of the same sign with another, that is no multiple of it: both are steps.

    Of z₂ = z₁ + c (b − A z₁), z₃ = z₂ + c (b − A z₂) and so on, A z₁ + A z₂ would be A (2 z₁ + c b − c A z₁): powers of A with
    coefficients that grow with each step, and all but cancel.
    """
    alone = [(c, *factors[0]) for c, (factors, *_) in rests if len(factors) == 1]
    if not any([node.__class__ is Add for _, node, _ in alone]):
        return False
    # Of multiples of one sum the first stands for all.
    sums: dict[object, list[object]] = {}
    for c, node, at in alone:
        terms = node.terms if isinstance(node, Add) else [unscaled(node)]
        sums.setdefault((at, frozenset([term for _, term in terms])), [(term, at, (c < 0) != (k < 0)) for k, term in terms])
    signed = [term for terms in sums.values() for term in terms]
    return len(set(signed)) < len(signed)
