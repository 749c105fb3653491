"""What users of NumPy write daily and what works here too: booleans in functions, sizes in arithmetic, NumPy's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import symdiff as sd
from symdiff.functions import ROWS

n, d = sd.dims("n d")
X, y, mask, k = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("mask", n, "bool"), sd.symbol("k", n, "int64")
v3, M34 = sd.symbol("v3", 3), sd.symbol("M34", (3, 4))
ONE = np.int64(1)
VALUES = {X: np.arange(10.0).reshape(5, 2), y: np.linspace(-1.0, 2.0, 5), mask: np.array([True, False, True, True, False]),
          k: np.array([1, -2, 3, 0, 5]), v3: np.array([0.0, -0.5, 2.0]), M34: np.arange(12.0).reshape(3, 4)}
CONSTANT = np.arange(4.0).reshape(2, 2)


def value(expression: Any) -> Any:
    return sd.evaluate(expression, VALUES)


def numbers(array: Any) -> Any:
    return np.asarray(array).astype(float)


FLOAT_ROWS = [row for row in ROWS.values() if row.result == "float"]


@pytest.mark.parametrize("row", FLOAT_ROWS, ids=[row.name for row in FLOAT_ROWS])
def test_functions_of_booleans_are_those_of_0_and_1(row: Any) -> None:
    """Folded constants, the reference and kernels agree, in float64."""
    arrays = [VALUES[mask], ~VALUES[mask]][:row.arity]
    expected = row.numpy(*[a.astype(np.float64) for a in arrays])
    symbols = [mask, sd.symbol("other", n, "bool")][:row.arity]
    expression = row(*symbols)
    given = dict(zip(symbols, arrays, strict=True))
    found = [sd.evaluate(expression, given), sd.compile(expression, inputs=symbols, target="interpreter")(*arrays),
             [sd.evaluate(row(*[bool(a[i]) for a in arrays])) for i in range(5)]]
    for result in found:
        assert np.asarray(result).dtype == np.float64
        np.testing.assert_allclose(result, expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["abs", "floor", "ceil", "trunc"])
def test_booleans_that_stay_booleans(name: str) -> None:
    assert getattr(sd, name)(mask) is mask
    assert sd.evaluate(getattr(sd, name)(True)).dtype == getattr(np, name)(np.True_).dtype == bool


def test_booleans_beside_integers() -> None:
    expected = VALUES[mask] % 2
    np.testing.assert_array_equal(value(sd.remainder(mask, 2)), expected)
    np.testing.assert_array_equal(sd.compile(mask % 2, target="interpreter")(VALUES[mask]), expected)


def test_xlog1py_at_the_edge() -> None:
    x, z = np.array([1.0, 0.0, 2.0, 0.0, 0.0]), np.array([0.5, -1.0, 1.0, np.inf, np.nan])
    b = sd.symbol("b", 5)
    found = sd.evaluate(sd.special.xlog1py(list(x), b), {b: z})
    np.testing.assert_allclose(found, scipy.special.xlog1py(x, z))
    a = sd.symbol("a", 5)
    slope = sd.evaluate(sd.grad(sd.sum(sd.special.xlog1py(a, b)[:3]), a), {a: x, b: z})
    np.testing.assert_allclose(slope[[0, 2]], np.log1p(z[[0, 2]]))


WORKS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "1/n": (lambda: 1 / n, lambda: 0.2), "n/2": (lambda: X.shape[0] / 2, lambda: 2.5), "n/d": (lambda: n / d, lambda: 2.5),
    "half-n": (lambda: 0.5 * n, lambda: 2.5), "n-half": (lambda: n - 0.5, lambda: 4.5), "n**2": (lambda: n**2 * y[0], lambda: -25),
    "n%2": (lambda: (n % 2) * y[0], lambda: -1.0), "7//n": (lambda: (7 // n) * y[0], lambda: -1.0),
    "2**n": (lambda: 2**n, lambda: 32), "root-n": (lambda: n**0.5, lambda: 5**0.5), "n<3": (lambda: n < 3, lambda: False),
    "n<=5.5": (lambda: n <= 5.5, lambda: True), "sqrt": (lambda: np.sqrt(X.shape[0]), lambda: 5**0.5),
    "log": (lambda: sd.log(n), lambda: np.log(5)), "float64": (lambda: np.float64(0.5) * n, lambda: 2.5),
    "array": (lambda: np.ones(3) * n, lambda: np.full(3, 5.0)), "mean": (lambda: y.sum() / X.shape[0], lambda: 0.5),
    "int64": (lambda: (np.int64(3) * n - 15) * y[0], lambda: 0.0), "huber": (lambda: sd.nn.huber(y, 0.0, n), lambda: 0.6875),
    "linspace": (lambda: sd.linspace(v3, 1, 3), lambda: np.linspace(VALUES[v3], 1, 3)),
    "linspace-broadcast": (lambda: sd.linspace(v3, sd.stack([v3, v3]), 4, endpoint=False),
                           lambda: np.linspace(VALUES[v3], np.stack([VALUES[v3]] * 2), 4, endpoint=False)),
    "linspace-one": (lambda: sd.linspace(v3, 1, 1), lambda: np.linspace(VALUES[v3], 1, 1)),
    "eye": (lambda: sd.eye(3, k=ONE), lambda: np.eye(3, k=1)), "pad": (lambda: sd.pad(v3, ONE), lambda: np.pad(VALUES[v3], 1)),
    "pad-array": (lambda: sd.pad(M34, np.array([[1, 2], [0, 1]])), lambda: np.pad(VALUES[M34], ((1, 2), (0, 1)))),
    "diag": (lambda: sd.diag(v3, ONE), lambda: np.diag(VALUES[v3], 1)),
    "round": (lambda: sd.round(v3, ONE), lambda: np.round(VALUES[v3], 1)),
    "tensordot": (lambda: sd.tensordot(M34, M34.T, axes=ONE), lambda: VALUES[M34] @ VALUES[M34].T),
    "concat-array": (lambda: sd.concat(CONSTANT), lambda: np.concatenate(CONSTANT)),
    "concat-expression": (lambda: sd.concat(M34), lambda: np.concatenate(VALUES[M34])),
    "stack-expression": (lambda: sd.stack(v3), lambda: VALUES[v3]),
    "vstack": (lambda: sd.vstack(v3), lambda: np.vstack(VALUES[v3])),
    "full": (lambda: sd.full((2, 3), v3), lambda: np.full((2, 3), VALUES[v3])),
    "full-like": (lambda: sd.full_like(M34, [1, 2, 3, 4]), lambda: np.full_like(VALUES[M34], [1, 2, 3, 4])),
    "index-0d": (lambda: v3[np.array(1)], lambda: VALUES[v3][1]),
    "index-mask": (lambda: M34[:, [True, False, True, False]], lambda: VALUES[M34][:, [True, False, True, False]]),
    "index-nothing": (lambda: v3[[]], lambda: VALUES[v3][[]]),
    "reshape-nothing": (lambda: sd.reshape(sd.ones((0, 3)), -1), lambda: np.zeros(0)),
    "reshape-nothing-more": (lambda: sd.zeros((0, 3)).reshape(3, 0), lambda: np.zeros((3, 0))),
    "reshape-keyword": (lambda: np.reshape(M34, shape=(4, 3)), lambda: VALUES[M34].reshape(4, 3)),
    "order-of-norm": (lambda: sd.norm(v3, np.int64(3)), lambda: np.linalg.norm(VALUES[v3], 3)),
    "std-ddof": (lambda: y.std(ddof=1), lambda: VALUES[y].std(ddof=1)),
    "var-ddof": (lambda: M34.var(axis=0, ddof=1), lambda: VALUES[M34].var(axis=0, ddof=1)),
    "copy": (lambda: v3.copy(), lambda: VALUES[v3]), "real": (lambda: v3.real, lambda: VALUES[v3]),
    "classes": (lambda: sd.nn.cross_entropy(M34, [0, 1, 3], reduction="sum"),
                lambda: -np.log(scipy.special.softmax(VALUES[M34], 1))[[0, 1, 2], [0, 1, 3]].sum()),
    "constant": (lambda: sd.constant([1, 2], dtype="float32"), lambda: np.array([1, 2], "float32")),
}


@pytest.mark.parametrize("name", WORKS)
def test_works_as_in_numpy(name: str) -> None:
    build, expected = WORKS[name]
    found, wanted = np.asarray(value(build())), np.asarray(expected())
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-15)


def test_sizes_stay_sizes() -> None:
    assert n**2 == n * n
    assert (n * d) % n == 0
    assert n * np.int64(2) == np.int64(2) * n == 2 * n
    assert np.add(n, np.int64(1)) == n + 1
    assert (n > 0) is True
    assert (n < 1) is False
    assert (n + 1 <= n) is False
    assert f"{n + 1:>6}" == " n + 1"


def test_shapes_from_arrays() -> None:
    assert sd.symbol("q", np.array([3, 4])).shape == (3, 4)
    assert sd.broadcast_arrays() == []
    assert sd.simplify([v3, {"a": v3}]) == [v3, {"a": v3}]


def test_text_of_an_expression_can_be_padded() -> None:
    assert f"{v3:>5}" == "   v3"
    assert f"{v3}" == "v3"
