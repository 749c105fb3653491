"""What `import symdiff as sd` offers: every name of the contract, typed, documented, and the namespaces below it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import symdiff as sd
from symdiff.functions import ROWS
from symdiff.operators.methods import FUNCTIONS

CONTRACT = """
dims dim symbol symbols constant from_numpy grad value_and_grad jacobian hessian jvp vjp hvp stop_gradient simplify
substitute formula latex derivation compile Kernel check_derivatives evaluate minimize scipy_objective SymdiffError
ShapeMismatch TypeMismatch NotDifferentiable DerivativeMismatch ArgumentMismatch CannotLower BackendUnavailable
ModelFormatError linalg special nn logsumexp softmax log_softmax sigmoid softplus relu erf trace

neg:negative abs sign square sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh atan2 hypot erfc minimum maximum clip where floor ceil round isnan isfinite equal less greater
logical_and logical_or logical_not sum mean prod max min var std norm any all reshape permute_dims transpose
expand_dims squeeze broadcast_to concat stack pad flip roll diag tril triu eye zeros ones full arange matmul dot vecdot
outer tensordot einsum arcsin arctan2 concatenate absolute power pow newaxis pi float32
""".split()
# Rows that only rules and derivatives use.
INTERNAL = set("step exp_difference direction ratio guard one_hot class_number number as_integer sigmoid_difference weighted "
               "log1mexp sech_squared one_less_square inverse_mills mills_excess shift log_ndtr xlog1py softsign".split())


@pytest.mark.parametrize("name", [word.split(":")[-1] for word in CONTRACT])
def test_contract(name: str) -> None:
    assert hasattr(sd, name)
    assert name in sd.__all__
    assert name in dir(sd)


def test_every_row_is_public_or_internal() -> None:
    assert {name for name in ROWS if not hasattr(sd, name)} == INTERNAL


def test_names_are_visible_to_type_checkers() -> None:
    """Every name of __all__ is bound by an import statement of the face."""
    tree = ast.parse(Path(inspect.getfile(sd)).read_text(encoding="utf-8"))
    bound = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
             for alias in node.names}
    assert set(sd.__all__) <= bound
    assert len(set(sd.__all__)) == len(sd.__all__)


@pytest.mark.parametrize("module", [sd, sd.linalg, sd.special, sd.nn], ids=lambda m: m.__name__)
def test_everything_is_documented(module: Any) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), name


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'gradd'"):
        _ = sd.gradd  # type: ignore[attr-defined]


def test_array_namespace() -> None:
    x = sd.symbol("x", ("n", 3))
    xp = x.__array_namespace__()
    assert xp is sd
    assert xp.sum(xp.exp(x), axis=-1) is np.sum(np.exp(x), axis=-1)
    assert x.dtype == xp.float64
    assert x[:, xp.newaxis].ndim == 3


def test_functions_of_numpy_have_their_own() -> None:
    """Whatever NumPy's protocol may call is also a name of the face."""
    assert {name for name in FUNCTIONS if getattr(sd, name, None) is not FUNCTIONS[name]} == set()


def test_from_numpy() -> None:
    def ridge(X: Any, w: Any, y: Any) -> Any:
        return np.mean((X @ w - y) ** 2) + 0.5 * np.linalg.norm(w) ** 2
    loss = sd.from_numpy(ridge, X=("n", "d"), w="d", y="n")
    values = {"X": np.arange(6.0).reshape(3, 2), "w": np.array([1.0, -1.0]), "y": np.ones(3)}
    assert sd.evaluate(loss, values) == pytest.approx(ridge(**values))


@pytest.mark.parametrize(("name", "points"), [
    ("logit", [0.1, 0.5, 0.9]), ("expit", [-800.0, 0.0, 3.0]), ("log_expit", [-800.0, 0.0, 40.0]),
    ("ndtr", [-3.0, 0.0, 2.0]), ("entr", [0.0, 0.5, -1.0]), ("erf", [-1.0, 0.0, 2.0]), ("log_ndtr", [-3.0, 1.0])])
def test_special(name: str, points: list[float]) -> None:
    x = sd.symbol("x", len(points))
    np.testing.assert_allclose(sd.evaluate(getattr(sd.special, name)(x), {x: points}),
                               getattr(scipy.special, name)(points), rtol=1e-12)


@pytest.mark.parametrize("name", ["rel_entr", "xlogy", "xlog1py"])
def test_special_of_two(name: str) -> None:
    x, z = sd.symbol("x", 4), sd.symbol("z", 4)
    values = {x: [0.0, 0.5, 2.0, 1.0], z: [0.5, 0.0 if name == "rel_entr" else 0.3, 1.0, 2.0]}
    np.testing.assert_allclose(sd.evaluate(getattr(sd.special, name)(x, z), values),
                               getattr(scipy.special, name)(*values.values()), rtol=1e-12)


