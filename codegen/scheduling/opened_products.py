"""Products that no library call takes become loops: every matrix–vector product, and matrices that BLAS cannot read.

A matrix–vector product walks the matrix once, in the order in which it lies: row by row a dot product each (`dot`), or a
multiple of each row added to the result (`axpy`).  From memory one such stream is faster than several (measured).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Call,
    Carried,
    Literal,
    Load,
    Loop,
    MatMul,
    MatVec,
    Nest,
    Panel,
    Program,
    Register,
    SampleLoop,
    Statement,
    Store,
    Update,
    Value,
)
from codegen.loop_ir.panels import suits_blas
from codegen.loop_ir.walks import buffers_of, fresh_names
from symdiff.sizes import Size


def open_products(program: Program) -> Program:
    """The program with loops in place of the products that are not left to BLAS.

    before:  y[rows] = A[rows, columns] @ x[columns]
    after:   for i: r = 0; for p: r += A[i, p] * x[p]; y[i] = r
    """
    opener = Opener(program)
    return replace(program, sections=tuple(replace(s, body=opener.body(s.body)) for s in program.sections))


class Opener:
    """Writes loops with names that the program does not use yet."""

    def __init__(self, program: Program) -> None:
        self.buffers = buffers_of(program)
        self.variable = fresh_names(program, "q")
        self.register = fresh_names(program, "d")

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """A body with its products opened."""
        return tuple(fresh for statement in body for fresh in self.statement(statement))

    def statement(self, statement: Statement) -> tuple[Statement, ...]:
        """One statement as those that stand for it."""
        match statement:
            case Nest():
                return (replace(statement, body=self.body(statement.body)),)
            case MatVec():
                return self.matrix_vector(statement)
            case MatMul() if statement.kind == "skinny" or not suits_blas(self.buffers, statement.A, statement.B, statement.C):
                return self.matrix_matrix(statement)
            case _:
                return (statement,)

    def over(self, size: Size | None, body: Callable[[Affine], tuple[Statement, ...]],
             carried: tuple[Carried, ...] = ()) -> Statement:
        """A loop over an extent; None is the rows of the present tile."""
        var = next(self.variable)
        inside = body(Affine(0, ((var, 1),)))
        return SampleLoop(var, inside, carried=carried) if size is None else Loop(var, 0, size, inside, carried=carried)

    def number(self, value: float, panel: Panel) -> Literal:
        """A literal in the dtype of a buffer."""
        dtype = self.buffers[panel.buffer].dtype
        return Literal(int(value) if dtype.startswith("int") else value, dtype)

    def times(self, a: Value, b: Value, panel: Panel) -> Value:
        """a · b, or one of them where the other is 1."""
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Literal) and x.value == 1:
                return y
        return Call("mul", (a, b), self.buffers[panel.buffer].dtype)

    def prepared(self, target: Panel, at: tuple[Affine, ...], beta: float) -> tuple[Statement, ...]:
        """target = beta · target."""
        if beta == 1:
            return ()
        if beta == 0:
            return (Store(target.buffer, at, self.number(0, target)),)
        return (Store(target.buffer, at, self.times(self.number(beta, target), Load(target.buffer, at), target)),)

    def matrix_vector(self, p: MatVec) -> tuple[Statement, ...]:
        """y = A x + beta y."""
        dtype = self.buffers[p.y.buffer].dtype

        def term(i: Affine, j: Affine) -> Value:
            return Call("mul", (Load(p.A.buffer, at(p.A, i, j)), Load(p.x.buffer, at(p.x, j))), dtype)
        if p.form == "axpy":
            return (*((self.over(p.m, lambda i: self.prepared(p.y, at(p.y, i), p.beta)),) if p.beta != 1 else ()),
                    self.over(p.k, lambda j: (self.over(p.m, lambda i: (
                        Accumulate("add", p.y.buffer, at(p.y, i), term(i, j)),)),)))

        def row(i: Affine) -> tuple[Statement, ...]:
            total = next(self.register)
            loop = self.over(p.k, lambda j: (Update("add", total, term(i, j)),), (Carried(total, dtype, self.number(0, p.y)),))
            if p.beta == 1:
                return loop, Accumulate("add", p.y.buffer, at(p.y, i), Register(total))
            value: Value = Register(total)
            if p.beta != 0:
                value = Call("add", (value, self.times(self.number(p.beta, p.y), Load(p.y.buffer, at(p.y, i)), p.y)), dtype)
            return loop, Store(p.y.buffer, at(p.y, i), value)
        return (self.over(p.m, row),)

    def matrix_matrix(self, p: MatMul) -> tuple[Statement, ...]:
        """C = alpha A B + beta C; a sum over samples goes once over them."""
        dtype = self.buffers[p.C.buffer].dtype

        def term(i: Affine, j: Affine, k: Affine) -> Statement:
            left = self.times(self.number(p.alpha, p.C), Load(p.A.buffer, at(p.A, i, k)), p.C)
            return Accumulate("add", p.C.buffer, at(p.C, i, j), Call("mul", (left, Load(p.B.buffer, at(p.B, k, j))), dtype))
        start = () if p.beta == 1 else (
            self.over(p.m, lambda i: (self.over(p.n, lambda j: self.prepared(p.C, at(p.C, i, j), p.beta)),)),)
        if p.k is None:
            return (*start, self.over(p.k, lambda k: (self.over(p.m, lambda i: (self.over(p.n, lambda j: (term(i, j, k),)),)),)))
        return (*start, self.over(p.m, lambda i: (self.over(p.k, lambda k: (self.over(p.n, lambda j: (term(i, j, k),)),)),)))


def at(panel: Panel, row: Affine, column: Affine | None = None) -> tuple[Affine, ...]:
    """The index of an element of a panel; an axis that starts further on is moved by its start."""
    found = list(panel.index)
    for axis, index in ((panel.row_axis, row), (panel.column_axis, column)):
        if axis is not None and index is not None:
            start = found[axis]
            found[axis] = Affine(start.const, (*start.terms, *index.terms))
    return tuple(found)
