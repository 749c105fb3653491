"""Matrix products: cores that are a matrix times a matrix or a vector, with any batch labels around.

Labels that stand side by side, in the same order wherever they occur, are one: Σ_tb X[t,b,d] Y[t,b,e] is XᵀY over T·B rows.
A part of an array is read where it stands: the heads Q[b, s, 16 h + d] are matrices of the rows s and columns d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from codegen.planning.costs import Hints
from symdiff.expression import Add, Node, Product
from symdiff.index_notation import Index, Label, form_of, injective, inside, labels_in, labels_of, rename
from symdiff.normal_form.merging import placed
from symdiff.sizes import Size, multiply

# Below this many multiplications plain loops win over a library call.
SMALLEST = 2000
# Below this many rows the half of a product is not worth several calls.
LEAST_SYMMETRIC = 48
Group = tuple[Label, ...]
# The axes of arrays in the order in which they lie, where that is not the one in which they are written.
Layouts = Mapping[Node, tuple[int, ...]]
AS_WRITTEN: Layouts = {}


class Operand(NamedTuple):
    """An array, and the index at which each of its axes is read."""

    node: Node
    at: tuple[Index, ...]

    def lying(self, layouts: Layouts) -> Lying:
        """The same with its axes as they lie."""
        order = layouts.get(self.node, range(len(self.at)))
        return Lying(self.node, tuple([self.at[k] for k in order]), tuple([self.node.shape[k] for k in order]))


class Lying(NamedTuple):
    """An array, and for each of its axes as they lie the index at which it is read, and its length."""

    node: Node
    at: tuple[Index, ...]
    shape: tuple[Size, ...]


class MatrixForm(Struct, frozen=True):
    """C[rows, columns] = Σ_inner A[rows, inner] B[inner, columns]; without columns, B and C are vectors.

    Each of the three is a group of labels that count as one; `batch` labels are looped over, and what they sum is added up.
    A `symmetric` one is its own transpose.
    """

    A: Operand
    B: Operand
    rows: Group
    columns: Group
    inner: Group
    batch: tuple[Label, ...]
    symmetric: bool = False


# A, B, and the labels that are rows, columns and inner.
Groups = tuple[Operand, Operand, list[Label], list[Label], list[Label]]


def groups_of(node: Product, copied: bool = False) -> Groups | None:
    """(A, B, rows, columns, inner) of a core that is a product of matrices but for the order of its labels, None for others.

    With `copied`, what mixes labels of two groups in one axis is read where it is copied: of windows that lie side by side each
    axis counts rows and inner labels.
    """
    if not node.is_core or len(node.factors) != 2 or node.dtype not in ("float64", "float32"):
        return None
    if any(f.dtype != node.dtype for f, _ in node.factors):
        return None
    extents = dict(enumerate(node.extents))
    a, b = (operand(f, at) for f, at in node.factors)
    summed = [label for label in node.summed if extents[label] != 1]
    if any(not inside(i, f.node.shape[k], extents) for f in (a, b) for k, i in enumerate(f.at)):
        return None
    in_a, in_b = ([i for index in f.at for i in labels_of(index) if i in summed or i not in node.summed] for f in (a, b))
    if len(set(in_a)) < len(in_a) or len(set(in_b)) < len(in_b) or any(i not in in_a or i not in in_b for i in summed):
        return None
    if any(extents[i] != 1 and i not in in_a and i not in in_b for index in node.out for i in labels_of(index)):
        return None  # the same along an axis of the result: no product fills that
    # Labels of one place make no group longer.
    rows, columns = ([i for i in group if extents[i] != 1] or group[:1] for group in (
        [i for i in in_a if i not in in_b], [i for i in in_b if i not in in_a]))
    inner = [i for i in in_a if i in summed]
    if not inner or not (rows or columns):
        return None
    a, b = (Operand(*factor) if copied and mixes(f, rows, columns, inner) else f
            for f, factor in zip((a, b), node.factors, strict=True))
    if not rows:
        a, b, rows, columns = b, a, columns, rows
    return a, b, rows, columns, inner


def mixes(f: Operand, *groups: Sequence[Label]) -> bool:
    """Whether an axis is read at labels of more than one group."""
    return any(sum(not labels.isdisjoint(group) for group in groups) > 1 for labels in (set(labels_of(index)) for index in f.at))


def matrix_form(node: Product, hints: Hints, sample: Label | None = None, layouts: Layouts = AS_WRITTEN) -> MatrixForm | None:
    """The core as a matrix product worth a library call, None where it is none.

    The `sample` label, of which a tile holds a part, is the first of those that count as one, or alone.
    """
    found = groups_of(node)
    if found is None:
        return None
    form = grouped(node, found, hints, sample, layouts)
    copies = groups_of(node, copied=True) if form is None and any(mixes(f, *found[2:]) for f in found[:2]) else None
    if copies is None:
        return form
    # A copy is worth a product of all that it mixed, not many small ones.
    form = grouped(node, copies, hints, sample, layouts)
    return None if form is None or any(i in group for i in form.batch for group in copies[2:]) else form


def grouped(node: Product, found: Groups, hints: Hints, sample: Label | None, layouts: Layouts) -> MatrixForm | None:
    """The matrix product of operands whose labels are grouped like this, None where they do not lie so."""
    a, b, rows, columns, inner = found
    if not columns and is_of_fewer(a.node):
        return None
    c = Operand(node, node.out)
    everything = dict.fromkeys([i for f in (a, b) for index in f.at for i in labels_of(index) if node.extents[i] != 1 or i in (
        *rows, *columns)])
    lying = [f.lying(layouts) for f in (a, b, c)]
    # Groups are looked for in the order in which labels lie.
    rows, columns, inner = (sorted(group, key=lambda i: places(f)[i]) for group, f in zip(
        (rows, columns, inner), (lying[0], lying[1], lying[0]), strict=True))
    for groups in partitions(rows, columns, inner, sample):
        taken = [i for group in groups for i in group]
        if hints.count([node.extents[i] for i in taken]) < SMALLEST:
            continue
        # A batch of sums is no batch of products with a matrix of one row.
        if len(taken) < len(everything) and not groups[1] and all(node.extents[i] == 1 for i in groups[0]):
            continue
        pairs = zip(lying, (groups[::2], groups[:0:-1], groups[:2]), strict=True)
        if all(fits(f, pair, node.extents, sample, f is lying[2]) for f, pair in pairs):
            batch = tuple(i for i in sorted(everything, key=lambda i: i != sample) if i not in taken)
            form = MatrixForm(a, b, *groups, batch)
            if hints.count([node.extents[i] for i in form.rows]) < LEAST_SYMMETRIC or any(f.node in layouts for f in (a, b, c)):
                return form
            # A result that stands the other way round is the product of the two the other way round.
            turned = MatrixForm(b, a, form.columns, form.rows, form.inner, batch)
            return next((replace(f, symmetric=True) for f in (form, turned) if is_symmetric(node, f, sample)), form)
    return None


def unordered_operands(node: Product, hints: Hints) -> tuple[Node, ...]:
    """The operands of a product of matrices whose labels stand in no order for that: arrays may lie so that they do."""
    groups = groups_of(node, copied=True)
    if groups is None or not (groups[2] and groups[3]) or hints.count(node.extents) < SMALLEST:
        return ()
    if any(type(i) is not int and labels_in((i,)) for f in groups[:2] for i in f.at):
        return ()
    return tuple([f.node for f in groups[:2]])


def is_of_fewer(node: Node) -> bool:
    """Whether a matrix is sums and products of what has fewer axes, as x[i] - x[j] is.

    Times a vector, where each element is read once, it takes longer to load it than to compute it.
    """
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, Add):
            pending.extend(part.children)
        elif isinstance(part, Product) and part.dense and part.factors:
            pending.extend([f for f, at in part.factors if len(at) == part.ndim])
        else:
            return False
    return True


def is_symmetric(node: Product, form: MatrixForm, sample: Label | None) -> bool:
    """Whether a product is its own transpose, so that half of it is enough: Σ_n s[n] x[n,i] x[n,j] with the factor s x.

    The factors of one, with columns for rows, are among those of the other, and what that has beside them knows neither.
    """
    square = [node.extents[i] for i in form.rows] == [node.extents[i] for i in form.columns]
    behind = node.out[len(node.out) - 2 * len(form.rows):]
    if not square or behind != (*form.rows, *form.columns) or sample in node.out:
        return False
    turned = dict(zip((*form.columns, *form.rows), (*form.rows, *form.columns), strict=True))
    return scale_of(form.A, form.B, turned) is not None or scale_of(form.B, form.A, turned) is not None


def scale_of(whole: Operand, part: Operand, turned: Mapping[Label, Label]) -> list[Operand] | None:
    """The factors that make an operand of the other one with labels `turned`, where they know none of these labels."""
    rest = written_out(whole)
    for f, at in written_out(part):
        wanted = tuple(rename(i, {label: turned.get(label, label) for label in labels_of(i)}) for i in at)
        found = next((k for k, (other, there) in enumerate(rest) if other is f and there == wanted), None)
        if found is None:
            return None
        del rest[found]
    return None if any(label in turned for _, at in rest for i in at for label in labels_of(i)) else rest


def written_out(operand: Operand) -> list[Operand]:
    """The factors of an operand, those of products among them in their place."""
    f = operand.node
    if not isinstance(f, Product) or not f.dense or f.narrows or not f.factors:
        return [operand]
    where = dict(enumerate(operand.at))
    return [inner for child, at in f.factors for inner in written_out(Operand(child, tuple(placed(i, where) for i in at)))]


def operand(f: Node, at: tuple[Index, ...]) -> Operand:
    """A factor as an operand: of one that only shows a part of an array, turned at most, the array."""
    if isinstance(f, Product) and f.dense and not f.narrows and f.coefficient == 1 and len(f.factors) == 1:
        (inner, places), = f.factors
        within = all(inside(index, inner.shape[k], dict(enumerate(f.extents))) for k, index in enumerate(places))
        whole = {label for index in places for label in labels_of(index)} == set(range(f.ndim))
        # Windows lie over one another: what reads them as a matrix reads their copy.
        if within and whole and injective(places, dict(enumerate(f.extents))):
            return Operand(inner, tuple(placed(index, dict(enumerate(at))) for index in places))
    return Operand(f, at)


def partitions(rows: Sequence[Label], columns: Sequence[Label], inner: Sequence[Label],
               sample: Label | None) -> Iterator[tuple[Group, Group, Group]]:
    """Groups that may count as one, those first that leave the least to be looped over."""
    others = [tuple(i for i in inner if i != sample)] if sample in inner and len(inner) > 1 else []
    sums = [tuple(inner[k:]) for k in range(len(inner))] + others
    choices = [(r + c + k, tuple(rows[r:]), tuple(columns[c:]), summed) for r in range(len(rows))
               for c in range(max(len(columns), 1)) for k, summed in enumerate(sums)]
    for _, r, c, k in sorted(choices, key=lambda choice: choice[0]):
        if not any(sample in group[1:] for group in (r, c, k)) and (c or len(r) == len(k) == 1):
            yield r, c, k


def places(f: Lying) -> dict[Label, int]:
    """Where each label stands among those of an array."""
    return {label: k for k, label in enumerate(label for index in f.at for label in labels_of(index))}


def axes_of(group: Group, other: Group, f: Lying) -> range:
    """The axes of an array that a group counts through, and those of one place behind them that the other group does not."""
    found = [k for k, index in enumerate(f.at) if not set(group).isdisjoint(labels_of(index))]
    end = found[-1] + 1 if found else 0
    while found and end < len(f.shape) and f.shape[end] == 1 and set(other).isdisjoint(labels_of(f.at[end])):
        end += 1
    return range(found[0] if found else 0, end)


def counts(group: Group, coefficients: Mapping[Label, Size], extents: Sequence[Size]) -> bool:
    """Whether an index counts through a group as if it were one label: 16 c + 4 i + j, for i and j below 4."""
    step: Size = 1
    for label in reversed(group):
        if coefficients[label] != step:
            return False
        step = multiply(step, extents[label])
    return True


def fits(f: Lying, groups: Sequence[Group], extents: Sequence[Size], sample: Label | None, written: bool = False) -> bool:
    """Whether each group is an axis of the array, or several that lie together and are whole, with no other axis behind them.

    Beside several axes that count as one, what is `written` is whole; of what is read the first axis of a group may be a part.
    An axis of one place that no group counts is none.
    """
    taken = [i for group in groups for i in group]
    axes = [k for k, size in enumerate(f.shape) if size != 1 or not labels_in(f.at[k:k + 1]).isdisjoint(taken)]
    f = Lying(f.node, tuple([f.at[k] for k in axes]), tuple([f.shape[k] for k in axes]))
    read: list[Label | None] = []
    several = [group for group in groups if len(group) > 1]
    for index in f.at:
        found = [(i, c) for i, c in form_of(index)[1] if i in taken]
        if sample is not None and index != sample and sample in labels_of(index):
            return False
        if len(found) > 1:
            # A group that counts the positions of one axis is one label of it.
            coefficients = dict(found)
            group = next((g for g in several if set(g) == set(coefficients)), ())
            if not group or not counts(group, coefficients, extents):
                return False
            several.remove(group)
            taken = [i for i in taken if i not in group[1:]]
            found = [(group[0], 1)]
        if any(c != 1 for _, c in found):
            return False
        read.append(found[0][0] if found else None)
    for k, index in enumerate(f.at):
        joined = [group for group in several if read[k] is not None and (read[k] in group or written)]
        part = not written and not any(sample in group or not set(group).isdisjoint(read[:k]) for group in joined)
        if joined and not part and (type(index) is not int or f.shape[k] != extents[index]):
            return False
    if not several:
        return True
    behind = read[len(read) - len(taken):]
    first, second = (group if group in several else group[:1] for group in groups)
    # What a tile cuts comes first, so that the rest of each part is contiguous.
    if any(sample in group and len(group) > 1 and tuple(behind[:len(group)]) != group for group in groups):
        return False
    return None not in behind and len(set(behind)) == len(taken) and tuple(behind) in ((*first, *second), (*second, *first))
