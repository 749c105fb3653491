"""The NumPy interpreter of expressions: slow, exact in meaning, the oracle of everything that follows.

Each node is evaluated once, children first, by NumPy alone.  Nothing here is clever: a product gathers its factors over
the grid of all its labels, multiplies, and adds into the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from msgspec import Struct

from symdiff.errors import ArgumentMismatch, CannotLower
from symdiff.exponential_sums import logsumexp_in, sum_shared
from symdiff.expression import Add, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.functions.row import ReduceRow, ScalarRow
from symdiff.gathers import Solved, children_read, solved_labels
from symdiff.index_notation import Index, Label, form_of
from symdiff.loops import STACK, is_scan, loop_of, split_args
from symdiff.normal_form import is_guard
from symdiff.normal_form.numbers import as_float, base_and_exponent
from symdiff.sizes import Dim, value_of
from symdiff.traversal import topological

Array = Any
Function = Callable[..., Array]


class Field(Struct, frozen=True):
    """The numbers that are computed with: the dtype for each dtype, and the NumPy function for each row."""

    dtype: Callable[[str], str]
    function: Callable[[ScalarRow | ReduceRow], Function]


REAL = Field(lambda dtype: dtype, lambda row: row.numpy)


def evaluate_nodes(roots: Sequence[Node], arrays: Mapping[Node, Array], sizes: Mapping[str, int],
                   field: Field = REAL) -> list[Array]:
    """The values of the roots for given values of symbols (arrays of the right dtype and shape) and named sizes."""
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for node in topological(roots, children_read):
            values[node] = arrays[node] if isinstance(node, Symbol) else value_of_node(node, values, sizes, field)
    return [values[root] for root in roots]


def value_of_node(node: Node, values: Mapping[Node, Array], sizes: Mapping[str, int], field: Field = REAL) -> Array:
    """The value of one node from those of its children."""
    shape = tuple(value_of(s, sizes) for s in node.shape)
    if any(s < 0 for s in shape):
        raise ArgumentMismatch(f"a size of {node.shape} is negative: {shape}", where=f"{node}",
                               mend="give longer axes, or slice less of them")
    dtype = field.dtype(node.dtype)
    if isinstance(node, Constant):
        if isinstance(node.value, np.ndarray):
            return node.value.astype(dtype, copy=False)
        if isinstance(node.value, Dim):
            return np.asarray(value_of(node.value, sizes), dtype)
        return np.arange(shape[0]).astype(dtype)
    if isinstance(node, Add):
        total, last = np.zeros(shape, dtype), np.zeros(shape, dtype)
        for c, term in node.terms:
            whole = logsumexp_in(term) if field is REAL and len(node.terms) > 1 and term.dtype == dtype else None
            value = values[term]
            if whole is not None:
                value, rest, _ = sum_in_parts(term, whole, values, sizes)
                last = last + scaled(c, rest)
            total = total + scaled(c, value.astype(dtype))
        return (total + last).astype(dtype)
    if isinstance(node, Product):
        return value_of_product(node, values, sizes, shape, field)
    if isinstance(node, Map):
        whole = sum_shared(node) if field is REAL else None
        if whole is not None:
            return value_of_share(node, whole, values, sizes).astype(dtype).reshape(shape)
        args = [values[a] for a in node.args]
        if "select" not in node.function.traits and len({a.dtype for a in args}) > 1:
            kind = np.result_type(*args)
            args = [a.astype(kind) for a in args]
        return np.asarray(field.function(node.function)(*args)).astype(dtype).reshape(shape)
    if isinstance(node, Reduce):
        if node.function.name == "max" and not values[node.arg].size:  # of no exponents that are shifted by it
            return np.full(shape, -np.inf, dtype)
        result = field.function(node.function)(values[node.arg], axis=node.axes)
        return np.asarray(result).astype(dtype).reshape(shape)
    if is_scan(node):
        return value_of_scan(node, [values[a] for a in node.children], sizes, field)
    raise CannotLower(f"{type(node).__name__} has no reference", where=str(node))


def value_of_share(node: Map, total: Reduce, values: Mapping[Node, Array], sizes: Mapping[str, int]) -> Array:
    """e^((x − m) − log Σ e^(z − m)) with m = max z, for log Σ eᶻ as it stands in the node."""
    x, below = node.args
    _, rest, m = sum_in_parts(below, total, values, sizes)
    with np.errstate(all="ignore"):
        return np.asarray(np.exp(values[x] - m - rest))


def sum_in_parts(node: Node, total: Reduce, values: Mapping[Node, Array], sizes: Mapping[str, int]) -> list[Array]:
    """m = max z and log Σ e^(z − m), for log Σ eᶻ as it stands in the node; and a finite number for m = −∞."""
    z = values[total.arg]
    with np.errstate(all="ignore"):
        largest = np.max(z, axis=total.axes, keepdims=True, initial=-np.inf)
        least = np.maximum(largest, np.finfo(z.dtype).min)
        logarithm = np.where(np.isfinite(largest), np.log(np.sum(np.exp(z - least), axis=total.axes, keepdims=True)), 0)
        parts = [np.asarray(part).astype(z.dtype).reshape(values[total].shape) for part in (largest, logarithm, least)]
        return parts if node is total else [value_of_node(node, {total: part}, sizes) for part in parts]


def value_of_scan(node: Node, args: Sequence[Array], sizes: Mapping[str, int], field: Field) -> Array:
    """The result of a loop, turn by turn."""
    loop, kind, k = loop_of(node)
    inits, xs, outside = split_args(loop, args)
    length = value_of(loop.length, sizes)
    root = loop.stacks[k] if kind == STACK else None
    rows = np.zeros((length, *[value_of(s, sizes) for s in node.shape[1:]]), field.dtype(node.dtype)) if root is not None else None
    carries = list(inits)
    for turn in range(length)[::-1 if loop.backward else 1]:
        given = [*carries, *[x[turn] for x in xs], *outside, np.asarray(turn)]
        known: dict[Node, Array] = dict(zip(loop.bound, given, strict=True))
        found = evaluate_nodes([*loop.nexts, *([root] if root is not None else [])], known, sizes, field)
        carries = found[:len(carries)]
        if rows is not None:
            rows[turn] = found[-1]
    return rows if rows is not None else carries[k]


def scaled(c: Any, value: Array) -> Array:
    """c · value; a fraction divides, as it was written: x / 49 is 1 at 49."""
    if isinstance(c, Fraction) and c.denominator & (c.denominator - 1):
        return np.asarray(as_number(c.numerator, value.dtype.name) * value / as_number(c.denominator, value.dtype.name))
    return np.asarray(as_number(c, value.dtype.name) * value)


def as_number(c: Any, dtype: str) -> Any:
    """A coefficient in a dtype; Fractions by correctly rounded division."""
    return np.dtype(dtype).type(as_float(c) if dtype.startswith(("float", "complex")) else c)


def value_of_product(node: Product, values: Mapping[Node, Array], sizes: Mapping[str, int], shape: tuple[int, ...],
                     field: Field) -> Array:
    """coefficient · Σ Π factors, written at `out`."""
    extents = tuple(value_of(e, sizes) for e in node.extents)
    kind, dtype = field.dtype(working_dtype(node)), field.dtype(node.dtype)
    solved = solved_labels(node)
    plain = all(type(i) is int for _, at in node.factors for i in at) and not any(is_guard(f) for f, _ in node.factors)
    exact_reads = plain and all(values[f].shape[k] == extents[i]  # type: ignore[index]
                                for f, at in node.factors for k, i in enumerate(at))
    if exact_reads and node.is_core and len(extents) < 50:
        operands: list[Any] = []
        for f, at in node.factors:
            operands += [values[f].astype(kind), list(at)]
        return np.asarray(np.einsum(*operands, list(node.out))).astype(dtype)
    told = {s.label for s in solved}
    extents = tuple(1 if label in told else e for label, e in enumerate(extents))
    grid = np.meshgrid(*[np.arange(e) for e in extents], indexing="ij", sparse=True) if extents else []
    labels: list[Array] = list(grid)
    # x / y is 1 where x is y, which x · (1 / y) need not be: floor(x / y) tells.  Higher powers stay as they are: x¹⁵¹ may vanish
    # where x⁻¹⁵¹ is a number.
    above, below = np.ones(extents, kind), None
    keep = np.ones(extents, bool)
    for s in solved:
        labels[s.label], present = pointed(s, values, labels, sizes, extents)
        keep = keep & present
    marks = {s.position for s in solved}
    for position, (f, at) in enumerate(node.factors):
        if position in marks:
            continue
        base, p = base_and_exponent(f)
        divides = p == -1 and np.dtype(kind).kind in "fc" and base in values
        gathered, present = read(values[base if divides else f], at, labels, sizes, extents)
        keep = keep & present
        if is_guard(f):
            keep = keep & gathered.astype(bool)
        elif divides:
            below = gathered.astype(kind) if below is None else below * gathered.astype(kind)
        else:
            above = above * gathered.astype(kind)
    quotient = scaled(node.coefficient, above) if below is None else scaled(node.coefficient, above) / below
    total = np.where(keep, quotient, np.zeros((), kind))
    return scatter(node, total, labels, sizes, shape, told).astype(dtype)


def pointed(s: Solved, values: Mapping[Node, Array], labels: list[Array], sizes: Mapping[str, int],
            extents: tuple[int, ...]) -> tuple[Array, Array]:
    """The value of a label that an index tells, and whether it is inside."""
    index, present = read(values[s.given], s.at, labels, sizes, extents)
    size = value_of(s.size, sizes)
    index = np.where(index < 0, index + size, index)
    return index, present & (index >= 0) & (index < size)


def working_dtype(node: Product) -> str:
    """The dtype in which factors are multiplied."""
    kinds = [np.dtype(node.dtype), *[np.dtype(f.dtype) for f, _ in node.factors if f.dtype != "bool"]]
    kind: str = np.result_type(*kinds).name
    return "int64" if kind == "bool" and node.coefficient != 1 else kind


def positions(index: Index, labels: list[Array], sizes: Mapping[str, int]) -> Array:
    """The values of an index over the grid of labels."""
    constant, terms = form_of(index)
    total: Array = np.asarray(value_of(constant, sizes))
    for label, c in terms:
        total = total + value_of(c, sizes) * labels[label]
    return total


def read(value: Array, at: tuple[Index, ...], labels: list[Array], sizes: Mapping[str, int],
         extents: tuple[int, ...]) -> tuple[Array, Array]:
    """value[at] over the grid, zero outside, and whether the read was inside."""
    present: Array = np.ones((), bool)
    indices = []
    for axis, index in enumerate(at):
        where = positions(index, labels, sizes)
        present = present & (where >= 0) & (where < value.shape[axis])
        indices.append(np.clip(where, 0, max(value.shape[axis] - 1, 0)))
    if value.size == 0:
        return np.zeros(extents, value.dtype), np.zeros(extents, bool)
    gathered = value[tuple(np.broadcast_arrays(*indices))] if indices else value
    return np.broadcast_to(gathered, extents), np.broadcast_to(present, extents)


def scatter(node: Product, total: Array, labels: list[Array], sizes: Mapping[str, int],
            shape: tuple[int, ...], told: set[Label]) -> Array:
    """The grid summed over labels outside `out` and added at `out`; labels that are `told` change with others."""
    if node.out == tuple(range(len(node.extents))) and total.shape == shape:
        return total
    summed = () if told else node.summed
    total = total.sum(axis=summed, keepdims=True) if summed else total
    result = np.zeros(shape, total.dtype)
    present: Array = np.ones((), bool)
    indices = []
    for axis, index in enumerate(node.out):
        where = positions(index, labels, sizes)
        present = present & (where >= 0) & (where < shape[axis])
        indices.append(np.clip(where, 0, max(shape[axis] - 1, 0)))
    if result.size and total.size:
        full = np.broadcast_arrays(total, present, *indices)
        chosen = full[1].ravel()
        np.add.at(result, tuple(i.ravel()[chosen] for i in full[2:]), full[0].ravel()[chosen]) if shape else \
            np.add(result, full[0].sum(), out=result)
    return result
