"""Sizes: an int, or a `Dim`, a polynomial with integer coefficients in named sizes.

A `Dim` is kept as a sum of monomials, so equal sizes compare equal whatever way they were built: `(n + 1) - 1 == n`.
Atoms are named sizes and floor quotients.  A named size is at least its `minimum` (1 unless declared otherwise), and
that is what proofs such as "index `i + 1` stays below `n`" rest on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Union

from symdiff.errors import ShapeMismatch, TypeMismatch

Size = Union[int, "Dim"]
Monomial = tuple[tuple["Atom", int], ...]


# Python gives -1 and -2 one hash; integers that go into structural hashes are moved away from there.
APART = 1 << 40


class Named:
    """A named size such as `n`; the same name is the same atom everywhere in a process."""

    __slots__ = ("key", "minimum", "name", "typical")

    def __init__(self, name: str) -> None:
        self.name = name
        self.minimum = 1
        self.typical: int | None = None
        self.key = (0, zlib.crc32(name.encode()), name)

    def __repr__(self) -> str:
        return self.name


class Quotient:
    """The floor quotient of a size by a size, where a step or a stride asks for it."""

    __slots__ = ("denominator", "key", "numerator")

    def __init__(self, numerator: Dim, denominator: Size) -> None:
        self.numerator, self.denominator = numerator, denominator
        self.key = (1, size_key(numerator), size_key(denominator))

    def __repr__(self) -> str:
        return f"({self.numerator}) // {wrapped(self.denominator)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quotient) and self.key == other.key

    def __hash__(self) -> int:
        return hash_atom(self)


Atom = Union[Named, Quotient]
NAMED: dict[str, Named] = {}


class Dim:
    """An integer polynomial in named sizes.

    >>> n = dim("n")
    >>> (n + 1) * 2 - 2 == 2 * n
    True
    >>> print(2 * n - 1)
    2 n - 1
    """

    __slots__ = ("_hash", "key", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self.key = tuple((tuple((a.key, p) for a, p in m), c) for m, c in terms)
        self._hash = hash(tuple((tuple((hash_atom(a), p) for a, p in m), c + APART) for m, c in terms))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and (self is other or self.key == other.key)

    def __add__(self, other: Size) -> Size:
        return combine(((1, self), (1, other))) if is_size(other) else NotImplemented

    def __sub__(self, other: Size) -> Size:
        return combine(((1, self), (-1, other))) if is_size(other) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        return combine(((-1, self), (1, other))) if is_size(other) else NotImplemented

    def __mul__(self, other: Size) -> Size:
        return multiply(self, other) if is_size(other) else NotImplemented

    def __neg__(self) -> Size:
        return combine(((-1, self),))

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> Size:
        return floor_divide(self, other) if is_size(other) else NotImplemented

    def __bool__(self) -> bool:
        return True

    def __index__(self) -> int:
        raise TypeMismatch(f"size {self} is symbolic and has no integer value yet",
                           mend="keep it symbolic, or declare the symbol with an integer size")

    def __str__(self) -> str:
        parts = []
        for monomial, c in self.terms:
            letters = " ".join(f"{a}" if p == 1 else f"{a}^{p}" for a, p in monomial)
            sign = "-" if c < 0 else "+"
            body = letters if abs(c) == 1 and letters else f"{abs(c)} {letters}".strip()
            parts.append((sign, body))
        text = " ".join(f"{s} {b}" for s, b in parts)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]

    __repr__ = __str__


def hash_atom(a: Atom) -> int:
    """A hash that is the same in every process."""
    return a.key[1] if isinstance(a, Named) else hash((size_hash(a.numerator), size_hash(a.denominator)))


def size_hash(size: Size) -> int:
    """A hash that tells sizes apart (-1 from -2 too) and is the same in every process."""
    return size + APART if isinstance(size, int) else hash(size)


def wrapped(size: Size) -> str:
    """The text of a size, in parentheses where it is a sum."""
    text = str(size)
    return f"({text})" if " " in text else text


def size_key(size: Size) -> tuple[object, ...]:
    """A key that orders sizes and is the same in every process."""
    return (0, size) if isinstance(size, int) else (1, size.key)


def is_size(value: object) -> bool:
    """Whether `value` can be a size."""
    return isinstance(value, (int, Dim)) and not isinstance(value, bool)


def dim(name: str, *, typical: int | None = None, minimum: int | None = None) -> Dim:
    """The named size `name`; `typical` is a hint to the cost model, `minimum` the least value it takes (1 unless given).

    Raises `TypeMismatch` for a name that is no identifier.

    >>> dim("n", typical=100_000)
    n
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeMismatch(f"{name!r} cannot name a size", mend="use an identifier such as 'n'")
    atom = NAMED.get(name)
    if atom is None:
        atom = NAMED[name] = Named(name)
    if typical is not None:
        atom.typical = typical
    if minimum is not None:
        atom.minimum = minimum
    return Dim(((((atom, 1),), 1),))


