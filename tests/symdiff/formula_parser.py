"""Reads printed formulas of the matrix and index style as a mathematician does.

    comparison = sum {("=" | "<" | …) sum}             sum      = ["-"] quotient {("+"|"-") quotient}
    quotient   = hadamard {"/" power}                  hadamard = chain {"⊙" chain}
    chain      = power {power}                         power    = atom {"²" | "ᵀ" | "^" atom | "[" indices "]"}

A bracket that follows without a space is an index; any other one is a condition, an array or a stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
NAME = r"(?:(?![⁰¹²³⁴⁵⁶⁷⁸⁹ᵀ\d])\w)(?:(?![⁰¹²³⁴⁵⁶⁷⁸⁹ᵀ])\w)*"
TOKEN = re.compile(rf"(\s*)(\d+\.?\d*(?:e[+-]?\d+)?|[⁰¹²³⁴⁵⁶⁷⁸⁹]+|{NAME}|\S)")
COMPARISONS = "=≠<≤>≥∧∨"
CLOSING = {"(": ")", "[": "]", "‖": "‖", "|": "|", "⌊": "⌋", "⌈": "⌉"}
OVER_LABELS = ("Σ", "max", "min", "prod", "logsumexp")


class Unreadable(Exception):
    """The text is no formula, or has no value."""


class Term:
    """A part of a formula: its kind, its parts, the names that it mentions."""

    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind, self.parts = kind, parts
        self.names: set[str] = {parts[0]} if kind == "name" else set()
        for inner in self.inside():
            self.names |= inner.names

    def inside(self) -> Iterator[Term]:
        """The terms that the term is made of."""
        waiting = list(self.parts)
        while waiting:
            part = waiting.pop()
            if isinstance(part, Term):
                yield part
            elif isinstance(part, (list, tuple)):
                waiting += part

    def all(self) -> Iterator[Term]:
        """The term and all terms in it."""
        yield self
        for inner in self.inside():
            yield from inner.all()


class Parser:
    """Text to terms."""

    def __init__(self, text: str) -> None:
        self.tokens = [(m[2], bool(m[1])) for m in TOKEN.finditer(text)]
        self.at = 0
        self.fences: list[str] = []

    def peek(self) -> str:
        """The next token."""
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        """The next token, which must be the one wanted."""
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise Unreadable(f"{token!r} where {wanted!r} should be")
        self.at += 1
        return token

    def tight(self) -> bool:
        """Whether the next token follows the last one without a space."""
        return self.at < len(self.tokens) and not self.tokens[self.at][1]

    def whole(self) -> Term:
        """All of the text."""
        term = self.comparison()
        if self.peek():
            raise Unreadable(f"{self.peek()!r} is left over")
        return term

    def comparison(self) -> Term:
        """A sum, or two that are compared."""
        term = self.sum()
        while self.peek() and self.peek() in COMPARISONS:
            term = Term("compare", self.take(), term, self.sum())
        return term

    def sum(self) -> Term:
        """Terms with signs."""
        signs = [-1 if self.peek() == "-" and self.take() else 1]
        terms = [self.quotient()]
        while self.peek() in ("+", "-"):
            signs.append(-1 if self.take() == "-" else 1)
            terms.append(self.quotient())
        return terms[0] if signs == [1] else Term("sum", tuple(terms), signs)

    def quotient(self) -> Term:
        """a / b."""
        term = self.hadamard()
        while self.peek() == "/":
            self.take()
            term = Term("divide", term, self.power())
        return term

    def hadamard(self) -> Term:
        """a ⊙ b."""
        terms = [self.chain()]
        while self.peek() == "⊙":
            self.take()
            terms.append(self.chain())
        return terms[0] if len(terms) == 1 else Term("hadamard", tuple(terms))

    def chain(self) -> Term:
        """A B v."""
        terms = [self.power()]
        while re.match(r"[\w∞(\[√⌊⌈Σδ¬‖|]", self.peek()) and self.peek() not in self.fences[-1:]:
            terms.append(self.power())
        if len(terms) == 1:
            return terms[0]
        return Term("chain", terms)

    def power(self) -> Term:
        """An atom with what is written at its upper or lower right."""
        term = self.atom()
        while self.at < len(self.tokens):
            token = self.peek()
            if re.fullmatch("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", token):
                term = Term("power", term, Term("number", self.take().translate(DIGITS)))
            elif token == "ᵀ":
                self.take()
                term = Term("transpose", term)
            elif token == "^":
                self.take()
                exponent = self.atom()
                while self.peek() == "[" and self.tight():
                    exponent = Term("entry", exponent, tuple(self.listed(self.index)))
                term = Term("power", term, exponent)
            elif token == "[" and self.tight():
                term = Term("entry", term, tuple(self.listed(self.index)))
            else:
                break
        return term

    def listed(self, item: Any, separator: str = ",") -> list[Any]:
        """Items between brackets."""
        closing = CLOSING[self.take()]
        self.fences.append(closing)
        items = [item()]
        while self.peek() == separator:
            self.take()
            items.append(item())
        self.take(closing)
        self.fences.pop()
        return items

    def labels(self) -> list[tuple[str, Term | None]]:
        """Labels between brackets."""
        return self.listed(self.label)

    def index(self) -> Term:
        """A position or a slice."""
        parts: list[Term | None] = [None]
        while self.peek() not in (",", "]"):
            if self.peek() == ":":
                self.take()
                parts.append(None)
            else:
                parts[-1] = self.sum()
        first = parts[0]
        return first if len(parts) == 1 and first is not None else Term("slice", tuple(parts))

    def label(self) -> tuple[str, Term | None]:
        """A label that is introduced, with its range if it has one."""
        name = self.take()
        return name, (self.sum() if self.peek() == "<" and self.take() else None)

    def argument(self) -> tuple[str, Term]:
        """An argument of a function."""
        named = self.peek() == "axis"
        if named:
            self.take()
            self.take("=")
        return "axis" if named else "", self.comparison()

    def atom(self) -> Term:
        """What needs no parentheses."""
        token = self.peek()
        if token in OVER_LABELS and self.tokens[self.at + 1][0] == "[":
            word = self.take()
            return Term("over", word, self.labels(), self.chain())
        if token == "(":
            items = self.listed(self.comparison)
            return items[0] if len(items) == 1 else Term("array", tuple(items))
        if token in ("‖", "|", "⌊", "⌈"):
            return Term(token, self.listed(self.sum)[0])
        if token == "[":
            if ";" in self.bracket():
                return Term("stack", self.listed(self.comparison, ";"))
            items = self.listed(self.comparison)
            return Term("condition", items[0]) if len(items) == 1 else Term("array", tuple(items))
        self.take()
        if token in ("√", "¬"):
            return Term(token, self.atom())
        if re.match(r"[\d∞]", token):
            return Term("number", token)
        if token == "δ" and self.peek() == "[":
            return Term("delta", tuple(self.listed(self.sum)))
        if self.peek() == "(" and self.tight():
            return Term("call", token, tuple(self.listed(self.argument)))
        if not re.match(r"\w", token):
            raise Unreadable(f"{token!r} cannot begin a term")
        return Term("name", token)

    def bracket(self) -> str:
        """The separators of the bracket that opens next."""
        depth, found = 0, ""
        for token, _ in self.tokens[self.at:]:
            depth += (token in ("[", "(")) - (token in ("]", ")"))
            if depth == 0:
                return found
            found += token if depth == 1 else ""
        raise Unreadable("a bracket is not closed")
