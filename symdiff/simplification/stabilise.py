"""Stabilising rules: formulas that lose digits or overflow become functions with rules of their own."""

from __future__ import annotations

from symdiff.expression import Add, Factor, Node, Product
from symdiff.functions.row import ROWS
from symdiff.normal_form import add, map_node, number, number_of, scale
from symdiff.normal_form.numbers import exact
from symdiff.simplification.hyperbolic import (
    expm1_times_sigmoid,
    one_less_sigmoid,
    one_less_tanh_squared,
    one_plus_tanh,
    sigmoid_difference,
    sinh_over_cosh,
    sum_of_exponentials,
)
from symdiff.simplification.lengths import power_of_squares, root_of_squares, side_over_length, side_over_whole_length
from symdiff.simplification.logarithms import (
    log_of_exp_less_one,
    log_of_exponential,
    log_of_hyperbola,
    log_of_one_plus,
    log_of_one_plus_exponential,
    softplus_with_its_argument,
    weighted_log,
    x_log_y,
)
from symdiff.simplification.patterns import is_map, powers_of, with_factors
from symdiff.simplification.quotients import (
    exponential_over_sum,
    exponentials_together,
    one_less_share,
    power_of_exponential,
    root_of_exponential,
)
from symdiff.simplification.rule import Rule


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


def exp_over_expm1(node: Node) -> Node | None:
    """eˣ / expm1(x)ⁿ → −1/(expm1(−x) expm1(x)ⁿ⁻¹): eˣ/(eˣ − 1) never overflows."""
    assert isinstance(node, Product)
    for k, (f, at) in enumerate(node.factors):
        if not is_map(f, "exp"):
            continue
        for j, (g, p, there) in enumerate(powers_of(node)):
            if is_map(g, "expm1") and there == at and isinstance(p, int) and p < 0 and g.children[0] is f.children[0]:
                other = map_node(ROWS["expm1"], (scale(-1, f.children[0]),))
                left: list[Factor] = [] if p == -1 else [
                    (map_node(ROWS["power"], (g, number(p + 1, g.dtype, g.shape))), at)]
                made = map_node(ROWS["power"], (other, number(-1, g.dtype, g.shape)))
                return with_factors(node, {k: [(made, at)], j: left}, -1)
    return None


# How much more a formula may cost that never overflows: a pass to find the largest exponent, a second function.
A_PASS = 2.0
RULES = (
    Rule("log-exp", "log(y eˣ) → log y + x, for σ(x), softmax x, Σ w eˣ too", log_of_exponential, "log", worth=A_PASS),
    Rule("log2-exp", "log₂(y eˣ) → log₂ y + x/log 2", log_of_exponential, "log2", worth=A_PASS),
    Rule("log10-exp", "log₁₀(y eˣ) → log₁₀ y + x/log 10", log_of_exponential, "log10", worth=A_PASS),
    Rule("log-expm1", "log(expm1(x)) → x + log(1 − e⁻ˣ)", log_of_exp_less_one, "log", ("expm1",), worth=A_PASS),
    Rule("log-minus-expm1", "log(−c expm1(x)) → log c + log(1 − eˣ)", log_of_exp_less_one, "log", worth=A_PASS),
    Rule("log1p-exp", "log1p(eˣ) → softplus(x), log1p(−eˣ) → log(1 − eˣ)", log_of_one_plus_exponential, "log1p"),
    Rule("asinh", "log(x + √(x² + 1)) → asinh(x)", log_of_hyperbola, "log"),
    Rule("log1p", "log(1 + x) → log1p(x)", log_of_one_plus, "log"),
    Rule("xlogy-exp", "xlogy(w, eˣ) → w x", weighted_log, "xlogy", worth=A_PASS),
    Rule("xlog1py-exp", "xlog1py(w, eˣ) → w softplus(x)", weighted_log, "xlog1py", worth=A_PASS),
    Rule("softplus", "softplus(x) − x → softplus(−x)", softplus_with_its_argument, "Add", ("softplus",)),
    Rule("logaddexp", "logaddexp(x, z) − x → softplus(z − x)", softplus_with_its_argument, "Add", ("logaddexp",),
         worth=A_PASS),
    Rule("expm1", "eˣ − 1 → expm1(x)", exp_less_one, "Add", ("exp",)),
    Rule("exp-expm1", "eˣ / expm1(x)ⁿ → −1/(expm1(−x) expm1(x)ⁿ⁻¹)", exp_over_expm1, "Product", ("exp",),
         worth=A_PASS),
    Rule("exp-power", "(Σ eˣ)ᵖ → e^(p logsumexp x), (v + eˣ)⁻ᵖ → v⁻ᵖ σ(log v − x)ᵖ", power_of_exponential, "power",
         worth=A_PASS),
    Rule("exp-root", "√eˣ → e^(x/2)", root_of_exponential, "sqrt"),
    Rule("softmax", "eˣ / Σ eᶻ → e^(x − logsumexp z), eˣ/(eˣ + eᶻ) → σ(x − z)", exponential_over_sum, "Product",
         ("exp", "sigmoid", "cosh"), worth=A_PASS),
    Rule("exp-exp", "eˣ eᶻ → e^(x + z)", exponentials_together, "Product", ("exp",)),
    Rule("one-less-sigmoid", "1 − σ(x) → σ(−x)", one_less_sigmoid, "Add", ("sigmoid",)),
    Rule("one-less-softmax", "1 − softmax(z)ₖ → Σ of the others", one_less_share, "Add",
         ("exp_difference",), worth=A_PASS),
    Rule("sigmoid-difference", "y σ(−x) − y σ(x) → −y tanh(x/2), y − y σ(x) → y σ(−x)", sigmoid_difference, "Add",
         ("sigmoid",)),
    Rule("one-plus-tanh", "1 ± tanh(x) → 2 σ(±2x)", one_plus_tanh, "Add", ("tanh",)),
    Rule("one-less-tanh-squared", "1 − tanh²(x) → sech²(x)", one_less_tanh_squared, "Add", ("tanh",)),
    Rule("sinh-cosh", "eˣ ± e⁻ˣ → 2 cosh(x) or 2 sinh(x)", sum_of_exponentials, "Add", ("exp",)),
    Rule("tanh", "sinh(x)/cosh(x) → tanh(x)", sinh_over_cosh, "Product", ("sinh",)),
    Rule("tanh-sigmoid", "expm1(x) σ(−x) → tanh(x/2)", expm1_times_sigmoid, "Product", ("expm1",)),
    Rule("xlogx", "x log x → xlogy(x, x), for xᵖ log x too", x_log_y, "Product", ("log",)),
    Rule("hypot", "√(x² + y²) → hypot(x, y)", root_of_squares, "sqrt"),
    Rule("direction", "x / hypot(x, y)ⁿ → direction(x, y) / hypot(x, y)ⁿ⁻¹", side_over_length, "Product",
         ("hypot",), worth=A_PASS),
    Rule("direction-direction", "direction(x, y) direction(hypot(x, y), z) → direction(x, hypot(y, z))", side_over_whole_length,
         "Product", ("direction",), worth=A_PASS),
    Rule("hypot-power", "(x² + y²)^(p/2) → hypot(x, y)ᵖ", power_of_squares, "power"),
)
