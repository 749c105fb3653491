"""Matrix products: those that the caches hold in registers, others as calls of BLAS: operands where they stand, with their strides.

BLAS stores by columns and takes everything by reference.  A matrix whose rows lie side by side is to it the transpose, so
C = A B is written as Cᵀ = Bᵀ Aᵀ where C is stored by rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from codegen.emitters.llvm.indices import ONE, ZERO, is_whole
from codegen.emitters.llvm.instructions import BITS, KINDS, Ssa, literal
from codegen.emitters.llvm.register_products import (
    COPIED_BYTES,
    DEEP,
    FEW_ROWS_BYTES,
    HELD_BYTES,
    LOW,
    LOW_BLOCK,
    copy_function,
    rows_of_tile,
    tile_function,
)
from codegen.emitters.llvm.scalars import resized
from codegen.emitters.llvm.statements import StatementWriter
from codegen.loop_ir.nodes import Buffer, MatMul, MatVec, Panel, Variable
from codegen.loop_ir.panels import suits_blas
from codegen.runtime.blas import ROUTINES
from symdiff.errors import CannotLower
from symdiff.sizes import Size, combine, multiply
from symdiff.sizes import product as product_of

LETTERS = {"double": "d", "float": "s"}
# Strips of a symmetric product: few where they would be thin.
STRIPS, FEW_STRIPS, THIN = 4, 2, 192
# A symmetric product up to this height is computed whole.
TINY = 16
# So many pages may be walked over again and again; half as many where each step is to another one.
PAGE_BYTES, PAGES = 4096, 128


class Matrix(NamedTuple):
    """A matrix in memory: its address, how far apart its rows or columns are, and whether it is stored by columns."""

    address: Ssa
    leading: Ssa
    by_columns: bool

    @property
    def flipped(self) -> Matrix:
        """The transpose."""
        return self._replace(by_columns=not self.by_columns)

    @property
    def steps(self) -> tuple[Ssa, Ssa]:
        """How many elements further the next row and the next column stand."""
        return (ONE, self.leading) if self.by_columns else (self.leading, ONE)


class Gemm(NamedTuple):
    """C = alpha A B + beta C, where A is m × k and B is k × n; alpha and beta are of the type of the matrices."""

    m: Ssa
    n: Ssa
    k: Ssa
    alpha: Ssa
    a: Matrix
    b: Matrix
    beta: Ssa
    c: Matrix

    @property
    def kind(self) -> str:
        """The LLVM type of the numbers."""
        return self.alpha.kind

    @property
    def adds(self) -> bool:
        """Whether C is read."""
        return self.beta.name != literal(0, self.kind).name

    @property
    def flipped(self) -> Gemm:
        """Cᵀ = alpha Bᵀ Aᵀ + beta Cᵀ, which is the same."""
        return self._replace(m=self.n, n=self.m, a=self.b.flipped, b=self.a.flipped, c=self.c.flipped)


class ProductWriter(StatementWriter):
    """Writes matrix products; `given` is where the arguments of calls are put, by kind and place."""

    def __init__(self, sizes: dict[str, Ssa], buffers: Mapping[str, Buffer], rows: dict[str, int]) -> None:
        super().__init__(sizes, buffers, rows)
        self.given: dict[tuple[str, int], Ssa] = {}

    def matrix_product(self, product: MatMul | MatVec) -> None:
        """Calls of gemm, or of syrk for a matrix times itself; every other product is opened into loops by a pass before."""
        if isinstance(product, MatVec) or product.kind == "skinny" or not suits_blas(
                self.buffers, product.A, product.B, product.C):
            raise CannotLower("a product that BLAS does not take is opened into loops before it is emitted")
        kind = KINDS[self.buffers[product.C.buffer].dtype]
        a, b, c = (self.panel(p, rows, columns) for p, rows, columns in (
            (product.A, product.m, product.k), (product.B, product.k, product.n), (product.C, product.m, product.n)))
        g = Gemm(self.extent(product.m, product.C, product.C.row_group), self.extent(product.n, product.C, product.C.column_group),
                 self.extent(product.k, product.A, product.A.column_group), literal(product.alpha, kind), a, b,
                 literal(product.beta, kind), c)
        tiny = isinstance(product.m, int) and product.m <= TINY
        narrow = self.processor.library_is_narrow
        if product.kind == "symmetric" and not tiny and turned(product.A) == product.B and (c.by_columns or not narrow):
            self.call(LETTERS[kind] + "syrk", "L" if c.by_columns else "U", flag(a.by_columns), g.m, g.k, g.alpha, *a[:2], g.beta,
                      *c[:2])
            return
        if product.kind != "symmetric" or c.by_columns or tiny:
            self.gemm(g)
            return
        # Strips of rows up to the diagonal: with two of them three quarters of the work, with four five eighths.
        first, panel = ZERO, 2 * self.processor.vector_bytes * 8 // BITS[kind]
        strips = FEW_STRIPS if isinstance(product.m, int) and product.m < THIN else STRIPS
        for strip in range(1, strips + 1):
            last = self.quotient("udiv", self.times(g.m, literal(strip, "i64")), literal(strips, "i64"))
            if narrow and is_whole(last) and strip < strips:
                # Strips as wide as panels take fewer kinds of tiles.
                last = literal(max(int(last.name) // panel * panel, panel), "i64")
            self.gemm(g._replace(m=self.minus(last, first), n=last, a=self.shifted(a, first, kind), c=self.shifted(c, first, kind)))
            first = last

    def gemm(self, g: Gemm) -> None:
        """A product in registers where the second cache holds what it meets, else a call of gemm."""
        if g.c.by_columns:
            g = g.flipped
        m, n, k, kind = g.m, g.n, g.k, g.kind
        known = g.beta.name in (literal(0, kind).name, literal(1, kind).name)
        large = self.in_blocks if known and self.processor.library_is_narrow else self.library_gemm
        if known and g.a.by_columns and self.has_few_rows(n, m, kind) and lies_in_few(m, n, kind):
            self.few_columns(g)
            return
        if known and is_whole(m) and is_whole(n) and int(m.name) < LOW and not g.b.by_columns:
            # A few tiles of all rows go through B, as it lies.
            self.in_registers(g)
            return
        if known and self.suits_blocks(g):
            self.in_blocks(g)
            return
        copied = g.b.by_columns and lies_in_few(n, k, kind) and not (is_whole(m) and int(m.name) < LOW)
        if not known or (g.b.by_columns and not copied):
            large(g)
            return
        one, two, three = (self.times(x, y) for x, y in ((m, k), (k, n), (m, n)))
        numbers, most = self.plus(self.plus(one, two), three), self.processor.cache_bytes // 2 * 8 // BITS[kind]
        if self.has_few_rows(m, n, kind) or (is_whole(numbers) and int(numbers.name) <= most):
            self.in_registers(g)
        elif is_whole(numbers) or large == self.in_blocks:
            large(g)
        else:
            self.sides(self.compare("icmp sle", numbers, literal(most, "i64")), lambda: self.in_registers(g), lambda: large(g))

    def has_few_rows(self, m: Ssa, n: Ssa, kind: str) -> bool:
        """Whether B is read so few times that to pack it takes longer, whatever its size."""
        narrow = is_whole(n) and int(n.name) * BITS[kind] < 16 * self.processor.vector_bytes
        return is_whole(m) and int(m.name) * BITS[kind] <= 8 * FEW_ROWS_BYTES and not narrow

    def suits_blocks(self, g: Gemm) -> bool:
        """Whether panels of B are worth a copy, and what meets them stays in the caches; a size known at the call may be large."""
        size, a = BITS[g.kind] // 8, g.a
        height, depth = (int(x.name) if is_whole(x) else None for x in (g.m, g.k))
        low = 8 * LOW_BLOCK if g.b.by_columns else LOW_BLOCK * size
        if not is_whole(g.n) or (height is not None and height * size < low):
            return False
        held, width = self.processor.cache_bytes // 2, int(g.n.name)
        if height is not None and depth is not None and height * depth * size <= held:
            few = depth * width * size <= HELD_BYTES and (height * depth + (height + depth) * width) * size <= held
            fits = not few and depth * width * size <= 4 * held
        else:
            fits = (depth or DEEP) <= 2 * DEEP and (depth or DEEP) * width * size <= held
        # A step down the columns of A is one to another page, or to a part of one; the processor knows some pages at once.
        row, turns = int(a.leading.name) * size if is_whole(a.leading) else PAGE_BYTES, min(depth or DEEP, DEEP)
        return fits and (not a.by_columns or (turns * row < PAGES * PAGE_BYTES if row < PAGE_BYTES else turns < PAGES // 2))

    def few_columns(self, g: Gemm) -> None:
        """C = alpha A B + beta C with few columns, A by columns: the transpose is computed on the stack, and written turned."""
        kind, (m, n) = g.kind, g[:2]
        turned = Matrix(self.on_stack("%.turned"), m, False)
        self.in_registers(g.flipped._replace(beta=literal(0, kind), c=turned))

        def row() -> None:
            def element() -> None:
                i, j = self.variables["turned.i"], self.variables["turned.j"]
                source = self.moved(turned.address, self.plus(self.times(j, m), i), kind)
                value = self.here(f"load {kind}, ptr {source.name}, align {BITS[kind] // 8}", kind)
                target = self.moved(g.c.address, self.plus(self.times(i, g.c.leading), j), kind)
                if g.adds:
                    old = self.here(f"load {kind}, ptr {target.name}, align {BITS[kind] // 8}", kind)
                    value = self.binary("fadd", old, value)
                self.do(f"store {kind} {value.name}, ptr {target.name}, align {BITS[kind] // 8}")
            self.turns("turned.j", ZERO, n, ONE, (), element)
        self.turns("turned.i", ZERO, m, ONE, (), row)

    def on_stack(self, name: str, size: int = COPIED_BYTES) -> Ssa:
        """The address of room on the stack for a small matrix, the same for all of that name in a function."""
        allocation = f"{name} = alloca [{size} x i8], align 64"
        if allocation not in self.slots:
            self.slots.append(allocation)
        return Ssa(name, "ptr")

    def in_registers(self, g: Gemm) -> None:
        """C = alpha A B + beta C by tiles of C; C lies by rows."""
        b = self.by_rows(g.kind, g.k, g.n, g.b) if g.b.by_columns else g.b

        def panel(first: Ssa, vectors: int, width: int, left: Ssa | None) -> None:
            self.register_tiles(g, (g.a.address, *g.a.steps), (self.moved(b.address, first, g.kind), b.leading),
                                (self.moved(g.c.address, first, g.kind), g.c.leading), vectors, width, left, g.adds)
        self.panels(g.kind, g.n, panel)

    def panels(self, kind: str, n: Ssa, panel: Callable[[Ssa, int, int, Ssa | None], None]) -> None:
        """All columns, two vectors at a time: the first, how many vectors, how wide, and how many columns where not all of them."""
        lanes = self.processor.vector_bytes * 8 // BITS[kind]
        both = literal(2 * lanes, "i64")
        whole = self.times(self.quotient("udiv", n, both), both)
        if whole.name != "0":
            self.turns("column", ZERO, whole, both, (), lambda: panel(self.variables["column"], 2, lanes, None))
        left = self.minus(n, whole)
        if not is_whole(left):
            some = self.compare("icmp sgt", left, ZERO)
            self.sides(some, lambda: panel(whole, 2, lanes, left), lambda: None)
        elif count := int(left.name):
            vectors = -(-count // lanes)
            narrow = lanes if vectors > 1 else 1 << (count - 1).bit_length()
            panel(whole, vectors, narrow, left if count != vectors * narrow else None)

    def in_blocks(self, g: Gemm) -> None:
        """C = alpha A B + beta C by tiles of C, from panels of B that are copied side by side; C lies by rows.

        Strips of A are so high that what a panel meets of them stays in the second cache.
        """
        kind = g.kind
        high = max(self.processor.cache_bytes * 4 // BITS[kind] // DEEP, LOW_BLOCK)
        copy = self.on_stack("%.panel", 2 * self.processor.vector_bytes * DEEP)
        (a_row, a_column), (b_row, b_column) = g.a.steps, g.b.steps

        def block(first: Ssa, adds: bool) -> None:
            depth = self.smaller(literal(DEEP, "i64"), self.minus(g.k, first))

            def strip() -> None:
                start = self.variables["strip"]
                rows = self.smaller(literal(high, "i64"), self.minus(g.m, start))

                def panel(column: Ssa, vectors: int, width: int, left: Ssa | None) -> None:
                    name = f".copy_{kind}_{vectors}x{width}" + "_masked" * (left is not None) + "_turned" * g.b.by_columns
                    if name not in self.declared:
                        text, more = copy_function(name, kind, width, vectors, left is not None, g.b.by_columns)
                        self.declared.update({**more, name: text})
                    source = self.moved(g.b.address, self.plus(self.times(first, b_row), self.times(column, b_column)), kind)
                    self.do(f"call void @{name}(ptr {source.name}, i64 {b_row.name}, i64 {b_column.name}, ptr {copy.name}, "
                            f"i64 {depth.name}, i64 {(left or ZERO).name})")
                    part = self.moved(g.a.address, self.plus(self.times(start, a_row), self.times(first, a_column)), kind)
                    target = self.moved(g.c.address, self.plus(self.times(start, g.c.leading), column), kind)
                    self.register_tiles(g._replace(m=rows, k=depth), (part, a_row, a_column),
                                        (copy, literal(vectors * width, "i64")), (target, g.c.leading), vectors, width, left, adds)
                self.panels(kind, g.n, panel)
            self.turns("strip", ZERO, g.m, literal(high, "i64"), (), strip)
        several = not is_whole(g.k) or int(g.k.name) > DEEP
        if not (several and g.adds):
            block(ZERO, g.adds)
        if several:
            self.turns("block", ZERO if g.adds else literal(DEEP, "i64"), g.k, literal(DEEP, "i64"), (),
                       lambda: block(self.variables["block"], True))

    def smaller(self, one: Ssa, other: Ssa) -> Ssa:
        """The smaller of two counts."""
        if is_whole(one) and is_whole(other):
            return one if int(one.name) < int(other.name) else other
        return self.select(self.compare("icmp slt", one, other), one, other)

    def register_tiles(self, g: Gemm, a: tuple[Ssa, ...], b: tuple[Ssa, ...], c: tuple[Ssa, ...],
                       vectors: int, width: int, left: Ssa | None, adds: bool) -> None:
        """C = alpha A B (+ C) for so many columns of C and B, and all rows; each with its address and its steps."""
        kind = g.kind
        rows = rows_of_tile(g.m, vectors, self.processor.vector_bytes)
        scaled = g.alpha.name != literal(1, kind).name
        name = "".join([f".tile_{kind}_{rows}x{vectors}x{width}", "_masked" * (left is not None), "_adds" * adds,
                        "_scaled" * scaled])
        if name not in self.declared:
            text, more = tile_function(name, kind, width, rows, vectors, left is not None, adds, scaled)
            self.declared.update({**more, name: text})
        places = [", ".join([f"ptr {where.name}", *[f"i64 {step.name}" for step in rest]]) for where, *rest in (a, b, c)]
        self.do(f"call void @{name}({', '.join(places)}, i64 {g.m.name}, i64 {g.k.name}, {kind} {g.alpha.name}, "
                f"i64 {(left or ZERO).name})")

    def by_rows(self, kind: str, rows: Ssa, columns: Ssa, matrix: Matrix) -> Matrix:
        """A copy by rows of a small matrix that lies by columns: on the stack, where the copies of a function follow each other."""
        copy = self.on_stack("%.copy")

        def column() -> None:
            j = self.variables["copied"]

            def element() -> None:
                p = self.variables["element"]
                source = self.moved(matrix.address, self.plus(self.times(j, matrix.leading), p), kind)
                value = self.here(f"load {kind}, ptr {source.name}, align {BITS[kind] // 8}", kind)
                target = self.moved(copy, self.plus(self.times(p, columns), j), kind)
                self.do(f"store {kind} {value.name}, ptr {target.name}, align {BITS[kind] // 8}")
            self.turns("element", ZERO, rows, ONE, (), element)
        self.turns("copied", ZERO, columns, ONE, (), column)
        return Matrix(copy, columns, False)

    def library_gemm(self, g: Gemm) -> None:
        """A call of gemm."""
        if not g.c.by_columns:
            g = g.flipped
        self.call(LETTERS[g.kind] + "gemm", flag(g.a.by_columns), flag(g.b.by_columns), g.m, g.n, g.k, g.alpha, *g.a[:2], *g.b[:2],
                  g.beta, *g.c[:2])

    def shifted(self, matrix: Matrix, rows: Ssa, kind: str) -> Matrix:
        """A matrix from a row on."""
        offset = rows if matrix.by_columns else self.times(rows, matrix.leading)
        return matrix._replace(address=self.moved(matrix.address, offset, kind))

    def extent(self, size: Size | None, panel: Panel, group: tuple[int, ...]) -> Ssa:
        """An extent; None is the rows of the present range or tile, times the axes that are counted with them."""
        if size is not None:
            return self.size(size)
        rest = product_of(tuple(self.buffers[panel.buffer].shape[axis] for axis in group[1:]))
        return self.times(self.minus(self.hi, self.lo), self.size(rest))

    def panel(self, panel: Panel, rows: Size | None, columns: Size | None) -> Matrix:
        """Where a matrix stands."""
        buffer, strides = self.buffers[panel.buffer], self.strides[panel.buffer]
        extents: dict[int, Size | None] = dict.fromkeys((*panel.row_group, *panel.column_group), 0)
        # Of axes that count as one the first is cut.
        extents[panel.row_group[0]], extents[panel.column_group[0]] = rows, columns
        constant: Size = 0
        terms: dict[Variable | Ssa, Size] = {}
        for axis, (index, stride) in enumerate(zip(panel.index, strides, strict=True)):
            constant = combine(((1, constant), (1, multiply(index.const, stride))))
            for variable, c in index.terms:
                terms[variable] = combine(((1, terms.get(variable, 0)), (1, multiply(c, stride))))
            cut = axis in extents and extents[axis] is None
            if cut and buffer.role != "tile":
                terms[self.lo] = combine(((1, terms.get(self.lo, 0)), (1, stride)))
            elif axis not in extents and buffer.role == "tile" and axis == buffer.sample_axis:
                terms[self.tile_start] = combine(((1, terms.get(self.tile_start, 0)), (-1, stride)))
        place = self.place(constant, [(v, c) for v, c in terms.items() if c != 0])
        by_columns = panel.row_axis == len(strides) - 1
        assert panel.column_axis is not None
        leading = self.size(strides[panel.column_axis if by_columns else panel.row_axis])
        return Matrix(self.pointer(panel.buffer, place.base), leading, by_columns)

    def call(self, routine: str, *args: Ssa | str) -> None:
        """Call a routine; numbers are put where it can read them, those that are known where all calls read them."""
        places = []
        for k, arg in enumerate(args):
            if isinstance(arg, str):  # one letter
                arg = literal(ord(arg), "i8")
            elif arg.kind == "i64":
                arg = resized(self, arg, "i32")
            if arg.kind == "ptr":
                places.append(arg)
            elif not arg.name.startswith("%"):
                name = f"@.{arg.kind}_{''.join(c if c.isalnum() else '_' for c in arg.name)}"
                self.declare(name, f"{name} = private unnamed_addr constant {arg.kind} {arg.name}, align 16")
                places.append(Ssa(name, "ptr"))
            else:
                slot = self.given.get((arg.kind, k)) or self.given.setdefault((arg.kind, k), self.slot(arg.kind))
                self.do(f"store {arg.kind} {arg.name}, ptr {slot.name}, align 1")
                places.append(slot)
        number = ROUTINES.index(routine)
        entry = self.pure(f"getelementptr inbounds ptr, ptr %.routines, i64 {number}", "ptr", 1, 0)
        address = self.here(f"load ptr, ptr {entry.name}, align 8", "ptr")
        self.do(f"call void {address.name}({', '.join(f'ptr {p.name}' for p in places)})")


def turned(panel: Panel) -> Panel:
    """The same matrix, read with columns for rows."""
    assert panel.column_axis is not None
    return replace(panel, row_axis=panel.column_axis, column_axis=panel.row_axis, row_axes=panel.column_axes,
                   column_axes=panel.row_axes)


def lies_in_few(rows: Ssa, columns: Ssa, kind: str) -> bool:
    """Whether the numbers of rows and columns are known, and a copy takes few bytes."""
    return is_whole(rows) and is_whole(columns) and int(rows.name) * int(columns.name) * BITS[kind] // 8 <= COPIED_BYTES


def flag(by_columns: bool) -> str:
    """How BLAS reads a matrix: as it stands, or transposed."""
    return "N" if by_columns else "T"
