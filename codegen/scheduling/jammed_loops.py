"""Jammed loops: several turns of a loop around a vector loop are taken at once, where they share what they read or add to.

before:  for i in 0 : n
           for j in 0 : d lane
             g[j] add= A[i, j] * u[i]
after:   for i in 0 : n by 4
           a = u[i]; b = u[i + 1]; …
           for j in 0 : d lane
             for k in 0 : 1 unrolled; r = g[j]
               r add= A[i, j] * a
               r add= A[i + 1, j] * b
               …
             g[j] = r                                  loaded and stored once for four rows
         and the rows that are left as before

before:  for i in 0 : n
           for j in 0 : d lane; r = 0
             r add= A[i, j] * w[j]
           y[i] = r
after:   for i in 0 : n by 4
           for j in 0 : d lane; r = 0; s = 0; …         w loaded once for four rows
             r add= A[i, j] * w[j]
             s add= A[i + 1, j] * w[j]
             …
           y[i] = r
           y[i + 1] = s
           …

(Unroll and jam: Callahan, Cocke, Kennedy: Estimating interlock and improving balance for pipelined architectures, 1988.)
The terms of each sum over turns stay in their order.

Rows that come from memory are read side by side only where no two lie on one page: there the processor fetches ahead for each
of them, and four at once are up to a fifth faster; within a page they are up to half as fast again (measured on Zen 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from codegen.loop_ir.copies import Turns
from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import (
    TURNS_AT_ONCE,
    Accumulate,
    Affine,
    Buffer,
    Call,
    Carried,
    CarryingLoop,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Nest,
    Program,
    Register,
    SampleLoop,
    SizeValue,
    Statement,
    Store,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, moved_value, replaced_value
from codegen.loop_ir.walks import buffers_of, fresh_names, index_variables, loads, subvalues, values_of
from codegen.scheduling.vector_loops import PAGE, independent
from symdiff.sizes import Size, floor_divide, multiply, product

# Bytes of an array that stays in the cache of a core once it is read.
CACHED_BYTES = 1 << 17
# Functions that do not read all that stands in them.
LAZY = frozenset({"select", "logical_and", "logical_or"})
# Values in a vector loop for which four turns still fit the registers.
LONGEST = 10


def jam(program: Program) -> Program:
    """The program with its jammed loops."""
    jammer = Jammer(program)
    return replace(program, sections=tuple(replace(s, body=jammer.body(s.body)) for s in program.sections))


class Jammer:
    """Jams loops; names what is new in them."""

    def __init__(self, program: Program) -> None:
        self.buffers = buffers_of(program)
        self.name = fresh_names(program, "j")

    def body(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body with its loops jammed."""
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, CarryingLoop) and adds_rows(statement):
                inside = [inner for inner in statement.body if isinstance(inner, Loop)]
                group = [s for inner in inside for s in self.together(inner, statement.var)]
                found += in_groups(statement, group)
            elif isinstance(statement, CarryingLoop) and multiplies_rows(statement):
                found += self.rows(statement)
            elif isinstance(statement, Nest):
                found.append(replace(statement, body=self.body(statement.body)))
            else:
                found.append(statement)
        return tuple(found)

    def rows(self, loop: Loop | SampleLoop) -> Iterator[Statement]:
        """Dot products of several rows at once, where the sizes allow it; where they tell at the call only, both ways."""
        step = self.row_step(loop)
        if step is None or (isinstance(step, int) and step < PAGE):
            yield loop
            return
        groups = in_groups(loop, [*self.side_by_side(loop)])
        if isinstance(step, int):
            yield from groups
            return
        far = Call("less_equal", (Literal(PAGE, "int64"), SizeValue(step, "int64")), "bool")
        yield If(far, groups)
        yield If(Call("logical_not", (far,), "bool"), (self.again(loop),))

    def again(self, loop: Loop | SampleLoop) -> Loop | SampleLoop:
        """A loop once more, with names of its own inside."""
        inside = {inner.var for inner in loop.body if isinstance(inner, Loop)}
        turns = Turns(self.name, inside)
        turns.places.update((var, counted_by(var)) for var in inside)
        return replace(loop, body=tuple(turns.written(loop.body)))

    def row_step(self, loop: Loop | SampleLoop) -> Size | None:
        """Bytes from one row to the next of rows that come from memory, a page where none do; None where they differ."""
        found: Size = PAGE
        for name, index in [place for inner in loop.body if isinstance(inner, Loop) for s in inner.body for place in loads(s)]:
            buffer = self.buffers[name]
            axes = [axis for axis, i in enumerate(index) if loop.var in index_variables(i)]
            if not axes or buffer.role in ("tile", "accumulator") or in_cache(buffer):
                continue
            rows = dict(index[axes[0]].terms).get(loop.var)
            if len(axes) > 1 or rows is None:
                return None
            step = multiply(multiply(rows, BYTES[buffer.dtype]), product(buffer.shape[axes[0] + 1:]))
            if found not in (PAGE, step):
                return None
            found = step
        return found

    def together(self, loop: Loop, var: str) -> Iterator[Statement]:
        """The vector loop of a group of turns, after what it reads that is the same in all lanes."""
        read: dict[Load, Register] = {}
        added = {s.buffer for s in loop.body if isinstance(s, Accumulate)}

        def once(value: Value) -> Value | None:
            if isinstance(value, Call) and value.function in LAZY:
                return value  # what is read in it may be read under its condition alone
            if not isinstance(value, Load) or value.buffer in added or any(loop.var in index_variables(i) for i in value.index):
                return None
            return read.setdefault(value, Register(next(self.name)))
        body: list[Statement] = []
        for statement in loop.body:
            assert isinstance(statement, Accumulate)
            register = next(self.name)
            first = Carried(register, self.buffers[statement.buffer].dtype, Load(statement.buffer, statement.index))
            turns = [moved_value(statement.value, {var: Affine(k, ((var, 1),))}) for k in range(TURNS_AT_ONCE)]
            updates = tuple([Update(statement.op, register, replaced_value(value, once)) for value in turns])
            # A loop is what carries a sum.
            body += [Loop(next(self.name), 0, 1, updates, kind="unrolled", carried=(first,)),
                     Store(statement.buffer, statement.index, Register(register))]
        for load, known in read.items():
            yield Let(known.name, self.buffers[load.buffer].dtype, load)
        yield replace(loop, body=tuple(body))

    def side_by_side(self, loop: Loop | SampleLoop) -> Iterator[Statement]:
        """The body of a group of turns: each statement for all of them, the dot products in one vector loop."""
        turns = [Turns(self.name, set()) for _ in range(TURNS_AT_ONCE)]
        for k, turn in enumerate(turns):
            turn.places[loop.var] = Affine(k, ((loop.var, 1),))
        for statement in loop.body:
            if not isinstance(statement, Loop):
                for turn in turns:
                    yield from turn.written((statement,))
                continue
            var = next(self.name)
            carried: list[Carried] = []
            body: list[Statement] = []
            for turn in turns:
                turn.places[statement.var] = counted_by(var)
                for c in statement.carried:
                    carried.append(replace(c, name=next(self.name), initial=turn.value(c.initial)))
                    turn.values[c.name] = Register(carried[-1].name)
                body += turn.written(statement.body)
            yield replace(statement, var=var, carried=tuple(carried), body=tuple(body))


