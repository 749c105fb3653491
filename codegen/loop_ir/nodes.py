"""The loop IR: the closed language in which kernels are planned, checked, interpreted and emitted.

    program   = Program(name, sizes, buffers, sections)
    section   = Section(kind: init|range|finish, pass_number, body, cut)
    buffer    = Buffer(name, dtype, shape, role: arg|out|const|full|tile|accumulator|shared, sample_axis, slot, fold)
    statement = TileLoop(var, rows, body)                       the range [lo, hi) of a section, `rows` at a time
              | Loop(var, lo, hi, step, kind: serial|lane|grid|thread|unrolled, carried, body)
              | If(condition, body) | Let(register, value)
              | Store(buffer, index, value) | Accumulate(op: add|max|min|mul, buffer, index, value)
              | Update(op, register, value) | Assign(register, value) | Fill(buffer, value) | Mirror(buffer)
              | MatVec(form, A, x, y, beta) | MatMul(A, B, C, ...) | Barrier()
    value     = Literal | Register | SizeValue(size) | IndexValue(index) | Load(buffer, index) | Call(function, args)
              | Inside(index, size)                              0 ≤ index < size, a bool
    index     = Affine(const, ((var, coefficient), …)); a var is a loop variable, an int64 register,
                                                   or a Quotient or a Remainder of an Affine
    size      = int | Dim (`symdiff.sizes`); for a matrix operand also None, the rows of the present tile

Not in the language: allocation, recursion, functions, pointers, exceptions, strings.  `carried` registers of a loop are
initialised before it, changed in it only by `Update` and `Assign`, and readable after it.  A buffer's index is one
Affine an axis.  In a `range` section, a tile buffer is indexed along its sample axis by the sample itself, as every
other array is.
Nothing here names a processor: MatVec and MatMul stay abstract until emission, loop kinds say what may run in parallel.
"""

from __future__ import annotations

from typing import Any, Union
from typing import Literal as OneOf

from msgspec import Struct

from symdiff.sizes import Size

Role = OneOf["arg", "out", "const", "full", "tile", "accumulator", "shared"]
LoopKind = OneOf["serial", "lane", "grid", "thread", "unrolled"]
Fold = OneOf["add", "max", "min", "mul"]
# Turns that products with vectors take at once: what they read of the vectors, and their sums, then stay in registers.
TURNS_AT_ONCE = 4


class ProgramNode(Struct, frozen=True):
    """A node of a program: equal where the fields are, never changed; no two kinds have fields of the same names."""


class Walked:
    """A statement or a program; `facts` is what walks have found in it (`codegen.loop_ir.walks`): it never changes."""

    __slots__ = ("facts",)
    facts: Any


class Nest(Walked):
    """A statement with a body of others."""

    __slots__ = ()


class CarryingLoop(Nest):
    """A loop that may carry registers from one turn to the next."""

    __slots__ = ()


class Quotient(ProgramNode, frozen=True):
    """⌊index / divisor⌋ for index ≥ 0."""

    index: Affine
    divisor: Size


class Remainder(ProgramNode, frozen=True):
    """index mod modulus for index ≥ 0."""

    index: Affine
    modulus: Size

    divisor = property(lambda self: self.modulus, doc="The modulus, as that of the quotient beside it.")


Variable = Union[str, Quotient, Remainder]


class Affine(ProgramNode, frozen=True):
    """const + Σ coefficient · variable."""

    const: Size
    terms: tuple[tuple[Variable, Size], ...] = ()


class Buffer(ProgramNode, frozen=True):
    """A named array. `sample_axis` is the axis that passes over the data cut; `slot` the storage that it shares.

    `fold` says how range sections gather values of their samples in it, where they do.

    The shape of a tile buffer is the logical one, full along its sample axis; only the rows of a tile are stored.
    """

    name: str
    dtype: str
    shape: tuple[Size, ...]
    role: Role
    sample_axis: int | None = None
    slot: int | None = None
    fold: Fold | None = None


