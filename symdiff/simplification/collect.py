"""Collecting rules: what becomes visible only in a whole derivative.

They are applied to derivatives and by `simplify`, not to formulas on their way to a kernel: x / x as a person wrote it
keeps its NaN at 0, while in a derivative the quotient came from the calculus and the singularity is removable.
"""

from __future__ import annotations

from itertools import repeat

from symdiff.expression import Factor, Map, Node, Product
from symdiff.index_notation import Index, inside
from symdiff.normal_form import number, product
from symdiff.normal_form.numbers import base_and_exponent, exact, number_of
from symdiff.normal_form.products import power
from symdiff.simplification.rule import Rule


def cancelled_powers(node: Node) -> Node | None:
    """xᵃ · x⁻ᵇ → xᵃ⁻ᵇ for integers."""
    if not isinstance(node, Product) or len(node.factors) < 2:
        return None
    places: dict[tuple[Node, tuple[Index, ...]], int] = {}
    factors: list[Factor | None] = list(node.factors)
    changed = False
    for k, (f, at) in enumerate(node.factors):
        base, p = base_and_exponent(f)
        if not isinstance(p, int) or base.dtype == "bool":
            continue
        before = places.get((base, at))
        if before is None:
            places[base, at] = k
            continue
        other = factors[before]
        assert other is not None
        total = exact(p + base_and_exponent(other[0])[1])
        if base.dtype != node.dtype and isinstance(total, int) and p * total > 0 and abs(total) > abs(p):
            continue  # a higher power of what is converted first may not fit its own dtype
        if total == 0 and not all(map(inside, at, base.shape, repeat(dict(enumerate(node.extents))))):
            continue  # outside of its array x reads as zero, and so does the product
        factors[before] = (power(base, total), at) if total != 0 else None
        factors[k] = None
        changed = True
        if total == 0:
            del places[base, at]
    if not changed:
        return None
    kept = [factor for factor in factors if factor is not None]
    return product(node.coefficient, kept, list(node.out), dict(enumerate(node.extents)), node.type)


def ratio_of_equals(node: Node) -> Node | None:
    """ratio(x, x) → 1."""
    if isinstance(node, Map) and node.args[0] is node.args[1] and number_of(node.args[0]) is None:
        return number(1, node.dtype, node.shape)
    return None


RULES: tuple[Rule, ...] = (
    Rule("cancel", "xᵃ x⁻ᵇ → xᵃ⁻ᵇ", cancelled_powers, "Product", ("power",)),
    Rule("ratio", "ratio(x, x) → 1", ratio_of_equals, "ratio"),
)