@pytest.mark.parametrize("target", ["cpu", "numba", "numpy"])
def test_relative_entropy_everywhere(target: str) -> None:
    """As SciPy has it, for what is negative, infinite, not a number, or far apart too."""
    points = [np.nan, 0.0, -0.0, 1.0, 1 + 1e-13, 2.5, np.inf, -3.0, 1e-300, 1e300, -np.inf]
    a, b = (part.ravel() for part in np.meshgrid(points, points))
    x, z = sd.symbol("x", len(a)), sd.symbol("z", len(a))
    np.testing.assert_allclose(sd.compile(sd.special.rel_entr(x, z), [x, z], target=target)(a, b), scipy.special.rel_entr(a, b),
                               rtol=1e-12, atol=1e-16)
    large = np.float32(1e38)
    x, z = sd.symbol("x", dtype="float32"), sd.symbol("z", dtype="float32")
    assert sd.compile(sd.special.rel_entr(x, z), [x, z], target=target)(large, large) == 0


def test_float_power_is_in_float64() -> None:
    i, f = sd.symbol("i", 2, "int64"), sd.symbol("f", 2, "float32")
    np.testing.assert_allclose(sd.compile(sd.float_power(i, 25))([10, -3]), np.float_power([10, -3], 25), rtol=1e-14)
    assert sd.float_power(f, 2).dtype == np.float_power(np.ones(2, "float32"), 2).dtype


ACTIVATIONS = {
    "silu": lambda x: x * scipy.special.expit(x), "gelu": lambda x: x * scipy.special.ndtr(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)), "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)), "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softsign": lambda x: x / (1 + np.abs(x)), "log_sigmoid": scipy.special.log_expit}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    x, points = sd.symbol("x", 5), np.array([-3.0, -0.5, 0.2, 1.5, 6.0])
    activation = getattr(sd.nn, name)(x)
    np.testing.assert_allclose(sd.evaluate(activation, {x: points}), ACTIVATIONS[name](points), rtol=1e-12)
    assert sd.check_derivatives(sd.sum(activation), x, {x: points}, target="reference").agrees


def test_losses() -> None:
    rng = np.random.default_rng(0)
    z, t, Z, P, c = (rng.normal(size=5), rng.integers(0, 2, 5).astype(float), rng.normal(size=(5, 3)),
                     rng.dirichlet([1.0] * 3, 5), rng.integers(0, 3, 5))
    log_p = scipy.special.log_softmax(Z, axis=1)
    s, u, S, Q, k = (sd.symbol("z", 5), sd.symbol("t", 5), sd.symbol("Z", (5, 3)), sd.symbol("P", (5, 3)),
                     sd.symbol("c", 5, "int64"))
    values = {s: z, u: t, S: Z, Q: P, k: c}
    residual = np.abs(z - t)
    expected = [
        (sd.nn.mse(s, u), (residual**2).mean()), (sd.nn.mean_absolute_error(s, u), residual.mean()),
        (sd.nn.huber(s, u), np.where(residual <= 1, residual**2 / 2, residual - 0.5).mean()),
        (sd.nn.binary_cross_entropy_with_logits(s, u), (np.logaddexp(0, z) - t * z).mean()),
        (sd.nn.binary_cross_entropy(sd.sigmoid(s), u), (np.logaddexp(0, z) - t * z).mean()),
        (sd.nn.cross_entropy(S, k), -log_p[np.arange(5), c].mean()),
        (sd.nn.cross_entropy(S, Q), -(P * log_p).sum(axis=1).mean()),
        (sd.nn.hinge(s, 2 * u - 1), np.maximum(0, 1 - (2 * t - 1) * z).mean()),
        (sd.nn.poisson_nll(s, u, reduction="sum"), (np.exp(z) - t * z).sum())]
    for expression, value in expected:
        assert sd.evaluate(expression, values) == pytest.approx(value, rel=1e-12)
    assert sd.nn.mse(s, u, reduction="none").shape == (5,)


def test_substitute() -> None:
    n = sd.dim("n")
    x, y, t = sd.symbol("x", n), sd.symbol("y", n), sd.symbol("t")
    f = t * sd.sum(sd.exp(x) * y)
    assert sd.substitute(f, {x: y, y: x}) is t * sd.sum(sd.exp(y) * x)
    assert sd.substitute(f, {"x": 2 * x, "t": 3}) is 3 * sd.sum(sd.exp(2 * x) * y)
    assert sd.substitute(f, {x: 0.0}) is t * sd.sum(y)
    assert sd.substitute([f, {"a": x}], {x: y}) == [sd.substitute(f, {x: y}), {"a": y}]
    constant = np.array([1.0, 2.0])
    z = sd.symbol("z", 2)
    assert sd.evaluate(sd.substitute(sd.sum(z**2), {z: constant})) == 5.0
