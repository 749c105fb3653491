"""Copies of loops: turns written one after the other, under names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from codegen.loop_ir.folds import folded, identity
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    If,
    Let,
    Literal,
    Loop,
    Register,
    Statement,
    Store,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import counted_by, moved_index, moved_value, replaced_value, with_values
from codegen.loop_ir.walks import statements


class Turns:
    """Writes the turns of loops one after the other, but for those of variables in `stays`."""

    def __init__(self, name: Iterator[str], stays: set[str]) -> None:
        self.name, self.stays = name, stays
        # What stands for variables and registers of the loops, in positions and as values.
        self.places: dict[str, Affine] = {}
        self.values: dict[str, Value] = {}
        self.carried: dict[str, str] = {}

    def written(self, body: Sequence[Statement]) -> Iterator[Statement]:
        """A body with its loops written out."""
        for old in body:
            statement = with_values(old, self.value)
            match statement:
                case Let(register, dtype, value):
                    yield self.named(register, dtype, value)
                case Update(op, register, value) if register in self.carried:
                    dtype, before = self.carried[register], self.values[register]
                    first = before == identity(op, dtype)
                    yield self.named(register, dtype, value if first else folded(op, before, value, dtype))
                case Assign(register, value) if register in self.carried:
                    yield self.named(register, self.carried[register], value)
                case Update(register=register) | Assign(register=register):
                    kept = self.values.get(register)
                    yield replace(statement, register=kept.name) if isinstance(kept, Register) else statement
                case Store() | Accumulate():
                    yield replace(statement, index=tuple(moved_index(i, self.places) for i in statement.index))
                case If():
                    yield replace(statement, body=tuple(self.written(statement.body)))
                case Loop() if statement.var in self.stays:
                    yield self.kept(statement)
                case Loop():
                    for c in statement.carried:
                        self.carried[c.name] = c.dtype
                        if isinstance(c.initial, Literal):
                            self.values[c.name] = c.initial
                        else:
                            yield self.named(c.name, c.dtype, c.initial)
                    for turn in turns_of(statement):
                        self.places[statement.var] = Affine(turn)
                        yield from self.written(statement.body)
                case _:
                    yield statement

    def kept(self, loop: Loop) -> Loop:
        """A loop that stays, with names of its own."""
        again = loop.var in self.places
        var = next(self.name) if again else loop.var
        self.places[loop.var] = counted_by(var)
        carried = []
        for c in loop.carried:
            carried.append(replace(c, name=next(self.name)) if again else c)
            self.values[c.name] = Register(carried[-1].name)
        return replace(loop, var=var, carried=tuple(carried), body=tuple(self.written(loop.body)))

    def named(self, register: str, dtype: str, value: Value) -> Let:
        """A register of a turn, under a new name."""
        name = next(self.name)
        self.values[register], self.places[register] = Register(name), counted_by(name)
        return Let(name, dtype, value)

    def value(self, value: Value) -> Value:
        """A value with what stands for variables and registers."""
        return moved_value(replaced_value(value, lambda v: self.values.get(v.name) if isinstance(v, Register) else None),
                           self.places)


def turns_of(loop: Loop) -> range:
    """The turns of a loop whose ends are numbers."""
    assert isinstance(loop.lo, int) and isinstance(loop.hi, int)
    return range(loop.lo, loop.hi, loop.step)


def copy_of(loop: Loop, name: Iterator[str]) -> Loop:
    """A loop once more, with names of its own."""
    stays = [s.var for s in statements((loop,)) if isinstance(s, Loop)]
    turns = Turns(name, set(stays))
    turns.places.update((var, counted_by(var)) for var in stays)
    return turns.kept(loop)
