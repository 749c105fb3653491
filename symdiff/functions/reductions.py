"""Reductions along axes: extremes, products, log Σ exp, positions of extremes, any and all (sums are Products).

A weight W has the shape of x and gives dy = Σ_axes W · dx.  It is built with the builders `expand` (y back to the shape
of x), `sum` (along axes) and `product_of_others` (at each position, the product of all the other elements).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.functions.row import BUILDERS, ROWS, Expression, define_reduction

Array = Any
Axes = tuple[int, ...]
quiet = np.errstate(all="ignore")


def share(x: Expression, y: Expression, axes: Axes) -> Expression:
    """1/k at each of the k positions where the extreme y is taken, else 0."""
    taken = BUILDERS["number"](ROWS["equal"](x, BUILDERS["expand"](y, x, axes)), x)
    return taken / BUILDERS["expand"](BUILDERS["sum"](taken, axes), x, axes)


@quiet
def logsumexp(x: Array, axis: Axes) -> Array:
    """log Σ eˣ = m + log Σ e^(x − m) with m = max x; −inf where all are −inf or there are none."""
    x = np.asarray(x, dtype=np.result_type(x, np.float32))
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, np.zeros_like(top))
    total = np.log(np.sum(np.exp(x - shift), axis=axis))
    return total + np.squeeze(shift, axis=axis)


def flattened(x: Array, axis: Axes) -> Array:
    """The axes moved to the end and merged into one, in C order."""
    kept = tuple(k for k in range(np.ndim(x)) if k not in axis)
    moved = np.transpose(x, kept + tuple(axis))
    return moved.reshape(*moved.shape[:len(kept)], math.prod(moved.shape[len(kept):]))


@quiet
def argmax(x: Array, axis: Axes) -> Array:
    """The position, in C order of the axes, of the first largest element (the first NaN, if any)."""
    return np.argmax(flattened(x, axis), axis=-1)


@quiet
def argmin(x: Array, axis: Axes) -> Array:
    """The position, in C order of the axes, of the first smallest element (the first NaN, if any)."""
    return np.argmin(flattened(x, axis), axis=-1)


define_reduction(
    "max", quiet(np.max), share, "max", text="max({0})", latex=r"\max\left({0}\right)",
    doc="The largest element, NaN if there is one: W = [x = y]/k, where k elements share it.",
)
define_reduction(
    "min", quiet(np.min), share, "min", text="min({0})", latex=r"\min\left({0}\right)",
    doc="The smallest element, NaN if there is one: W = [x = y]/k, where k elements share it.",
)
define_reduction(
    "prod", quiet(np.prod), lambda x, y, axes: BUILDERS["product_of_others"](x, axes), "mul",
    text="prod({0})", latex=r"\prod\left({0}\right)", needs_elements=False,
    doc="The product: Wᵢ = Π_{j ≠ i} xⱼ, not y/xᵢ, so it is right with zeros too.",
)
define_reduction(
    "logsumexp", logsumexp,
    lambda x, y, axes: ROWS["exp_difference"](x, BUILDERS["expand"](y, x, axes)), "logsumexp",
    result="float", text="logsumexp({0})", latex=r"\operatorname{{logsumexp}}\left({0}\right)", needs_elements=False,
    doc="log Σ eˣ without overflow: W = e^(x − y), which is softmax, and 0 where all are −inf.",
)
define_reduction(
    "argmax", argmax, None, "argmax",
    result="int64", text="argmax({0})", latex=r"\operatorname{{argmax}}\left({0}\right)",
    doc="The position of the first largest element (in C order of the axes); a NaN counts as largest.",
)
define_reduction(
    "argmin", argmin, None, "argmin",
    result="int64", text="argmin({0})", latex=r"\operatorname{{argmin}}\left({0}\right)",
    doc="The position of the first smallest element (in C order of the axes); a NaN counts as smallest.",
)
define_reduction(
    "any", np.any, None, "max",
    result="bool", text="any({0})", latex=r"\operatorname{{any}}\left({0}\right)", domain=(0.0, 1.0),
    needs_elements=False, doc="Whether one holds (false of none).",
)
define_reduction(
    "all", np.all, None, "min",
    result="bool", text="all({0})", latex=r"\operatorname{{all}}\left({0}\right)", domain=(0.0, 1.0),
    needs_elements=False, doc="Whether every one holds (true of none).",
)
