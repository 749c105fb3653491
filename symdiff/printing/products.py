"""The matrix form of a product: its factors as items of a network, its `out` pattern as diag, padding or placement."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

from symdiff.bounds import at_least
from symdiff.expression import Add, Node, Number, Product, Symbol
from symdiff.index_notation import Form, Index, form_of, inside, labels_of
from symdiff.normal_form.maps import exact_power
from symdiff.normal_form.numbers import base_and_exponent, exact, is_size_constant, times
from symdiff.printing.networks import Item, Network, NoMatrixForm
from symdiff.printing.pieces import CHAIN, Cut, Monomial, Piece
from symdiff.printing.reading import Flat, clipped, cuts_of, flattened, row_major, unmerged
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import Size, combine, multiply

Label = int
Pattern = tuple[str, Any]


class Surroundings(Protocol):
    """What the form of a product needs from the writer."""

    style: MatrixStyle

    def piece(self, node: Node, implicit: bool = False) -> Piece:
        """The node as one piece."""
        ...

    def form(self, node: Node, implicit: bool = False) -> Monomial | None:
        """The matrix form of a node."""
        ...

    def multiple(self, node: Node) -> tuple[Number, Node]:
        """(c, sum) where a node is written as a multiple of a sum."""
        ...

    def negative(self, node: Node) -> Monomial | None:
        """The matrix form of the negative of a sum."""
        ...

    def identity(self, size: Size) -> Piece:
        """The identity matrix."""
        ...

    def stays(self, node: Node) -> bool:
        """Whether a core is not opened."""
        ...


class ProductForms:
    """Matrix forms of products."""

    def __init__(self, writer: Surroundings) -> None:
        self.writer = writer
        self.style = writer.style

    def form(self, node: Product, implicit: bool, sized: bool = False) -> Monomial:
        """The product as a monomial, vectors of ones with their sizes where that is asked; raises `NoMatrixForm`."""
        node = clipped(node)
        flat = flattened(node, self.writer.stays)
        pattern, out = out_pattern(node, flat, implicit, self.style.exact_shapes)
        outside = beside_reshape(node) if pattern is not None and pattern[0] == "reshape" else None
        if outside is not None:
            return self.form(outside, implicit, sized)
        turned = self.turned(flat, node.coefficient)
        front = node.coefficient
        items: list[Item] = []
        for f, at in flat.factors:
            c, found = self.items(f, at, flat, f is turned)
            front = times(front, c)
            items += found
        sizes = flat.extents if sized or (pattern is not None and pattern[0] != "diag") else None
        network = Network(items, out, self.style, sizes)
        if pattern is None:
            body = network.solve()
            scalars, divisors = tuple(in_order(network.scalars)), tuple(network.divisors)
            if body is not None and body.text == "1" and body.axes and implicit and (scalars or divisors or front != 1):
                body = None
            return Monomial(front, scalars, body, divisors)
        kept = network.divisors[:]
        network.divisors.clear()
        body = network.solve()
        if network.divisors:
            body = self.style.quotient(body or Piece("1"), network.divisors, 1)
        scalars, divisors = tuple(in_order(network.scalars)), tuple(kept)
        if self.style.exact_zeros and pattern[0] != "axes" and not all(p.name for p in (*scalars, *divisors)):
            body = self.style.monomial(Monomial(1, scalars, self.filled(body, node, out), divisors))
            scalars = divisors = ()
        return Monomial(front, scalars, self.patterned(pattern, body, node, out), divisors)

    def turned(self, flat: Flat, front: Number) -> Node | None:
        """The difference a - b that is written b - a, so that the product needs no minus in front."""
        sign = front < 0
        found: Node | None = None
        for f, _ in flat.factors:
            if not isinstance(f, Add) or self.writer.stays(f):
                continue
            form = self.writer.form(f)
            sign ^= form is not None and form.coefficient < 0
            mixed = any(c < 0 for c, _ in f.terms) and any(c > 0 for c, _ in f.terms)
            if found is None and form is not None and mixed and not self.writer.stays(self.writer.multiple(f)[1]):
                found = f
        return found if sign else None

    def items(self, f: Node, at: tuple[Index, ...], flat: Flat, turned: bool) -> tuple[Number, list[Item]]:
        """A factor as a number and items of the network; a `turned` one as its negative."""
        read = cuts_of(f, at, flat.extents)
        if read is None:
            return 1, [self.reshaped(f, at, flat)]
        cuts, labels = read
        sliced = not all(cut.whole for cut in cuts)
        base, p = base_and_exponent(f)
        if self.writer.stays(f):
            base, p = f, 1
        symmetric = isinstance(base, Symbol) and "symmetric" in base.facts and not sliced
        if p == 1:
            opened = None if sliced else self.opened(f, labels, turned)
            if opened is not None:
                return opened
            return 1, [Item(labels, [self.read(f, cuts, sliced)], [], symmetric=symmetric)]
        split = self.split_size(base, p)
        if split is not None:
            return split
        c, inner = self.writer.multiple(base)
        whole = exact_power(c, p) if isinstance(c, (int, Fraction)) and isinstance(p, int) else None
        if whole is not None and not (isinstance(c, Fraction) and self.writer.stays(base)):
            base = inner
        else:
            whole = 1
        piece = self.read(base, cuts, sliced)
        size = exact(abs(p))
        power = self.style.raised(piece, size)
        if p < 0:
            return whole, [Item(labels, [], [power], symmetric=symmetric)]
        return whole, [Item(labels, [power], [], root=piece if p == 2 else None, symmetric=symmetric)]

    def reshaped(self, f: Node, at: tuple[Index, ...], flat: Flat) -> Item:
        """A factor that is read as its reshape is."""
        labels = row_major(at, f.shape, flat.extents) if at and self.style.exact_shapes else None
        if labels is None:
            raise NoMatrixForm
        piece = self.writer.piece(f if self.writer.stays(f) else unmerged(f))
        return Item(labels, [self.style.reshaped(piece, [flat.extents[x] for x in labels])], [])

    def split_size(self, base: Node, p: Number) -> tuple[Number, list[Item]] | None:
        """A power of a size that is a plain product, as powers of its factors: 1 / (2 n) as 1/2 · 1 / n."""
        if not is_size_constant(base) or not isinstance(p, int):
            return None
        form = self.writer.form(base)
        if form is None or form.body is not None:
            return None
        pieces = [self.style.raised(s, abs(p)) for s in form.scalars]
        front = exact(Fraction(form.coefficient) ** p)
        return front, [Item((), [], [s]) if p < 0 else Item((), [s], []) for s in pieces]

    def opened(self, f: Node, labels: tuple[Label, ...], turned: bool) -> tuple[Number, list[Item]] | None:
        """A factor whose form is a quotient or has scalars in front, taken apart."""
        if self.writer.stays(f) or isinstance(f, Product):
            return None
        form = self.writer.negative(f) if turned else self.writer.form(f)
        if form is None or form.plain() is not None:
            return None
        c = exact(-form.coefficient if turned else form.coefficient)
        vectors = [d for d in form.divisors if d.axes] if f.ndim else []
        items = [Item((), [s], []) for s in form.scalars]
        items += [Item((), [], [d]) for d in form.divisors if d not in vectors]
        above = [form.body] if form.body is not None and not (form.body.text == "1" and vectors) else []
        return c, [*items, Item(labels, above, vectors)] if above or vectors else items

    def read(self, f: Node, cuts: list[Cut], sliced: bool) -> Piece:
        """The factor's piece, sliced."""
        if self.writer.form(f) is None and f.ndim > 2:
            raise NoMatrixForm
        piece = self.writer.piece(f)
        if not sliced:
            return piece
        while cuts and cuts[-1].whole:
            cuts = cuts[:-1]
        return self.style.sliced(piece, cuts, f.ndim - sum(c.position is not None for c in cuts))

    def filled(self, body: Piece | None, node: Product, out: tuple[Label, ...]) -> Piece:
        """The body, or ones where there is none."""
        return self.style.ones([node.extents[label] for label in out]) if body is None or body.text == "1" else body

    def patterned(self, pattern: Pattern, body: Piece | None, node: Product, out: tuple[Label, ...]) -> Piece:
        """The body written at the positions of the pattern."""
        style = self.style
        kind, detail = pattern
        if kind == "diag":
            if body is None or body.text == "1":
                return style.diag(self.filled(body, node, out), detail) if detail else self.writer.identity(node.shape[0])
            return style.diag(body, detail)
        inner = self.filled(body, node, out)
        if kind == "ones":
            return style.ones(detail)
        if kind == "reshape":
            return style.reshaped(inner, detail)
        if kind == "padded diag":
            return style.diag(style.padded(inner, [detail[1]]), detail[0])
        if kind == "pad":
            return style.padded(inner, detail)
        if kind == "axes":
            return style.sliced(inner, detail, node.ndim) if detail else inner
        return style.placed(inner, detail, node.ndim)


