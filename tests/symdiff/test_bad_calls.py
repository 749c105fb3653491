"""Calls that once passed for good or failed raw: structures, namesakes, numbers of options, kinds of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

HERE = "test_bad_calls.py:"
n, d = sd.dims("n d")
X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)
x, z, lam = sd.symbols("x z lam")
h = sd.symbol("h", n, "float32")
v3 = sd.symbol("v3", 3)
loss = sd.sum((X @ w - y) ** 2) + lam * sd.sum(w**2)
pair = x**2 + 3 * z
bowl = (x - 1) ** 2 + z**2
POINT = {"X": np.ones((4, 2)), "y": np.ones(4), "lam": 1.0, "w": np.ones(2)}
FORBIDDEN = re.compile(r"numba(?!')|llvm|KeyError|IndexError|AttributeError|Traceback|NoneType|object at 0x|frozen",
                       re.IGNORECASE)
Case = tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]


def kernel() -> Any:
    return sd.compile({"a": x, "b": (z * 2, [x + z])}, target="interpreter")


def scipy_functions() -> Any:
    return sd.scipy_objective((x - 1) ** 2, x, target="interpreter")


def fit(**options: Any) -> Any:
    return sd.minimize((x - 1) ** 2, x, **{"target": "interpreter", **options})


def check(f: Any = loss, wrt: Any = w, at: Any = POINT, **options: Any) -> Any:
    return sd.check_derivatives(f, wrt, at, **{"target": "reference", **options})


def out(**changes: Any) -> Any:
    return kernel()(1.0, 2.0, out={"b": (np.empty(()), [np.empty(())]), "a": np.empty(()), **changes})


STRUCTURES: list[Case] = [
    ("jvp-keys", lambda: sd.jvp(pair, {"x": x, "z": z}, {"z": 1, "q": 1}), sd.ShapeMismatch, ("'q'", "'x', 'z'")),
    ("jvp-missing", lambda: sd.jvp(pair, {"x": x, "z": z}, {"z": 1}), sd.ShapeMismatch, ("lacks the key 'x'",)),
    ("jvp-list-for-dict", lambda: sd.jvp(pair, {"x": x, "z": z}, [1, 1]), sd.ShapeMismatch, ("list of 2", "dict")),
    ("jvp-dict-for-symbol", lambda: sd.jvp(pair, x, {"x": 1}), sd.ShapeMismatch, ("no dict",)),
    ("jvp-nested", lambda: sd.jvp(pair, [x, [z]], [[1.0], 0.0]), sd.ShapeMismatch, ("x has shape (1,)",)),
    ("jvp-nested-value", lambda: sd.jvp(pair, [x, [z]], [1.0, 0.0]), sd.ShapeMismatch, ("tangent[1]", "list of 1")),
    ("jvp-twice", lambda: sd.jvp(pair, [x, x], [1.0, 0.0]), sd.ArgumentMismatch, ("x stands in wrt twice",)),
    ("hvp-keys", lambda: sd.hvp(pair, {"x": x, "z": z}, {"a": 1, "b": 1}), sd.ShapeMismatch, ("the vector", "'a'")),
    ("vjp-dict", lambda: sd.vjp(pair, x, {"x": 1}), sd.TypeMismatch, ("{'x': 1}",)),
    ("jvp-dtype", lambda: sd.jvp(sd.sum(h), h, y), sd.TypeMismatch, ("h", "float64", "float32", "astype")),
    ("jvp-array", lambda: sd.jvp(sd.sum(h), h, np.ones(3)), sd.TypeMismatch, ("float64", "float32")),
    ("vjp-dtype", lambda: sd.vjp(h * 2, h, y), sd.TypeMismatch, ("cotangent", "float64", "float32")),
    ("out-key", lambda: out(q=1), sd.ArgumentMismatch, ("out has the key 'q'", "'a', 'b'")),
    ("out-nested", lambda: out(b=[np.empty(())]), sd.ArgumentMismatch, ('out["b"] has 1 entries', "2")),
    ("out-none", lambda: out(a=None), sd.ArgumentMismatch, ('out["a"] is None',)),
    ("out-shape", lambda: out(b=(np.empty(()), [np.empty(3)])), sd.ArgumentMismatch, ('out["b"][1][0]', "(3,)")),
    ("out-list", lambda: kernel()(1.0, 2.0, out=[np.empty(())] * 3), sd.ArgumentMismatch, ("list of 3", "'a', 'b'")),
    ("start-deep", lambda: sd.minimize(bowl, {"p": {"a": x, "b": z}}, start={"p": {"c": 3.0}}), sd.ArgumentMismatch,
     ('start["p"]', "'c'", "'a', 'b'")),
    ("start-list", lambda: sd.minimize(bowl, [x, [z]], start=[3.0, 7.0]), sd.ArgumentMismatch, ("start[1]",)),
    ("start-twice", lambda: sd.minimize(bowl, {"x": x, "z": z}, start={"x": 1.0, x: 2.0}), sd.ArgumentMismatch,
     ("x twice",)),
    ("start-namesake", lambda: sd.minimize(bowl, x, start={sd.symbol("x", 3): 1.0}), sd.ArgumentMismatch,
     ("x of float64 (3,)", "x of float64 ()")),
    ("grad-by-text", lambda: sd.grad(loss, "w"), sd.TypeMismatch, ("'w' is no symbol",)),
    ("grad-by-none", lambda: sd.grad(loss, None), sd.TypeMismatch, ("None is no symbol",)),
    ("compile-none", lambda: sd.compile([loss, None]), sd.TypeMismatch, ("None is no expression",)),
]
NAMESAKES: list[Case] = [
    *[(f"{name}-namesake", lambda call=call: call(sd.symbol("w", d, "float32")), sd.ArgumentMismatch,
       ("w of float32 (d,)", "w of float64 (d,)", "declare w once")) for name, call in [
        ("grad", lambda s: sd.grad(loss, s)), ("hessian", lambda s: sd.hessian(loss, {"w": s})),
        ("jacobian", lambda s: sd.jacobian(X @ w, s)), ("jvp", lambda s: sd.jvp(loss, s, 1.0)),
        ("vjp", lambda s: sd.vjp(loss, s, 1.0)), ("hvp", lambda s: sd.hvp(loss, s, 1.0)),
        ("derivation", lambda s: sd.derivation(loss, s)), ("check", lambda s: check(wrt=s)),
        ("minimize", lambda s: sd.minimize(loss, s, POINT)), ("substitute", lambda s: sd.substitute(loss, {s: 1.0})),
        ("compile", lambda s: sd.compile(loss, inputs=[X, y, s, lam]))]],
    ("grad-shape", lambda: sd.grad(loss, sd.symbol("w", 3)), sd.ArgumentMismatch, ("w of float64 (3,)",)),
    ("grad-facts", lambda: sd.grad(loss, sd.symbol("w", d, positive=True)), sd.ArgumentMismatch, ("(d,), positive",)),
    ("compile-facts", lambda: sd.compile(x + sd.symbol("x", positive=True)), sd.ArgumentMismatch, ("two symbols", "positive")),
    ("substitute-twice", lambda: sd.substitute(loss, {w: 1.0, "w": 2.0}), sd.ArgumentMismatch, ("w is given twice",)),
]
VECTORS: list[Case] = [
    ("fun-surplus", lambda: scipy_functions().fun(np.array([3.0, 99.0])), sd.ArgumentMismatch, ("(2,)", "(1,)")),
    ("jac-short", lambda: scipy_functions().jac(np.array([])), sd.ArgumentMismatch, ("(0,)", "(1,)")),
    ("hess-scalar", lambda: scipy_functions().hess(3.0), sd.ArgumentMismatch, ("()", "(1,)")),
    ("hessp-none", lambda: scipy_functions().hessp([1.0], None), sd.ArgumentMismatch, ("v holds",)),
    ("fun-complex", lambda: scipy_functions().fun(np.array([1j])), sd.ArgumentMismatch, ("complex",)),
    ("unflatten", lambda: scipy_functions().unflatten([[1.0]]), sd.ArgumentMismatch, ("(1, 1)",)),
    ("target", lambda: sd.scipy_objective(bowl, x, target="cpuu"), sd.BackendUnavailable, ("'cpuu'", "'cpu'", "'numpy'")),
]
BAD_OPTIONS = {
    "steps": [-1, 2.5, "3", True], "tolerance": [-1, np.nan, "a", None], "learning_rate": [0.0, -1.0, np.nan, "a"],
    "momentum": [-5, 1.0, None], "damping": [-1, np.inf, "a"], "spread": [-1.0, "a", None], "seed": [-1, "a", 0.5],
    "callback": ["a", 3], "progress": ["yes"], "line_search": ["no"], "method": [["newton"], None], "data": [[1, 2], 3],
}
OPTIONS: list[Case] = [
    *[(f"minimize-{name}-{value}", lambda name=name, value=value: fit(**{name: value}),
       (sd.ArgumentMismatch, sd.TypeMismatch), (str(value),)) for name, values in BAD_OPTIONS.items() for value in values],
    *[(f"check-{name}-{value}", lambda name=name, value=value: check(**{name: value}),
       (sd.ArgumentMismatch, sd.TypeMismatch, sd.BackendUnavailable), (str(value),)) for name, value in [
        ("target", "nubma"), ("target", "cuda"), ("order", 0), ("order", -1), ("order", "2"), ("limit", 0), ("limit", -1),
        ("limit", "a"), ("seed", -1), ("tolerance", -1.0), ("at", None), ("at", 3)]],
    ("check-nothing", lambda: check(wrt=[]), sd.ArgumentMismatch, ("no symbol",)),
    ("minimize-nothing", lambda: sd.minimize(bowl, []), sd.ArgumentMismatch, ("no symbol",)),
    ("check-nan", lambda: check(at={**POINT, "w": np.array([1, np.nan])}), sd.ArgumentMismatch, ("nan at this point",)),
    ("check-domain", lambda: check(sd.sum(sd.log(v3)), v3, {v3: -np.ones(3)}), sd.ArgumentMismatch, ("nan", "domain")),
    ("check-no-entries", lambda: check(sd.sum(sd.symbol("e", 0)), sd.symbol("e", 0), {"e": np.ones(0)}),
     sd.ArgumentMismatch, ("compared",)),
    *[(f"compile-{name}-{value}", lambda name=name, value=value: sd.compile(loss, **{name: value}),
       (sd.ArgumentMismatch, sd.TypeMismatch, sd.BackendUnavailable), (str(value),)) for name, value in [
        ("threads", "many"), ("threads", -1), ("cache", 3), ("fast_math", "yes"), ("check", "no"), ("target", ["cpu"]),
        ("inputs", "X"), ("inputs", 3)]],
    ("compile-set", lambda: sd.compile(loss, inputs={X, y, w, lam}), sd.TypeMismatch, ("no list of symbols",)),
    ("compile-lists-numpy", lambda: sd.compile(loss, target="numpi"), sd.BackendUnavailable, ("did you mean 'numpy'",)),
    ("compile-twice", lambda: sd.compile(x, inputs=[x, x]), sd.ArgumentMismatch, ("x is named twice",)),
    ("evaluate-text", lambda: sd.evaluate(loss, "a"), sd.TypeMismatch, ("'a' is no dict",)),
    ("evaluate-zero", lambda: sd.evaluate(loss, 0), sd.TypeMismatch, ("0 is no dict",)),
    ("evaluate-surplus", lambda: sd.evaluate(loss, {**POINT, "q": 1}), sd.ArgumentMismatch, ("'q'",)),
    ("explain-number", lambda: kernel().explain(check=3), sd.TypeMismatch, ("3 is no dict",)),
    ("explain-key", lambda: kernel().explain(check={3: 1.0}), sd.TypeMismatch, ("3 is no symbol",)),
    ("explain-twice", lambda: kernel().explain(check={"x": 1.0, x: 1.0}), sd.ArgumentMismatch, ("x is given twice",)),
    ("minimize-key", lambda: fit(data={3: 1.0}), sd.TypeMismatch, ("3 is no symbol",)),
    ("kernel-nothing", lambda: kernel()(), sd.ArgumentMismatch, ("x, z",)),
    ("kernel-out", lambda: sd.compile(sd.symbol("out") * x)(x=1.0, out=2.0), sd.ArgumentMismatch, ("named out",)),
    ("formula-style", lambda: sd.formula(loss, style="word"), sd.TypeMismatch, ("word",)),
    ("derivation-order", lambda: sd.derivation(loss, w, order=3), sd.TypeMismatch, ("3",)),
    ("size-untold", lambda: sd.compile(sd.sum(sd.ones(n)), target="interpreter")(), sd.ArgumentMismatch, ("n",)),
]


@pytest.mark.parametrize("case", [*STRUCTURES, *NAMESAKES, *VECTORS, *OPTIONS], ids=lambda case: case[0])
def test_refused(case: Case) -> None:
    """The named error, with the user's line and a mend, and no internals."""
    _, build, kind, fragments = case
    with pytest.raises(kind) as caught:
        build()
    error = caught.value
    assert isinstance(error, sd.SymdiffError)
    text = str(error)
    assert [f for f in (*fragments, HERE) if f not in text] == [], text
    assert error.what and error.mend, text
    assert not FORBIDDEN.search(text), text


