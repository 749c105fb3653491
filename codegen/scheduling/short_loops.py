"""Short loops are written out before loops are fused, so that what they compute goes on in registers.

before:  for i in 0 : 4
           for j in 0 : 2
             b[i, j] = exp(a[i, j])
after:   for i in 0 : 4
           b[i, 0] = exp(a[i, 0])
           b[i, 1] = exp(a[i, 1])

In a nest of short loops one stays, whose turns can be the lanes of a vector: four at least, or two where it holds costly
functions.  A loop over samples whose lanes are samples has what stands in it written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from codegen.loop_ir.copies import Turns, turns_of
from codegen.loop_ir.nodes import (
    Accumulate,
    Assign,
    Call,
    If,
    Let,
    Loop,
    Nest,
    Program,
    SampleLoop,
    Statement,
    Store,
    Update,
)
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import buffers_of, fresh_names, is_told_by, loads, statements, subvalues, values_of
from codegen.scheduling.element_registers import carried
from codegen.scheduling.vector_loops import LANES, LONGEST_UNROLLED, Chooser, independent

# Values and statements that a nest may be written with, and one in a loop over samples.
LONGEST, LONGEST_OF_SAMPLE, TOO_LONG = 64, 240, 1 << 20
# Turns of a loop that stays inside of one that is written out: more do not fit the registers.
MOST_LANES = 16
# What a function takes at least that is better computed in lanes, be they two.
COSTLY = 10


def write_out(program: Program) -> Program:
    """The program with its short loops written out."""
    writer = Writer(program)
    return replace(program, sections=tuple(replace(s, body=writer.body(s.body)) for s in program.sections))


class Writer:
    """Writes loops out; names the registers of each turn."""

    def __init__(self, program: Program) -> None:
        self.buffers = buffers_of(program)
        self.chooser, self.dtypes = Chooser(self.buffers), {name: b.dtype for name, b in self.buffers.items()}
        self.name = fresh_names(program, "w")

    def body(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body with the short nests in it written out."""
        found: list[Statement] = []
        for statement in body:
            if type(statement) is Loop and is_short(statement):
                found += self.nest(statement)
            elif type(statement) is SampleLoop and (written := self.with_samples_for_lanes(statement)):
                found += written
            elif isinstance(statement, Nest):
                found.append(replace(statement, body=self.body(statement.body)))
            else:
                found.append(statement)
        return tuple(found)

    def nest(self, nest: Loop) -> Iterator[Statement]:
        """A nest of short loops written out, where that does not take too many statements."""
        stays = self.stays(nest) if least_length(nest) <= LONGEST else None
        if stays is None or length(nest, stays) > LONGEST:
            yield replace(nest, body=self.body(nest.body))
            return
        if all(s.var in stays for s in statements((nest,)) if isinstance(s, Loop)):
            yield nest
            return
        turns = Turns(self.name, stays)
        yield from turns.written((nest,))
        if nest.var not in stays:
            # What the nest carries is read behind it by its own name.
            yield from (Let(c.name, c.dtype, turns.values[c.name]) for c in nest.carried)

    def stays(self, nest: Loop) -> set[str]:
        """The variables of the loops of a nest that stay."""
        inner = [s for s in statements((nest,)) if isinstance(s, Loop)]
        most = max((len(turns_of(loop)) for loop in inner if independent(loop)), default=0)
        if most < (2 if is_dear(nest) else LANES):
            return set()
        if len(inner) == 1:
            return {nest.var}
        best, _ = self.chooser.statement(nest)
        lanes = {s.var for s in statements((best,)) if isinstance(s, Loop) and s.kind == "lane" and
                 len(turns_of(s)) >= min(most, LANES)}
        return lanes or set(outermost(nest, most))

    def with_samples_for_lanes(self, loop: SampleLoop) -> list[Statement]:
        """A loop over samples with the short loops in it written out, where samples are the best lanes then; else nothing."""
        inner = [s for s in loop.body if isinstance(s, Loop)]
        if not inner or not all(is_short(s) if isinstance(s, Loop) else can_be_written(s) for s in loop.body):
            return []
        if any(length(s, set()) > LONGEST_OF_SAMPLE or self.reads_long_rows(s) for s in inner):
            return []
        best, cost = self.chooser.statement(loop)
        written = replace(loop, body=tuple(Turns(self.name, set()).written(loop.body)))
        whole = list(carried((written,), self.dtypes, self.name))
        (first, *_), in_lanes = self.chooser.body(whole)
        samples = [s for s in (best, first) if isinstance(s, SampleLoop) and s.kind == "lane"]
        return whole if len(samples) == 2 or (first in samples and in_lanes < cost) else []


    def reads_long_rows(self, nest: Loop) -> bool:
        """Whether a nest walks along rows of the data of more than a few elements: those are read one after another."""
        return any(isinstance(s, Loop) and len(turns_of(s)) > LONGEST_UNROLLED and any(
            self.buffers[name].role == "arg" and self.buffers[name].sample_axis is not None and is_told_by(index, s.var)
            for part in statements(s.body) for name, index in loads(part)) for s in statements((nest,)))


def least_length(nest: Loop, turns: int = 1, longest: int = 1) -> int:
    """What `length` is at least, if the longest of the loops around each statement stays."""
    count = len(turns_of(nest))
    turns, longest = turns * count, max(longest, count)
    if turns // longest > LONGEST:
        return turns // longest
    return sum(least_length(s, turns, longest) if isinstance(s, Loop) else turns // longest * (1 + sum(
        len(subvalues(v)) for v in values_of(s))) for s in nest.body)


def outermost(nest: Loop, turns: int) -> Iterator[str]:
    """The variables of the loops of so many turns that may run side by side, and of none inside of those."""
    if len(turns_of(nest)) == turns and independent(nest):
        yield nest.var
        return
    for inner in nest.body:
        if isinstance(inner, Loop):
            yield from outermost(inner, turns)


def is_short(nest: Loop) -> bool:
    """Whether all in a nest may be written out: ends that are numbers, and plain statements."""
    return all(can_be_written(s) for s in statements((nest,)))


def can_be_written(statement: Statement) -> bool:
    """Whether a statement may be written once for each turn of a loop around it."""
    match statement:
        case Loop():
            return isinstance(statement.lo, int) and isinstance(statement.hi, int)
        case If():
            # What it names or changes is not known after it.
            return all(isinstance(s, (Store, Accumulate)) for s in statement.body)
        case _:
            return isinstance(statement, (Let, Store, Accumulate, Update, Assign))


def is_dear(nest: Loop) -> bool:
    """Whether a nest has costly functions in it."""
    return any(isinstance(v, Call) and SCALARS[v.function].cost >= COSTLY
               for s in statements((nest,)) for outer in values_of(s) for v in subvalues(outer))


def length(statement: Statement, stays: set[str]) -> int:
    """The number of statements and values once the loops are written out, but for those that stay; too many where it may not be."""
    own = 1 + sum(len(subvalues(v)) for v in values_of(statement))
    if isinstance(statement, (Loop, If)):
        inner = sum(length(s, stays) for s in statement.body)
        if isinstance(statement, Loop) and statement.var not in stays:
            count = len(turns_of(statement))
            within = [s for s in statements(statement.body) if isinstance(s, Loop) and s.var in stays]
            summed = {c.name for c in statement.carried} & {s.register for loop in within for s in statements(loop.body)
                                                            if isinstance(s, (Update, Assign))}
            long = count > MOST_LANES or any(len(turns_of(loop)) > MOST_LANES for loop in within)
            inner *= TOO_LONG if long or summed else count
        own += inner
    return own