def in_order(scalars: list[Piece]) -> list[Piece]:
    """Scalars: names first, then what is more than a name, chains last."""
    return sorted(scalars, key=lambda p: (not p.name, p.level <= CHAIN, len(p.text) > 8))


def out_pattern(node: Product, flat: Flat, implicit: bool, reshapes: bool) -> tuple[Pattern | None, tuple[Label, ...]]:
    """How the result is written: None for a dense result, and the labels of its axes."""
    out, extents = node.out, dict(enumerate(node.extents))
    used = {label for _, at in flat.factors for i in at for label in labels_of(i)}
    plain = all(type(i) is int and extents[i] == s for i, s in zip(out, node.shape, strict=True))
    if plain and len(set(out)) == len(out):
        labels: tuple[Label, ...] = tuple(i for i in out if isinstance(i, int))
        if implicit:
            while labels and labels[0] not in used:
                labels = labels[1:]
            return None, labels
        news = [k for k, i in enumerate(labels) if i not in used and extents[i] == 1]
        if news and not used.isdisjoint(labels):
            cuts = [Cut(new=k in news) for k in range(len(labels))]
            return ("axes", cuts), tuple(i for k, i in enumerate(labels) if k not in news)
        return None, labels
    merged = row_major(out, node.shape, extents) if reshapes else None
    if merged is not None:
        return ("reshape" if merged else "ones", node.shape), merged
    forms = [form_of(i) for i in out]
    if len(out) == 2 and forms[0][1] == forms[1][1] and len(forms[0][1]) == 1 and forms[0][1][0][1] == 1:
        return diagonal_pattern(node, forms)
    if any(len(terms) > 1 for _, terms in forms):
        raise NoMatrixForm
    inner = tuple(terms[0][0] for _, terms in forms if terms)
    if len(set(inner)) != len(inner):
        raise NoMatrixForm
    if all(terms and terms[0][1] == 1 for _, terms in forms):
        widths = [(constant, combine(((1, size), (-1, constant), (-1, extents[terms[0][0]]))))
                  for (constant, terms), size in zip(forms, node.shape, strict=True)]
        if all(at_least(w, 0) for pair in widths for w in pair):
            return ("pad", widths), inner
    if not all(inside(i, size, extents) for i, size in zip(out, node.shape, strict=True)):
        raise NoMatrixForm
    cuts = []
    for (constant, terms), size in zip(forms, node.shape, strict=True):
        if not terms:
            cuts.append(Cut(position=constant, size=size))
            continue
        label, step = terms[0]
        if not isinstance(step, int) or step < 0:
            raise NoMatrixForm
        stop = combine(((1, constant), (1, multiply(step, combine(((1, extents[label]), (-1, 1))))), (1, 1)))
        end = None if stop == size else stop
        cuts.append(Cut(None if constant == 0 else constant, end, step, size=size))
    return ("place", cuts), inner


