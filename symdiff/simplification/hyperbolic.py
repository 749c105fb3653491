"""Rewrites among σ, tanh, sinh and cosh: differences that cancel and quotients that overflow become one function."""

from __future__ import annotations

import math
from collections import Counter

from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.functions.row import ROWS
from symdiff.normal_form import add, map_node, number, number_of, scale
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.simplification.patterns import Place, is_map, is_minus, positive, powers_of, with_factors

Powers = Counter[tuple[Node, Place]]


def one_less_sigmoid(node: Node) -> Node | None:
    """v − v σ(x) → v σ(−x), and v − 2v σ(x) → −v tanh(x/2)."""
    assert isinstance(node, Add)
    for k, (c, t) in enumerate(node.terms):
        if not is_map(t, "sigmoid"):
            continue
        for j, (b, u) in enumerate(node.terms):
            value = number_of(u)
            v = None if value is None else times(b, value)
            if v is None or v == 0 or (exact(v + c) != 0 and exact(2 * v + c) != 0):
                continue
            rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
            x = t.children[0]
            if exact(v + c) == 0:
                return add([*rest, (v, map_node(ROWS["sigmoid"], (scale(-1, x),)))], node.type)
            return add([*rest, (exact(-v), half_tanh(x))], node.type)
    return None


def half_tanh(x: Node) -> Node:
    """tanh(x/2)."""
    return map_node(ROWS["tanh"], (scale(exact(0.5), x),))


def sigmoid_difference(node: Node) -> Node | None:
    """y σ(−x) − y σ(x) → −y tanh(x/2), where y holds what the two products share."""
    assert isinstance(node, Add)
    if sum([holds_sigmoid(t) for _, t in node.terms]) < 2:
        return None
    products = [(k, c, t, factor_powers(t)) for k, (c, t) in enumerate(node.terms)]
    for k, c, t, mine in products:
        if mine is None:
            continue
        for j, b, _, theirs in products:
            if theirs is None or j <= k or exact(b + c) != 0:
                continue
            more, less = mine - theirs, theirs - mine
            if sum(more.values()) != 1 or sum(less.values()) != 1:
                continue
            (f, at), (g, there) = next(iter(more)), next(iter(less))
            if at != there or not is_map(f, "sigmoid") or not is_map(g, "sigmoid") or (
                    not is_minus(f.children[0], g.children[0])):
                continue
            rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
            return add([*rest, (c, without(t, f, at, half_tanh(f.children[0])))], node.type)
    return None


def holds_sigmoid(node: Node) -> bool:
    """Whether the node is σ(x), or a product with it or a power of it."""
    if node.__class__ is Product:
        return any([is_map(base_and_exponent(child)[0], "sigmoid") for child in node.children])
    return is_map(node, "sigmoid")


def factor_powers(node: Node) -> Powers | None:
    """How often each factor stands in a structural product; None for sums, numbers and cores."""
    if is_map(node, "sigmoid"):
        return Counter({(node, tuple(range(node.ndim))): 1})
    if not isinstance(node, Product) or not node.dense:
        return None
    found: Powers = Counter()
    for x, p, at in powers_of(node):
        if not isinstance(p, int) or p < 0:
            return None
        found[x, at] += p
    return found


def without(node: Node, f: Node, at: Place, by: Node) -> Node:
    """The product with one power of a factor replaced."""
    if node is f:
        return by
    assert isinstance(node, Product)
    for k, (x, p, there) in enumerate(powers_of(node)):
        if x is f and there == at:
            left: list[Factor] = [(by, at)]
            if p != 1:
                left.append((map_node(ROWS["power"], (x, number(exact(p - 1), x.dtype, x.shape))), at))
            return with_factors(node, {k: left})
    raise AssertionError("the factor is not there")


def sum_of_exponentials(node: Node) -> Node | None:
    """c eˣ + c e⁻ˣ → 2c cosh(x), c eˣ − c e⁻ˣ → 2c sinh(x)."""
    assert isinstance(node, Add)
    places = [(k, c, t) for k, (c, t) in enumerate(node.terms) if is_map(t, "exp")]
    for k, c, t in places:
        for j, b, u in places:
            if j <= k or abs(b) != abs(c) or not is_minus(t.children[0], u.children[0]):
                continue
            rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
            made = map_node(ROWS["cosh" if b == c else "sinh"], t.children)
            return add([*rest, (exact(2 * c), made)], node.type)
    return None


def sinh_over_cosh(node: Node) -> Node | None:
    """sinh(x)ⁿ / cosh(x)ᵐ → tanh(x) sinh(x)ⁿ⁻¹ / cosh(x)ᵐ⁻¹."""
    assert isinstance(node, Product)
    parts = powers_of(node)
    for k, (f, n, at) in enumerate(parts):
        if not is_map(f, "sinh") or n != 1:
            continue
        for j, (g, m, there) in enumerate(parts):
            if is_map(g, "cosh") and there == at and isinstance(m, int) and m < 0 and g.children[0] is f.children[0]:
                left: list[Factor] = [] if m == -1 else [
                    (map_node(ROWS["power"], (g, number(m + 1, g.dtype, g.shape))), at)]
                return with_factors(node, {k: [(map_node(ROWS["tanh"], f.children), at)], j: left})
    return None


def expm1_times_sigmoid(node: Node) -> Node | None:
    """expm1(x) σ(−x) → tanh(x/2): (eˣ − 1)/(eˣ + 1) never overflows."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "expm1"):
            continue
        for j, (g, there) in enumerate(node.factors):
            if is_map(g, "sigmoid") and there == at and is_minus(g.children[0], f.children[0]):
                return with_factors(node, {k: [(half_tanh(f.children[0]), at)], j: []})
    return None


def log_of_cosh(node: Node) -> Node | None:
    """log(c cosh x) → softplus(2x) − x + log(c/2) for a positive number c."""
    arg = node.children[0]
    c: Number = 1
    if isinstance(arg, Product) and len(arg.factors) == 1 and arg.dense and arg.factors[0][1] == arg.out:
        c, arg = arg.coefficient, arg.factors[0][0]
    if not is_map(arg, "cosh") or not positive(c) or arg.type != node.type:
        return None
    x = arg.children[0]
    terms = [(1, map_node(ROWS["softplus"], (scale(2, x),))), (-1, x)]
    return add(terms if c == 2 else [*terms, (math.log(c / 2), number(1, x.dtype, x.shape))], node.type)  # type: ignore[arg-type]
