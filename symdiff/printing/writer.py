"""From expressions to formulas: every node is written once, children first, in matrix form where it has one.

The form of a node is a `Monomial`; a node without a matrix form has entries instead (`index_form`).  Shared parts get a
name and a line of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from msgspec.structs import replace

from symdiff.exponential_sums import sum_shared
from symdiff.expression import Add, Apply, Constant, Map, Node, Number, Product, Reduce, Symbol
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, labels_of
from symdiff.loops import is_scan, shown_name
from symdiff.normal_form import map_node, number_of, scale
from symdiff.normal_form.maps import exact_power
from symdiff.normal_form.numbers import base_and_exponent, broadcast_axes, exact
from symdiff.printing.index_form import Entries
from symdiff.printing.loop_form import loop_piece
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.picks import picks_of, read_by
from symdiff.printing.pieces import ATOM, SUM, Monomial, Piece
from symdiff.printing.plain_notation import plainly
from symdiff.printing.products import ProductForms
from symdiff.printing.regrouping import Regrouping
from symdiff.printing.sharing import Names, can_be_named, letters, primitive, uses_of
from symdiff.printing.shortening import ELLIPSIS, LIMIT, shortened
from symdiff.printing.style import MatrixStyle
from symdiff.printing.sums import concatenation, merged_patterns, positions_of, sum_form
from symdiff.sizes import Dim, Size, monomials
from symdiff.tensor_type import shape_text
from symdiff.traversal import topological

WORTH_NAMING, WORTH_NAMING_TWICE, WORTH_NAMING_ANYTHING = 6, 10, 24
SHORT_ARRAY, SAVES = 4, 4


class Writer:
    """Writes several expressions in one style, with the parts that they share named once."""

    def __init__(self, roots: Sequence[Node], style: MatrixStyle, indices: bool = False, limit: int | None = LIMIT) -> None:
        self.names = Names(roots)
        self.style, self.indices = self.names.apart(style), indices
        self.roots = list(roots) if limit is None else plainly(shortened(roots, limit), not indices)
        self.forms: dict[tuple[Node, bool], Monomial | None] = {}
        self.named: dict[Node, Piece] = {}
        self.definitions: list[tuple[Node, str]] = []
        self.shown: dict[Node, list[Node]] = {}
        self.products = ProductForms(self)
        self.entries = Entries(self)
        order = topological(self.roots)
        self.present = {node for node in order if isinstance(node, Map)}
        self.sums: dict[Node, Node] = {}
        self.multiples = {node: primitive(node, self.sums) for node in order if isinstance(node, Add)}
        self.regrouping = Regrouping(self.sums if self.style.exact_shapes else ())
        order = topological(self.roots, self.children)
        self.uses: Counter[Node] = uses_of(order, self.roots, self.children)
        for node in order:
            self.write(node)

    def children(self, node: Node) -> list[Node]:
        """The nodes whose text the text of a node holds."""
        if node not in self.shown:
            self.shown[node] = list(self.seen_children(node))
        return self.shown[node]

    def seen_children(self, node: Node) -> Sequence[Node]:
        """As `children`, found for the first time."""
        if isinstance(node, Add) and self.multiple(node)[1] is not node:
            return [self.multiple(node)[1]]
        if isinstance(node, Add):
            return [term for _, term in self.regrouping.terms(node) if number_of(term) is None]
        if isinstance(node, Map):
            softmax = softmax_of(node)
            if softmax is not None:
                return [softmax[0]]
            opposite = self.opposite(node)
            if opposite is not None:
                return [opposite]
            if base_and_exponent(node)[1] != 1:
                return list(node.args[:1])
            if "one_hot" in node.function.traits:
                return read_by(node) or node.children
        return [child for child in read_by(node) or node.children if number_of(child) is None]

    def opposite(self, node: Map) -> Map | None:
        """σ(x) where the node is σ(-x) and both stand in the formula: it is written 1 - σ(x)."""
        if node.function.name != "sigmoid" or not self.style.fold_negative_sigmoid:
            return None
        arg = node.args[0]
        negative = isinstance(arg, Product) and not arg.is_core and arg.coefficient < 0
        if not negative and not (isinstance(arg, Add) and arg.terms[0][0] < 0):
            return None
        other = map_node(ROWS["sigmoid"], (scale(-1, arg),))
        return other if isinstance(other, Map) and other in self.present else None

    def write(self, node: Node) -> None:
        """Find the form of a node and name it where that makes the whole shorter."""
        if isinstance(node, Symbol):
            piece = self.left_out(node) if node.name.startswith(ELLIPSIS) else self.style.name(shown_name(node), node.ndim)
            self.forms[node, False] = self.forms[node, True] = Monomial(body=piece)
            return
        if isinstance(node, Constant) and isinstance(node.value, np.ndarray) and node.value.size > SHORT_ARRAY:
            self.name(node)
            return
        # Both forms now, while those of the children are known: nothing recurses deeply later.
        form = self.form(node, implicit=True)
        self.form(node)
        if form is None:
            self.entries.entry_form(node)
        uses = self.uses[node]
        if uses < 2 or (isinstance(node, Map) and self.opposite(node) is not None):
            return
        width = self.style.width(self.style.monomial(form or self.entries.entry_form(node)[1]).text)
        worth = WORTH_NAMING
        if not can_be_named(node):
            worth = WORTH_NAMING_ANYTHING
        elif uses > 2:
            worth -= 2 * isinstance(node, Map)
        elif all(not child.children or child in self.named for child in node.children):
            worth = WORTH_NAMING_TWICE
        if width >= worth and (uses - 1) * (width - 1) >= SAVES:
            self.name(node)

    def left_out(self, node: Symbol) -> Piece:
        """`…`, with a mark that tells it from any other one."""
        piece = self.style.truncated(node.ndim)
        return replace(piece, text=piece.text + self.entries.labels.character("mark", (int(node.name[1:]), ())))

    def name(self, node: Node) -> Piece:
        """Give the node a name and a line in the where block."""
        fresh = self.names.numbered("c") if isinstance(node, Constant) else self.names.fresh(letters(node))
        piece = self.style.name(fresh, node.ndim)
        whole = self.sized(node) is not None
        text = f"{piece.text} = {self.style.wrap(self.explicit(node), SUM)}" if whole else self.entries.line(piece, node)
        self.definitions.append((node, text))
        self.named[node] = piece
        self.forms[node, False] = self.forms[node, True] = Monomial(body=piece)
        return piece

    def stays(self, node: Node) -> bool:
        """Whether a core is not opened into the product that reads it: it has a name, or reads at computed positions."""
        return node in self.named or (isinstance(node, Product) and picks_of(node) is not None)

    def multiple(self, node: Node) -> tuple[Number, Node]:
        """(c, sum) where a node is written as a multiple of a sum; (1, node) for any other node."""
        return self.multiples.get(node, (1, node)) if isinstance(node, Add) else (1, node)

    def piece(self, node: Node, implicit: bool = False) -> Piece:
        """The node as one piece; it gets a name where it has no matrix form."""
        form = self.form(node, implicit)
        if form is None:
            return self.name(node) if node.ndim else self.signed(self.entries.entry_form(node)[1])
        return self.signed(form)

    def terms(self, node: Add) -> list[tuple[Number, Node]]:
        """The terms of a sum, with other sums that have a name in the place of theirs."""
        terms: list[tuple[Number, Node]] = []
        own = set(node.children)
        for c, term in self.regrouping.terms(node):
            opened = isinstance(term, Add) and term not in own and term not in self.named
            terms += [(exact(c * k), t) for k, t in term.terms] if opened and isinstance(term, Add) else [(c, term)]
        return terms if len(terms) < len(node.terms) else list(node.terms)

    def explicit(self, node: Node) -> Piece:
        """As `piece`, with its full shape to be seen: zeros(n), a ones(n), ones(n) wᵀ."""
        if number_of(node) == 0 and node.ndim:
            return self.style.zeros(node.shape)
        if isinstance(node, Product) and not node.factors and node.out == (0, 0) and node.extents[0] == node.shape[0]:
            eye = self.style.call_word("eye", self.style.size(node.extents[0]).text, 2)
            return self.signed(Monomial(node.coefficient, body=eye))
        form = self.sized(node)
        return self.signed(form) if form is not None else self.name(node) if node.ndim else self.piece(node)

    def sized(self, node: Node) -> Monomial | None:
        """The matrix form with the full shape to be seen, None where there is none."""
        form = self.form(node)
        if form is None or node in self.named or not isinstance(node, Product) or not broadcast_axes(node):
            return form
        try:
            return self.products.form(node, implicit=False, sized=True)
        except NoMatrixForm:
            return None

    def identity(self, size: Size) -> Piece:
        """The identity matrix, by another name where a symbol has that one."""
        piece = self.style.identity(size)
        return piece if piece.text not in self.names.symbols else self.style.call_word("eye", self.style.size(size).text, 2)

    def signed(self, form: Monomial) -> Piece:
        """The monomial with its sign."""
        piece = self.style.monomial(form)
        return self.style.total([(True, piece)]) if form.coefficient < 0 else piece

    def form(self, node: Node, implicit: bool = False) -> Monomial | None:
        """The matrix form, None where there is none; `implicit` leaves out axes that NumPy would broadcast."""
        key = (node, implicit or not (isinstance(node, Product) or (isinstance(node, Add) and node.ndim == 2)))
        if key not in self.forms:
            try:
                self.forms[key] = self.found_form(node, implicit)
            except NoMatrixForm:
                self.forms[key] = None
        return self.forms[key]

    def found_form(self, node: Node, implicit: bool) -> Monomial:
        """The matrix form; raises `NoMatrixForm`."""
        if isinstance(node, Constant):
            return self.constant(node)
        if is_scan(node):
            return Monomial(body=loop_piece(self, node, Writer))
        if self.indices:
            raise NoMatrixForm
        if isinstance(node, Add):
            return self.sum(node, implicit)
        if isinstance(node, Product):
            return self.picked(node) or self.products.form(node, implicit)
        if isinstance(node, Map):
            return self.map(node)
        if isinstance(node, Reduce):
            axes = None if len(node.axes) == node.arg.ndim else node.axes
            word = node.function.name
            return Monomial(body=self.style.reduction(word, self.explicit(node.arg), axes, node.ndim))
        assert isinstance(node, Apply)
        args = [self.explicit(child).text for child in node.children] + [str(k) for k in node.parameters]
        return Monomial(body=self.style.call_word(node.operation.name, ", ".join(args), node.ndim))

    def picked(self, node: Product) -> Monomial | None:
        """x[i] where the product is that."""
        found = picks_of(node)
        if found is None:
            return None
        x, indices = found
        pieces = [None if i is None else self.piece(i) for i in indices]
        return Monomial(body=self.style.picked(self.piece(x), pieces, node.ndim))

    def constant(self, node: Constant) -> Monomial:
        """A size, a counting vector, or an array (in full where it is short)."""
        if isinstance(node.value, Dim):
            terms = list(monomials(node.value))
            return self.style.size_factors(*terms[0]) if len(terms) == 1 else Monomial(body=self.style.size(node.value))
        if isinstance(node.value, str):
            return Monomial(body=self.style.call_word("arange", self.style.size(node.shape[0]).text, 1))
        if node.value.size <= SHORT_ARRAY:
            return Monomial(body=Piece(str(node.value.tolist()), ATOM, node.ndim))
        return Monomial(body=self.style.call_word("constant", shape_text(node.shape), node.ndim))

    def sum(self, node: Add, implicit: bool = False) -> Monomial:
        """A sum: a multiple of another one, concatenations, terms with what they share in front."""
        c, inner = self.multiple(node)
        if inner is not node:
            return self.with_coefficient(c, inner, implicit)
        table = self.table(node)
        if table is not None:
            return table
        stacked = concatenation(node)
        if stacked is not None:
            axis, parts = stacked
            pieces = [self.explicit(scale(c, part)) for c, part in parts]
            return Monomial(body=self.style.stacked(pieces, axis, node.ndim))
        terms = merged_patterns(self.terms(node), node.type)
        if len(terms) == 1:
            return self.with_coefficient(*terms[0])
        return sum_form(self.term_forms(terms, implicit), self.style, node.ndim)

    def term_forms(self, terms: Sequence[tuple[Number, Node]], implicit: bool) -> list[Monomial]:
        """The forms of the terms of a sum, none of which leaves out axes where that could be misread.

        Numbers are added to arrays of any shape, and scalars to vectors.  To a matrix a scalar is added so inside an
        elementwise function alone; a vector where it is a mere name, and no other one stands as a column.
        """
        constant = [broadcast_axes(term) if term.ndim == 2 and self.style.exact_shapes else frozenset()
                    for _, term in terms]
        bare = self.style.exact_shapes and all(len(broadcast_axes(term)) == term.ndim for _, term in terms)
        forms: list[Monomial] = []
        for (c, term), axes in zip(terms, constant, strict=True):
            form = self.with_coefficient(c, term, implicit=True)
            named = form.body is not None and form.body.root.name and not any(d.axes for d in form.divisors)
            full = (axes == {0, 1} and not implicit and number_of(term) is None) or (
                axes == {0} and ({1} in constant or not named))
            if bare and isinstance(term, Product):
                form = self.products.form(term, implicit=False, sized=True)
                form = replace(form, coefficient=exact(c * form.coefficient))
            forms.append(self.with_coefficient(c, term) if full and not bare else form)
        return forms

    def table(self, node: Add) -> Monomial | None:
        """[a, b] for a sum of entries at constant positions."""
        places = positions_of(node)
        if places is None:
            return None
        rows: list[Piece] = []
        for place in np.ndindex(*[int(s) for s in node.shape]):
            terms = [self.with_coefficient(exact(c * p.coefficient), inner) for c, p, inner in places.get(place, [])]
            total = sum_form(terms, self.style, 0) if len(terms) > 1 else terms[0] if terms else Monomial(0)
            rows.append(self.signed(total))
        return Monomial(body=self.style.array(rows, [int(s) for s in node.shape]))

    def with_coefficient(self, c: Number, node: Node, implicit: bool = False) -> Monomial:
        """c · node as a monomial; raises `NoMatrixForm`."""
        form = self.form(node, implicit)
        if form is None:
            raise NoMatrixForm
        return Monomial(exact(c * form.coefficient), form.scalars, form.body, form.divisors)

    def negative(self, node: Node) -> Monomial | None:
        """The form of −(a − b) as b − a."""
        assert isinstance(node, Add)
        c, inner = self.multiple(node)
        if isinstance(inner, Add) and inner is not node:
            form = self.negative(inner)
            return form and replace(form, coefficient=exact(c * form.coefficient))
        forms = self.term_forms([(exact(-c), term) for c, term in self.terms(node)], implicit=False)
        return sum_form(forms, self.style, node.ndim)

    def map(self, node: Map) -> Monomial:
        """A scalar function, with its own notation for powers, roots, norms and softmax."""
        for child in self.children(node):
            if self.form(child, True) is None:
                raise NoMatrixForm
        style = self.style
        base, p = base_and_exponent(node)
        if p != 1:
            c, inner = self.multiple(base)
            whole = exact_power(c, p) if isinstance(c, (int, Fraction)) and isinstance(p, int) else None
            if whole is None:
                return self.powered(self.piece(base, True), p, node.ndim)
            form = self.powered(self.piece(inner, True), p, node.ndim)
            return replace(form, coefficient=whole)
        softmax = softmax_of(node)
        if softmax is not None:
            arg, axis = softmax
            return Monomial(body=style.reduction("softmax", self.explicit(arg), axis, node.ndim))
        opposite = self.opposite(node)
        if opposite is not None:
            return Monomial(body=style.total([(False, style.number(1)), (True, self.piece(opposite))]))
        if "one_hot" in node.function.traits and read_by(node):
            return Monomial(body=style.call_word("one_hot", self.piece(read_by(node)[0]).text, node.ndim))
        args = [self.argument(arg) for arg in node.args]
        if node.function.name == "power":
            return Monomial(body=style.power(args[0], args[1]))
        if node.function.name in ("sqrt", "safe_sqrt"):
            text = self.norm_of(node.args[0])
            return Monomial(body=text or style.root(args[0]))
        piece = style.call(node.function, args)
        return Monomial(body=Piece(piece.text, piece.level, node.ndim))

    def argument(self, node: Node) -> Piece:
        """An argument of a function, broadcast where NumPy would."""
        return self.piece(node, implicit=True)

    def norm_of(self, node: Node) -> Piece | None:
        """‖x‖ for the root of ‖x‖²."""
        single = isinstance(node, Product) and node.is_core and len(node.factors) == 1 and not node.ndim
        if not single or not isinstance(node, Product) or node in self.named:
            return None
        base, p = base_and_exponent(node.factors[0][0])
        if p != 2 or any(type(i) is not int for i in node.factors[0][1]):
            return None
        return self.style.norm(self.piece(base))

    def powered(self, base: Piece, p: Number, axes: int) -> Monomial:
        """xᵖ, a quotient for negative p."""
        size = exact(abs(p))
        power = self.style.raised(base, size)
        if p < 0:
            return Monomial(body=Piece("1", axes=axes) if axes else None, divisors=(power,))
        return Monomial(body=power)

    def text(self, root: Node) -> str:
        """The formula of a root."""
        form = None if self.indices else self.form(root)
        if form is not None:
            return self.entries.finished(self.signed(form).text, self.names.taken)
        return self.entries.formula(root, self.names.taken)

    def where(self) -> list[str]:
        """The lines of the where block, in order of dependency."""
        return [self.entries.finished(text, self.names.taken) for _, text in self.definitions]


def softmax_of(node: Map) -> tuple[Node, tuple[int, ...] | None] | None:
    """(x, axis to show) where the node is exp(x - logsumexp(x)) along some axes."""
    x, lse = node.args[0], sum_shared(node)
    if lse is None or lse.arg is not x:
        return None
    shift = node.args[1]
    at: tuple[Index, ...] = shift.factors[0][1] if isinstance(shift, Product) else ()
    kept = tuple(a for a in range(x.ndim) if a not in lse.axes)
    if at != kept or any(list(labels_of(i)) != [i] for i in at):
        return None
    return x, None if lse.axes == (x.ndim - 1,) and x.ndim <= 2 else lse.axes
