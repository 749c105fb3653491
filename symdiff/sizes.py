"""Sizes: an int, or a `Dim`, a polynomial with integer coefficients in named sizes.

A `Dim` is kept as a sum of monomials, so equal sizes compare equal whatever way they were built: `(n + 1) - 1 == n`.
Atoms are named sizes and floor quotients.  A named size is at least its `minimum` (1 unless declared otherwise), and
that is what proofs such as "index `i + 1` stays below `n`" rest on.
"""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any, Union

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.provenance import plain, spelled, user_line

Size = Union[int, "Dim"]
Monomial = tuple[tuple["Atom", int], ...]

# Python gives -1 and -2 one hash; integers that go into structural hashes are moved away from there.
APART = 1 << 40


class Named:
    """A named size such as `n`; the same name is the same atom everywhere in a process."""

    __slots__ = ("key", "minimum", "name", "proved", "typical")

    def __init__(self, name: str) -> None:
        self.name = name
        self.minimum = 1
        self.proved = 0  # the largest minimum that something was proved by
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
        return f"({wrapped(self.numerator)} // {wrapped(self.denominator)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quotient) and self.key == other.key

    def __hash__(self) -> int:
        return hash_atom(self)


Atom = Union[Named, Quotient]
NAMED: dict[str, Named] = {}
# What is no size, such as n / 2, n < 3 or 0.5 * n, is an expression: `symdiff.operators` puts here how it is built.
BEYOND: dict[str, Callable[..., Any]] = {}
Operator = Callable[[Any, Any], Any]


def answer(name: str, a: Any, b: Any) -> Any:
    """`a` and `b`, one of them a `Dim`, under Python's operator `name`: a size where that is one, else an expression."""
    if not all(isinstance(value, (Dim, Real)) and not isinstance(value, bool) for value in (a, b)):
        return NotImplemented
    x, y = (value if isinstance(value, Dim) else integer_of(value) for value in (a, b))
    size = OF_SIZES[name](x, y) if name in OF_SIZES and x is not None and y is not None else None
    return BEYOND[name](a, b) if size is None else size


def both(name: str) -> tuple[Operator, Operator]:
    """The methods of an operator with the size on its left, and on its right."""
    return (lambda self, other: answer(name, self, other)), (lambda self, other: answer(name, other, self))


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

    def __bool__(self) -> bool:
        return True

    __add__, __radd__ = both("add")
    __sub__, __rsub__ = both("sub")
    __mul__, __rmul__ = both("mul")
    __truediv__, __rtruediv__ = both("truediv")
    __floordiv__, __rfloordiv__ = both("floordiv")
    __mod__, __rmod__ = both("mod")
    __pow__, __rpow__ = both("pow")
    __lt__, __gt__ = both("lt")
    __le__, __ge__ = both("le")

    def __neg__(self) -> Size:
        return combine(((-1, self),))

    def __pos__(self) -> Dim:
        return self

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return BEYOND["array_ufunc"](self, *args, **kwargs)

    def __index__(self) -> int:
        raise ShapeMismatch(f"size {self} is symbolic and has no integer value yet", where=user_line(),
                            mend=f"keep it symbolic, as in sd.ones({self}), or declare the symbol with an integer size")

    def __str__(self) -> str:
        parts = []
        for monomial, c in self.terms:
            letters = " ".join(f"{a}" if p == 1 else f"{a}^{p}" for a, p in monomial)
            body = letters if abs(c) == 1 and letters else f"{abs(c)} {letters}".strip()
            parts.append(f"{'-' if c < 0 else '+'} {body}")
        text = " ".join(parts)
        text = text[2:] if text.startswith("+ ") else "-" + text[2:]
        return text[1:-1] if len(self.terms[0][0]) == len(self.terms) == 1 and text[0] == "(" and text[-1] == ")" else text

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


