"""Rewrites among σ, tanh, sinh and cosh: differences that cancel and quotients that overflow become one function."""

from __future__ import annotations

from collections import Counter

from symdiff.expression import Add, Factor, Node, Product
from symdiff.functions.row import ROWS
from symdiff.normal_form import add, map_node, number, number_of, scale
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.simplification.patterns import Place, is_map, is_minus, powers_of, with_factors

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
    """y σ(−x) − y σ(x) → −y tanh(x/2), y − y σ(x) → y σ(−x), y − 2y σ(x) → −y tanh(x/2), for products y."""
    assert isinstance(node, Add)
    products = [factor_powers(t) for _, t in node.terms]
    # The terms by their factors, and by what is left of them without one σ.
    wholes: dict[frozenset[object], list[int]] = {}
    rests: dict[frozenset[object], list[tuple[int, Factor]]] = {}
    for k, mine in enumerate(products):
        if mine is not None:
            wholes.setdefault(frozenset(mine.items()), []).append(k)
            for factor in mine:
                if is_map(factor[0], "sigmoid"):
                    rests.setdefault(frozenset((mine - Counter([factor])).items()), []).append((k, factor))
    for key, held in rests.items():
        for k, (f, at) in held:
            (c, t), x = node.terms[k], f.children[0]
            for j in wholes.get(key, ()):
                b = node.terms[j][0]
                made = map_node(ROWS["sigmoid"], (scale(-1, x),)) if exact(b + c) == 0 else half_tanh(x)
                if exact(b + c) == 0 or exact(2 * b + c) == 0:
                    left = [term for i, term in enumerate(node.terms) if i not in (j, k)]
                    return add([*left, (b if exact(b + c) == 0 else exact(-b), without(t, f, at, made))], node.type)
            for j, (g, there) in held:
                if j != k and there == at and exact(node.terms[j][0] + c) == 0 and is_minus(x, g.children[0]):
                    left = [term for i, term in enumerate(node.terms) if i not in (j, k)]
                    return add([*left, (c, without(t, f, at, half_tanh(x)))], node.type)
    return None


def factor_powers(node: Node) -> Powers | None:
    """How often each factor stands in a structural product; None for sums, numbers and negative powers."""
    if not isinstance(node, Product) or node.is_core:
        base, p = base_and_exponent(node)
        return Counter({(base, tuple(range(node.ndim))): p}) if isinstance(p, int) and p > 0 and node.__class__ is not Add else None
    if not node.dense or not node.factors:
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


def one_plus_tanh(node: Node) -> Node | None:
    """v + v tanh(x) → 2v σ(2x), and v − v tanh(x) → 2v σ(−2x)."""
    assert isinstance(node, Add)
    for k, (c, t) in enumerate(node.terms):
        if not is_map(t, "tanh"):
            continue
        for j, (b, u) in enumerate(node.terms):
            value = number_of(u)
            v = 0 if value is None else times(b, value)
            if v != 0 and abs(v) == abs(c):
                rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
                made = map_node(ROWS["sigmoid"], (scale(2 if v == c else -2, t.children[0]),))
                return add([*rest, (exact(2 * v), made)], node.type)
    return None


def one_less_tanh_squared(node: Node) -> Node | None:
    """v − v tanh²(x) → v sech²(x)."""
    assert isinstance(node, Add)
    for k, (c, t) in enumerate(node.terms):
        base, p = base_and_exponent(t)
        if p != 2 or not is_map(base, "tanh"):
            continue
        for j, (b, u) in enumerate(node.terms):
            value = number_of(u)
            if value is not None and exact(times(b, value) + c) == 0:
                rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
                return add([*rest, (exact(-c), map_node(ROWS["sech_squared"], base.children))], node.type)
    return None
