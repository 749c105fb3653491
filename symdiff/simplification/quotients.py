"""Products of exponentials and what divides them: quotients whose parts overflow become one exponential or a σ.

The normal form may have put the exponential into a contraction core: in softmax(S) @ V the core holds e^S and V, and the
divisor stands outside.
"""

from __future__ import annotations

import math
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from symdiff.expression import Add, Constant, Factor, Map, Node, Number, Product, Reduce
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.index_notation import form_of
from symdiff.normal_form import add, expand, map_node, number, number_of, product, reduce_node, scale, size_number
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.normal_form.sums import terms_of
from symdiff.simplification.exponents import (
    Term,
    exponential_of,
    is_shift,
    leaves_of,
    log_of_number,
    log_sum,
    one,
    read,
    softplus,
)
from symdiff.simplification.patterns import Place, is_map, with_factors
from symdiff.simplification.rule import nearby
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

# A leaf and the exponential it is to be may differ by so much: their quotient is a number.
LARGEST = 700
# What a divisor may be the power of.
DIVIDING = frozenset(("sigmoid", "cosh", "exp", "power"))
# Nodes of a factor among which an exponential is looked for, and how deep in sums and products of each other: what a
# person writes over one divisor is near it, while the sums of a long program lead into each other without end.
MOST_SEEN = 100
DEEPEST = 4


def power_of_exponential(node: Node) -> Node | None:
    """(eˣ)ᵖ → e^(p x), and (Σ eˣ)⁻ᵖ → e^(−p logsumexp x), (v + eˣ)⁻ⁿ → v⁻ⁿ σ(log v − x)ⁿ."""
    base, p = base_and_exponent(node)
    if p == 1 or base.type != node.type:
        return None
    if is_map(base, "exp"):
        return map_node(ROWS["exp"], (scale(p, base.children[0]),))
    if p >= 0 or not (isinstance(base, Add) or (isinstance(base, Product) and base.is_core)):
        return None
    if isinstance(base, Add) and any(number_of(t) is not None for _, t in base.terms):
        return power_of_one_plus(base, exact(-p))
    found = exponential_of(base)
    if found is None or (found.rest is not None and isinstance(base, Add)):
        return None
    below = map_node(ROWS["exp"], (add([(times(c, p), t) for c, t in found.terms], node.type),))
    if found.rest is None:
        return below
    rest = map_node(ROWS["power"], (found.rest, node.children[1]))
    labels = tuple(range(node.ndim))
    return product(1, [(below, labels), (rest, labels)], list(labels), dict(enumerate(node.shape)), node.type)


def root_of_exponential(node: Node) -> Node | None:
    """√eˣ → e^(x/2)."""
    e = node.children[0]
    return map_node(ROWS["exp"], (scale(exact(0.5), e.children[0]),)) if e.type == node.type and is_map(e, "exp") else None


def power_of_one_plus(base: Add, p: Number) -> Node | None:
    """(v + u)⁻ⁿ → v⁻ⁿ σ(log v − log u)ⁿ for a number v > 0 and a sum u of exponentials."""
    v = next(times(c, w) for c, w in [(c, number_of(t)) for c, t in base.terms] if w is not None)
    u = exponential_of(add([(c, t) for c, t in base.terms if number_of(t) is None], base.type))
    if u is None or u.rest is not None or v <= 0:
        return None
    x = add([*[(exact(-c), t) for c, t in u.terms], (log_of_number(v), one(base))], base.type)
    if isinstance(p, int):
        whole = map_node(ROWS["power"], (map_node(ROWS["sigmoid"], (x,)), number(p, base.dtype, base.shape)))
        return scale(exact(Fraction(v) ** -p if not isinstance(v, float) else v ** -p), whole)
    # A root of σ would lose what underflows in σ.
    return scale(float(v) ** -float(p), map_node(ROWS["exp"], (scale(exact(-p), softplus(scale(-1, x))),)))


class Divisor(Struct, frozen=True):
    """A factor read as (c e^(−m))ᵖ, m a logarithm of a sum of exponentials.

    `base` and `sign` give what is left of it: base^(sign · q) for q of the p.  `only` says that m is taken out only for an
    exponential that it is built of.
    """

    m: list[Term]
    base: Node
    p: int = 1
    sign: int = 1
    c: Number = 1
    only: bool = False

    def left(self, q: int) -> Node | None:
        """What is left when q of the p are taken out, None for 1."""
        left = self.sign * (self.p - q)
        return map_node(ROWS["power"], (self.base, number(left, self.base.dtype, self.base.shape))) if left else None


