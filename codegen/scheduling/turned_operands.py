"""Operands of products in loops lie as products in registers read them: what does not change in a loop is copied before it.

before:  for t in 0 : 100
           matmul … x[t, rows, columns] @ w[columns, rows]
after:   for i in 0 : k; for j in 0 : n
           y[i, j] = w[j, i]
         for t in 0 : 100
           matmul … x[t, rows, columns] @ y[rows, columns]
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import (
    Affine,
    Assign,
    Buffer,
    If,
    Let,
    Load,
    Loop,
    MatMul,
    Nest,
    Panel,
    Program,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.panels import suits_blas
from codegen.loop_ir.rewriting import counted_by
from codegen.loop_ir.walks import buffers_of, fresh_names, index_variables, statements, written
from codegen.scheduling.opened_products import at

# Bytes of an operand that is worth a copy, and turns of a loop.
MOST_BYTES, FEW_TURNS = 1 << 18, 4


def turn_operands(program: Program) -> Program:
    """The program with turned copies of operands before loops, where products read them by columns.

    Ranges stay as they are: their parts may run at the same time, and would make one copy together.
    """
    turner = Turner(program)
    sections = tuple(s if s.kind == "range" else replace(s, body=turner.body(s.body)) for s in program.sections)
    return replace(program, sections=sections, buffers=(*program.buffers, *turner.copies))


class Turner:
    """Makes copies; names them and their loops."""

    def __init__(self, program: Program) -> None:
        self.buffers = buffers_of(program)
        self.copies: list[Buffer] = []
        self.copy, self.variable = fresh_names(program, "y"), fresh_names(program, "p")

    def body(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body with copies before its loops."""
        found: list[Statement] = []
        for statement in body:
            if type(statement) is Loop:
                made: dict[Panel, Panel] = {}
                inner = self.turned(statement.body, changed_in(statement), made) if is_long(statement) else statement.body
                for panel, copy in made.items():
                    found.append(self.copied(panel, copy))
                found.append(replace(statement, body=self.body(inner)))
            elif type(statement) is If:
                found.append(replace(statement, body=self.body(statement.body)))
            else:
                found.append(statement)
        return tuple(found)

    def turned(self, body: Sequence[Statement], changed: set[str], made: dict[Panel, Panel]) -> tuple[Statement, ...]:
        """A body whose products read copies of what does not change."""
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, Nest):
                statement = replace(statement, body=self.turned(statement.body, changed, made))
            elif isinstance(statement, MatMul) and statement.kind == "gemm":
                statement = self.product(statement, changed, made)
            found.append(statement)
        return tuple(found)

    def product(self, product: MatMul, changed: set[str], made: dict[Panel, Panel]) -> MatMul:
        """A product that reads a copy of its right factor, or of the left one where its result lies by columns."""
        if not suits_blas(self.buffers, product.A, product.B, product.C):
            return product
        flipped = self.by_columns(product.C)
        panel, extents = (product.A, (product.m, product.k)) if flipped else (product.B, (product.k, product.n))
        rows, columns = extents
        buffer = self.buffers[panel.buffer]
        if self.by_columns(panel) != (not flipped) or panel.joined or buffer.role == "tile" or panel.buffer in changed:
            return product
        if any(v in changed for i in panel.index for v in index_variables(i)):
            return product
        if not isinstance(rows, int) or not isinstance(columns, int) or rows * columns * BYTES[buffer.dtype] > MOST_BYTES:
            return product
        if panel not in made:
            # A right factor is copied by rows, a left one by columns.
            shape = (columns, rows) if flipped else (rows, columns)
            name = next(self.copy)
            self.copies.append(Buffer(name, buffer.dtype, shape, "full"))
            self.buffers = {**self.buffers, name: self.copies[-1]}
            made[panel] = Panel(name, (Affine(0), Affine(0)), *((1, 0) if flipped else (0, 1)))
        return replace(product, A=made[panel]) if flipped else replace(product, B=made[panel])

    def by_columns(self, panel: Panel) -> bool:
        """Whether neighbours along a column lie side by side."""
        return panel.row_axis == len(self.buffers[panel.buffer].shape) - 1

    def copied(self, panel: Panel, copy: Panel) -> Statement:
        """The nest that copies an operand."""
        first, last = next(self.variable), next(self.variable)
        i, j = counted_by(first), counted_by(last)
        rows, columns = (i, j) if copy.row_axis == 0 else (j, i)
        store = Store(copy.buffer, (i, j), Load(panel.buffer, at(panel, rows, columns)))
        shape = self.buffers[copy.buffer].shape
        return Loop(first, 0, shape[0], (Loop(last, 0, shape[1], (store,)),))


def is_long(loop: Loop) -> bool:
    """Whether a loop has enough turns."""
    return not isinstance(loop.lo, int) or not isinstance(loop.hi, int) or loop.hi - loop.lo >= FEW_TURNS


def changed_in(loop: Loop) -> set[str]:
    """The buffers, variables and registers that change in a loop."""
    changed = {loop.var, *(c.name for c in loop.carried)}
    for statement in statements(loop.body):
        changed |= set(written(statement))
        match statement:
            case Let(register=register) | Update(register=register) | Assign(register=register):
                changed.add(register)
            case Loop(var=var, carried=carried) | SampleLoop(var=var, carried=carried):
                changed |= {var, *(c.name for c in carried)}
            case TileLoop(var=var):
                changed.add(var)
    return changed
