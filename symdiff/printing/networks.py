"""From a product in index notation to a formula of matrices: chains, ⊙, diag, norms, traces.

Items are vectors and matrices with the labels at which they are read.  Step by step two items that share a label become
one, until only labels of the result are left; where a label cannot be dealt with (three matrices meet in it) there is
no matrix form, and the caller writes the product with indices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from symdiff.printing.pieces import Part, Piece, flipped_chain
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import Size

Label = int
ONES = Part(Piece("1"), 1, "ones")


class NoMatrixForm(Exception):
    """The product needs indices."""


class Item(Struct):
    """A tensor of a product: a chain of parts for a matrix or vector, its labels, and what squared it is, if anything.

    `above` and `below` hold the factors of a product taken element by element.
    """

    labels: tuple[Label, ...]
    above: list[Piece]
    below: list[Piece]
    parts: tuple[Part, ...] = ()
    root: Piece | None = None
    symmetric: bool = False

    def chain(self, style: MatrixStyle) -> tuple[Part, ...]:
        """The item as a chain of parts: rows by the first label, columns by the second."""
        if self.parts:
            return self.parts
        return (Part(self.piece(style), len(self.labels), symmetric=self.symmetric),)

    def piece(self, style: MatrixStyle) -> Piece:
        """The item as one piece."""
        if self.parts:
            return style.chain(self.parts, len(self.labels))
        head = style.hadamard(style.gathered(self.above)) if self.above else Piece("1", axes=0)
        return style.quotient(head, style.gathered(self.below), len(self.labels)) if self.below else head


def joined_elementwise(a: Item, b: Item, style: MatrixStyle) -> Item:
    """a ⊙ b, with b brought to the labels of a."""
    if b.labels != a.labels:
        b = transposed(b, style)
    for item in (a, b):
        if item.parts:
            item.above, item.parts = [item.piece(style)], ()
    return Item(a.labels, [*a.above, *b.above], [*a.below, *b.below], symmetric=a.symmetric and b.symmetric)


def transposed(item: Item, style: MatrixStyle) -> Item:
    """The matrix with its two labels exchanged."""
    if len(item.labels) != 2:
        raise NoMatrixForm
    return Item(item.labels[::-1], [], [], flipped_chain(item.chain(style)))


class Network:
    """The items of one product and the labels that it sums, on the way to a formula."""

    def __init__(self, items: list[Item], out: tuple[Label, ...], style: MatrixStyle,
                 sizes: Mapping[Label, Size] | None = None) -> None:
        """`sizes` are given where the sizes of vectors of ones are to be seen."""
        self.style, self.out, self.sizes = style, out, sizes
        self.scalars: list[Piece] = []
        self.divisors: list[Piece] = []
        self.items: list[Item] = []
        for item in items:
            self.take(item)

    def take(self, item: Item) -> None:
        """Add an item; scalars go to the front."""
        if item.labels:
            self.items.append(item)
        elif item.parts:
            self.scalars.append(item.piece(self.style))
        else:
            self.scalars += item.above
            self.divisors += item.below

    def holding(self, label: Label) -> list[Item]:
        """The items that hold a label."""
        return [item for item in self.items if label in item.labels]

    def solve(self) -> Piece | None:
        """The body of the formula (None for a scalar whose factors are all in `scalars`)."""
        for item in list(self.items):
            self.open_repeats(item)
        progress = True
        while progress:
            progress = self.merge_elementwise() or self.contract_one() or self.contract_diagonal() or self.sum_one()
        if any(label not in self.out for item in self.items for label in item.labels):
            raise NoMatrixForm
        return self.finish()

    def open_repeats(self, item: Item) -> None:
        """A[i, i] is the vector diag(A)."""
        if len(set(item.labels)) == len(item.labels):
            return
        if len(item.labels) != 2:
            raise NoMatrixForm
        label = item.labels[0]
        self.items.remove(item)
        if label not in self.out and not self.holding(label):
            self.take(Item((), [self.style.trace(item.piece(self.style))], []))
        else:
            diagonal = self.style.diag(item.piece(self.style))
            self.take(Item((label,), [Piece(diagonal.text, diagonal.level, 1)], []))

    def merge_elementwise(self) -> bool:
        """Two items with the same labels are multiplied element by element; dots and traces are left to contraction."""
        for k, a in enumerate(self.items):
            for b in self.items[k + 1:]:
                if set(a.labels) != set(b.labels):
                    continue
                free = [label for label in a.labels if label in self.out or len(self.holding(label)) > 2]
                if not free and len(a.labels) == 1 and not a.below and not b.below:
                    self.replace(a, b, self.dot(a, b))
                elif not free and len(a.labels) == 2 and (len(a.parts) > 1 or len(b.parts) > 1):
                    self.replace(a, b, self.cycle(a, b))
                elif len(a.labels) > 2 and a.labels != b.labels:
                    raise NoMatrixForm
                else:
                    self.replace(a, b, joined_elementwise(a, b, self.style))
                return True
        return False

    def replace(self, a: Item, b: Item, new: Item) -> None:
        """Put one item in the place of two."""
        place = self.items.index(a)
        self.items.remove(a)
        self.items.remove(b)
        if new.labels:
            self.items.insert(place, new)
        else:
            self.take(new)

    def dot(self, a: Item, b: Item) -> Item:
        """aᵀ b, or ‖x‖² where both are x."""
        left, right = a.chain(self.style), b.chain(self.style)
        if left == right:
            return Item((), [self.style.norm_squared(self.style.chain(left, 1))], [])
        if len(left) > len(right) and len(right) == 1:
            left, right = right, left
        parts = self.best((*flipped_chain(left), *right))
        half = len(parts) // 2
        if len(parts) % 2 == 0 and flipped_chain(parts[:half]) == parts[half:]:
            return Item((), [self.style.norm_squared(self.style.chain(parts[half:], 1))], [])
        return Item((), [], [], parts)

    def best(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """The chain or its mirror, whichever has fewer transposes."""
        mirror = flipped_chain(parts)
        return mirror if marks(mirror) < marks(parts) else parts

    def cycle(self, a: Item, b: Item) -> Item:
        """tr(A B C), or ‖A B‖² for a chain that is its own mirror."""
        if b.labels != a.labels[::-1]:
            b = transposed(b, self.style)
        parts = (*a.chain(self.style), *b.chain(self.style))
        half = len(parts) // 2
        turns = [(*turned[k:], *turned[:k]) for turned in (parts, flipped_chain(parts)) for k in range(len(parts))]
        if len(parts) % 2 == 0:
            for turn in turns:
                if flipped_chain(turn[:half]) == turn[half:]:
                    return Item((), [self.style.norm_squared(self.style.chain(turn[:half], 2))], [])
        return Item((), [self.style.trace(self.style.chain(min(turns, key=marks), 2))], [])

    def contract_one(self) -> bool:
        """A[i, k] B[k, j] → (A B)[i, j] for a summed label in exactly two items; vectors first."""
        found: tuple[int, Item, Item, Label] | None = None
        for item in self.items:
            for label in item.labels:
                pair = self.holding(label)
                if label in self.out or len(pair) != 2:
                    continue
                a, b = pair
                if len(a.labels) > 2 or len(b.labels) > 2:
                    continue
                size = len(a.labels) + len(b.labels)
                if (len(a.labels) == 1 and a.below) or (len(b.labels) == 1 and b.below):
                    size += 1
                if found is None or size < found[0]:
                    found = (size, a, b, label)
        if found is None:
            return False
        _, a, b, label = found
        if set(a.labels) == set(b.labels):
            return False
        self.replace(a, b, self.contracted(a, b, label))
        return True

    def contracted(self, a: Item, b: Item, label: Label, middle: tuple[Part, ...] = ()) -> Item:
        """The chain through one label."""
        left, right = a.chain(self.style), b.chain(self.style)
        if a.labels[-1] != label:
            left = flipped_chain(left)
        if b.labels[0] != label:
            right = flipped_chain(right)
        rows = tuple(x for x in a.labels if x != label)
        columns = tuple(x for x in b.labels if x != label)
        if not rows and columns:
            # A vector result is a column: (vᵀ B)ᵀ = Bᵀ v.
            if len(a.labels) == 1 and a.labels[-1] == label:
                left = flipped_chain(a.chain(self.style))
            return Item(columns, [], [], flipped_chain((*left, *middle, *right)))
        return Item((*rows, *columns), [], [], (*left, *middle, *right))

    def contract_diagonal(self) -> bool:
        """A[i, k] v[k] B[k, j] → A diag(v) B for a summed label in two matrices and one vector."""
        for vector in self.items:
            if len(vector.labels) != 1 or vector.labels[0] in self.out:
                continue
            label = vector.labels[0]
            others = [item for item in self.holding(label) if item is not vector]
            if len(others) != 2 or any(len(item.labels) != 2 for item in others):
                continue
            a, b = self.ordered(others[0], others[1], label)
            self.items.remove(vector)
            middle = (Part(vector.piece(self.style), 2, "diag", symmetric=True),)
            if set(a.labels) == set(b.labels):
                whole = self.contracted(a, b, label, middle)
                self.replace(a, b, Item((whole.labels[0],), [self.style.diag(whole.piece(self.style))], []))
            else:
                self.replace(a, b, self.contracted(a, b, label, middle))
            return True
        return False

    def ordered(self, a: Item, b: Item, label: Label) -> tuple[Item, Item]:
        """The two items in the order of the result's axes."""
        def place(item: Item) -> int:
            other = next((x for x in item.labels if x != label), label)
            return self.out.index(other) if other in self.out else len(self.out)
        return (b, a) if place(b) < place(a) else (a, b)

    def sum_one(self) -> bool:
        """A label in one item alone is summed: sum(v), A 1, sum(P ⊙ Q, axis=1), ‖x‖²."""
        for item in self.items:
            alone = [x for x in item.labels if x not in self.out and len(self.holding(x)) == 1]
            if not alone:
                continue
            place = self.items.index(item)
            self.items.remove(item)
            rest = tuple(x for x in item.labels if x not in alone)
            if not rest:
                self.take(Item((), [self.total(item)], []))
                return True
            axes = [k for k, x in enumerate(item.labels) if x in alone]
            chain = item.chain(self.style)
            single = len(chain) == 1 and not (chain[0].piece.name and len(axes) == 1)
            if single or len(item.labels) != 2:
                piece = chain[0].piece if single and not item.parts else item.piece(self.style)
                if len(chain) == 1 and chain[0].flipped:
                    axes, piece = [1 - k for k in axes], chain[0].piece
                new = Item(rest, [self.style.reduction("sum", piece, axes, len(rest))], [])
            else:
                new = Item(rest, [], [], (*(chain if axes == [1] else flipped_chain(chain)), ONES))
            self.items.insert(place, new)
            return True
        return False

    def total(self, item: Item) -> Piece:
        """The sum of all elements of an item."""
        style = self.style
        if item.root is not None and not item.below and len(item.above) == 1:
            return style.norm_squared(item.root)
        chain = item.chain(style)
        if len(item.labels) == 2 and len(chain) > 1:
            return style.chain(self.best((ONES.flip(), *chain, ONES)), 0)
        if len(item.labels) == 1 and not item.parts and not item.below and len(item.above) == 2:
            return style.chain((Part(item.above[0], 1, flipped=True), Part(item.above[1], 1)), 0)
        return style.reduction("sum", chain[0].piece if len(chain) == 1 else item.piece(style), None, 0)

    def finish(self) -> Piece | None:
        """The remaining items, whose labels are all labels of the result, as one piece."""
        out, style = self.out, self.style
        if not self.items:
            if out and self.sizes is not None:
                return style.ones([self.sizes[label] for label in out])
            if len(out) == 2 and (self.scalars or self.divisors):
                return self.matrix_of(*out)
            return None if not out else Piece("1", axes=len(out))
        if len(out) == 1 or (len(self.items) == 1 and len(self.items[0].labels) == len(out)):
            (item,) = self.items
            if item.labels != out:
                item = transposed(item, style)
            if item.below and not item.parts:
                self.divisors += item.below
                item = Item(item.labels, item.above or [Piece("1", axes=len(out))], [])
            return item.piece(style)
        if len(out) == 2:
            return self.matrix_of(out[0], out[1])
        return self.broadcast_of(out)

    def matrix_of(self, row: Label, column: Label) -> Piece:
        """diag(u) M diag(v), u vᵀ, u 1ᵀ, 1 vᵀ."""
        style = self.style
        u = next((item for item in self.items if item.labels == (row,)), None)
        v = next((item for item in self.items if item.labels == (column,)), None)
        m = next((item for item in self.items if len(item.labels) == 2), None)
        if m is None:
            left, right = (item.chain(style) if item else (self.ones(label),) for item, label in ((u, row), (v, column)))
            return style.outer(left, flipped_chain(right))
        if m.labels != (row, column):
            m = transposed(m, style)
        left = (Part(u.piece(style), 2, "diag", symmetric=True),) if u else ()
        right = (Part(v.piece(style), 2, "diag", symmetric=True),) if v else ()
        return style.chain((*left, *m.chain(style), *right), 2)

    def ones(self, label: Label) -> Part:
        """A vector of ones."""
        return ONES if self.sizes is None else Part(self.style.ones([self.sizes[label]]), 1)

    def broadcast_of(self, out: tuple[Label, ...]) -> Piece:
        """Three axes and more: element by element, with NumPy's broadcasting from the last axis."""
        above: list[Piece] = []
        for item in self.items:
            if item.labels != out[len(out) - len(item.labels):]:
                raise NoMatrixForm
            if not any(len(item.labels) == len(out) for item in self.items):
                raise NoMatrixForm
            if item.parts or not item.below:
                above += [item.piece(self.style)] if item.parts else item.above
            else:
                above += item.above
                self.divisors += item.below
        return self.style.hadamard(above) if above else Piece("1", axes=len(out))


def marks(parts: Sequence[Part]) -> tuple[int, int]:
    """How many transposes of matrices a chain has, and of anything."""
    return sum(p.flipped and p.axes == 2 for p in parts), sum(p.flipped for p in parts)
