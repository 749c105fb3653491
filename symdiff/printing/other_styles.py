"""The ASCII style, which can be typed, and the LaTeX style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from symdiff.expression import Number
from symdiff.functions.row import ReduceRow, ScalarRow
from symdiff.printing.latex_names import escaped, scripted, scripts_at_end, spellings
from symdiff.printing.naming import Distinct, numbered, spelled
from symdiff.printing.pieces import (
    ATOM,
    CHAIN,
    COMPARISON,
    HADAMARD,
    POWER,
    SUM,
    Cut,
    Part,
    Piece,
    denominator_of,
    numerator_of,
)
from symdiff.printing.style import MatrixStyle

PLAIN_WORDS = {"σ": "sigmoid", "≠": "!=", "≤": "<=", "≥": ">=", "∧": "and", "∨": "or", "⊻": "xor", "¬": "not",
               "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "φ": "pdf", "Φ": "cdf", "²": "^2"}
OPENED = re.compile(r"(\\left[(|\[]|\{\{|\{\{cases\}\}|\\lfloor|\\lceil|, |\\text\{\{if \}\} |&|\\\\)\s*$")
COMMAND = re.compile(r"\\[A-Za-z]+$")
# What a fraction or the cases of a function stand beside goes with them, but no exponent does.
OPEN = re.compile(r"^\\frac|\\end\{\{cases\}\}$")
CLOSED = re.compile(r"\s*(\\right|\}\}|,|&|\\\\|\\end)")


class AsciiStyle(MatrixStyle):
    """Formulas in plain characters: `X^T (X w - y) / n`, `norm(r)^2`, `p .* (1 - p)`, `sum[j] k[j] x[i + j]`."""

    odot, transpose, dots, sigma, arrow, becomes, element = " .* ", "^T", "...", "sum", " -> ", "<-", "in"

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.shown = Distinct()
        for name in sorted(names, key=lambda name: not name.isascii()):
            self.name(name)

    def name(self, text: str, axes: int = 0) -> Piece:
        """A name; Greek letters and others that cannot be typed are spelled."""
        plain = spelled(text)
        return Piece(self.shown.of(text, chain((plain,), numbered(f"{plain}_"))), ATOM, axes, name=True)

    def number(self, value: Number) -> Piece:
        """A number; infinity as a word."""
        return Piece("inf") if value == float("inf") else super().number(value)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """x^2."""
        return Piece(f"{self.wrap(base, ATOM)}^{self.wrap(exponent, ATOM)}", POWER, base.axes)

    def root(self, piece: Piece) -> Piece:
        """sqrt(x)."""
        return self.call_word("sqrt", piece.text, piece.axes)

    def norm(self, piece: Piece) -> Piece:
        """norm(x)."""
        return Piece(f"norm({piece.text})", ATOM, norm=True)

    def template(self, row: ScalarRow | ReduceRow) -> str:
        """The notation of a row in plain characters."""
        text = super().template(row)
        if text.startswith("|"):
            return f"{row.name}({{0}})"
        for mark, word in PLAIN_WORDS.items():
            text = text.replace(mark, word)
        return text

    def equal_labels(self, a: str, b: str) -> Piece:
        """delta[a, b]."""
        return Piece(f"delta[{a},{b}]", ATOM)

    def truncated(self, axes: int) -> Piece:
        """What is left out."""
        return Piece("...", ATOM, axes)


class LatexStyle(MatrixStyle):
    r"""LaTeX: `X^{\top} \left(X w - y\right)`, `\frac{…}{n}`, `\left\|r\right\|^{2}`, `\lambda`."""

    odot, transpose, dots, arrow = r" \odot ", r"^{\top}", r"\ldots", r" \mapsto "
    becomes, element = r"\leftarrow", r"\in"

    def parens(self, text: str) -> str:
        """Parentheses that grow."""
        return rf"\left({text}\right)"

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.shown = Distinct()
        for name in names:
            self.name(name)

    def name(self, text: str, axes: int = 0) -> Piece:
        """A name, which looks like no other one."""
        return Piece(self.shown.of(text, spellings(text)), ATOM, axes, name=True)

    def number(self, value: Number) -> Piece:
        """A number; powers of ten for floats with exponents."""
        if value == float("inf"):
            return Piece(r"\infty")
        if value != value:
            return Piece(r"\mathrm{nan}")
        if denominator_of(value) != 1:
            return Piece(rf"\frac{{{numerator_of(value)}}}{{{denominator_of(value)}}}", POWER)
        plain = super().number(value)
        mantissa, e, exponent = plain.text.partition("e")
        return Piece(rf"{mantissa} \cdot 10^{{{int(exponent)}}}", CHAIN) if e else plain

    def quotient(self, head: Piece, below: Sequence[Piece], axes: int) -> Piece:
        """A fraction; a long matrix numerator keeps a small fraction in front."""
        under = self.divisor(below).text
        if head.axes and not any(b.axes for b in below) and head.level >= SUM and len(head.text) > 12 \
                and not head.text[0].isdigit():
            return Piece(rf"\frac{{1}}{{{under}}} {self.wrap(head, HADAMARD)}", CHAIN, axes)
        return Piece(rf"\frac{{{head.text}}}{{{under}}}", CHAIN, axes)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """x^{2}."""
        return Piece(scripted(self.wrap(base, ATOM), "^", exponent.text), POWER, base.axes)

    def transposed(self, text: str) -> str:
        """The transpose of an atom."""
        return scripted(text, "^", r"\top")

    def root(self, piece: Piece) -> Piece:
        """A root."""
        return Piece(rf"\sqrt{{{piece.text}}}", ATOM, piece.axes)

    def diag(self, piece: Piece, offset: int = 0) -> Piece:
        """diag(v)."""
        low = f"_{{{offset:+d}}}" if offset else ""
        return Piece(rf"\operatorname{{diag}}{low}\left({piece.text}\right)", ATOM, 2)

    def trace(self, piece: Piece) -> Piece:
        """tr(A)."""
        return self.call_word("tr", piece.text)

    def norm(self, piece: Piece) -> Piece:
        """The norm."""
        return Piece(rf"\left\|{piece.text}\right\|", ATOM, norm=True)

    def call_word(self, word: str, arguments: str, axes: int = 0) -> Piece:
        """A function by its name."""
        shown = "\\" + word if word in ("max", "min") else rf"\operatorname{{{escaped(word)}}}"
        return Piece(rf"{shown}\left({arguments}\right)", ATOM, axes)

    def axis_word(self, axes: Sequence[int]) -> str:
        """The axis argument of a reduction."""
        return rf"\text{{axis }} {','.join(str(a) for a in axes)}"

    def template(self, row: ScalarRow | ReduceRow) -> str:
        """The LaTeX of a row; by its name where a symbol looks like its letter."""
        letter = row.latex.partition(r"\left")[0]
        if row.latex and letter not in self.shown.taken:
            return row.latex
        return rf"\operatorname{{{{{escaped(row.name)}}}}}\left({{0}}\right)"

    def call(self, row: ScalarRow, args: Sequence[Piece]) -> Piece:
        """A scalar function by the template of its row; arguments in braces need no parentheses."""
        if row.infix == "power" and len(args) == 2:
            return self.power(args[0], args[1])
        template = self.template(row)

        def argument(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            arg = args[int(match[1])]
            before, after = template[:match.start()], template[match.end():]
            if OPENED.search(before) and CLOSED.match(after):
                return f" {arg.text}" if COMMAND.search(before) and arg.text[:1].isalpha() else arg.text
            comparing = row.infix == "comparison" or " > " in after or " > " in before
            return self.wrap(arg, SUM if comparing else POWER)
        text = re.sub(r"\{\{|\}\}|\{(\d)\}", argument, template)
        bound = ATOM if not OPEN.search(template) else CHAIN
        level = {"comparison": COMPARISON, "product": CHAIN}.get(row.infix, POWER if scripts_at_end(text) else bound)
        return Piece(text, level, max((a.axes for a in args), default=0))

    def sliced(self, piece: Piece, cuts: Sequence[Cut], axes: int) -> Piece:
        """A slice as a subscript."""
        return Piece(scripted(self.wrap(piece, ATOM), "_", ",".join(self.cut(c) for c in cuts)), ATOM, axes)

    def stacked(self, pieces: Sequence[Piece], axis: int, axes: int) -> Piece:
        """A block column or row."""
        between = r" \\ " if axis == 0 else " & "
        return Piece(rf"\begin{{bmatrix}} {between.join(p.text for p in pieces)} \end{{bmatrix}}", ATOM, axes)

    def entry(self, piece: Piece, indices: Sequence[str]) -> Piece:
        """A subscript."""
        if not indices:
            return piece
        return Piece(scripted(self.wrap(piece, ATOM), "_", ",".join(indices)), ATOM)

    def summed(self, word: str, labels: Sequence[str], body: Piece) -> Piece:
        """A sum over labels."""
        shown = r"\sum" if word == "sum" else rf"\operatorname*{{{word}}}"
        return Piece(f"{shown}_{{{','.join(labels)}}} {self.wrap(body, CHAIN)}", CHAIN)

    def equal_labels(self, a: str, b: str) -> Piece:
        """Kronecker's delta, or a bracket beside a symbol that looks like it."""
        return Piece(rf"\left[{a} = {b}\right]" if r"\delta" in self.shown.taken else rf"\delta_{{{a},{b}}}", ATOM)

    def binder(self, indices: Sequence[str], body: Piece, axes: int) -> Piece:
        """The tensor with the given entries."""
        return Piece(rf"\left[{body.text}\right]_{{{','.join(indices)}}}", ATOM, axes)

    def truncated(self, axes: int) -> Piece:
        """What is left out."""
        return Piece(r"\ldots", ATOM, axes)

    def part(self, part: Part, level: int = POWER) -> str:
        """One member of a chain."""
        if part.kind == "ones":
            return r"\mathbf{1}" + (self.transpose if part.flipped else "")
        return super().part(part, level)

    def width(self, text: str) -> int:
        """The width of what is shown."""
        return len(re.sub(r"[{}]|\\(left|right|operatorname|mathrm|frac|begin|end)", "", re.sub(
            r"\\(top|odot|sigma|lambda|delta|alpha|beta|gamma|cdot)", "x", text)))

    def array(self, entries: Sequence[Piece], shape: Sequence[int]) -> Piece:
        """A matrix of entries; a vector as a column."""
        columns = shape[1] if len(shape) > 1 else 1
        rows = [" & ".join(p.text for p in entries[k:k + columns]) for k in range(0, len(entries), columns)]
        between = r" \\ "
        return Piece(rf"\begin{{bmatrix}} {between.join(rows)} \end{{bmatrix}}", ATOM, len(shape))
