"""Resizing: expressions whose named sizes have become numbers, as if they had been written so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from symdiff.expression import Add, Apply, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.index_notation import Index, tidy
from symdiff.loops import Loop, is_scan, loop_of
from symdiff.normal_form import add, map_node, number, number_of, product, reduce_node
from symdiff.normal_form.steps import put_together, with_steps
from symdiff.sizes import Dim, Named, Size, combine, floor_divide, multiply
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological

Values = Mapping[str, int]


class NotFinite(Exception):
    """A quotient of sizes, or another function of them, is no number at the values given."""


def resized(roots: Sequence[Node], symbols: Sequence[Symbol], values: Values) -> tuple[list[Node], list[Symbol]]:
    """The roots and the symbols with numbers for the named sizes of `values`.

    Raises `NotFinite` where what is computed of sizes is infinite or NaN: as a number it would meet others before anything
    asks whether there are elements that it belongs to, ∞ · 0 for the mean of none.

    >>> from symdiff.sizes import dims
    >>> n, d = dims("n d")
    >>> X = Symbol("X", TensorType("float64", (n, d)))
    >>> resized([X], [X], {"d": 3})[1][0].shape[1]
    3
    """
    resizer = Resizer(values)
    return resizer.nodes(roots), [resizer.symbol(s) for s in symbols]


def with_values(size: Size, values: Values) -> Size:
    """A size with numbers for some of its names."""
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, c in size.terms:
        part: Size = c
        for atom, p in monomial:
            factor: Size
            if isinstance(atom, Named):
                factor = values[atom.name] if atom.name in values else Dim(((((atom, 1),), 1),))
            else:
                factor = floor_divide(with_values(atom.numerator, values), with_values(atom.denominator, values))
            for _ in range(p):
                part = multiply(part, factor)
        total = combine(((1, total), (1, part)))
    return total


class Resizer:
    """Resizes nodes, and the loops that they hold."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.done: dict[Node, Node] = {}
        self.loops: dict[Loop, Loop] = {}

    def nodes(self, roots: Sequence[Node]) -> list[Node]:
        """The roots, children first."""
        steps = {node: made for node, made in with_steps(roots).items() if node not in self.done}
        for node in topological(steps):
            if node not in self.done:
                self.done[node] = self.node(node, [self.done[child] for child in node.children])
        for node, made in steps.items():
            fresh = self.done[node]
            if made is not None and fresh.__class__ is node.__class__:
                put_together(fresh, made.coefficient, [(how, self.done[part]) for how, part in made.parts])
        return [self.done[root] for root in roots]

    def size(self, size: Size) -> Size:
        """A size."""
        return size if isinstance(size, int) else with_values(size, self.values)

    def type(self, type: TensorType) -> TensorType:
        """A type with numbers in its shape."""
        return TensorType(type.dtype, tuple([self.size(s) for s in type.shape]))

    def symbol(self, symbol: Symbol) -> Symbol:
        """A symbol."""
        return Symbol(symbol.name, self.type(symbol.type), symbol.facts)

    def index(self, index: Index) -> Index:
        """An index."""
        if isinstance(index, int):
            return index
        constant, terms = index
        return tidy(self.size(constant), {label: self.size(c) for label, c in terms})

    def node(self, node: Node, children: list[Node]) -> Node:
        """A node over children that are resized, in normal form."""
        type = self.type(node.type)
        if isinstance(node, Symbol):
            return self.symbol(node)
        if isinstance(node, Constant):
            if isinstance(node.value, Dim):
                size = self.size(node.value)
                return number(size, type.dtype, type.shape) if isinstance(size, int) else Constant(size, type)
            return node if isinstance(node.value, np.ndarray) else Constant(node.value, type)
        if isinstance(node, Add):
            return add([(c, child) for (c, _), child in zip(node.terms, children, strict=True)], type)
        if isinstance(node, Product):
            factors = [(child, tuple([self.index(i) for i in at])) for (_, at), child in zip(node.factors, children, strict=True)]
            extents = {label: self.size(extent) for label, extent in enumerate(node.extents)}
            return product(node.coefficient, factors, [self.index(i) for i in node.out], extents, type)
        if isinstance(node, Map):
            fresh = map_node(node.function, tuple(children))
            value = number_of(fresh)
            if isinstance(value, float) and not isfinite(value) and number_of(node) is None:
                raise NotFinite
            return fresh
        if isinstance(node, Reduce):
            return reduce_node(node.function, children[0], node.axes)
        assert isinstance(node, Apply) and is_scan(node)
        loop, kind, place = loop_of(node)
        if loop not in self.loops:
            self.loops[loop] = self.loop(loop)
        return Apply(node.operation, tuple(children), (self.loops[loop], kind, place), type)

    def loop(self, loop: Loop) -> Loop:
        """A loop with its bodies; those of loops inside of it call this again, as deep as loops are nested."""
        def group(symbols: Sequence[Symbol]) -> tuple[Symbol, ...]:
            return tuple([self.symbol(s) for s in symbols])
        bodies = Resizer(self.values).nodes([*loop.nexts, *loop.stacks])
        count = len(loop.nexts)
        return Loop(group(loop.carries), group(loop.slices), group(loop.invariants), self.symbol(loop.turn),
                    tuple(bodies[:count]), tuple(bodies[count:]), self.size(loop.length), loop.backward)