class Literal(ProgramNode, frozen=True):
    """A number of dtype `dtype`."""

    value: float | int | bool
    dtype: str


class Register(ProgramNode, frozen=True):
    """The value of a register that a Let, or a loop's `carried`, defined."""

    name: str


class SizeValue(ProgramNode, frozen=True):
    """A size as a number of dtype `dtype`."""

    size: Size
    dtype: str


class IndexValue(ProgramNode, frozen=True):
    """An index as a number of dtype `dtype`."""

    index: Affine
    dtype: str


class Load(ProgramNode, frozen=True):
    """buffer[index]; the index is inside the buffer (a guard around it says so where it must be tested)."""

    buffer: str
    index: tuple[Affine, ...]


class Inside(ProgramNode, frozen=True):
    """0 ≤ index < size."""

    index: Affine
    size: Size


class Call(ProgramNode, frozen=True):
    """A scalar function of the table in `codegen.loop_ir.scalars`: add, mul, sub, div, neg, select, cast, less, exp, ….

    `dtype` is that of the result.  Nothing is converted on the way: the arguments have the dtypes that the function's
    family asks for (arithmetic: that of the result; comparisons: one common dtype); `cast` converts.
    `select(c, a, b)` evaluates both branches or one, as the emitter likes, except that a Load in the branch not taken
    must not be performed: that is how guarded reads are written.
    """

    function: str
    args: tuple[Value, ...]
    dtype: str


Value = Union[Literal, Register, SizeValue, IndexValue, Load, Inside, Call]


class Carried(ProgramNode, frozen=True):
    """A register that lives through a loop: its dtype and the value before the first turn."""

    name: str
    dtype: str
    initial: Value


class Let(Walked, ProgramNode, frozen=True):
    """register = value; each register is defined once in a section."""

    register: str
    dtype: str
    value: Value


class Store(Walked, ProgramNode, frozen=True):
    """buffer[index] = value."""

    buffer: str
    index: tuple[Affine, ...]
    value: Value


class Accumulate(Walked, ProgramNode, frozen=True):
    """buffer[index] = buffer[index] op value (max and min propagate NaN)."""

    op: Fold
    buffer: str
    index: tuple[Affine, ...]
    value: Value


class Update(Walked, ProgramNode, frozen=True):
    """carried register = register op value (max and min propagate NaN)."""

    op: Fold
    register: str
    value: Value


class Assign(Walked, ProgramNode, frozen=True):
    """carried register = value: for folds that need more than one register (argmax, online logsumexp)."""

    register: str
    value: Value


class If(Nest, ProgramNode, frozen=True):
    """Run the body where the condition holds."""

    condition: Value
    body: tuple[Statement, ...]


class Loop(CarryingLoop, ProgramNode, frozen=True):
    """for var in range(lo, hi, step), with `carried` registers."""

    var: str
    lo: Size
    hi: Size
    body: tuple[Statement, ...]
    step: int = 1
    kind: LoopKind = "serial"
    carried: tuple[Carried, ...] = ()
    comment: str = ""


class TileLoop(Nest, ProgramNode, frozen=True):
    """Cut the section's range [lo, hi) into tiles of at most `rows`, over whose samples `SampleLoop`s run; `var` is the first."""

    var: str
    rows: int
    body: tuple[Statement, ...]
    comment: str = ""


class SampleLoop(CarryingLoop, ProgramNode, frozen=True):
    """for var in the present tile: `var` is the absolute sample index, so that leaves are read as they stand.

    A tile buffer's index along its sample axis is written with the same absolute `var`; the emitter subtracts the start
    of the tile (or of the range, for accumulators that are not cut).  With a `step` it takes the first sample of each whole
    group of so many; with `rest` the samples that are left after the whole groups of so many.
    """

    var: str
    body: tuple[Statement, ...]
    kind: LoopKind = "serial"
    carried: tuple[Carried, ...] = ()
    comment: str = ""
    step: int = 1
    rest: int = 0


