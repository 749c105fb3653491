"""How a product reads: slices for affine indices of one label, and the factors of nested cores in one list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from symdiff.bounds import at_least
from symdiff.expression import Factor, Node, Product
from symdiff.index_notation import Index, form_of, inside, labels_of, rename, replace, tidy
from symdiff.printing.pieces import Cut
from symdiff.sizes import Size, combine, multiply

Label = int
MOST = 24


class Flat(Struct):
    """A product with its nested cores opened: factors, extents, out."""

    factors: list[Factor]
    extents: dict[Label, Size]
    out: tuple[Index, ...]


def clipped(node: Product) -> Product:
    """The product with labels cut to the range in which every read and every write is inside; elsewhere it is zero."""
    narrower: Product | None = node
    while narrower is not None:
        node = narrower
        places = [*zip(node.out, node.shape, strict=True)]
        places += [place for f, at in node.factors for place in zip(at, f.shape, strict=True)]
        narrower = next((found for index, size in places if (found := cut_inside(node, index, size)) is not None), None)
    return node


def cut_inside(node: Product, index: Index, size: Size) -> Product | None:
    """The product with the label of `index` cut such that 0 ≤ index < size; None where nothing is shown to be outside."""
    start, terms = form_of(index)
    if len(terms) != 1 or terms[0][1] != 1:
        return None
    label = terms[0][0]
    stop = combine(((1, start), (1, node.extents[label])))
    first = 0 if at_least(start, 0) else start
    last = size if at_least(stop, size) else stop
    extent = combine(((1, last), (-1, start), (1, first)))
    if extent == node.extents[label] or not (at_least(0, first) and at_least(size, last) and at_least(extent, 1)):
        return None
    extents = tuple(extent if k == label else e for k, e in enumerate(node.extents))
    shift: Index = (combine(((-1, first),)), ((label, 1),)) if first != 0 else label
    factors = tuple((f, tuple(replace(i, label, shift) for i in at)) for f, at in node.factors)
    return Product(node.coefficient, factors, tuple(replace(i, label, shift) for i in node.out), extents, node.type)


def flattened(node: Product, stays: Callable[[Node], bool]) -> Flat:
    """The product with every core opened that is read at plain distinct labels and does not stay as it is.

    Beyond `MOST` factors cores stay closed, so that long products take time in proportion to their length.
    """
    extents: dict[Label, Size] = dict(enumerate(node.extents))
    pending: list[Factor] = list(reversed(node.factors))
    factors: list[Factor] = []
    while pending:
        f, at = pending.pop()
        room = len(factors) + len(pending) < MOST
        core = isinstance(f, Product) and f.is_core and f.dtype == node.dtype and room
        if core and isinstance(f, Product) and not stays(f) and reads_whole(f, at, extents):
            names: dict[Label, Label] = dict(zip(range(f.ndim), at, strict=True))  # type: ignore[arg-type]
            for label in range(f.ndim, len(f.extents)):
                names[label] = len(extents)
                extents[len(extents)] = f.extents[label]
            pending += [(g, tuple(rename(i, names) for i in there)) for g, there in reversed(f.factors)]
        else:
            factors.append((f, at))
    return narrowed(Flat(factors, extents, node.out))


def narrowed(flat: Flat) -> Flat:
    """The product with every summed label that reads past the ends of an axis, where all is zero, run over the axis alone."""
    kept = {label for index in flat.out for label in labels_of(index)}
    for label in [label for label in flat.extents if label not in kept]:
        for f, at in flat.factors:
            window = next((w for w in (window_of(i, s, label, flat.extents) for i, s in zip(at, f.shape, strict=True)) if w),
                          None)
            if window is not None:
                start, flat.extents[label] = window
                moved = tidy(start, {label: 1})
                flat.factors = [(g, tuple([replace(i, label, moved) for i in there])) for g, there in flat.factors]
                break
    return flat


def window_of(index: Index, size: Size, label: Label, extents: dict[Label, Size]) -> tuple[Size, Size] | None:
    """(start, extent) of the values of a label for which `label - start` is inside an axis, where those are not all."""
    constant, terms = form_of(index)
    start = combine(((-1, constant),))
    if terms != ((label, 1),) or (start == 0 and extents[label] == size):
        return None
    fits = at_least(start, 0) and at_least(extents[label], combine(((1, start), (1, size))))
    return (start, size) if fits else None


def reads_whole(node: Node, at: tuple[Index, ...], extents: dict[Label, Size]) -> bool:
    """Whether the node is read at plain distinct labels from end to end."""
    return all(type(i) is int and extents[i] == node.shape[k] for k, i in enumerate(at)) and len(set(at)) == len(at)


def row_major(indices: Sequence[Index], shape: Sequence[Size], extents: dict[Label, Size]) -> tuple[Label, ...] | None:
    """The labels whose values, in this order, count through an array of that shape row by row; None where none do."""
    labels: list[Label] = []
    for index, size in zip(indices, shape, strict=True):
        constant, terms = form_of(index)
        group: list[Label] = []
        reach: Size = 1
        rest = list(terms)
        while rest:
            term = next((t for t in rest if t[1] == reach), None)
            if term is None:
                return None
            rest.remove(term)
            group.insert(0, term[0])
            reach = multiply(reach, extents[term[0]])
        if constant != 0 or reach != size:
            return None
        labels += group
    return tuple(labels) if len(set(labels)) == len(labels) else None


def unmerged(node: Node) -> Node:
    """x where the node is all of x in its order, in other axes: to reshape that is to reshape x."""
    while isinstance(node, Product) and node.coefficient == 1 and len(node.factors) == 1:
        (x, at), extents = node.factors[0], dict(enumerate(node.extents))
        if not at or at != row_major(node.out, node.shape, extents) or not reads_whole(x, at, extents):
            break
        node = x
    return node


def cuts_of(node: Node, at: tuple[Index, ...],
            extents: dict[Label, Size]) -> tuple[list[Cut], tuple[Label, ...]] | None:
    """The slices by which the node is read and the labels that are left, None where slices cannot say it."""
    cuts: list[Cut] = []
    labels: list[Label] = []
    for index, size in zip(at, node.shape, strict=True):
        cut = cut_of(index, size, extents)
        if cut is None:
            return None
        cuts.append(cut)
        if cut.position is None:
            labels.append(form_of(index)[1][0][0])
    return cuts, tuple(labels)


def cut_of(index: Index, size: Size, extents: dict[Label, Size]) -> Cut | None:
    """One axis of a slice."""
    if type(index) is int and extents[index] == size:
        return Cut(size=size)
    constant, terms = form_of(index)
    if not inside(index, size, extents) or len(terms) > 1:
        return None
    if not terms:
        return Cut(position=constant, size=size)
    label, step = terms[0]
    if not isinstance(step, int):
        return None
    last = combine(((1, constant), (1, multiply(step, combine(((1, extents[label]), (-1, 1)))))))
    if step > 0:
        stop = combine(((1, last), (1, 1)))
        natural = at_least(combine(((1, stop), (step - 1, 1))), size)
        return Cut(None if constant == 0 else constant, None if natural else stop, step, size=size)
    start = None if combine(((1, constant), (1, 1))) == size else constant
    end = combine(((1, last), (-1, 1)))
    natural = at_least(-step - 1, last)
    if not natural and not at_least(end, 0):
        return None
    return Cut(start, None if natural else end, step, size=size)
