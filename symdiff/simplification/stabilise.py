"""Stabilising rules: formulas that lose digits or overflow become functions with rules of their own."""

from __future__ import annotations

from symdiff.expression import Add, Map, Node, Product, Reduce
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.index_notation import Index
from symdiff.normal_form import add, expand, map_node, number, number_of, product, reduce_node, scale
from symdiff.normal_form.numbers import base_and_exponent, exact
from symdiff.simplification.rule import Rule


def is_map(node: Node, name: str) -> bool:
    """Whether the node is the scalar function `name`."""
    return isinstance(node, Map) and node.function.name == name


def one_plus(node: Node) -> tuple[int, Node] | None:
    """(sign, x) where the node is 1 ± x, given as a sum of two terms."""
    if not isinstance(node, Add) or len(node.terms) != 2:
        return None
    for (c, t), (k, u) in (node.terms, node.terms[::-1]):
        value = number_of(t)
        if value is not None and exact(c * value) == 1 and k in (1, -1):
            return int(k), u
    return None


def log_of_one_plus_exp(node: Node) -> Node | None:
    """log(1 + eˣ) → softplus(x)."""
    if not is_map(node, "log") and not is_map(node, "log1p"):
        return None
    arg = node.children[0]
    parts = one_plus(arg) if is_map(node, "log") else (1, arg)
    if parts is None or parts[0] != 1 or not is_map(parts[1], "exp"):
        return None
    return map_node(ROWS["softplus"], parts[1].children)


def log_of_one_plus(node: Node) -> Node | None:
    """log(1 + x) → log1p(x)."""
    if not is_map(node, "log"):
        return None
    parts = one_plus(node.children[0])
    return map_node(ROWS["log1p"], (scale(parts[0], parts[1]),)) if parts else None


def exp_less_one(node: Node) -> Node | None:
    """eˣ − 1 → expm1(x)."""
    if not isinstance(node, Add):
        return None
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
    """eˣ σ(−x) → σ(x): eˣ/(1 + eˣ) never overflows."""
    if not isinstance(node, Product) or node.is_core:
        return None
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "exp"):
            continue
        wanted = map_node(ROWS["sigmoid"], (scale(-1, f.children[0]),))
        for j, (g, there) in enumerate(node.factors):
            if g is wanted and there == at:
                rest = [factor for i, factor in enumerate(node.factors) if i not in (j, k)]
                merged = [(map_node(ROWS["sigmoid"], f.children), at), *rest]
                return product(node.coefficient, merged, list(node.out), dict(enumerate(node.extents)), node.type)
    return None


def log_of_sigmoid(node: Node) -> Node | None:
    """log σ(x) → −softplus(−x)."""
    if not is_map(node, "log") or not is_map(node.children[0], "sigmoid"):
        return None
    return scale(-1, map_node(ROWS["softplus"], (scale(-1, node.children[0].children[0]),)))


def one_less_sigmoid(node: Node) -> Node | None:
    """log(1 − σ(x)) → −softplus(x)."""
    if not is_map(node, "log") and not is_map(node, "log1p"):
        return None
    arg = node.children[0]
    parts = one_plus(arg) if is_map(node, "log") else None
    if is_map(node, "log1p") and isinstance(arg, Product) and arg.coefficient == -1 and len(arg.factors) == 1:
        parts = (-1, arg.factors[0][0])
    if parts is None or parts[0] != -1 or not is_map(parts[1], "sigmoid"):
        return None
    return scale(-1, map_node(ROWS["softplus"], parts[1].children))


def log_of_exp(node: Node) -> Node | None:
    """log eˣ → x."""
    return node.children[0].children[0] if is_map(node, "log") and is_map(node.children[0], "exp") else None


def log_of_softmax(node: Node) -> Node | None:
    """log e^(x − m) → x − m, also where it is a softmax."""
    if not is_map(node, "log") or not is_map(node.children[0], "exp_difference"):
        return None
    x, m = node.children[0].children
    return add([(1, x), (-1, m)], node.type)


