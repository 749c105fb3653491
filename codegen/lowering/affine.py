"""Indices of the loop IR: from labels to loop variables, and the equations that reading a scatter solves."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from codegen.loop_ir.digits import put_together
from codegen.loop_ir.nodes import Affine, Call, IndexValue, Inside, Literal, Quotient, Remainder, Value, Variable
from symdiff.bounds import at_least
from symdiff.index_notation import Index, form_of, mixed_radix
from symdiff.sizes import Size, combine, divide_exactly, multiply

Bounds = Mapping[str, Size]
ZERO = Affine(0)


def variable(name: str) -> Affine:
    """The index that is a loop variable."""
    return Affine(0, ((name, 1),))


def total(constant: Size, terms: list[tuple[Variable, Size]]) -> Affine:
    """The canonical affine index of a sum of terms."""
    sums: dict[Variable, Size] = {}
    for var, c in terms:
        sums[var] = combine(((1, sums.get(var, 0)), (1, c)))
    constant = combine(((1, constant), (1, put_together(sums))))
    return Affine(constant, tuple((var, c) for var, c in sums.items() if c != 0))


def placed(index: Index, values: Mapping[int, Affine]) -> Affine:
    """An index of labels as an index of loop variables."""
    if type(index) is int:
        return values[index]
    constant, terms = form_of(index)
    found: list[tuple[Variable, Size]] = []
    for label, c in terms:
        inner = values[label]
        constant = combine(((1, constant), (1, multiply(c, inner.const))))
        found += [(var, multiply(c, k)) for var, k in inner.terms]
    return total(constant, found)


def minus(a: Affine, constant: Size) -> Affine:
    """a − constant."""
    return Affine(combine(((1, a.const), (-1, constant))), a.terms)


def difference(a: Affine, b: Affine) -> Affine:
    """a − b."""
    return total(combine(((1, a.const), (-1, b.const))), [*a.terms, *negated(b).terms])


def negated(a: Affine) -> Affine:
    """−a."""
    return Affine(combine(((-1, a.const),)), tuple((var, combine(((-1, c),))) for var, c in a.terms))


def bounds(index: Affine, sizes: Bounds) -> tuple[Size, Size] | None:
    """Least and greatest value of an index, where signs are known."""
    low: Size = index.const
    high: Size = index.const
    for var, c in index.terms:
        span = variable_span(var, sizes)
        if span is None:
            return None
        reach = multiply(c, span)
        if at_least(c, 0):
            high = combine(((1, high), (1, reach)))
        elif at_least(combine(((-1, c),)), 0):
            low = combine(((1, low), (1, reach)))
        else:
            return None
    return low, high


def variable_span(var: Variable, sizes: Bounds) -> Size | None:
    """The greatest value of a variable, None where that is a register, which may hold anything."""
    if isinstance(var, str):
        if var not in sizes:
            return None
        return combine(((1, sizes[var]), (-1, 1)))
    if isinstance(var, Remainder):
        return combine(((1, var.divisor), (-1, 1)))
    span = bounds(var.index, sizes)
    if span is None:
        return None
    parts = divide_exactly(combine(((1, span[1]), (1, 1))), var.divisor)
    return combine(((1, parts), (-1, 1))) if parts is not None else span[1]


def proved_inside(index: Affine, size: Size, sizes: Bounds) -> bool:
    """Whether 0 ≤ index < size holds for every value of the loop variables."""
    span = bounds(index, sizes)
    return span is not None and at_least(span[0], 0) and at_least(size, combine(((1, span[1]), (1, 1))))


def split(index: Affine, divisor: Size, sizes: Bounds) -> tuple[Affine, Affine]:
    """(⌊index / divisor⌋, index mod divisor), without a division where the terms tell."""
    if divisor == 1:
        return index, ZERO
    whole: list[tuple[Variable, Size]] = []
    rest: list[tuple[Variable, Size]] = []
    for var, c in index.terms:
        part = divide_exactly(c, divisor)
        if part is not None:
            whole.append((var, part))
        else:
            rest.append((var, c))
    low = Affine(index.const, tuple(rest))
    if proved_inside(low, divisor, sizes):
        return Affine(0, tuple(whole)), low
    span = bounds(low, sizes)
    if span is None or not at_least(span[0], 0):
        return Affine(0, ((Quotient(index, divisor), 1),)), Affine(0, ((Remainder(index, divisor), 1),))
    quotient, remainder = Affine(0, ((Quotient(low, divisor), 1),)), Affine(0, ((Remainder(low, divisor), 1),))
    for _, step in rest:
        # (step a + b) / (step n) is a / n for 0 ≤ b < step.
        parts = divide_exactly(divisor, step) if step != 1 else None
        steps = [(var, c) for var, c in rest if divide_exactly(c, step) is not None]
        small = Affine(index.const, tuple([term for term in rest if term not in steps]))
        if parts is not None and proved_inside(small, step, sizes):
            counted = Affine(0, tuple([(var, divide_exactly(c, step) or 0) for var, c in steps]))
            quotient, inner = split(counted, parts, sizes)
            remainder = total(small.const, [*[(var, multiply(c, step)) for var, c in inner.terms], *small.terms])
            break
    return total(0, [*whole, *quotient.terms]), remainder


class Solution(Struct):
    """Labels as indices of loop variables, and the conditions under which a label value exists."""

    labels: dict[int, Affine]
    conditions: list[Value]


def equal(a: Affine, b: Affine) -> Value:
    """a = b."""
    return Call("equal", (IndexValue(a, "int64"), IndexValue(b, "int64")), "bool")


def solve(out: tuple[Index, ...], at: tuple[Affine, ...], extents: tuple[Size, ...], sizes: Bounds) -> Solution | None:
    """The label values with out = at; None where that is not in the language (a scatter that must be pushed)."""
    found = Solution({}, [])
    later: list[tuple[Index, Affine]] = []
    pending = list(zip(out, at, strict=True))
    while pending:
        # As `injective` goes: an index whose labels count in a mixed radix first, for it may tell labels of others.
        turn = next((k for k, (index, _) in enumerate(pending) if mixed_radix(
            [t for t in form_of(index)[1] if t[0] not in found.labels], dict(enumerate(extents)))), None)
        if turn is None:
            return None
        index, value = pending.pop(turn)
        constant, terms = form_of(index)
        free = [t for t in terms if t[0] not in found.labels]
        if not free:
            later.append((index, value))
            continue
        known = placed((constant, tuple(t for t in terms if t[0] in found.labels)), found.labels)
        digits(free, difference(value, known), extents, sizes, found)
    for index, value in later:
        there = placed(index, found.labels)
        if there != value:
            found.conditions.append(equal(there, value))
    return found


def digits(terms: list[tuple[int, Size]], value: Affine, extents: tuple[Size, ...], sizes: Bounds, found: Solution) -> None:
    """Solve Σ c · label = value for labels that count in a mixed radix."""
    if len(terms) == 1:
        label, c = terms[0]
        if at_least(-1, c):
            value, c = negated(value), multiply(-1, c)
        if c != 1:
            test_nonnegative(value, sizes, found)
            value, remainder = split(value, c, sizes)
            if remainder != ZERO:
                found.conditions.append(equal(remainder, ZERO))
        settle(label, value, extents, sizes, found)
        return
    ordered = radix_order(terms, extents)
    test_nonnegative(value, sizes, found)
    for label, c in ordered[:-1]:
        quotient, value = split(value, c, sizes)
        settle(label, quotient, extents, sizes, found)
    label, c = ordered[-1]
    digits([(label, c)], value, extents, sizes, found)


def test_nonnegative(value: Affine, sizes: Bounds, found: Solution) -> None:
    """The condition that an index, which is to be divided, is not negative, where that is not proved."""
    span = bounds(value, sizes)
    if span is None or not at_least(span[0], 0):
        found.conditions.append(Call("greater_equal", (IndexValue(value, "int64"), Literal(0, "int64")), "bool"))


def radix_order(terms: list[tuple[int, Size]], extents: tuple[Size, ...]) -> list[tuple[int, Size]]:
    """The terms from the largest stride to the smallest."""
    rest = list(terms)
    ordered: list[tuple[int, Size]] = []
    reach: Size = 1
    while rest:
        chosen = next((t for t in rest if t[1] == reach), None)
        if chosen is None:
            chosen = min(rest, key=lambda t: t[1] if isinstance(t[1], int) else 1 << 60)
        rest.remove(chosen)
        ordered.append(chosen)
        reach = multiply(chosen[1], extents[chosen[0]])
    return ordered[::-1]


def settle(label: int, value: Affine, extents: tuple[Size, ...], sizes: Bounds, found: Solution) -> None:
    """label = value, under the condition that it is in range where that is not proved."""
    found.labels[label] = value
    if not proved_inside(value, extents[label], sizes):
        found.conditions.append(Inside(value, extents[label]))
