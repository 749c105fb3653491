"""Index notation: affine forms of labels, and the equations between them that δ-algebra comes down to.

A label is an int; an `Index` is either a plain label or a pair `(constant, ((label, coefficient), …))` that means
constant + Σ coefficient · label.  Constants and coefficients are sizes (ints or `Dim`s).  A label runs over
0 … extent − 1.  Reading outside an axis gives zero, writing there does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Union

from symdiff.bounds import at_least
from symdiff.sizes import Size, combine, multiply, size_hash

Label = int
Form = tuple[Size, tuple[tuple[Label, Size], ...]]
Index = Union[Label, Form]
Extents = Mapping[Label, Size]


def form_of(index: Index) -> Form:
    """The pair form of an index."""
    return (0, ((index, 1),)) if type(index) is int else index  # type: ignore[return-value]


def index_hash(indices: tuple[Index, ...]) -> int:
    """A hash of an index tuple that is the same in every process."""
    for i in indices:
        if i.__class__ is not int:
            break
    else:
        return hash(indices)
    return hash(tuple([i if i.__class__ is int else
                       hash((size_hash(i[0]), tuple([(label, size_hash(c)) for label, c in i[1]]))) for i in indices]))  # type: ignore[index]


def tidy(constant: Size, terms: Mapping[Label, Size]) -> Index:
    """The canonical index of constant + Σ coefficient · label."""
    kept = tuple(sorted((t for t in terms.items() if t[1] != 0), key=lambda t: t[0]))
    if len(kept) == 1 and constant == 0 and kept[0][1] == 1:
        return kept[0][0]
    return (constant, kept)


def labels_of(index: Index) -> Iterator[Label]:
    """The labels of an index."""
    if type(index) is int:
        yield index
    else:
        for label, _ in index[1]:  # type: ignore[index]
            yield label


def labels_in(at: tuple[Index, ...]) -> set[Label]:
    """The labels of an index tuple."""
    return {label for index in at for label in labels_of(index)}


def rename(index: Index, names: Mapping[Label, Label]) -> Index:
    """The index with its labels renamed."""
    if type(index) is int:
        return names[index]
    constant, terms = index  # type: ignore[misc]
    return tidy(constant, {names[label]: c for label, c in terms})


def replace(index: Index, label: Label, by: Index) -> Index:
    """The index with `label` replaced by another index."""
    if type(index) is int:
        return by if index == label else index
    constant, terms = index  # type: ignore[misc]
    found = None
    total: dict[Label, Size] = {}
    for name, c in terms:
        if name == label:
            found = c
        else:
            total[name] = c
    if found is None:
        return index
    more, extra = form_of(by)
    for name, c in extra:
        total[name] = combine(((1, total.get(name, 0)), (1, multiply(found, c))))
    return tidy(combine(((1, constant), (1, multiply(found, more)))), total)


def subtract(a: Index, b: Index) -> Form:
    """a − b as a pair form (it may have no label)."""
    constant_a, terms_a = form_of(a)
    constant_b, terms_b = form_of(b)
    total: dict[Label, Size] = dict(terms_a)
    for label, c in terms_b:
        total[label] = combine(((1, total.get(label, 0)), (-1, c)))
    kept = tuple(sorted((t for t in total.items() if t[1] != 0), key=lambda t: t[0]))
    return (combine(((1, constant_a), (-1, constant_b))), kept)


def bounds(index: Index, extents: Extents) -> tuple[Size, Size] | None:
    """Least and greatest value of an index over its labels, None where a sign is not known."""
    if type(index) is int:
        return 0, combine(((1, extents[index]), (-1, 1)))
    low: Size
    high: Size
    constant, terms = index  # type: ignore[misc]
    low = high = constant
    for label, c in terms:
        span = multiply(c, combine(((1, extents[label]), (-1, 1))))
        if at_least(c, 0):
            high = combine(((1, high), (1, span)))
        elif at_least(combine(((-1, c),)), 0):
            low = combine(((1, low), (1, span)))
        else:
            return None
    return low, high


def inside(index: Index, size: Size, extents: Extents) -> bool:
    """Whether 0 ≤ index < size is proved for every value of the labels."""
    if type(index) is int and extents[index] == size:
        return True
    span = bounds(index, extents)
    if span is None:
        return False
    return at_least(span[0], 0) and at_least(size, combine(((1, span[1]), (1, 1))))


def outside(index: Index, size: Size, extents: Extents) -> bool:
    """Whether index < 0 or index ≥ size is proved for every value of the labels."""
    span = bounds(index, extents)
    if span is None:
        return False
    return at_least(-1, span[1]) or at_least(span[0], size)


def injective(out: tuple[Index, ...], extents: Extents) -> bool:
    """Whether different label values always give different positions (so that a scatter never adds two values)."""
    known: set[Label] = set()
    forms = [form_of(index) for index in out]
    progress = True
    while progress:
        progress = False
        for _, terms in forms:
            free = [t for t in terms if t[0] not in known]
            if free and mixed_radix(free, extents):
                known.update(label for label, _ in free)
                progress = True
    return all(label in known for _, terms in forms for label, _ in terms)


def mixed_radix(terms: list[tuple[Label, Size]], extents: Extents) -> bool:
    """Whether Σ coefficient · label counts in a mixed radix, so that the labels follow from the sum."""
    if len(terms) == 1:
        return True
    rest = list(terms)
    reach: Size = 1
    while rest:
        step = next((t for t in rest if at_least(t[1], reach)), None)
        smallest = next((t for t in rest if t[1] == reach), None)
        chosen = smallest or (step if len(rest) == 1 else None)
        if chosen is None:
            ordered = [t for t in rest if isinstance(t[1], int) and t[1] > 0]
            if len(ordered) != len(rest) or not isinstance(reach, int):
                return False
            chosen = min(ordered, key=lambda t: t[1])
            if not at_least(chosen[1], reach):
                return False
        rest.remove(chosen)
        reach = combine(((1, reach), (1, multiply(chosen[1], combine(((1, extents[chosen[0]]), (-1, 1)))))))
    return True
