"""check_derivatives: complex step, differences, kinks, mismatches, kernels; every row has its numeric derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.functions import REDUCTIONS, ROWS, ScalarRow
from symdiff.numeric.complex_field import OWN, STEPWISE
from symdiff.numeric.steps import Function, complex_step, differences
from symdiff.verification import Check, Report


def test_every_row_has_a_continuation() -> None:
    assert {*ROWS, *REDUCTIONS} == {*OWN, *STEPWISE}
    assert not OWN.keys() & STEPWISE


SMOOTH = [row for row in ROWS.values() if row.partials and any(row.partials) and not {"logical", "select"} & row.traits]


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_rows_to_second_order(row: ScalarRow) -> None:
    """Each scalar function by the complex step, at points of its domain."""
    rng = np.random.default_rng([*row.name.encode()])
    symbols = [sd.symbol(f"x{k}", 5) for k in range(row.arity)]
    at = {s: rng.uniform(low, high, 5) for s, (low, high) in zip(symbols, row.domain, strict=True)}
    report = sd.check_derivatives(sd.sum(row(*symbols)), symbols, at, target="reference")
    assert report.agrees
    assert {check.method for check in report.checks} == {"complex step"}


@pytest.mark.parametrize("row", [row for row in SMOOTH if row.name not in ("stop_gradient", "shift", "minimum", "maximum")],
                         ids=lambda row: row.name)
def test_both_numeric_ways_agree(row: ScalarRow) -> None:
    symbols = [sd.symbol(f"x{k}") for k in range(row.arity)]
    pairs = zip(symbols, row.domain, strict=True)
    arrays: dict[Any, Any] = {s: np.array(0.4 * low + 0.6 * high) for s, (low, high) in pairs}
    function = Function([row(*symbols)], arrays, {})
    for symbol in symbols:
        exact, near = complex_step(function, symbol, ()), differences(function, symbol, ())
        gap = abs(exact.derivatives[0] - near.derivatives[0])
        assert gap <= 10 * near.errors[0] + 1e-11 * (1 + abs(exact.derivatives[0]))
        assert near.errors[0] < 1e-6 * (1 + abs(exact.derivatives[0]))


def test_tree_and_kernel() -> None:
    X, y, w, b = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d"), sd.symbol("b")
    rng = np.random.default_rng(0)
    loss = sd.logsumexp(X @ w + b) + sd.norm(w) * sd.prod(sd.tanh(y))
    report = sd.check_derivatives(loss, {"w": w, "b": b, "y": y},
                                  {X: rng.normal(size=(4, 3)), "y": rng.normal(size=4), w: rng.normal(size=3), b: 0.3})
    assert report.agrees
    assert {check.way for check in report.checks} == {"reference", "cpu"}
    assert {check.symbols for check in report.checks if check.order == 2} >= {"w, b", "b, w", "y, y"}
    assert "order" in str(report)
    assert "agree" in report.summary()


def test_float32_kernel_is_given_its_precision() -> None:
    x = sd.symbol("x", 4, dtype="float32")
    assert sd.check_derivatives(sd.sum(sd.exp(x) * x), x, {x: np.linspace(-1, 1, 4, dtype="float32")}).agrees


def test_a_function_without_continuation_is_differenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OWN, "sin")
    x = sd.symbol("x", 3)
    report = sd.check_derivatives(sd.sum(sd.sin(x) ** 3), x, {x: [0.3, 1.0, -2.0]}, target="reference")
    assert report.checks[0].method == "differences"
    assert all(check.estimate < 1e-8 for check in report.checks)


@pytest.mark.parametrize(("build", "point"), [
    (lambda x: sd.sum(sd.abs(x)), [0.0, 1.0]), (lambda x: sd.max(x), [1.0, 1.0]),
    (lambda x: sd.sum(sd.relu(x)), [0.0, 2.0]), (lambda x: sd.sum(sd.maximum(x, 1.0)), [1.0, 0.0]),
    (lambda x: sd.sum(sd.where(x > 2, x**2, x)), [2.0, 0.0]), (lambda x: sd.sum(sd.clip(x, 0, 1)), [1.0, 0.5]),
])
def test_at_a_kink_it_warns(build: Any, point: list[float]) -> None:
    x = sd.symbol("x", 2)
    with pytest.warns(UserWarning, match="kink 0 away"):
        report = sd.check_derivatives(build(x), x, {x: point}, target="reference")
    assert report.kink is not None
    assert "nearest kink: 0 away" in str(report)


@pytest.mark.parametrize(("build", "point"), [
    (sd.norm, [0.0, 0.0]), (lambda v: sd.sqrt(v[0]) + v[1], [0.0, 1.0]), (lambda v: sd.hypot(v[0], v[1]), [0.0, 0.0]),
    (lambda v: sd.sum(sd.asin(v)), [1.0, 0.5]), (lambda v: sd.sum(sd.acos(v)), [-1.0, 0.5]),
    (lambda v: sd.sum(sd.acosh(v)), [1.0, 2.0]), (lambda v: sd.sum(sd.cbrt(v)), [0.0, 1.0]),
    (lambda v: sd.sum(v**1.5), [0.0, 1.0]), (lambda v: sd.atan2(v[0], v[1]), [0.0, 0.0]),
], ids=["norm", "sqrt", "hypot", "asin", "acos", "acosh", "cbrt", "power", "atan2"])
def test_where_a_derivative_is_infinite_it_warns(build: Any, point: list[float]) -> None:
    v = sd.symbol("v", 2)
    with pytest.warns(UserWarning, match="kink 0 away"):
        sd.check_derivatives(build(v), v, {v: point}, target="reference")


@pytest.mark.parametrize(("function", "point"), [
    (sd.log, 1e-150), (sd.log, 1e-290), (sd.sqrt, 1e-40), (sd.sqrt, 1e-200), (lambda x: x**1.5, 1e-30), (sd.cbrt, -1e-60),
    (lambda x: sd.abs(x) * x, 1e-35), (lambda x: sd.relu(x) + x, 1e-35), (sd.sin, 1e8), (lambda x: x**3, 1e90), (sd.exp, 700.0),
    (lambda x: 1 / (1e-40 + x), 0.0), (sd.norm, 1e-100), (lambda x: sd.hypot(x, 0.0), 1e-40),
])
def test_the_step_follows_the_scale_of_the_point(function: Any, point: float) -> None:
    x = sd.symbol("x")
    assert sd.check_derivatives(function(x), x, {x: point}, order=1, target="reference").agrees


@pytest.mark.parametrize(("build", "point"), [
    (lambda v: sd.log(sd.sum(sd.exp(v))), [800.0, 0.0, 0.0]), (lambda v: sd.exp(v) / sd.sum(sd.exp(v)), [800.0, 799.0, 0.0]),
    (lambda v: sd.sum(sd.log(1 + sd.exp(v))), [800.0, 1.0, -800.0]),
])
def test_what_overflows_as_written_is_compared_with_its_simplified_form(build: Any, point: list[float]) -> None:
    v = sd.symbol("v", 3)
    report = sd.check_derivatives(build(v), v, {v: point})
    assert report.agrees
    assert all(check.entries and not check.skipped for check in report.checks)
    assert {check.way for check in report.checks} == {"reference", "cpu"}
    assert "f is not finite as it is written; its simplified form is differentiated" in str(report)


def test_what_has_no_numeric_derivative_is_not_compared() -> None:
    """The second derivative of x⁻¹⁵⁰ is beyond the largest number at 0.01, on both sides: no agreement, no mismatch."""
    x = sd.symbol("x")
    report = sd.check_derivatives(x**-150, x, {x: 0.01}, order=3, target="reference")
    assert [(check.entries, check.skipped) for check in report.checks] == [(1, 0), (0, 1), (0, 1)]
    assert "2 entries not compared" in report.summary()
    assert "1 not compared" in str(report)
    assert "order 3 by x, x, x (reference): nothing to compare" in str(report)


def test_a_report_that_compared_nothing_does_not_agree() -> None:
    report = Report([Check(1, "x", "reference", "complex step", 0, 4, (), 0.0, 0.0, 0.0, 0.0, 0.0)], None)
    assert not report.agrees
    assert "NOT COMPARED, 4 entries not compared" in report.summary()


def test_a_point_outside_the_domain_is_refused() -> None:
    x, y = sd.symbols("x y")
    with pytest.raises(sd.ArgumentMismatch, match="nan at this point"):
        sd.check_derivatives(sd.log(x) * y, [x, y], {x: -1.0, y: 2.0}, target="reference")


def test_a_symbolic_nan_where_the_numeric_side_is_a_number_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from symdiff import verification

    x = sd.symbol("x", 3)
    monkeypatch.setattr(verification, "jacobian", lambda node, targets: [sd.full((*node.shape, 3), math.nan) for _ in targets])
    with pytest.raises(sd.DerivativeMismatch, match="WRONG"):
        sd.check_derivatives(sd.sum(x**2), x, {x: [1.0, 2.0, 3.0]}, target="reference", order=1)


def test_what_is_stopped_is_a_constant() -> None:
    x = sd.symbol("x")
    report = sd.check_derivatives(x * sd.stop_gradient(x) ** 2, x, {x: 3.0}, target="reference")
    assert report.agrees
    assert report.checks[0].numeric == pytest.approx(9.0)


def test_distance_to_a_kink() -> None:
    x = sd.symbol("x", 3)
    report = sd.check_derivatives(sd.sum(sd.abs(x)) + sd.max(x), x, {x: [0.25, -2.0, 1.0]}, target="reference")
    assert report.kink is not None
    assert report.kink.distance == pytest.approx(0.25)


def test_large_symbols_are_sampled() -> None:
    x = sd.symbol("x", (50, 50))
    report = sd.check_derivatives(sd.sum(x**3), x, {x: np.ones((50, 50))}, order=1, limit=20, target="reference")
    assert report.checks[0].entries == 20


def test_jacobians_of_vectors() -> None:
    x, A = sd.symbol("x", 3), sd.symbol("A", (2, 3))
    report = sd.check_derivatives(sd.softmax(A @ x), x, {x: [0.1, 0.2, 0.3], A: np.arange(6.0).reshape(2, 3)})
    assert report.agrees
