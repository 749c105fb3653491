"""Bad input of every kind: the named error, with the user's names, sizes and source line, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

HERE = "test_errors.py:"
n, m, d = sd.dims("n m d")
X, y, w, lam = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("lam")
A, S, v3, M34 = sd.symbol("A", (n, n)), sd.symbol("S", (d, m)), sd.symbol("v3", 3), sd.symbol("M34", (3, 4))
k, mask, h = sd.symbol("k", n, dtype="int64"), sd.symbol("mask", n, dtype="bool"), sd.symbol("h", n, dtype="float32")
loss = sd.sum((X @ w - y) ** 2) + lam * sd.sum(w**2)
DATA = {"X": np.ones((4, 2)), "y": np.ones(4), "lam": 1.0}
POINT = {**DATA, "w": np.ones(2)}
FORBIDDEN = re.compile(r"numba(?!')|llvm|KeyError|IndexError|AttributeError|Traceback|NoneType|object at 0x", re.IGNORECASE)

Case = tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]

WRITING: list[Case] = [
    ("name-with-space", lambda: sd.symbol("my loss"), sd.TypeMismatch, ("'my loss'", "identifier", HERE)),
    ("name-empty", lambda: sd.symbol(""), sd.TypeMismatch, ("''", HERE)),
    ("name-number", lambda: sd.symbol(3), sd.TypeMismatch, ("3", HERE)),
    ("dtype-unknown", lambda: sd.symbol("q", 3, "float16"), sd.TypeMismatch, ("float16", "float32")),
    ("dtype-complex", lambda: sd.symbol("q", 3, complex), sd.TypeMismatch, ("complex",)),
    ("size-negative", lambda: sd.symbol("q", -3), sd.ShapeMismatch, ("-3", "negative")),
    ("size-float", lambda: sd.symbol("q", 2.5), sd.ShapeMismatch, ("2.5",)),
    ("size-name-bad", lambda: sd.dim("n m"), sd.TypeMismatch, ("'n m'", "identifier")),
    ("fact-unknown", lambda: sd.symbol("q", (n, n), shiny=True), sd.TypeMismatch, ("shiny", "symmetric", HERE)),
    ("fact-not-square", lambda: sd.symbol("q", (n, d), symmetric=True), sd.ShapeMismatch, ("q", "(n, d)", HERE)),
    ("add-sizes", lambda: X + y, sd.ShapeMismatch, ("d", "n", "X of shape (n, d)", "y of shape (n,)", HERE)),
    ("add-numbers-of-sizes", lambda: v3 + sd.symbol("v4", 4), sd.ShapeMismatch, ("3", "4", "v3", "v4", HERE)),
    ("multiply-array", lambda: v3 * np.ones(5), sd.ShapeMismatch, ("3", "5", "array of shape", HERE)),
    ("add-text", lambda: X + "1", sd.TypeMismatch, ("'1'", HERE)),
    ("add-none", lambda: X + None, sd.TypeMismatch, ("None", HERE)),
    ("add-complex", lambda: v3 + np.ones(3, complex), sd.TypeMismatch, ("complex128", HERE)),
    ("add-object", lambda: v3 + object(), sd.TypeMismatch, ("object", HERE)),
    ("add-list-of-expressions", lambda: v3 * [lam, lam, lam], sd.TypeMismatch, ("sd.stack", HERE)),
    ("ragged-list", lambda: sd.constant([[1.0], [1.0, 2.0]]), sd.TypeMismatch, ("rectangular", HERE)),
    ("constant-text", lambda: sd.constant(["a", "b"]), sd.TypeMismatch, ("dtype", HERE)),
    ("subtract-booleans", lambda: mask - mask, sd.TypeMismatch, ("boolean", "mask", HERE)),
    ("negative-boolean", lambda: -mask, sd.TypeMismatch, ("~", "mask", HERE)),
    ("and-of-floats", lambda: y & y, sd.TypeMismatch, ("&", "boolean", "y", HERE)),
    ("truth", lambda: bool(y > 0), sd.TypeMismatch, ("truth value", "sd.where", HERE)),
    ("float-of-expression", lambda: float(lam), sd.TypeMismatch, ("sd.evaluate",)),
    ("array-of-expression", lambda: np.asarray(y), sd.TypeMismatch, ("sd.evaluate",)),
    ("length-symbolic", lambda: len(y), sd.TypeMismatch, ("(n,)",)),
    ("iterate-symbolic", lambda: list(y), sd.TypeMismatch, ("(n,)",)),
    ("numpy-unknown", lambda: np.fft.fft(y), sd.TypeMismatch, ("fft", HERE)),
    ("numpy-ufunc-unknown", lambda: np.gcd(k, k), sd.TypeMismatch, ("gcd", HERE)),
    ("numpy-where-argument", lambda: np.sum(y, where=mask), sd.TypeMismatch, ("where", HERE)),
    ("numpy-linalg-solve", lambda: np.linalg.solve(A, y), sd.TypeMismatch, ("solve", HERE)),
    ("numpy-one-argument-where", lambda: np.where(mask), sd.TypeMismatch, ("where", HERE)),
    ("function-count", lambda: sd.exp(y, y), sd.TypeMismatch, ("exp", "1 argument", HERE)),
]
SHAPES: list[Case] = [
    ("matmul-sizes", lambda: X @ y, sd.ShapeMismatch, ("d", "n", "X of shape (n, d)", ".T", HERE)),
    ("matmul-scalar", lambda: X @ lam, sd.ShapeMismatch, ("scalar", "lam", HERE)),
    ("matmul-batch", lambda: sd.symbol("B3", (3, 2, 2)) @ sd.symbol("B4", (4, 2, 2)), sd.ShapeMismatch,
     ("3", "4", "B3", "B4", HERE)),
    ("tensordot-sizes", lambda: sd.tensordot(X, y, 1), sd.ShapeMismatch, ("d", "n", "tensordot", HERE)),
    ("tensordot-too-many", lambda: sd.tensordot(y, y, 2), sd.ShapeMismatch, ("2", HERE)),
    ("vecdot-sizes", lambda: sd.vecdot(y, w), sd.ShapeMismatch, ("n", "d", HERE)),
    ("outer-matrix", lambda: sd.outer(X, y), sd.ShapeMismatch, ("vectors", "X", HERE)),
    ("einsum-axes", lambda: sd.einsum("ij,j->i", y, w), sd.ShapeMismatch, ("'ij'", "2", HERE)),
    ("einsum-result", lambda: sd.einsum("ij->k", X), sd.ShapeMismatch, ("'k'", HERE)),
    ("einsum-count", lambda: sd.einsum("i,j", y), sd.ShapeMismatch, ("2", "1", HERE)),
    ("einsum-symbols", lambda: sd.einsum("i1->i", X), sd.TypeMismatch, ("'i1'", HERE)),
    ("einsum-sizes", lambda: sd.einsum("ij,i->j", X, w), sd.ShapeMismatch, ("n", "d", HERE)),
    ("trace-not-square", lambda: sd.trace(X), sd.ShapeMismatch, ("n", "d", HERE)),
    ("trace-vector", lambda: sd.trace(y), sd.ShapeMismatch, ("matrix", HERE)),
    ("axis-out-of-range", lambda: sd.sum(X, axis=2), sd.ShapeMismatch, ("axis 2", "2 axes", "-2 to 1", HERE)),
    ("axis-of-scalar", lambda: sd.sum(lam, axis=0), sd.ShapeMismatch, ("axis 0", "scalar", HERE)),
    ("axis-twice", lambda: sd.sum(X, axis=(0, -2)), sd.ShapeMismatch, ("twice", HERE)),
    ("axis-not-integer", lambda: sd.sum(X, axis=0.5), sd.TypeMismatch, ("0.5", HERE)),
    ("max-of-nothing", lambda: sd.max(sd.symbol("q", 0)), sd.ShapeMismatch, ("max", "q of shape (0,)", HERE)),
    ("mean-of-nothing", lambda: sd.mean(sd.symbol("q", 0)), sd.ShapeMismatch, ("mean", HERE)),
    ("norm-spectral", lambda: sd.norm(X, 2), sd.TypeMismatch, ("2", "'fro'", HERE)),
    ("norm-order", lambda: sd.norm(y, "nuc"), sd.TypeMismatch, ("nuc", HERE)),
    ("transpose-axes", lambda: sd.permute_dims(X, (0, 0)), sd.ShapeMismatch, ("permutation", HERE)),
    ("matrix-transpose-vector", lambda: y.mT, sd.ShapeMismatch, ("two axes", HERE)),
    ("squeeze-not-one", lambda: sd.squeeze(M34, 0), sd.ShapeMismatch, ("axis 0", "3", HERE)),
    ("reshape-count", lambda: M34.reshape(5, 2), sd.ShapeMismatch, ("12", "(5, 2)", HERE)),
    ("reshape-two-unknown", lambda: M34.reshape(-1, -1), sd.ShapeMismatch, ("-1", HERE)),
    ("reshape-indivisible", lambda: M34.reshape(5, -1), sd.ShapeMismatch, ("12", "5", HERE)),
    ("reshape-symbolic", lambda: X.reshape(m, -1), sd.ShapeMismatch, ("n d", "m", HERE)),
    ("broadcast-to", lambda: sd.broadcast_to(v3, (3, 4)), sd.ShapeMismatch, ("(3, 4)", "v3", HERE)),
    ("concat-sizes", lambda: sd.concat([X, A]), sd.ShapeMismatch, ("X of shape (n, d)", "A of shape (n, n)", HERE)),
    ("concat-nothing", lambda: sd.concat([]), sd.ShapeMismatch, ("at least one", HERE)),
    ("stack-shapes", lambda: sd.stack([y, w]), sd.ShapeMismatch, ("y", "w", HERE)),
    ("pad-width", lambda: sd.pad(X, ((1, 2), (1, 2), (1, 2))), sd.ShapeMismatch, ("2 axes", HERE)),
    ("pad-mode", lambda: sd.pad(y, 1, mode="mirror"), sd.TypeMismatch, ("mirror", HERE)),
    ("roll-count", lambda: sd.roll(X, (1, 2), axis=(0,)), sd.ShapeMismatch, ("2 shifts", HERE)),
    ("diag-cube", lambda: sd.diag(sd.symbol("q", (2, 2, 2))), sd.ShapeMismatch, ("vector or a matrix", HERE)),
    ("eye-unknown", lambda: sd.eye(n, d), sd.ShapeMismatch, ("n", "d", HERE)),
    ("arange-step", lambda: sd.arange(0, 5, 0), sd.ShapeMismatch, ("step", HERE)),
    ("arange-float-size", lambda: sd.arange(0.5, n), sd.TypeMismatch, ("float", HERE)),
    ("index-outside", lambda: v3[3], sd.ShapeMismatch, ("3", "axis 0", "-3 to 2", HERE)),
    ("index-not-proved", lambda: y[5], sd.ShapeMismatch, ("5", "minimum=", "sd.dim('n'", HERE)),
    ("index-too-many", lambda: X[0, 0, 0], sd.ShapeMismatch, ("3 indices", "2 axes", HERE)),
    ("index-two-ellipses", lambda: X[..., ...], sd.ShapeMismatch, ("...", HERE)),
    ("index-float", lambda: v3[1.0], sd.TypeMismatch, ("1.0", HERE)),
    ("index-boolean-mask", lambda: y[mask], sd.TypeMismatch, ("mask", "sd.where", HERE)),
    ("index-by-numbers", lambda: y[y], sd.TypeMismatch, ("positions are integers", "y of shape (n,)", HERE)),
    ("index-two-lists", lambda: M34[[0, 1], [0, 1, 2]], sd.ShapeMismatch, ("2 and 3 differ", HERE)),
    ("slice-step-0", lambda: y[::0], sd.ShapeMismatch, ("step", HERE)),
    ("slice-end", lambda: y[:1.5], sd.TypeMismatch, ("1.5", HERE)),
    ("slice-not-proved", lambda: y[:5], sd.ShapeMismatch, ("minimum=", HERE)),
    ("unstack-symbolic", lambda: sd.unstack(X), sd.ShapeMismatch, ("n", "unstack", HERE)),
    ("cross-entropy-shape", lambda: sd.nn.cross_entropy(X, sd.symbol("c", d, "int64")), sd.ShapeMismatch,
     ("class numbers", "c of shape (d,)", HERE)),
    ("loss-reduction", lambda: sd.nn.mse(y, y, reduction="median"), sd.TypeMismatch, ("median", HERE)),
]
DERIVATIVES: list[Case] = [
    ("grad-not-scalar", lambda: sd.grad(X @ w, w), sd.ShapeMismatch, ("scalar", "X w", "(n,)", "sd.jacobian", HERE)),
    ("hessian-not-scalar", lambda: sd.hessian(y * 2, y), sd.ShapeMismatch, ("scalar", HERE)),
    ("grad-integer-symbol", lambda: sd.grad(sd.sum(k * 1.5), k), sd.NotDifferentiable, ("k", "int64", HERE)),
    ("grad-boolean-loss", lambda: sd.grad(sd.any(y > 0), y), sd.NotDifferentiable, ("bool", HERE)),
    ("grad-argmax", lambda: sd.grad(sd.argmax(y), y), sd.NotDifferentiable, ("int64", HERE)),
    ("grad-by-expression", lambda: sd.grad(loss, w * 2), sd.TypeMismatch, ("symbol", "2 w", HERE)),
    ("grad-by-number", lambda: sd.grad(loss, 3), sd.TypeMismatch, ("3",)),
    ("vjp-shape", lambda: sd.vjp(X @ w, w, w), sd.ShapeMismatch, ("n", "d", HERE)),
    ("jvp-count", lambda: sd.jvp(loss, [w, lam], [w]), sd.ShapeMismatch, ("1", "2", HERE)),
    ("hvp-shape", lambda: sd.hvp(loss, w, y), sd.ShapeMismatch, ("d", "n", HERE)),
    ("substitute-unknown", lambda: sd.substitute(loss, {"q": 1}), sd.ArgumentMismatch, ("'q'", "X", HERE)),
    ("substitute-shape", lambda: sd.substitute(loss, {w: y}), sd.ShapeMismatch, ("w", "y", HERE)),
    ("substitute-dtype", lambda: sd.substitute(sd.sum(k), {k: y}), sd.TypeMismatch, ("k", "int64", "float64", HERE)),
]
CALLS: list[Case] = [
    ("missing", lambda: call(y=None), sd.ArgumentMismatch, ("y", "no value")),
    ("unknown-name", lambda: call(Z=1.0), sd.ArgumentMismatch, ("'Z'", "X")),
    ("misspelt-name", lambda: call(lamb=1.0), sd.ArgumentMismatch, ("'lamb'", "did you mean 'lam'")),
    ("rank", lambda: call(w=np.ones((2, 1))), sd.ArgumentMismatch, ("w", "2 axes", "(2, 1)", "(d,)")),
    ("size-conflict", lambda: call(w=np.ones(3)), sd.ArgumentMismatch, ("d", "2", "3", "X", "w")),
    ("size-conflict-rows", lambda: call(y=np.ones(5)), sd.ArgumentMismatch, ("n", "4", "5", "X", "y")),
    ("dtype-complex", lambda: call(w=np.ones(2, complex)), sd.ArgumentMismatch, ("w", "complex", "float64")),
    ("dtype-longdouble", lambda: call(w=np.ones(2, np.longdouble)), sd.ArgumentMismatch, ("w", "float64")),
    ("dtype-objects", lambda: call(w=np.array([1, None])), sd.ArgumentMismatch, ("w", "Python objects")),
    ("dtype-text", lambda: call(w=["a", "b"]), sd.ArgumentMismatch, ("w", "text")),
    ("ragged", lambda: call(w=[[1.0], [1.0, 2.0]]), sd.ArgumentMismatch, ("w", "array")),
    ("masked", lambda: call(w=np.ma.masked_array([1.0, 2.0])), sd.ArgumentMismatch, ("w", "masked")),
    ("expression-as-value", lambda: call(w=w), (sd.ArgumentMismatch, sd.TypeMismatch), ("w",)),
]


def call(**changes: Any) -> Any:
    """`CALLER` on the point with some values changed; None takes one away."""
    values = {name: value for name, value in {**POINT, **changes}.items() if value is not None}
    return CALLER[0](values)


CALLER: list[Callable[[dict[str, Any]], Any]] = []
KERNEL = sd.compile(loss, inputs=[X, y, w, lam])  # compiled at the first good call, which never comes
STRICT = sd.compile(loss, inputs=[X, y, w, lam], check=True)
USE: list[Case] = [
    ("evaluate-key", lambda: sd.evaluate(loss, {3: 1.0}), sd.TypeMismatch, ("3", "symbol", HERE)),
    ("evaluate-twice", lambda: sd.evaluate(loss, {**POINT, w: np.ones(2)}), sd.ArgumentMismatch, ("w", "twice", HERE)),
    ("two-symbols-one-name", lambda: sd.evaluate(lam + sd.sum(sd.symbol("lam", 3)), {}), sd.ArgumentMismatch,
     ("lam", "two symbols", HERE)),
    ("kernel-too-many", lambda: KERNEL(1, 2, 3, 4, 5), sd.ArgumentMismatch, ("5", "4", "X, y, w, lam")),
    ("kernel-too-few", lambda: KERNEL(DATA["X"]), sd.ArgumentMismatch, ("y", "w", "lam")),
    ("kernel-twice", lambda: KERNEL(*POINT.values(), X=1.0), sd.ArgumentMismatch, ("X", "twice")),
    ("kernel-refuses-nan", lambda: STRICT(**{**POINT, "y": np.array([1, 2, np.nan, 4.0])}), sd.ArgumentMismatch,
     ("y[2]", "nan")),
    ("kernel-float64-for-float32", lambda: sd.compile(sd.sum(h))(np.ones(3)), sd.ArgumentMismatch,
     ("h", "float64", "float32", "astype")),
    ("compile-target", lambda: sd.compile(loss, target="abacus"), sd.BackendUnavailable, ("abacus",)),
    ("compile-inputs-missing", lambda: sd.compile(loss, inputs=[X, y]), sd.ArgumentMismatch, ("w", "lam")),
    ("compile-inputs-expression", lambda: sd.compile(loss, inputs=[X * 2]), sd.TypeMismatch, ("symbol",)),
    ("compile-nothing", lambda: sd.compile([]), sd.TypeMismatch, ("nothing",)),
    ("compile-number", lambda: sd.compile("loss"), sd.TypeMismatch, ("loss",)),
    ("minimize-method", lambda: sd.minimize(loss, w, DATA, method="newtom"), sd.ArgumentMismatch,
     ("newtom", "did you mean 'newton'", "gd", HERE)),
    ("minimize-no-data", lambda: sd.minimize(loss, w, {"X": DATA["X"]}), sd.ArgumentMismatch, ("y", "lam")),
    ("minimize-parameter-as-data", lambda: sd.minimize(loss, w, POINT), sd.ArgumentMismatch, ("w", "start=", HERE)),
    ("minimize-start-name", lambda: sd.minimize(loss, w, DATA, start={"v": 1}), sd.ArgumentMismatch, ("v", "w", HERE)),
    ("minimize-start-shape", lambda: sd.minimize(loss, w, DATA, start=np.ones(3)), sd.ArgumentMismatch, ("w", "3")),
    ("minimize-size-untold", lambda: sd.minimize(sd.sum(w**2), w), sd.ShapeMismatch, ("d", "w", "start=", HERE)),
    ("minimize-not-scalar", lambda: sd.minimize(X @ w, w, DATA), sd.ShapeMismatch, ("scalar", HERE)),
    ("minimize-nan", lambda: sd.minimize(sd.sum(sd.log(w)), w, start=[-1.0, 1.0], target="interpreter"),
     sd.ArgumentMismatch, ("nan", "start", HERE)),
    ("check-missing", lambda: sd.check_derivatives(loss, w, DATA), sd.ArgumentMismatch, ("w", "check_derivatives")),
    ("formula-style", lambda: sd.formula(loss, style="cuneiform"), sd.SymdiffError, ("cuneiform",)),
]


def check(build: Callable[[], Any], kind: Any, fragments: tuple[str, ...]) -> None:
    """The error is of the kind, says what, where and how to mend it, and shows no internals."""
    with pytest.raises(kind) as caught:
        build()
    error = caught.value
    assert isinstance(error, sd.SymdiffError)
    text = str(error)
    assert [f for f in fragments if f not in text] == [], text
    assert error.what and error.mend, f"a part is missing: {text}"
    assert text.splitlines()[0] == error.what.splitlines()[0]
    assert not FORBIDDEN.search(text), text
    assert error.__cause__ is None or not FORBIDDEN.search(str(error.__cause__))


def ids(case: Case) -> str:
    return case[0]


@pytest.mark.parametrize("case", [*WRITING, *SHAPES, *DERIVATIVES, *USE], ids=ids)
def test_error(case: Case) -> None:
    _, build, kind, fragments = case
    check(build, kind, fragments)


@pytest.mark.parametrize("case", CALLS, ids=ids)
@pytest.mark.parametrize("caller", ["evaluate", "kernel"])
def test_bad_values(case: Case, caller: str) -> None:
    """The reference and kernels bind alike."""
    _, build, kind, fragments = case
    CALLER[:] = [lambda values: sd.evaluate(loss, values)] if caller == "evaluate" else [lambda values: KERNEL(**values)]
    check(build, kind, fragments)


def test_there_are_enough() -> None:
    names = [case[0] for case in [*WRITING, *SHAPES, *DERIVATIVES, *CALLS, *USE]]
    assert len(names) >= 60
    assert len(set(names)) >= len(names) - 2


def test_derivative_mismatch_shows_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    from symdiff import verification
    x = sd.symbol("x", 3)
    wrong = lambda node, targets: [sd.zeros((*node.shape, 3)) for _ in targets]  # noqa: E731
    monkeypatch.setattr(verification, "jacobian", wrong)
    with pytest.raises(sd.DerivativeMismatch) as caught:
        sd.check_derivatives(sd.sum(x**2), x, {x: [1.0, 2.0, 3.0]}, target="reference", order=1)
    assert "WRONG" in str(caught.value)
    assert HERE in str(caught.value)
