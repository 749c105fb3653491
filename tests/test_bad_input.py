"""Parameters, constants, sizes and habits: what is refused, in words; what other libraries know and works here too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from tests.test_errors import Case, check, ids

HERE = "test_bad_input.py:"
n, d = sd.dims("n d")
X, y, x = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("x")
v3, v4, M34 = sd.symbol("v3", 3), sd.symbol("v4", 4), sd.symbol("M34", (3, 4))
k, mask = sd.symbol("k", n, "int64"), sd.symbol("mask", n, "bool")
loss = sd.sum(y**2)
FLOATS, PAIR = np.array([0.5, 1.5]), np.array([1, 2])
MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[True, False, False])


def assign(target: Any, value: Any) -> None:
    """target[0] = value."""
    target[0] = value


def refused(build: Callable[[], Any], kind: type[Exception], *fragments: str) -> Any:
    """A row of a table, named by its first fragment and its line."""
    return (f"{fragments[0]}-{build.__code__.co_firstlineno}", build, kind, (*fragments, HERE))


S, T = sd.ShapeMismatch, sd.TypeMismatch
NUMBERS: list[Case] = [
    refused(lambda: sd.pad(v3, (1.5, 2)), T, "pad_width 1.5", "integer", "v3"),
    refused(lambda: sd.pad(v3, (None, None)), T, "None", "integer"),
    refused(lambda: sd.pad(v3, ("a", "b")), T, "'a'", "integer"),
    refused(lambda: sd.pad(v3, -1), S, "-1", "0 or more"),
    refused(lambda: sd.diag(v3, 1.5), T, "k 1.5", "v3"),
    refused(lambda: sd.diag(v3, "a"), T, "k 'a'"),
    refused(lambda: sd.trace(M34, 1.5), T, "offset 1.5", "M34"),
    refused(lambda: sd.tril(M34, "a"), T, "k 'a'", "tril"),
    refused(lambda: sd.eye(3, k="a"), T, "k 'a'", "eye"),
    refused(lambda: sd.eye(3, k=1.5), T, "k 1.5"),
    refused(lambda: sd.eye(3, k=x), T, "k x of shape ()"),
    refused(lambda: sd.round(v3, 1.5), T, "decimals 1.5"),
    refused(lambda: sd.round(v3, "a"), T, "decimals 'a'"),
    refused(lambda: sd.diff(v3, -1), S, "n -1", "0 or more"),
    refused(lambda: sd.diff(v3, "a"), T, "n 'a'"),
    refused(lambda: sd.roll(v3, x), T, "shift x of shape ()"),
    refused(lambda: sd.arange(0, 5, 0.0), S, "0.0", "step"),
    refused(lambda: sd.arange(0, np.nan), S, "nan", "finite"),
    refused(lambda: sd.arange("a"), T, "'a'", "arange"),
    refused(lambda: sd.var(v3, correction=5), S, "correction 5", "-2", "v3"),
    refused(lambda: sd.vector_norm(v3, ord=np.nan), T, "ord=nan"),
    refused(lambda: sd.linalg.norm(v3, PAIR), T, "array of shape (2,)", "axis="),
    refused(lambda: sd.permute_dims(M34, 1), S, "permutation", "M34"),
    refused(lambda: sd.sum(v3, axis=np.array([0])), T, "array of shape (1,)", "integer"),
    refused(lambda: sd.sum(v3, axis=int), T, "the type int", "integer"),
    refused(lambda: sd.sum(v3, keepdims=PAIR), T, "keepdims", "array of shape (2,)"),
    refused(lambda: sd.sum(v3, keepdims=x), T, "keepdims x of shape ()", "keepdims=True"),
    refused(lambda: sd.max(v3, keepdims="yes"), T, "keepdims 'yes'"),
    refused(lambda: sd.linspace(0, 1, 5, endpoint="no"), T, "endpoint 'no'"),
    refused(lambda: sd.repeat(v3, PAIR), S, "array of shape (2,)", "not a size"),
    refused(lambda: sd.concat(3), T, "list of arrays", "3"),
    refused(lambda: sd.concat(v3, v4), T, "one list", "sd.concat([a, b])", "v3", "v4"),
    refused(lambda: sd.concat([x, x]), S, "scalars", "sd.stack"),
    refused(lambda: sd.stack(y), T, "list of arrays", "y of shape (n,)"),
    refused(lambda: sd.stack(v for v in [x]), T, "a generator", "sd.stack([a, b])"),
    refused(lambda: v3[[True, False]], S, "2 truth values", "axis 0 of size 3"),
    refused(lambda: y[[True, False]], S, "2 truth values", "size n"),
    refused(lambda: v3[[0, [1]]], T, "[0, [1]]", "rectangular"),
    refused(lambda: v3[[0.5]], T, "[0.5]", "not an index"),
    refused(lambda: sd.full(3, v4), S, "(4,)", "(3,)", "full of v4"),
    refused(lambda: sd.full(3, [1, 2]), S, "(2,)", "(3,)"),
    refused(lambda: sd.full((n,), v3), S, "(3,)", "(n,)"),
    refused(lambda: sd.full_like(v3, v4), S, "(4,)", "(3,)"),
    refused(lambda: sd.nn.cross_entropy(M34, [0, 1, 9]), S, "class number 9", "4 classes", "M34"),
    refused(lambda: sd.nn.cross_entropy(M34, [0, -1, 2]), S, "class number -1"),
    refused(lambda: sd.nn.cross_entropy(X, sd.full(n, -1, "int64")), S, "class number -1", "d classes"),
    refused(lambda: sd.argmax(sd.symbol("e", (0, 3))), S, "argmax of no elements", "e of shape (0, 3)"),
]
CONSTANTS: list[Case] = [
    refused(lambda: sd.constant([2**40], dtype="int32"), T, "int32 cannot hold", "[1099511627776]"),
    refused(lambda: sd.constant([np.nan], dtype="int64"), T, "int64 cannot hold", "[nan]"),
    refused(lambda: sd.constant([1.5], dtype="int64"), T, "int64 cannot hold", "astype('int64')"),
    refused(lambda: sd.constant([2], dtype=bool), T, "bool cannot hold", "[2]"),
    refused(lambda: sd.constant([1e300], dtype="float32"), T, "float32 cannot hold"),
    refused(lambda: sd.constant([1j], dtype="float64"), T, "complex"),
    refused(lambda: sd.constant([None]), T, "Python objects"),
    refused(lambda: sd.constant([None], dtype="float64"), T, "Python objects"),
    refused(lambda: sd.constant(["1"], dtype="float64"), T, "text"),
    refused(lambda: sd.full(3, 1.5, "int64"), T, "int64 cannot hold", "1.5"),
    refused(lambda: sd.full_like(k, 1.5), T, "int64 cannot hold", "1.5"),
    refused(lambda: sd.full_like(k, y), T, "int64 cannot hold float64", "k", "y"),
    refused(lambda: sd.asarray(FLOATS, "int64"), T, "int64 cannot hold"),
    refused(lambda: sd.constant(MASKED), T, "masked", "filled"),
    refused(lambda: v3 + MASKED, T, "masked", "filled"),
    refused(lambda: sd.exp(None), T, "None is no expression"),
    refused(lambda: sd.exp(v for v in [x]), T, "a generator is no expression"),
    refused(lambda: v3[:2] * [n, 1], T, "list of expressions or sizes", "sd.stack"),
]
BOOLEANS: list[Case] = [
    refused(lambda function=function: function(mask), T, "takes no booleans", "mask", "astype")
    for function in (sd.sign, sd.round, sd.rint, sd.relu)
] + [
    refused(lambda: sd.sign(True), T, "sign takes no booleans"),
    refused(lambda: mask % mask, T, "remainder takes no booleans"),
    refused(lambda: mask // mask, T, "floor_divide takes no booleans"),
]
SIZES: list[Case] = [
    refused(lambda: sd.dim("bad1", minimum="a"), T, "minimum='a'", "bad1"),
    refused(lambda: sd.dim("bad2", minimum=1.5), T, "minimum=1.5"),
    refused(lambda: sd.dim("bad3", minimum=-3), S, "minimum=-3", "0 or more"),
    refused(lambda: sd.dim("bad4", typical="big"), T, "typical='big'"),
    refused(lambda: sd.dim("bad5", typical=-5), S, "typical=-5"),
    refused(lambda: sd.dims(["n", "m"]), T, "['n', 'm']", "one text"),
    refused(lambda: sd.symbols(["a"]), T, "['a']", "one text"),
    refused(lambda: n // 0, S, "n cannot be divided by 0"),
    refused(lambda: n % 0, S, "n cannot be divided by 0"),
    refused(lambda: int(n), S, "n is symbolic", "no integer value"),
    refused(lambda: np.ones(n), S, "n is symbolic", "sd.ones(n)"),
    refused(lambda: np.ones((n, 3)), S, "n is symbolic", "sd.ones(n)"),
    refused(lambda: 0 if n < 3 else 1, T, "truth value", "n < 3"),
    refused(lambda: sd.zeros(v3), S, "v3", "not a size", "x.shape"),
    refused(lambda: sd.symbol("q", x), S, "x", "not a size"),
    refused(lambda: sd.symbol("q", FLOATS), S, "0.5", "not a size"),
    refused(lambda: sd.symbol("q", -3), S, "-3", "negative"),
    refused(lambda: sd.symbol("q", 3, "float16"), T, "'float16'", "float32"),
]
HABITS: list[Case] = [
    refused(lambda: assign(v3, 1.0), T, "never changes", "sd.where", "v3"),
    refused(lambda: v3.cumsum(), sd.TypeMismatch, "'cumsum'", "sd.tril", "float64 (3,)"),
    refused(lambda: v3.item(), T, "'item'", "sd.evaluate"),
    refused(lambda: f"{x:.3f}", T, "'.3f'", "sd.evaluate", "x of shape ()"),
    refused(lambda: float(x), T, "no numeric value", "x of shape ()"),
    refused(lambda: len(y), T, "no length", "y of shape (n,)"),
    refused(lambda: list(y), T, "iterated", "y of shape (n,)"),
    refused(lambda: np.asarray(y), T, "NumPy array", "y of shape (n,)"),
    refused(lambda: bool(x > 0), T, "truth value", "`x > 0`"),
    refused(lambda: y.max(initial=0), T, "initial=", "max"),
    refused(lambda: M34.reshape((4, 3), order="F"), T, "order=", "reshape"),
    refused(lambda: y.sum(1, 2, 3, 4), T, "too many", "sum(x, axis=None"),
    refused(lambda: sd.simplify("a"), T, "'a' is no expression", "give an expression"),
    refused(lambda: sd.simplify(None), T, "None is no expression"),
    refused(lambda: sd.substitute(loss, None), T, "None is no dict of values", "dict"),
    refused(lambda: sd.substitute(loss, [1.0]), T, "[1.0] is no dict of values"),
    refused(lambda: sd.evaluate(loss, [1.0]), T, "[1.0] is no dict of values"),
    refused(lambda: sd.grad(loss, (v for v in [y])), T, "a generator is no symbol", "give a symbol"),
    refused(lambda: sd.formula(loss, style=3), T, "3 is not a style"),
]


@pytest.mark.parametrize("case", [*NUMBERS, *CONSTANTS, *BOOLEANS, *SIZES, *HABITS], ids=ids)
def test_error(case: Case) -> None:
    _, build, kind, fragments = case
    check(build, kind, fragments)


def test_negative_size_is_told_as_such() -> None:
    s = sd.symbol("s", n + 5)
    with pytest.raises(sd.ArgumentMismatch, match=r"n would be -2") as caught:
        sd.evaluate(sd.sum(s), {"s": [1.0, 2.0, 3.0]})
    assert "minimum" not in str(caught.value)
    assert "more elements" in str(caught.value)


def test_bad_option_leaves_the_size_alone() -> None:
    with pytest.raises(sd.TypeMismatch):
        sd.dim("spared", minimum="a")  # type: ignore[arg-type]
    assert sd.symbol("spared_vector", sd.dim("spared"))[0].shape == ()


def test_minimum_that_proved_something_stays() -> None:
    q = sd.dim("proved", minimum=10)
    sd.dim("proved", minimum=4)  # nothing rests on 10 yet
    sd.dim("proved", minimum=10)
    fifth = sd.symbol("yq", q)[5] * 1.0
    with pytest.raises(sd.ShapeMismatch, match="at least 10"):
        sd.dim("proved", minimum=1)
    assert sd.dim("proved") == q
    with pytest.raises(sd.ArgumentMismatch, match="at least 10"):
        sd.evaluate(fifth, {"yq": [1.0, 2.0, 3.0]})


def test_attributes_that_are_not_there() -> None:
    assert not hasattr(v3, "cumsum")
    assert getattr(v3, "cumsum", None) is None
    assert issubclass(sd.errors.UnknownAttribute, AttributeError)
    with pytest.raises(sd.errors.UnknownAttribute, match=r"(?s)tril.*"):
        v3.cumsum()
    assert "cumsum" not in dir(v3) and {"sum", "T", "shape"} < set(dir(v3))
    with pytest.raises(AttributeError, match="no attribute 'summ'") as caught:
        v3.summ()
    assert caught.value.name == "summ" and caught.value.obj is v3  # Python's "Did you mean: 'sum'?" rests on these
