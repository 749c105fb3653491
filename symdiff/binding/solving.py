"""Which axis tells which named size: the plan by which sizes are read off the shapes of arguments.

An axis that is exactly a name comes first; then any axis that is linear in one unknown name (`n - 1`, `2 * n`, `n * d`
with d known).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from symdiff.sizes import Dim, Monomial, Named, Size, from_terms, monomials, named_sizes


class SizeSource(Struct, frozen=True):
    """name = (length of that axis − rest) / coefficient."""

    name: str
    argument: int
    axis: int
    coefficient: Size
    rest: Size


def size_sources(shapes: Sequence[tuple[Size, ...]]) -> list[SizeSource]:
    """Where each named size is found, in an order in which each needs only those before it.

    >>> from symdiff.sizes import dims
    >>> n, d = dims("n d")
    >>> [(s.name, s.argument, s.axis) for s in size_sources([(n * d,), (d,)])]
    [('d', 1, 0), ('n', 0, 0)]
    """
    found: list[SizeSource] = []
    known: set[str] = set()
    axes = [(k, axis, size) for k, shape in enumerate(shapes) for axis, size in enumerate(shape)
            if isinstance(size, Dim)]
    for k, axis, size in axes:
        name = plain_name(size)
        if name is not None and name not in known:
            known.add(name)
            found.append(SizeSource(name, k, axis, 1, 0))
    progress = True
    while progress:
        progress = False
        for k, axis, size in axes:
            unknown = named_sizes(size) - known
            if len(unknown) == 1:
                (name,) = unknown
                parts = linear_parts(size, name)
                if parts is not None:
                    known.add(name)
                    found.append(SizeSource(name, k, axis, *parts))
                    progress = True
    return found


def plain_name(size: Size) -> str | None:
    """The name, if the size is a name and nothing else."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        monomial, c = size.terms[0]
        if c == 1 and len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], Named):
            return monomial[0][0].name
    return None


def linear_parts(size: Size, name: str) -> tuple[Size, Size] | None:
    """(a, b) with size = a · name + b and neither holding the name, or None."""
    slope: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, c in monomials(size):
        others = tuple((a, p) for a, p in monomial if not (isinstance(a, Named) and a.name == name))
        power = sum(p for a, p in monomial if isinstance(a, Named) and a.name == name)
        if power > 1 or any(name in named_sizes(Dim(((((a, 1),), 1),))) for a, _ in others):
            return None
        part = slope if power else rest
        part[others] = part.get(others, 0) + c
    return from_terms(slope), from_terms(rest)
