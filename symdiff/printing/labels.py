"""Labels of the index form: what stands for them in a formula that still grows, and their letters in the end.

An index such as `i + 1`, a label that a sum introduces, and a condition on labels are one private character each while
the text grows; the character is known by what it means, so a consumer can put its own indices in the place of the axes
of a node.  `finished` writes them out: a letter for each label, and the range of a label that no axis tells.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import count
from typing import Literal

from symdiff.bounds import at_least
from symdiff.functions.row import ROWS
from symdiff.index_notation import Index, bounds, form_of, labels_of, tidy
from symdiff.printing.pieces import Piece
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import Size, combine, monomials, multiply

Label = int
Kind = Literal["read", "tie", "bound", "value", "condition", "mark"]
Meaning = tuple[Kind, Index, Size]
FIRST = 0xF0000
LETTERS = "ijklmnpqrstuvabcdefgh"


class Labels:
    """The labels of one document and the characters that stand for what is said about them."""

    def __init__(self) -> None:
        self.extents: dict[Label, Size] = {}
        self.meanings: list[Meaning] = []
        self.characters: dict[Meaning, str] = {}

    def fresh(self, extent: Size) -> Label:
        """A new label that runs over 0 … extent - 1."""
        label = len(self.extents)
        self.extents[label] = extent
        return label

    def character(self, kind: Kind, index: Index, size: Size = 0) -> str:
        """The character of an index into an axis of that size, of a label where it is introduced, of a value or condition.

        A tie is a label in a δ with another one; a mark is not shown, it tells texts apart that look alike.
        """
        meaning = (kind, index, size)
        if meaning not in self.characters:
            self.characters[meaning] = chr(FIRST + len(self.meanings))
            self.meanings.append(meaning)
        return self.characters[meaning]

    def meaning(self, character: str) -> Meaning | None:
        """What a character stands for, None for a plain one."""
        return self.meanings[ord(character) - FIRST] if ord(character) >= FIRST else None

    def labels_in(self, text: str) -> set[Label]:
        """The labels that a text is about."""
        found = (self.meaning(ch) for ch in set(text))
        return {label for meaning in found if meaning is not None for label in labels_of(meaning[1])}

    def moved(self, text: str, table: Mapping[Label, Index]) -> str:
        """The text with other indices in the place of labels."""
        moves: dict[int, str] = {}
        for ch in set(text):
            meaning = self.meaning(ch)
            if meaning is not None and meaning[0] != "bound":
                moves[ord(ch)] = self.character(meaning[0], substituted(meaning[1], table), meaning[2])
        return text.translate(moves)

    def missing(self, index: Index, size: Size) -> list[Index]:
        """What must be at least zero for an index to be inside an axis, as far as the ranges of its labels do not tell."""
        span = bounds(index, self.extents)
        found = []
        if span is None or not at_least(span[0], 0):
            found.append(index)
        if span is None or not at_least(size, combine(((1, span[1]), (1, 1)))):
            constant, terms = form_of(index)
            found.append(tidy(combine(((1, size), (-1, 1), (-1, constant))),
                              {label: combine(((-1, c),)) for label, c in terms}))
        return found

    def finished(self, text: str, taken: Container[str], style: MatrixStyle, first: Sequence[Label] = ()) -> str:
        """The text with letters for labels: those in `first`, then by appearance; none that is taken.

        The labels in `first` are the axes of a result of known shape: a δ says enough about them, as an identity does.
        """
        found = [(ch, meaning) for ch in dict.fromkeys(text) if (meaning := self.meaning(ch)) is not None]
        letters = (f"{letter}{number or ''}" for number in count() for letter in LETTERS)
        free = (letter for letter in letters if letter not in taken)
        names: dict[Label, str] = {}
        for label in [*first, *(label for _, (_, index, _) in found for label in labels_of(index))]:
            if label not in names:
                names[label] = next(free)
        reads: set[tuple[Label, bool]] = {(index, self.extents[index] == size) for _, (kind, index, size) in found
                 if kind == "read" and isinstance(index, int) and size != 0}
        ties = {index for _, (kind, index, _) in found if kind == "tie" and isinstance(index, int) and index in first}
        told = {index for index, whole in reads if whole} | ties
        told = {index for index in told if (index, False) not in reads}
        table = {ord(ch): self.written(meaning, names, told, style) for ch, meaning in found}
        return text.translate(table)

    def written(self, meaning: Meaning, names: Mapping[Label, str], told: Container[Label], style: MatrixStyle) -> str:
        """The text of what a character stands for."""
        kind, index, _ = meaning
        if kind == "mark":
            return ""
        if kind == "condition":
            return condition(index, names, style)
        if kind == "bound" and isinstance(index, int):
            size = style.size(self.extents[index]).text.replace(" + ", "+").replace(" - ", "-")
            return names[index] if index in told else f"{names[index]}<{size}"
        text = index_text(index, names, style)
        return text if kind in ("read", "tie") or isinstance(index, int) or not form_of(index)[1] else style.parens(text)


def substituted(index: Index, table: Mapping[Label, Index]) -> Index:
    """The index with other indices in the place of its labels, all at once."""
    constant, terms = form_of(index)
    total: dict[Label, Size] = {}
    for label, c in terms:
        more, inner = form_of(table.get(label, label))
        constant = combine(((1, constant), (1, multiply(c, more))))
        for name, factor in inner:
            total[name] = combine(((1, total.get(name, 0)), (1, multiply(c, factor))))
    return tidy(constant, total)


def index_text(index: Index, names: Mapping[Label, str], style: MatrixStyle) -> str:
    """The text of an affine index: i + n, n - 1 - i."""
    constant, terms = form_of(index)
    parts: list[tuple[bool, str]] = []
    for label, c in terms:
        negative = all(k < 0 for _, k in monomials(c))
        size = combine(((-1, c),)) if negative else c
        parts.append((negative, names[label] if size == 1 else f"{style.wrap(style.size(size), 4)} {names[label]}"))
    parts += [(c < 0, style.monomial(style.size_factors(m, abs(c))).text) for m, c in monomials(constant)]
    parts.sort(key=lambda part: part[0])
    text = "".join(f" {'-' if negative else '+'} {part}" for negative, part in parts) or " + 0"
    return text[3:] if text.startswith(" + ") else "-" + text[3:]


def condition(index: Index, names: Mapping[Label, str], style: MatrixStyle) -> str:
    """[i ≥ n] for the condition that i - n is not negative, [i < n] for n - 1 - i."""
    constant, terms = form_of(index)
    low = {label: c for label, c in terms if not all(k < 0 for _, k in monomials(c))}
    high = {label: combine(((-1, c),)) for label, c in terms if label not in low}
    below = bool(terms) and terms[0][0] in high
    if below:
        left, right = tidy(0, high), tidy(combine(((1, constant), (1, 1))), low)
    else:
        left, right = tidy(0, low), tidy(combine(((-1, constant),)), high)
    sides: Sequence[Piece] = [Piece(index_text(side, names, style)) for side in (left, right)]
    return style.call(ROWS["number"], [style.call(ROWS["less" if below else "greater_equal"], sides)]).text
