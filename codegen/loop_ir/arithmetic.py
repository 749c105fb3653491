"""Sizes and indices as Python expressions, with no more operators and parentheses than needed.

An expression is a pair (text, level); the levels order Python's operators from loose to tight.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from codegen.loop_ir.nodes import Affine, Quotient, Remainder, Variable
from symdiff.sizes import Atom, Monomial, Named, Size, monomials


class Level(IntEnum):
    """How tightly the outermost operator of an expression binds."""

    ANY = 0
    CHOICE = 1
    OR = 2
    AND = 3
    NOT = 4
    COMPARE = 5
    SUM = 6
    PRODUCT = 7
    SIGN = 8
    POWER = 9
    ATOM = 10


Text = tuple[str, Level]
Signed = tuple[bool, str, Level]


def enclose(text: Text, least: Level | int) -> str:
    """The text, in parentheses where it binds looser than `least`."""
    return text[0] if text[1] >= least else f"({text[0]})"


def join_sum(parts: list[Signed]) -> Text:
    """The sum of terms (negative?, text, level); positive ones first, so that `n - i` does not read `-i + n`."""
    ordered = [p for p in parts if not p[0]] + [p for p in parts if p[0]]
    if not ordered:
        return "0", Level.ATOM
    negative, text, level = ordered[0]
    # -a // b is (-a) // b, while -a * b is as good as -(a * b).
    least = Level.SIGN if "//" in text or "%" in text else Level.PRODUCT
    head = f"-{enclose((text, level), least)}" if negative else text
    if len(ordered) == 1:
        return head, Level.SIGN if negative else level
    rest = "".join(f" {'-' if neg else '+'} {enclose((t, lev), Level.PRODUCT)}" for neg, t, lev in ordered[1:])
    return head + rest, Level.SUM


def join_product(coefficient: int, factors: list[str]) -> Signed:
    """coefficient · factors as one term of a sum."""
    number = abs(coefficient)
    parts = [str(number)] if number != 1 or not factors else []
    parts += factors
    return coefficient < 0, " * ".join(parts), Level.ATOM if len(parts) == 1 else Level.PRODUCT


def atom_text(atom: Atom, names: Mapping[str, str]) -> Text:
    """A named size or a floor quotient of sizes."""
    if isinstance(atom, Named):
        return names[atom.name], Level.ATOM
    top, bottom = size_text(atom.numerator, names), size_text(atom.denominator, names)
    return f"{enclose(top, Level.PRODUCT)} // {enclose(bottom, Level.SIGN)}", Level.PRODUCT


def monomial_factors(monomial: Monomial, names: Mapping[str, str]) -> list[str]:
    """The factors of a monomial of a size."""
    return [enclose(atom_text(atom, names), Level.SIGN) for atom, power in monomial for _ in range(power)]


def size_parts(size: Size, names: Mapping[str, str]) -> list[Signed]:
    """The terms of a size."""
    parts = []
    for monomial, c in monomials(size):
        alone = abs(c) == 1 and len(monomial) == 1 and monomial[0][1] == 1
        parts.append((c < 0, *atom_text(monomial[0][0], names)) if alone else
                     join_product(c, monomial_factors(monomial, names)))
    return parts


def size_text(size: Size, names: Mapping[str, str]) -> Text:
    """A size as an expression in the names of the sizes."""
    return join_sum(size_parts(size, names))


def variable_text(variable: Variable, names: Mapping[str, str]) -> Text:
    """A loop variable, or a quotient or remainder of an index."""
    match variable:
        case Quotient(index, divisor):
            top, bottom = affine_text(index, names), size_text(divisor, names)
            return f"{enclose(top, Level.PRODUCT)} // {enclose(bottom, Level.SIGN)}", Level.PRODUCT
        case Remainder(index, divisor):
            top, bottom = affine_text(index, names), size_text(divisor, names)
            return f"{enclose(top, Level.PRODUCT)} % {enclose(bottom, Level.SIGN)}", Level.PRODUCT
        case _:
            return variable, Level.ATOM


def affine_text(index: Affine, names: Mapping[str, str], less: str = "") -> Text:
    """An index as an expression; `less` is a variable that is taken off it (the start of a tile)."""
    parts: list[Signed] = []
    for variable, coefficient in index.terms:
        text = variable_text(variable, names)
        terms = list(monomials(coefficient))
        if len(terms) == 1:
            (monomial, c), = terms
            factors = monomial_factors(monomial, names)
            if abs(c) == 1 and not factors:
                parts.append((c < 0, *text))
            else:
                parts.append(join_product(c, [*factors, enclose(text, Level.SIGN)]))
        elif terms:
            parts.append(join_product(1, [f"({size_text(coefficient, names)[0]})", enclose(text, Level.SIGN)]))
    if less:
        parts.append((True, less, Level.ATOM))
    return join_sum(parts + size_parts(index.const, names))
