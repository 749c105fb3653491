"""The matrix style: how sums, chains, ⊙, powers and the rest are written, with parentheses only where they are needed.

Other text styles change words and marks, not the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from math import log10

from msgspec.structs import replace

from symdiff.expression import Number
from symdiff.functions.row import ROWS, ReduceRow, ScalarRow
from symdiff.normal_form.numbers import exact
from symdiff.printing.pieces import (
    ATOM,
    CHAIN,
    COMPARISON,
    HADAMARD,
    POWER,
    QUOTIENT,
    SUM,
    Cut,
    Monomial,
    Part,
    Piece,
    denominator_of,
    numerator_of,
    size_of,
)
from symdiff.sizes import Monomial as SizeMonomial
from symdiff.sizes import Named, Size, combine, monomials

SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LEVELS = {"": ATOM, "atom": ATOM, "comparison": COMPARISON, "sum": SUM, "product": QUOTIENT, "power": POWER}
LONGEST = 10**40
OPENING, CLOSING = tuple("([⌊⌈|{"), tuple(")]⌋⌉|}")


class MatrixStyle:
    """Unicode formulas: `Xᵀ (X w - y) / n`, `‖r‖²`, `p ⊙ (1 - p)`, `Σ[j] k[j] x[i + j]`."""

    odot, transpose, dots, sigma, arrow, becomes, element = " ⊙ ", "ᵀ", "…", "Σ", " ↦ ", "←", "∈"
    fold_negative_sigmoid = exact_shapes = True
    # Whether zeros beside a diagonal or around a padded array stay zeros whatever scalar stands in front, NaN included.
    exact_zeros = False
    symbols: Container[str] = ()

    def wrap(self, piece: Piece, level: int) -> str:
        """The text, in parentheses where it binds less tightly than `level`."""
        return piece.text if piece.level >= level else self.parens(piece.text)

    def parens(self, text: str) -> str:
        """The text in parentheses."""
        return f"({text})"

    def name(self, text: str, axes: int = 0) -> Piece:
        """A user's symbol or a name of the where block."""
        return Piece(text, ATOM, axes, name=True)

    def number(self, value: Number) -> Piece:
        """A number that is not negative: shortest decimals for floats, a quotient for fractions."""
        if value != value:
            return Piece("nan")
        if value == float("inf"):
            return Piece("∞")
        if denominator_of(value) != 1:
            above, below = self.number(numerator_of(value)), self.number(denominator_of(value))
            return Piece(f"{above.text} / {below.text}", QUOTIENT)
        if isinstance(value, float):
            return Piece(str(int(value)) if value.is_integer() and value < 1e16 else f"{value:.15g}")
        value = numerator_of(value)
        return Piece(str(value) if value < LONGEST else rounded(int(value)))

    def size_name(self, name: str) -> str:
        """A named size; one that is called like a symbol says that it is a size."""
        return f"{name}_size" if name in self.symbols else name

    def size(self, size: Size) -> Piece:
        """A size used as a number: `n`, `n² - 1`, `⌊n / 2⌋`."""
        terms = [(c < 0, self.monomial(self.size_factors(m, abs(c)))) for m, c in monomials(size)]
        if not terms:
            return self.number(0)
        return terms[0][1] if len(terms) == 1 and not terms[0][0] else self.total(terms)

    def size_factors(self, factors: SizeMonomial, c: Number) -> Monomial:
        """c times the named sizes and floor quotients of a term of a size."""
        pieces = [self.raised(self.name(self.size_name(a.name)) if isinstance(a, Named) else self.call(
            ROWS["floor_divide"], [self.size(a.numerator), self.size(a.denominator)]), p) for a, p in factors]
        return Monomial(c, tuple(pieces))

    def total(self, terms: Sequence[tuple[bool, Piece]]) -> Piece:
        """a + b - c: pairs of (is it subtracted, term)."""
        text = ""
        for k, (negative, piece) in enumerate(terms):
            # What is subtracted may not be a sum itself.
            inner = self.wrap(piece, QUOTIENT if negative or k else SUM)
            text += f"{' - ' if k else '-'}{inner}" if negative else f"{' + ' if k else ''}{inner}"
        return Piece(text, SUM, max((p.axes for _, p in terms), default=0))

    def monomial(self, m: Monomial) -> Piece:
        """coefficient · scalars · body / divisors, without the sign of the coefficient."""
        plain = m.plain()
        if plain is not None:
            return plain
        c = size_of(m.coefficient)
        above = [self.number(numerator_of(c))] if numerator_of(c) != 1 else []
        above += self.gathered(m.scalars)
        below = [self.number(denominator_of(c))] if denominator_of(c) != 1 else []
        below += self.gathered(m.divisors)
        axes = m.body.axes if m.body is not None else 0
        ones = m.body is not None and m.body.text == "1" and m.body.axes
        if m.body is not None and not (ones and (above or below)):
            above.append(m.body)
        head = self.juxtaposed(above, axes)
        return self.quotient(head, below, axes) if below else head

    def gathered(self, pieces: Sequence[Piece]) -> list[Piece]:
        """x x as x², and x x² as x³."""
        exponents: dict[Piece, Number] = {}
        for piece in pieces:
            p = piece.exponent if isinstance(piece.exponent, int) else 1
            base = piece.root if p == piece.exponent else piece
            exponents[base] = exponents.get(base, 0) + p
        return [self.raised(base, p) for base, p in exponents.items()]

    def juxtaposed(self, above: Sequence[Piece], axes: int) -> Piece:
        """Scalars and a body side by side; a single ⊙ at the end needs no parentheses."""
        if not above:
            return Piece("1", axes=axes)
        if len(above) == 1:
            return above[0]
        last = above[-1]
        loose = last.level == HADAMARD and last.axes
        texts = [self.wrap(p, POWER) for p in above[:-1]] + [last.text if loose else self.wrap(last, CHAIN)]
        return Piece(self.beside(texts), HADAMARD if loose else CHAIN, axes)

    def beside(self, texts: Sequence[str]) -> str:
        """Factors one after the other."""
        return " ".join(texts)

    def quotient(self, head: Piece, below: Sequence[Piece], axes: int) -> Piece:
        """head / (a b), or head / (A ⊙ B)."""
        return Piece(f"{self.wrap(head, HADAMARD)} / {self.wrap(self.divisor(below), POWER)}", QUOTIENT, axes)

    def divisor(self, below: Sequence[Piece]) -> Piece:
        """The product of divisors: scalars, then arrays element by element."""
        arrays = [b for b in below if b.axes]
        front = [b for b in below if not b.axes]
        if arrays:
            front.append(self.hadamard(sorted(arrays, key=lambda b: not b.root.name)))
        return self.juxtaposed(front, 1 if arrays else 0)

    def hadamard(self, pieces: Sequence[Piece]) -> Piece:
        """a ⊙ b, element by element; scalars stand in front."""
        axes = max(p.axes for p in pieces)
        if len(pieces) == 1:
            return pieces[0]
        if axes == 0:
            return Piece(self.beside([self.wrap(p, POWER) for p in pieces]), CHAIN)
        # Powers of plain names last: (X - U Vᵀ) ⊙ M².
        last = [p for p in pieces if p.level == POWER]
        pieces = [p for p in pieces if p.level != POWER] + last
        return Piece(self.odot.join(self.wrap(p, POWER) for p in pieces), HADAMARD, axes)

    def part(self, part: Part, level: int = POWER) -> str:
        """One member of a chain."""
        if part.kind == "ones":
            return self.transposed("1") if part.flipped else "1"
        if part.kind == "diag":
            return self.diag(part.piece).text
        if part.flipped:
            return self.transposed(self.wrap(part.piece, ATOM))
        return self.wrap(part.piece, level)

    def transposed(self, text: str) -> str:
        """The transpose of an atom."""
        return text + self.transpose

    def chain(self, parts: Sequence[Part], axes: int) -> Piece:
        """A Bᵀ v."""
        if len(parts) == 1:
            p = parts[0]
            if p.kind == "plain" and not p.flipped:
                return p.piece
            return Piece(self.part(p), POWER if p.flipped else ATOM, axes)
        return Piece(self.beside([self.part(p) for p in parts]), CHAIN, axes)

    def outer(self, left: Sequence[Part], right: Sequence[Part]) -> Piece:
        """u vᵀ, where the right side is already transposed."""
        return self.chain([*left, *right], 2)

    def raised(self, piece: Piece, p: Number) -> Piece:
        """The piece to the power of a positive number; (x²)³ is x⁶, and (‖x‖²)^(1 / 2) is ‖x‖."""
        base = piece.root
        if base is not piece and (base.norm or (isinstance(p, int) and isinstance(piece.exponent, int))):
            return self.raised(base, exact(p * piece.exponent))
        if p == 1:
            return piece
        power = self.root(piece) if p == 0.5 else self.power(piece, self.number(p))
        return replace(power, base=piece, exponent=p)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """x², xᵖ as x^p."""
        text = exponent.text
        inner = self.wrap(base, ATOM)
        if text.isdigit() and inner[-1:] not in "⁰¹²³⁴⁵⁶⁷⁸⁹":
            return Piece(inner + text.translate(SUPERSCRIPT), POWER, base.axes)
        return Piece(f"{inner}^{self.wrap(exponent, ATOM)}", POWER, base.axes)

    def root(self, piece: Piece) -> Piece:
        """√x."""
        text = piece.text if piece.name or piece.norm or piece.text.isalnum() else self.parens(piece.text)
        return Piece(f"√{text}", POWER, piece.axes)

    def width(self, text: str) -> int:
        """The width of what is shown."""
        return len(text)

    def diag(self, piece: Piece, offset: int = 0) -> Piece:
        """diag(v), as a matrix of a vector or the other way round."""
        return Piece(f"diag({piece.text}{f', {offset}' if offset else ''})", ATOM, 2)

    def trace(self, piece: Piece) -> Piece:
        """tr(A)."""
        return self.call_word("tr", piece.text)

    def identity(self, size: Size) -> Piece:
        """The identity matrix."""
        return Piece("I", ATOM, 2)

    def ones(self, shape: Sequence[Size]) -> Piece:
        """A vector or array of ones where its size must be told: ones(n); the number 1 for no axes."""
        if not shape:
            return self.number(1)
        return self.call_word("ones", ", ".join(self.size(s).text for s in shape), len(shape))

    def zeros(self, shape: Sequence[Size]) -> Piece:
        """An array of zeros where its size must be told: zeros(n)."""
        return self.call_word("zeros", ", ".join(self.size(s).text for s in shape), len(shape))

    def norm_squared(self, piece: Piece) -> Piece:
        """‖x‖²."""
        return self.raised(self.norm(piece), 2)

    def norm(self, piece: Piece) -> Piece:
        """‖x‖."""
        return Piece(f"‖{piece.text}‖", ATOM, norm=True)

    def call_word(self, word: str, arguments: str, axes: int = 0) -> Piece:
        """A function by its name."""
        return Piece(f"{word}({arguments})", ATOM, axes)

    def axis_word(self, axes: Sequence[int]) -> str:
        """The axis argument of a reduction."""
        return f"axis={axes[0] if len(axes) == 1 else tuple(axes)}"

    def reduction(self, word: str, piece: Piece, axes: Sequence[int] | None, left: int) -> Piece:
        """sum(x), or sum(x, axis=0), which leaves `left` axes."""
        return self.call_word(word, piece.text + (f", {self.axis_word(axes)}" if axes is not None else ""), left)

    def template(self, row: ScalarRow | ReduceRow) -> str:
        """The notation of a row."""
        return row.text or row.name

    def call(self, row: ScalarRow, args: Sequence[Piece]) -> Piece:
        """A scalar function of pieces, by the template of its row."""
        template = self.template(row)
        axes = max((a.axes for a in args), default=0)
        if "{0}" not in template:
            return self.call_word(template, ", ".join(a.text for a in args), axes)
        infix = LEVELS[row.infix]
        return Piece(self.filled(template, args, infix), infix, axes)

    def filled(self, template: str, args: Sequence[Piece], infix: int) -> str:
        """The template with its arguments, each in parentheses where no bracket of the template encloses it."""
        def argument(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            arg = args[int(match[1])]
            before, after = template[:match.start()], template[match.end():]
            if (before[-1:] in OPENING or before[-2:] == ", ") and (after[:1] in CLOSING or after[:2] == ", "):
                return arg.text
            if infix in (ATOM, COMPARISON):
                comparing = infix == COMPARISON or "> " in after or "> " in before
                return self.wrap(arg, SUM if comparing else POWER)
            return self.wrap(arg, infix + 1)
        return re.sub(r"\{\{|\}\}|\{(\d)\}", argument, template)

    def sliced(self, piece: Piece, cuts: Sequence[Cut], axes: int) -> Piece:
        """x[1:, :-1]."""
        return Piece(f"{self.wrap(piece, ATOM)}[{', '.join(self.cut(c) for c in cuts)}]", ATOM, axes)

    def picked(self, piece: Piece, indices: Sequence[Piece | None], axes: int) -> Piece:
        """x[i, :, j] for arrays of positions."""
        while indices and indices[-1] is None:
            indices = indices[:-1]
        return Piece(f"{self.wrap(piece, ATOM)}[{', '.join(':' if i is None else i.text for i in indices)}]", ATOM, axes)

    def cut(self, c: Cut) -> str:
        """One axis of a slice as Python writes it."""
        if c.new:
            return "None"
        if c.position is not None:
            return self.end(c.position, c.size)
        step = f":{c.step}" if c.step != 1 else ""
        ends = ["" if e is None else self.end(e, c.size) for e in (c.start, c.stop)]
        return f"{ends[0]}:{ends[1]}{step}"

    def end(self, value: Size, size: Size) -> str:
        """A position, counted from the end where that is shorter."""
        if not isinstance(value, int):
            back = combine(((1, size), (-1, value)))
            if isinstance(back, int) and back > 0:
                return f"-{back}"
        return self.size(value).text

    def reshaped(self, piece: Piece, shape: Sequence[Size]) -> Piece:
        """reshape(x, n d), or reshape(x, (n, d))."""
        inner = ", ".join(self.size(s).text for s in shape)
        return self.call_word("reshape", f"{piece.text}, {inner if len(shape) == 1 else f'({inner})'}", len(shape))

    def padded(self, piece: Piece, widths: Sequence[tuple[Size, Size]]) -> Piece:
        """x between zeros."""
        if len(widths) == 1 and widths[0] in ((1, 0), (0, 1)):
            return self.stacked([Piece("0"), piece] if widths[0] == (1, 0) else [piece, Piece("0")], 0, 1)
        inner = ", ".join(f"({self.size(a).text}, {self.size(b).text})" for a, b in widths)
        return self.call_word("pad", f"{piece.text}, {inner}", len(widths))

    def stacked(self, pieces: Sequence[Piece], axis: int, axes: int) -> Piece:
        """[a; b], or concat([a, b], axis=1)."""
        if axis == 0:
            return Piece(f"[{'; '.join(p.text for p in pieces)}]", ATOM, axes)
        return self.call_word("concat", ", ".join(p.text for p in pieces) + f", {self.axis_word([axis])}", axes)

    def array(self, entries: Sequence[Piece], shape: Sequence[int]) -> Piece:
        """[a, b] or [[a, b], [c, d]]."""
        texts = [p.text for p in entries]
        if len(shape) == 1:
            return Piece(f"[{', '.join(texts)}]", ATOM, 1)
        rows = [f"[{', '.join(texts[k:k + shape[1]])}]" for k in range(0, len(texts), shape[1])]
        return Piece(f"[{', '.join(rows)}]", ATOM, 2)

    def placed(self, piece: Piece, cuts: Sequence[Cut], axes: int) -> Piece:
        """x written into a slice of zeros."""
        return self.call_word("place", f"{piece.text}, [{', '.join(self.cut(c) for c in cuts)}]", axes)

    def entry(self, piece: Piece, indices: Sequence[str]) -> Piece:
        """A[i, j]."""
        return Piece(f"{self.wrap(piece, ATOM)}[{','.join(indices)}]", ATOM) if indices else piece

    def summed(self, word: str, labels: Sequence[str], body: Piece) -> Piece:
        """Σ[j,k] body."""
        return Piece(f"{self.sigma if word == 'sum' else word}[{','.join(labels)}] {self.wrap(body, CHAIN)}", CHAIN)

    def equal_labels(self, a: str, b: str) -> Piece:
        """δ[a, b]."""
        return Piece(f"δ[{a},{b}]" if len(a) + len(b) == 2 else f"[{a} = {b}]", ATOM)

    def binder(self, indices: Sequence[str], body: Piece, axes: int) -> Piece:
        """The tensor with the given entries."""
        return Piece(f"{','.join(indices)}{self.arrow}{body.text}", COMPARISON, axes)

    def truncated(self, axes: int) -> Piece:
        """What is left out of a formula that is too long."""
        return Piece("…", ATOM, axes)


def rounded(value: int) -> str:
    """A very long integer as its leading digits and a power of ten."""
    exponent = int(value.bit_length() * log10(2)) - 17
    digits = str(value // 10**exponent)
    return f"{digits[0]}.{digits[1:9]}e{exponent + len(digits) - 1}"
