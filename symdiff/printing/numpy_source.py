"""A paste-able NumPy function for an expression: readable where a matrix form exists, else einsum and index arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symdiff.expression import Add, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import index_of
from symdiff.index_notation import Index, form_of, inside, labels_of
from symdiff.loops import is_scan
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.numpy_loops import alike, write_loop
from symdiff.printing.numpy_sizes import is_size, size_lines, sizes_under, with_turns
from symdiff.printing.numpy_style import NumpyStyle
from symdiff.printing.numpy_words import RESERVED, Words, may_warn
from symdiff.printing.picks import read_by, values_of
from symdiff.printing.pieces import ATOM, COMPARISON, HADAMARD, SUM, Monomial, Piece
from symdiff.printing.reading import clipped, cuts_of
from symdiff.printing.sources import Helpers
from symdiff.printing.sums import concatenation
from symdiff.printing.writer import Writer
from symdiff.sizes import Size
from symdiff.tensor_type import FLOATING
from symdiff.traversal import symbols_of, topological

LETTERS = "ijklmnopqrstuvwxyzabcdefgh"
INFIX = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
         "logical_and": "&", "logical_or": "|", "logical_xor": "^"}
WIDE, DEEP = 90, 12


class SourceWriter(Writer):
    """Writes the body of a NumPy function; what is used twice, is long, or needs a statement gets a line."""

    def __init__(self, roots: Sequence[Node], outer: SourceWriter | None = None) -> None:
        self.words: Words = outer.words if outer else Words()
        for symbol in sorted(symbols_of(roots), key=lambda s: s.name in RESERVED):
            self.words.argument(symbol)
        for size in sizes_under(roots):
            self.words.size(size)
        self.helpers: Helpers = outer.helpers if outer else Helpers(self.words)
        self.body: list[str] = []
        self.order = nodes = topological(roots)
        kinds = {n.dtype for n in topological(roots, values_of) if n.dtype != "bool" and not is_size(n)}
        self.pure = kinds <= {"float64"} or kinds == {"float32"}
        self.depth: dict[Node, int] = {}
        # What no symbol enters may be a Python number in the text, which has no dtype of its own.
        self.weak: set[Node] = set()
        for node in nodes:
            if not is_array(node) and all(child in self.weak for child in node.children):
                self.weak.add(node)
        self.numpy = NumpyStyle(self.words, "float32" if kinds == {"float32"} else "float64")
        super().__init__(roots, self.numpy, limit=None)

    def seen_children(self, node: Node) -> Sequence[Node]:
        """The children that are no numbers."""
        if isinstance(node, Add) and self.multiple(node)[1] is not node and self.pure:
            return [self.multiple(node)[1]]
        if isinstance(node, Map) and base_and_exponent(node)[1] != 1:
            return list(node.args[:1])
        return [child for child in read_by(node) or node.children if number_of(child) is None]

    def write(self, node: Node) -> None:
        """As for formulas; long and deep parts get a line too."""
        if isinstance(node, Symbol):
            argument = self.style.name(self.words.argument(node), node.ndim)
            self.forms[node, False] = self.forms[node, True] = Monomial(body=argument)
            return
        if is_scan(node):
            if node not in self.named:
                write_loop(self, alike(node, self.order), lambda turn: SourceWriter(turn, self))
            self.depth[node] = 0
            return
        self.depth[node] = 1 + max((self.depth.get(child, 0) for child in self.children(node)), default=0)
        if number_of(node) is not None or (isinstance(node, Constant) and not isinstance(node.value, np.ndarray)):
            return
        view = isinstance(node, Product) and len(node.factors) == 1 and not node.is_core
        text = self.signed(self.required(node)).text
        self.form(node)
        shared = self.uses[node] > 1 and not view and (len(text) > 12 or isinstance(node, (Map, Reduce)))
        if shared or self.depth[node] >= DEEP or len(text) > WIDE:
            self.name(node)
            self.depth[node] = 0

    def required(self, node: Node) -> Monomial:
        """The implicit form."""
        form = self.form(node, True)
        assert form is not None
        return form

    def explicit(self, node: Node) -> Piece:
        """As `piece`, which shows the full shape."""
        return self.piece(node)

    def name(self, node: Node) -> Piece:
        """A line `name = …`."""
        text = self.signed(self.form(node, False) or Monomial()).text
        fresh = self.words.temporary(node)
        self.body.append(f"{fresh} = {text}")
        return self.known(node, fresh)

    def known(self, node: Node, name: str) -> Piece:
        """The node is in a variable from now on."""
        piece = Piece(name, ATOM, node.ndim)
        self.named[node] = piece
        self.forms[node, False] = self.forms[node, True] = Monomial(body=piece)
        return piece

    def found_form(self, node: Node, implicit: bool) -> Monomial:
        """The source of a node, cast to its dtype where NumPy's rules might give another one."""
        if isinstance(node, Product) and not node.factors and number_of(node) is not None and implicit:
            return Monomial(node.coefficient)
        form = self.uncast(node, implicit)
        if self.pure:
            return form
        return Monomial(body=Piece(f"np.asarray({self.signed(form).text}, {node.dtype!r})", ATOM, node.ndim))

    def uncast(self, node: Node, implicit: bool) -> Monomial:
        """The source of a node."""
        if isinstance(node, Reduce):
            inner = self.piece(node.arg).text
            word = self.helpers.call(node.function.numpy)
            return Monomial(body=Piece(f"{word}({inner}, axis={node.axes})", ATOM, node.ndim))
        if isinstance(node, Product):
            return self.product(node, implicit)
        if isinstance(node, Add) and not self.pure:
            kind = repr(node.dtype)
            terms = [(False, Piece(f"np.asarray({self.piece(t).text}, {kind}) * {self.literal(c, node)}", HADAMARD))
                     for c, t in node.terms]
            return Monomial(body=Piece(self.style.total(terms).text, SUM, node.ndim))
        return super().found_form(node, implicit)

    def literal(self, c: object, node: Node) -> str:
        """A coefficient in the dtype of a node."""
        if node.dtype in FLOATING:
            value = float(c)  # type: ignore[arg-type]
            return repr(value) if np.isfinite(value) else str(value).replace("nan", "np.nan").replace("inf", "np.inf")
        return repr(bool(c) if node.dtype == "bool" else c)

    def sum(self, node: Add, implicit: bool = False) -> Monomial:
        """A sum; concatenations need arrays of full shape."""
        c, inner = self.multiple(node)
        if inner is not node:
            return self.with_coefficient(c, inner)
        stacked = concatenation(node)
        if stacked is not None:
            axis, parts = stacked
            pieces = [self.signed(self.with_coefficient(c, part)) for c, part in parts]
            return Monomial(body=self.style.stacked(pieces, axis, node.ndim))
        form = super().sum(node, implicit)
        return form if any(self.fills(term) for _, term in node.terms) else self.spread(self.signed(form).text, node)

    def fills(self, term: Node) -> bool:
        """Whether the text of a term has the full shape."""
        if not isinstance(term, Product):
            return True
        term = clipped(term)
        used = {label for _, at in term.factors for i in at for label in labels_of(i)}
        return not is_dense(term) or all(label in used for label in term.out)

    def spread(self, text: str, node: Node) -> Monomial:
        """The text, whose shape may be smaller, as an array of the node's shape and dtype."""
        shape = self.numpy.shape(node.shape)
        call = f"np.full({shape}, {text}, {node.dtype!r})" if node in self.weak else f"np.broadcast_to({text}, {shape})"
        return Monomial(body=Piece(call, ATOM, node.ndim))

    def constant(self, node: Constant) -> Monomial:
        """A size, a counting vector, an array."""
        if isinstance(node.value, np.ndarray):
            text = repr(node.value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
            return Monomial(body=Piece(f"np.array({text}, {node.dtype!r})", ATOM, node.ndim))
        if isinstance(node.value, str):
            text = f"np.arange({self.style.size(node.shape[0]).text}, dtype={node.dtype!r})"
            return Monomial(body=Piece(text, ATOM, 1))
        return Monomial(body=self.style.size(node.value))

    def map(self, node: Map) -> Monomial:
        """A scalar function."""
        known = index_of(node)
        if known is not None and known[1] == node.ndim - 1:
            size, index = self.style.size(node.shape[-1]).text, self.style.wrap(self.piece(known[0]), ATOM)
            within = f"({index} % {self.style.wrap(self.style.size(node.shape[-1]), ATOM)})[..., None]"
            return Monomial(body=Piece(f"{within} == np.arange({size})", COMPARISON, node.ndim))
        base, p = base_and_exponent(node)
        if p != 1 and self.pure:
            form = self.powered(self.piece(base, True), p, node.ndim)
            return form if self.fills(base) else self.spread(self.signed(form).text, node)
        weak = all(arg in self.weak or arg.dtype == "bool" for arg in node.args)
        args = [Piece(self.literal(number_of(arg), arg)) if weak and number_of(arg) is not None else self.argument(arg)
                for arg in node.args]
        name = node.function.name
        if name in INFIX:
            left, right = (self.style.wrap(arg, ATOM) for arg in args)
            return Monomial(body=Piece(f"{left} {INFIX[name]} {right}", COMPARISON, node.ndim))
        if name in ("number", "guard"):
            # A guard may be a truth value itself.
            text = f"np.where({args[0].text}, 1.0, 0.0)" if node.dtype != "bool" else f"np.asarray({args[0].text}, 'bool')"
        elif name == "class_number":
            text = self.style.wrap(args[0], ATOM)
        else:
            word = self.helpers.call(node.function.numpy)
            text = f"{word}({', '.join(self.typed(arg, a, word) for arg, a in zip(node.args, args, strict=True))})"
        if weak and node.dtype == "float32":
            text = f"np.asarray({text}, 'float32')"
        whole = not node.ndim or any(self.fills(arg) for arg in node.args)
        return Monomial(body=Piece(text, ATOM, node.ndim)) if whole else self.spread(text, node)

    def typed(self, node: Node, piece: Piece, word: str) -> str:
        """An argument of a function; helper functions may compute with it alone, where a number would be float64."""
        alone = self.numpy.dtype == "float32" and node in self.weak and not word.startswith("np.")
        return f"np.float32({piece.text})" if alone else piece.text

    def product(self, node: Product, implicit: bool) -> Monomial:
        """A product: matrices where that is the same, else `einsum` or a grid of all labels."""
        picked = self.picked(node)
        if picked is not None:
            return picked
        node = clipped(node)
        leading = 0
        used = {label for _, at in node.factors for i in at for label in labels_of(i)}
        dense = is_dense(node)
        while dense and leading < node.ndim and leading not in used:
            leading += 1
        if leading and not implicit:
            if number_of(node) is None:
                return self.spread(self.piece(node, True).text, node)
            kind = "" if node.dtype in ("float64", "bool") else f", {node.dtype!r}"
            value = self.literal(node.coefficient, node) + kind
            return Monomial(body=Piece(f"np.full({self.numpy.shape(node.shape)}, {value})", ATOM, node.ndim))
        if self.reads_as_matrices(node, dense, used):
            try:
                form = self.products.form(node, implicit)
                trailing = [k for k in range(leading, node.ndim) if dense and k not in used]
                if not trailing or implicit:
                    return form
                if form.body is not None:
                    return self.spread(self.signed(form).text, node)
            except NoMatrixForm:
                pass
        return Monomial(body=self.grid(node))

    def reads_as_matrices(self, node: Product, dense: bool, used: set[int]) -> bool:
        """Whether a matrix form of the product, where there is one, means the same in NumPy."""
        if not self.pure or not self.multiplies(node):
            return False
        if dense:
            return len(set(node.out)) == node.ndim or node.ndim == 2
        # NumPy does not broadcast what it pads.
        written = {label for index in node.out for label in labels_of(index)}
        whole = written <= used or not written & used
        return whole and not node.is_core and (len(set(node.out)) == node.ndim or node.ndim == 2)

    def multiplies(self, node: Product) -> bool:
        """Whether the factors are numbers that NumPy multiplies in the dtype of the product, and no guards."""
        guarded = any(isinstance(f, Map) and "guard" in f.function.traits for f, _ in node.factors)
        return not guarded and {f.dtype for f, _ in node.factors} <= {node.dtype, "float64"}

    def grid(self, node: Product) -> Piece:
        """The product over the grid of all its labels, summed, and scattered where `out` says so."""
        count = len(node.extents)
        extents = dict(enumerate(node.extents))
        kinds = [np.dtype(node.dtype), *[np.dtype(f.dtype) for f, _ in node.factors if f.dtype != "bool"]]
        kind = np.result_type(*kinds).name
        grids: dict[int, str] = {}
        masks: list[str] = []
        values: list[tuple[str, tuple[int, ...]]] = []
        for f, at in node.factors:
            text = self.style.wrap(self.piece(f), ATOM)
            read = cuts_of(f, at, extents)
            labels: tuple[int, ...]
            if read is not None:
                cuts, labels = read
                if not all(c.whole for c in cuts):
                    text = f"{text}[{', '.join(self.style.cut(c) for c in cuts)}]"
            else:
                indices = ", ".join(self.position(i, grids, node.extents) for i in at)
                labels = tuple(range(count))
                if not all(inside(i, s, extents) for i, s in zip(at, f.shape, strict=True)):
                    masks.append(f"{self.helpers.own('inside')}({text}, {indices})")
                text = f"{self.helpers.own('read')}({text}, {indices})"
            if isinstance(f, Map) and "guard" in f.function.traits and f not in self.named:
                whole = read is not None and all(c.whole for c in read[0]) and len(f.args) == 1
                held = self.piece(f.args[0]).text if whole else f"{text} != 0"
                masks.append(self.aligned(f"({held})", labels, count))
            elif isinstance(f, Map) and "guard" in f.function.traits:
                masks.append(self.aligned(f"({text} != 0)", labels, count))
            else:
                values.append((text if f.dtype != "bool" and self.pure else f"np.asarray({text}, {kind!r})", labels))
        plain = is_dense(node)
        total = self.contracted(node, values, count) if plain and not masks and values and not grids else None
        if total is None:
            total = " * ".join(self.aligned(text, labels, count) for text, labels in values) or f"np.{kind}(1)"
            if masks:
                total = f"np.where({' & '.join(masks)}, {total}, {self.literal(0, node)})"
            if count:
                total = f"np.broadcast_to({total}, {self.numpy.shape(node.extents)})"
            if node.summed:
                total = f"np.sum({total}, axis={node.summed})"
        if node.coefficient != 1:
            total = f"{self.literal(node.coefficient, node)} * ({total})"
        if plain:
            return Piece(total, HADAMARD, node.ndim)
        kept = [label for label in range(count) if label not in node.summed]
        at_out = {label: k for k, label in enumerate(kept)}
        grids.clear()
        places: dict[int, str] = {}
        for label in kept:
            shape = ", ".join(":" if k == at_out[label] else "None" for k in range(len(kept)))
            places[label] = f"np.arange({self.style.size(node.extents[label]).text})[{shape}]"
        indices = ", ".join(self.affine(i, places) for i in node.out)
        word = self.helpers.own("scatter")
        return Piece(f"{word}({self.numpy.shape(node.shape)}, {total}, {indices})", ATOM, node.ndim)

    def contracted(self, node: Product, values: list[tuple[str, tuple[int, ...]]], count: int) -> str | None:
        """Scalars and one einsum, where every label of the result is in a factor."""
        present = {label for _, labels in values for label in labels}
        if count > len(LETTERS) or len(present) < count:
            return None
        factors = [text for text, labels in values if not labels]
        arrays = [(text, labels) for text, labels in values if labels]
        if [labels for _, labels in arrays] == [node.out]:
            factors += [text for text, _ in arrays]
        elif arrays:
            inputs = ",".join("".join(LETTERS[label] for label in labels) for _, labels in arrays)
            out = "".join(LETTERS[label] for label in range(node.ndim))
            factors.append(f'np.einsum("{inputs}->{out}", {", ".join(text for text, _ in arrays)})')
        return " * ".join(factors)

    def aligned(self, text: str, labels: tuple[int, ...], count: int) -> str:
        """The array with its axes at the places of its labels on the grid."""
        if len(set(labels)) != len(labels) or list(labels) != sorted(labels):
            order = sorted(set(labels))
            inputs = "".join(LETTERS[label] for label in labels)
            text = f'np.einsum("{inputs}->{"".join(LETTERS[label] for label in order)}", {text})'
            labels = tuple(order)
        if len(labels) == count or not labels:
            return text
        return f"{text}[{', '.join(':' if k in labels else 'None' for k in range(count))}]"

    def position(self, index: Index, grids: dict[int, str], extents: Sequence[Size]) -> str:
        """An affine index over the grid of all labels."""
        for label in labels_of(index):
            if label not in grids:
                shape = ", ".join(":" if k == label else "None" for k in range(len(extents)))
                grids[label] = f"np.arange({self.style.size(extents[label]).text})[{shape}]"
        grids.setdefault(-1, "")
        return self.affine(index, grids)

    def affine(self, index: Index, names: dict[int, str]) -> str:
        """The text of an affine index."""
        constant, terms = form_of(index)
        parts = [names[label] if c == 1 else f"{self.style.wrap(self.style.size(c), ATOM)} * {names[label]}"
                 for label, c in terms]
        if constant != 0 or not parts:
            parts.append(self.style.wrap(self.style.size(constant), ATOM))
        return " + ".join(parts)

    def stays(self, node: Node) -> bool:
        """Whether a core is not opened: it has a name, or is no product of matrices."""
        return super().stays(node) or (isinstance(node, Product) and not self.multiplies(node))


def is_array(node: Node) -> bool:
    """Whether a leaf is an array in the text, whatever else it is made of."""
    return isinstance(node, Symbol) or (isinstance(node, Constant) and not is_size(node))


def is_dense(node: Product) -> bool:
    """Whether each label of the result runs over the whole axis."""
    return node.out == tuple(range(node.ndim)) and node.extents[:node.ndim] == node.shape


def numpy_function(roots: Sequence[Node], back: Callable[[list[str]], str], name: str = "f") -> str:
    """The source of a function of the symbols, and of sizes that their shapes do not tell, that returns the roots.

    `back` writes the texts of the roots in the structure that is returned.
    """
    writer = SourceWriter(roots)
    results = []
    for root in roots:
        text = writer.text(root)
        if not root.shape and root in writer.weak:
            text = f"np.{root.dtype if root.dtype != 'bool' else 'bool_'}({text})"
        results.append(text)
    text = "\n".join([*writer.body, *results])
    sizes, missing = size_lines(roots, text, writer.numpy)
    lines = [f"    {line}" for line in [*sizes, *writer.body]]
    arguments = [writer.words.argument(s) for s in symbols_of(roots)] + missing
    quiet = "np.inf" in text or any(may_warn(n) for n in with_turns(roots) if isinstance(n, Map))
    head = ["import math"] if writer.helpers.uses_math else []
    head += ["import numpy as np", ""]
    for source in writer.helpers.sources.values():
        head += ["", source, ""]
    decorator = ['@np.errstate(all="ignore")'] if quiet else []
    return "\n".join([*head, "", *decorator, f"def {name}({', '.join(arguments)}):", *lines,
                      f"    return {back(results)}", ""])
