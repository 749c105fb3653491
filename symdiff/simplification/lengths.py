"""Roots of sums of squares, which overflow and vanish long before their value does."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce

from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.functions.row import ROWS
from symdiff.normal_form import map_node, number, number_of, product, scale
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.normal_form.sums import unscaled
from symdiff.simplification.patterns import is_map, positive, powers_of, with_factors

# A longer sum of squares stays a sum: each hypot costs a root.
LONGEST = 4


def root_of_squares(node: Node) -> Node | None:
    """√(x² + y²) → hypot(x, y), for positive coefficients and numbers, and up to four terms."""
    return length(node.children[0])


def power_of_squares(node: Node) -> Node | None:
    """(x² + y²)^(p/2) → hypot(x, y)ᵖ for odd p."""
    base, p = base_and_exponent(node)
    twice = exact(2 * p)
    if not isinstance(twice, int) or isinstance(p, int):
        return None
    root = length(base)
    return None if root is None else map_node(ROWS["power"], (root, number(twice, node.dtype, node.shape)))


def side_over_length(node: Node) -> Node | None:
    """x / hypot(x, y)ⁿ → direction(x, y) / hypot(x, y)ⁿ⁻¹, whose derivative does not cancel."""
    assert isinstance(node, Product)
    parts = powers_of(node)
    for j, (h, n, there) in enumerate(parts):
        if not is_map(h, "hypot") or not isinstance(n, int) or n >= 0:
            continue
        for k, (x, p, at) in enumerate(parts):
            for one, other in (h.children, h.children[::-1]) if p == 1 and at == there else ():
                c, inner = unscaled(one)
                if c and inner is x and number_of(inner) is None:
                    left: list[Factor] = [] if n == -1 else [
                        (map_node(ROWS["power"], (h, number(n + 1, h.dtype, h.shape))), at)]
                    made: list[Factor] = [(map_node(ROWS["direction"], (one, other)), at)]
                    return with_factors(node, {k: made, j: left}, exact(1 / c if isinstance(c, float) else 1 / Fraction(c)))
    return None


def side_over_whole_length(node: Node) -> Node | None:
    """direction(x, y) direction(hypot(x, y), z) → direction(x, hypot(y, z)): x / √(x² + y² + z²).

    As it was, its derivative would not be told where x and y are both zero, though the length is not.
    """
    assert isinstance(node, Product)
    parts = powers_of(node)
    for j, (outer, p, there) in enumerate(parts):
        if not is_map(outer, "direction") or not is_map(outer.children[0], "hypot") or not isinstance(p, int) or p < 1:
            continue
        near, rest = outer.children
        for k, (inner, q, at) in enumerate(parts):
            if is_map(inner, "direction") and at == there and isinstance(q, int) and q >= 1 and (
                    set(inner.children) == set(near.children)):
                x, y = inner.children
                made = map_node(ROWS["direction"], (x, map_node(ROWS["hypot"], (y, rest))))
                left = [[(map_node(ROWS["power"], (f, number(n - 1, f.dtype, f.shape))), at)] if n > 1 else []
                        for f, n in ((outer, p), (inner, q))]
                return with_factors(node, {j: left[0], k: [*left[1], (made, at)]})
    return None


def length(node: Node) -> Node | None:
    """hypot of the sides where the node is a sum of squares."""
    if not isinstance(node, Add) or len(node.terms) > LONGEST or all(number_of(t) is not None for _, t in node.terms):
        return None
    sides = [side(c, t) for c, t in node.terms]
    known = [s for s in sides if s is not None]
    return None if len(known) < len(sides) else reduce(lambda x, y: map_node(ROWS["hypot"], (x, y)), known)


def side(c: Number, node: Node) -> Node | None:
    """√c x where the node is x², or a number."""
    value = number_of(node)
    if value is not None:
        c = times(c, value)
    if not positive(c):
        return None
    root = exact_root(c)
    if value is not None:
        return number(root, node.dtype, node.shape)
    x = squared(node)
    return None if x is None else scale(root, x)


def exact_root(c: Number) -> Number:
    """√c, exact where it is rational."""
    if isinstance(c, float):
        return exact(math.sqrt(c))
    c = Fraction(c)
    above, below = math.isqrt(c.numerator), math.isqrt(c.denominator)
    return exact(Fraction(above, below)) if above**2 == c.numerator and below**2 == c.denominator else exact(math.sqrt(c))


def squared(node: Node) -> Node | None:
    """x where the node is x² by its form."""
    factors = node.factors if isinstance(node, Product) and node.dense else ((node, tuple(range(node.ndim))),)
    roots: list[Factor] = []
    for f, at in factors:
        base, p = base_and_exponent(f)
        if not isinstance(p, int) or p % 2:
            return None
        roots.append((map_node(ROWS["power"], (base, number(p // 2, base.dtype, base.shape))), at))
    return product(1, roots, list(range(node.ndim)), dict(enumerate(node.shape)), node.type) if roots else None
