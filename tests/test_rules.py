"""Every rule of simplification on a sample, and the stable forms against mpmath: values and two derivatives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import symdiff as sd
from symdiff.evaluation import evaluate_nodes
from symdiff.expression import Node
from symdiff.functions import ROWS
from symdiff.normal_form import product
from symdiff.simplification.phases import BEFORE, PHASES
from symdiff.simplification.rule import Rule, apply_rules, cost
from symdiff.traversal import topological

RULES = list(dict.fromkeys(rule for _, rules in PHASES for rule in rules))
SPECIAL = (800.0, -800.0, 1e-18, -1e-18, 0.0, 1.0, 40.0, -40.0, math.inf, -math.inf, math.nan)

x, y = sd.symbol("x"), sd.symbol("y")
v = sd.symbol("v", 3)
e = sd.exp

# An expression on which the rule fires; a rule without one fails.
SAMPLES: dict[str, Any] = {
    "log-exp": sd.log(v @ e(v)) + sd.log(y * e(x) * sd.sigmoid(y)) + sd.log(2 + 3 * e(x)) + sd.log(3 * sd.cosh(x)),
    "log2-exp": sd.log2(1 + e(x)),
    "log10-exp": sd.log10(y * sd.sqrt(e(x) + 2 * e(y))),
    "log-expm1": sd.log(sd.expm1(x)),
    "log-minus-expm1": sd.log(-3 * sd.expm1(x)),
    "log1p-exp": sd.log1p(e(x)) + sd.log1p(-e(-x)) + sd.log1p(-sd.sigmoid(x)),
    "log1p": sd.log(1 - x),
    "xlogy-exp": sd.xlogy(y, sd.sigmoid(x)),
    "xlog1py-exp": sd.special.xlog1py(y, e(x)),
    "softplus": 2 * sd.softplus(3 * x) - 6 * x + y + sd.softplus(y) - sd.softplus(-y),
    "logaddexp": 2 * sd.logaddexp(x, y) - 2 * y,
    "expm1": 2 * e(x) + y - 2,
    "exp-expm1": y * e(x) / sd.expm1(x) ** 2,
    "asinh": sd.log(2 * abs(x) + sd.hypot(2 * abs(x), 1)),
    "direction": y * sd.hypot(2 * y, x) ** -2,
    "exp-root": sd.sqrt(e(x)),
    "exp-power": (2 + e(x)) ** -2 * e(y) ** 3 / sd.sum(v * e(v)),
    "softmax": v * e(v) * e(-sd.logsumexp(v)) + e(x) * sd.sigmoid(-x) ** 2 + e(-x) / sd.cosh(x) ** 2 + (
        sd.sum(v * e(2 * v)) * e(-sd.logsumexp(v))) + (y + 2 * e(x)) * sd.sigmoid(-x) + e(2 * x) * sd.sigmoid(-x) ** 3,
    "exp-exp": e(x) * e(y) * ROWS["exp_difference"](x, y) * x,
    "one-less-sigmoid": 2 - 2 * sd.sigmoid(x) + y,
    "one-less-softmax": y + 2 - 2 * sd.softmax(v)[0],
    "sigmoid-difference": y * sd.sigmoid(x) * sd.sigmoid(-x) ** 2 - y * sd.sigmoid(x) ** 2 * sd.sigmoid(-x),
    "one-plus-tanh": 2 - 2 * sd.tanh(x) + y,
    "one-less-tanh-squared": 3 - 3 * sd.tanh(x) ** 2 + y,
    "sinh-cosh": e(2 * x) - e(-2 * x) + y,
    "tanh": sd.sinh(x) / sd.cosh(x) ** 2,
    "tanh-sigmoid": sd.expm1(x) * sd.sigmoid(-x) * y,
    "xlogx": v * sd.log(v) + sd.log(y) * y**x,
    "hypot": sd.sqrt(x**2 + 2 * y**2 + 3),
    "hypot-power": (x**2 + y**2) ** 1.5,
    "direction-direction": 3 * ROWS["direction"](y, x) ** 2 * ROWS["direction"](sd.hypot(x, y), x + 2),
    "cancel": product(3, [(e(v), (0,)), (v**-3, (0,)), (v**2, (0,))], [0], {0: 3}, v.type),
    "ratio": ROWS["ratio"](v, v),
}
# More shapes of the same identities: each must become the form named.
FORMS: list[tuple[Any, Any]] = [
    (sd.log(1 + e(x)), sd.softplus(x)), (sd.log(e(-x) + 1), sd.softplus(-x)), (sd.log1p(e(v)), sd.softplus(v)),
    (1 / (1 + e(-x)), sd.sigmoid(x)), (e(x) / (1 + e(x)), sd.sigmoid(x)), (1 - 1 / (1 + e(-x)), sd.sigmoid(-x)),
    (e(-x) / (1 + e(-x)) ** 2, sd.sigmoid(x) * sd.sigmoid(-x)), (sd.log(sd.sigmoid(x)), -sd.softplus(-x)),
    (sd.log(1 - sd.sigmoid(x)), -sd.softplus(x)), (sd.log(1 / (1 + e(-v))), -sd.softplus(-v)), (sd.log(e(v)), v),
    (2 * sd.sigmoid(2 * x) - 1, sd.tanh(x)), ((e(x) - e(-x)) / (e(x) + e(-x)), sd.tanh(x)),
    ((e(2 * x) - 1) / (e(2 * x) + 1), sd.tanh(x)), (sd.log(sd.sum(e(v))), sd.logsumexp(v)),
    (e(v) / sd.sum(e(v)), sd.softmax(v)), (sd.log(sd.softmax(v)), sd.log_softmax(v)),
    (-sd.log(sd.softmax(v)[1]), sd.logsumexp(v) - v[1]), (sd.log(e(v[1]) / sd.sum(e(v))), v[1] - sd.logsumexp(v)),
    (sd.log(e(v) / sd.sum(e(v))), sd.log_softmax(v)), (sd.sqrt(x * x + y * y), sd.hypot(x, y)),
    (sd.log(e(x) + e(y)), sd.logaddexp(x, y)), (e(x) - 1, sd.expm1(x)), (sd.log(1 + x), sd.log1p(x)),
]


def of_rules(test: Any) -> Any:
    return pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])(test)


def value(node: Node, values: dict[Node, Any]) -> Any:
    return evaluate_nodes([node], {s: np.asarray(a) for s, a in values.items()}, {})[0]


def rewritten(rule: Rule) -> tuple[Node, Node]:
    sample = SAMPLES[rule.name]
    return sample, apply_rules([sample], (rule,))[0]


def test_names_are_distinct() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(SAMPLES) == set(names)


@of_rules
def test_rule_fires_and_settles(rule: Rule) -> None:
    before, after = rewritten(rule)
    assert after is not before, f"{rule.identity} does not fire on {before}"
    assert apply_rules([after], (rule,))[0] is after
    assert cost([after]) <= rule.worth * cost([before])
    assert after.type == before.type
    assert sd.simplify(sd.simplify(before)) is sd.simplify(before)


@of_rules
def test_rule_keeps_the_value(rule: Rule) -> None:
    before, after = rewritten(rule)
    rng = np.random.default_rng(11)
    points = [{x: rng.uniform(-3, 0.9), y: rng.uniform(0.1, 3), v: rng.uniform(0.1, 3, 3)} for _ in range(40)]
    # Collecting rules remove singularities, and are for derivatives only.
    for a, b in itertools.product(SPECIAL if rule in BEFORE else (), (1.0, 800.0, -800.0, 1e-18, math.nan)):
        points.append({x: a, y: b, v: np.array([a, b, 0.5])})
    for point in points:
        ours, theirs = value(after, point), value(before, point)
        finite = np.isfinite(theirs)
        np.testing.assert_allclose(np.where(finite, ours, 0), np.where(finite, theirs, 0), rtol=1e-11, atol=1e-14,
                                   err_msg=str(point))
        # hypot(inf, nan) is inf by IEEE 754.
        if any(np.isnan(point[s]).any() for s in point if s in set(topological([before]))):
            assert not np.isfinite(ours).all(), f"{rule.name} loses NaN at {point}"


@of_rules
def test_rule_keeps_the_value_where_two_operands_are_one(rule: Rule) -> None:
    merged = sd.substitute(SAMPLES[rule.name], {y: x})
    rng = np.random.default_rng(12)
    for form in (merged, merged - x, merged * x):
        after = apply_rules([form], tuple(RULES))[0]
        for _ in range(10):
            point = {x: rng.uniform(0.1, 0.9), v: rng.uniform(0.1, 3, 3)}
            np.testing.assert_allclose(value(after, point), value(form, point), rtol=1e-11, atol=1e-14, err_msg=f"{form} → {after}")


def test_softplus_of_one_operand_twice() -> None:
    assert sd.simplify(sd.logaddexp(v, v) - v) is not sd.simplify(sd.softplus(-v))
    np.testing.assert_allclose(value(sd.simplify(sd.logaddexp(v, v) - v), {v: np.array([0.1, 2.0, -3.0])}), np.log(2), rtol=1e-15)


@pytest.mark.parametrize(("written", "form"), FORMS, ids=[str(written) for written, _ in FORMS])
def test_forms_as_users_write_them(written: Any, form: Any) -> None:
    assert sd.simplify(written) is sd.simplify(form)


def test_a_divisor_read_across_keeps_its_axes() -> None:
    M = sd.symbol("M", (3, 3))
    for f in (e(M) * sd.sigmoid(-M).T, e(M) * sd.cosh(M).T ** -2, sd.sum(e(M) * e(-sd.logsumexp(M, axis=0))[:, None]),
              (e(M) @ v) / sd.sum(e(M), 0)):
        point = {M: np.array([[0.1, 0.5, -0.3], [0.7, -0.2, 0.4], [-0.6, 0.2, 0.9]]), v: np.array([1.0, 2.0, -0.5])}
        np.testing.assert_allclose(value(sd.simplify(f), point), value(f, point), rtol=1e-13)


def test_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    traced = sd.symbol("traced")
    monkeypatch.setenv("SYMDIFF_DEBUG", "2")
    sd.simplify(sd.log(1 + sd.exp(traced)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("symdiff: log-exp: ") and "softplus(traced)" in lines[0] and "test_rules.py" in lines[0]


def sigma(t: Any) -> Any:
    return 1 / (1 + mp.exp(-t))


def softplus(t: Any) -> Any:
    return mp.log1p(mp.exp(t))


# What is written, what it is.
SCALARS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "log(1+e^x)": (sd.log(1 + e(x)), softplus),
    "log(1+e^-x)": (sd.log(1 + e(-x)), lambda t: softplus(-t)),
    "log1p(e^x)": (sd.log1p(e(x)), softplus),
    "softplus": (sd.softplus(x), softplus),
    "log(1+3e^x)": (sd.log(1 + 3 * e(x)), lambda t: mp.log1p(3 * mp.exp(t))),
    "1/(1+e^-x)": (1 / (1 + e(-x)), sigma),
    "1/(1+e^x)": (1 / (1 + e(x)), lambda t: sigma(-t)),
    "e^x/(1+e^x)": (e(x) / (1 + e(x)), sigma),
    "sigmoid": (sd.sigmoid(x), sigma),
    "1-sigmoid": (1 - sd.sigmoid(x), lambda t: sigma(-t)),
    "sigmoid (1-sigmoid)": (sd.sigmoid(x) * (1 - sd.sigmoid(x)), lambda t: sigma(t) * sigma(-t)),
    "x sigmoid": (x * sd.sigmoid(x), lambda t: t * sigma(t)),
    "log sigmoid": (sd.log(sd.sigmoid(x)), lambda t: -softplus(-t)),
    "log 1/(1+e^-x)": (sd.log(1 / (1 + e(-x))), lambda t: -softplus(-t)),
    "log(1-sigmoid)": (sd.log(1 - sd.sigmoid(x)), lambda t: -softplus(t)),
    "log(1-1/(1+e^-x))": (sd.log(1 - 1 / (1 + e(-x))), lambda t: -softplus(t)),
    "log(e^x/(1+e^x))": (sd.log(e(x) / (1 + e(x))), lambda t: -softplus(-t)),
    "cross-entropy of a bit": (-(0.25 * sd.log(sd.sigmoid(x)) + 0.75 * sd.log(1 - sd.sigmoid(x))),
                               lambda t: (softplus(-t) + 3 * softplus(t)) / 4),
    "e^x-1": (e(x) - 1, mp.expm1),
    "1-e^-x": (1 - e(-x), lambda t: -mp.expm1(-t)),
    "log(1+x)": (sd.log(1 + x), mp.log1p),
    "log(1-x)": (sd.log(1 - x), lambda t: mp.log1p(-t)),
    "log(1+x^2)": (sd.log(1 + x**2), lambda t: mp.log1p(t * t)),
    "tanh": (sd.tanh(x), mp.tanh),
    "tanh of exponentials": ((e(x) - e(-x)) / (e(x) + e(-x)), mp.tanh),
    "tanh of e^2x": ((e(2 * x) - 1) / (e(2 * x) + 1), mp.tanh),
    "2 sigmoid(2x)-1": (2 * sd.sigmoid(2 * x) - 1, mp.tanh),
    "log cosh": (sd.log(sd.cosh(x)), lambda t: softplus(2 * t) - t - mp.log(2)),
}
# Here 1 − tanh² or a difference of logarithms is small beside 1: held to a few units of the last place of 1.
NEAR_ONE = {name for name in SCALARS if "tanh" in name or "cosh" in name or name == "2 sigmoid(2x)-1"}
POINTS = (800.0, -800.0, 1e-18, -1e-18, 40.0, -40.0, 0.0, 1.0, -0.5, 20.0, -20.0, 700.0, -700.0, 1e-8)


def agrees(ours: float, theirs: Any, absolute: float = 0.0) -> bool:
    """Whether a number is right to 1e-12; below 1e-300 and beyond the largest float its size is all that is asked."""
    if abs(theirs) < mp.mpf("1e-300"):
        return bool(abs(ours) <= max(1e-299, absolute))
    if abs(theirs) > mp.mpf("1.79e308"):
        return math.isinf(ours)
    return bool(abs(ours - theirs) <= 1e-12 * abs(theirs) + absolute)


@pytest.mark.parametrize("name", SCALARS)
def test_value_and_two_derivatives(name: str) -> None:
    f, oracle = SCALARS[name]
    gradient = sd.grad(f, x)
    nodes = [sd.simplify(f), gradient, sd.grad(gradient, x), sd.hessian(f, x)]
    for point in POINTS:
        if (name == "log(1+x)" and point <= -1) or (name == "log(1-x)" and point >= 1):
            continue
        ours = [float(a) for a in evaluate_nodes(nodes, {x: np.asarray(point)}, {})]
        with mp.workdps(340):
            exact = [oracle(mp.mpf(point)), mp.diff(oracle, mp.mpf(point)), mp.diff(oracle, mp.mpf(point), 2)]
            for k, (a, b) in enumerate(zip(ours, [*exact, exact[2]], strict=True)):
                assert agrees(a, b, 1e-15 if name in NEAR_ONE else 0.0), (point, k, a, mp.nstr(b, 17))


def lse(t: Any) -> Any:
    return mp.log(mp.fsum(mp.exp(s) for s in t))


def norm(t: Any) -> Any:
    return mp.sqrt(t[0] ** 2 + t[1] ** 2)


hot = sd.constant(np.array([0.0, 1.0, 0.0]))
VECTORS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "log sum exp": (sd.log(sd.sum(e(v))), lse),
    "logsumexp": (sd.logsumexp(v), lse),
    "log mean exp": (sd.log(sd.mean(e(v))), lambda t: lse(t) - mp.log(3)),
    "log of three exponentials": (sd.log(e(v[0]) + e(v[1]) + e(v[2])), lse),
    "softmax": (sd.softmax(v)[0], lambda t: mp.exp(t[0] - lse(t))),
    "softmax as written": ((e(v) / sd.sum(e(v)))[0], lambda t: mp.exp(t[0] - lse(t))),
    "softmax of one": (e(v[0]) / sd.sum(e(v)), lambda t: mp.exp(t[0] - lse(t))),
    "softmax shifted": ((e(v - sd.max(v)) / sd.sum(e(v - sd.max(v))))[1], lambda t: mp.exp(t[1] - lse(t))),
    "-log softmax[i]": (-sd.log(sd.softmax(v)[1]), lambda t: lse(t) - t[1]),
    "-log_softmax[i]": (-sd.log_softmax(v)[1], lambda t: lse(t) - t[1]),
    "log(e^x/sum e^x)": (sd.log(e(v) / sd.sum(e(v)))[1], lambda t: t[1] - lse(t)),
    "log(e^x[i]/sum e^x)": (sd.log(e(v[1]) / sd.sum(e(v))), lambda t: t[1] - lse(t)),
    "cross-entropy of logits": (sd.log(sd.sum(e(v))) - v[1], lambda t: lse(t) - t[1]),
    "cross-entropy, one-hot": (-sd.sum(hot * sd.log(sd.softmax(v))), lambda t: lse(t) - t[1]),
    "cross-entropy, one-hot, as written": (-sd.sum(hot * sd.log(e(v) / sd.sum(e(v)))), lambda t: lse(t) - t[1]),
    "cross-entropy of bits": (sd.sum(-(hot * sd.log(sd.sigmoid(v)) + (1 - hot) * sd.log(1 - sd.sigmoid(v)))),
                              lambda t: softplus(t[0]) + softplus(-t[1]) + softplus(t[2])),
    "entropy": (-sd.sum(sd.softmax(v) * sd.log(sd.softmax(v))),
                lambda t: -mp.fsum(mp.exp(s - lse(t)) * (s - lse(t)) for s in t)),
    "sqrt(x^2+y^2)": (sd.sqrt(v[0] ** 2 + v[1] ** 2), norm),
    "(x^2+y^2)^0.5": ((v[0] * v[0] + v[1] * v[1]) ** 0.5, norm),
    "hypot": (sd.hypot(v[0], v[1]), norm),
}
PLACES = ((800.0, -800.0, 1e-18), (-800.0, 800.0, 40.0), (1e-18, -1e-18, 0.0), (1.0, 2.0, -0.5), (40.0, -40.0, 40.0),
          (-800.0, -800.0, -801.0), (800.0, 1e-18, 799.0), (0.0, 40.0, 0.0), (1e-18, 800.0, 3.0))


@pytest.mark.parametrize("name", VECTORS)
def test_value_gradient_and_hessian(name: str) -> None:
    f, oracle = VECTORS[name]
    nodes = [sd.simplify(f), sd.grad(f, v), sd.hessian(f, v)]
    # Probabilities near 1 leave 1 − p only the places of 1; the length of a vector keeps all of its digits.
    absolute = 0.0 if oracle is norm else 1e-15
    for place in PLACES:
        ours = evaluate_nodes(nodes, {v: np.array(place)}, {})
        with mp.workdps(340):
            at = tuple(mp.mpf(t) for t in place)
            for k, array in enumerate(ours):
                known: dict[tuple[int, ...], Any] = {}
                for index in np.ndindex(array.shape):
                    orders = tuple(index.count(axis) for axis in range(3))
                    if orders not in known:
                        known[orders] = mp.diff(lambda *t: oracle(t), at, orders) if k else oracle(at)
                    exact = known[orders]
                    assert agrees(float(array[index]), exact, absolute), (place, index, array[index], mp.nstr(exact, 17))
