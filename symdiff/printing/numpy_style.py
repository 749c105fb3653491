"""The grammar of NumPy source: `@`, `*`, `[:, None]`, slices; the words are those of NumPy."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from symdiff.expression import Number
from symdiff.printing.networks import NoMatrixForm
from symdiff.printing.numpy_words import Words
from symdiff.printing.pieces import (
    ATOM,
    CHAIN,
    HADAMARD,
    POWER,
    QUOTIENT,
    SUM,
    Cut,
    Part,
    Piece,
    denominator_of,
    numerator_of,
)
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import Named, Size, monomials


class NumpyStyle(MatrixStyle):
    """Python source that needs nothing but NumPy; sizes are names that the function reads from shapes."""

    odot, transpose, dots = " * ", ".T", "..."
    fold_negative_sigmoid = exact_shapes = False
    exact_zeros = True

    def __init__(self, words: Words, dtype: str = "float64") -> None:
        self.words, self.dtype = words, dtype

    def kind(self, before: str = "") -> str:
        """The last argument of a function that makes an array, where NumPy would not choose the dtype by itself."""
        return f", {before}{self.dtype!r}" if self.dtype != "float64" else ""

    def number(self, value: Number) -> Piece:
        """A number as Python reads it."""
        if isinstance(value, float) and not math.isfinite(value):
            return Piece("np.nan" if value != value else "np.inf")
        if denominator_of(value) != 1:
            return Piece(f"{numerator_of(value)} / {denominator_of(value)}", QUOTIENT)
        return Piece(repr(value))

    def size(self, size: Size) -> Piece:
        """A size as Python computes it."""
        text = ""
        for monomial, c in monomials(size):
            factors = [str(abs(c))] if abs(c) != 1 or not monomial else []
            for atom, p in monomial:
                if isinstance(atom, Named):
                    word = self.words.size(atom.name)
                else:
                    word = f"(({self.size(atom.numerator).text}) // ({self.size(atom.denominator).text}))"
                factors.append(word if p == 1 else f"{word}**{p}")
            body = " * ".join(factors)
            text += (" - " if c < 0 else " + ") + body if text else ("-" if c < 0 else "") + body
        single = re.fullmatch(r"\w+", text or "0") is not None
        return Piece(text or "0", ATOM if single else SUM, name=single)

    def shape(self, shape: Sequence[Size]) -> str:
        """A shape as a tuple."""
        inner = ", ".join(self.size(s).text for s in shape)
        return f"({inner},)" if len(shape) == 1 else f"({inner})"

    def beside(self, texts: Sequence[str]) -> str:
        """Factors one after the other."""
        return " * ".join(texts)

    def juxtaposed(self, above: Sequence[Piece], axes: int) -> Piece:
        """Scalars and a body."""
        if len(above) < 2:
            return above[0] if above else Piece("1", axes=axes)
        return Piece(self.beside([self.wrap(p, POWER) for p in above]), HADAMARD, axes)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """x**p."""
        return Piece(f"{self.wrap(base, ATOM)}**{self.wrap(exponent, ATOM)}", POWER, base.axes)

    def root(self, piece: Piece) -> Piece:
        """np.sqrt(x)."""
        return self.call_word("np.sqrt", piece.text, piece.axes)

    def diag(self, piece: Piece, offset: int = 0) -> Piece:
        """np.diag(v)."""
        return self.call_word("np.diag", piece.text + (f", {offset}" if offset else ""), 2)

    def trace(self, piece: Piece) -> Piece:
        """np.trace(A)."""
        return self.call_word("np.trace", piece.text)

    def identity(self, size: Size) -> Piece:
        """np.eye(n)."""
        return self.call_word("np.eye", self.size(size).text + self.kind("dtype="), 2)

    def ones(self, shape: Sequence[Size]) -> Piece:
        """np.ones(shape), the number 1 for no axes."""
        return self.call_word("np.ones", self.shape(shape) + self.kind(), len(shape)) if shape else Piece("1")

    def norm_squared(self, piece: Piece) -> Piece:
        """np.sum(x**2)."""
        return self.call_word("np.sum", self.power(piece, Piece("2")).text)

    def reduction(self, word: str, piece: Piece, axes: Sequence[int] | None, left: int) -> Piece:
        """np.sum(x, axis=0)."""
        return super().reduction(f"np.{word}" if word == "sum" else word, piece, axes, left)

    def part(self, part: Part, level: int = POWER) -> str:
        """A matrix of a chain, transposed where it must be; vectors have no orientation."""
        if part.flipped and part.axes == 2:
            return self.wrap(part.piece, ATOM) + ".T"
        return self.wrap(part.piece, level)

    def chain(self, parts: Sequence[Part], axes: int) -> Piece:
        """A @ B.T @ v, diagonals as products with broadcasting, ones as sums."""
        rest = list(parts)
        sums_rows = len(rest) > 1 and rest[0].kind == "ones"
        sums_columns = len(rest) > 1 and rest[-1].kind == "ones"
        rest = rest[1 if sums_rows else 0:len(rest) - (1 if sums_columns else 0)]
        piece = self.folded(rest, axes)
        if sums_rows and sums_columns:
            return self.call_word("np.sum", piece.text)
        if sums_rows or sums_columns:
            one = all(p.axes == 1 for p in rest)
            return self.call_word("np.sum", piece.text + ("" if one else f", axis={0 if sums_rows else 1}"), axes)
        return piece

    def folded(self, parts: Sequence[Part], axes: int) -> Piece:
        """The chain without ones; from the right where it ends with a vector."""
        if len(parts) == 1:
            only = parts[0]
            if only.kind == "diag":
                return self.diag(only.piece)
            return only.piece if not only.flipped or only.axes == 1 else Piece(self.part(only), ATOM, axes)
        if parts[0].kind == "diag":
            inner = self.folded(parts[1:], axes)
            column = f"{self.wrap(parts[0].piece, ATOM)}[:, None]" if axes == 2 else self.wrap(parts[0].piece, POWER)
            return Piece(f"{column} * {self.wrap(inner, POWER)}", HADAMARD, axes)
        if parts[-1].axes == 1 and parts[-1].kind == "plain" and parts[0].axes == 2 and len(parts) > 2:
            inner = self.folded(parts[1:], 1)
            return Piece(f"{self.part(parts[0])} @ {self.wrap(inner, POWER)}", CHAIN, axes)
        text, level = self.part(parts[0]), CHAIN
        for k, part in enumerate(parts[1:]):
            if part.kind == "diag":
                text = f"{text if level == CHAIN and not k else f'({text})'} * {self.wrap(part.piece, POWER)}"
                level = HADAMARD
            else:
                text = f"({text}) @ {self.part(part)}" if level == HADAMARD else f"{text} @ {self.part(part)}"
                level = CHAIN
        return Piece(text, level, axes)

    def outer(self, left: Sequence[Part], right: Sequence[Part]) -> Piece:
        """np.outer(u, v); ones broadcast."""
        if [p.kind for p in right] == ["ones"]:
            return Piece(f"{self.wrap(self.chain(left, 1), ATOM)}[:, None]", ATOM, 2)
        columns = self.chain([p.flip() for p in reversed(right)], 1)
        if [p.kind for p in left] == ["ones"]:
            return columns
        return self.call_word("np.outer", f"{self.chain(left, 1).text}, {columns.text}", 2)

    def padded(self, piece: Piece, widths: Sequence[tuple[Size, Size]]) -> Piece:
        """np.pad of an array with zeros."""
        inner = ", ".join(f"({self.size(a).text}, {self.size(b).text})" for a, b in widths)
        return self.call_word("np.pad", f"{piece.text}, [{inner}]", len(widths))

    def placed(self, piece: Piece, cuts: Sequence[Cut], axes: int) -> Piece:
        """NumPy has no function that writes into a slice of zeros."""
        raise NoMatrixForm

    def array(self, entries: Sequence[Piece], shape: Sequence[int]) -> Piece:
        """np.array of entries."""
        return self.call_word("np.array", f"{super().array(entries, shape).text}, {self.dtype!r}", len(shape))

    def stacked(self, pieces: Sequence[Piece], axis: int, axes: int) -> Piece:
        """np.concatenate of arrays."""
        inner = ", ".join(p.text for p in pieces)
        return self.call_word("np.concatenate", f"({inner}){f', axis={axis}' if axis else ''}", axes)
