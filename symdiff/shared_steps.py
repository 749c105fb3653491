"""Shared steps: sums and products as they were put together, where others need those steps too.

    s = a + b + c,  t = a + b + c + d  put together as s + d    →    t = s + d
    p = x y,        q = x y z          put together as p z      →    q = p z

The normal form opens sums in sums and products in products: like terms meet there, and derivatives are simple.  A program of
many steps would be computed, and differentiated, many times over: each step stands in all that build on it.  Here it gets its
steps back, but for those that nothing else needs, which stay open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Union

from msgspec import Struct

from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.index_notation import Index
from symdiff.normal_form import is_guard
from symdiff.normal_form.numbers import as_float, base_and_exponent, exact, times
from symdiff.normal_form.products import gather_powers
from symdiff.normal_form.steps import PutTogether, with_steps
from symdiff.normal_form.sums import flat
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological

# The terms of what a sum is put together of may be so many times as large as they are in the sum, all together and each: that
# many bits get lost.
CANCELLED, CANCELLED_TERM = 4, 128
Terms = list[tuple[Number, Node]]


class SumOver(Struct, frozen=True):
    """A sum that is to be computed of other terms than its own."""

    terms: tuple[tuple[Number, Node], ...]
    type: TensorType

    @property
    def children(self) -> list[Node]:
        """What it reads."""
        return [term for _, term in self.terms]


class ProductOver(Struct, frozen=True):
    """A dense product that is to be computed of other factors than its own."""

    coefficient: Number
    factors: tuple[Factor, ...]
    out: tuple[Index, ...]
    extents: tuple[Size, ...]
    type: TensorType

    @property
    def children(self) -> list[Node]:
        """What it reads."""
        return [factor for factor, _ in self.factors]


# How a node is to be computed: a node that is computed as it stands is its own record.
Record = Union[Node, SumOver, ProductOver]


class SharedSteps:
    """Which steps are shared, and the nodes built of them."""

    def __init__(self, roots: Sequence[Node]) -> None:
        self.given = list(roots)
        self.made = with_steps(roots)
        self.users: dict[Node, int] = dict.fromkeys(roots, 1)
        # Nodes that are put together of a shared step, or of one that is.
        self.gainful: set[Node] = set()
        # Whether what a node was put together of is that node, once that has been asked.
        self.right: dict[Node, bool] = {}
        for node, made in self.made.items():
            steps = node.children if made is None else [part for _, part in made.parts]
            for step in set(steps) if len(steps) > 1 else steps:
                self.users[step] = self.users.get(step, 0) + 1
        for node, made in self.made.items():
            if made is not None and self.gains(node, made):
                self.gainful.add(node)

    def gains(self, node: Node, made: PutTogether) -> bool:
        """Whether a step of a node is better kept, or has one that is."""
        kind = node.__class__
        if any([step.__class__ is kind and (step in self.gainful or self.users[step] > 1) for _, step in made.parts]):
            return True
        # A multiple of a sum takes one multiplication, not one for each term.
        return kind is Add and any([c not in (1, -1) and step.__class__ is Add for c, step in made.parts])

    def over_steps(self) -> tuple[list[Node], dict[Node, Node]]:
        """The nodes under the roots and their shared steps, what is read first; and each as it is put together of those."""
        order, records = self.records()
        return order, {node: as_node(record) for node, record in records.items()}

    def records(self) -> tuple[list[Node], dict[Node, Record]]:
        """The same, each as it is to be computed of those, or the node itself where that is how."""
        if not self.gainful:
            order = topological(self.given)
            return order, dict(zip(order, order, strict=True))
        found: dict[Node, Record] = {}

        def below(node: Node) -> Sequence[Node]:
            record = found[node] = self.record(node) if node in self.gainful else node
            return record.children
        return topological(self.given, below), found

    def record(self, node: Node) -> Record:
        """The node over shared steps as they are, the others opened."""
        if self.proved(node) is None:
            return node
        if isinstance(node, Add):
            terms = self.terms(node)
            return SumOver(tuple(terms), node.type) if len(terms) > 1 else times_step(*terms[0])
        assert isinstance(node, Product)
        coefficient, factors = self.factors(node)
        if len(factors) == 1 and factors[0][0].type == node.type and factors[0][1] == tuple(range(node.ndim)):
            return times_step(coefficient, factors[0][0])
        return ProductOver(coefficient, tuple(factors), node.out, node.extents, node.type)

    def proved(self, node: Node) -> PutTogether | None:
        """What a node was put together of, where that gains something, and is the node indeed."""
        if node not in self.gainful:
            return None
        made = self.made[node]
        right = self.right.get(node)
        if right is None and made is not None:
            right = self.right[node] = is_sum_of(node, made) if isinstance(node, Add) else \
                isinstance(node, Product) and is_product_of(node, made)
        return made if right else None

    def terms(self, node: Add) -> Terms:
        """The terms of a sum: shared steps, and what the others are sums of."""
        total: dict[Node, Number] = {}
        pending: Terms = list(reversed(self.made[node].parts))  # type: ignore[union-attr]
        while pending:
            c, step = pending.pop()
            if isinstance(step, Add) and self.users.get(step) == 1 and step.dtype == node.dtype:
                made = self.proved(step)
                parts = step.terms if made is None else made.parts
                if len(parts) == 1 or c in (1, -1):
                    pending.extend([(times(c, k), part) for k, part in reversed(parts)])
                    continue
            total[step] = exact(total[step] + c) if step in total else c
        return [(c, step) for step, c in total.items()]

    def factors(self, node: Product) -> tuple[Number, list[Factor]]:
        """The coefficient and the factors of a product: shared steps, and what the others are products of."""
        made = self.made[node]
        assert made is not None
        coefficient = made.coefficient
        result: list[Factor] = []
        pending = factors_of(made)[::-1]
        while pending:
            step, at = pending.pop()
            if is_step(step, at) and self.users.get(step) == 1:
                inner: Product = step  # type: ignore[assignment]
                proved = self.proved(step)
                coefficient = times(coefficient, inner.coefficient if proved is None else proved.coefficient)
                pending.extend(reversed(inner.factors if proved is None else factors_of(proved)))
            else:
                result.append((step, at))
        return coefficient, gather_powers(result, node.dtype)


def factors_of(made: PutTogether) -> list[Factor]:
    """The factors of which a product was put together."""
    return [(part, at) for at, part in made.parts]


def multiple(coefficient: Number, step: Node) -> Node:
    """coefficient · step, the step as it is."""
    return as_node(times_step(coefficient, step))


def times_step(coefficient: Number, step: Node) -> Record:
    """The same, to be computed."""
    labels = tuple(range(step.ndim))
    return step if coefficient == 1 else ProductOver(coefficient, ((step, labels),), labels, step.shape, step.type)


def as_node(record: Record) -> Node:
    """What is to be computed, as a node."""
    if isinstance(record, SumOver):
        return Add(record.terms, record.type)
    if isinstance(record, ProductOver):
        return Product(record.coefficient, record.factors, record.out, record.extents, record.type)
    return record


def is_step(node: Node, at: tuple[object, ...]) -> bool:
    """Whether a factor is a product that opens where it stands: element by element."""
    return node.__class__ is Product and node.dense and not node.is_core and bool(node.factors) and at == tuple(range(node.ndim))


def is_sum_of(node: Add, made: PutTogether) -> bool:
    """Whether the terms add up to the sum, and none of them all but cancel: those would lose digits."""
    total: dict[Node, Number] = {}
    terms = list(made.parts)
    if len(terms) == 1 and terms[0][1].__class__ is Add:  # a multiple, of a sum of any length
        terms = [(times(terms[0][0], c), part) for c, part in terms[0][1].terms]
    opened = flat(terms, node.type)
    for c, part in opened:
        total[part] = exact(total[part] + c) if part in total else c
    if total != {part: c for c, part in node.terms}:
        return False
    if len(total) == len(opened):
        return True  # no two terms met
    sizes: dict[Node, float] = {}
    for c, part in opened:
        sizes[part] = sizes.get(part, 0.0) + abs(as_float(c))
    return sum(sizes.values()) <= CANCELLED * sum([abs(as_float(c)) for c in total.values()]) and all(
        [size <= CANCELLED_TERM * abs(as_float(total[part])) for part, size in sizes.items()])


def is_product_of(node: Product, made: PutTogether) -> bool:
    """Whether the factors give the product, without powers that cancel."""
    opened: list[Factor] = []
    coefficient, factors = made.coefficient, factors_of(made)
    if any([step.ndim > node.ndim for step, _ in factors]):
        return False
    for step, at in factors:
        if is_step(step, at):
            inner: Product = step  # type: ignore[assignment]
            if any([is_guard(f) for f, _ in inner.factors]):
                return False  # there it silences what stands in the step, here all that the product holds
            coefficient = times(coefficient, inner.coefficient)
            opened.extend(inner.factors)
        else:
            opened.append((step, at))
    signs: dict[tuple[Node, object], bool] = {}
    for f, at in opened:
        base, exponent = base_and_exponent(f)
        positive = not (isinstance(exponent, int) and exponent < 0)
        if signs.setdefault((base, at), positive) != positive:
            return False
    return coefficient == node.coefficient and Counter(gather_powers(opened, node.dtype)) == Counter(node.factors)
