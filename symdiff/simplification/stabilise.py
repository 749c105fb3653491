"""Stabilising rules: formulas that lose digits or overflow become functions with rules of their own."""

from __future__ import annotations

import math

from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.index_notation import inside
from symdiff.normal_form import add, expand, map_node, number, number_of, product, reduce_node, scale
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.simplification.hyperbolic import (
    expm1_times_sigmoid,
    log_of_cosh,
    one_less_sigmoid,
    sigmoid_difference,
    sinh_over_cosh,
    sum_of_exponentials,
)
from symdiff.simplification.patterns import is_map, minus_of, number_plus, one_plus, positive, powers_of, with_factors
from symdiff.simplification.rule import Rule


def log_of_one_plus_exp(node: Node) -> Node | None:
    """log(v + c eˣ) → log v + softplus(x + log(c/v)) for positive numbers v and c."""
    arg = node.children[0]
    v, c, u = (1, 1, arg) if is_map(node, "log1p") else number_plus(arg) or (0, 0, arg)
    if not is_map(u, "exp") or not positive(v) or not positive(c):
        return None
    x = u.children[0]
    if v == c == 1:
        return map_node(ROWS["softplus"], (x,))
    shifted = add([(1, x), (math.log(c / v), number(1, x.dtype, x.shape))], x.type)
    return add([(1, map_node(ROWS["softplus"], (shifted,))), (math.log(v), number(1, node.dtype, node.shape))], node.type)


def log_of_one_plus(node: Node) -> Node | None:
    """log(1 + x) → log1p(x)."""
    parts = one_plus(node.children[0])
    return map_node(ROWS["log1p"], (scale(parts[0], parts[1]),)) if parts else None


def exp_less_one(node: Node) -> Node | None:
    """eˣ − 1 → expm1(x)."""
    assert isinstance(node, Add)
    for k, (c, t) in enumerate(node.terms):
        if not is_map(t, "exp"):
            continue
        for j, (b, u) in enumerate(node.terms):
            value = number_of(u)
            if value is not None and exact(b * value) == -c:
                rest = [term for i, term in enumerate(node.terms) if i not in (j, k)]
                return add([*rest, (c, map_node(ROWS["expm1"], t.children))], node.type)
    return None


def inverse_of_one_plus_exp(node: Node) -> Node | None:
    """1 / (1 + eˣ)ⁿ → σ(−x)ⁿ."""
    base, p = base_and_exponent(node)
    if not isinstance(p, int) or p >= 0:
        return None
    parts = one_plus(base)
    if parts is None or parts[0] != 1 or not is_map(parts[1], "exp"):
        return None
    sigma = map_node(ROWS["sigmoid"], (scale(-1, parts[1].children[0]),))
    return map_node(ROWS["power"], (sigma, number(-p, node.dtype, node.shape))) if p != -1 else sigma