def divisor_of(node: Node) -> Divisor | None:
    """e^(−p logsumexp z) as such, σ(x)ⁿ with m = softplus(−x), 1/coshⁿ x with c = 2, m = logaddexp(x, −x)."""
    if not isinstance(node, Map) or node.function.name not in DIVIDING:
        return None
    base, p = base_and_exponent(node)
    if is_map(base, "sigmoid") and isinstance(p, int) and p > 0:
        return Divisor([(1, softplus(scale(-1, base.children[0])))], base, p, only=True)
    if is_map(base, "cosh") and isinstance(p, int) and p < 0:
        x = base.children[0]
        return Divisor([(1, map_node(ROWS["logaddexp"], (x, scale(-1, x))))], base, -p, -1, 2, only=True)
    if is_map(node, "exp"):
        terms = terms_of(node.children[0])
        if all(c < 0 and is_log_sum(t) for c, t in terms if number_of(t) is None):
            n = -terms[0][0] if len(terms) == 1 and isinstance(terms[0][0], int) else 1
            m = [(exact(-c), t) for c, t in terms] if n == 1 else [(1, terms[0][1])]
            return Divisor(m, map_node(ROWS["exp"], (scale(-1, add(m, node.type)),)), n)  # type: ignore[arg-type]
    return None


def is_log_sum(node: Node) -> bool:
    """Whether the node is the logarithm of a sum of exponentials or a shift, maybe broadcast."""
    if node.__class__ is Product and len(node.children) == 1:
        node = node.children[0]
    return (isinstance(node, Reduce) and node.function.name == "logsumexp") or is_shift(node) or any(
        is_map(node, name) for name in ("softplus", "logaddexp"))


def exponentials_together(node: Node) -> Node | None:
    """eˣ eᶻ → e^(x + z), and eˣ e^(z − m) → e^(x + z − m)."""
    assert isinstance(node, Product)
    # The same labels may read arrays of different sizes: a whole one, and a part of a longer one.
    places: dict[tuple[Place, tuple[Size, ...]], int] = {}
    for k, (f, at) in enumerate(node.factors):
        first = places.setdefault((at, f.shape), k) if is_map(f, "exp") else k
        if first != k:
            return with_factors(node, {first: [(times_exp(f, node.factors[first][0]), at)], k: []})
    for k, (f, at) in enumerate(node.factors):
        if is_map(f, "exp_difference") and (at, f.shape) in places:
            first = places[at, f.shape]
            return with_factors(node, {k: [(times_exp(node.factors[first][0], f), at)], first: []})
    return None


def times_exp(e: Node, other: Node) -> Node:
    """eˣ · eᶻ or eˣ · e^(z − m)."""
    x = add([(1, e.children[0]), (1, other.children[0])], e.type)
    return map_node(ROWS["exp"], (x,)) if is_map(other, "exp") else map_node(ROWS["exp_difference"], (x, other.children[1]))


def exponential_over_sum(node: Node) -> Node | None:
    """eˣ / Σ eᶻ → e^(x − logsumexp z), eˣ/(eˣ + eᶻ) → σ(x − z); the exponential may stand in a core or in a sum."""
    assert isinstance(node, Product)
    exponents: list[list[list[Term]]] = []
    for j, (g, _) in enumerate(node.factors):
        divisor = divisor_of(g) if g.__class__ is Map and g.function.name == "exp" else None
        if divisor is None and not any([is_map(base_and_exponent(g)[0], name) for name in ("sigmoid", "cosh")]):
            continue
        exponents = exponents or [exponents_in(f) for f, _ in node.factors]
        # σ and cosh are divisors of exponentials alone.
        divisor = divisor or (divisor_of(g) if any(exponents) else None)
        if divisor is None:
            continue
        built = nearby(add(divisor.m, g.type))
        places = [k for k, found in enumerate(exponents) if k != j and (not divisor.only or among(found, built))]
        for k in sorted(places, key=lambda k: distance(node.factors, k, j, built)) if len(places) > 1 else places:
            made = quotient(node, k, j, divisor)
            if made is not None:
                return made
    return None


def distance(factors: tuple[Factor, ...], k: int, j: int, built: dict[Node, int]) -> int:
    """0 where the divisor at j is the sum of the exponential at k, 1 where it is built of it, else 2."""
    (f, at), (_, there) = factors[k], factors[j]
    axes = tuple([at.index(i) for i in there if i in at])
    return remoteness(f, axes, built) if len(axes) == len(there) else 3


