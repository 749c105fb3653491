"""Statements of the loop IR as lines of Python."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.emitters.python_values import ValueWriter, literal_text
from codegen.loop_ir.arithmetic import Level, affine_text
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Barrier,
    Carried,
    Fill,
    Fold,
    If,
    Let,
    Loop,
    MatMul,
    MatVec,
    Mirror,
    Panel,
    Program,
    SampleLoop,
    Section,
    Statement,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.panels import extent_along, suits_blas
from symdiff.sizes import Size
from symdiff.sizes import product as product_of

INDENT = "    "
START = Affine(0)
FUNCTIONS: dict[Fold, str] = {"max": "np.maximum", "min": "np.minimum"}
SIGNS: dict[Fold, str] = {"add": "+", "mul": "*"}


class StatementWriter(ValueWriter):
    """Writes the body of a section; `lo` and `hi` are the texts of the ends of the present range or tile."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.lo, self.hi = "lo", "hi"

    def section(self, section: Section, lo: str, hi: str) -> Iterator[str]:
        """The lines of a section's body, for the range from `lo` to `hi`."""
        self.lo, self.hi, self.registers = lo, hi, {}
        yield from self.body(section.body)

    def body(self, body: tuple[Statement, ...]) -> Iterator[str]:
        """The lines of a body, indented once."""
        lines = [INDENT + line for statement in body for line in self.statement(statement)]
        yield from lines or [INDENT + "pass"]

    def statement(self, statement: Statement) -> Iterator[str]:
        """The lines of a statement."""
        match statement:
            case Let(register, dtype, value):
                self.registers[register] = dtype
                yield f"{register} = {self.text(value)}"
            case Store(buffer, index, value):
                yield f"{self.element(buffer, index)} = {self.text(value)}"
            case Accumulate(op, buffer, index, value):
                place, dtype = self.element(buffer, index), self.buffers[buffer].dtype
                yield self.fold(op, place, self.text(value), self.text(value, Level.SIGN), dtype)
            case Update(op, register, value):
                yield self.fold(op, register, self.text(value), self.text(value, Level.SIGN), self.registers[register])
            case Assign(register, value):
                yield f"{register} = {self.text(value)}"
            case If(condition, body):
                yield f"if {self.text(condition)}:"
                yield from self.body(body)
            case Loop(var, lo, hi, body, step, _, carried, comment):
                ends = [self.size(lo), self.size(hi)]
                yield from self.loop(var, ends, step, body, carried, comment)
            case SampleLoop(var, body, _, carried, comment, step, rest):
                group = rest or step
                whole = self.hi if group == 1 else f"{self.lo} + ({self.hi} - {self.lo}) // {group} * {group}"
                ends = [whole, self.hi] if rest else [self.lo, whole]
                yield from self.loop(var, ends, step, body, carried, comment)
            case TileLoop():
                yield from self.tiles(statement)
            case Fill(buffer, value):
                yield f"{self.whole(buffer)} = {self.text(value)}"
            case MatMul():
                yield self.product(statement)
            case MatVec():
                yield self.vector_product(statement)
            case Mirror(buffer, axes):
                yield from self.mirror(buffer, axes)
            case Barrier():
                return  # one thread runs one instance

    def fold(self, op: Fold, place: str, value: str, factor: str, dtype: str) -> str:
        """Place = place op value."""
        if op in FUNCTIONS:
            text = f"{FUNCTIONS[op]}({place}, {value})"
            return f"{place} = np.int32({text})" if dtype == "int32" else f"{place} = {text}"
        if dtype == "int32":
            return f"{place} = np.int32({place} {SIGNS[op]} {factor})"
        return f"{place} {SIGNS[op]}= {value}"

    def loop(self, var: str, ends: list[str], step: int, body: tuple[Statement, ...], carried: tuple[Carried, ...],
             comment: str) -> Iterator[str]:
        """A loop, with the first values of its registers before it."""
        if comment:
            yield f"# {comment}"
        for c in carried:
            yield f"{c.name} = {self.text(c.initial)}"
        for c in carried:
            self.registers[c.name] = c.dtype
        if step != 1:
            ends = [*ends, str(step)]
        elif ends[0] == "0":
            ends = ends[1:]
        yield f"for {var} in range({', '.join(ends)}):"
        yield from self.body(body)

    def tiles(self, loop: TileLoop) -> Iterator[str]:
        """The loop over the tiles of the range."""
        lo, hi, start = self.lo, self.hi, self.tile_start
        if loop.comment:
            yield f"# {loop.comment}"
        yield f"for {loop.var} in range({lo}, {hi}, {loop.rows}):"
        yield f"{INDENT}{loop.var}_end = min({loop.var} + {loop.rows}, {hi})"
        self.lo, self.hi, self.tile_start = loop.var, f"{loop.var}_end", loop.var
        yield from self.body(loop.body)
        self.lo, self.hi, self.tile_start = lo, hi, start

    def rows(self) -> str:
        """How many samples the present tile or range has."""
        return self.hi if self.lo == "0" else f"{self.hi} - {self.lo}"

    def whole(self, name: str) -> str:
        """All of a buffer as a target; of a tile buffer the present rows."""
        buffer = self.buffers[name]
        if not buffer.shape:
            return f"{name}[()]"
        if buffer.role == "tile" and buffer.sample_axis is not None:
            return f"{name}[{':, ' * buffer.sample_axis}:{self.rows()}]"
        return f"{name}[:]"

    def panel(self, panel: Panel, rows: Size | None, columns: Size | None, flip: bool = False) -> str:
        """A matrix or vector operand as a view; `flip` transposes it."""
        buffer = self.buffers[panel.buffer]
        extents = {panel.row_group[0]: rows}
        if panel.column_axis is not None:
            extents[panel.column_group[0]] = columns
        cuts = []
        for axis, index in enumerate(panel.index):
            tiled = buffer.role == "tile" and axis == buffer.sample_axis and axis not in extents
            start = affine_text(index, self.names, self.tile_start if tiled else "")[0]
            if axis not in extents:
                cuts.append(":" if axis in (*panel.row_group, *panel.column_group) else start)
            elif (whole := extents[axis]) is None:
                cuts.append(f":{self.rows()}" if buffer.role == "tile" else f"{self.lo}:{self.hi}")
            elif (part := extent_along(axis, panel, whole, buffer)) == buffer.shape[axis] and index == START:
                cuts.append(":")
            else:
                extent = self.size(part, Level.PRODUCT)
                cuts.append(f":{self.size(part)}" if index == START else f"{start}:{start} + {extent}")
        while panel.joined and cuts and cuts[-1] == ":":
            # Numba takes an array for contiguous only where nothing is written behind a slice.
            cuts.pop()
        view = panel.buffer if all(c == ":" for c in cuts) else f"{panel.buffer}[{', '.join(cuts)}]"
        if panel.joined and any(":" in cut for cut in cuts[min(*panel.row_group, *panel.column_group) + 1:]):
            view = f"np.ascontiguousarray({view})"
        if panel.joined and not panel.column_group:
            view = f"{view}.reshape(-1)"
        elif panel.joined:
            view = f"{view}.reshape((-1, {self.size((rows if self.by_columns(panel) else columns) or 0)}))"
        return f"{view}.T" if self.by_columns(panel) != flip else view

    def by_columns(self, panel: Panel) -> bool:
        """Whether the columns of a matrix operand come before its rows in the buffer."""
        return panel.column_axis is not None and panel.row_axis > panel.column_axis

    def product(self, product: MatMul) -> str:
        """A matrix product as a call."""
        dtype = self.buffers[product.C.buffer].dtype
        m, n, k = product.m, product.n, product.k
        kind = product.kind
        blas = kind != "skinny" and suits_blas(self.buffers, product.A, product.B, product.C)
        alpha, beta = (literal_text(x, dtype)[0] for x in (product.alpha, product.beta))
        flip = self.by_columns(product.C)
        c = self.panel(product.C, m, n, flip)
        a, b = self.panel(product.A, m, k, flip), self.panel(product.B, k, n, flip)
        left, right = (b, a) if flip else (a, b)
        routine = "multiply" if not blas else "symmetric" if kind == "symmetric" and not flip else "gemm"
        if routine == "symmetric":
            self.routine("gemm", dtype)
        return f"{self.routine(routine, dtype)}({alpha}, {left}, {right}, {beta}, {c})"

    def vector_product(self, product: MatVec) -> str:
        """A matrix–vector product as a call."""
        dtype = self.buffers[product.y.buffer].dtype
        a = self.panel(product.A, product.m, product.k)
        x, y = self.panel(product.x, product.k, None), self.panel(product.y, product.m, None)
        name = self.routine("gemv" if suits_blas(self.buffers, product.A) else "multiply_vector", dtype)
        return f"{name}({a}, {x}, {literal_text(product.beta, dtype)[0]}, {y})"

    def routine(self, routine: str, dtype: str) -> str:
        """The name of a matrix routine, noted as needed."""
        self.routines.add((routine, dtype))
        return routine if dtype == "float64" else f"{routine}_{dtype[0]}{dtype[-2:]}"

    def mirror(self, name: str, axes: int) -> Iterator[str]:
        """The loops that copy the lower triangle to the upper one."""
        shape = self.buffers[name].shape
        if axes > 1:
            count = product_of(shape[len(shape) - axes:])
            yield f"square = {name}.reshape(({''.join(f'{self.size(s)}, ' for s in shape[:-2 * axes])}{self.size(count)}, -1))"
            name, shape = "square", (*shape[:len(shape) - 2 * axes], count, count)
        batch = [f"batch_{k}" for k in range(len(shape) - 2)]
        depth = ""
        for var, size in zip(batch, shape, strict=False):
            yield f"{depth}for {var} in range({self.size(size)}):"
            depth += INDENT
        lead = "".join(f"{var}, " for var in batch)
        yield f"{depth}for row in range(1, {self.size(shape[-1])}):"
        yield f"{depth}{INDENT}for column in range(row):"
        yield f"{depth}{INDENT * 2}{name}[{lead}column, row] = {name}[{lead}row, column]"