def test_tangents_are_matched_by_key() -> None:
    assert sd.jvp(pair, {"x": x, "z": z}, {"z": 10.0, "x": 1.0}) is sd.simplify(2 * x + 30)
    assert sd.jvp(pair, [x, {"z": z}], (1.0, {"z": 10.0})) is sd.simplify(2 * x + 30)
    product = sd.hvp(x**2 * z, {"x": x, "z": z}, {"z": 1.0, "x": 5.0})
    assert sd.evaluate(product, {x: 2.0, z: 3.0}) == {"x": 34.0, "z": 20.0}


def test_numbers_are_weak_tangents() -> None:
    assert sd.jvp(sd.sum(h), h, 1.0).dtype == "float32"
    assert sd.vjp(h * 2, h, 0.5).dtype == "float32"


def test_out_is_matched_by_key() -> None:
    b, a, c = np.empty(()), np.empty(()), np.empty(())
    result = kernel()(1.0, 2.0, out={"b": [b, (c,)], "a": a})
    assert (a, b, c) == (1.0, 4.0, 3.0)
    assert result["a"] is a and result["b"][0] is b and list(result) == ["a", "b"]


def test_starts_in_the_structure_of_wrt() -> None:
    def start(wrt: Any, values: Any) -> Any:
        return sd.minimize(bowl, wrt, start=values, steps=0, target="interpreter").parameters
    assert start({"p": {"a": x, "b": z}}, {"p": {"a": 3.0, "b": 7.0}}) == {"p": {"a": 3.0, "b": 7.0}}
    assert start({"p": {"a": x, "b": z}}, {"p": {"b": 7.0}}) == {"p": {"a": 0.0, "b": 7.0}}
    assert start([x, [z]], [3.0, [7.0]]) == [3.0, [7.0]]
    assert start([x, [z]], {"z": 7.0, x: 3.0}) == [3.0, [7.0]]
    assert start({"p": {"a": x, "b": z}}, {"z": 7.0}) == {"p": {"a": 0.0, "b": 7.0}}


