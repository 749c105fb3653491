"""The index form: entries of a tensor, with Σ over what is summed, where no matrix form exists.

The entry of a node is written at labels of its own; a consumer puts its indices in their place (`labels`).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Protocol

from msgspec.structs import replace

from symdiff.expression import Add, Constant, Map, Node, Number, Product, Reduce
from symdiff.index_notation import Index, form_of, labels_of, tidy
from symdiff.loops import is_scan
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import base_and_exponent, exact
from symdiff.printing.labels import Kind, Label, Labels, substituted
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.pieces import SUM, Monomial, Piece
from symdiff.printing.reading import Flat, flattened
from symdiff.printing.style import MatrixStyle
from symdiff.printing.sums import sum_form
from symdiff.sizes import combine


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

    def terms(self, node: Add) -> list[tuple[Number, Node]]:
        """The terms of a sum."""
        ...

    def opposite(self, node: Map) -> Map | None:
        """σ(x) where the node is σ(-x) and is written 1 - σ(x)."""
        ...


class Entries:
    """Entries of nodes."""

    def __init__(self, writer: Surroundings) -> None:
        self.writer, self.style = writer, writer.style
        self.labels = Labels()
        self.done: dict[Node, tuple[tuple[Label, ...], Monomial]] = {}

    def line(self, name: Piece, node: Node) -> str:
        """`name[i, j] = …`."""
        indices, form = self.entry_form(node)
        bound = [self.labels.character("bound", label) for label in indices]
        return f"{self.style.entry(name, bound).text} = {self.style.wrap(self.writer.signed(form), SUM)}"

    def formula(self, node: Node, taken: Container[str]) -> str:
        """`i, j ↦ …`."""
        indices, form = self.entry_form(node)
        body = self.writer.signed(form)
        bound = [self.labels.character("bound", label) for label in indices]
        piece = self.style.binder(bound, body, node.ndim) if indices else body
        return self.finished(piece.text, taken, indices)

    def finished(self, text: str, taken: Container[str], first: Sequence[Label] = ()) -> str:
        """A text with letters for its labels."""
        return self.labels.finished(text, taken, self.style, first)

    def entry_form(self, node: Node) -> tuple[tuple[Label, ...], Monomial]:
        """The labels of the node's axes and its entry at them, taken apart."""
        if node not in self.done:
            at = tuple([self.labels.fresh(size) for size in node.shape])
            self.done[node] = at, self.found(node, at)
        return self.done[node]

    def entry(self, node: Node, at: Sequence[Index]) -> Monomial:
        """The entry of a node at given indices."""
        value = number_of(node)
        if value is not None:
            return Monomial(value)
        if isinstance(node, Constant) and isinstance(node.value, str):
            return Monomial(body=Piece(self.labels.character("value", at[0])))
        form = None if self.writer.indices and not self.is_leaf(node) else self.writer.form(node)
        if form is not None and (self.is_leaf(node) or base_and_exponent(node)[1] == 1):
            plain = form.plain()
            if not at:
                return form
            structural = isinstance(node, Product) and not node.is_core and node not in self.writer.named
            if ((plain is not None and plain.level > 3) or not isinstance(node, (Add, Map))) and not structural:
                return self.entry_of_form(node, form, at)
        own, entry = self.entry_form(node)
        table = dict(zip(own, at, strict=True))
        return Monomial(entry.coefficient, tuple([self.moved(s, table) for s in entry.scalars]),
                        self.moved(entry.body, table) if entry.body is not None else None,
                        tuple([self.moved(d, table) for d in entry.divisors]))

    def moved(self, piece: Piece, table: dict[Label, Index]) -> Piece:
        """The piece with other indices in the place of labels."""
        base = self.moved(piece.base, table) if piece.base is not None else None
        return replace(piece, text=self.labels.moved(piece.text, table), base=base)

    def is_leaf(self, node: Node) -> bool:
        """Whether a node is a name or a constant, or a loop, which is written whole."""
        return not node.children or node in self.writer.named or is_scan(node)

    def whole(self, node: Node) -> bool:
        """Whether a core is written as a matrix with indices, (Aᵀ A)[i,k], and not as a sum."""
        if node in self.writer.named:
            return True
        return not self.writer.indices and 0 < node.ndim < 3 and self.writer.form(node) is not None

    def entry_of_form(self, node: Node, form: Monomial, at: Sequence[Index]) -> Monomial:
        """A[i, j] for the body of a form."""
        indices = [self.labels.character("read", index, size) for index, size in zip(at, node.shape, strict=True)]
        body = self.style.entry(form.body, indices) if form.body is not None and form.body.text != "1" else None
        divisors = tuple([self.style.entry(d, indices) if d.axes else d for d in form.divisors])
        return Monomial(form.coefficient, form.scalars, body, divisors)

    def found(self, node: Node, at: tuple[Label, ...]) -> Monomial:
        """The entry of a node at its own labels."""
        style = self.style
        if isinstance(node, Add):
            c, inner = self.writer.multiple(node)
            if inner is not node:
                m = self.entry(inner, at)
                return replace(m, coefficient=exact(c * m.coefficient))
            forms = []
            for c, term in self.writer.terms(node):
                m = self.entry(term, at)
                forms.append(replace(m, coefficient=exact(c * m.coefficient)))
            return sum_form(forms, style, 0)
        if isinstance(node, Map):
            base, p = base_and_exponent(node)
            if p != 1:
                power = style.raised(self.piece(base, at), exact(abs(p)))
                return Monomial(body=None, divisors=(power,)) if p < 0 else Monomial(body=power)
            opposite = self.writer.opposite(node)
            if opposite is not None:
                return Monomial(body=style.total([(False, style.number(1)), (True, self.piece(opposite, at))]))
            args = [self.piece(a, at) for a in node.args]
            if node.function.name in ("sqrt", "safe_sqrt"):
                return Monomial(body=style.root(args[0]))
            if node.function.name == "power":
                return Monomial(body=style.power(*args))
            return Monomial(body=style.call(node.function, args))
        if isinstance(node, Reduce):
            kept = iter(at)
            inside = [self.labels.fresh(size) if a in node.axes else next(kept) for a, size in enumerate(node.arg.shape)]
            bound = [self.labels.character("bound", inside[a]) for a in node.axes]
            return Monomial(body=style.summed(node.function.name, bound, self.piece(node.arg, inside)))
        if isinstance(node, Product):
            return self.product(node, at)
        form = self.writer.form(node)
        if form is None:
            raise NoMatrixForm
        return self.entry_of_form(node, form, at)

    def piece(self, node: Node, at: Sequence[Index]) -> Piece:
        """The entry as one piece."""
        return self.writer.signed(self.entry(node, at))

    def product(self, node: Product, at: tuple[Label, ...]) -> Monomial:
        """coefficient · Σ Π factors, with δ where out repeats a label and conditions where a read may be outside."""
        labels = self.labels
        flat = flattened(node, self.whole)
        places, conditions, equations = self.placed(flat, at)
        loose = {label for index, _ in equations for label in labels_of(index)} - set(at)
        factors: list[Monomial] = []
        for f, where in flat.factors:
            indices = [substituted(index, places) for index in where]
            for index, size in zip(indices, f.shape, strict=True):
                conditions += labels.missing(index, size)
            factors.append(self.entry(f, indices))
        coefficient: Number = node.coefficient
        above = [Piece(labels.character("condition", index)) for index in dict.fromkeys(conditions)]
        below: list[Piece] = []
        for m in factors:
            coefficient = exact(coefficient * m.coefficient)
            above += [*m.scalars, *([m.body] if m.body is not None else [])]
            below += m.divisors
        above += [self.equal(index, label) for index, label in equations]
        held = {piece: labels.labels_in(piece.text) for piece in (*above, *below)}
        present = loose.union(*held.values())
        summed = [label for index in places.values() for label in labels_of(index)
                  if label not in at and label in present]
        front = [p for p in above if not held[p].intersection(summed)]
        outside = tuple([p for p in below if not held[p].intersection(summed)])
        if not summed:
            return Monomial(coefficient, tuple(front[:-1]), front[-1] if front else None, outside)
        body = self.style.juxtaposed([p for p in above if held[p].intersection(summed)], 0)
        below_inside = [p for p in below if held[p].intersection(summed)]
        if below_inside:
            body = self.style.quotient(body, below_inside, 0)
        bound = [labels.character("bound", label) for label in summed]
        return Monomial(coefficient, tuple(front), self.style.summed("sum", bound, body), outside)

    def placed(self, flat: Flat, at: tuple[Label, ...]) -> tuple[
            dict[Label, Index], list[Index], list[tuple[Index, Label]]]:
        """What each label of a product is in terms of the labels of the result and new ones, and what must hold then.

        Conditions are indices that must not be negative, equations are pairs of an index and the label that it equals.
        """
        places: dict[Label, Index] = {}
        conditions: list[Index] = []
        rest: list[tuple[Index, Label]] = []
        for index, label in sorted(zip(flat.out, at, strict=True), key=lambda t: not isinstance(t[0], int)):
            constant, terms = form_of(index)
            if len(terms) == 1 and terms[0][1] in (1, -1) and terms[0][0] not in places:
                (inner, sign), = terms
                back = combine(((-1 if sign == 1 else 1, constant),))
                places[inner] = tidy(back, {label: sign})
                conditions += self.labels.missing(places[inner], flat.extents[inner])
            else:
                rest.append((index, label))
        for inner, extent in flat.extents.items():
            if inner not in places:
                places[inner] = self.labels.fresh(extent)
        return places, conditions, [(substituted(index, places), label) for index, label in rest]

    def equal(self, index: Index, label: Label) -> Piece:
        """δ[i, j]."""
        kind: Kind = "tie" if isinstance(index, int) else "read"
        one, two = self.labels.character(kind, index), self.labels.character(kind, label)
        return self.style.equal_labels(one, two)
