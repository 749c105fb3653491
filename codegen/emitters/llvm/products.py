"""Matrix products as calls of BLAS: operands where they stand, with their strides, nothing copied.

BLAS stores by columns and takes everything by reference.  A matrix whose rows lie side by side is to it the transpose, so
C = A B is written as Cᵀ = Bᵀ Aᵀ where C is stored by rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from codegen.emitters.llvm.indices import ZERO
from codegen.emitters.llvm.instructions import KINDS, Ssa, literal
from codegen.emitters.llvm.scalars import resized
from codegen.emitters.llvm.statements import StatementWriter
from codegen.loop_ir.nodes import Buffer, MatMul, MatVec, Panel, Variable
from codegen.loop_ir.walks import suits_blas
from codegen.runtime.blas import ROUTINES
from symdiff.errors import CannotLower
from symdiff.sizes import Size, combine, multiply
from symdiff.sizes import product as product_of

LETTERS = {"float64": "d", "float32": "s"}
# Strips of a symmetric product: few where they would be thin.
STRIPS, FEW_STRIPS, THIN = 4, 2, 192
# Address, leading dimension, whether it is stored by columns.
Matrix = tuple[Ssa, Ssa, bool]


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
        dtype = self.buffers[product.C.buffer].dtype
        kind = KINDS[dtype]
        m, n = self.extent(product.m, product.C, product.C.row_group), self.extent(product.n, product.C, product.C.column_group)
        k = self.extent(product.k, product.A, product.A.column_group)
        alpha, beta = literal(product.alpha, kind), literal(product.beta, kind)
        a, b, c = (self.panel(p, rows, columns) for p, rows, columns in (
            (product.A, product.m, product.k), (product.B, product.k, product.n), (product.C, product.m, product.n)))
        if product.kind == "symmetric" and turned(product.A) == product.B:
            self.call(LETTERS[dtype] + "syrk", "L" if c[2] else "U", flag(a[2]), m, k, alpha, a[0], a[1], beta, c[0], c[1])
            return
        if product.kind != "symmetric" or c[2]:
            self.gemm(dtype, m, n, k, alpha, a, b, beta, c)
            return
        # Strips of rows up to the diagonal: with two of them three quarters of the work, with four five eighths.
        first = ZERO
        strips = FEW_STRIPS if isinstance(product.m, int) and product.m < THIN else STRIPS
        for strip in range(1, strips + 1):
            last = self.quotient("udiv", self.times(m, literal(strip, "i64")), literal(strips, "i64"))
            part, rows = self.shifted(a, first, dtype), self.shifted(c, first, dtype)
            self.gemm(dtype, self.minus(last, first), last, k, alpha, part, b, beta, rows)
            first = last

    def gemm(self, dtype: str, m: Ssa, n: Ssa, k: Ssa, alpha: Ssa, a: Matrix, b: Matrix, beta: Ssa, c: Matrix) -> None:
        """A call of gemm."""
        if c[2]:
            self.call(LETTERS[dtype] + "gemm", flag(a[2]), flag(b[2]), m, n, k, alpha, a[0], a[1], b[0], b[1], beta, c[0], c[1])
        else:
            self.call(LETTERS[dtype] + "gemm", flag(not b[2]), flag(not a[2]), n, m, k, alpha, b[0], b[1], a[0], a[1], beta,
                      c[0], c[1])

    def shifted(self, matrix: Matrix, rows: Ssa, dtype: str) -> Matrix:
        """A matrix from a row on."""
        address, leading, by_columns = matrix
        offset = rows if by_columns else self.times(rows, leading)
        place = self.pure(f"getelementptr inbounds {KINDS[dtype]}, ptr {address.name}, i64 {offset.name}", "ptr", 1,
                          max(address.depth, offset.depth))
        return place, leading, by_columns

    def extent(self, size: Size | None, panel: Panel, group: tuple[int, ...]) -> Ssa:
        """An extent; None is the rows of the present range or tile, times the axes that are counted with them."""
        if size is not None:
            return self.size(size)
        rest = product_of(tuple(self.buffers[panel.buffer].shape[axis] for axis in group[1:]))
        return self.times(self.minus(self.hi, self.lo), self.size(rest))

    def panel(self, panel: Panel, rows: Size | None, columns: Size | None) -> Matrix:
        """(address, leading dimension, whether it is stored by columns) of a matrix."""
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
        return self.pointer(panel.buffer, place.base), leading, by_columns

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


def flag(by_columns: bool) -> str:
    """How BLAS reads a matrix: as it stands, or transposed."""
    return "N" if by_columns else "T"
