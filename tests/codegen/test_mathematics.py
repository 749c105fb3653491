"""Our own elementary functions: their error in units of the last place over the whole range, and their special values.

The oracle is NumPy in extended precision, for erf and erfc mpmath.  Seeds are fixed; the bounds are what was measured on
many millions of points, rounded up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from msgspec.structs import replace

import symdiff as sd
from codegen.backends.native_code import machine
from codegen.emitters.llvm.module import emit
from codegen.emitters.llvm.processor import Processor
from symdiff.functions import ROWS

Long = np.longdouble
Array = Any
COUNT = 20_000
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e-310, 2.3e-308, -1.0, 710.0, -746.0, 1e308, -1e308, 1e9, 88.8,
           -104.0)


class Measured(NamedTuple):
    """A function: its oracle, the ranges in which it is sampled by dtype, the most ulp it may be off."""

    oracle: Callable[[Array], Array]
    float64: tuple[float, float]
    float32: tuple[float, float]
    ulp: float = 2.5


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, Long(1), np.exp(-np.abs(x))) / (1 + np.exp(-np.abs(x)))


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def precise(function: Any) -> Callable[[Array], Array]:
    """A function of mpmath on arrays."""
    def one(x: Any) -> Any:
        with mp.workdps(40):
            return Long(mp.nstr(function(mp.mpf(float(x))), 25))
    return np.vectorize(one, otypes=[Long])  # type: ignore[no-any-return]


POSITIVE = {"float64": (1e-300, 1e300), "float32": (1e-37, 1e37)}
FUNCTIONS: dict[str, Measured] = {
    "exp": Measured(np.exp, (-708, 709.7), (-87, 88), 1.1), "exp2": Measured(np.exp2, (-1021, 1023.9), (-125, 127), 1.1),
    "expm1": Measured(np.expm1, (-40, 709.7), (-40, 88), 1.8), "log": Measured(np.log, **POSITIVE, ulp=0.9),
    "log2": Measured(np.log2, **POSITIVE, ulp=1.3), "log10": Measured(np.log10, **POSITIVE, ulp=1.3),
    "log1p": Measured(np.log1p, (-0.999, 1e300), (-0.999, 1e37), 1.5), "tanh": Measured(np.tanh, (-20, 20), (-20, 20), 2.1),
    "sinh": Measured(np.sinh, (-709, 709.5), (-87, 88)), "cosh": Measured(np.cosh, (-709, 709.5), (-87, 88), 1.4),
    "asinh": Measured(np.arcsinh, (-1e300, 1e300), (-1e37, 1e37), 1.8), "acosh": Measured(np.arccosh, (1, 1e300), (1, 1e37), 2.1),
    "atanh": Measured(np.arctanh, (-1, 1), (-1, 1), 2.2),
    "sin": Measured(np.sin, (-1e5, 1e5), (-1e5, 1e5), 0.85), "cos": Measured(np.cos, (-1e5, 1e5), (-1e5, 1e5), 0.85),
    "tan": Measured(np.tan, (-1e5, 1e5), (-1e5, 1e5), 2.2), "asin": Measured(np.arcsin, (-1, 1), (-1, 1), 1.2),
    "acos": Measured(np.arccos, (-1, 1), (-1, 1), 1.2), "atan": Measured(np.arctan, (-1e300, 1e300), (-1e37, 1e37), 1.9),
    "cbrt": Measured(np.cbrt, (-1e300, 1e300), (-1e37, 1e37), 0.6),
    "sigmoid": Measured(sigmoid, (-700, 700), (-87, 88)), "softplus": Measured(softplus, (-700, 700), (-87, 88), 1.8),
    "sech_squared": Measured(lambda x: 1 / np.cosh(x) ** 2, (-350, 350), (-40, 40), 2.4),
    "erf": Measured(precise(mp.erf), (-6, 6), (-6, 6), 1.3), "erfc": Measured(precise(mp.erfc), (-6, 26), (-6, 9), 3.3),
}
SLOW = ("erf", "erfc")


def points(name: str, dtype: str) -> Array:
    """Points over the range, about 0 and 1, near its ends, and of every magnitude."""
    rng = np.random.default_rng(17)
    low, high = getattr(FUNCTIONS[name], dtype)
    count = 1500 if name in SLOW else COUNT
    largest = float(np.log10(max(abs(low), high)))
    signs = 1 if low >= 0 else rng.choice([-1, 1], count)
    magnitudes = 10.0 ** rng.uniform(-300 if low > 0 else -30, largest, count) * signs
    near = (rng.uniform(0.3, 3.0, count), rng.normal(size=count) * (1 if low < 0 else 10))
    ends = [end + side * 10.0 ** rng.uniform(-15, -1, count) for end, side in ((low, 1), (high, -1)) if abs(end) <= 1]
    found = np.concatenate([rng.uniform(low, high, count), magnitudes, *near, *ends]).astype(dtype)
    return found[(found >= low) & (found <= high)]


@pytest.fixture(params=["own instructions", "any processor"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor at hand, and the same without instructions of its own for elementary functions."""
    if request.param == "any processor":
        monkeypatch.setattr(machine(), "processor", replace(machine().processor, avx512=False))
        monkeypatch.setattr(machine(), "circumstances", (*machine().circumstances, request.param))


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_the_last_place(name: str, dtype: str) -> None:
    x = sd.symbol("x", "points", dtype)
    kernel = sd.compile(ROWS[name](x))
    given = points(name, dtype)
    ours = kernel(given)
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[name].oracle(given.astype(Long))
        rounded = exact.astype(dtype)
        place = np.spacing(np.abs(rounded)).astype(Long)
        error = np.abs(ours.astype(Long) - exact) / place
    worst = int(np.nanargmax(error))
    assert error[worst] <= FUNCTIONS[name].ulp, (name, dtype, given[worst], float(error[worst]))
    assert np.array_equal(np.isnan(ours), np.isnan(rounded))
    # One lane, and a part of a vector, give the same numbers to the last place that is allowed.
    for part in (given[:1], given[:3], given[1:8]):
        wanted = FUNCTIONS[name].oracle(part.astype(Long)).astype(dtype)
        np.testing.assert_allclose(kernel(part), wanted, rtol=8 * np.finfo(dtype).eps)


