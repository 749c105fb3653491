"""The index form: entries of a tensor, with Σ over what is summed, where no matrix form exists.

While a formula grows, the axes of a node and its summed labels stand in the text as private characters; a consumer
replaces the axes by its own indices, and at the very end `bound_letters` gives every character that is left a letter.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Protocol

from symdiff.expression import Add, Map, Node, Number, Product, Reduce
from symdiff.index_notation import Index, form_of
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import base_and_exponent, exact
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.pieces import Monomial, Piece
from symdiff.printing.reading import flattened
from symdiff.printing.style import MatrixStyle
from symdiff.printing.sums import sum_form
from symdiff.sizes import Size

FIRST, LAST = 0xF0000, 0xFFFFD
LETTERS = "ijklmnpqrstuvabcdefgh"


class Surroundings(Protocol):
    """What the index form needs from the writer."""

    style: MatrixStyle
    indices: bool
    named: dict[Node, Piece]

    def piece(self, node: Node, implicit: bool = False) -> Piece:
        """The node as one piece."""
        ...

    def form(self, node: Node, implicit: bool = False) -> Monomial | None:
        """The matrix form of a node."""
        ...

    def signed(self, form: Monomial) -> Piece:
        """A monomial with its sign."""
        ...

    def multiple(self, node: Node) -> tuple[Number, Node]:
        """(c, sum) where a node is written as a multiple of a sum."""
        ...

    def opposite(self, node: Map) -> Map | None:
        """σ(x) where the node is σ(-x) and is written 1 - σ(x)."""
        ...


class Entries:
    """Entries of nodes."""

    def __init__(self, writer: Surroundings) -> None:
        self.writer, self.style = writer, writer.style
        self.count = 0
        self.done: dict[Node, tuple[list[str], Monomial]] = {}

    def fresh(self, count: int) -> list[str]:
        """Characters that stand for labels."""
        start = FIRST + self.count % (LAST - FIRST - count)
        self.count += count
        return [chr(start + k) for k in range(count)]

    def written(self, node: Node) -> tuple[list[str], Piece]:
        """The indices of the node's axes and its entry at them."""
        indices, form = self.entry_form(node)
        return indices, self.writer.signed(form)

    def entry_form(self, node: Node) -> tuple[list[str], Monomial]:
        """As `written`, taken apart."""
        if node not in self.done:
            indices = self.fresh(node.ndim)
            self.done[node] = indices, self.found(node, indices)
        return self.done[node]

    def entry(self, node: Node, at: Sequence[str]) -> Monomial:
        """The entry of a node at given indices."""
        value = number_of(node)
        if value is not None:
            return Monomial(value)
        form = None if self.writer.indices and not self.is_leaf(node) else self.writer.form(node)
        if form is not None and (self.is_leaf(node) or base_and_exponent(node)[1] == 1):
            plain = form.plain()
            if not at:
                return form
            structural = isinstance(node, Product) and not node.is_core and node not in self.writer.named
            if ((plain is not None and plain.level > 3) or not isinstance(node, (Add, Map))) and not structural:
                return self.entry_of_form(form, at)
        indices, entry = self.entry_form(node)
        table = {ord(i): by for i, by in zip(indices, at, strict=True)}

        def moved(piece: Piece) -> Piece:
            return Piece(piece.text.translate(table), piece.level)
        return Monomial(entry.coefficient, tuple(moved(s) for s in entry.scalars),
                        moved(entry.body) if entry.body is not None else None, tuple(moved(d) for d in entry.divisors))

    def is_leaf(self, node: Node) -> bool:
        """Whether a node is a name or a constant."""
        return not node.children or node in self.writer.named

    def whole(self, node: Node) -> bool:
        """Whether a core is written as a matrix with indices, (Aᵀ A)[i,k], and not as a sum."""
        if node in self.writer.named:
            return True
        return not self.writer.indices and 0 < node.ndim < 3 and self.writer.form(node) is not None

    def entry_of_form(self, form: Monomial, at: Sequence[str]) -> Monomial:
        """A[i, j] for the body of a form."""
        body = self.style.entry(form.body, at) if form.body is not None and form.body.text != "1" else None
        divisors = tuple(self.style.entry(d, at) if d.axes else d for d in form.divisors)
        return Monomial(form.coefficient, form.scalars, body, divisors)

    def found(self, node: Node, at: list[str]) -> Monomial:
        """The entry of a node at its own indices."""
        style = self.style
        if isinstance(node, Add):
            c, inner = self.writer.multiple(node)
            if inner is not node:
                m = self.entry(inner, at)
                return Monomial(exact(c * m.coefficient), m.scalars, m.body, m.divisors)
            forms = []
            for c, term in node.terms:
                m = self.entry(term, at)
                forms.append(Monomial(exact(c * m.coefficient), m.scalars, m.body, m.divisors))
            return sum_form(forms, style, 0)
        if isinstance(node, Map):
            base, p = base_and_exponent(node)
            if p != 1:
                entry = self.piece(base, at)
                power = style.raised(entry, exact(abs(p)))
                return Monomial(body=None, divisors=(power,)) if p < 0 else Monomial(body=power)
            opposite = self.writer.opposite(node)
            if opposite is not None:
                return Monomial(body=style.total([(False, style.number(1)), (True, self.piece(opposite, at))]))
            return Monomial(body=style.call(node.function, [self.piece(a, at) for a in node.args]))
        if isinstance(node, Reduce):
            labels = iter(self.fresh(len(node.axes)))
            kept = iter(at)
            inside = [next(labels) if a in node.axes else next(kept) for a in range(node.arg.ndim)]
            word = node.function.name
            bound = [inside[a] for a in node.axes]
            return Monomial(body=style.summed(word, bound, self.piece(node.arg, inside)))
        if isinstance(node, Product):
            return self.product(node, at)
        form = self.writer.form(node)
        if form is None:
            raise NoMatrixForm
        return self.entry_of_form(form, at)

    def piece(self, node: Node, at: Sequence[str]) -> Piece:
        """The entry as one piece."""
        return self.writer.signed(self.entry(node, at))

    def product(self, node: Product, at: list[str]) -> Monomial:
        """coefficient · Σ Π factors, with δ where out repeats a label."""
        style = self.style
        flat = flattened(node, self.whole)
        names: dict[int, str] = {}
        deltas: list[Piece] = []
        for index, name in zip(flat.out, at, strict=True):
            if type(index) is int and index not in names:
                names[index] = name
        for label in flat.extents:
            if label not in names:
                names[label] = self.fresh(1)[0]
        loose = set()
        for index, name in zip(flat.out, at, strict=True):
            text = self.index(index, names)
            if text != name:
                deltas.append(style.equal_labels(text, name))
                loose |= {names[label] for label, _ in form_of(index)[1]} - set(at)
        factors = [(f, self.entry(f, [self.index(i, names) for i in where])) for f, where in flat.factors]
        held = "".join(p.text for _, m in factors for p in (*m.scalars, *([m.body] if m.body else []), *m.divisors))
        summed = [names[label] for label in flat.extents if names[label] not in at
                  and (names[label] in held or names[label] in loose)]
        coefficient: Number = node.coefficient
        front: list[Piece] = []
        inside: list[Piece] = []
        below: list[Piece] = []
        below_inside: list[Piece] = []
        for _, m in factors:
            coefficient = exact(coefficient * m.coefficient)
            for p in (*m.scalars, *([m.body] if m.body is not None else [])):
                (inside if any(s in p.text for s in summed) else front).append(p)
            for p in m.divisors:
                (below_inside if any(s in p.text for s in summed) else below).append(p)
        inside += [d for d in deltas if any(s in d.text for s in summed)]
        front += [d for d in deltas if not any(s in d.text for s in summed)]
        if not summed:
            return Monomial(coefficient, tuple(front[:-1]), front[-1] if front else None, tuple(below))
        body = style.juxtaposed(inside, 0)
        if below_inside:
            body = style.quotient(body, below_inside, 0)
        return Monomial(coefficient, tuple(front), style.summed("sum", summed, body), tuple(below))

    def index(self, index: Index, names: dict[int, str]) -> str:
        """The text of an affine index."""
        constant, terms = form_of(index)
        text = ""
        for label, c in sorted(terms, key=lambda t: isinstance(t[1], int) and t[1] < 0):
            sign, size = ("-", -c) if isinstance(c, int) and c < 0 else ("+", c)
            piece = names[label] if size == 1 else f"{self.size(size)} {names[label]}"
            text += f" {sign} {piece}" if text else (f"-{piece}" if sign == "-" else piece)
        if constant != 0 or not text:
            number = isinstance(constant, int)
            sign = "-" if number and constant < 0 else "+"  # type: ignore[operator]
            value = str(abs(constant)) if number else self.style.size(constant).text  # type: ignore[arg-type]
            text = f"{text} {sign} {value}" if text else ("-" if sign == "-" else "") + value
        return text

    def size(self, size: Size) -> str:
        """A size as a factor."""
        return self.style.wrap(self.style.size(size), 4)


def bound_letters(text: str, taken: Container[str], first: str = "") -> str:
    """The text with letters for its private characters: those in `first`, then by appearance; none that is taken."""
    free = [x for x in LETTERS if x not in taken] or [f"i{k}" for k in range(1000)]
    names: dict[int, str] = {}
    for ch in first + text:
        if FIRST <= ord(ch) <= LAST and ord(ch) not in names:
            k = len(names)
            names[ord(ch)] = free[k] if k < len(free) else f"{free[k % len(free)]}{k // len(free)}"
    return text.translate(names)