def dims(names: str) -> tuple[Dim, ...]:
    """Several named sizes: `n, d = dims("n d")`.

    >>> dims("n d")
    (n, d)
    """
    return tuple(dim(name) for name in names.replace(",", " ").split())


def from_terms(terms: dict[Monomial, int]) -> Size:
    """The canonical size of a sum of monomials."""
    kept = [(m, c) for m, c in terms.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    kept.sort(key=lambda t: (-sum(p for _, p in t[0]), tuple((a.key, p) for a, p in t[0])))
    return Dim(tuple(kept))


def monomials(size: Size) -> Iterator[tuple[Monomial, int]]:
    """The terms of a size."""
    if isinstance(size, Dim):
        yield from size.terms
    elif size:
        yield (), size


def combine(parts: tuple[tuple[int, Size], ...]) -> Size:
    """Σ c · size."""
    total: dict[Monomial, int] = {}
    for c, part in parts:
        for m, k in monomials(part):
            total[m] = total.get(m, 0) + c * k
    return from_terms(total)


def multiply(a: Size, b: Size) -> Size:
    """The product of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    total: dict[Monomial, int] = {}
    for ma, ca in monomials(a):
        for mb, cb in monomials(b):
            powers: dict[Atom, int] = dict(ma)
            for atom, p in mb:
                powers[atom] = powers.get(atom, 0) + p
            m = tuple(sorted(powers.items(), key=lambda t: t[0].key))
            total[m] = total.get(m, 0) + ca * cb
    return from_terms(total)


def product(sizes: tuple[Size, ...]) -> Size:
    """The product of sizes; 1 for none.

    >>> n, d = dims("n d")
    >>> product((n, d, 2)) == 2 * d * n
    True
    """
    total: Size = 1
    for size in sizes:
        total = multiply(total, size)
    return total


def divide_exactly(a: Size, b: Size) -> Size | None:
    """`a / b` where it is a polynomial for a one-term `b`, else None."""
    if a == b:
        return 1
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    divisor = list(monomials(b))
    if len(divisor) != 1:
        return None
    mb, cb = divisor[0]
    total: dict[Monomial, int] = {}
    for ma, ca in monomials(a):
        powers = dict(ma)
        for atom, p in mb:
            powers[atom] = powers.get(atom, 0) - p
        if ca % cb or any(p < 0 for p in powers.values()):
            return None
        total[tuple((x, p) for x, p in powers.items() if p)] = ca // cb
    return from_terms(total)


def floor_divide(a: Size, b: Size) -> Size:
    """⌊a / b⌋, split as far as it can be proved."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    exact = divide_exactly(a, b)
    if exact is not None:
        return exact
    if isinstance(b, int) and isinstance(a, Dim):
        whole = from_terms({m: c // b for m, c in a.terms})
        rest = combine(((1, a), (-1, multiply(whole, b))))
        if isinstance(rest, int):
            return combine(((1, whole), (1, rest // b)))
        return combine(((1, whole), (1, Dim(((((Quotient(rest, b), 1),), 1),)))))
    numerator = a if isinstance(a, Dim) else Dim((((), a),))
    return Dim(((((Quotient(numerator, b), 1),), 1),))


def lower_bound(size: Size) -> int | None:
    """The least value that `size` is proved to take, None where nothing is known.

    Each named size is written as minimum + t with t ≥ 0; when no coefficient is negative the constant is the bound.
    """
    if isinstance(size, int):
        return size
    total: dict[tuple[tuple[str, int], ...], int] = {}
    for m, c in size.terms:
        expanded: dict[tuple[tuple[str, int], ...], int] = {(): c}
        for atom, power in m:
            name, least = (atom.name, atom.minimum) if isinstance(atom, Named) else (str(atom), quotient_minimum(atom))
            for _ in range(power):
                step: dict[tuple[tuple[str, int], ...], int] = {}
                for key, k in expanded.items():
                    step[key] = step.get(key, 0) + k * least
                    powers = dict(key)
                    powers[name] = powers.get(name, 0) + 1
                    raised = tuple(sorted(powers.items()))
                    step[raised] = step.get(raised, 0) + k
                expanded = step
        for key, k in expanded.items():
            total[key] = total.get(key, 0) + k
    constant = total.pop((), 0)
    return constant if all(k >= 0 for k in total.values()) else None


def quotient_minimum(atom: Quotient) -> int:
    """A proved lower bound of a floor quotient (0 where nothing better is known: sizes are never negative)."""
    least = lower_bound(atom.numerator)
    return least // atom.denominator if least is not None and isinstance(atom.denominator, int) else 0


def at_least(a: Size, b: Size) -> bool:
    """Whether `a ≥ b` is proved."""
    if isinstance(a, int) and isinstance(b, int):
        return a >= b
    difference = combine(((1, a), (-1, b)))
    bound = lower_bound(difference)
    if bound is None or bound < 0:
        bound = lower_bound(below_quotients(difference))
    return bound is not None and bound >= 0


def below_quotients(size: Size) -> Size:
    """A size that is never greater, with k ⌊a / b⌋ as a k / b or (a - b + 1) k / b where b divides k.

    >>> n = dim("n")
    >>> below_quotients(n - (n + 1) // 2 * 2), below_quotients((n + 1) // 2 * 2 - n)
    (-1, 0)
    """
    total: Size = 0
    for monomial, c in monomials(size):
        term: Size = Dim(((monomial, c),)) if monomial else c
        (atom, power), *others = monomial or ((None, 0),)
        if isinstance(atom, Quotient) and power == 1 and not others and isinstance(atom.denominator, int) \
                and c % atom.denominator == 0:
            least = combine(((1, atom.numerator), (1, 0 if c < 0 else 1 - atom.denominator)))
            term = multiply(c // atom.denominator, least)
        total = combine(((1, total), (1, term)))
    return total


def named_sizes(size: Size) -> frozenset[str]:
    """The names that a size is made of."""
    if isinstance(size, int):
        return frozenset()
    found: set[str] = set()
    for m, _ in size.terms:
        for atom, _p in m:
            if isinstance(atom, Named):
                found.add(atom.name)
            else:
                found |= named_sizes(atom.numerator) | named_sizes(atom.denominator)
    return frozenset(found)


def value_of(size: Size, values: Mapping[str, int]) -> int:
    """The integer value of a size; raises `ShapeMismatch` for a name without a value."""
    if isinstance(size, int):
        return size
    total = 0
    for m, c in size.terms:
        for atom, p in m:
            if isinstance(atom, Named):
                if atom.name not in values:
                    raise ShapeMismatch(f"size {atom.name} is not determined by any argument",
                                        mend=f"pass an array that has {atom.name} as an axis")
                c *= values[atom.name] ** p
            else:
                c *= (value_of(atom.numerator, values) // value_of(atom.denominator, values)) ** p
        total += c
    return total


def typical_value(size: Size) -> int:
    """The size that the cost model takes where no call has told one: `typical=` hints, else 100."""
    return value_of(size, {name: NAMED[name].typical or 100 for name in named_sizes(size)})
