"""What a printed formula is worth, read as a mathematician reads it.

A vector is a column, `ᵀ` makes it a row, `1` in a chain is a vector of ones, `I` the identity.  Sizes come from the
values alone: a label runs over the axis that it indexes by itself, or as far as it says (`i<n`).  An index outside an
axis is an error unless a condition such as `[i ≥ n]` that does not hold stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from scipy import special

from tests.symdiff.formula_parser import Parser, Term, Unreadable

Places = Mapping[str, int]
COMPARISONS: dict[str, Any] = {"=": np.equal, "≠": np.not_equal, "<": np.less, "≤": np.less_equal, ">": np.greater,
                               "≥": np.greater_equal, "∧": np.logical_and, "∨": np.logical_or}
OVER_LABELS: dict[str, Any] = {"Σ": np.sum, "max": np.max, "min": np.min, "prod": np.prod, "logsumexp": special.logsumexp}
FUNCTIONS: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "erf": special.erf, "σ": special.expit,
    "softplus": lambda x: np.logaddexp(0, x), "relu": lambda x: np.maximum(x, 0), "sign": np.sign, "sin": np.sin,
    "cos": np.cos, "atan2": np.arctan2, "erfc": special.erfc, "isfinite": np.isfinite, "argmax": np.argmax,
    "any": np.any, "all": np.all, "cosh": np.cosh, "sinh": np.sinh, "log2": np.log2, "expm1": np.expm1, "acos": np.arccos,
    "asin": np.arcsin, "atan": np.arctan, "tan": np.tan, "argmin": np.argmin, "asinh": np.arcsinh, "isnan": np.isnan,
    "log10": np.log10, "mod": np.mod, "trunc": np.trunc, "round": np.round, "acosh": np.arccosh, "atanh": np.arctanh,
    "stop_gradient": np.asarray, "logaddexp": np.logaddexp, "cbrt": np.cbrt, "where": np.where, "hypot": np.hypot, "clip": np.clip,
    "tril": np.tril, "triu": np.triu,
    "reshape": lambda x, shape: np.reshape(x, np.asarray(shape, int)), "tr": np.trace,
    "diag": lambda x, k=0: np.diag(x, int(k)), "sum": np.sum, "prod": np.prod,
    "softmax": lambda x, axis=-1: special.softmax(x, axis), "logsumexp": special.logsumexp,
    "ones": lambda *shape: np.ones(np.asarray(shape, int)), "zeros": lambda *shape: np.zeros(np.asarray(shape, int)),
    "max": lambda *a, **k: np.max(*a, **k) if len(a) == 1 else np.maximum(*a),
    "min": lambda *a, **k: np.min(*a, **k) if len(a) == 1 else np.minimum(*a),
    "pad": lambda x, *widths: np.pad(x, np.asarray(widths, int)),
    "arange": np.arange, "eye": lambda n: np.eye(int(n)),
    "concat": lambda *parts, axis: np.concatenate(parts, axis=int(axis)),
}


@dataclass(frozen=True)
class Row:
    """A vector that lies down."""

    column: Any


@dataclass(frozen=True)
class Identity:
    """A multiple of the identity, of a size that its surroundings tell."""

    factor: Any = 1.0


class Reader:
    """Values of formulas for values of names."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.shape: tuple[int, ...] = ()
        self.known: dict[int, tuple[Term, Any]] = {}

    def formula(self, text: str, shape: tuple[int, ...]) -> Any:
        """The value of a formula, an array of that shape."""
        self.shape = shape
        head, arrow, body = text.rpartition(" ↦ ")
        term = Parser(body).whole()
        if arrow:
            return self.table(Parser(f"[{head}]").labels(), term, shape)
        value = self.value(term, {})
        if isinstance(value, Identity):
            value = value.factor * np.eye(*shape)
        if isinstance(value, Row) or np.ndim(value) not in (0, len(shape)):
            raise Unreadable(f"{text} has not the shape {shape}")
        return np.broadcast_to(value, shape)

    def define(self, line: str) -> None:
        """Take in a line of a where block."""
        head, _, body = line.partition(" = ")
        parser, term = Parser(head), Parser(body).whole()
        name = parser.take()
        value = self.table(parser.labels(), term, None) if parser.peek() else self.value(term, {})
        if isinstance(value, (Row, Identity)):
            raise Unreadable(f"{line} has an unclear shape")
        self.values[name] = value

    def table(self, labels: Sequence[tuple[str, Term | None]], term: Term, shape: tuple[int, ...] | None) -> Any:
        """The array of the values of a term at all values of labels."""
        extents = [self.extent(name, bound, term, {}, shape[k] if shape else 0) for k, (name, bound) in enumerate(labels)]
        if shape is not None and tuple(extents) != shape:
            raise Unreadable(f"labels run over {extents}, which is not {shape}")
        result = np.zeros(extents)
        for place in np.ndindex(*extents):
            result[place] = self.number(term, dict(zip([name for name, _ in labels], place, strict=True)))
        return result

    def extent(self, name: str, bound: Term | None, term: Term, at: Places, size: int = 0) -> int:
        """How far a label runs: as far as it says, else along the axes that it indexes by itself, or another one in a δ.

        As with the identity, the size of a δ that no axis tells is that of the result.
        """
        if bound is not None:
            return int(self.number(bound, at))
        same = {name}
        for inner in term.all():
            pair = {part.parts[0] for part in inner.parts[0] if part.kind == "name"} if inner.kind == "delta" else set()
            same |= pair if name in pair else set()
        reads = [(inner.parts[0], axis, index.parts[0]) for inner in term.all() if inner.kind == "entry"
                 for axis, index in enumerate(inner.parts[1]) if index.kind == "name"]
        found = {np.shape(self.value(base, at))[axis] for base, axis, label in reads if label == name} or {
            np.shape(self.value(base, at))[axis] for base, axis, label in reads if label in same}
        if not found and len(same) > 1 and size:
            return size
        if len(found) != 1:
            raise Unreadable(f"{name} runs over {found or 'nothing known'}")
        return int(found.pop())

    def number(self, term: Term, at: Places) -> Any:
        """The value of a term that is a single number."""
        value = self.value(term, at)
        if np.ndim(value):
            raise Unreadable("an array where a number should be")
        return value

    def array(self, term: Term, at: Places) -> Any:
        """The value of a term that is a number or an array."""
        value = self.value(term, at)
        if isinstance(value, (Row, Identity)):
            raise Unreadable("a row or an identity where an array should be")
        return value

    def value(self, term: Term, at: Places) -> Any:
        """The value of a term at values of labels."""
        if not term.names.isdisjoint(at):
            return self.found(term, at)
        if id(term) not in self.known:
            self.known[id(term)] = term, self.found(term, {})
        return self.known[id(term)][1]

    def found(self, term: Term, at: Places) -> Any:
        """As `value`, found for the first time."""
        parts = term.parts
        match term.kind:
            case "number":
                return np.inf if parts[0] == "∞" else float(parts[0])
            case "name":
                return self.named(parts[0], at)
            case "compare":
                return COMPARISONS[parts[0]](self.array(parts[1], at), self.array(parts[2], at))
            case "sum":
                return self.total([self.value(part, at) for part in parts[0]], parts[1])
            case "divide":
                if at and self.excluded(parts[0], at):
                    return 0.0
                return self.scaled(self.value(parts[0], at), 1 / np.asarray(self.array(parts[1], at), float))
            case "hadamard":
                return reduce(np.multiply, [self.array(part, at) for part in parts[0]])
            case "chain":
                return self.chain(parts[0], at)
            case "power":
                return np.power(np.asarray(self.array(parts[0], at), float), self.array(parts[1], at))
            case "transpose":
                inner = self.array(parts[0], at)
                return Row(inner) if np.ndim(inner) == 1 else np.transpose(inner)
            case "‖":
                return np.linalg.norm(np.ravel(self.array(parts[0], at)))
            case "|" | "√" | "¬" | "⌊" | "⌈":
                word = {"|": np.abs, "√": np.sqrt, "¬": np.logical_not, "⌊": np.floor, "⌈": np.ceil}[term.kind]
                return word(self.array(parts[0], at))
            case "condition":
                if parts[0].kind in ("array", "condition"):
                    return self.found(Term("array", [parts[0]]), at)
                return np.asarray(self.array(parts[0], at)).astype(float)
            case "delta":
                return float(self.number(parts[0][0], at) == self.number(parts[0][1], at))
            case "entry":
                return self.entry(self.array(parts[0], at), parts[1], at)
            case "over":
                return self.over(parts[0], parts[1], parts[2], at)
            case "array":
                rows = [self.array(part.parts[0] if part.kind == "condition" else part, at) for part in parts[0]]
                return np.array([[row] if part.kind == "condition" else row for row, part in zip(rows, parts[0], strict=True)])
            case "stack":
                return np.concatenate([np.atleast_1d(self.array(part, at)) for part in parts[0]])
            case "call":
                plain = [self.array(part, at) for name, part in parts[1] if not name]
                named = {name: np.asarray(self.array(part, at), int) for name, part in parts[1] if name}
                return FUNCTIONS[parts[0]](*plain, **{name: tuple(np.atleast_1d(v)) if v.ndim else int(v)
                                                      for name, v in named.items()})
        raise Unreadable(f"a {term.kind} has no value")

    def excluded(self, term: Term, at: Places) -> bool:
        """Whether a condition in a product does not hold."""
        if term.kind == "condition":
            value = self.value(term, at)
            return bool(np.ndim(value) == 0 and value == 0)
        return term.kind == "chain" and any(self.excluded(part, at) for part in term.parts[0])

    def named(self, name: str, at: Places) -> Any:
        """The value of a name."""
        if name in at:
            return at[name]
        if name in self.values:
            return self.values[name]
        if name.endswith("_size"):
            return self.values["size " + name.removesuffix("_size")]
        if name == "I":
            return Identity()
        raise Unreadable(f"{name} is not known")

    def scaled(self, value: Any, factor: Any) -> Any:
        """factor · value."""
        if isinstance(value, (Row, Identity)) and np.ndim(factor):
            raise Unreadable("a row or an identity divided by an array")
        if isinstance(value, Identity):
            return Identity(value.factor * factor)
        return Row(value.column * factor) if isinstance(value, Row) else np.asarray(value) * factor

    def total(self, values: Sequence[Any], signs: Sequence[int]) -> Any:
        """A sum; an identity takes the size of the matrix that it is added to."""
        if any(isinstance(value, Row) for value in values):
            raise Unreadable("a row in a sum")
        others = [np.asarray(v, float) * s for v, s in zip(values, signs, strict=True) if not isinstance(v, Identity)]
        factor = sum(v.factor * s for v, s in zip(values, signs, strict=True) if isinstance(v, Identity))
        if not others:
            return Identity(factor)
        rest = reduce(np.add, others)
        if len(others) < len(values):
            size = max(np.shape(rest), default=0)
            size = max(size, max(self.shape, default=0)) if size == 1 else size
            if np.ndim(rest) != 2 or size == 1:
                raise Unreadable("an identity of unknown size")
            rest = rest + factor * np.eye(size)
        return rest

    def entry(self, base: Any, indices: Sequence[Term], at: Places) -> Any:
        """An element or a slice; NaN outside."""
        places: list[Any] = []
        for axis, index in enumerate(indices):
            if index.kind == "name" and index.parts[0] == "None":
                places.append(None)
                continue
            if index.kind == "slice":
                places.append(slice(*[None if part is None else int(self.number(part, at)) for part in index.parts[0]]))
                continue
            place = int(self.number(index, at))
            if not index.names.isdisjoint(at) and not 0 <= place < np.shape(base)[axis]:
                return np.nan
            places.append(place)
        return base[tuple(places)]

    def over(self, word: str, labels: Sequence[tuple[str, Term | None]], body: Term, at: Places) -> Any:
        """A sum, or another reduction, over labels."""
        names = [name for name, _ in labels]
        ranges = [range(self.extent(name, bound, body, at)) for name, bound in labels]
        return OVER_LABELS[word]([self.number(body, {**at, **dict(zip(names, place, strict=True))})
                                  for place in product(*ranges)])

    def chain(self, terms: Sequence[Term], at: Places) -> Any:
        """A product of numbers, rows, columns and matrices; a condition that does not hold makes it zero."""
        ones = [term.kind == "number" and term.parts[0] == "1" for term in terms]
        lying = [term.kind == "transpose" and term.parts[0].kind == "number" for term in terms]
        if at and any(self.excluded(term, at) for term in terms):
            return 0.0
        values = [None if one or lie else self.value(term, at) for term, one, lie in zip(terms, ones, lying, strict=True)]
        factor: Any = 1.0
        matrices: list[Any] = []
        for value, lie in zip(values, lying, strict=True):
            if isinstance(value, Identity) or (value is not None and not isinstance(value, Row) and np.ndim(value) == 0):
                factor = factor * (value.factor if isinstance(value, Identity) else value)
            elif value is None:
                matrices.append("row" if lie else "column")
            elif isinstance(value, Row):
                matrices.append(value.column[None, :])
            else:
                matrices.append(value[:, None] if np.ndim(value) == 1 else value)
        if not matrices:
            return Identity(factor) if any(isinstance(value, Identity) for value in values) else factor
        if len(matrices) == 1 and not isinstance(matrices[0], str) and np.ndim(matrices[0]) > 2:
            return factor * matrices[0]
        if any(np.ndim(matrix) > 2 for matrix in matrices):
            raise Unreadable("an array of three axes in a chain")
        kinds = [kind for value, one, lie in zip(values, ones, lying, strict=True)
                 if (kind := kind_of(value, one, lie)) != "number"]
        whole = factor * reduce(multiplied, [filled(matrices, k) for k in range(len(matrices))])
        if kinds[-1] == "column":
            return whole[:, 0] if kinds[0] != "row" else whole[0, 0]
        return whole if kinds[0] != "row" else Row(whole[0])


def kind_of(value: Any, one: bool, lie: bool) -> str:
    """What a member of a chain is."""
    if isinstance(value, Row) or lie:
        return "row"
    if one or np.ndim(value) == 1:
        return "column"
    return "matrix" if not isinstance(value, Identity) and np.ndim(value) == 2 else "number"


def filled(matrices: Sequence[Any], k: int) -> Any:
    """A member of a chain; ones have the length that their neighbour tells, 1 where none does."""
    if not isinstance(matrices[k], str):
        return matrices[k]
    column = matrices[k] == "column"
    place = k - 1 if column else k + 1
    known = 0 <= place < len(matrices) and not isinstance(matrices[place], str)
    size = np.shape(matrices[place])[1 if column else 0] if known else 1
    return np.ones((size, 1) if column else (1, size))


def multiplied(a: Any, b: Any) -> Any:
    """The product of two matrices whose sizes fit."""
    if np.shape(a)[1] != np.shape(b)[0]:
        raise Unreadable(f"a product of shapes {np.shape(a)} and {np.shape(b)}")
    return a @ b
