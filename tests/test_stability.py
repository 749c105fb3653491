"""Formulas as users spell them, at 800, −800, 1e-18, 1e-300 and the like, against mpmath: value, gradient, second derivative.

Each row of a table is a spelling, the same in mpmath, and the points.  Every row is computed by `sd.evaluate` and by the
interpreter of the loop IR; both must agree with mpmath to 1e-12, relative to each number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import symdiff as sd

e, log = sd.exp, sd.log
Row = tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]
DIGITS = 360
RELATIVE = 1e-12
POINTS = (800.0, -800.0, 1e-18, -1e-18, 1e-300, 40.0, -40.0, 0.0, 1.0, -0.5, 20.0, -20.0, 700.0, -700.0, 1e-8, 300.0, -300.0)
RIGHT = tuple(p for p in POINTS if p > 0)
WIDE = (*POINTS, 1e4, -1e4, 1e200, 1e300)


def sigma(t: Any) -> Any:
    return 1 / (1 + mp.exp(-t))


def softplus(t: Any) -> Any:
    return mp.log1p(mp.exp(t))


def log_ndtr(t: Any) -> Any:
    return mp.log(mp.erfc(-t / mp.sqrt(2)) / 2)


def tanh_of_exponentials(x: Any) -> Any:
    return (e(x) - e(-x)) / (e(x) + e(-x))


# A function of one number: the spelling, the oracle, the points.
SCALARS: dict[str, Row] = {
    "log(e^x+e^-x+1)": (lambda x: log(e(x) + e(-x) + 1), lambda t: mp.log(mp.exp(t) + mp.exp(-t) + 1), POINTS),
    "log(1+e^x+e^2x)": (lambda x: log(1 + e(x) + e(2 * x)), lambda t: mp.log1p(mp.exp(t) + mp.exp(2 * t)), POINTS),
    "log(1+(e^x)^2)": (lambda x: log(1 + e(x) ** 2), lambda t: softplus(2 * t), POINTS),
    "log(1+1/e^x)": (lambda x: log(1 + 1 / e(x)), lambda t: softplus(-t), POINTS),
    "log sqrt(1+e^x)": (lambda x: log(sd.sqrt(1 + e(x))), lambda t: softplus(t) / 2, POINTS),
    "log (1+e^x)^2": (lambda x: log((1 + e(x)) ** 2), lambda t: 2 * softplus(t), POINTS),
    "log2(1+e^x)": (lambda x: sd.log2(1 + e(x)), lambda t: softplus(t) / mp.log(2), POINTS),
    "log10(1+e^x)": (lambda x: sd.log10(1 + e(x)), lambda t: softplus(t) / mp.log(10), POINTS),
    "log(e^x(1+e^-x))": (lambda x: log(e(x) * (1 + e(-x))), softplus, POINTS),
    "x+softplus(-x)": (lambda x: x + sd.softplus(-x), softplus, POINTS),
    "log(1+e^x)-x": (lambda x: log(1 + e(x)) - x, lambda t: softplus(-t), POINTS),
    "log(e^x-1)": (lambda x: log(e(x) - 1), lambda t: mp.log(mp.expm1(t)), RIGHT),
    "log(1-e^-x)": (lambda x: log(1 - e(-x)), lambda t: mp.log(-mp.expm1(-t)), RIGHT),
    "log1p(-e^-x)": (lambda x: sd.log1p(-e(-x)), lambda t: mp.log(-mp.expm1(-t)), RIGHT),
    "1/(e^x-1)": (lambda x: 1 / (e(x) - 1), lambda t: 1 / mp.expm1(t), (800.0, -800.0, 40.0, -40.0, 1.0, -0.5, 1e-8)),
    "1/(1+3e^x)": (lambda x: 1 / (1 + 3 * e(x)), lambda t: 1 / (1 + 3 * mp.exp(t)), POINTS),
    "1/(2+2e^x)": (lambda x: 1 / (2 + 2 * e(x)), lambda t: sigma(-t) / 2, POINTS),
    "5/(3+e^-x)": (lambda x: 5 / (3 + e(-x)), lambda t: 5 / (3 + mp.exp(-t)), POINTS),
    "e^x/(2+e^x)": (lambda x: e(x) / (2 + e(x)), lambda t: 1 / (1 + 2 * mp.exp(-t)), POINTS),
    "(1+e^x)^-1/2": (lambda x: (1 + e(x)) ** -0.5, lambda t: mp.sqrt(sigma(-t)), POINTS),
    "e^x/(e^x+e^-x)": (lambda x: e(x) / (e(x) + e(-x)), lambda t: sigma(2 * t), POINTS),
    "1-1/(1+3e^x)": (lambda x: 1 - 1 / (1 + 3 * e(x)), lambda t: 1 / (1 + mp.exp(-t) / 3), POINTS),
    "(e^x)^2/(1+e^x)^2": (lambda x: e(x) ** 2 / (1 + e(x)) ** 2, lambda t: sigma(t) ** 2, POINTS),
    "(2e^x+1)/(e^x+1)": (lambda x: (2 * e(x) + 1) / (e(x) + 1), lambda t: 1 + sigma(t), POINTS),
    "sqrt(e^x)": (lambda x: sd.sqrt(e(x)), lambda t: mp.exp(t / 2), POINTS),
    "logit of sigmoid": (lambda x: log(sd.sigmoid(x) / (1 - sd.sigmoid(x))), lambda t: t, (800.0, -40.0, 1e-18, 1.0)),
    "-xlogy(1, sigmoid)": (lambda x: -sd.xlogy(1.0, sd.sigmoid(x)), lambda t: softplus(-t), POINTS),
    "-log((1+tanh(x/2))/2)": (lambda x: -log((1 + sd.tanh(x / 2)) / 2), lambda t: softplus(-t), POINTS),
    "-log((1-tanh(x/2))/2)": (lambda x: -log((1 - sd.tanh(x / 2)) / 2), softplus, POINTS),
    "tanh": (sd.tanh, mp.tanh, POINTS),
    "tanh of exponentials": (tanh_of_exponentials, mp.tanh, POINTS),
    "2 sigmoid - 1": (lambda x: 2 * sd.sigmoid(x) - 1, lambda t: mp.tanh(t / 2), POINTS),
    "log cosh": (lambda x: log(sd.cosh(x)), lambda t: mp.log(mp.cosh(t)), (800.0, -800.0, 40.0, -40.0, 1.0, 20.0, -20.0, 300.0)),
    "log(1-tanh^2)": (lambda x: log(1 - sd.tanh(x) ** 2), lambda t: -2 * mp.log(mp.cosh(t)), (20.0, -20.0, 800.0, -800.0, 1.0)),
    "sech^2": (lambda x: 1 - sd.tanh(x) ** 2, lambda t: mp.sech(t) ** 2, POINTS),
    "atanh": (sd.atanh, mp.atanh, (1 - 1e-10, -1 + 1e-10, 0.5, 1e-18, 1e-300)),
    "sqrt(1+x^2)": (lambda x: sd.sqrt(x**2 + 1), lambda t: mp.sqrt(1 + t * t), WIDE),
    "(1+x^2)^1/2": (lambda x: (1 + x * x) ** 0.5, lambda t: mp.sqrt(1 + t * t), WIDE),
    "1/sqrt(4x^2+9)": (lambda x: (4 * x**2 + 9) ** -0.5, lambda t: 1 / mp.sqrt(4 * t * t + 9), (1e4, 1.0, 1e-18, -40.0, 1e100)),
    "x/sqrt(1+x^2)": (lambda x: x / sd.sqrt(1 + x**2), lambda t: t / mp.sqrt(1 + t * t), POINTS),
    "log(x+sqrt(1+x^2))": (lambda x: log(x + sd.sqrt(1 + x**2)), mp.asinh, POINTS),
    "log_ndtr": (sd.special.log_ndtr, log_ndtr, (-40.0, -30.0, -27.0, -16.1, -15.9, -8.0, -1.0, 0.0, 1.0, 5.0)),
}


def lse(t: Iterable[Any]) -> Any:
    return mp.log(mp.fsum(mp.exp(s) for s in t))


def mixture(w: Any, z: Any, x: Any) -> Any:
    return lse(w_ - (x - z_) ** 2 / 2 for w_, z_ in zip(w, z, strict=True)) - lse(w)


def log_weighted(w: Any, z: Any) -> Any:
    return mp.log(mp.fsum(w_ * mp.exp(z_) for w_, z_ in zip(w, z, strict=True)))


VALUES = (1.0, -2.0)


def attention(S: Any, V: Any = VALUES) -> Any:
    return mp.fsum(mp.exp(s - lse(row)) * v * (k + 1) for k, row in enumerate(S) for s, v in zip(row, V, strict=True))


x, y, s = sd.symbols("x y s")
a, b, c = sd.symbols("a b c")
z, w = sd.symbol("z", 2), sd.symbol("w", 2)
S, V, k = sd.symbol("S", (2, 2)), sd.constant(np.array(VALUES)), sd.constant(np.array([1.0, 2.0]))
E = e(S)
naive = e(z) / e(z).sum()
P = E / E.sum(axis=1, keepdims=True)
PAIRS = ((800.0, 799.0), (-800.0, 800.0), (40.0, -40.0), (1.0, 2.0), (1e-18, 0.0), (-800.0, -800.0), (1e-300, 20.0))
SHARP = tuple((p,) for p in PAIRS)
TRIPLES = tuple((*p, q) for p, q in zip(PAIRS, (800.0, 1.0, 39.0, 0.5, 1e-18, -801.0, -20.0), strict=True))
MATRICES = tuple(([[p, q], [q, r]],) for p, q, r in TRIPLES[:4])
WEIGHTED = tuple((weights, p) for weights in ((0.25, 0.75), (-0.5, 2.0)) for p in ((800.0, 799.0), (-800.0, -799.0), (1.0, 2.0)))
LENGTHS = ((3e200, 4e199), (3e-150, 4e-150), (3.0, -4.0), (1e4, 1.0), (1e-18, 800.0))

# A function of several: the symbols, the spelling, the oracle, the points.
SEVERAL: dict[str, tuple[tuple[Any, ...], Any, Callable[..., Any], tuple[Any, ...]]] = {
    "e^a/(e^a+e^b)": ((a, b), e(a) / (e(a) + e(b)), lambda s, t: sigma(s - t), PAIRS),
    "-log(e^a/(e^a+e^b))": ((a, b), -log(e(a) / (e(a) + e(b))), lambda s, t: softplus(t - s), PAIRS),
    "log(e^a+e^b)-a": ((a, b), log(e(a) + e(b)) - a, lambda s, t: softplus(t - s), PAIRS),
    "1/(1+e^a/e^b)": ((a, b), 1 / (1 + e(a) / e(b)), lambda s, t: sigma(t - s), PAIRS),
    "e^a/(e^a+e^b+e^c)": ((a, b, c), e(a) / (e(a) + e(b) + e(c)), lambda *t: mp.exp(t[0] - lse(t)), TRIPLES),
    "e^a/(1+e^a+e^b)": ((a, b), e(a) / (1 + e(a) + e(b)), lambda s, t: mp.exp(s - lse((0, s, t))), PAIRS),
    "attention": ((S,), ((E / E.sum(axis=1, keepdims=True)) @ V) @ k, attention, MATRICES),
    "attention, divided last": ((S,), ((E @ V) / E.sum(axis=1)) @ k, attention, MATRICES),
    "attention, squared": ((S,), sd.sum(((E / E.sum(axis=1, keepdims=True)) @ V) ** 2),
                           lambda S: mp.fsum(attention([row]) ** 2 for row in S), MATRICES),
    "attention, twice": ((S,), (P @ (P @ V)) @ k, lambda S: attention(S, [attention([row]) for row in S]), MATRICES),
    "mean of two by hand": ((x, y, a, b), (x * e(a) + y * e(b)) / (e(a) + e(b)),
                            lambda p, q, s, t: p * sigma(s - t) + q * sigma(t - s), tuple((*p, *q) for p, q in WEIGHTED)),
    "sum of squared softmax": ((z,), sd.sum(naive**2), lambda t: mp.exp(lse(2 * s for s in t) - 2 * lse(t)), SHARP),
    "entropy": ((z,), -(naive * log(naive)).sum(), lambda t: -mp.fsum(mp.exp(s - lse(t)) * (s - lse(t)) for s in t), SHARP),
    "effective size": ((z,), e(z).sum() ** 2 / sd.sum(e(2 * z)), lambda t: mp.exp(2 * lse(t) - lse(2 * s for s in t)), SHARP),
    "log sum w e^z": ((w, z), log(sd.sum(w * e(z))), log_weighted, WEIGHTED),
    "log(w @ e^z)": ((w, z), log(w @ e(z)), log_weighted, WEIGHTED),
    "log(x e^a+y e^b)": ((x, y, a, b), log(x * e(a) + y * e(b)), lambda p, q, s, t: mp.log(p * mp.exp(s) + q * mp.exp(t)),
                         tuple((*p, *q) for p, q in WEIGHTED)),
    "mixture": ((w, z, x), log(sd.sum(sd.softmax(w) * e(-0.5 * (x - z) ** 2))), mixture,
                (((0.0, 1.0), (-1.0, 2.0), 50.0), ((2.0, 1.0), (0.0, 0.5), -45.0), ((0.0, 0.0), (1.0, -1.0), 0.25))),
    "sum log(e^z+e^b)": ((z, b), sd.sum(log(e(z) + e(b))), lambda t, s: mp.fsum(lse((u, s)) for u in t),
                         tuple(((p, q), r) for p, q, r in TRIPLES)),
    "log(1+e^z e^w)": ((z, w), sd.sum(log(1 + e(z)[:, None] * e(w)[None, :])),
                       lambda t, u: mp.fsum(softplus(p + q) for p, q in itertools.product(t, u)),
                       tuple((p, q) for p, q in itertools.pairwise(PAIRS))),
    "log sum concat": ((z, w), log(sd.sum(sd.concat([e(z), e(w)]))), lambda t, u: lse((*t, *u)), tuple(itertools.pairwise(PAIRS))),
    "log sum sum": ((S,), log(sd.sum(sd.sum(e(S), axis=0))), lambda t: lse(itertools.chain(*t)), MATRICES),
    "log mean mean": ((S,), log(sd.mean(sd.mean(e(S), axis=1))), lambda t: lse(itertools.chain(*t)) - mp.log(4),
                      MATRICES),
    "log(1+sum e^z)": ((z,), log(1 + sd.sum(e(z))), lambda t: softplus(lse(t)), SHARP),
    "log sum 1/e^z": ((z,), log(sd.sum(1 / e(z))), lambda t: lse(-s for s in t), SHARP),
    "log10 sum e^z": ((z,), sd.log10(sd.sum(e(z))), lambda t: lse(t) / mp.log(10), SHARP),
    "log(1-softmax[0])": ((z,), log(1 - sd.softmax(z)[0]), lambda t: t[1] - lse(t), SHARP),
    "log(1-naive[0])": ((z,), log(1 - naive[0]), lambda t: t[1] - lse(t), SHARP),
    "-xlogy(y, sigmoid)": ((y, x), -sd.xlogy(y, sd.sigmoid(x)), lambda p, t: p * softplus(-t),
                           ((1.0, -800.0), (0.5, 40.0), (0.0, -40.0))),
    "xlog1py": ((x, y), sd.special.xlog1py(x, y), lambda p, t: p * mp.log1p(t), ((0.0, 2.0), (1.0, 1e-18), (-0.5, 40.0))),
    "sqrt(4x^2+y^2)": ((x, y), sd.sqrt(4 * x**2 + y**2), lambda s, t: mp.sqrt(4 * s * s + t * t), LENGTHS),
    "sqrt(x^2+y^2+s^2)": ((x, y, s), sd.sqrt(x**2 + y**2 + s**2), lambda *t: mp.sqrt(mp.fsum(u * u for u in t)),
                          tuple((*p, p[1]) for p in LENGTHS)),
    "atan2": ((x, y), sd.atan2(x, y), mp.atan2, ((1e-150, 2e-150), (3e150, 4e150), (1.0, 2.0))),
    "power": ((x, y), x**y, lambda s, t: s**t, ((0.5, 2.0), (1e-18, 1.5), (3.0, -2.0))),
}
# Exponents of 800 leave a probability 1e-13 of its digits, and 1 − p the places of 1: such rows are held to a few units of
# the last place of their largest exponent.
LAST_PLACE = dict.fromkeys(("attention", "attention, divided last", "attention, squared", "attention, twice",
                            "sum of squared softmax", "entropy", "effective size", "mean of two by hand",
                            "log sum concat", "log sum sum", "log mean mean", "log(1+sum e^z)", "log sum 1/e^z", "log10 sum e^z",
                            "log(1-softmax[0])", "log(1-naive[0])", "log sum w e^z", "log(w @ e^z)", "log(x e^a+y e^b)"), 8.0)
LAST_PLACE["mixture"] = 1e4  # its exponents are squares


def agrees(ours: float, theirs: Any, absolute: float = 0.0) -> bool:
    """Whether a number is right to 1e-12; below 1e-300 and beyond the largest float its size is all that is asked."""
    if abs(theirs) < mp.mpf("1e-300"):
        return bool(abs(ours) <= max(1e-299, absolute))
    if abs(theirs) > mp.mpf("1.79e308"):
        return math.isinf(ours)
    return bool(abs(ours - theirs) <= RELATIVE * abs(theirs) + absolute)


@pytest.fixture(scope="module")
def interpreted_scalars() -> dict[str, list[Any]]:
    """Value and two derivatives of every function of one number at its points, from one kernel."""
    outputs, values = {}, {}
    for place, (name, (spelling, _, points)) in enumerate(SCALARS.items()):
        at = sd.symbol(f"x{place}", len(points))
        slope = sd.grad(sd.sum(spelling(at)), at)
        outputs[name] = [spelling(at), slope, sd.grad(sd.sum(slope), at)]
        values[at.name] = np.array(points)
    return dict(sd.compile(outputs, target="interpreter")(**values))


@pytest.mark.parametrize("name", SCALARS)
def test_function_of_one_number(name: str, interpreted_scalars: dict[str, list[Any]]) -> None:
    spelling, oracle, points = SCALARS[name]
    f = spelling(x)
    nodes = [sd.simplify(f), sd.grad(f, x), sd.hessian(f, x), sd.hvp(f, x, 1.0)]
    for n, point in enumerate(points):
        ours = [float(v) for v in sd.evaluate(nodes, {x: point})]
        theirs = [float(v[n]) for v in interpreted_scalars[name]]
        with mp.workdps(DIGITS):
            exact = [oracle(mp.mpf(point)), *[mp.diff(oracle, mp.mpf(point), order) for order in (1, 2)]]
            for order, found in [*enumerate(ours[:3]), (2, ours[3]), *enumerate(theirs)]:
                assert agrees(found, exact[order]), (point, order, found, mp.nstr(exact[order], 17))


def nested(flat: Any, like: Any) -> Any:
    """Numbers from an iterator in the nesting of `like`."""
    return next(flat) if not isinstance(like, (list, tuple)) else [nested(flat, part) for part in like]


def exact_derivatives(oracle: Callable[..., Any], point: tuple[Any, ...]) -> tuple[Any, list[Any], list[list[Any]]]:
    """Value, gradient and Hessian by high-precision differences, over all numbers of the point."""
    at = [mp.mpf(float(v)) for part in point for v in np.ravel(part)]

    def flat(*numbers: Any) -> Any:
        return oracle(*nested(iter(numbers), point))

    def partial(*places: int) -> Any:
        orders = tuple(places.count(i) for i in range(len(at)))
        return mp.diff(flat, tuple(at), orders) if len(at) > 1 else mp.diff(flat, at[0], sum(orders))
    n = range(len(at))
    second = {(i, j): partial(i, j) for i in n for j in n if i <= j}
    return flat(*at), [partial(i) for i in n], [[second[min(i, j), max(i, j)] for j in n] for i in n]


def table_of(symbols: tuple[Any, ...], f: Any) -> list[Any]:
    """Value, gradients and Hessian blocks."""
    wrt = list(symbols)
    return [sd.simplify(f), sd.grad(f, wrt), sd.hessian(f, wrt)]


def joined(table: list[Any]) -> tuple[float, list[float], list[list[float]]]:
    """Value, gradient and Hessian over all numbers, from arrays for each symbol."""
    value, gradient, hessian = table
    sizes = [np.size(g) for g in gradient]
    rows = [np.concatenate([np.reshape(block, (m, size)) for block, size in zip(row, sizes, strict=True)], axis=1)
            for row, m in zip(hessian, sizes, strict=True)]
    return float(value), np.concatenate([np.ravel(g) for g in gradient]).tolist(), np.concatenate(rows).tolist()


@pytest.fixture(scope="module")
def interpreted_several() -> Any:
    """The kernel of all functions of several numbers, each with symbols of its own."""
    outputs = {}
    for place, (name, (symbols, f, _, _)) in enumerate(SEVERAL.items()):
        own = {symbol: sd.symbol(f"{symbol.name}{place}", symbol.shape) for symbol in symbols}
        outputs[name] = table_of(tuple(own.values()), sd.substitute(f, own))
    return sd.compile(outputs, target="interpreter")


@pytest.fixture(scope="module")
def interpreted_at(interpreted_several: Any) -> list[Any]:
    """Its results at the first points of all, the second, and so on; rows with fewer points begin again."""
    results = []
    for n in range(max(len(points) for _, _, _, points in SEVERAL.values())):
        values = {f"{symbol.name}{place}": np.array(value) for place, (symbols, _, _, points) in enumerate(SEVERAL.values())
                  for symbol, value in zip(symbols, points[n % len(points)], strict=True)}
        results.append(interpreted_several(**values))
    return results


@pytest.mark.parametrize("name", SEVERAL)
def test_function_of_several_numbers(name: str, interpreted_at: list[Any]) -> None:
    symbols, f, oracle, points = SEVERAL[name]
    table = table_of(symbols, f)
    for n, point in enumerate(points):
        largest = max(abs(float(v)) for part in point for v in np.ravel(part))
        absolute = LAST_PLACE.get(name, 0.0) * 2.0**-52 * max(1.0, largest)
        ours = joined(sd.evaluate(table, dict(zip(symbols, point, strict=True))))
        theirs = joined(interpreted_at[n][name])
        with mp.workdps(DIGITS if largest < 1e100 else 2000):
            exact = exact_derivatives(oracle, point)
            for found in (ours, theirs):
                for order, flat in enumerate(([exact[0]], exact[1], itertools.chain(*exact[2]))):
                    for place, (mine, right) in enumerate(zip(np.ravel(found[order]), flat, strict=True)):
                        assert agrees(mine, right, absolute), (point, order, place, mine, mp.nstr(right, 17))


def values_of(node: Any, **point: Any) -> Any:
    """The value by `sd.evaluate`, which the interpreter must give too."""
    ours = sd.evaluate(node, point)
    theirs = sd.compile(node, target="interpreter")(**{name: np.asarray(v) for name, v in point.items()})
    np.testing.assert_allclose(theirs, ours, rtol=1e-13)
    return ours


def test_zero_times_infinity_in_losses() -> None:
    logits, classes = sd.symbol("logits", ("n", 3)), sd.symbol("classes", "n", dtype="int64")
    f = sd.nn.cross_entropy(logits, classes)
    point = {"logits": [[0.0, -np.inf, 1.0]], "classes": [0]}
    assert values_of(f, **point) == pytest.approx(np.log1p(np.e))
    np.testing.assert_allclose(values_of(sd.grad(f, logits), **point), [[1 / (1 + np.e) - 1, 0, np.e / (1 + np.e)]])
    p, t = sd.symbol("p", "n"), sd.symbol("t", "n")
    bits = sd.nn.binary_cross_entropy(p, t)
    assert values_of(bits, p=[0.0, 1.0], t=[0.0, 1.0]) == 0
    np.testing.assert_allclose(values_of(sd.grad(bits, p), p=[0.0, 1.0], t=[0.0, 1.0]), [0.5, -0.5])
    masked = sd.simplify(-sd.sum(sd.xlogy(z, sd.softmax(w))))
    assert values_of(masked, z=[1.0, 0.0], w=[3.0, -np.inf]) == 0


def test_derivatives_where_a_factor_vanishes() -> None:
    assert values_of(sd.grad(sd.special.xlog1py(x, y), x) + 0 * x, x=0.0, y=2.0) == pytest.approx(np.log(3))
    assert values_of(sd.grad(sd.nn.elu(x), x), x=0.0) == 1
    assert values_of(sd.grad(sd.nn.elu(x), x), x=800.0) == 1
    rows = values_of(sd.stack([sd.stack(row) for row in sd.hessian(x**y, [x, y])]), x=0.0, y=2.0)
    np.testing.assert_array_equal(rows, [[2.0, 0.0], [0.0, 0.0]])


def test_logaddexp_of_nothing_has_the_gradient_zero() -> None:
    f = sd.logaddexp(sd.logaddexp(x, y), s)
    point = {"x": -np.inf, "y": -np.inf, "s": 2.0}
    np.testing.assert_array_equal(values_of(sd.stack(sd.grad(f, [x, y, s])), **point), [0.0, 0.0, 1.0])


def test_hvp_and_hessian_simplify_the_same_gradient() -> None:
    v = sd.symbol("v", 3)
    f = sd.sum(log(1 + e(v)))
    assert sd.hvp(f, v, v) is sd.simplify(sd.hessian(f, v) @ v)


def test_exponentials_of_different_sizes_stay_apart() -> None:
    x, v = sd.symbol("x", ("n", "m")), sd.symbol("v", ("n", "m"))
    part = sd.expm1(0.3 * x)
    loss = sd.logsumexp(sd.concat([part, part], axis=0))
    outputs = [loss, sd.grad(loss, x), sd.hvp(loss, x, v)]
    values = {x: np.linspace(-1, 1, 6).reshape(2, 3), v: np.ones((2, 3))}
    one, slope, curve = sd.evaluate(outputs, values)
    step = 1e-5
    up, down = (sd.evaluate(outputs[:2], {x: values[x] + s * values[v]}) for s in (step, -step))
    np.testing.assert_allclose(np.sum(slope), (up[0] - down[0]) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(curve, (up[1] - down[1]) / (2 * step), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(sd.compile(outputs, [x, v], target="interpreter")(*values.values())[2], curve, rtol=1e-11)
    assert np.isfinite(one)


@pytest.mark.parametrize("target", ["numpy", "cpu", "interpreter"])
def test_what_a_branch_leaves_out_stays_out_of_mixed_derivatives(target: str) -> None:
    """Rows that are missing: X stands beside the guard in a sum of products, and is silenced by it there."""
    X, ok, w = sd.symbol("X", ("rows", 2)), sd.symbol("ok", "rows", "bool"), sd.symbol("w", 2)
    k, t = sd.symbol("k"), sd.symbol("t", "rows")
    loss = sd.sum(sd.where(ok, sd.exp(sd.exp(k) * (t - X @ w)), 0))
    one, other = sd.jacobian(sd.grad(loss, w), k), sd.grad(sd.grad(loss, k), w)
    full = {"X": np.array([[1.0, 2.0], [0.5, -1.0]]), "ok": np.array([True, False]), "w": [0.1, 0.2], "k": 0.1, "t": [1.0, 1.0]}
    expected = sd.evaluate(other, full)
    for missing in ([np.nan, np.inf], [-np.inf, np.nan]):
        given = {**full, "X": np.array([[1.0, 2.0], missing])}
        kernel = sd.compile([one, other, *sd.hessian(loss, [w, k])[0]], [X, ok, w, k, t], target=target)
        first, second, _, mixed = kernel(**given)
        for found in (first, second, np.reshape(mixed, 2)):
            np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("names", list(itertools.permutations("abc")))
def test_small_terms_survive_in_sums_as_they_are_written(names: tuple[str, ...]) -> None:
    a, b, c = (sd.symbol(f"small_{name}") for name in names)
    for target in ("numpy", "cpu", "interpreter"):
        kernel = sd.compile([(a - b) + c, c + (a - b), (a - b) - c], [a, b, c], target=target)
        assert list(kernel(1.7e9, 1.7e9, 1e-9))[::2] == [1e-9, -1e-9]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logarithms_of_sums_lose_nothing_where_they_stand(dtype: str) -> None:
    """x − log Σ eˣ of large, masked and missing numbers, alike in kernels, in the reference and in `sd.evaluate`."""
    x, v = sd.symbol("x", ("n", 4), dtype), sd.symbol("v", ("n", 4), dtype)
    total = sd.logsumexp(x, axis=1)
    shares = sd.log_softmax(x, axis=1)
    outputs, inf = [shares, total[:, None] + v, v - total[:, None], 2 * total - v[:, 0], shares + v], np.inf
    rows = np.array([[1, 2, 3, 4], [-inf] * 4, [inf, 1, 2, 3], [-inf, 0, 1, 2], [np.nan, 1, 2, 3], [-1e30] * 4,
                     [1e4, 1e4 + 1, 1e4, 1e4]], dtype)
    values = rows, np.random.default_rng(0).normal(size=rows.shape).astype(dtype)
    kernel = sd.compile(outputs, [x, v])(*values)
    np.testing.assert_allclose(kernel[0][5], [-np.log(4)] * 4, rtol=1e-6)
    np.testing.assert_allclose(kernel[0][6, 0], -np.log(3 + np.e), rtol=1e-6)
    for others in (sd.compile(outputs, [x, v], target="numpy")(*values), sd.evaluate(outputs, {x: values[0], v: values[1]})):
        for found, right in zip(others, kernel, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-6, equal_nan=True)