def test_a_symbol_whose_name_is_not_there_gives_zero() -> None:
    assert str(sd.grad(loss, sd.symbol("elsewhere"))) == "0"
    assert sd.substitute(loss, {sd.symbol("elsewhere"): 1.0}) is loss


def test_a_tolerance_of_zero_is_taken() -> None:
    x2 = sd.symbol("x2", 2)
    report = check(sd.sum(sd.exp(x2) * sd.sin(x2)), x2, {x2: [0.3, 0.7]}, tolerance=0)
    assert all(c.allowed == pytest.approx(10 * c.estimate) for c in report.checks)


def test_order_three_is_allowed() -> None:
    assert {c.order for c in check(x**4, x, {x: 0.5}, order=3).checks} == {1, 2, 3}


def test_names_that_python_uses() -> None:
    me, output = sd.symbol("self"), sd.symbol("out")
    f = sd.compile(me * 2 + output, target="interpreter")
    assert f(1.0, 2.0) == 4.0
    assert f(1.0, 2.0, out=np.empty(())) == 4.0
    assert sd.compile(me * 2, target="interpreter")(self=3.0) == 6.0
    assert "kernel: 0.0e+00" in f.explain(check={"self": 1.0, output: 2.0})


@pytest.mark.parametrize(("build", "arguments"), [
    (lambda: sd.exp(sd.symbol("np")) + sd.symbol("np_"), ["np_2", "np_"]),
    (lambda: sd.sigmoid(sd.symbol("sigmoid")), ["sigmoid"]), (lambda: sd.exp(sd.symbol("sigmoid")), ["sigmoid"]),
    (lambda: sd.symbol("float") * np.inf, ["float"]),
])
def test_numpy_source_hides_nothing(build: Callable[[], Any], arguments: list[str]) -> None:
    node = build()
    space: dict[str, Any] = {}
    exec(sd.formula(node, style="numpy"), space)
    f = space["f"]
    code = getattr(f, "__wrapped__", f).__code__
    assert sorted(code.co_varnames[:code.co_argcount]) == sorted(arguments)
    names = code.co_varnames[:code.co_argcount]
    values = {name: 0.5 + k for k, name in enumerate(names)}
    assert f(**values) == pytest.approx(sd.evaluate(node, {{"np_2": "np"}.get(k, k): v for k, v in values.items()}))
