"""Expressions: interned, immutable nodes of a closed set of kinds, each with a dtype and a shape.

    Symbol(name)            a leaf that gets its value at the call
    Constant(value)         a known array, a size as a number, or a counting vector 0 … n − 1
    Add(terms)              Σ coefficient · node over nodes of the same shape
    Product(…)              coefficient · Σ_labels Π node[indices], written at position `out`: see its docstring
    Map(function, args)     an elementwise scalar function of same-shaped arguments
    Reduce(function, arg)   max, min, prod, logsumexp, argmax along axes
    Apply(operation, args)  a structured operation: a loop

Two equal nodes are the same object: a table with weak references holds every living node, so equality is identity, and
Python's own hash of identity serves sets and dictionaries.  `node.key` is a structural hash that is the same in every
process and whatever the order of creation; canonical orders rest on it.  Nodes are built by `symdiff.normal_form`; the
constructors here only intern.  Operators are given to the class by `symdiff.operators` through `METHODS` and `member`, so
that this floor need not know them.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Union
from weakref import ref

import numpy as np

from symdiff.functions.row import ReduceRow, ScalarRow
from symdiff.index_notation import Index, index_hash, labels_of
from symdiff.sizes import APART, Dim, Size
from symdiff.tensor_type import TensorType, promote

Number = Union[int, Fraction, float]
Factor = tuple["Node", tuple[Index, ...]]
METHODS: dict[str, Callable[..., Any]] = {}
TABLE: dict[tuple[object, ...], Entry] = {}
# A node may die, and leave the table, while this thread is in it.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A forked child must not find it held by a thread that it has not.
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
NAME_KEYS: dict[str, int] = {}
# A bit of `settled`: the node is a comparison with a number, so it has no truth value.
VALUE_ASKED = 1
NO_INDEX = index_hash(())
# The hashes of where a number stands, of its shape and of its extents.
NONE = (NO_INDEX, NO_INDEX, NO_INDEX)
WRAPPED = {"int32": 1 << 31, "int64": 1 << 63}


class Entry(ref["Node"]):
    """A weak reference in the table of living nodes; `place` is its key there."""

    __slots__ = ("place",)
    place: tuple[object, ...]


def forget(entry: Entry, table: dict[tuple[object, ...], Entry] = TABLE, lock: Any = LOCK) -> None:
    """Take a node that died out of the table."""
    with lock:
        if table.get(entry.place) is entry:
            del table[entry.place]


def found(place: tuple[object, ...]) -> Node | None:
    """The living node of the table at `place`."""
    entry = TABLE.get(place)
    return None if entry is None else entry()


def enter(node: Node, place: tuple[object, ...]) -> Node:
    """Put a node into the table; the node itself, or an equal one that another thread has put there in between."""
    node.origin, node.settled = None, 0
    entry = Entry(node, forget)
    entry.place = place
    with LOCK:
        there = TABLE.setdefault(place, entry)
        if there is not entry:
            other = there()
            if other is not None:
                return other
            TABLE[place] = entry
    return node


def table_key(c: Number) -> object:
    """A coefficient as it stands in the table: −0.0 apart from 0, one NaN, and a fraction as two integers, which hash quickly."""
    if c.__class__ is Fraction:
        return c.numerator, c.denominator
    if c.__class__ is float and (c == 0 or c != c):
        return str(c)
    return c


def name_key(text: str) -> int:
    """A hash of a text that is the same in every process."""
    key = NAME_KEYS.get(text)
    if key is None:
        key = NAME_KEYS[text] = zlib.crc32(text.encode()) * 0x9E3779B1 % (1 << 61)
    return key


def shape_key(shape: tuple[Size, ...]) -> int:
    """A process-independent hash of a shape."""
    return hash(tuple([s if s.__class__ is int else hash(s) for s in shape])) if shape else NO_INDEX


class Node:
    """An expression; see the module docstring.

    Python's operators, indexing, `.T`, `.sum()` and NumPy's protocols work on it.  `a == b` is an expression too; its
    truth value says whether the two sides are the same expression.
    """

    __slots__ = ("__weakref__", "children", "key", "origin", "settled", "type")
    __array_priority__ = 1000.0
    type: TensorType
    key: int
    children: tuple[Node, ...]
    origin: str | None
    settled: int

    @property
    def shape(self) -> tuple[Size, ...]:
        """The sizes of the axes."""
        return self.type.shape

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.type.shape)

    __hash__ = object.__hash__

    if TYPE_CHECKING:
        # What `member` adds.  At run time such a method would make Python read every attribute the slow way.
        def __getattr__(self, name: str) -> Any: ...


def fitting(c: Number, dtype: str) -> Number:
    """A coefficient of an integer sum or product, wrapped round as the machine's integers are."""
    if c.__class__ is int and dtype in WRAPPED and not -WRAPPED[dtype] <= c < WRAPPED[dtype]:
        half = WRAPPED[dtype]
        return (c + half) % (2 * half) - half
    return c


