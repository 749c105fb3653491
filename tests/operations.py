"""The table of operations: each is one function of a namespace and arrays, run on symdiff and on NumPy alike.

`row.formula(sd, *symbols)` builds the expression, `row.formula(REFERENCE, *arrays)` is what it must equal.  Tests of
the reference, of the interpreter of loop IR and of compiled kernels all go over OPERATIONS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

import symdiff as sd
from symdiff.functions import ROWS

SIZES = {"n": 6, "m": 4, "d": 3, "k": 2}
Array = np.ndarray[Any, Any]


class Reference:
    """NumPy, and SciPy's special functions, under the names of symdiff."""

    sigmoid = staticmethod(scipy.special.expit)
    softplus = staticmethod(lambda x: np.logaddexp(x, np.zeros_like(x)))
    relu = staticmethod(lambda x: np.maximum(x, np.zeros_like(x)))
    erf, erfc, xlogy = scipy.special.erf, scipy.special.erfc, scipy.special.xlogy
    norm = staticmethod(np.linalg.norm)
    safe_sqrt = np.sqrt
    stop_gradient = staticmethod(lambda x: x)

    @staticmethod
    def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return np.asarray(scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)).astype(x.dtype)

    @staticmethod
    def softmax(x: Array, axis: int = -1) -> Array:
        return scipy.special.softmax(x, axis=axis)

    @staticmethod
    def log_softmax(x: Array, axis: int = -1) -> Array:
        return scipy.special.log_softmax(x, axis=axis)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


REFERENCE = Reference()