def beside_reshape(node: Product) -> Product | None:
    """p ⊙ reshape(q, 12) for a reshaped product of q and of p as it is before; None where nothing can stay outside."""
    out = tuple(range(node.ndim))
    outside = [f for f, at in node.factors if at == node.out and f.shape == node.shape]
    rest = tuple([(f, at) for f, at in node.factors if at != node.out or f.shape != node.shape])
    read = {label for _, at in rest for index in at for label in labels_of(index)}
    if not outside or not read.issuperset(label for index in node.out for label in labels_of(index)):
        return None
    reshaped = Product(1, rest, node.out, node.extents, node.type)
    return Product(node.coefficient, (*((f, out) for f in outside), (reshaped, out)), out, node.shape, node.type)


def diagonal_pattern(node: Product, forms: list[Form]) -> tuple[Pattern, tuple[Label, ...]]:
    """diag(v), or v beside the main diagonal; v may stand between zeros."""
    (a, terms), (b, _) = forms
    label = terms[0][0]
    extent = node.extents[label]
    offset = combine(((1, b), (-1, a)))
    if not isinstance(offset, int) or node.shape[0] != node.shape[1]:
        raise NoMatrixForm
    before = a if offset >= 0 else b
    after = combine(((1, node.shape[0]), (-1, abs(offset)), (-1, before), (-1, extent)))
    if not at_least(before, 0) or not at_least(after, 0):
        raise NoMatrixForm
    if before == 0 and after == 0:
        return ("diag", offset), (label,)
    return ("padded diag", (offset, (before, after))), (label,)