def number_hash(c: Number) -> int:
    """A hash of a coefficient that tells -1 from -2."""
    if c.__class__ is int:
        return c + APART
    if c.__class__ is Fraction:
        return hash((c.numerator + APART, c.denominator))
    return hash(c) if c and c == c else name_key(str(c))


def factor_key(factor: Factor) -> tuple[int, int]:
    """The canonical order of the factors of a structural product."""
    return (factor[0].key, index_hash(factor[1]))


def forward(name: str) -> Callable[..., Any]:
    """A method of `Node` that calls the operator installed under `name`."""
    def method(self: Node, *args: Any, **kwargs: Any) -> Any:
        return METHODS[name](self, *args, **kwargs)
    method.__name__ = method.__qualname__ = name
    return method


for _name in ("add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul neg pos "
              "abs lt le gt ge eq ne and rand or ror xor rxor invert getitem setitem delitem str repr format round "
              "bool len iter float int index complex array array_ufunc array_function array_namespace copy deepcopy "
              "reduce dir").split():
    setattr(Node, f"__{_name}__", forward(_name))


def member(name: str, read: Callable[[Any], Any]) -> None:
    """Give expressions an attribute: `x.name` is `read(x)`."""
    setattr(Node, name, property(read))


def operator(name: str, method: Callable[..., Any]) -> None:
    """Let what Python asks of expressions under that name go to the method at once, where it asks for such a one."""
    if f"__{name}__" in Node.__dict__:
        setattr(Node, f"__{name}__", method)


class Symbol(Node):
    """A named leaf with facts (`symmetric`, `positive`, …)."""

    __slots__ = ("facts", "name")
    facts: tuple[str, ...]
    name: str

    def __new__(cls, name: str, type: TensorType, facts: tuple[str, ...] = ()) -> Symbol:
        place = (Symbol, name, type, facts)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.name, node.type, node.facts, node.children = name, type, facts, ()
            node.key = hash((1, name_key(name), name_key(type.dtype), shape_key(type.shape),
                             name_key(" ".join(facts)) if facts else 0))
            node = enter(node, place)
        return node  # type: ignore[return-value]


class Constant(Node):
    """A known array (`value` an ndarray), a size as a number (a `Dim`), or a counting vector (`value` the text "arange")."""

    __slots__ = ("value",)
    value: Any

    def __new__(cls, value: Any, type: TensorType) -> Constant:
        data: object = value
        if isinstance(value, np.ndarray):
            data = (value.tobytes(), value.shape)
            digest = zlib.crc32(data[0]) + 1
        else:
            digest = hash(value) if isinstance(value, Dim) else name_key(value)
        place = (Constant, data, type)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.value, node.type, node.children = value, type, ()
            node.key = hash((2, digest, name_key(type.dtype), shape_key(type.shape)))
            node = enter(node, place)
        return node  # type: ignore[return-value]


class Add(Node):
    """Σ coefficient · node; every node has the shape of the sum.

    `written` is what it was put together of, where sums in it opened (`symdiff.normal_form.steps`).
    """

    __slots__ = ("terms", "written")
    terms: tuple[tuple[Number, Node], ...]
    written: tuple[Number, tuple[Any, ...]] | None

    def __new__(cls, terms: tuple[tuple[Number, Node], ...], type: TensorType) -> Add:
        if type.dtype in WRAPPED:
            terms = tuple([(fitting(c, type.dtype), t) for c, t in terms])
        keys = [(t.key, number_hash(c)) for c, t in terms]
        ordered = terms
        if len(keys) > 2 or keys[0] > keys[-1]:
            ranks = sorted(range(len(keys)), key=keys.__getitem__)
            ordered = tuple([terms[k] for k in ranks])
        for c, _ in ordered:
            if c.__class__ is not int:
                ordered = tuple([(table_key(c), t) for c, t in ordered])  # type: ignore[misc]
                break
        place = (Add, ordered, type)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.terms, node.type, node.written = terms, type, None
            node.children = tuple([t[1] for t in terms])
            keys.sort()
            node.key = hash((3, tuple(keys), name_key(type.dtype)))
            node = enter(node, place)
        return node  # type: ignore[return-value]


