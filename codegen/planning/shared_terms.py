"""Shared terms: sums and products are computed from what they were put together of, where others need that too.

    s = a + b + c,  t = a + b + c + d  put together as s + d    →    t = s + d
    p = x y,        q = x y z          put together as p z      →    q = p z

The normal form opens sums in sums and products in products: like terms meet there, and derivatives are simple.  A program of
many steps would be computed many times over: each step stands in all that build on it.  Here it gets its steps back, but for
those that nothing else needs, which stay open.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.rewriting import over
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.normal_form.numbers import base_and_exponent, exact, times
from symdiff.normal_form.products import gather_powers
from symdiff.normal_form.sums import flat
from symdiff.traversal import parts_of, topological

# The terms of what a sum is put together of may be so many times as large as they are in the sum, all together and each: that
# many bits get lost.
CANCELLED, CANCELLED_TERM = 4, 128
Terms = list[tuple[Number, Node]]


def share_terms(roots: Sequence[Node]) -> list[Node]:
    """The roots with shared steps of sums and products closed."""
    return Sharing(roots).roots()


class Sharing:
    """Which steps are shared, and the nodes built of them."""

    def __init__(self, roots: Sequence[Node]) -> None:
        self.given = list(roots)
        self.order = topological(roots, steps)
        self.users: dict[Node, int] = dict.fromkeys(roots, 1)
        # Nodes that are put together of a shared step, or of one that is.
        self.gainful: set[Node] = set()
        for node in self.order:
            for step in set(steps(node)):
                self.users[step] = self.users.get(step, 0) + 1
        for node in self.order:
            if (node.__class__ is Add or node.__class__ is Product) and node.written is not None and self.gains(node):
                self.gainful.add(node)

    def gains(self, node: Add | Product) -> bool:
        """Whether a step of a node is better kept, or has one that is."""
        assert node.written is not None
        kind = node.__class__
        if any([step.__class__ is kind and (step in self.gainful or self.users[step] > 1) for step in steps(node)]):
            return True
        # A multiple of a sum takes one multiplication, not one for each term.
        return node.__class__ is Add and any([c not in (1, -1) and step.__class__ is Add for c, step in node.written])

    def roots(self) -> list[Node]:
        """The roots over shared steps."""
        if not self.gainful:
            return self.given
        opened: dict[Node, Node] = {}

        def below(node: Node) -> Sequence[Node]:
            opened[node] = self.opened(node)
            return opened[node].children
        done: dict[Node, Node] = {}
        for node in topological(self.given, below):
            done[node] = over(opened[node], [done[child] for child in opened[node].children])
        return [done[root] for root in self.given]

    def opened(self, node: Node) -> Node:
        """The node over shared steps as they are, the others opened."""
        if node not in self.gainful:
            return node
        if node.__class__ is Add:
            total: Add = node
            if total.written is None or not is_sum_of(total, total.written):
                return node
            terms = self.terms(total)
            return multiple(*terms[0]) if len(terms) == 1 else Add(tuple(terms), node.type)
        term: Product = node  # type: ignore[assignment]
        if term.written is None or not is_product_of(term, *term.written):
            return node
        coefficient, factors = self.factors(term)
        if len(factors) == 1 and factors[0][0].type == node.type and factors[0][1] == tuple(range(node.ndim)):
            return multiple(coefficient, factors[0][0])
        return Product(coefficient, tuple(factors), term.out, term.extents, node.type)

    def terms(self, node: Add) -> Terms:
        """The terms of a sum: shared steps, and what the others are sums of."""
        total: dict[Node, Number] = {}
        pending: Terms = list(reversed(node.written or ()))
        while pending:
            c, step = pending.pop()
            if step.__class__ is Add and self.users.get(step) == 1 and c in (1, -1) and step.dtype == node.dtype:
                inner: Add = step
                known = step in self.gainful and inner.written is not None and is_sum_of(inner, inner.written)
                pending.extend([(times(c, k), part) for k, part in reversed((known and inner.written) or inner.terms)])
            else:
                total[step] = exact(total[step] + c) if step in total else c
        return [(c, step) for step, c in total.items()]

    def factors(self, node: Product) -> tuple[Number, list[Factor]]:
        """The coefficient and the factors of a product: shared steps, and what the others are products of."""
        assert node.written is not None
        coefficient, written = node.written
        result: list[Factor] = []
        pending = list(reversed(written))
        while pending:
            step, at = pending.pop()
            if is_step(step, at) and self.users.get(step) == 1:
                inner: Product = step  # type: ignore[assignment]
                known = step in self.gainful and inner.written is not None and is_product_of(inner, *inner.written)
                more, parts = (known and inner.written) or (inner.coefficient, inner.factors)
                coefficient = times(coefficient, more)
                pending.extend(reversed(parts))
            else:
                result.append((step, at))
        return coefficient, gather_powers(result, node.dtype)


def multiple(coefficient: Number, step: Node) -> Node:
    """coefficient · step, the step as it is."""
    labels = tuple(range(step.ndim))
    return step if coefficient == 1 else Product(coefficient, ((step, labels),), labels, step.shape, step.type)


def steps(node: Node) -> Sequence[Node]:
    """What a node was put together of, as far as is known; else its children."""
    return parts_of(node) or node.children


def is_step(node: Node, at: tuple[object, ...]) -> bool:
    """Whether a factor is a product that opens where it stands: element by element."""
    return node.__class__ is Product and node.dense and not node.is_core and bool(node.factors) and at == tuple(range(node.ndim))


def is_sum_of(node: Add, written: Sequence[tuple[Number, Node]]) -> bool:
    """Whether the terms add up to the sum, and none of them all but cancel: those would lose digits."""
    sizes: dict[Node, float] = {}
    total: dict[Node, Number] = {}
    terms = list(written)
    if len(terms) == 1 and terms[0][1].__class__ is Add:  # a multiple, of a sum of any length
        terms = [(times(terms[0][0], c), part) for c, part in terms[0][1].terms]
    for c, part in flat(terms, node.type):
        sizes[part] = sizes.get(part, 0.0) + abs(float(c))
        total[part] = exact(total[part] + c) if part in total else c
    if total != {part: c for c, part in node.terms}:
        return False
    return sum(sizes.values()) <= CANCELLED * sum([abs(float(c)) for c in total.values()]) and all(
        [size <= CANCELLED_TERM * abs(float(total[part])) for part, size in sizes.items()])


def is_product_of(node: Product, coefficient: Number, written: Sequence[Factor]) -> bool:
    """Whether the factors give the product, without powers that cancel."""
    opened: list[Factor] = []
    if any([step.ndim > node.ndim for step, _ in written]):
        return False
    for step, at in written:
        if is_step(step, at):
            inner: Product = step  # type: ignore[assignment]
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
    return coefficient == node.coefficient and set(gather_powers(opened, node.dtype)) == set(node.factors)
