"""Blocked sums: a long sum in float32 is the sum of sums of blocks, of which each has few digits to lose.

before:  for i in 0 : 1000000 with r = 0;  r += x[i]
after:   for j in 999424 : 1000000 with s = 0;  s += x[j]
         for b in 0 : 244 with r = s
           for i in 0 : 4096 with p = 0;  p += x[4096 b + i]
           r += p

What is added to one number after another is rounded as often as there are turns: the error grows with their count, here with its
square root (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).  Passes over the data add tile by tile as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from codegen.loop_ir.copies import copy_of
from codegen.loop_ir.folds import identity
from codegen.loop_ir.nodes import (
    Affine,
    Carried,
    If,
    Inside,
    Loop,
    Nest,
    Program,
    Register,
    Statement,
    Update,
)
from codegen.loop_ir.rewriting import moved
from codegen.loop_ir.walks import fresh_names, statements, subvalues, values_of
from codegen.scheduling.vector_loops import independent

# Turns of a block; of fewer blocks than two the sum is as good as it is.  A longer body is not written twice.
BLOCK, LONGEST = 4096, 24


def block_sums(program: Program) -> Program:
    """The program with its long sums in float32 by blocks."""
    name = fresh_names(program, "b")
    return replace(program, sections=tuple([replace(s, body=blocked(s.body, name)) for s in program.sections]))


def blocked(body: Sequence[Statement], name: Iterator[str]) -> tuple[Statement, ...]:
    """A body with its long sums by blocks, and what reads them behind."""
    found: list[Statement] = []
    for statement in body:
        if type(statement) is Loop and is_long_sum(statement):
            found += in_blocks(statement, name)
        elif isinstance(statement, Nest):
            found.append(replace(statement, body=blocked(statement.body, name)))
        else:
            found.append(statement)
    return tuple(found)


def is_long_sum(loop: Loop) -> bool:
    """Whether a loop adds many numbers of float32 to registers that it carries, in turns that may run in any order."""
    if not isinstance(loop.lo, int) or not isinstance(loop.hi, int) or loop.step != 1 or loop.hi - loop.lo < 2 * BLOCK:
        return False
    inside = list(statements(loop.body))
    own = {c.name: c.dtype for c in loop.carried}
    folds = {s.register: s.op for s in inside if isinstance(s, Update)}
    # The last turns come first, so none may hang on another; and what they fold into is carried by this loop.
    if not independent(loop) or not folds.keys() <= own.keys() or len(inside) > LONGEST:
        return False
    return any(own[register] == "float32" and op == "add" for register, op in folds.items()) and not any(
        isinstance(s, Loop) for s in inside) and not any(
        isinstance(v, Inside) for s in inside for outer in values_of(s) for v in subvalues(outer))


def in_blocks(loop: Loop, name: Iterator[str]) -> list[Statement]:
    """A long sum as the sum of what is left over, and then of the blocks."""
    assert isinstance(loop.lo, int) and isinstance(loop.hi, int)
    count, left = divmod(loop.hi - loop.lo, BLOCK)
    found: list[Statement] = []
    carried = loop.carried
    if left:
        rest = copy_of(replace(loop, lo=loop.hi - left), name)
        found.append(rest)
        carried = tuple([replace(c, initial=Register(before.name)) for c, before in zip(carried, rest.carried, strict=True)])
    block, turn = next(name), next(name)
    folds = {s.register: s.op for s in statements(loop.body) if isinstance(s, Update)}
    parts = {c.name: next(name) for c in carried if c.name in folds}
    there = Affine(loop.lo, ((block, BLOCK), (turn, 1)))
    body = tuple([moved(s, {loop.var: there}) for s in with_parts(loop.body, parts)])
    own = tuple([Carried(parts[c.name], c.dtype, identity(folds[c.name], c.dtype)) for c in carried if c.name in parts])
    inner = replace(loop, var=turn, lo=0, hi=BLOCK, body=body, carried=own)
    sums = [Update(folds[register], register, Register(part)) for register, part in parts.items()]
    return [*found, Loop(block, 0, count, (inner, *sums), carried=carried)]


def with_parts(body: Sequence[Statement], parts: Mapping[str, str]) -> tuple[Statement, ...]:
    """A body that folds into other registers."""
    return tuple([replace(s, register=parts.get(s.register, s.register)) if isinstance(s, Update) else replace(
        s, body=with_parts(s.body, parts)) if isinstance(s, If) else s for s in body])
