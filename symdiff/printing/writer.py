"""From expressions to formulas: every node is written once, children first, in matrix form where it has one.

The form of a node is a `Monomial`; a node without a matrix form has entries instead (`index_form`).  Shared parts get a
name and a line of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symdiff.expression import Add, Constant, Map, Node, Number, Product, Reduce, Symbol
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, labels_of
from symdiff.normal_form import map_node, number_of, scale
from symdiff.normal_form.numbers import base_and_exponent, exact
from symdiff.printing.index_form import Entries, bound_letters
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.pieces import ATOM, Monomial, Piece
from symdiff.printing.products import ProductForms
from symdiff.printing.sharing import ELLIPSIS, Names, can_be_named, letter, shortened, uses_of
from symdiff.printing.style import MatrixStyle
from symdiff.printing.sums import concatenation, sum_form
from symdiff.sizes import Dim
from symdiff.tensor_type import shape_text
from symdiff.traversal import topological

WORTH_NAMING = 6
SAVES = 4


class Writer:
    """Writes several expressions in one style, with the parts that they share named once."""

    def __init__(self, roots: Sequence[Node], style: MatrixStyle, indices: bool = False) -> None:
        self.style, self.indices = style, indices
        self.roots = shortened(roots)
        self.names = Names(roots)
        self.forms: dict[tuple[Node, bool], Monomial | None] = {}
        self.named: dict[Node, Piece] = {}
        self.definitions: list[tuple[Node, str]] = []
        self.shown: dict[Node, list[Node]] = {}
        self.products = ProductForms(self)
        self.entries = Entries(self)
        order = topological(self.roots)
        self.present = {node for node in order if isinstance(node, Map)}
        order = topological(self.roots, self.children)
        self.uses: Counter[Node] = uses_of(self.roots, self.children)
        for node in order:
            self.write(node)

    def children(self, node: Node) -> list[Node]:
        """The nodes whose text the text of a node holds."""
        if node not in self.shown:
            self.shown[node] = list(self.seen_children(node))
        return self.shown[node]

    def seen_children(self, node: Node) -> Sequence[Node]:
        """As `children`, found for the first time."""
        if isinstance(node, Map):
            softmax = softmax_of(node)
            if softmax is not None:
                return [softmax[0]]
            opposite = self.opposite(node)
            if opposite is not None:
                return [opposite]
            if base_and_exponent(node)[1] != 1:
                return node.args[:1]
        return [child for child in node.children if number_of(child) is None]

    def opposite(self, node: Map) -> Map | None:
        """σ(x) where the node is σ(-x) and both stand in the formula: it is written 1 - σ(x)."""
        if node.function.name != "sigmoid" or not self.style.fold_negative_sigmoid:
            return None
        arg = node.args[0]
        if isinstance(arg, Product) and not arg.is_core and arg.coefficient < 0:  # type: ignore[operator]
            other = map_node(ROWS["sigmoid"], (scale(-1, arg),))
        elif isinstance(arg, Add) and arg.terms[0][0] < 0:
            other = map_node(ROWS["sigmoid"], (scale(-1, arg),))
        else:
            return None
        return other if isinstance(other, Map) and other in self.present else None

    def write(self, node: Node) -> None:
        """Find the form of a node and name it where that makes the whole shorter."""
        if isinstance(node, Symbol):
            text = self.style.truncated(node.ndim) if node.name.startswith(ELLIPSIS) else self.style.name(node.name, node.ndim)
            self.forms[node, False] = self.forms[node, True] = Monomial(body=text)
            return
        form = self.form(node, implicit=True)
        if form is None:
            self.entries.entry_form(node)
        uses = self.uses[node]
        if uses < 2 or not can_be_named(node) or (isinstance(node, Map) and self.opposite(node) is not None):
            return
        width = len(self.style.monomial(form or self.entries.entry_form(node)[1]).text)
        if width >= WORTH_NAMING and (uses - 1) * (width - 1) >= SAVES:
            self.name(node)

    def name(self, node: Node) -> Piece:
        """Give the node a name and a line in the where block."""
        form = self.form(node, implicit=False)
        piece = self.style.name(self.names.fresh(letter(node)), node.ndim)
        if form is not None:
            text = f"{piece.text} = {self.signed(form).text}"
        else:
            indices, body = self.entries.written(node)
            body = Piece(bound_letters(body.text, self.names.taken), body.level)
            indices = [bound_letters(i, self.names.taken) for i in indices]
            text = f"{self.style.entry(piece, indices).text} = {body.text}"
        self.definitions.append((node, text))
        self.named[node] = piece
        self.forms[node, False] = self.forms[node, True] = Monomial(body=piece)
        return piece

    def stays(self, node: Node) -> bool:
        """Whether a core is not opened into the product that reads it: it has a name."""
        return node in self.named

    def piece(self, node: Node, implicit: bool = False) -> Piece:
        """The node as one piece; it gets a name where it has no matrix form."""
        form = self.form(node, implicit)
        if form is None:
            return self.name(node) if node.ndim else self.signed(self.entries.entry_form(node)[1])
        return self.signed(form)

    def signed(self, form: Monomial) -> Piece:
        """The monomial with its sign."""
        piece = self.style.monomial(form)
        return self.style.total([(True, piece)]) if form.coefficient < 0 else piece  # type: ignore[operator]

    def form(self, node: Node, implicit: bool = False) -> Monomial | None:
        """The matrix form, None where there is none; `implicit` leaves out axes that NumPy would broadcast."""
        key = (node, implicit or not isinstance(node, Product))
        if key not in self.forms:
            try:
                self.forms[key] = self.found_form(node, implicit)
            except NoMatrixForm:
                self.forms[key] = None
        return self.forms[key]

    def found_form(self, node: Node, implicit: bool) -> Monomial:
        """The matrix form; raises `NoMatrixForm`."""
        if isinstance(node, Constant):
            return Monomial(body=self.constant(node))
        if self.indices:
            raise NoMatrixForm
        if isinstance(node, Add):
            return self.sum(node)
        if isinstance(node, Product):
            return self.products.form(node, implicit)
        if isinstance(node, Map):
            return self.map(node)
        if isinstance(node, Reduce):
            axes = None if len(node.axes) == node.arg.ndim else node.axes
            word = node.function.name
            return Monomial(body=self.style.reduction(word, self.piece(node.arg, True), axes, node.ndim))
        args = ", ".join(self.piece(child).text for child in node.children)
        return Monomial(body=self.style.call_word(node.operation.name, args, node.ndim))  # type: ignore[attr-defined]

    def constant(self, node: Constant) -> Piece:
        """A size, a counting vector, or an array (in full where it is short)."""
        if isinstance(node.value, Dim):
            return self.style.size(node.value)
        if isinstance(node.value, str):
            return self.style.call_word("arange", self.style.size(node.shape[0]).text, 1)
        if node.value.size <= 4:
            return Piece(str(node.value.tolist()), ATOM, node.ndim)
        return self.style.call_word("constant", shape_text(node.shape), node.ndim)

    def sum(self, node: Add) -> Monomial:
        """A sum: concatenations, then terms with what they share in front."""
        stacked = concatenation(node)
        if stacked is not None:
            axis, parts = stacked
            pieces = [self.signed(self.with_coefficient(c, part)) for c, part in parts]
            return Monomial(body=self.style.stacked(pieces, axis, node.ndim))
        forms = [self.with_coefficient(c, term, implicit=True) for c, term in node.terms]
        return sum_form(forms, self.style, node.ndim)

    def with_coefficient(self, c: Number, node: Node, implicit: bool = False) -> Monomial:
        """c · node as a monomial; raises `NoMatrixForm`."""
        form = self.form(node, implicit)
        if form is None:
            raise NoMatrixForm
        return Monomial(exact(c * form.coefficient), form.scalars, form.body, form.divisors)

    def negative(self, node: Node) -> Monomial | None:
        """The form of −(a − b) as b − a."""
        assert isinstance(node, Add)
        forms = [self.with_coefficient(exact(-c), term, implicit=True) for c, term in node.terms]
        return sum_form(forms, self.style, node.ndim)

    def map(self, node: Map) -> Monomial:
        """A scalar function, with its own notation for powers, roots, norms and softmax."""
        for child in self.children(node):
            if self.form(child, True) is None:
                raise NoMatrixForm
        style = self.style
        base, p = base_and_exponent(node)
        if p != 1:
            return self.powered(self.piece(base, True), p, node.ndim)
        softmax = softmax_of(node)
        if softmax is not None:
            arg, axis = softmax
            return Monomial(body=style.reduction("softmax", self.piece(arg, True), axis, node.ndim))
        opposite = self.opposite(node)
        if opposite is not None:
            return Monomial(body=style.total([(False, style.number(1)), (True, self.piece(opposite))]))
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
        if not isinstance(node, Product) or not node.is_core or node.ndim or len(node.factors) != 1 or node in self.named:
            return None
        base, p = base_and_exponent(node.factors[0][0])
        if p != 2 or any(type(i) is not int for i in node.factors[0][1]):
            return None
        return self.style.norm(self.piece(base))

    def powered(self, base: Piece, p: Number, axes: int) -> Monomial:
        """xᵖ, a quotient for negative p."""
        size = exact(abs(p))
        root = size == 0.5
        power = base if size == 1 else self.style.root(base) if root else self.style.power(base, self.style.number(size))
        if p < 0:
            return Monomial(body=Piece("1", axes=axes) if axes else None, divisors=(power,))
        return Monomial(body=power)

    def text(self, root: Node) -> str:
        """The formula of a root."""
        form = None if self.indices else self.form(root)
        if form is not None:
            return self.signed(form).text
        indices, body = self.entries.written(root)
        piece = self.style.binder(indices, body, root.ndim) if indices else body
        return bound_letters(piece.text, self.names.taken)

    def where(self) -> list[str]:
        """The lines of the where block, in order of dependency."""
        return [bound_letters(text, self.names.taken) for _, text in self.definitions]


def softmax_of(node: Map) -> tuple[Node, tuple[int, ...] | None] | None:
    """(x, axis to show) where the node is exp(x - logsumexp(x)) along some axes."""
    if node.function.name != "exp_difference":
        return None
    x, shift = node.args
    lse: Node | None = shift
    at: tuple[Index, ...] = ()
    if isinstance(shift, Product) and len(shift.factors) == 1 and shift.coefficient == 1:
        lse, at = shift.factors[0]
    if not isinstance(lse, Reduce) or lse.function.name != "logsumexp" or lse.arg is not x:
        return None
    kept = tuple(a for a in range(x.ndim) if a not in lse.axes)
    if at != kept or any(list(labels_of(i)) != [i] for i in at):
        return None
    return x, None if lse.axes in ((x.ndim - 1,), tuple(range(x.ndim))) and x.ndim <= 2 and len(lse.axes) == 1 else lse.axes
