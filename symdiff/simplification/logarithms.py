"""Logarithms of exponentials, of their products, powers and sums: the exponential never stands alone."""

from __future__ import annotations

import math

from symdiff.expression import Add, Node, Number, Product
from symdiff.functions.row import ROWS
from symdiff.normal_form import add, map_node, number_of, product, scale
from symdiff.normal_form.numbers import exact, times
from symdiff.normal_form.sums import terms_of, unscaled
from symdiff.simplification.exponents import exponential_of, one
from symdiff.simplification.patterns import is_map, is_minus, one_plus

BASES = {"log": 1.0, "log2": math.log(2.0), "log10": math.log(10.0)}


def log_of_exponential(node: Node) -> Node | None:
    """log(y eˣ) → log y + x; sums of exponentials, σ(x), softmax x and their powers are exponentials too."""
    found = exponential_of(node.children[0])
    if found is None or found.terms[0][1].type != node.type:
        return None
    base = BASES[node.function.name]
    terms = found.terms if base == 1 else [(times(c, 1 / base), t) for c, t in found.terms]
    if found.rest is not None:
        terms = [*terms, (1, map_node(node.function, (found.rest,)))]
    return add(terms, node.type)


def log_of_one_plus_exponential(node: Node) -> Node | None:
    """log1p(eˣ) → softplus(x), log1p(−eˣ) → log1mexp(−x), log1p(−σ(x)) → −softplus(x)."""
    c, inner = unscaled(node.children[0])
    if is_map(inner, "sigmoid") and c == -1:
        return scale(-1, map_node(ROWS["softplus"], inner.children))
    found = exponential_of(scale(exact(abs(c)), inner))
    if found is None or found.rest is not None or found.terms[0][1].type != node.type:
        return None
    x = add(found.terms, node.type)
    return map_node(ROWS["softplus"], (x,)) if c > 0 else map_node(ROWS["log1mexp"], (scale(-1, x),))


def log_of_exp_less_one(node: Node) -> Node | None:
    """log(eˣ − 1) → x + log1mexp(x), log(1 − eˣ) → log1mexp(−x), also times a positive number."""
    c, inner = unscaled(node.children[0])
    if not is_map(inner, "expm1") or inner.type != node.type or c == 0:
        return None
    x = inner.children[0]
    terms: list[tuple[Number, Node]] = [(1, x), (1, map_node(ROWS["log1mexp"], (x,)))] if c > 0 else [
        (1, map_node(ROWS["log1mexp"], (scale(-1, x),)))]
    return add(terms if abs(c) == 1 else [*terms, (math.log(c if c > 0 else -c), one(node))], node.type)


def log_of_hyperbola(node: Node) -> Node | None:
    """log(x + √(x² + 1)) → asinh(x)."""
    arg = node.children[0]
    if not isinstance(arg, Add) or len(arg.terms) != 2:
        return None
    for (c, t), (b, h) in (arg.terms, arg.terms[::-1]):
        x = scale(c, t)
        if b == 1 and is_map(h, "hypot") and x.type == node.type and any(
                number_of(one) == 1 and (side is x or is_minus(side, x)) for side, one in (h.children, h.children[::-1])):
            return map_node(ROWS["asinh"], (x,))
    return None


def log_of_one_plus(node: Node) -> Node | None:
    """log(1 + x) → log1p(x)."""
    parts = one_plus(node.children[0])
    return map_node(ROWS["log1p"], (scale(parts[0], parts[1]),)) if parts else None


def weighted_log(node: Node) -> Node | None:
    """xlogy(w, eˣ) → w x, and 0 where w is 0; xlog1py(w, eˣ) → w softplus(x) likewise."""
    w, u = node.children
    row = ROWS["log" if is_map(node, "xlogy") else "log1p"]
    logarithm = map_node(row, (u,))
    made = log_of_exponential(logarithm) if is_map(logarithm, "log") else (
        log_of_one_plus_exponential(logarithm) if is_map(logarithm, "log1p") else None)
    if made is None or made.type != w.type or any(is_map(t, "log") for _, t in terms_of(made)):
        return None
    return map_node(ROWS["weighted"], (w, made))


def softplus_with_its_argument(node: Node) -> Node | None:
    """c softplus(x) − c x → c softplus(−x), c logaddexp(x, z) − c x → c softplus(z − x), softplus(x) − softplus(−x) → x."""
    assert isinstance(node, Add)
    for k, (c, t) in enumerate(node.terms):
        for j, (b, u) in enumerate(node.terms if is_map(t, "softplus") else ()):
            if is_map(u, "softplus") and exact(b + c) == 0 and is_minus(t.children[0], u.children[0]):
                return add([*[term for i, term in enumerate(node.terms) if i not in (j, k)], (c, t.children[0])], node.type)
        for position, x in enumerate(t.children if is_map(t, "softplus") or is_map(t, "logaddexp") else ()):
            places = [next((j for j, (b, u) in enumerate(node.terms) if j != k and u is s and exact(b + times(c, a)) == 0), None)
                      for a, s in terms_of(x)]
            if None in places or number_of(x) is not None:
                continue
            inner = scale(-1, x) if len(t.children) == 1 else add([(1, t.children[1 - position]), (-1, x)], x.type)
            rest = [term for j, term in enumerate(node.terms) if j != k and j not in places]
            return add([*rest, (c, map_node(ROWS["softplus"], (inner,)))], node.type)
    return None


def x_log_y(node: Node) -> Node | None:
    """x log x → xlogy(x, x), which is 0 at 0; xᵖ log x and what is built of it likewise."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "log"):
            continue
        for j, (g, there) in enumerate(node.factors):
            if j != k and there == at and g.type == f.type and vanishes_with(g, f.children[0]):
                left = [term for i, term in enumerate(node.factors) if i not in (j, k)]
                return product(node.coefficient, [*left, (map_node(ROWS["xlogy"], (g, f.children[0])), at)],
                               list(node.out), dict(enumerate(node.extents)), node.type)
    return None


def vanishes_with(g: Node, x: Node) -> bool:
    """Whether g is x, xᵖ with an exponent that is no number, or such a one in w xᵖ and xᵖ log x."""
    while is_map(g, "weighted") or is_map(g, "xlogy"):
        if is_map(g, "weighted"):
            g = g.children[1]
        elif g.children[1] is x:
            return True
        else:
            g = g.children[0]
    return g is x or (is_map(g, "power") and g.children[0] is x and number_of(g.children[1]) is None)


