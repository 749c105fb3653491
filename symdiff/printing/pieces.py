"""What a formula is made of while it is printed: pieces of text that know how tightly they bind.

A `Piece` is finished text in one style.  A `Part` is one matrix or vector of a chain `A Bᵀ v`.  A `Monomial` is a
product taken apart, so that a sum can put what its terms share in front: coefficient · scalars · body / divisors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from symdiff.expression import Number
from symdiff.sizes import Size

COMPARISON, SUM, QUOTIENT, HADAMARD, CHAIN, POWER, ATOM = range(7)


class Piece(Struct, frozen=True):
    """Text and how tightly its outermost operator binds; `axes` counts the axes, `name` marks a plain name.

    A power with a number as exponent knows its base and the exponent; `norm` marks what is never negative as a norm is.
    """

    text: str
    level: int = ATOM
    axes: int = 0
    name: bool = False
    base: Piece | None = None
    exponent: Number = 1
    norm: bool = False

    @property
    def root(self) -> Piece:
        """What is raised to `exponent`."""
        return self if self.base is None else self.base


class Part(Struct, frozen=True):
    """One member of a chain: a matrix, a vector, a diagonal matrix given by its vector, or a vector of ones.

    `flipped` says that it is read transposed; `symmetric` that this makes no difference.
    """

    piece: Piece
    axes: int = 2
    kind: str = "plain"
    flipped: bool = False
    symmetric: bool = False

    def flip(self) -> Part:
        """The part transposed."""
        return self if self.symmetric else replace(self, flipped=not self.flipped)


class Monomial(Struct, frozen=True):
    """coefficient · Π scalars · body / Π divisors."""

    coefficient: Number = 1
    scalars: tuple[Piece, ...] = ()
    body: Piece | None = None
    divisors: tuple[Piece, ...] = ()

    def plain(self) -> Piece | None:
        """The body, where there is nothing else."""
        return self.body if self.coefficient == 1 and not self.scalars and not self.divisors else None


class Cut(Struct, frozen=True):
    """One axis of a slice: a position, or start, stop and step (None where they are natural), or a new axis."""

    start: Size | None = None
    stop: Size | None = None
    step: int = 1
    position: Size | None = None
    size: Size = 0
    new: bool = False

    @property
    def whole(self) -> bool:
        """Whether the axis is read from end to end."""
        return not self.new and self.position is None and self.start is None and self.stop is None and self.step == 1


def flipped_chain(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The chain transposed: (A B)ᵀ = Bᵀ Aᵀ."""
    return tuple(part.flip() for part in reversed(parts))


def size_of(value: Number) -> Number:
    """The number without its sign."""
    return -value if value < 0 else value


def numerator_of(value: Number) -> Number:
    """The number above the fraction line."""
    return value.numerator if isinstance(value, Fraction) else value


def denominator_of(value: Number) -> int:
    """The number below the fraction line."""
    return value.denominator if isinstance(value, Fraction) else 1