PAIRS: dict[str, tuple[Callable[[Array, Array], Array], float, float]] = {
    # The oracle, and the most ulp in double and in single precision.
    "hypot": (np.hypot, 1.2, 0.6), "atan2": (np.arctan2, 2.0, 2.0),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two(name: str, dtype: str) -> None:
    oracle, *bounds = PAIRS[name]
    x, y = sd.symbol("x", "points", dtype), sd.symbol("y", "points", dtype)
    kernel = sd.compile(getattr(sd, name)(x, y), [x, y])
    rng, f = np.random.default_rng(5), np.finfo(dtype)
    ends = [0.0, -0.0, 1.0, -1.0, 3.0, np.inf, -np.inf, np.nan, *map(float, (f.max, -f.max, f.tiny, f.smallest_subnormal))]
    special = np.meshgrid(ends, ends)
    wild = np.exp(rng.uniform(np.log(f.smallest_subnormal), np.log(f.max), (2, COUNT)).astype(Long))
    few = float(f.smallest_subnormal) * rng.integers(1, 2000, (2, COUNT))
    near = wild[0] * np.exp(rng.normal(size=COUNT))
    with np.errstate(all="ignore"):
        given = [np.concatenate([np.ravel(special[k]), wild[k], (wild[0], near)[k], few[k], rng.normal(size=COUNT)]).astype(dtype)
                 for k in (0, 1)]
        given = [v * np.sign(rng.normal(size=v.size)).astype(dtype) for v in given]
        ours, exact = kernel(*given), oracle(*[v.astype(Long) for v in given])
        rounded = exact.astype(dtype)
        error = np.abs(ours.astype(Long) - exact) / np.spacing(np.abs(rounded)).astype(Long)
        same = (ours == rounded) | (np.isnan(ours) & np.isnan(rounded)) | (error <= bounds[dtype == "float32"])
    wrong = ~same | ((np.signbit(ours) != np.signbit(rounded)) & ~np.isnan(rounded))
    assert not wrong.any(), [(*[v[k] for v in given], ours[k], rounded[k], error[k]) for k in np.flatnonzero(wrong)[:5]]


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in SLOW])
def test_special_values(name: str, dtype: str) -> None:
    x = sd.symbol("x", "points", dtype)
    with np.errstate(all="ignore"):
        given = np.array(SPECIAL).astype(dtype)
        wanted = FUNCTIONS[name].oracle(given.astype(Long)).astype(dtype)
    ours = sd.compile(ROWS[name](x))(given)
    for at, mine, theirs in zip(given, ours, wanted, strict=True):
        if np.isnan(theirs) or np.isinf(theirs) or theirs == 0:
            assert (np.isnan(mine) and np.isnan(theirs)) or (mine == theirs and np.signbit(mine) == np.signbit(theirs)), (at, mine)
        else:
            assert abs(float(mine) - float(theirs)) <= 3 * float(np.spacing(np.abs(theirs))), (at, mine, theirs)


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize(("dtype", "most"), [("float64", 2**24), ("float32", 5000)])
def test_angles_next_to_multiples_of_a_quarter_turn(name: str, dtype: str, most: int) -> None:
    """There the multiple that is taken off cancels nearly all of the angle."""
    with mp.workprec(200):
        quarters = np.unique(np.random.default_rng(3).integers(1, most, 1000))
        given = np.array([float(int(k) * mp.pi / 2) for k in quarters]).astype(dtype)
        exact = [getattr(mp, name)(mp.mpf(float(v))) for v in given]
        place = np.spacing(np.abs(np.array([float(v) for v in exact]).astype(dtype)))
        x = sd.symbol("x", "points", dtype)
        ours = sd.compile(ROWS[name](x))(given)
        error = [float(abs(mp.mpf(float(a)) - b)) / float(c) for a, b, c in zip(ours, exact, place, strict=True)]
    worst = int(np.argmax(error))
    assert error[worst] < 2.2, (given[worst], error[worst])


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_square_roots_are_rounded_once(dtype: str) -> None:
    """Of numbers of every size, and of squares of numbers half way between two."""
    rng, f = np.random.default_rng(7), np.finfo(dtype)
    sizes = np.exp(rng.uniform(np.log(f.smallest_subnormal), np.log(f.max), 400_000).astype(Long)).astype(dtype)
    roots = rng.uniform(1, 2, 400_000).astype(dtype)
    halfway = ((roots.astype(Long) + np.spacing(roots).astype(Long) / 2) ** 2).astype(dtype)
    x = sd.symbol("x", "points", dtype)
    kernel = sd.compile(sd.sqrt(x))
    for given in (sizes, halfway, np.array([0.0, -0.0, np.inf, 4.0, 2.0, 3.0, -1.0, np.nan]).astype(dtype)):
        with np.errstate(invalid="ignore"):
            wanted = np.sqrt(given)
        ours = kernel(given)
        assert np.array_equal(ours, wanted, equal_nan=True) and np.array_equal(np.signbit(ours[:2]), np.signbit(wanted[:2]))


def test_only_light_loops_take_roots_by_multiplication() -> None:
    """Where much else is done the processor's own unit takes them meanwhile."""
    x = sd.symbol("x", "points")
    for loss, by_multiplication in ((sd.sqrt(x), True), (x / (sd.sqrt(x) + 1), True), (sd.sqrt(sd.exp(sd.sin(x))), False)):
        program = sd.compile(loss).planned({"points": 1000}).program
        assert ("rsqrt14" in emit(program, Processor(64, avx512=True))) == by_multiplication
        assert "rsqrt14" not in emit(program, Processor(64))
