"""Divided loops: straight work on samples goes by vectors of them where what follows it takes loops for each sample.

before:  sample i
           a hundred numbers, of which b[i, :] is stored, and c
           for j, k: g[p, j, k] += b[i, j] * b[i, k] * c
after:   sample i in lanes: a hundred numbers, b[i, :] and c[i] are stored
         sample i: for j, k: g[p, j, k] += b[i, j] * b[i, k] * c[i]

(The normal equations of residual blocks: derivatives in the first loop, outer products of them in the second.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from codegen.loop_ir.copies import Turns, turns_of
from codegen.loop_ir.nodes import (
    Assign,
    Buffer,
    Call,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Register,
    SampleLoop,
    Section,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, replaced_value, with_values
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import (
    buffers_of,
    fresh_names,
    is_told_by,
    loads,
    statements,
    subvalues,
    used_registers,
    values_of,
    written,
)
from codegen.scheduling.short_loops import COSTLY, LONGEST_OF_SAMPLE, Writer, can_be_written, is_short, length
from codegen.scheduling.vector_loops import LANES

# Calls of functions in the straight work that are worth a loop of their own; and how many of them each number that is handed on
# must stand for.
MUCH, EACH = 60, 3


def split_samples(program: Program) -> Program:
    """The program with loops over the samples of tiles in two where that lets the first go by vectors of samples."""
    if not any(type(s) is TileLoop for section in program.sections for s in section.body):
        return program
    splitter = Splitter(program)
    sections = tuple([splitter.section(section) for section in program.sections])
    return replace(program, sections=sections, buffers=(*program.buffers, *splitter.added)) if splitter.added else program


class Splitter:
    """Splits loops, and collects the buffers of what goes from the first loop to the second."""

    def __init__(self, program: Program) -> None:
        self.buffers, self.writer, self.names = buffers_of(program), Writer(program), fresh_names(program, "h")
        self.added: list[Buffer] = []

    def section(self, section: Section) -> Section:
        """A section with the sample loops of its tiles split."""
        def split(statement: Statement) -> Statement:
            if not isinstance(statement, TileLoop):
                return statement
            return replace(statement, body=tuple([part for s in statement.body for part in (
                self.in_two(s, section) if isinstance(s, SampleLoop) else (s,))]))
        return replace(section, body=tuple([split(s) for s in section.body]))

    def in_two(self, loop: SampleLoop, section: Section) -> Sequence[Statement]:
        """A loop over samples as two, or as it is."""
        if loop.step != 1 or loop.rest or section.extent is None or not any(map(self.goes_along_rows, loop.body)):
            return (loop,)
        rows = {id(s) for s in loop.body if self.goes_along_rows(s)}
        body = [part for s in loop.body for part in (self.with_numbers_ahead(s) if id(s) in rows else (s,))]
        first, second = parted(body, self.goes_along_rows)
        calls = [v for s in first for inner in statements((s,)) for outer in values_of(inner) for v in subvalues(outer)
                 if isinstance(v, Call)]
        work = sum(SCALARS[call.function].cost for call in calls)
        if not (len(calls) >= MUCH or any(SCALARS[call.function].cost >= COSTLY for call in calls)) or not all(
                is_short(s) and not self.writer.reads_long_rows(s) if isinstance(s, Loop) else can_be_written(s) for s in first):
            return (loop,)
        again, stored = self.handed_on(first, second)
        if EACH * len(stored) > work or any(  # what both loops add up would be two numbers
                {c.name for c in loop.carried} & updated(first) & updated(second)):
            return (loop,)
        here = (counted_by(loop.var),)
        places = {let.register: Buffer(next(self.names), let.dtype, (section.extent,), "tile", 0) for let in stored}
        straight = [*first, *[Store(place.name, here, Register(register)) for register, place in places.items()]]
        own = tuple([c for c in loop.carried if c.name not in updated(second)])
        ahead = replace(loop, carried=own, body=tuple(Turns(self.writer.name, set()).written(straight)))
        lanes, _ = self.writer.chooser.statement(ahead)
        if not isinstance(lanes, SampleLoop) or lanes.kind != "lane":
            return (loop,)
        self.added += places.values()
        given = [Let(let.register, let.dtype, Load(places[let.register].name, here)) for let in stored]
        rest = tuple([c for c in loop.carried if c.name in updated(second)])
        return ahead, replace(loop, carried=rest, body=(*again, *given, *second))

    def goes_along_rows(self, statement: Statement) -> bool:
        """Whether a statement is a nest that is not written out for each sample, or that walks along rows of several elements."""
        return is_long(statement) or (isinstance(statement, Loop) and (self.writer.reads_long_rows(statement) or any(
            isinstance(s, Loop) and not s.carried and len(turns_of(s)) >= LANES and any(
                isinstance(part, Store) and self.buffers[part.buffer].role == "tile" and is_told_by(part.index, s.var)
                for part in s.body) for s in statements((statement,)))))

    def with_numbers_ahead(self, nest: Statement) -> list[Statement]:
        """A nest behind the numbers in it that are computed of registers of the sample alone."""
        own = registers_of(statements((nest,)))
        ahead: dict[Value, Let] = {}

        def named(value: Value) -> Value | None:
            if not isinstance(value, Call) or value.dtype not in ("float64", "float32") or not all(
                    v.name not in own if isinstance(v, Register) else isinstance(v, (Call, Literal)) for v in subvalues(value)):
                return None
            if value not in ahead:
                ahead[value] = Let(next(self.writer.name), value.dtype, value)
            return Register(ahead[value].register)

        def changed(statement: Statement) -> Statement:
            fresh = with_values(statement, lambda v: replaced_value(v, named))
            return replace(fresh, body=tuple([changed(s) for s in fresh.body])) if isinstance(fresh, (Loop, If)) else fresh
        nest = changed(nest)
        return [*ahead.values(), nest]

    def handed_on(self, first: Sequence[Statement], second: Sequence[Statement]) -> tuple[list[Let], list[Let]]:
        """The registers of the first loop that the second needs: those that are told again, and those that are stored."""
        needed = {name for s in second for inner in statements((s,)) for name in used_registers(inner)}
        # What a loop carries is read behind it.
        named = [let for s in first for let in ([Let(c.name, c.dtype, Register(c.name)) for c in s.carried] if isinstance(
            s, Loop) else [s] if isinstance(s, Let) else ())]
        again: list[Let] = []
        stored: list[Let] = []
        for let in reversed(named):
            if let.register not in needed:
                continue
            # A position is told again: it is an index as well as a number.
            if let.dtype in ("int64", "int32") and all(self.buffers[name].role == "arg" for name, _ in loads(let)):
                again.insert(0, let)
                needed |= used_registers(let)
            else:
                stored.insert(0, let)
        return again, stored


def is_long(statement: Statement) -> bool:
    """Whether a statement is a nest that is not written out for each sample."""
    return isinstance(statement, Loop) and (not is_short(statement) or length(statement, set()) > LONGEST_OF_SAMPLE)


def updated(body: Sequence[Statement]) -> set[str]:
    """The registers that statements fold into."""
    return {s.register for s in statements(tuple(body)) if isinstance(s, (Update, Assign))}


def registers_of(body: Iterable[Statement]) -> set[str]:
    """The registers that statements, each as it stands, define or change."""
    return {s.register for s in body if isinstance(s, (Let, Update, Assign))}


def parted(body: Sequence[Statement], is_nest: Callable[[Statement], bool] = is_long) -> tuple[
        list[Statement], list[Statement]]:
    """What may be done before all nests of a kind, and the nests with what waits for them."""
    first: list[Statement] = []
    second: list[Statement] = []
    made: set[str] = set()
    writes: set[str] = set()
    reads: set[str] = set()
    for statement in body:
        inner = list(statements((statement,)))
        loaded = {name for s in inner for name, _ in loads(s)}
        changed = {name for s in inner for name in written(s)}
        used = {name for s in inner for name in used_registers(s)}
        if is_nest(statement) or used & made or writes & (loaded | changed) or changed & reads:
            second.append(statement)
            made |= registers_of(inner)
            writes |= changed
            reads |= loaded
        else:
            first.append(statement)
    return first, second