class Fill(Walked, ProgramNode, frozen=True):
    """Every element of the buffer = value (in a range section, for a tile buffer: of the present tile)."""

    buffer: str
    value: Literal


class Panel(ProgramNode, frozen=True):
    """A matrix operand: the axes of `buffer` read as rows and as columns, the other axes fixed at `index`.

    `index` has an Affine for each axis; those of `row_axis` and `column_axis` are the start (Affine(0)).  A None
    `column_axis` makes it a vector.  An axis whose extent (m, n or k of the product) is None stands for the rows of the
    present tile (without a TileLoop: of the present range).  A tile buffer is fixed at a sample as it is loaded at one.
    Where `row_axes` or `column_axes` is more than 1, so many axes, which end at that one and are whole, count as one axis;
    behind the rows and columns there is no other axis then.  Of the first axis of each the extent may tell a part, that starts at
    its index.  An extent of None is then the rows of the tile along the first of them, times the others.
    """

    buffer: str
    index: tuple[Affine, ...]
    row_axis: int
    column_axis: int | None
    row_axes: int = 1
    column_axes: int = 1

    @property
    def row_group(self) -> tuple[int, ...]:
        """The axes that count as the rows."""
        return tuple(range(self.row_axis - self.row_axes + 1, self.row_axis + 1))

    @property
    def column_group(self) -> tuple[int, ...]:
        """The axes that count as the columns."""
        return () if self.column_axis is None else tuple(range(self.column_axis - self.column_axes + 1, self.column_axis + 1))

    @property
    def joined(self) -> bool:
        """Whether several axes count as one."""
        return self.row_axes > 1 or self.column_axes > 1


class MatMul(Walked, ProgramNode, frozen=True):
    """C = alpha · A B + beta · C, with A (m×k), B (k×n), C (m×n) given as Panels; kind says how it may be done.

    gemm: a library product, or tiles of registers where it is small.  skinny: register loops.  symmetric: A B is known to be
    its own transpose, and only the lower triangle of C need be written (a Mirror makes it whole).  With beta = 0 the old C is
    not read.
    """

    A: Panel
    B: Panel
    C: Panel
    m: Size | None
    n: Size | None
    k: Size | None
    alpha: float = 1.0
    beta: float = 0.0
    kind: OneOf["gemm", "symmetric", "skinny"] = "gemm"


class MatVec(Walked, ProgramNode, frozen=True):
    """y = A x + beta · y (A m×k); `form` is how the rows are walked: dot (row by row) or axpy (column by column)."""

    form: OneOf["dot", "axpy"]
    A: Panel
    x: Panel
    y: Panel
    m: Size | None
    k: Size | None
    beta: float = 0.0


class Mirror(Walked, ProgramNode, frozen=True):
    """buffer[j, i] = buffer[i, j] for i > j over the last two axes, or over two groups of so many last `axes`."""

    buffer: str
    axes: int = 1


class Barrier(Walked, ProgramNode, frozen=True):
    """All threads of a block have reached this point."""


Statement = Union[Let, Store, Accumulate, Update, Assign, If, Loop, TileLoop, SampleLoop, Fill, MatMul, MatVec, Mirror,
                  Barrier]


class Cut(ProgramNode, frozen=True):
    """How the range of a section is cut into parts that may run at the same time.

    There are `most` parts, or fewer of at least `rows` samples, the same ones for any number of threads.  The first gathers in
    the buffers, each other in its own of those `gathered`, which are folded in order.
    """

    rows: int
    most: int
    gathered: tuple[str, ...] = ()


class Section(ProgramNode, frozen=True):
    """One separately callable entry: init, range [lo, hi) over `extent` samples, or finish of a pass."""

    kind: OneOf["init", "range", "finish"]
    pass_number: int
    body: tuple[Statement, ...]
    extent: Size | None = None
    comment: str = ""
    cut: Cut | None = None


class Program(Walked, ProgramNode, frozen=True):
    """A whole kernel: buffers (arguments and outputs in order of appearance), sizes known at the call, sections."""

    name: str
    sizes: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    sections: tuple[Section, ...]
