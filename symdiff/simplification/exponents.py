"""What is a product with an exponential, read as e^(Σ terms) · rest, with terms that neither overflow nor cancel.

Sums of exponentials are such too: Σ eˣ = e^(logsumexp x), eˣ + eᶻ = e^(logaddexp(x, z)), 1 + eˣ = e^(softplus x).  Where
weights of unknown sign stand in the sum, e^m is taken out: Σ w eˣ = e^m Σ w e^(x − m) with m = max x as a `shift`, of
which the whole does not depend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

from msgspec import Struct

from symdiff.expression import Add, Factor, Map, Node, Number, Product
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.index_notation import Extents, Index, inside
from symdiff.normal_form import add, expand, map_node, number, number_of, product, reduce_node, scale
from symdiff.normal_form.numbers import exact, times
from symdiff.normal_form.sums import terms_of
from symdiff.simplification.patterns import is_map, positive
from symdiff.tensor_type import TensorType

Term = tuple[Number, Node]
LOG_2 = math.log(2.0)
# So deep do sums, products and powers within each other open.
REACH = 6


class Exponential(Struct, frozen=True):
    """e^(Σ terms) · rest; the rest is None for 1."""

    terms: list[Term]
    rest: Node | None = None


def one(node: Node) -> Node:
    """1 in the type of a node."""
    return number(1, node.dtype, node.shape)


def softplus(x: Node) -> Node:
    """log(1 + eˣ)."""
    return map_node(ROWS["softplus"], (x,))


def log_cosh(x: Node) -> list[Term]:
    """The terms of log cosh x."""
    return [(1, softplus(scale(2, x))), (-1, x), (-LOG_2, one(x))]


# The logarithm of a scalar function, in terms of its arguments.
LOGARITHMS: dict[str, Callable[..., list[Term]]] = {
    "exp": lambda x: [(1, x)],
    "exp2": lambda x: [(LOG_2, x)],
    "exp_difference": lambda x, m: [(1, x), (-1, m)],
    "sigmoid": lambda x: [(-1, softplus(scale(-1, x)))],
    "sigmoid_difference": lambda x, z: [(-1, softplus(add([(1, z), (-1, x)], x.type)))],
    "cosh": log_cosh,
    "sech_squared": lambda x: [(exact(-2 * c), t) for c, t in log_cosh(x)],
}


def exponential_of(node: Node, reach: int = REACH) -> Exponential | None:
    """The node as e^(Σ terms) · rest, None where it holds no exponential."""
    if isinstance(node, Map):
        name = node.function.name
        if name in LOGARITHMS and not is_shifted(node):
            return Exponential(LOGARITHMS[name](*node.args))
        p = number_of(node.args[1]) if name == "power" else exact(0.5) if name == "sqrt" else None
        return of_power(node, p, reach) if p is not None and reach else None
    if not reach:
        return None
    if isinstance(node, Add):
        return of_sum(node, reach)
    if isinstance(node, Product):
        return of_core(node, reach) if node.is_core else of_product(node, reach)
    return None


def is_shifted(node: Node) -> bool:
    """Whether the node is e^(x − m) with a shift m: it is at most 1 already."""
    return is_map(node, "exp_difference") and is_shift(node.children[1])


def is_shift(node: Node) -> bool:
    """Whether the node is a shift, or one broadcast."""
    return is_map(node, "shift") or (node.__class__ is Product and len(node.children) == 1 and is_map(node.children[0], "shift"))


def of_power(node: Map, p: Number, reach: int) -> Exponential | None:
    """(e^L · R)ᵖ = e^(p L) · Rᵖ."""
    found = exponential_of(node.args[0], reach - 1)
    if found is None or found.terms[0][1].type != node.type:
        return None
    rest = None if found.rest is None else map_node(node.function, (found.rest, *node.args[1:]))
    return Exponential([(times(c, p), t) for c, t in found.terms], rest)


def of_product(node: Product, reach: int) -> Exponential | None:
    """Π e^Lₖ Rₖ = e^(Σ Lₖ) Π Rₖ."""
    if not node.dense:
        return None
    extents: Extents = dict(enumerate(node.extents))
    terms: list[Term] = []
    rest: list[Factor] = []
    for f, at in node.factors:
        found = exponential_of(f, reach - 1) if f.dtype == node.dtype and reads_inside(f, at, extents) else None
        if found is None:
            rest.append((f, at))
            continue
        terms += [(c, read(x, at, node)) for c, x in found.terms]
        rest += [] if found.rest is None else [(found.rest, at)]
    if not terms:
        return None
    c = node.coefficient
    if not rest and positive(c):
        return Exponential(terms if c == 1 else [*terms, (math.log(c), one(node))])
    return Exponential(terms, product(c, rest, list(node.out), dict(extents), node.type))


def read(x: Node, at: tuple[Index, ...], node: Node) -> Node:
    """x[at] in the shape of a node."""
    return product(1, [(x, at)], list(range(node.ndim)), dict(enumerate(node.shape)), node.type)


def reads_inside(node: Node, at: tuple[Index, ...], extents: Extents) -> bool:
    """Whether no read of the node at `at` lies outside of it, where a product would be zero."""
    return all(inside(i, size, extents) for i, size in zip(at, node.shape, strict=True))


def of_sum(node: Add, reach: int) -> Exponential | None:
    """Σ c e^L = e^(log Σ e^(L + log c)) for positive c; with weights in the terms e^max L is taken out."""
    parts: list[tuple[Number, Exponential | None, Node]] = []
    for c, t in node.terms:
        found = exponential_of(t, reach - 1) if t.dtype == node.dtype else None
        if found is None and number_of(t) is None:
            return None
        parts.append((c, found, t))
    if all(found is None for _, found, _ in parts):
        return None
    if all(positive(c) and (found is None or found.rest is None) for c, found, _ in parts):
        leaves = [add([*([] if found is None else found.terms), (log_of_number(c), one(node))], node.type)
                  for c, found, t in parts if found is not None or positive(times(c, number_of(t) or 0))]
        return Exponential(log_sum(leaves, node.type)) if len(leaves) == len(parts) else None
    if any(found is None for _, found, _ in parts):
        return None
    exponents = [add(found.terms, node.type) for _, found, _ in parts if found is not None]
    largest = reduce(lambda a, b: map_node(ROWS["maximum"], (a, b)), exponents)
    shift = map_node(ROWS["shift"], (largest,))
    terms: list[Term] = []
    for (c, found, _), x in zip(parts, exponents, strict=True):
        labels = tuple(range(node.ndim))
        factors: list[Factor] = [(map_node(ROWS["exp_difference"], (x, shift)), labels)]
        if found is not None and found.rest is not None:
            factors.append((found.rest, labels))
        terms.append((c, product(1, factors, list(labels), dict(enumerate(node.shape)), node.type)))
    return Exponential([(1, shift)], add(terms, node.type))


def log_of_number(c: Number) -> Number:
    """log c."""
    return 0 if c == 1 else math.log(c)


def log_sum(leaves: list[Node], type: TensorType) -> list[Term]:
    """The terms of log Σ e^leaf; numbers among the leaves come last, as log v + softplus(… − log v)."""
    unit = number(1, type.dtype, type.shape)
    known = [float(v) for v in map(number_of, leaves) if v is not None]
    others = [leaf for leaf in leaves if number_of(leaf) is None]
    top = max(known, default=0.0)
    v = exact(top + math.log(math.fsum(math.exp(w - top) for w in known))) if known else 0
    if not others:
        return [(v, unit)]
    total = reduce(lambda a, b: map_node(ROWS["logaddexp"], (a, b)), others)
    if not known:
        return [(1, total)]
    return [(1, softplus(total))] if v == 0 else [(1, softplus(add([(1, total), (exact(-v), unit)], type))), (v, unit)]


def leaves_of(terms: list[Term], type: TensorType) -> list[Node]:
    """The leaves of which Σ terms is log Σ e^leaf, through softplus and logaddexp; at least the sum itself."""
    pending: list[tuple[list[Term], list[Term]]] = [([], terms)]
    found: list[Node] = []
    while pending:
        beside, terms = pending.pop()
        chosen = next((t for c, t in terms if c == 1 and (is_map(t, "softplus") or is_map(t, "logaddexp"))), None)
        if chosen is None:
            found.append(add([*beside, *terms], type))
            continue
        beside = [*beside, *[(c, t) for c, t in terms if t is not chosen]]
        pending += [(beside, terms_of(child)) for child in chosen.children]
        pending += [(beside, [])] if is_map(chosen, "softplus") else []
    return found


def of_core(node: Product, reach: int) -> Exponential | None:
    """Σ eˣ = e^(logsumexp x); with weights, Σ w eˣ = e^m Σ w e^(x − m), m the largest x along the summed labels."""
    extents: Extents = dict(enumerate(node.extents))
    groups: dict[tuple[int, ...], list[Term]] = {}
    weights: list[Factor] = []
    found: list[tuple[Node, tuple[int, ...], Exponential]] = []
    for f, at in node.factors:
        plain = tuple([i for i in at if type(i) is int])
        whole = len(set(plain)) == f.ndim and all(extents[i] == size for i, size in zip(plain, f.shape, strict=True))
        e = exponential_of(f, reach - 1) if whole and f.dtype == node.dtype else None
        if e is None:
            weights.append((f, at))
        else:
            found.append((f, plain, e))
            weights += [] if e.rest is None else [(e.rest, at)]
    for _, at, e in sorted(found, key=lambda t: -len(t[1])):
        home = next((labels for labels in groups if set(at) <= set(labels)), tuple(sorted(at)))
        shape = tuple([node.extents[label] for label in home])
        places = [number(0, node.dtype, shape)]
        groups.setdefault(home, []).extend(
            [(c, read(x, tuple([home.index(i) for i in at]), places[0])) for c, x in e.terms])
    if not groups:
        return None
    sums = [(home, add(terms, terms[0][1].type)) for home, terms in groups.items()]
    if not weights and len(sums) == 1 and len(sums[0][0]) == len(node.extents):
        return Exponential([(1, reduce_node(REDUCTIONS["logsumexp"], sums[0][1], node.summed))])
    terms: list[Term] = []
    for home, x in sums:
        kept = tuple([label for label in home if label < node.ndim])
        dropped = tuple([k for k, label in enumerate(home) if label >= node.ndim])
        shift = map_node(ROWS["shift"], (reduce_node(REDUCTIONS["max"], x, dropped),))
        back = expand(shift, x.shape, tuple([home.index(label) for label in kept]))
        weights.append((map_node(ROWS["exp_difference"], (x, back)), home))
        terms.append((1, read(shift, kept, node)))
    return Exponential(terms, product(1, weights, list(range(node.ndim)), dict(extents), node.type))