def remoteness(f: Node, axes: tuple[int, ...], built: dict[Node, int]) -> int:
    """As `distance`, for the axes of the factor along which the divisor lies."""
    f = base_and_exponent(f)[0]
    if is_map(f, "exp"):
        x = f.children[0]
        kept = tuple(sorted(axes))
        exact_sum = any(isinstance(m, Reduce) and m.function.name == "logsumexp" and m.arg is x and
                        tuple([a for a in range(x.ndim) if a not in m.axes]) == kept for m in built)
        return 0 if exact_sum else 1 if meets(f, built) else 2
    if isinstance(f, Product) and f.is_core:
        inner = [tuple([at.index(axis) for axis in axes]) if set(axes) <= set(at) else None for _, at in f.factors]
        return min([remoteness(g, place, built) for (g, _), place in zip(f.factors, inner, strict=True) if place is not None],
                   default=3)
    return 1 if meets(f, built) else 2


def exponents_in(f: Node) -> list[list[Term]]:
    """The terms, but for numbers, of the exponent of each exponential that a factor shows in this core, sum or power."""
    found: list[list[Term]] = []
    seen: set[Node] = set()
    level = [f]
    for _ in range(DEEPEST + 1):
        below: list[Node] = []
        for child in level:
            f = base_and_exponent(child)[0]
            if f in seen or len(seen) >= MOST_SEEN:
                continue
            seen.add(f)
            if f.__class__ is Product or f.__class__ is Add:
                below.extend(f.children)
            elif is_map(f, "exp"):
                found.append([term for term in terms_of(f.children[0]) if number_of(term[1]) is None])
        level = below
    return found


def among(exponents: list[list[Term]], built: dict[Node, int]) -> bool:
    """Whether the divisor is built of one of the exponentials."""
    return any([all([t in built for _, t in terms]) for terms in exponents])


def never_positive(terms: list[Term]) -> bool:
    """Whether an exponent is a negative sum of squares and the like by its form: its exponential never overflows."""
    return all([c < 0 and is_square(t) for c, t in terms])


def is_square(node: Node) -> bool:
    """Whether the node is an even power, a function that is never negative, or a product of such."""
    if node.__class__ is Product:
        return node.coefficient > 0 and all([is_square(f) for f in node.children])
    _, p = base_and_exponent(node)
    return (isinstance(p, int) and p % 2 == 0) or (node.__class__ is Map and "nonnegative" in node.function.traits)


def meets(f: Node, built: dict[Node, int]) -> bool:
    """Whether the divisor is built of one of the exponentials in this factor."""
    return among(exponents_in(f), built)


