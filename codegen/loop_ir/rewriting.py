"""Statements with other values, indices and names in them, as they stand otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Call,
    If,
    IndexValue,
    Inside,
    Let,
    Load,
    Loop,
    Quotient,
    Remainder,
    SampleLoop,
    Statement,
    Store,
    Update,
    Value,
    Variable,
)

OnValue = Callable[[Value], Value | None]
Names = Mapping[str, str]


def renamed_index(index: Affine, names: Names) -> Affine:
    """An index with other variables."""
    terms: list[tuple[Variable, object]] = []
    for variable, c in index.terms:
        if isinstance(variable, (Quotient, Remainder)):
            terms.append((replace(variable, index=renamed_index(variable.index, names)), c))
        else:
            terms.append((names.get(variable, variable), c))
    return Affine(index.const, tuple(terms))  # type: ignore[arg-type]


def renamed_value(value: Value, names: Names) -> Value:
    """A value with other loop variables in its indices."""
    match value:
        case Load(buffer, index):
            return Load(buffer, tuple(renamed_index(i, names) for i in index))
        case Inside(index, size):
            return Inside(renamed_index(index, names), size)
        case IndexValue(index, dtype):
            return IndexValue(renamed_index(index, names), dtype)
        case Call(function, args, dtype):
            return Call(function, tuple(renamed_value(a, names) for a in args), dtype)
        case _:
            return value


def replaced_value(value: Value, known: OnValue) -> Value:
    """A value with parts replaced, outer ones first."""
    fresh = known(value)
    if fresh is not None:
        return fresh
    if isinstance(value, Call):
        args = tuple(replaced_value(a, known) for a in value.args)
        return value if all(a is b for a, b in zip(args, value.args, strict=True)) else Call(value.function, args, value.dtype)
    return value


def with_values(statement: Statement, change: Callable[[Value], Value]) -> Statement:
    """A statement with its own values changed, not those of its body."""
    match statement:
        case Let() | Store() | Accumulate() | Update() | Assign():
            return replace(statement, value=change(statement.value))
        case If():
            return replace(statement, condition=change(statement.condition))
        case Loop() | SampleLoop():
            return replace(statement, carried=tuple(replace(c, initial=change(c.initial)) for c in statement.carried))
        case _:
            return statement


def renamed(statement: Statement, names: Names) -> Statement:
    """A statement, and those in it, with other loop variables; it holds no product."""
    fresh = with_values(statement, lambda v: renamed_value(v, names))
    match fresh:
        case Store() | Accumulate():
            return replace(fresh, index=tuple(renamed_index(i, names) for i in fresh.index))
        case If() | Loop() | SampleLoop():
            return replace(fresh, body=tuple(renamed(s, names) for s in fresh.body))
        case _:
            return fresh
