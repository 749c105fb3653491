"""The tables of functions against mpmath with 50 digits: values, dtypes, traits, partials to second order, notation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from symdiff.functions import REDUCTIONS, ROWS, ReduceRow, ScalarRow
from symdiff.functions.row import BUILDERS
from tests.symdiff.oracles import EXACT, ORACLES, REDUCED, SIGNED_ZERO, TOLERANCES, close, exact
from tests.symdiff.stand_ins import STAND_INS, Dual, apply_reduction, apply_row, lifted

INF, NAN = math.inf, math.nan
POINTS = (0.0, -0.0, INF, -INF, NAN, 800.0, -800.0, 1e-18, -1e-18, 1e-310, 1.0, -1.0, 0.5, 2.5, -2.5, 1 - 1e-12,
          1 + 1e-12, 30.0, -30.0, -700.0, 1e15)
TRAITS = set("odd even increasing decreasing commutative zero_at_zero positive nonnegative idempotent guard one_hot select "
             "logical numeric".split())


def of_rows(rows: list[Any]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


all_rows = of_rows(list(ROWS.values()))
# stop_gradient and shift are declared to have the derivative zero, so differences have nothing to say about it.
numeric_rows = of_rows([r for r in ROWS.values()
                        if r.result != "bool" and "logical" not in r.traits and r.name not in ("stop_gradient", "shift")])
all_reductions = of_rows(list(REDUCTIONS.values()))
weighted_reductions = of_rows([r for r in REDUCTIONS.values() if r.weight])


def truth_at(row: ScalarRow, position: int) -> bool:
    """Whether the argument at this position is a truth value."""
    return "logical" in row.traits or ("select" in row.traits and position == 0)


def samples(row: ScalarRow, count: int, seed: int = 0) -> Iterator[tuple[Any, ...]]:
    """Random arguments from the row's domain."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        point = [draw.uniform(low, high) for low, high in row.domain]
        yield tuple(v > 0.5 if truth_at(row, k) else v for k, v in enumerate(point))


def special_points(row: ScalarRow) -> list[tuple[Any, ...]]:
    """All combinations of the special values."""
    choices = [(False, True) if truth_at(row, k) else POINTS for k in range(row.arity)]
    places = np.ndindex(*[len(c) for c in choices])
    return [tuple(c[k] for c, k in zip(choices, place, strict=True)) for place in places]


def value(row: ScalarRow, *point: Any) -> Any:
    return row.numpy(*[np.asarray(v) for v in point])


def is_minus_zero(v: Any) -> bool:
    return bool(v == 0) and math.copysign(1.0, v) < 0


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


