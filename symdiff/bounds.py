"""What is proved about sizes from the least values of the named ones: lower bounds, and so which is the larger."""

from __future__ import annotations

from symdiff.sizes import NAMED, Dim, Named, Quotient, Size, combine, monomials, multiply, named_sizes


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
                    place = tuple(sorted(powers.items()))
                    step[place] = step.get(place, 0) + k
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
    """Whether `a ≥ b` is proved; the minima that prove it can no longer be lowered."""
    if isinstance(a, int) and isinstance(b, int):
        return a >= b
    difference = combine(((1, a), (-1, b)))
    bound = lower_bound(difference)
    if bound is None or bound < 0:
        bound = lower_bound(below_quotients(difference))
    proved = bound is not None and bound >= 0
    if proved:
        for name in named_sizes(difference):
            atom = NAMED[name]
            atom.proved = max(atom.proved, atom.minimum)
    return proved


def below_quotients(size: Size) -> Size:
    """A size that is never greater, with k ⌊a / b⌋ as a k / b or (a - b + 1) k / b where b divides k.

    >>> from symdiff.sizes import dim
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