def exp_times_sigmoid(node: Node) -> Node | None:
    """eˣ σ(−x)ⁿ → σ(x) σ(−x)ⁿ⁻¹: eˣ/(1 + eˣ) never overflows."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "exp"):
            continue
        wanted = map_node(ROWS["sigmoid"], (scale(-1, f.children[0]),))
        for j, (g, p, there) in enumerate(powers_of(node)):
            if g is wanted and there == at and isinstance(p, int) and p > 0:
                left = [] if p == 1 else [(map_node(ROWS["power"], (g, number(p - 1, g.dtype, g.shape))), at)]
                return with_factors(node, {k: [(map_node(ROWS["sigmoid"], f.children), at)], j: left})
    return None


def log_of_one_less_sigmoid(node: Node) -> Node | None:
    """log1p(−σ(x)) → −softplus(x)."""
    inner = minus_of(node.children[0])
    return scale(-1, map_node(ROWS["softplus"], inner.children)) if inner is not None and is_map(inner, "sigmoid") else None


def log_of_product(node: Node) -> Node | None:
    """log(y eˣ) → log y + x, with e^(x − m), σ(x), Σ eˣ and their powers in the place of eˣ too."""
    arg = node.children[0]
    view = arg if isinstance(arg, Product) and arg.dense else None
    if view is None:
        inner = log_of(arg)
        return add(inner, node.type) if inner else None
    terms: list[tuple[Number, Node]] = []
    rest: list[Factor] = []
    for f, at in view.factors:
        base, p = base_and_exponent(f)
        found = log_of(base) if all(inside(i, size, dict(enumerate(view.extents))) for i, size in
                                    zip(at, f.shape, strict=True)) else []
        terms += [(times(c, p), product(1, [(x, at)], list(view.out), dict(enumerate(view.extents)), node.type))
                  for c, x in found]
        rest += [] if found else [(f, at)]
    if not terms or (not rest and not positive(view.coefficient)):
        return None
    if not rest:
        return add([*terms, (log_of_number(view.coefficient), number(1, node.dtype, node.shape))], node.type)
    left = product(view.coefficient, rest, list(view.out), dict(enumerate(view.extents)), view.type)
    return add([*terms, (1, map_node(ROWS["log"], (left,)))], node.type)


def log_of_number(c: Number) -> Number:
    """log c."""
    return 0 if c == 1 else math.log(c)


def log_of(node: Node) -> list[tuple[Number, Node]]:
    """The terms of log(node) where it can be written without an exponential, else none."""
    if is_map(node, "exp"):
        return [(1, node.children[0])]
    if is_map(node, "exp_difference"):
        return [(1, node.children[0]), (-1, node.children[1])]
    if is_map(node, "sigmoid"):
        return [(-1, map_node(ROWS["softplus"], (scale(-1, node.children[0]),)))]
    found = sum_of_exp(node)
    return [(1, reduce_node(REDUCTIONS["logsumexp"], *found))] if found else []


def log_of_exponentials(node: Node) -> Node | None:
    """log(eˣ + eᶻ) → logaddexp(x, z), for more terms and positive coefficients too."""
    arg = node.children[0]
    if not isinstance(arg, Add) or not all(is_map(t, "exp") and positive(c) for c, t in arg.terms):
        return None
    parts = [add([(1, t.children[0]), (log_of_number(c), number(1, t.dtype, t.shape))], t.type) for c, t in arg.terms]
    total = parts[0]
    for part in parts[1:]:
        total = map_node(ROWS["logaddexp"], (total, part))
    return total


def sum_of_exp(node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """(x, axes) where the node is Σ eˣ over `axes`, the other axes in order."""
    if not isinstance(node, Product) or node.coefficient != 1 or len(node.factors) != 1:
        return None
    f, at = node.factors[0]
    if not is_map(f, "exp") or not node.is_core or any(type(i) is not int for i in at) or len(set(at)) != len(at):
        return None
    kept = [i for i in at if i in node.out]
    if tuple(kept) != node.out:
        return None
    return f.children[0], tuple(k for k, i in enumerate(at) if i not in node.out)


def exp_over_sum_of_exp(node: Node) -> Node | None:
    """eˣ / Σ eᶻ → e^(x − logsumexp z), which is softmax where z is x."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "exp"):
            continue
        for j, (g, there) in enumerate(node.factors):
            base, p = base_and_exponent(g)
            found = sum_of_exp(base) if p == -1 else None
            if found is None or any(i not in at for i in there):
                continue
            axes = tuple(at.index(i) for i in there)
            if len(set(axes)) != len(axes) or base.shape != tuple(f.shape[a] for a in axes):
                continue
            lse = expand(reduce_node(REDUCTIONS["logsumexp"], *found), f.shape, axes)
            return with_factors(node, {k: [(map_node(ROWS["exp_difference"], (f.children[0], lse)), at)], j: []})
    return None