def in_cache(buffer: Buffer) -> bool:
    """Whether a buffer is known to be small."""
    count = product(buffer.shape)
    return isinstance(count, int) and count * BYTES[buffer.dtype] <= CACHED_BYTES


def in_groups(loop: Loop | SampleLoop, group: Sequence[Statement]) -> tuple[Statement, ...]:
    """The turns in groups, and those that are left, if any are."""
    body = tuple(group)
    if isinstance(loop, SampleLoop):
        return replace(loop, body=body, step=TURNS_AT_ONCE), replace(loop, rest=TURNS_AT_ONCE)
    whole = multiply(TURNS_AT_ONCE, floor_divide(loop.hi, TURNS_AT_ONCE))
    grouped = replace(loop, hi=whole, body=body, step=TURNS_AT_ONCE)
    return (grouped,) if whole == loop.hi else (grouped, replace(loop, lo=whole))


def may_jam(loop: Loop | SampleLoop) -> bool:
    """Whether the turns of a loop may be taken together, and there are enough of them."""
    if loop.kind != "serial" or loop.carried or loop.step != 1:
        return False
    if loop.rest if isinstance(loop, SampleLoop) else loop.lo != 0 or (isinstance(loop.hi, int) and loop.hi < TURNS_AT_ONCE):
        return False
    return independent(loop)


def adds_rows(loop: Loop | SampleLoop) -> bool:
    """Whether turns may be taken together and share loads and stores: all that the loop does is to add in vector loops."""
    return all(isinstance(inner, Loop) and adds(inner, loop.var) for inner in loop.body) and may_jam(loop)


def multiplies_rows(loop: Loop | SampleLoop) -> bool:
    """Whether turns may be taken together and share loads: its vector loops are products of rows with what does not change."""
    inside = [inner for inner in loop.body if isinstance(inner, Loop)]
    return bool(inside) and all(isinstance(s, (Loop, Let, Store, Accumulate)) for s in loop.body) and all(
        shares(inner, loop.var) for inner in inside) and may_jam(loop)


def adds(inner: Loop, var: str) -> bool:
    """Whether a vector loop is short and adds at places that do not change with the turn around it."""
    if inner.kind != "lane" or inner.carried or not inner.body:
        return False
    values = [v for s in inner.body for outer in values_of(s) for v in subvalues(outer)]
    return len(values) <= LONGEST and all(isinstance(s, Accumulate) and
                                          not any(var in index_variables(i) for i in s.index) for s in inner.body)


def shares(inner: Loop, var: str) -> bool:
    """Whether a vector loop is short, only folds into registers, and turns of the loop over `var` have loads in common."""
    if inner.kind != "lane" or not all(isinstance(s, Update) for s in inner.body):
        return False
    values = [v for s in inner.body for outer in values_of(s) for v in subvalues(outer)]
    return len(values) <= LONGEST // 2 and any(not any(var in index_variables(i) for i in index)
                                               for s in inner.body for _, index in loads(s))