def integer_of(value: object) -> int | None:
    """The integer that a value is (Python's, NumPy's, an array of no axes), else None; truth values are none.

    >>> integer_of(3), integer_of(3.0), integer_of(True)
    (3, None, None)
    """
    if type(value) is int:
        return value
    if isinstance(value, (bool, Dim)):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def dim(name: str, *, typical: int | None = None, minimum: int | None = None) -> Dim:
    """The named size `name`; `typical` is a hint to the cost model, `minimum` the least value it takes (1 unless given).

    Raises `TypeMismatch` for a name that is no identifier and for options that are no integers, `ShapeMismatch` for
    options out of range, and for a minimum below one that something was proved by already.

    >>> dim("n", typical=100_000)
    n
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeMismatch(f"{plain(name)} cannot name a size", where=user_line(), mend="use an identifier such as 'n'")
    name = spelled(name)
    where = f"size {name} at {user_line()}"
    typical, minimum = checked_option("typical", typical, 1, where), checked_option("minimum", minimum, 0, where)
    atom = NAMED.get(name) or NAMED.setdefault(name, Named(name))
    if minimum is not None and minimum < atom.proved:
        raise ShapeMismatch(f"size {name} cannot be as small as {minimum}: it was at least {atom.proved} when it was used",
                            where=where, mend="give the least minimum before the size is used, or take another name")
    atom.typical = atom.typical if typical is None else typical
    atom.minimum = atom.minimum if minimum is None else minimum
    return Dim(((((atom, 1),), 1),))


def checked_option(option: str, value: Any, least: int, where: str) -> int | None:
    """An option of `dim` as an integer of at least `least`; None where it is not given."""
    if value is None:
        return None
    number = integer_of(value)
    if number is None:
        raise TypeMismatch(f"{option}={plain(value)} is not an integer", where=where, mend="give an int")
    if number < least:
        raise ShapeMismatch(f"{option}={number} is below {least}", where=where, mend=f"give {least} or more")
    return number


def names_in(names: object) -> list[str]:
    """The names in a text; raises `TypeMismatch` for what is no text."""
    if not isinstance(names, str):
        raise TypeMismatch(f"{plain(names)} is not a text of names", where=user_line(), mend="give one text, as in 'a b c'")
    return names.replace(",", " ").split()


def dims(names: str) -> tuple[Dim, ...]:
    """Several named sizes: `n, d = dims("n d")`.

    >>> dims("n d")
    (n, d)
    """
    return tuple(dim(name) for name in names_in(names))


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
    number = 0
    total: dict[Monomial, int] = {}
    for c, part in parts:
        if isinstance(part, int):
            number += c * part
        else:
            for m, k in part.terms:
                total[m] = total.get(m, 0) + c * k
    return from_terms({**total, (): total.get((), 0) + number}) if total else number


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
    """`a / b` where it is a polynomial with integer coefficients, else None.

    >>> n, d = dims("n d")
    >>> divide_exactly(n * d - d, n - 1), divide_exactly(n, d)
    (d, None)
    """
    if a == b:
        return 1
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    divisor = dict(monomials(b))
    if not divisor:
        return None
    atoms = sorted({atom for m in (*dict(monomials(a)), *divisor) for atom, _ in m}, key=lambda atom: atom.key)

    def order(m: Monomial) -> tuple[int, tuple[int, ...]]:
        powers = dict(m)
        return sum(powers.values()), tuple(powers.get(atom, 0) for atom in atoms)
    # Long division: the leading terms divide, and each step takes the leading one away.
    leading = max(divisor, key=order)
    total: dict[Monomial, int] = {}
    rest = dict(monomials(a))
    while rest:
        top = max(rest, key=order)
        powers = dict(top)
        for atom, p in leading:
            powers[atom] = powers.get(atom, 0) - p
        if rest[top] % divisor[leading] or any(p < 0 for p in powers.values()):
            return None
        part = tuple((x, p) for x, p in powers.items() if p)
        total[part] = c = rest[top] // divisor[leading]
        taken = multiply(from_terms({part: c}), b)
        rest = dict(monomials(combine(((1, from_terms(rest)), (-1, taken)))))
    return from_terms(total)


def floor_divide(a: Size, b: Size) -> Size:
    """⌊a / b⌋, split as far as it can be proved."""
    if b == 0:
        raise ShapeMismatch(f"size {a} cannot be divided by 0", where=user_line(), mend="divide by 1 or more")
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


def remainder(a: Size, b: Size) -> Size:
    """a − b ⌊a / b⌋."""
    return combine(((1, a), (-1, multiply(b, floor_divide(a, b)))))


def raised(a: Size, p: Size) -> Size | None:
    """a ** p for an integer p ≥ 0, else None."""
    return product((a,) * p) if isinstance(p, int) and p >= 0 else None


OF_SIZES: dict[str, Callable[[Size, Size], Size | None]] = {
    "add": lambda a, b: combine(((1, a), (1, b))), "sub": lambda a, b: combine(((1, a), (-1, b))), "mul": multiply,
    "floordiv": floor_divide, "mod": remainder, "pow": raised}


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
                    raise ShapeMismatch(f"size {atom.name} is not determined by any argument", where=user_line(),
                                        mend=f"pass an array that has {atom.name} as an axis")
                c *= values[atom.name] ** p
            else:
                c *= (value_of(atom.numerator, values) // value_of(atom.denominator, values)) ** p
        total += c
    return total


def typical_value(size: Size) -> int:
    """The size that the cost model takes where no call has told one: `typical=` hints, else 100."""
    return size if isinstance(size, int) else value_of(size, {name: NAMED[name].typical or 100 for name in named_sizes(size)})
