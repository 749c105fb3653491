"""Matrix products: cores that are a matrix times a matrix or a vector, with any batch labels around."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.planning.costs import Hints
from symdiff.expression import Node, Product
from symdiff.index_notation import Label

# Below this many multiplications plain loops win over a library call.
SMALLEST = 2000
SYMBOLIC = 64


@dataclass(frozen=True, slots=True)
class MatrixForm:
    """C[row, column] = Σ_inner A[row, inner] B[inner, column]; a None column makes B and C vectors."""

    A: Node
    B: Node
    at_a: tuple[Label, ...]
    at_b: tuple[Label, ...]
    row: Label
    column: Label | None
    inner: Label
    batch: tuple[Label, ...]


def matrix_form(node: Product, hints: Hints) -> MatrixForm | None:
    """The core as a matrix product worth a library call, None where it is none."""
    if not node.is_core or len(node.factors) != 2 or node.dtype not in ("float64", "float32"):
        return None
    (a, at_a), (b, at_b) = node.factors
    if any(type(i) is not int for i in (*at_a, *at_b)) or len(set(at_a)) != len(at_a) or len(set(at_b)) != len(at_b):
        return None
    summed = node.summed
    if len(summed) != 1 or summed[0] not in at_a or summed[0] not in at_b or a.dtype != node.dtype or b.dtype != node.dtype:
        return None
    if any(f.shape[k] != node.extents[i] for f, at in node.factors for k, i in enumerate(at)):  # type: ignore[index]
        return None
    rows = [i for i in at_a if i not in at_b]
    columns = [i for i in at_b if i not in at_a]
    if len(rows) > 1 or len(columns) > 1 or not (rows or columns):
        return None
    if not rows:
        (a, at_a), (b, at_b), rows, columns = (b, at_b), (a, at_a), columns, rows
    row, inner = rows[0], summed[0]
    column = columns[0] if columns else None
    batch = tuple(i for i in at_a if i not in (row, inner))
    work = hints.count([node.extents[label] for label in (row, inner, column) if label is not None])  # type: ignore[index]
    if work < SMALLEST:
        return None
    return MatrixForm(a, b, at_a, at_b, row, column, inner, batch)  # type: ignore[arg-type]
