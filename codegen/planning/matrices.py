"""Matrix products: cores that are a matrix times a matrix or a vector, with any batch labels around.

Labels that stand side by side, in the same order wherever they occur, are one: Σ_tb X[t,b,d] Y[t,b,e] is XᵀY over T·B rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codegen.planning.costs import Hints
from symdiff.expression import Node, Product
from symdiff.index_notation import Label, form_of, inside
from symdiff.sizes import Size

# Below this many multiplications plain loops win over a library call.
SMALLEST = 2000
Group = tuple[Label, ...]


class Operand(NamedTuple):
    """An array, the label that each axis is read at, and where on the axis that label starts."""

    node: Node
    at: tuple[Label, ...]
    starts: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class MatrixForm:
    """C[rows, columns] = Σ_inner A[rows, inner] B[inner, columns]; without columns, B and C are vectors.

    Each of the three is a group of labels that count as one; `batch` labels are looped over.
    """

    A: Operand
    B: Operand
    rows: Group
    columns: Group
    inner: Group
    batch: tuple[Label, ...]


def matrix_form(node: Product, hints: Hints, sample: Label | None = None) -> MatrixForm | None:
    """The core as a matrix product worth a library call, None where it is none.

    The `sample` label, of which a tile holds a part, is the first of those that count as one, or alone.
    """
    if not node.is_core or len(node.factors) != 2 or node.dtype not in ("float64", "float32"):
        return None
    if any(type(i) is not int for _, at in node.factors for i in at) or any(len(set(at)) != len(at) for _, at in node.factors):
        return None
    a, b = (operand(f, at) for f, at in node.factors)  # type: ignore[arg-type]
    at_a, at_b = a.at, b.at
    summed = node.summed
    if any(i not in at_a or i not in at_b for i in summed) or any(f.dtype != node.dtype for f, _ in node.factors):
        return None
    if any(not inside(i, f.shape[k], dict(enumerate(node.extents))) for f, at in node.factors for k, i in enumerate(at)):
        return None
    rows: list[Label] = [i for i in at_a if i not in at_b]
    columns: list[Label] = [i for i in at_b if i not in at_a]
    inner: list[Label] = [i for i in at_a if i in summed]
    if not (rows or columns):
        return None
    if not rows:
        a, b, at_a, at_b, rows, columns = b, a, at_b, at_a, columns, rows
    if hints.count([node.extents[label] for label in (*rows, *columns, *inner)]) < SMALLEST:
        return None
    loops = [i for i in at_a if i in at_b and i not in summed]
    if not inner:
        return None
    whole = columns and all(f.node.shape[k] == node.extents[i] for f in (a, b) for k, i in enumerate(f.at))
    found = next((part for part in parts(rows, columns, inner, sample) if lie(part, (at_a, at_b, node.out), bool(whole))), None)
    if found is None:
        return None
    loops += [i for group, kept in zip((rows, columns, inner), found, strict=True) for i in group if i not in kept]
    return MatrixForm(a, b, *found, tuple(loops))


def operand(f: Node, at: tuple[Label, ...]) -> Operand:
    """A factor as an operand: of one that only shows a part of an array, turned at most, the array."""
    if isinstance(f, Product) and f.dense and not f.narrows and f.coefficient == 1 and len(f.factors) == 1:
        (inner, places), = f.factors
        labels: list[Label] = []
        starts: list[Size] = []
        for k, index in enumerate(places):
            start, terms = form_of(index)
            if len(terms) == 1 and terms[0][1] == 1 and inside(index, inner.shape[k], dict(enumerate(f.extents))):
                labels.append(at[terms[0][0]])
                starts.append(start)
        if len(set(labels)) == f.ndim == inner.ndim:
            return Operand(inner, tuple(labels), tuple(starts))
    return Operand(f, at, (0,) * len(at))


def parts(rows: Sequence[Label], columns: Sequence[Label], inner: Sequence[Label],
          sample: Label | None) -> Iterator[tuple[Group, Group, Group]]:
    """Groups that may count as one, the largest first: what is missing of them is looped over.

    The sample is the first of its group; a sum over it may be looped over as well, since what it adds to is kept.
    """
    inners = [tuple(inner)] + ([tuple(i for i in inner if i != sample)] if sample in inner and len(inner) > 1 else [])
    for k in inners:
        for r in range(len(rows)):
            for c in range(max(len(columns), 1)):
                groups = tuple(rows[r:]), tuple(columns[c:]), k
                if not any(sample in group[1:] for group in groups):
                    yield groups


def lie(groups: tuple[Group, Group, Group], places: tuple[Sequence[object], ...], matrices: bool) -> bool:
    """Whether the labels of each group stand together wherever they occur; a vector has no leading dimension, so one each."""
    rows, columns, inner = groups
    if not matrices:
        return all(len(group) < 2 for group in groups)
    return all(lies(at, pair) for at, pair in zip(places, ((rows, inner), (inner, columns), (rows, columns)), strict=True))


def lies(at: Sequence[object], groups: Sequence[Sequence[Label]]) -> bool:
    """Whether every group of several labels stands together and in order, with nothing between or behind the groups."""
    if all(len(group) < 2 for group in groups):
        return True
    first, second = (tuple(group) for group in groups)
    rest = tuple(i for i in at if i in (*first, *second))
    return tuple(at[len(at) - len(rest):]) == rest and rest in ((*first, *second), (*second, *first))