@pytest.fixture
def on_numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows and hooks compute on numbers, arrays and Duals."""
    for name, builder in STAND_INS.items():
        monkeypatch.setitem(BUILDERS, name, builder)
    with np.errstate(all="ignore"):
        yield


@all_rows
def test_reference_is_exact(row: ScalarRow) -> None:
    assert row.name in ORACLES, f"give {row.name} an oracle in tests/symdiff/oracles.py"
    relative, absolute = TOLERANCES.get(row.name, EXACT)
    for point in [*samples(row, 200), *special_points(row)]:
        expected = exact(ORACLES[row.name], point)
        if expected is None or (row.name in SIGNED_ZERO and any(map(is_minus_zero, point))):
            continue
        with np.errstate(all="raise"):  # a reference silences NumPy itself
            ours = value(row, *point)
        scale = max(1.0, *[abs(float(v)) for v in point if math.isfinite(v)], 1.0)
        assert close(ours, expected, relative, absolute * scale), (point, ours, expected)


@all_rows
def test_reference_keeps_dtypes_and_shapes(row: ScalarRow) -> None:
    point = next(samples(row, 1))
    for dtype in ("float32", "float64", "int64"):
        numbers = np.ones if dtype == "int64" else np.zeros
        args = [np.full((2, 3), v) if truth_at(row, k) else numbers((2, 3), dtype) for k, v in enumerate(point)]
        floating = dtype if dtype != "int64" else "float64"
        result = row.numpy(*args)
        assert (result.dtype, result.shape) == ({"same": dtype, "float": floating}.get(row.result, row.result), (2, 3))
        assert row.numpy(*[a[:0] for a in args]).shape == (0, 3)


@all_rows
def test_traits_hold(row: ScalarRow) -> None:
    assert row.traits <= TRAITS
    if row.traits & {"odd", "even", "idempotent", "increasing", "decreasing"} and row.arity > 1:
        assert not row.traits & {"odd", "even", "idempotent"}, "these traits are about functions of one argument"
    if "zero_at_zero" in row.traits:
        assert value(row, *[False if truth_at(row, k) else 0.0 for k in range(row.arity)]) == 0
    for point in samples(row, 100, seed=1):
        y = value(row, *point)
        assert "odd" not in row.traits or value(row, -point[0]) == -y
        assert "even" not in row.traits or value(row, -point[0]) == y
        assert "commutative" not in row.traits or value(row, *point[::-1]) == y
        assert "positive" not in row.traits or (y > 0 and "nonnegative" in row.traits)
        assert "nonnegative" not in row.traits or y >= 0
        assert "idempotent" not in row.traits or value(row, y) == y
        for k in range(row.arity if row.traits & {"increasing", "decreasing"} else 0):
            later = value(row, *[v + 0.01 if i == k else v for i, v in enumerate(point)])
            assert later >= y if "increasing" in row.traits else later <= y


@all_rows
def test_row_is_documented(row: ScalarRow) -> None:
    assert row.doc and "\n" not in row.doc and row.partials is not None and len(row.domain) == row.arity
    assert row.infix in ("", "comparison", "power", "product")
    names = [f"a{k}" for k in range(row.arity)]
    text, latex = row.text.format(*names), row.latex.format(*names)
    # What is only asked of an argument is not shown.
    shown = names[:1] if row.name == "class_number" else names
    assert all(name in text and name in latex for name in shown)
    assert latex.count("{") == latex.count("}") and latex.count(r"\left") == latex.count(r"\right")


def derivative(row: ScalarRow, point: tuple[Any, ...], orders: tuple[int, ...]) -> Any:
    """The derivative of the oracle, by high-precision differences."""
    free = [k for k in range(row.arity) if not truth_at(row, k)]

    def oracle(*values: Any) -> Any:
        given = dict(zip(free, values, strict=True))
        return ORACLES[row.name](*[given.get(k, point[k]) for k in range(row.arity)])

    at, order = [mp.mpf(point[k]) for k in free], [orders[k] for k in free]
    return mp.diff(oracle, tuple(at), tuple(order)) if len(free) > 1 else mp.diff(oracle, at[0], order[0])


def away_from_kinks(row: ScalarRow, point: tuple[Any, ...]) -> bool:
    return all(abs(v - kink) > 1e-3 for v in point for kink in row.kinks)


@numeric_rows
def test_partials_to_second_order(row: ScalarRow, on_numbers: None) -> None:
    assert row.partials is not None and len(row.partials) == row.arity
    for point in filter(lambda p: away_from_kinks(row, p), samples(row, 12, seed=2)):
        args = [np.asarray(v) for v in point]
        numbers = [k for k in range(row.arity) if not truth_at(row, k)]
        for k in numbers:
            partial, unit = row.partials[k], np.eye(row.arity, dtype=int)
            ours = partial(*args, row.numpy(*args)) if partial else 0.0
            assert close(ours, derivative(row, point, tuple(unit[k].tolist())), 1e-10, 1e-14), (point, k)
            for m in numbers:
                duals = [Dual(v, float(i == m)) if i in numbers else v for i, v in enumerate(args)]
                bent = lifted(partial(*duals, apply_row(row, tuple(duals)))).slope if partial else 0.0
                expected = derivative(row, point, tuple((unit[k] + unit[m]).tolist()))
                assert close(bent, expected, 1e-9, 1e-12), (point, k, m)


@all_rows
def test_truth_values_have_no_partial(row: ScalarRow) -> None:
    partials = row.partials or ()
    assert all(p is None for k, p in enumerate(partials) if truth_at(row, k) or row.result in ("bool", "int64"))


@of_rows([row for row in ROWS.values() if row.expansion])
def test_expansion_equals_reference(row: ScalarRow, on_numbers: None) -> None:
    assert row.expansion is not None
    relative, absolute = TOLERANCES.get(row.name, EXACT)
    for point in [*samples(row, 50), *special_points(row)]:
        args = [np.asarray(v) for v in point]
        ours, theirs = row.expansion(*args), row.numpy(*args)
        assert close(ours, theirs, relative, absolute), (point, ours, theirs)


AT_KINKS = [
    ("abs", (0.0,), (0.0,)), ("relu", (0.0,), (0.0,)), ("relu", (NAN,), (NAN,)), ("sqrt", (0.0,), (INF,)),
    ("cbrt", (0.0,), (INF,)), ("maximum", (1.0, 1.0), (0.5, 0.5)), ("minimum", (1.0, 1.0), (0.5, 0.5)),
    ("maximum", (INF, INF), (0.5, 0.5)), ("maximum", (-INF, 0.0), (0.0, 1.0)), ("minimum", (-INF, 0.0), (1.0, 0.0)),
    ("hypot", (0.0, 0.0), (0.0, 0.0)), ("hypot", (0.0, 2.0), (0.0, 1.0)), ("ratio", (0.0, 2.0), (0.5, 0.0)),
    ("power", (0.0, 2.0), (0.0, 0.0)), ("power", (0.0, 1.0), (1.0, 0.0)), ("power", (0.0, 0.5), (INF, 0.0)),
    ("power", (0.0, 0.0), (0.0, -INF)), ("power", (-2.0, 3.0), (12.0, NAN)), ("power", (3.0, 0.0), (0.0, math.log(3))),
    ("xlogy", (0.0, 0.0), (-INF, 0.0)), ("xlogy", (0.0, 2.0), (math.log(2), 0.0)), ("xlogy", (1.0, 0.0), (-INF, INF)),
    ("logaddexp", (-INF, -INF), (0.0, 0.0)), ("logaddexp", (-INF, 3.0), (0.0, 1.0)),
    ("exp_difference", (-INF, -INF), (0.0, 0.0)), ("where", (True, NAN, 1.0), (1.0, 0.0)),
    ("where", (False, 1.0, 1.0), (0.0, 1.0)), ("log1p", (1e-18,), (1.0,)), ("expm1", (-800.0,), (0.0,)),
    ("softplus", (-700.0,), (math.exp(-700.0),)), ("softplus", (800.0,), (1.0,)), ("erf", (800.0,), (0.0,)),
    ("sigmoid", (700.0,), (math.exp(-700.0),)), ("sigmoid", (-700.0,), (math.exp(-700.0),)),
    ("asin", (1.0,), (INF,)), ("acosh", (1.0,), (INF,)), ("atanh", (1.0,), (INF,)),
    ("remainder", (7.0, 2.0), (1.0, -3.0)), ("remainder", (-7.0, 2.0), (1.0, 4.0)),
]


@pytest.mark.parametrize(("name", "point", "expected"), AT_KINKS)
def test_partials_at_kinks(name: str, point: tuple[float, ...], expected: tuple[float, ...], on_numbers: None) -> None:
    row = ROWS[name]
    args = [np.asarray(v) for v in point]
    partials = [p(*args, row.numpy(*args)) for p in row.partials or () if p]
    assert all(close(ours, theirs, 4e-15) for ours, theirs in zip(partials, expected, strict=True)), partials


def test_power_of_a_number_has_no_selection(on_numbers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILDERS, "number_of", float)
    monkeypatch.delitem(ROWS, "where")
    partial = (ROWS["power"].partials or ())[0]
    assert partial is not None and partial(np.asarray(0.0), np.asarray(2.0), np.asarray(0.0)) == 0
    assert partial(np.asarray(5.0), np.asarray(2.0), np.asarray(25.0)) == 10


@pytest.mark.parametrize(("x", "z"), [(800.0, 1e-18), (1e-18, 800.0), (1e-18, -2e-18), (-800.0, 1.0)])
def test_hypot_keeps_its_digits_to_second_order(x: float, z: float, on_numbers: None) -> None:
    a, b, row = mp.mpf(x), mp.mpf(z), ROWS["hypot"]
    r = mp.hypot(a, b)
    expected = [[b * b / r**3, -a * b / r**3], [-a * b / r**3, a * a / r**3]]
    for m in range(2):
        duals = (Dual(np.asarray(x), float(m == 0)), Dual(np.asarray(z), float(m == 1)))
        slopes = [p(*duals, apply_row(row, duals)).slope for p in row.partials or () if p]
        assert all(close(slope, expected[k][m], 1e-14) for k, slope in enumerate(slopes))


SHAPE = (3, 2, 4)
AXES = [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)]


def sample_array(row: ReduceRow, seed: int = 0) -> np.ndarray[Any, Any]:
    array = np.random.default_rng(seed).uniform(*row.domain, size=SHAPE)
    return array > 0.7 if row.result == "bool" else array


def special_arrays(row: ReduceRow) -> Iterator[np.ndarray[Any, Any]]:
    """Arrays of few special values, so that every slice meets many mixtures."""
    for seed in range(40):
        draw = np.random.default_rng(seed)
        array = draw.choice(draw.choice(POINTS, size=3), size=SHAPE)
        yield array > 0.7 if row.result == "bool" else array


def slices(x: np.ndarray[Any, Any], axes: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], np.ndarray[Any, Any]]]:
    """The elements that go into each position of a reduction along `axes`, in C order."""
    kept = [k for k in range(x.ndim) if k not in axes]
    merged = np.transpose(x, (*kept, *axes)).reshape(*[x.shape[k] for k in kept], -1)
    for place in np.ndindex(*merged.shape[:-1]):
        yield place, merged[place]


@all_reductions
@pytest.mark.parametrize("axes", AXES)
def test_reduction_is_exact(row: ReduceRow, axes: tuple[int, ...]) -> None:
    assert row.name in REDUCED, f"give {row.name} an oracle in tests/symdiff/oracles.py"
    for x in [sample_array(row), *special_arrays(row)]:
        with np.errstate(all="raise"):
            y = row.numpy(x, axis=axes)
        for place, elements in slices(x, axes):
            point = tuple(elements.tolist())
            expected = exact(REDUCED[row.name], point)
            if row.name == "prod" and prod_is_open(elements):
                continue
            lost = 4e-15 if row.name == "logsumexp" else 0.0
            assert close(y[place], expected, 4e-15, lost), (point, y[place], expected)


def prod_is_open(elements: np.ndarray[Any, Any]) -> bool:
    """Whether a partial product may overflow or underflow although the whole does not, or is NaN."""
    with np.errstate(all="ignore"):
        return not np.isfinite(elements).all() or bool(np.abs(np.log10(np.abs(elements[elements != 0]))).sum() > 290)


@all_reductions
def test_reduction_keeps_dtypes_and_empty_axes(row: ReduceRow) -> None:
    for dtype in ("float32", "float64", "int64"):
        x = np.ones(SHAPE, bool if row.result == "bool" else dtype)
        floating = dtype if dtype != "int64" else "float64"
        expected = {"same": dtype, "float": floating}.get(row.result, row.result)
        assert row.numpy(x, axis=(0, 2)).dtype == expected
    empty = np.ones((0, 2))
    if row.needs_elements:
        with pytest.raises(ValueError):
            row.numpy(empty, axis=(0,))
    else:
        identity = {"prod": 1, "logsumexp": -INF, "any": False, "all": True}[row.name]
        assert (row.numpy(empty, axis=(0,)) == [identity, identity]).all()


@all_reductions
def test_reduction_is_documented(row: ReduceRow) -> None:
    assert row.doc and "\n" not in row.doc and row.fold in ("mul", "max", "min", "logsumexp", "argmax", "argmin")
    assert "x" in row.text.format("x") and row.latex.format("x").count("{") == row.latex.format("x").count("}")


@weighted_reductions
@pytest.mark.parametrize("axes", AXES)
def test_weights_to_second_order(row: ReduceRow, axes: tuple[int, ...], on_numbers: None) -> None:
    assert row.weight is not None
    x = sample_array(row, seed=1)
    direction = np.random.default_rng(2).normal(size=SHAPE)
    dual = Dual(x, direction)
    bent = row.weight(dual, apply_reduction(row, dual, axes), axes)
    assert np.array_equal(bent.value, row.weight(x, row.numpy(x, axis=axes), axes))
    weights, slopes = dict(slices(bent.value, axes)), dict(slices(bent.slope + 0 * x, axes))
    directions = dict(slices(direction, axes))
    for place, elements in list(slices(x, axes))[:3]:
        point = [mp.mpf(v) for v in elements.tolist()]
        way = [mp.mpf(v) for v in directions[place].tolist()]
        for k in range(0, len(point), 3):
            def along(t: Any, s: Any, k: int = k, point: Any = point, way: Any = way) -> Any:
                moved = [v + s * w + (t if i == k else 0) for i, (v, w) in enumerate(zip(point, way, strict=True))]
                return REDUCED[row.name](*moved)
            assert close(weights[place][k], mp.diff(along, (0, 0), (1, 0)), 1e-10, 1e-14)
            assert close(slopes[place][k], mp.diff(along, (0, 0), (1, 1)), 1e-9, 1e-12)


WEIGHTS_AT_KINKS = [
    ("max", [1.0, 3.0, 3.0, 2.0], [0.0, 0.5, 0.5, 0.0]), ("min", [1.0, 1.0, 1.0, 2.0], [1 / 3, 1 / 3, 1 / 3, 0.0]),
    ("max", [-INF, -INF], [0.5, 0.5]), ("max", [NAN, 1.0], [NAN, NAN]), ("max", [INF, 1.0], [1.0, 0.0]),
    ("logsumexp", [-INF, -INF], [0.0, 0.0]), ("logsumexp", [-INF, 2.0], [0.0, 1.0]),
    ("logsumexp", [800.0, 800.0], [0.5, 0.5]), ("logsumexp", [-800.0, 0.0], [0.0, 1.0]),
    ("prod", [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]), ("prod", [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]), ("prod", [5.0], [1.0]),
]


@pytest.mark.parametrize(("name", "elements", "expected"), WEIGHTS_AT_KINKS)
def test_weights_at_kinks(name: str, elements: list[float], expected: list[float], on_numbers: None) -> None:
    row, x = REDUCTIONS[name], np.array(elements)
    assert row.weight is not None
    weights = row.weight(x, row.numpy(x, axis=(0,)), (0,))
    assert all(close(ours, theirs, 1e-13) for ours, theirs in zip(weights, expected, strict=True)), weights
