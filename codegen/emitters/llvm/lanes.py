"""What a vector loop needs to know of its body: registers that it changes, its width, how many vectors to take at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import (
    Assign,
    Buffer,
    Call,
    Fold,
    IndexValue,
    Literal,
    Load,
    Loop,
    SampleLoop,
    SizeValue,
    Statement,
    Update,
)
from codegen.loop_ir.walks import statements, subvalues, values_of, written

# Values in a body for which four, or two, vectors at once still fit the registers.
SHORT, MIDDLING = 12, 30
MOST_FOLDS = 8
DEAR = frozenset("exp exp2 expm1 log log1p log2 log10 tanh sinh cosh asinh acosh atanh tan asin acos atan atan2 cbrt hypot sigmoid "
                 "softplus logaddexp xlogy power div sqrt".split())


def own_registers(body: Iterable[Statement]) -> set[str]:
    """The registers that loops inside a body carry."""
    return {c.name for s in statements(tuple(body)) if isinstance(s, (Loop, SampleLoop)) for c in s.carried}


def changed_registers(body: tuple[Statement, ...]) -> list[str]:
    """The registers of the outside that a body changes, in order."""
    own = own_registers(body)
    return list(dict.fromkeys(s.register for s in statements(body) if isinstance(s, (Update, Assign)) and s.register not in own))


def folds_of(body: tuple[Statement, ...]) -> dict[str, Fold]:
    """The registers of the outside that a body folds into, and how."""
    own = own_registers(body)
    return {s.register: s.op for s in statements(body) if isinstance(s, Update) and s.register not in own}


def lanes_for(body: tuple[Statement, ...], buffers: Mapping[str, Buffer], vector_bytes: int) -> int:
    """How many turns one vector takes: as many as the widest numbers in it allow."""
    widest = 4
    for statement in statements(body):
        for name in written(statement):
            widest = max(widest, BYTES[buffers[name].dtype])
        for outer in values_of(statement):
            for value in subvalues(outer):
                if isinstance(value, (Literal, Call, SizeValue, IndexValue)):
                    widest = max(widest, BYTES[value.dtype])
                elif isinstance(value, Load):
                    widest = max(widest, BYTES[buffers[value.buffer].dtype])
    return vector_bytes // widest


def vectors_at_once(body: tuple[Statement, ...]) -> int:
    """How many vectors a turn takes: folds wait for themselves, so several go side by side where the body is short."""
    count = folds = 0
    for statement in statements(body):
        if isinstance(statement, (Loop, SampleLoop)):
            return 1
        folds += isinstance(statement, Update)
        for outer in values_of(statement):
            for value in subvalues(outer):
                count += 1
                if isinstance(value, Call) and value.function in DEAR:
                    return 1
    at_once = 4 if count <= SHORT and folds else 2 if count <= MIDDLING and folds else 1
    # Each fold takes a register for each vector.
    return max(min(at_once, MOST_FOLDS // max(folds, 1)), 1)
