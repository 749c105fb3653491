"""Comparisons, logic, tests for NaN and infinity, selection, and the ways from truth values to numbers.

Their results are piecewise constant, so every partial but those of `where` is None.  Arguments that are truth values
are marked: all of them by the trait `logical`, the first one by `select`; the domain says (0, 1), above ½ is true.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.functions.row import ROWS, define

Array = Any
quiet = np.errstate(all="ignore")
TRUTH = (0.0, 1.0)


def truth(c: Array) -> Array:
    """c as booleans."""
    return np.asarray(c).astype(bool)


@quiet
def one_hot(i: Array, k: Array, n: Array) -> Array:
    """Whether i is k, or k − n."""
    return np.equal(i, k) | np.equal(i, k - n)


def number(c: Array) -> Array:
    """1.0 where c holds, else 0.0."""
    return np.asarray(c).astype(np.float64)


@quiet
def as_integer(x: Array) -> Array:
    """x without its fraction, as int64."""
    return np.trunc(x).astype(np.int64)


define(
    "equal", quiet(np.equal), (None, None), result="bool",
    text="{0} = {1}", latex="{0} = {1}", infix="comparison", traits="commutative",
    doc="x = y; false where one is NaN.",
)
define(
    "not_equal", quiet(np.not_equal), (None, None), result="bool",
    text="{0} ≠ {1}", latex=r"{0} \neq {1}", infix="comparison", traits="commutative",
    doc="x ≠ y; true where one is NaN.",
)
define(
    "less", quiet(np.less), (None, None), result="bool",
    text="{0} < {1}", latex="{0} < {1}", infix="comparison",
    doc="x < y; false where one is NaN.",
)
define(
    "less_equal", quiet(np.less_equal), (None, None), result="bool",
    text="{0} ≤ {1}", latex=r"{0} \le {1}", infix="comparison",
    doc="x ≤ y; false where one is NaN.",
)
define(
    "greater", quiet(np.greater), (None, None), result="bool",
    text="{0} > {1}", latex="{0} > {1}", infix="comparison",
    doc="x > y; false where one is NaN.",
)
define(
    "greater_equal", quiet(np.greater_equal), (None, None), result="bool",
    text="{0} ≥ {1}", latex=r"{0} \ge {1}", infix="comparison",
    doc="x ≥ y; false where one is NaN.",
)
define(
    "logical_and", np.logical_and, (None, None), result="bool", domain=TRUTH,
    text="{0} ∧ {1}", latex=r"{0} \land {1}", infix="comparison", traits="logical commutative",
    doc="Both hold.",
)
define(
    "logical_or", np.logical_or, (None, None), result="bool", domain=TRUTH,
    text="{0} ∨ {1}", latex=r"{0} \lor {1}", infix="comparison", traits="logical commutative",
    doc="At least one holds.",
)
define(
    "logical_xor", np.logical_xor, (None, None), result="bool", domain=TRUTH,
    text="{0} ⊻ {1}", latex=r"{0} \veebar {1}", infix="comparison", traits="logical commutative",
    doc="Exactly one holds.",
)
define(
    "logical_not", np.logical_not, (None,), result="bool", domain=TRUTH,
    text="¬({0})", latex=r"\lnot\left({0}\right)", traits="logical",
    doc="It does not hold.",
)
define(
    "isnan", quiet(np.isnan), (None,), result="bool",
    text="isnan({0})", latex=r"\operatorname{{isnan}}\left({0}\right)", traits="even",
    doc="Whether x is NaN.",
)
define(
    "isfinite", quiet(np.isfinite), (None,), result="bool",
    text="isfinite({0})", latex=r"\operatorname{{isfinite}}\left({0}\right)", traits="even",
    doc="Whether x is neither NaN nor infinite.",
)
define(
    "isinf", quiet(np.isinf), (None,), result="bool",
    text="isinf({0})", latex=r"\operatorname{{isinf}}\left({0}\right)", traits="even",
    doc="Whether x is inf or −inf.",
)
define(
    "where", np.where,
    (None, lambda c, a, b, y: ROWS["guard"](c), lambda c, a, b, y: ROWS["guard"](ROWS["logical_not"](c))),
    result="same", domain=(TRUTH, (-2.0, 2.0), (-2.0, 2.0)), traits="select",
    text="where({0}, {1}, {2})",
    latex=r"\begin{{cases}}{1} & \text{{if }} {0} \\ {2} & \text{{otherwise}}\end{{cases}}",
    doc="a where c holds, else b: ∂a = [c], ∂b = [¬c] as guards, so that a dead branch's NaN stays dead.",
)
define(
    "guard", truth, (None,), result="bool", domain=TRUTH,
    text="[{0}]", latex=r"\left[{0}\right]", traits="logical guard nonnegative zero_at_zero",
    doc="1 where c holds, else 0; as a factor of a product, its 0 annihilates even NaN.",
)
define(
    "one_hot", quiet(one_hot), (None, None, None), result="bool",
    text="[{0} = {1} mod {2}]", latex=r"\left[{0} \equiv {1} \text{{ mod }} {2}\right]", traits="guard one_hot",
    expansion=lambda i, k, n: ROWS["logical_or"](ROWS["equal"](i, k), ROWS["equal"](i, k - n)),
    doc="Whether the index i, counted from the end where it is negative, picks position k of n: a factor that reads x[i].",
)
define(
    "class_number", lambda k, n: np.broadcast_arrays(k, n)[0], (lambda k, n, y: 1.0, None), result="same", text="{0}",
    latex="{0}",
    expansion=lambda k, n: k,
    doc="The class k, as it is: one of 0 … n − 1, which is looked at before a kernel runs.",
)
define(
    "number", number, (None,), result="float64", domain=TRUTH,
    text="[{0}]", latex=r"\left[{0}\right]", traits="logical nonnegative zero_at_zero",
    doc="1 where c holds, else 0: a plain conversion (Iverson's bracket).",
)
define(
    "as_integer", as_integer, (None,), result="int64", kinks=(-2.0, -1.0, 1.0, 2.0),
    text="int({0})", latex=r"\operatorname{{int}}\left({0}\right)", traits="odd increasing zero_at_zero idempotent",
    doc="x without its fraction, as int64.",
)