def log_of_sum_of_exp(node: Node) -> Node | None:
    """log Σ eˣ → logsumexp(x) over any of the axes of x."""
    if not is_map(node, "log"):
        return None
    found = sum_of_exp(node.children[0])
    if found is None:
        return None
    x, axes = found
    return reduce_node(REDUCTIONS["logsumexp"], x, axes)


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
    """eˣ / Σ eˣ → softmax(x), as e^(x − logsumexp x)."""
    if not isinstance(node, Product):
        return None
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "exp"):
            continue
        for j, (g, there) in enumerate(node.factors):
            base, p = base_and_exponent(g)
            found = sum_of_exp(base) if p == -1 else None
            if found is None or found[0] is not f.children[0]:
                continue
            kept = tuple(a for a in range(f.ndim) if a not in found[1])
            if tuple(at[a] for a in kept) != there:
                continue
            lse = expand(reduce_node(REDUCTIONS["logsumexp"], found[0], found[1]), f.shape, kept)
            p_node = map_node(ROWS["exp_difference"], (found[0], lse))
            rest = [factor for i, factor in enumerate(node.factors) if i not in (j, k)]
            return product(node.coefficient, [(p_node, at), *rest], list(node.out), dict(enumerate(node.extents)), node.type)
    return None


def x_log_y(node: Node) -> Node | None:
    """x log x → xlogy(x, x), which is 0 at 0."""
    if not isinstance(node, Product):
        return None
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "log"):
            continue
        for j, (g, there) in enumerate(node.factors):
            if g is f.children[0] and there == at:
                rest = [factor for i, factor in enumerate(node.factors) if i not in (j, k)]
                factors: list[tuple[Node, tuple[Index, ...]]] = [(map_node(ROWS["xlogy"], (g, g)), at), *rest]
                return product(node.coefficient, factors, list(node.out), dict(enumerate(node.extents)), node.type)
    return None


def root_of_two_squares(node: Node) -> Node | None:
    """√(x² + y²) → hypot(x, y)."""
    if not is_map(node, "sqrt") or not isinstance(node.children[0], Add):
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
    Rule("softplus", "log(1 + eˣ) → softplus(x)", log_of_one_plus_exp, "log"),
    Rule("softplus", "log1p(eˣ) → softplus(x)", log_of_one_plus_exp, "log1p", "exp"),
    Rule("log-sigmoid", "log σ(x) → −softplus(−x)", log_of_sigmoid, "log", "sigmoid"),
    Rule("log-one-less-sigmoid", "log(1 − σ(x)) → −softplus(x)", one_less_sigmoid, "log"),
    Rule("log-one-less-sigmoid", "log1p(−σ(x)) → −softplus(x)", one_less_sigmoid, "log1p"),
    Rule("log1p", "log(1 + x) → log1p(x)", log_of_one_plus, "log"),
    Rule("expm1", "eˣ − 1 → expm1(x)", exp_less_one, "Add", "exp"),
    Rule("sigmoid", "1 / (1 + eˣ)ⁿ → σ(−x)ⁿ", inverse_of_one_plus_exp, "power"),
    Rule("exp-sigmoid", "eˣ σ(−x) → σ(x)", exp_times_sigmoid, "Product", "exp"),
    Rule("log-exp", "log eˣ → x", log_of_exp, "log", "exp"),
    Rule("log-softmax", "log softmax(x) → x − logsumexp(x)", log_of_softmax, "log", "exp_difference"),
    Rule("logsumexp", "log Σ eˣ → logsumexp(x)", log_of_sum_of_exp, "log"),
    Rule("softmax", "eˣ / Σ eˣ → softmax(x)", exp_over_sum_of_exp, "Product", "exp"),
    Rule("xlogx", "x log x → xlogy(x, x)", x_log_y, "Product", "log"),
    Rule("hypot", "√(x² + y²) → hypot(x, y)", root_of_two_squares, "sqrt"),
)