def quotient(node: Product, k: int, j: int, divisor: Divisor) -> Node | None:
    """The product with the divisor at j, or some of its powers, taken into the factor at k."""
    (f, at), (g, there) = node.factors[k], node.factors[j]
    if len(set(at)) != len(at) or not set(there) <= set(at) or len(set(there)) != len(there):
        return None
    axes = tuple([at.index(i) for i in there])
    base, p = base_and_exponent(f)
    if f.shape and g.shape != tuple([f.shape[axis] for axis in axes]):
        return None
    made: tuple[Number, Node, int] | None = None
    if is_map(f, "exp"):
        made = divided(f.children[0], axes, divisor, g)
    elif isinstance(base, Product) and base.is_core and isinstance(p, int) and 0 < p <= divisor.p:
        part = divided_core(base, axes, replace(divisor, p=divisor.p // p), g)
        if part is not None:
            made = exact(part[0]**p), map_node(ROWS["power"], (part[1], number(p, f.dtype, f.shape))), part[2] * p
    elif isinstance(f, Add) and among(
            [e for e in exponents_in(f) if not divisor.only or not never_positive(e)], nearby(add(divisor.m, g.type))):
        made = divided_sum(f, axes, g, divisor.p)
    if made is None and isinstance(base, Product) and base.is_core and p > 0 and not divisor.only:
        found = exponential_of(base)
        if found is not None and found.rest is None:
            made = divided(add([(times(e, p), t) for e, t in found.terms], f.type), axes, divisor, g)
    if made is None:
        return None
    c, taken, q = made
    left = None if q == divisor.p else divisor.left(q)
    return with_factors(node, {k: [(taken, at)], j: [] if left is None else [(left, there)]}, c)


def divided(x: Node, axes: Place, divisor: Divisor, g: Node) -> tuple[Number, Node, int]:
    """(c, quotient, q) with eˣ (divisor)^(q/p) = c · quotient: σ(x − z) where m = log(eˣ + eᶻ)."""
    leaves = leaves_of(divisor.m, g.type) if g.type == x.type and axes == tuple(range(g.ndim)) else []
    for k, leaf in enumerate(leaves if len(leaves) > 1 else []):
        for q in range(1, divisor.p + 1):
            gap = number_of(add([(1, x), (-q, leaf)], x.type))
            if gap is not None and -LARGEST < gap < LARGEST:
                others = log_sum(leaves[:k] + leaves[k + 1:], g.type)
                inner = add([(1, leaf), *[(exact(-c), t) for c, t in others]], x.type)
                sigma = map_node(ROWS["power"], (map_node(ROWS["sigmoid"], (inner,)), number(q, x.dtype, x.shape)))
                return times(exact(math.exp(gap)), divisor.c**q), sigma, q
    m = read(add([(times(c, divisor.p), t) for c, t in divisor.m], g.type), axes, x)
    return divisor.c**divisor.p, map_node(ROWS["exp_difference"], (x, m)), divisor.p


def divided_core(core: Product, axes: Place, divisor: Divisor, g: Node) -> tuple[Number, Node, int] | None:
    """The core with the divisor taken into one of its exponentials, which must have all of the divisor's axes."""
    built = nearby(add(divisor.m, g.type))
    places = {k: tuple([at.index(axis) for axis in axes]) for k, (_, at) in enumerate(core.factors) if set(axes) <= set(at)}
    for k in sorted(places, key=lambda k: remoteness(core.factors[k][0], places[k], built)):
        f, at = core.factors[k]
        if is_map(f, "exp") and len(set(at)) == len(at) and all(
                f.shape[at.index(axis)] == core.shape[axis] for axis in axes):  # type: ignore[index]
            c, made, q = divided(f.children[0], places[k], divisor, g)
            return c, with_factors(core, {k: [(made, at)]}), q
    return None


def divided_sum(total: Add, axes: Place, g: Node, p: int) -> tuple[Number, Node, int]:
    """The sum with the divisor multiplied into each term."""
    labels = list(range(total.ndim))
    extents = dict(enumerate(total.shape))
    terms = [(c, product(1, [(t, tuple(labels)), (g, axes)], list(labels), dict(extents), total.type)) for c, t in total.terms]
    return 1, add(terms, total.type), p


def one_less_share(node: Node) -> Node | None:
    """v − v softmax(z)ₖ → v Σ of the others, for a place k that is known."""
    assert isinstance(node, Add)
    for i, (c, t) in enumerate(node.terms):
        if t.__class__ is not Product or len(t.children) != 1 or not is_map(t.children[0], "exp_difference"):
            continue
        for j, (b, u) in enumerate(node.terms):
            value = number_of(u)
            others = None if value is None or exact(times(b, value) + c) != 0 else share_of_others(t)
            if others is not None:
                return add([*[term for k, term in enumerate(node.terms) if k not in (i, j)], (exact(-c), others)], node.type)
    return None


def share_of_others(node: Product) -> Node | None:
    """Σ of softmax(z) without place k of an axis, where the node is softmax(z)ₖ."""
    f, at = node.factors[0]
    z, m = f.children
    places = [axis for axis, i in enumerate(at) if type(i) is not int]
    if len(places) != 1 or tuple([i for i in at if type(i) is int]) != node.out or node.coefficient != 1:
        return None
    axis, (k, labels) = places[0], form_of(at[places[0]])
    kept = tuple([a for a in range(z.ndim) if a != axis])
    total = reduce_node(REDUCTIONS["logsumexp"], z, (axis,))
    if labels or total.type != node.type or expand(total, z.shape, kept) is not m:
        return None
    size = (z.shape[axis],)
    counted = Constant("arange", TensorType("int64", size))
    here = expand(map_node(ROWS["equal"], (counted, expand(size_number(k, "int64"), size, ()))), z.shape, (axis,))
    rest = map_node(ROWS["where"], (here, number(-math.inf, z.dtype, z.shape), z))
    return map_node(ROWS["exp_difference"], (reduce_node(REDUCTIONS["logsumexp"], rest, (axis,)), total))
