"""Statements with other values, indices and names in them, as they stand otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_

from msgspec.structs import replace

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
    SampleLoop,
    Statement,
    Store,
    Update,
    Value,
    Variable,
)
from symdiff.sizes import Size, combine, multiply

OnValue = Callable[[Value], Value | None]
Places = Mapping[str, Affine]


def moved_index(index: Affine, places: Places) -> Affine:
    """An index with other indices for loop variables."""
    if not any([variable.__class__ is not str or variable in places for variable, _ in index.terms]):
        return index
    const = index.const
    terms: dict[Variable, Size] = {}
    for variable, c in index.terms:
        if not isinstance(variable, str):
            inner = replace(variable, index=moved_index(variable.index, places))
            terms[inner] = combine(((1, terms.get(inner, 0)), (1, c)))
            continue
        place = places.get(variable)
        for name, more in place.terms if place is not None else ((variable, 1),):
            terms[name] = combine(((1, terms.get(name, 0)), (1, multiply(c, more))))
        if place is not None:
            const = combine(((1, const), (1, multiply(c, place.const))))
    return Affine(const, tuple((v, c) for v, c in terms.items() if c != 0))


def moved_value(value: Value, places: Places) -> Value:
    """A value with other indices for loop variables; the value itself where it has none of them."""
    match value:
        case Call(function, args, dtype):
            fresh = tuple([moved_value(a, places) for a in args])
            return value if all(map(is_, fresh, args)) else Call(function, fresh, dtype)
        case Load(buffer, index):
            there = moved_place(index, places)
            return value if there is index else Load(buffer, there)
        case Inside(index, size):
            return Inside(moved_index(index, places), size)
        case IndexValue(index, dtype):
            return IndexValue(moved_index(index, places), dtype)
        case _:
            return value


def moved_place(index: tuple[Affine, ...], places: Places) -> tuple[Affine, ...]:
    """The indices of an element with other indices for loop variables; themselves where they have none of them."""
    fresh = tuple([moved_index(i, places) for i in index])
    return index if all(map(is_, fresh, index)) else fresh


def replaced_value(value: Value, known: OnValue) -> Value:
    """A value with parts replaced, outer ones first."""
    fresh = known(value)
    if fresh is not None:
        return fresh
    if type(value) is Call:
        args = tuple(replaced_value(a, known) for a in value.args)
        return value if all(a is b for a, b in zip(args, value.args, strict=True)) else Call(value.function, args, value.dtype)
    return value


def with_values(statement: Statement, change: Callable[[Value], Value]) -> Statement:
    """A statement with its own values changed, not those of its body."""
    match statement:
        case Let() | Store() | Accumulate() | Update() | Assign():
            fresh = change(statement.value)
            return statement if fresh is statement.value else replace(statement, value=fresh)
        case If():
            return replace(statement, condition=change(statement.condition))
        case Loop() | SampleLoop() if statement.carried:
            return replace(statement, carried=tuple([replace(c, initial=change(c.initial)) for c in statement.carried]))
        case _:
            return statement


def moved(statement: Statement, places: Places) -> Statement:
    """A statement, and those in it, with other indices for loop variables; it holds no product."""
    fresh = with_values(statement, lambda v: moved_value(v, places))
    match fresh:
        case Store() | Accumulate():
            there = moved_place(fresh.index, places)
            return fresh if there is fresh.index else replace(fresh, index=there)
        case If() | Loop() | SampleLoop():
            body = tuple([moved(s, places) for s in fresh.body])
            return fresh if all(map(is_, body, fresh.body)) else replace(fresh, body=body)
        case _:
            return fresh


def counted_by(var: str, more: int = 0) -> Affine:
    """The index var + more."""
    return Affine(more, ((var, 1),))
