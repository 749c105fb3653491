"""Formulas: what they look like, and that the NumPy style of any expression computes what the expression means."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.errors import TypeMismatch
from symdiff.functions import REDUCTIONS, ROWS
from symdiff.printing import brief, document, formula, latex, text_of
from symdiff.reference import evaluate_nodes
from symdiff.traversal import symbols_of

SIZES = {"n": 5, "d": 3, "m": 4, "k": 2}
n, d, m, k = sd.dims("n d m k")
X, Y = sd.symbol("X", (n, d)), sd.symbol("Y", (n, d))
A, B = sd.symbol("A", (d, d)), sd.symbol("B", (m, d))
w, v, u = sd.symbol("w", d), sd.symbol("v", d), sd.symbol("u", n)
x, y = sd.symbol("x", n), sd.symbol("y", n)
T = sd.symbol("T", (n, m, d))
a, b, lam = sd.symbols("a b lam")
U, V = sd.symbol("U", (n, k)), sd.symbol("V", (m, k))
q = sd.symbol("q", 6)


Range = tuple[float, float]


def computed(root: Any, seed: int = 0, low: float = -2.0, ranges: dict[str, Range] | None = None) -> tuple[Any, Any]:
    """What the NumPy source of an expression returns, and what the expression means."""
    symbols = symbols_of([root])
    rng = np.random.default_rng(seed)
    arrays = {}
    for s in symbols:
        shape = tuple(size if isinstance(size, int) else SIZES[str(size)] for size in s.shape)
        if s.dtype == "bool":
            arrays[s] = np.asarray(rng.random(shape) > 0.5)
        else:
            lowest, highest = (ranges or {}).get(s.name, (low, 2.0))
            wider = 1 if "float" in s.dtype else 4
            arrays[s] = np.asarray(rng.uniform(lowest, highest, shape) * wider).astype(s.dtype)
    space: dict[str, Any] = {}
    exec(formula(root, style="numpy"), space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = inspect.signature(space["f"]).parameters
        sizes = {name: SIZES[name] for name in list(names)[len(symbols):]}
        found = space["f"](*[arrays[s] for s in symbols], **sizes)
    return np.asarray(found), evaluate_nodes([root], arrays, SIZES)[0]


def agree(root: Any, **options: Any) -> None:
    found, wanted = computed(root, **options)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), formula(root, style="numpy")
    tolerance = 1e-5 if "32" in str(wanted.dtype) else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=formula(root, style="numpy"))


LOOKS = [
    (lambda: sd.sum((X @ w - u) ** 2), "‖X w - u‖²"),
    (lambda: w @ A @ w, "wᵀ A w"),
    (lambda: A.T @ w, "Aᵀ w"),
    (lambda: X @ A @ A.T, "X A Aᵀ"),
    (lambda: X * Y, "X ⊙ Y"),
    (lambda: X + w, "X + w"),
    (lambda: X + u[:, None], "X + u 1ᵀ"),
    (lambda: w[:, None] * A, "diag(w) A"),
    (lambda: A * w, "A diag(w)"),
    (lambda: sd.outer(u, w), "u wᵀ"),
    (lambda: sd.diag(w), "diag(w)"),
    (lambda: sd.eye(d), "I"),
    (lambda: lam * sd.eye(d) + A, "lam I + A"),
    (lambda: sd.trace(A), "tr(A)"),
    (lambda: sd.trace(A @ A @ A.T), "tr(A Aᵀ A)"),
    (lambda: sd.sum(X), "sum(X)"),
    (lambda: sd.sum(X, axis=0), "Xᵀ 1"),
    (lambda: sd.sum(X**2, axis=1), "sum(X², axis=1)"),
    (lambda: sd.sum(X * Y), "sum(X ⊙ Y)"),
    (lambda: w @ v, "wᵀ v"),
    (lambda: sd.norm(w), "‖w‖"),
    (lambda: 2 * w / 3, "2 w / 3"),
    (lambda: w / 2, "w / 2"),
    (lambda: 0.1 * w, "0.1 w"),
    (lambda: w**-2, "1 / w²"),
    (lambda: w**a, "w^a"),
    (lambda: sd.sqrt(w), "√w"),
    (lambda: sd.sqrt(w + 1), "√(w + 1)"),
    (lambda: sd.exp(-w), "exp(-w)"),
    (lambda: sd.sigmoid(X @ w), "σ(X w)"),
    (lambda: sd.softmax(X), "softmax(X)"),
    (lambda: sd.softmax(X, axis=0), "softmax(X, axis=0)"),
    (lambda: sd.logsumexp(X, axis=1), "logsumexp(X, axis=1)"),
    (lambda: abs(w - v), "|w - v|"),
    (lambda: sd.where(w > 0, w, 0), "where(w > 0, w, 0)"),
    (lambda: sd.maximum(w, 0), "max(w, 0)"),
    (lambda: x[1:] - x[:-1], "x[1:] - x[:-1]"),
    (lambda: q[::2], "q[::2]"),
    (lambda: q[::-1], "q[::-1]"),
    (lambda: X[0], "X[0]"),
    (lambda: X[:, 1:], "X[:, 1:]"),
    (lambda: sd.concat([x, u]), "[x; u]"),
    (lambda: sd.einsum("nmd,md->n", T, B), "i ↦ Σ[j,k] T[i,j,k] B[j,k]"),
    (lambda: a - b, "a - b"),
    (lambda: -a - b, "-(a + b)"),
    (lambda: 2 * a + 2 * b, "2 (a + b)"),
    (lambda: (a + b) * (a - b), "(a + b) (a - b)"),
    (lambda: a / (b * lam), "a / (b lam)"),
    (lambda: a - (b - lam) * 2, "a - 2 b + 2 lam"),
    (lambda: sd.mean(x), "sum(x) / n"),
]


@pytest.mark.parametrize(("build", "wanted"), LOOKS, ids=[text for _, text in LOOKS])
def test_looks(build: Callable[[], Any], wanted: str) -> None:
    assert text_of(build()) == wanted


@pytest.mark.parametrize("build", [build for build, _ in LOOKS], ids=[text for _, text in LOOKS])
def test_numpy_style_of_looks(build: Callable[[], Any]) -> None:
    agree(build(), low=0.2)


@pytest.mark.parametrize("build", [build for build, _ in LOOKS], ids=[text for _, text in LOOKS])
def test_every_style_gives_text(build: Callable[[], Any]) -> None:
    for style in ("index", "latex", "ascii"):
        text = formula(build(), style=style)
        assert text and not any(ord(ch) >= 0xF0000 for ch in text)
        if style == "ascii":
            assert text.isascii(), text
        if style == "latex":
            assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")


@pytest.mark.parametrize("name", sorted(ROWS))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numpy_style_of_rows(name: str, dtype: str) -> None:
    row = ROWS[name]
    logical = "logical" in row.traits
    args = [sd.symbol(f"x{i}", n, dtype="bool" if logical or ("select" in row.traits and i == 0) else dtype)
            for i in range(row.arity)]
    agree(row(*args), ranges={arg.name: limits for arg, limits in zip(args, row.domain, strict=True)})


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_numpy_style_of_reductions(name: str, axis: Any) -> None:
    row = REDUCTIONS[name]
    s = sd.symbol("s", (n, d), dtype="bool") if row.result == "bool" else X
    agree(row(s, axis if isinstance(axis, tuple) else (axis,)))


SHAPES: list[Callable[[], Any]] = [
    lambda: sd.reshape(q, (2, 3)),
    lambda: sd.reshape(X, (-1,)),
    lambda: sd.pad(x, 2),
    lambda: sd.pad(X, ((1, 2), (0, 1)), constant_values=3),
    lambda: sd.stack([x, y]),
    lambda: sd.stack([x, y], axis=1),
    lambda: sd.concat([X, Y], axis=1),
    lambda: sd.diag(A),
    lambda: sd.diag(w, 1),
    lambda: sd.tril(A),
    lambda: sd.triu(A, 1),
    lambda: sd.flip(X),
    lambda: sd.eye(3, 4, 1),
    lambda: sd.zeros((n, 2)) + 0 * x[:, None],
    lambda: sd.broadcast_to(w, (4, n, d)) + 0 * u[0],
    lambda: T @ A,
    lambda: sd.einsum("nmd,md->nm", T, B),
    lambda: sd.sum(T, axis=1),
    lambda: T * w,
    lambda: T + T[0],
    lambda: sd.permute_dims(T, (2, 0, 1)),
    lambda: sd.exp(sd.permute_dims(T, (1, 2, 0))),
    lambda: q[1:5:2],
    lambda: X[-1],
    lambda: x[None, :, None],
    lambda: sd.arange(n) * x,
    lambda: sd.mean(X, axis=1, keepdims=True) + X,
    lambda: sd.var(X, axis=0),
    lambda: sd.einsum("ii->i", A),
    lambda: sd.einsum("ik,jk,lk->ijl", A, A, A),
    lambda: sd.prod(X, axis=1),
    lambda: sd.grad(sd.sum(sd.reshape(q, (2, 3)) ** 3), q),
    lambda: sd.hessian(sd.sum(q[:-1] ** 2 * q[1:]), q),
    lambda: sd.hessian(sd.sum((U @ V.T) ** 2), U),
    lambda: sd.jacobian(sd.softmax(X @ A), X),
    lambda: sd.grad(sd.prod(q), q),
    lambda: sd.grad(sd.sum(sd.where(x > 0, sd.log(x), x)), x),
    lambda: sd.grad(sd.max(X, axis=1).sum(), X),
    lambda: sd.hessian(sd.sum(sd.relu(X @ w) ** 2), w),
    lambda: sd.constant(np.arange(7.0)) + 1,
    lambda: sd.symbol("i", n, dtype="int32") * 2 + 1,
    lambda: sd.symbol("i", n, dtype="int64") / 2,
    lambda: x.astype("float32") * 3,
    lambda: sd.symbol("f", n, dtype="float32") @ sd.symbol("g", n, dtype="float32"),
    lambda: sd.sum(x > 0),
    lambda: sd.mean(x > 0),
    lambda: sd.symbol("lambda_") * sd.symbol("n") * x,
    lambda: sd.constant([1.0, np.nan, np.inf]),
    lambda: sd.symbol("c", "n", dtype="bool") * x,
]


@pytest.mark.parametrize("build", SHAPES, ids=range(len(SHAPES)))
def test_numpy_style_of_shaping(build: Callable[[], Any]) -> None:
    agree(build())


def test_guard_annihilates_nan() -> None:
    gradient = sd.grad(sd.sum(sd.where(x > 0, sd.log(x), x)), x)
    space: dict[str, Any] = {}
    exec(formula(gradient, style="numpy"), space)
    np.testing.assert_array_equal(space["f"](np.array([0.0, 2.0])), [1.0, 0.5])


def test_numpy_style_of_a_tree() -> None:
    space: dict[str, Any] = {}
    exec(formula({"value": w @ v, "parts": (w, [v])}, style="numpy"), space)
    result = space["f"](np.ones(2), np.ones(2))
    assert result["value"] == 2 and isinstance(result["parts"], tuple)


def test_shared_parts_are_named_once() -> None:
    p = sd.sigmoid(X @ w)
    assert text_of(X.T @ (p * (1 - p))) == "Xᵀ (p ⊙ (1 - p))\n  where p = σ(X w)"


def test_names_do_not_collide_with_symbols() -> None:
    r, p = sd.symbol("r", n), sd.symbol("p", n)
    z = sd.sigmoid(r + p)
    text = text_of(z * (1 - z))
    assert "where q = σ(r + p)" in text


def test_people_read_what_stable_forms_mean() -> None:
    assert text_of(sd.grad(sd.tanh(a), a)) == "1 - tanh(a)²"
    assert text_of(sd.simplify(sd.sqrt(a**2 + b**2 + 1))) == "√(a² + b² + 1)"
    assert text_of(sd.grad(sd.hypot(a, b), a)) == "a / √(a² + b²)"
    assert text_of(sd.grad(sd.atan2(a, b), a)) == "b / (a² + b²)"
    assert text_of(sd.grad(sd.atanh(a), a)) == "1 / (1 - a²)"
    assert text_of(sd.simplify(sd.log(w @ sd.exp(v)))) == "log(wᵀ exp(v))"


def test_user_symbols_keep_their_names() -> None:
    assert text_of(sd.symbol("some_long_name") + 1) == "some_long_name + 1"
    assert latex(sd.symbol("alpha_3") * sd.symbol("sigma1")) == r"\alpha_{3} \sigma_{1}"


def test_brief_shows_type_and_is_short() -> None:
    assert brief(X.T @ (X @ w - u)) == "<Xᵀ (X w - u): float64 (d,)>"
    assert len(brief(sum((sd.sin(x + i) for i in range(50)), x))) < 100


def test_documents_share_names() -> None:
    loss = sd.sum((X @ w - u) ** 2)
    formulas, where = document([loss, sd.grad(loss, w)])
    assert (formulas, where) == (["‖r‖²", "2 Xᵀ r"], ["r = X w - u"])


def test_deep_and_wide_expressions_print() -> None:
    node = x
    for i in range(20_000):
        node = sd.sin(node) if i % 2 else sd.exp(node)
    text = text_of(node)
    assert "…" in text and len(text) < 20_000
    product = w
    for _ in range(400):
        product = A @ (product * v)
    assert text_of(product).startswith("A ((A") and formula(product, style="numpy")
    wide = sd.sin(x)
    for i in range(1, 3_000):
        wide = wide + sd.sin(x * i) * i
    assert "…" in brief(wide)


def test_unknown_style_is_refused() -> None:
    with pytest.raises(TypeMismatch, match="not a style"):
        formula(x, style="word")
