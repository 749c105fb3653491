"""Indexing and slicing: one Product that reads at affine indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.bounds import at_least, lower_bound
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.index_notation import Index, tidy
from symdiff.operators.coercion import as_node, flattened, where_written
from symdiff.operators.creation import as_array
from symdiff.operators.gathering import gather
from symdiff.operators.shaping import moveaxis, stack, view
from symdiff.provenance import plain
from symdiff.sizes import Dim, Size, combine, floor_divide, integer_of
from symdiff.tensor_type import INTEGRAL

Part = Any
# A list of more positions is an array that is read by index.
SHORTEST_GATHER = 16


def getitem(x: Node, item: Part) -> Node:
    """x[item] for integers, slices of any step, `...`, `newaxis`, and arrays of integers, also such as the call tells.

    Raises `ShapeMismatch` for an index outside, or one that is not shown to be inside a symbolic size.

    >>> import symdiff as sd
    >>> sd.symbol("x", "n")[1:].shape
    (n - 1,)
    """
    parts = complete(x, list(item) if isinstance(item, tuple) else [item])
    arrays = [part for part in parts if isinstance(part, (Node, np.ndarray))]
    if len(arrays) > 1 or any(isinstance(a, Node) or a.ndim > 1 or len(a) > SHORTEST_GATHER for a in arrays):
        return gathered(x, parts)
    if arrays:
        return picked(x, parts)
    at: list[Index] = []
    shape: list[Size] = []
    for part in parts:
        if part is None:
            shape.append(1)
            continue
        size = x.shape[len(at)]
        if isinstance(part, slice):
            start, length, step = slice_span(x, part, size, len(at))
            at.append(tidy(start, {len(shape): step}))
            shape.append(length)
        else:
            at.append((position(x, part, size, len(at)), ()))
    return view(x, at, range(len(shape)), dict(enumerate(shape)), tuple(shape))


def complete(x: Node, parts: list[Part]) -> list[Part]:
    """One part for each axis and each new one: `...` and what is left out become full slices, lists become arrays."""
    parts = [checked_part(x, part) for part in parts]
    dots = [k for k, part in enumerate(parts) if part is Ellipsis]
    used = sum(1 for part in parts if part is not None and part is not Ellipsis)
    if len(dots) > 1:
        raise ShapeMismatch("an index can hold only one `...`", where=where_written("index", x), mend="keep one")
    if used > x.ndim:
        raise ShapeMismatch(f"{used} indices for {x.ndim} axes", where=where_written("index", x),
                            mend=f"use at most {x.ndim} indices" if x.ndim else "a scalar has no axes to index")
    place = dots[0] if dots else len(parts)
    whole = [*parts[:place], *[slice(None)] * (x.ndim - used), *parts[place + 1:]]
    axes = iter(range(x.ndim))
    return [part if part is None else picks_of(x, part, next(axes)) for part in whole]


def picks_of(x: Node, part: Part, axis: int) -> Part:
    """A part as it is, but a mask of truth values as the positions where it holds, and no positions as an empty slice."""
    if not isinstance(part, np.ndarray):
        return part
    if part.dtype.kind == "b":
        if len(part) != x.shape[axis]:
            raise ShapeMismatch(f"a mask of {len(part)} truth values does not fit axis {axis} of size {x.shape[axis]}",
                                where=where_written("index", x), mend="give one truth value for each position of the axis")
        part = np.flatnonzero(part)
    return part if len(part) else slice(0, 0)


def checked_part(x: Node, part: Part) -> Part:
    """One part of an index, lists as arrays; raises `TypeMismatch` for what is no index."""
    if part is None or part is Ellipsis or isinstance(part, (slice, Dim)):
        return part
    if isinstance(part, Node):
        if part.dtype in INTEGRAL:
            return part
        what = "a boolean mask gives a size that depends on values" if part.dtype == "bool" else \
            f"positions are integers, not {part.dtype}"
        raise TypeMismatch(what, where=where_written("index", x, part),
                           mend="use sd.where(mask, x, 0) for masks" if part.dtype == "bool" else
                           "use an array of integers: sd.symbol(name, shape, 'int64'), or sd.astype(i, 'int64')")
    number = integer_of(part)
    if number is not None:
        return number
    if isinstance(part, (list, np.ndarray)):
        array = as_array(part) if len(flattened(part)) else np.zeros(0, int)
        if array.ndim and array.dtype.kind in ("iub" if array.ndim == 1 else "iu"):
            return array
    raise TypeMismatch(f"{plain(part)} is not an index", where=where_written("index", x),
                       mend="use ints, slices, None, ... or a list of ints")


def gathered(x: Node, parts: list[Part]) -> Node:
    """x indexed by arrays of integers among which are expressions; new axes stand where NumPy puts them."""
    arrays = [k for k, part in enumerate(parts) if isinstance(part, (Node, np.ndarray))]
    rest = getitem(x, tuple(slice(None) if k in arrays else part for k, part in enumerate(parts)))
    single = [k for k, part in enumerate(parts) if not (part is None or isinstance(part, slice))]
    beside = single[-1] - single[0] < len(single)
    # Axes of `rest`: an integer has none.
    axes = [sum(1 for j, part in enumerate(parts[:k]) if j in arrays or part is None or isinstance(part, slice)) for k in arrays]
    for k, axis in zip(arrays, axes, strict=True):
        for end in (parts[k].min(), parts[k].max()) if isinstance(parts[k], np.ndarray) else ():
            position(x, int(end), rest.shape[axis], axis)
    return gather(rest, axes, [as_node(parts[k]) for k in arrays], axes[0] if beside else 0)


def picked(x: Node, parts: list[Part]) -> Node:
    """x at a short list of positions of one axis, each of which is a slice."""
    k = next(k for k, part in enumerate(parts) if isinstance(part, np.ndarray))
    found = stack([getitem(x, (*parts[:k], int(p), *parts[k + 1:])) for p in parts[k]])
    single = [j for j, p in enumerate(parts) if j == k or not (p is None or isinstance(p, slice))]
    # NumPy puts the picked axis first where integers and the list do not stand side by side.
    if single[-1] - single[0] >= len(single):
        return found
    return moveaxis(found, 0, sum(1 for p in parts[:k] if p is None or isinstance(p, slice)))


def position(x: Node, part: Part, size: Size, axis: int) -> Size:
    """A position from the start of the axis."""
    k: Size = part
    if isinstance(k, int) and k < 0:
        k = combine(((1, size), (1, k)))
    if not at_least(k, 0) or not at_least(size, combine(((1, k), (1, 1)))):
        raise ShapeMismatch(f"index {part} is not shown to be inside axis {axis} of size {size}",
                            where=where_written("index", x), mend=bound_hint(size, part))
    return k


def bound_hint(size: Size, part: Part) -> str:
    """How to make an index provable."""
    if isinstance(size, int):
        return f"use an index from {-size} to {size - 1}"
    if str(size).isidentifier():
        return f"say how large it is at least: sd.dim('{size}', minimum=…)"
    return "say how large the sizes are at least with sd.dim(name, minimum=…)"


def slice_span(x: Node, part: slice, size: Size, axis: int) -> tuple[Size, Size, int]:
    """(start, length, step) of a slice."""
    step = 1 if part.step is None else integer_of(part.step)
    if not step:
        raise ShapeMismatch(f"a slice cannot step by {plain(part.step)}", where=where_written("index", x),
                            mend="use a step that is an integer other than 0")
    if isinstance(size, int) and not isinstance(part.start, Dim) and not isinstance(part.stop, Dim):
        try:
            span = range(*part.indices(size))
        except TypeError:
            raise TypeMismatch(f"{part!r} has an end that is no integer", where=where_written("index", x),
                               mend="use ints or Dims") from None
        return (span.start if len(span) else 0), len(span), step
    last = combine(((1, size), (-1, 1)))
    start = end_of(x, part.start, size, 0 if step > 0 else last)
    stop = end_of(x, part.stop, size, size if step > 0 else -1)
    steps = abs(step)
    span_size = combine(((1, stop), (-1, start))) if step > 0 else combine(((1, start), (-1, stop)))
    length = span_size if steps == 1 else floor_divide(combine(((1, span_size), (1, steps - 1))), steps)
    low, high = (start, stop) if step > 0 else (combine(((1, stop), (1, 1))), combine(((1, start), (1, 1))))
    # A length such as n - 2 may turn out negative only at the call, which refuses it then.
    bound = lower_bound(span_size)
    negative = isinstance(span_size, int) and bound is not None and bound < 0
    if not at_least(low, 0) or not at_least(size, high) or negative:
        raise ShapeMismatch(f"slice {start}:{stop} is not shown to be inside axis {axis} of size {size}",
                            where=where_written("index", x), mend=bound_hint(size, part.stop))
    return start, length, step


def end_of(x: Node, value: Any, size: Size, default: Size) -> Size:
    """An end of a slice, counted from the start."""
    if value is None:
        return default
    if isinstance(value, Dim):
        return value
    k = integer_of(value)
    if k is None:
        raise TypeMismatch(f"{plain(value)} is no end of a slice", where=where_written("index", x), mend="use ints or Dims")
    return combine(((1, size), (1, k))) if k < 0 else k

