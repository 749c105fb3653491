"""Jammed loops: several turns of a loop around a vector loop are taken at once, where they add at the same places.

before:  for i in 0 : n
           for j in 0 : d lane
             g[j] add= A[i, j] * u[i]
after:   for i in 0 : n by 4
           for j in 0 : d lane
             for k in 0 : 4 unrolled; r = g[j]
               r add= A[i + k, j] * u[i + k]
             g[j] = r                                  loaded and stored once for four rows
         and the rows that are left as before

(Unroll and jam: Callahan, Cocke, Kennedy: Estimating interlock and improving balance for pipelined architectures, 1988.)
The terms of each sum stay in their order.  Loops that fold into a register, as dot products do, stay as they are: four rows
that are read side by side from memory are slower than one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Carried,
    If,
    Load,
    Loop,
    Program,
    Register,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.rewriting import moved_value
from codegen.loop_ir.walks import buffers_of, fresh_names, index_variables, subvalues, values_of
from codegen.scheduling.vector_loops import independent
from symdiff.sizes import floor_divide, multiply

TURNS = 4
# Values in a vector loop for which four turns still fit the registers.
LONGEST = 10


def jam(program: Program) -> Program:
    """The program with its jammed loops."""
    jammer = Jammer(program)
    return replace(program, sections=tuple(replace(s, body=jammer.body(s.body)) for s in program.sections))


class Jammer:
    """Jams loops; names what is new in them."""

    def __init__(self, program: Program) -> None:
        self.dtypes = {name: b.dtype for name, b in buffers_of(program).items()}
        self.name = fresh_names(program, "j")

    def body(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body with its loops jammed."""
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, (Loop, SampleLoop)) and gains(statement):
                found += self.parts(statement)
            elif isinstance(statement, (Loop, SampleLoop, TileLoop, If)):
                found.append(replace(statement, body=self.body(statement.body)))
            else:
                found.append(statement)
        return tuple(found)

    def parts(self, loop: Loop | SampleLoop) -> tuple[Statement, Statement]:
        """The turns in groups, and those that are left."""
        groups = tuple([self.together(inner, loop.var) for inner in loop.body if isinstance(inner, Loop)])
        if isinstance(loop, SampleLoop):
            return replace(loop, body=groups, step=TURNS), replace(loop, rest=TURNS)
        whole = multiply(TURNS, floor_divide(loop.hi, TURNS))
        return replace(loop, hi=whole, body=groups, step=TURNS), replace(loop, lo=whole)

    def together(self, loop: Loop, var: str) -> Loop:
        """The vector loop of a group of turns."""
        body: list[Statement] = []
        for statement in loop.body:
            assert isinstance(statement, Accumulate)
            turn, register = next(self.name), next(self.name)
            first = Carried(register, self.dtypes[statement.buffer], Load(statement.buffer, statement.index))
            value = moved_value(statement.value, {var: Affine(0, ((var, 1), (turn, 1)))})
            body += [Loop(turn, 0, TURNS, (Update(statement.op, register, value),), kind="unrolled", carried=(first,)),
                     Store(statement.buffer, statement.index, Register(register))]
        return replace(loop, body=tuple(body))


def gains(loop: Loop | SampleLoop) -> bool:
    """Whether turns may be taken together and share loads and stores: all that the loop does is to add in vector loops."""
    if loop.kind != "serial" or loop.carried or loop.step != 1:
        return False
    if loop.rest if isinstance(loop, SampleLoop) else loop.lo != 0 or (isinstance(loop.hi, int) and loop.hi < TURNS):
        return False
    return all(isinstance(inner, Loop) and adds(inner, loop.var) for inner in loop.body) and independent(loop)


def adds(inner: Loop, var: str) -> bool:
    """Whether a vector loop is short and adds at places that do not change with the turn around it."""
    if inner.kind != "lane" or inner.carried or not inner.body:
        return False
    values = [v for s in inner.body for outer in values_of(s) for v in subvalues(outer)]
    return len(values) <= LONGEST and all(isinstance(s, Accumulate) and s.op == "add" and
                                          not any(var in index_variables(i) for i in s.index) for s in inner.body)