@dataclass(frozen=True, slots=True)
class Operation:
    """`formula(namespace, *arrays)` with the shapes (sizes are ints or names in SIZES) and values of its arguments.

    kinds: the dtypes that it is tested with: floats are "f", integers "i", booleans "b".  smooth: whether derivatives
    of first and second order exist and are tested.
    """

    name: str
    formula: Callable[..., Any]
    shapes: tuple[tuple[int | str, ...], ...]
    domains: tuple[tuple[float, float], ...] = ()
    kinds: str = "f"
    smooth: bool = True

    def symbols(self, dtype: str = "float64", named: bool = True) -> list[Any]:
        """The arguments as symbols, with named or integer sizes."""
        return [sd.symbol(f"x{k}", [s if named else concrete(s) for s in shape], dtype)
                for k, shape in enumerate(self.shapes)]

    def sample(self, dtype: str = "float64", seed: int = 0) -> list[Array]:
        """Values for the arguments, distinct and away from kinks."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        arrays = []
        for k, shape in enumerate(self.shapes):
            sizes = tuple(concrete(s) for s in shape)
            low, high = self.domains[k] if self.domains else (-2.0, 2.0)
            if dtype == "bool":
                arrays.append(rng.random(sizes) < 0.5)
            elif dtype.startswith("int"):
                arrays.append(rng.integers(math.ceil(low), math.floor(high) + 1, sizes).astype(dtype))
            else:
                arrays.append(rng.uniform(low, high, sizes).astype(dtype))
        return arrays


def concrete(size: int | str) -> int:
    """The value of a size in the samples."""
    return SIZES[size] if isinstance(size, str) else size


def dtypes(row: Operation) -> list[str]:
    """The dtypes that a row is tested with."""
    names = {"f": ["float64", "float32"], "i": ["int64", "int32"], "b": ["bool"]}
    return [dtype for kind in row.kinds for dtype in names[kind]]


def elementwise(names: str, kinds: str = "f", smooth: bool = True) -> list[Operation]:
    """Rows for scalar functions that have one name here and in the reference, sampled where the table says."""
    rows = []
    for name in names.split():
        row = ROWS.get(name)
        arity, domain = (row.arity, row.domain) if row else (1, ((0.3, 2.0),))
        shapes = ((("n", "m"),), (("n", "m"), ("m",)))[arity - 1]
        rows.append(Operation(name, lambda xp, *args, name=name: getattr(xp, name)(*args), shapes, domain, kinds,
                              smooth))
    return rows


def row(name: str, formula: Callable[..., Any], *shapes: tuple[int | str, ...], **fields: Any) -> Operation:
    """One row; shapes are given one after the other."""
    return Operation(name, formula, shapes, **fields)


N, M, D, NM, MN, MD, NMD = ("n",), ("m",), ("d",), ("n", "m"), ("m", "n"), ("m", "d"), ("n", "m", "d")
POSITIVE = ((0.3, 2.0),)
TWICE = ((0.3, 2.0), (0.3, 2.0))

ELEMENTWISE = [
    *elementwise("sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
                 "atanh sigmoid softplus erf erfc hypot atan2 logaddexp xlogy safe_sqrt reciprocal"),
    *elementwise("abs relu square stop_gradient positive negative", "fi"),
    *elementwise("sign floor ceil trunc", "fi", smooth=False),
    *elementwise("minimum maximum", "fib"),
    *elementwise("remainder floor_divide", "f", smooth=False),
    *elementwise("equal not_equal less less_equal greater greater_equal", "fib", smooth=False),
    *elementwise("logical_and logical_or logical_xor logical_not", "fib", smooth=False),
    *elementwise("isnan isfinite isinf", "f", smooth=False),
    row("round", lambda xp, x: xp.round(x), NM, smooth=False),
    row("round-2", lambda xp, x: xp.round(x, 2), NM, smooth=False),
    row("round-minus-1", lambda xp, x: xp.round(30 * x, -1), NM, smooth=False),
    row("add", lambda xp, x, y: x + y, NM, M, kinds="fib"),
    row("subtract", lambda xp, x, y: x - y, NM, M, kinds="fi"),
    row("multiply", lambda xp, x, y: x * y, NM, ("n", 1), kinds="fib"),
    row("divide", lambda xp, x, y: x / y, NM, M, domains=TWICE),
    row("divide-integers", lambda xp, x, y: x / y, NM, M, domains=((-9, 9), (1, 9)), kinds="i", smooth=False),
    row("floor-divide-integers", lambda xp, x, y: x // y, NM, M, domains=((-9, 9), (1, 9)), kinds="i", smooth=False),
    row("remainder-integers", lambda xp, x, y: x % y, NM, M, domains=((-9, 9), (1, 9)), kinds="i", smooth=False),
    row("divide-by-number", lambda xp, x: x / 3, NM),
    row("number-divided", lambda xp, x: 3 / x, NM, domains=POSITIVE),
    row("power", lambda xp, x, y: x**y, NM, M, domains=TWICE),
    row("power-square", lambda xp, x: x**2, NM, kinds="fi"),
    row("power-cube", lambda xp, x: x**3, NM, kinds="fi"),
    row("power-integers", lambda xp, x, y: x**y, NM, M, domains=((-3, 3), (0, 4)), kinds="i", smooth=False),
    row("power-half", lambda xp, x: x**0.5, NM, domains=POSITIVE),
    row("power-minus-2", lambda xp, x: x**-2, NM, domains=POSITIVE),
    row("power-1.5", lambda xp, x: x**1.5, NM, domains=POSITIVE),
    row("number-to-the-power", lambda xp, x: 2**x, NM),
    row("pow", lambda xp, x: xp.pow(x, 3), NM),
    row("clip", lambda xp, x: xp.clip(x, -0.5, 0.75), NM),
    row("clip-below", lambda xp, x: xp.clip(x, 0, None), NM, kinds="fi"),
    row("where", lambda xp, x, y: xp.where(x > y, x * y, x - y), NM, M),
    row("where-number", lambda xp, x: xp.where(x > 0, x, 0), NM, kinds="fi"),
    row("arithmetic", lambda xp, x, y: 2 * x - y / 2 + 1 - (-x) * y, NM, M),
    row("and-or-not", lambda xp, x, y: (x > 0) & ~(y > 0) | (x < y) ^ (y < 1), NM, M, smooth=False),
    row("astype-float", lambda xp, x: xp.astype(x, "float32"), NM, kinds="fib", smooth=False),
    row("astype-int", lambda xp, x: xp.astype(3 * x, "int64"), NM, kinds="f", smooth=False),
    row("astype-bool", lambda xp, x: xp.astype(x, "bool"), NM, kinds="fi", smooth=False),
]

REDUCTIONS = [
    *[row(f"{name}-{axis}{'-keepdims' * keep}", lambda xp, x, name=name, axis=axis, keep=keep:
          getattr(xp, name)(x, axis=axis, keepdims=keep), NMD, domains=POSITIVE, kinds=kinds, smooth=smooth)
      for name, kinds, smooth in [
          ("sum", "fib", True), ("mean", "fib", True), ("prod", "fib", True), ("max", "fi", True), ("min", "fi", True),
          ("var", "fi", True), ("std", "f", True), ("logsumexp", "f", True), ("any", "fib", False),
          ("all", "fib", False)]
      for axis, keep in [(None, False), (0, False), (-1, True), ((0, 2), False), ((1, -1), True), (None, True)]],
    *[row(f"{name}-{axis}-{keep}", lambda xp, x, name=name, axis=axis, keep=keep:
          getattr(xp, name)(x, axis=axis, keepdims=keep), NMD, kinds="fi", smooth=False)
      for name in ("argmax", "argmin") for axis, keep in [(None, False), (0, True), (-1, False), (None, True)]],
    row("method-sum", lambda xp, x: x.sum(0).sum(axis=-1, keepdims=True), NMD, kinds="fi"),
    row("method-mean", lambda xp, x: x.mean(axis=(0, 1)) + x.max() - x.min(0).prod(), NMD),
    row("var-ddof", lambda xp, x: xp.var(x, axis=0, correction=1), NMD),
    row("norm", lambda xp, x: xp.norm(x), N),
    row("norm-matrix", lambda xp, x: xp.norm(x), NM),
    *[row(f"norm-{order}-vector", lambda xp, x, order=order: xp.norm(x, order), N, domains=POSITIVE)
      for order in (1, 2, 3, np.inf, -np.inf, 0.5)],
    *[row(f"norm-{order}-matrix", lambda xp, x, order=order: xp.norm(x, order), NM)
      for order in ("fro", 1, -1, np.inf, -np.inf)],
    *[row(f"norm-{axis}-axis", lambda xp, x, axis=axis: xp.norm(x, axis=axis, keepdims=True), NMD)
      for axis in (0, -1, (0, 2))],
    row("norm-1-axes", lambda xp, x: xp.norm(x, 1, axis=(2, 0)), NMD),
    row("softmax", lambda xp, x: xp.softmax(x), NM),
    row("softmax-0", lambda xp, x: xp.softmax(x, axis=0), NMD),
    row("log-softmax", lambda xp, x: xp.log_softmax(x), NM),
]

SHAPING = [
    row("transpose", lambda xp, x: x.T, NMD, kinds="fib"),
    row("matrix-transpose", lambda xp, x: x.mT + xp.matrix_transpose(x), NMD),
    row("permute-dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), NMD, kinds="fi"),
    row("transpose-negative", lambda xp, x: xp.transpose(x, (-1, 0, 1)), NMD),
    row("method-transpose", lambda xp, x: x.transpose(1, 2, 0) + x.transpose((1, 2, 0)), NMD),
    row("swapaxes", lambda xp, x: xp.swapaxes(x, 0, -1), NMD),
    row("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1), NMD),
    row("expand-dims", lambda xp, x: xp.expand_dims(x, 1), NM),
    row("expand-dims-two", lambda xp, x: xp.expand_dims(x, (0, -1)), NM),
    row("squeeze", lambda xp, x: xp.squeeze(x), ("n", 1, "d", 1), kinds="fib"),
    row("squeeze-axis", lambda xp, x: xp.squeeze(x, axis=-1), ("n", 1, "d", 1)),
    row("broadcast-to", lambda xp, x: xp.broadcast_to(x, (5, *x.shape)), NM, kinds="fib"),
    row("broadcast-ones", lambda xp, x, y: x + y, ("n", 1), (1, "m"), kinds="fi"),
    row("broadcast-arrays", lambda xp, x, y: xp.broadcast_arrays(x, y)[0] * 2, ("n", 1), M),
    row("reshape", lambda xp, x: xp.reshape(x, (2, 12)), (6, 4), kinds="fib"),
    row("reshape-flat", lambda xp, x: xp.reshape(x, -1), NM, kinds="fib"),
    row("reshape-merge", lambda xp, x: xp.reshape(x, (x.shape[0], -1)), NMD),
    row("reshape-split", lambda xp, x: x.reshape(-1, 2, 3), ("n", 6)),
    row("reshape-mixed", lambda xp, x: x.reshape((3, 4, 4)), (6, 8)),
    row("ravel", lambda xp, x: xp.ravel(x.T) + x.flatten(), NM),
    row("concat", lambda xp, x, y: xp.concat([x, y]), NM, (3, "m"), kinds="fib"),
    row("concat-axis", lambda xp, x, y: xp.concat((x, 2 * x, y), axis=-1), NM, ("n", "d"), kinds="fi"),
    row("stack", lambda xp, x, y: xp.stack([x, y]), NM, NM, kinds="fib"),
    row("stack-last", lambda xp, x, y: xp.stack([x, y, x], axis=-1), NM, NM),
    row("vstack", lambda xp, x, y: xp.vstack([x, y]), NM, M),
    row("hstack", lambda xp, x, y: xp.hstack([x, y]), NM, ("n", 2)),
    row("column-stack", lambda xp, x, y: xp.column_stack([x, y]), N, NM),
    row("pad", lambda xp, x: xp.pad(x, ((1, 2), (0, 1))), NM, kinds="fi"),
    row("pad-one", lambda xp, x: xp.pad(x, 1), NM),
    row("pad-value", lambda xp, x: xp.pad(x, (2, 1), constant_values=1.5), N),
    row("flip", lambda xp, x: xp.flip(x), NMD, kinds="fib"),
    row("flip-axis", lambda xp, x: xp.flip(x, axis=(-1, 0)), NMD),
    row("flipud-lr", lambda xp, x: xp.flipud(x) + xp.fliplr(x), NM),
    *[row(f"roll-{shift}", lambda xp, x, shift=shift: xp.roll(x, shift, axis=1), ("n", 4), kinds="fi")
      for shift in (0, 1, -1, 3, 7, -6)],
    row("roll-symbolic", lambda xp, x: xp.roll(x, 1, axis=0) + xp.roll(x, -1, axis=0), NM),
    row("roll-flat", lambda xp, x: xp.roll(x, 5), (4, 3)),
    row("roll-two", lambda xp, x: xp.roll(x, (1, -1), axis=(0, 1)), NM),
    row("repeat", lambda xp, x: xp.repeat(x, 3, axis=1), NM, kinds="fi"),
    row("repeat-flat", lambda xp, x: xp.repeat(x, 2), NM),
    row("tile", lambda xp, x: xp.tile(x, (2, 3)), NM, kinds="fi"),
    row("tile-more", lambda xp, x: xp.tile(x, (2, 1, 2)), NM),
    row("diff", lambda xp, x: xp.diff(x), NM, kinds="fi"),
    row("diff-2", lambda xp, x: xp.diff(x, n=2, axis=0), (6, "m")),
    row("unstack", lambda xp, x: xp.unstack(x, axis=-1)[1], ("n", 3)),
]

INDICES: dict[str, Callable[[Any], Any]] = {
    "first": lambda x: x[0], "last": lambda x: x[-1], "column": lambda x: x[:, 2], "element": lambda x: x[0, -2],
    "from": lambda x: x[1:], "to": lambda x: x[:-1], "middle": lambda x: x[1:-1, 1:4], "step": lambda x: x[::2],
    "step-from": lambda x: x[1::2, ::3], "backwards": lambda x: x[::-1], "backwards-by-2": lambda x: x[::-2, ::-2],
    "backwards-part": lambda x: x[:, 3:0:-1], "beyond": lambda x: x[:, 2:99], "empty": lambda x: x[:, 3:1],
    "negative": lambda x: x[:, -3:-1], "newaxis": lambda x: x[:, None, :, None], "ellipsis": lambda x: x[..., 1],
    "ellipsis-front": lambda x: x[None, ..., ::2], "list": lambda x: x[:, [0, 2, 2, -1]],
    "list-first": lambda x: x[[0], 1:], "list-after-newaxis": lambda x: x[None, :, [3, 1]],
    "int-list": lambda x: x[0, [1, 3]], "mask": lambda x: x[:, np.array([True, False, True, False, True])],
    "step-3-back": lambda x: x[-1::-3], "twice": lambda x: x[1:][::2, 1:][:, 0],
}
INDEXING = [
    *[row(f"index-{text}", lambda xp, x, text=text: INDICES[text](x), ("n", 5), kinds="fib") for text in INDICES],
    row("index-apart", lambda xp, x: x[0, :, [1, 2]], (2, "m", 4)),
    row("iterate", lambda xp, x: sum(v * v for v in x), (3, "m")),
]

MATRICES = [
    row("diag-vector", lambda xp, x: xp.diag(x), N, kinds="fi"),
    row("diag-vector-1", lambda xp, x: xp.diag(x, 1) + xp.diag(x, -1), N),
    row("diag-matrix", lambda xp, x: xp.diag(x), ("n", "n"), kinds="fi"),
    row("diag-matrix-1", lambda xp, x: xp.diag(x, 1) - xp.diag(x, -1), ("n", "n")),
    row("diag-wide", lambda xp, x: xp.diag(x, 1), (3, 5)),
    row("diag-tall", lambda xp, x: xp.diag(x, -2), (5, 3)),
    row("diagonal", lambda xp, x: xp.diagonal(x, axis1=-2, axis2=-1), ("n", "d", "d")),
    row("diagonal-outer", lambda xp, x: xp.diagonal(x, offset=1, axis1=2, axis2=0), ("n", "d", "n")),
    *[row(f"{name}{k:+}", lambda xp, x, name=name, k=k: getattr(xp, name)(x, k), shape, kinds="fib")
      for name in ("tril", "triu") for k, shape in ((0, NM), (1, NM), (-2, ("k", "n", "m")))],
    row("trace", lambda xp, x: xp.trace(x), ("n", "n"), kinds="fi"),
    row("trace-offset", lambda xp, x: xp.trace(x, 1), (3, 5)),
    row("trace-batch", lambda xp, x: xp.trace(x, axis1=-1, axis2=-2), ("k", "n", "n")),
    row("eye", lambda xp, x: x + xp.eye(5) + xp.eye(5, k=1) - xp.eye(5, 5, -2), ("n", 5, 5)),
    row("eye-wide", lambda xp, x: x * xp.eye(3, 5, k=1), (3, 5)),
    row("zeros-ones-full", lambda xp, x: x * xp.ones((3, 2)) + xp.zeros((3, 2)) - xp.full((3, 2), 1.5), (3, 2)),
    row("like", lambda xp, x: x + xp.ones_like(x) * xp.zeros_like(x) + xp.full_like(x, 3), NM, kinds="fi"),
    row("arange", lambda xp, x: x * xp.arange(5) + xp.arange(1, 10, 2) - xp.arange(8, -2, -2), ("n", 5)),
    row("linspace", lambda xp, x: x + xp.linspace(0, 1, 5) + xp.linspace(-1, 1, 5, endpoint=False), ("n", 5)),
]

CONTRACTIONS = [
    row("matmul", lambda xp, x, y: x @ y, NM, MD, kinds="fi"),
    row("matmul-vector", lambda xp, x, y: x @ y, NM, M, kinds="fi"),
    row("vector-matmul", lambda xp, x, y: x @ y, N, NM),
    row("vector-vector", lambda xp, x, y: x @ y, N, N),
    row("matmul-batch", lambda xp, x, y: xp.matmul(x, y), ("k", "n", "m"), ("k", "m", "d")),
    row("matmul-broadcast", lambda xp, x, y: xp.matmul(x, y), ("k", 1, "n", "m"), (5, "m", "d")),
    row("matmul-batch-vector", lambda xp, x, y: x @ y, ("k", "n", "m"), M),
    row("dot", lambda xp, x, y: xp.dot(x, y), NM, ("k", "m", "d")),
    row("dot-scalar", lambda xp, x, y: xp.dot(x, y), NM, ()),
    row("inner", lambda xp, x, y: xp.inner(x, y), NM, ("d", "m")),
    row("vecdot", lambda xp, x, y: xp.vecdot(x, y), NM, M),
    row("vecdot-axis", lambda xp, x, y: xp.vecdot(x, y, axis=0), NM, NM),
    row("outer", lambda xp, x, y: xp.outer(x, y), N, M, kinds="fi"),
    row("tensordot", lambda xp, x, y: xp.tensordot(x, y, 2), NMD, ("m", "d", "k")),
    row("tensordot-0", lambda xp, x, y: xp.tensordot(x, y, axes=0), N, M),
    row("tensordot-axes", lambda xp, x, y: xp.tensordot(x, y, axes=([2, 0], [0, 1])), NMD, ("d", "n", "k")),
    row("tensordot-axis", lambda xp, x, y: xp.tensordot(x, y, axes=(-1, 0)), NM, MD),
    *[row(f"einsum-{text}", lambda xp, *args, text=text: xp.einsum(text, *args), *shapes, kinds=kinds)
      for text, shapes, kinds in [
          ("ij,jk->ik", (NM, MD), "fi"), ("ij->ji", (NM,), "f"), ("ij->", (NM,), "fi"), ("ij->i", (NM,), "f"),
          ("ii", (("n", "n"),), "f"), ("ii->i", (("n", "n"),), "f"), ("i,j->ij", (N, M), "f"), ("i,i", (N, N), "f"),
          ("ij,j", (NM, M), "f"), ("ba", (NM,), "f"), ("...ij,...jk->...ik", (("k", "n", "m"), MD), "f"),
          ("...i->...", (NMD,), "f"), ("i...,i...", (NM, NM), "f"), ("ij,jk,kl->il", (NM, MD, ("d", "k")), "f"),
          ("ijk,ijl,kl->i", (NMD, ("n", "m", "k"), ("d", "k")), "f"), ("iij->j", (("n", "n", "m"),), "f"),
          ("ij,ij->ij", (NM, NM), "f"), ("i,ij,j->", (N, NM, M), "f"),
          ("bij,bkj->bik", (("k", "n", "m"), ("k", "d", "m")), "f"),
          ("ij,j->ij", (("n", 1), M), "f"),
      ]],
]

OPERATIONS = [*ELEMENTWISE, *REDUCTIONS, *SHAPING, *INDEXING, *MATRICES, *CONTRACTIONS]