def x_log_y(node: Node) -> Node | None:
    """x log x → xlogy(x, x), which is 0 at 0."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "log"):
            continue
        for j, (g, there) in enumerate(node.factors):
            if g is f.children[0] and there == at:
                return with_factors(node, {k: [(map_node(ROWS["xlogy"], (g, g)), at)], j: []})
    return None


def root_of_two_squares(node: Node) -> Node | None:
    """√(x² + y²) → hypot(x, y)."""
    if not isinstance(node.children[0], Add):
        return None
    terms = node.children[0].terms
    if len(terms) != 2 or any(c != 1 for c, _ in terms):
        return None
    sides = [squared(t) for _, t in terms]
    if sides[0] is None or sides[1] is None:
        return None
    return map_node(ROWS["hypot"], (sides[0], sides[1]))


def squared(node: Node) -> Node | None:
    """x where the node is x²."""
    base, p = base_and_exponent(node)
    if p == 2:
        return base
    if isinstance(node, Product) and not node.is_core and node.out == tuple(range(node.ndim)) and node.factors:
        powers = [base_and_exponent(f) for f, _ in node.factors]
        if all(k == 2 for _, k in powers):
            factors = [(b, at) for (b, _), (_, at) in zip(powers, node.factors, strict=True)]
            return product(1, factors, list(node.out), dict(enumerate(node.extents)), node.type)
    return None


RULES = (
    Rule("softplus", "log(v + c eˣ) → log v + softplus(x + log(c/v))", log_of_one_plus_exp, "log"),
    Rule("softplus-log1p", "log1p(eˣ) → softplus(x)", log_of_one_plus_exp, "log1p", "exp"),
    Rule("log-one-less-sigmoid", "log1p(−σ(x)) → −softplus(x)", log_of_one_less_sigmoid, "log1p"),
    Rule("log1p", "log(1 + x) → log1p(x)", log_of_one_plus, "log"),
    Rule("log-product", "log(y eˣ) → log y + x, for σ(x), softmax x, Σ eˣ too", log_of_product, "log"),
    Rule("logaddexp", "log(eˣ + eᶻ) → logaddexp(x, z)", log_of_exponentials, "log"),
    Rule("log-cosh", "log(c cosh x) → softplus(2x) − x + log(c/2)", log_of_cosh, "log"),
    Rule("expm1", "eˣ − 1 → expm1(x)", exp_less_one, "Add", "exp"),
    Rule("sigmoid", "1 / (1 + eˣ)ⁿ → σ(−x)ⁿ", inverse_of_one_plus_exp, "power"),
    Rule("exp-sigmoid", "eˣ σ(−x)ⁿ → σ(x) σ(−x)ⁿ⁻¹", exp_times_sigmoid, "Product", "exp"),
    Rule("one-less-sigmoid", "1 − σ(x) → σ(−x)", one_less_sigmoid, "Add", "sigmoid"),
    Rule("sigmoid-difference", "σ(x) σ(−x)² − σ(x)² σ(−x) → −σ(x) σ(−x) tanh(x/2)", sigmoid_difference, "Add"),
    Rule("sinh-cosh", "eˣ ± e⁻ˣ → 2 cosh(x) or 2 sinh(x)", sum_of_exponentials, "Add", "exp"),
    Rule("tanh", "sinh(x)/cosh(x) → tanh(x)", sinh_over_cosh, "Product", "sinh"),
    Rule("tanh-sigmoid", "expm1(x) σ(−x) → tanh(x/2)", expm1_times_sigmoid, "Product", "expm1"),
    Rule("softmax", "eˣ / Σ eᶻ → e^(x − logsumexp z)", exp_over_sum_of_exp, "Product", "exp"),
    Rule("xlogx", "x log x → xlogy(x, x)", x_log_y, "Product", "log"),
    Rule("hypot", "√(x² + y²) → hypot(x, y)", root_of_two_squares, "sqrt"),
)