class Product(Node):
    """result[p] = coefficient · Σ_{labels: out(labels) = p} Π node[indices(labels)].

    Labels are 0 … len(extents) − 1 in canonical order.  A label that is in no `out` index is summed.  A read outside an
    axis is zero, a write outside is dropped, a position that no label value reaches is zero.  A factor that is a
    `guard` selects: where it is false the product is zero whatever the other factors are, NaN included.

    A *structural* Product has every label in `out` and may have a coefficient; a *core* (`is_core`) sums at least one
    label, has coefficient 1 and plain distinct out labels.  A structural one is `dense` where each out axis is a label
    of its own that runs over the whole axis.  One that `narrows` has a factor of a wider dtype, and rounds.

    Factors stand in the order in which they were first written; equality and `key` do not depend on it.  For a core,
    `order[p]` is the axis that stands at place p of the canonical form, which is the same for every orientation, and
    `symmetries` are the permutations of the axes that leave the core as it is.  `written` is what a dense one was put together of,
    as it is for sums.
    """

    __slots__ = ("coefficient", "dense", "extents", "factors", "is_core", "narrows", "order", "out",
                 "symmetries", "written")
    written: tuple[Number, tuple[Any, ...]] | None
    coefficient: Number
    factors: tuple[Factor, ...]
    out: tuple[Index, ...]
    extents: tuple[Size, ...]
    order: tuple[int, ...]
    dense: bool
    is_core: bool
    narrows: bool
    symmetries: tuple[tuple[int, ...], ...]

    def __new__(cls, coefficient: Number, factors: tuple[Factor, ...], out: tuple[Index, ...],
                extents: tuple[Size, ...], type: TensorType, canonical: tuple[Any, ...] | None = None,
                order: tuple[int, ...] = (), symmetries: tuple[tuple[int, ...], ...] = ()) -> Product:
        keys: list[tuple[int, int]] = []
        if type.dtype in WRAPPED:
            coefficient = fitting(coefficient, type.dtype)
        if canonical is None:
            written = factors
            keys = [(f.key, index_hash(at) if at else NO_INDEX) for f, at in factors]
            if len(keys) > 2 or (len(keys) == 2 and keys[0] > keys[1]):
                written = tuple([factors[k] for k in sorted(range(len(keys)), key=keys.__getitem__)])
                keys.sort()
            place: tuple[object, ...] = (Product, table_key(coefficient), written, out, extents, type)
        else:
            place = (Product, canonical, type.dtype)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.coefficient, node.factors, node.out, node.extents = coefficient, factors, out, extents
            node.type, node.order, node.symmetries, node.written = type, order, symmetries, None
            node.children = tuple([f[0] for f in factors])
            is_number = not extents and not out
            plain = is_number or out == tuple(range(len(extents)))
            node.is_core = not plain and len({label for index in out for label in labels_of(index)}) < len(extents)
            node.dense = plain and extents == type.shape
            dtype = type.dtype
            others = [d for child in node.children if (d := child.type.dtype) != dtype]
            node.narrows = bool(others) and promote(*others, dtype) != dtype
            if canonical is not None:
                _, written, sizes, count = canonical
                node.key = hash((8, tuple([factor_key(f) for f in written]), shape_key(sizes), count, name_key(type.dtype)))
            else:
                at, shape, sizes = NONE if is_number else (index_hash(out), shape_key(type.shape), shape_key(extents))
                node.key = hash((4, number_hash(coefficient), tuple(keys), at, name_key(dtype), shape, sizes))
            node = enter(node, place)
        return node  # type: ignore[return-value]

    @property
    def summed(self) -> tuple[int, ...]:
        """The labels that are summed."""
        kept = {label for index in self.out for label in labels_of(index)}
        return tuple(label for label in range(len(self.extents)) if label not in kept)


class Map(Node):
    """function(args) element by element; every argument has the shape of the result."""

    __slots__ = ("args", "function")
    args: tuple[Node, ...]
    function: ScalarRow

    def __new__(cls, function: ScalarRow, args: tuple[Node, ...], type: TensorType) -> Map:
        place = (Map, function.name, args, type)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.function, node.args, node.type, node.children = function, args, type, args
            node.key = hash((5, name_key(function.name), tuple([a.key for a in args]), name_key(type.dtype)))
            node = enter(node, place)
        return node  # type: ignore[return-value]


class Reduce(Node):
    """A reduction of `arg` along `axes`, which are dropped."""

    __slots__ = ("arg", "axes", "function")
    arg: Node
    axes: tuple[int, ...]
    function: ReduceRow

    def __new__(cls, function: ReduceRow, arg: Node, axes: tuple[int, ...], type: TensorType) -> Reduce:
        place = (Reduce, function.name, arg, axes, type)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.function, node.arg, node.axes, node.type = function, arg, axes, type
            node.children = (arg,)
            node.key = hash((6, name_key(function.name), arg.key, axes))
            node = enter(node, place)
        return node  # type: ignore[return-value]


class Apply(Node):
    """A structured operation, such as `symdiff.loops.SCAN`, with static `parameters`."""

    __slots__ = ("args", "operation", "parameters")
    args: tuple[Node, ...]
    operation: Any
    parameters: tuple[Any, ...]

    def __new__(cls, operation: Any, args: tuple[Node, ...], parameters: tuple[Any, ...], type: TensorType) -> Apply:
        place = (Apply, operation.name, args, parameters, type)
        node = found(place)
        if node is None:
            node = object.__new__(cls)
            node.operation, node.args, node.parameters, node.type = operation, args, parameters, type
            node.children = args
            node.key = hash((7, name_key(operation.name), tuple([a.key for a in args]), name_key(repr(parameters))))
            node = enter(node, place)
        return node  # type: ignore[return-value]
