"""Turned sums: sums down the columns of an array go through it row by row, as it lies.

before:  for j in 0 : d
           for i in 0 : n; r = 0
             r add= A[i, j]
           y[j] = r
after:   for j in 0 : d
           y[j] = 0
         for i in 0 : n
           for j in 0 : d
             y[j] add= A[i, j]

The terms of each sum stay in their order.  A nest that makes A row by row may then have the sums in it.  (Loop distribution and
interchange: Allen, Kennedy: Automatic loop interchange, 1984.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from msgspec.structs import replace

from codegen.loop_ir.folds import identity
from codegen.loop_ir.nodes import (
    Accumulate,
    Buffer,
    Let,
    Load,
    Loop,
    Nest,
    Program,
    Register,
    Statement,
    Store,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, moved, replaced_value, with_values
from codegen.loop_ir.walks import Place, fresh_names, is_told_by, loads, used_registers
from codegen.scheduling.vector_loops import independent, trips

# Rows, and columns, from which on it is worth to keep the sums in memory.
LEAST_ROWS, LEAST_COLUMNS = 16, 16


def turn_sums(program: Program) -> Program:
    """The program with its turned sums."""
    turner = Turner(program)
    sections = tuple([replace(s, body=turner.body(s.body, s.kind != "range")) for s in program.sections])
    return replace(program, sections=sections, buffers=(*program.buffers, *turner.made))


class Turner:
    """Turns sums; names the loops and the buffers that it makes."""

    def __init__(self, program: Program) -> None:
        self.var, self.sums = fresh_names(program, "g"), fresh_names(program, "u")
        self.made: list[Buffer] = []

    def body(self, body: Sequence[Statement], alone: bool) -> tuple[Statement, ...]:
        """A body with its sums turned; new buffers are for code that runs `alone`, not for parts of a range."""
        found: list[Statement] = []
        for statement in body:
            inner = statement.body[0] if type(statement) is Loop and statement.body else None
            if type(statement) is Loop and type(inner) is Loop and goes_down(statement, inner):
                found += self.turned(statement, inner, alone)
            elif isinstance(statement, Nest):
                found.append(replace(statement, body=self.body(statement.body, alone)))
            else:
                found.append(statement)
        return tuple(found)

    def turned(self, loop: Loop, inner: Loop, alone: bool) -> Iterator[Statement]:
        """The loops that stand for sums down columns; the loop itself where they would need a buffer that may not be made."""
        (total,), tail = inner.carried, loop.body[1:]
        last = tail[-1]
        innermost = nest_of(inner)[-1]
        direct = len(tail) == 1 and isinstance(last, Store) and last.value == Register(total.name) and not any(
            name == last.buffer for s in innermost.body for name, _ in loads(s))
        if not direct and not alone:
            yield loop
            return
        if direct:
            assert isinstance(last, Store)
            target: Place = last.buffer, last.index
        else:
            self.made.append(Buffer(next(self.sums), total.dtype, (loop.hi,), "full"))
            target = self.made[-1].name, (counted_by(loop.var),)
        yield replace(loop, body=(Store(*target, total.initial),))
        var = next(self.var)
        terms = [Accumulate(s.op, *target, s.value) if isinstance(s, Update) else s for s in innermost.body]
        whole = Loop(var, 0, loop.hi, tuple([moved(s, {loop.var: counted_by(var)}) for s in terms]))
        for outer in reversed(nest_of(inner)):
            whole = replace(outer, body=(whole,), carried=())
        yield whole
        if not direct:
            def seen(value: Value) -> Value | None:
                return Load(*target) if value == Register(total.name) else None
            yield replace(loop, body=tuple([with_values(s, lambda v: replaced_value(v, seen)) for s in tail]))


def nest_of(loop: Loop) -> list[Loop]:
    """A loop, the only one in it that carries nothing, and so on."""
    found = [loop]
    while len(found[-1].body) == 1 and isinstance(inner := found[-1].body[0], Loop) and not inner.carried:
        found.append(inner)
    return found


def goes_down(loop: Loop, inner: Loop) -> bool:
    """Whether a loop sums down the columns of arrays that lie by rows, and does little else."""
    nest = nest_of(inner)
    if loop.kind != "serial" or loop.carried or loop.lo != 0 or len(inner.carried) != 1 or not nest[-1].body or trips(
            loop) < LEAST_COLUMNS or prod([trips(outer) for outer in nest]) < LEAST_ROWS:
        return False
    (total,), (*before, last), tail = inner.carried, nest[-1].body, loop.body[1:]
    if not isinstance(last, Update) or not all(isinstance(s, Let) for s in before) or not tail or not all(
            isinstance(s, (Let, Store)) for s in tail):
        return False
    if total.initial != identity(last.op, total.dtype) or any(total.name in used_registers(s) for s in nest[-1].body):
        return False
    rows = {outer.var for outer in nest}
    down = [index for s in nest[-1].body for _, index in loads(s) if any(is_told_by(index, var) for var in rows)]
    by_rows = [dict(index[-1].terms).get(loop.var) == 1 for index in down]
    return any(by_rows) and not any(is_told_by(index[-1:], var) for index in down for var in rows) and independent(loop)
