"""Binding: what is taken, what is refused, and what the refusal says."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import symdiff as sd
from symdiff.binding.arguments import Argument, Binder
from symdiff.errors import ArgumentMismatch
from symdiff.sizes import dim, dims

n, d = dims("n d")
ARGUMENTS = (Argument("X", "float64", (n, d), "X (n, d)"), Argument("y", "float64", (n,)),
             Argument("lam", "float64", ()))
X, Y = np.arange(15.0).reshape(5, 3), np.arange(5.0)
BINDER = Binder(ARGUMENTS)


def single(dtype, shape=(n,)):
    return Binder([Argument("x", dtype, shape)])


def test_exact_arrays_are_passed_on():
    arrays, sizes = BINDER.bind((X, Y, 0.5), {})
    assert arrays[0] is X and arrays[1] is Y and arrays[2].shape == () and arrays[2] == 0.5
    assert sizes == {"n": 5, "d": 3}


def test_names_and_positions_mix():
    arrays, _ = BINDER.bind((X,), {"lam": 2, "y": Y})
    assert arrays[1] is Y and arrays[2] == 2.0


@pytest.mark.parametrize("value", [
    X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X[::-1][::-1], X.astype(">f8"), X.astype("f4"),
    X.astype("i8"), X.astype("f2"), pd.DataFrame(X), X.astype(np.int32), tuple(map(tuple, X.astype(int).tolist())),
    np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view("f8").reshape(5, 3),
])
def test_everything_like_an_array_is_taken(value):
    array = BINDER.bind((value, Y, 0), {})[0][0]
    np.testing.assert_array_equal(array, X)
    assert array.dtype == np.float64 and array.dtype.isnative and array.flags.c_contiguous and array.flags.aligned


def test_inputs_are_not_written():
    frozen = X.copy()
    frozen.flags.writeable = False
    assert BINDER.bind((frozen, Y, 0), {})[0][0] is frozen


BAD = {
    "no input 'yy'": lambda: BINDER.bind((X,), {"yy": Y, "lam": 1}),
    "did you mean 'lam'": lambda: BINDER.bind((X, Y), {"lan": 1}),
    "given twice": lambda: BINDER.bind((X, Y, 1), {"y": Y}),
    "no value is given for y, lam": lambda: BINDER.bind((X,), {}),
    "4 values are given, but there are 3": lambda: BINDER.bind((X, Y, 1, 2), {}),
    r"X has 1 axis \(shape \(5,\)\), but 2 expected: \(n, d\)": lambda: BINDER.bind((Y, Y, 1), {}),
    "size n is 5 by axis 0 of X, but 4 by axis 0 of y": lambda: BINDER.bind((X, Y[:4], 1), {}),
    "size n is 0 by axis 0 of X, but it is at least 1": lambda: BINDER.bind((X[:0], Y[:0], 1), {}),
    "X has dtype complex128|X holds complex": lambda: BINDER.bind((X + 0j, Y, 1), {}),
    "y holds Python objects": lambda: BINDER.bind((X, Y.astype(object), 1), {}),
    "y holds text": lambda: BINDER.bind((X, ["a", "b"], 1), {}),
    "y holds dates": lambda: BINDER.bind((X, np.array(["NaT"] * 5, "M8[s]"), 1), {}),
    "masked": lambda: BINDER.bind((np.ma.masked_invalid(X), Y, 1), {}),
    "cannot be read as an array": lambda: BINDER.bind(([[1, 2], [3]], Y, 1), {}),
    "x has dtype float64, but float32": lambda: single("float32").bind((Y,), {}),
    "x has dtype int64, but int32": lambda: single("int32").bind((np.arange(3),), {}),
    "x has dtype int64, but float32": lambda: single("float32").bind((np.arange(3),), {}),
    "x has dtype uint64, but int64": lambda: single("int64").bind((np.arange(3, dtype=np.uint64),), {}),
    "x holds floats, but int64": lambda: single("int64").bind(([1.5],), {}),
    "x holds integers, but bool": lambda: single("bool").bind(([1, 0],), {}),
    "number that float32 cannot hold": lambda: single("float32").bind(([1e300],), {}),
    "number that int32 cannot hold": lambda: single("int32").bind(([2**40],), {}),
    "axis 0 of x has 4 elements, but 3 are": lambda: single("float64", (3,)).bind((Y[:4],), {}),
    "no n makes that so": lambda: single("float64", (2 * n,)).bind((Y,), {}),
    "cannot be told": lambda: single("float64", (n * d,)).bind((Y,), {}),
    "n - 1 is 4": lambda: Binder([Argument("a", "float64", (n,)), Argument("b", "float64", (n - 1,))]).bind(
        (Y, Y), {}),
    r"X\[1, 2\] is nan": lambda: Binder(ARGUMENTS, check=True).bind(
        (np.where(X == 5, np.nan, X), Y, 1), {}),
    "lam is inf": lambda: Binder(ARGUMENTS, check=True).bind((X, Y, np.inf), {}),
}
if np.finfo(np.longdouble).nmant > 52:
    BAD["y has dtype"] = lambda: BINDER.bind((X, Y.astype(np.longdouble), 1), {})


@pytest.mark.parametrize("message", BAD)
def test_refusals_say_what_is_wrong(message):
    with pytest.raises(ArgumentMismatch, match=message) as caught:
        BAD[message]()
    assert "mend:" in str(caught.value)


def test_weak_numbers_fit_any_float():
    assert single("float32").bind(([1.5, 2],), {})[0][0].dtype == np.float32
    assert single("int32").bind(([1, True],), {})[0][0].dtype == np.int32
    assert single("float32", ()).bind((0.1,), {})[0][0] == np.float32(0.1)


def test_exact_numbers_are_numbers() -> None:
    """Integers beyond 64 bits, fractions and decimals are numbers for floats; what is too large for a dtype is told so."""
    s, k = sd.symbol("s", 2), sd.symbol("k", dtype="int64")
    for target in ("cpu", "numpy"):
        kernel = sd.compile(2 * s, [s], target=target)
        np.testing.assert_array_equal(kernel([2**70, Fraction(1, 4)]), [2.0**71, 0.5])
        np.testing.assert_array_equal(kernel([Decimal("0.5"), 1]), [1, 2])
        with pytest.raises(sd.ArgumentMismatch, match="s holds a number that float64 cannot hold"):
            kernel([10**400, 1])
        with pytest.raises(sd.ArgumentMismatch, match="k holds a number that int64 cannot hold"):
            sd.compile(2 * k, [k], target=target)(2**70)
        with pytest.raises(sd.ArgumentMismatch, match="s holds a number that float64 cannot hold"):
            kernel([Decimal("1e400"), 1])
        np.testing.assert_array_equal(kernel([Decimal("-Infinity"), Fraction(1)]), [-np.inf, 2])
    for dtype, given in (("int32", 2**40), ("bool", 2), ("bool", 1)):
        small = sd.symbol("small", 1, dtype)
        with pytest.raises(sd.ArgumentMismatch, match="small holds"):
            sd.compile(sd.where(small > 0, 1, 2) if dtype == "int32" else sd.where(small, 1, 2), [small])(np.array([given], object))


def test_sizes_are_solved():
    assert single("float64", (2 * n + 1,)).bind((Y,), {})[1] == {"n": 2}
    m = dim("m")
    binder = Binder([Argument("a", "float64", (n * m,)), Argument("b", "float64", (m, 3))])
    assert binder.bind((np.ones(8), np.ones((4, 3))), {})[1] == {"m": 4, "n": 2}
    least = dim("least", minimum=0)
    assert single("float64", (least,)).bind((np.ones(0),), {})[1] == {"least": 0}
