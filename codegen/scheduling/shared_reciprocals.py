"""Shared reciprocals: of several powers of one number with negative exponents, one division is left.

before:  let a = reciprocal(cube(x));  let b = reciprocal(power_int(x, 4))
after:   let r = reciprocal(x);  let a = cube(r);  let b = power_int(r, 4)

(Lennard-Jones forces, x⁻³, x⁻⁴, x⁻⁶ and x⁻⁷ in one loop.)  Each rounding of a power counts as before, and that of the reciprocal
as often as the exponent says.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Assign,
    Call,
    Let,
    Literal,
    Nest,
    Program,
    Register,
    Statement,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import replaced_value, with_values
from codegen.loop_ir.walks import fresh_names, statements, subvalues, values_of
from codegen.lowering.scalars import integer_power

EXPONENTS = {"square": 2, "cube": 3}


def share_reciprocals(program: Program) -> Program:
    """The program with one reciprocal of each register for all powers of it in a turn of a loop."""
    names = fresh_names(program, "p")
    return replace(program, sections=tuple([replace(s, body=tuple([inside(t, names) for t in s.body])) for s in program.sections]))


def inside(statement: Statement, names: Iterator[str]) -> Statement:
    """A statement with reciprocals shared in its body."""
    if not isinstance(statement, Nest):
        return statement
    body = shared(statement.body, names)
    return statement if len(body) == len(statement.body) and all(map(is_, body, statement.body)) else replace(statement, body=body)


def shared(body: tuple[Statement, ...], names: Iterator[str]) -> tuple[Statement, ...]:
    """A body, and those in it, with reciprocals shared, which are named."""
    powers: dict[str, dict[int, Value]] = {}
    for statement in body:
        for outer in values_of(statement):
            for value in subvalues(outer):
                found = inverse_power(value)
                if found is not None:
                    powers.setdefault(found[0], {})[found[1]] = value
    # What the body changes is another number before that than behind it.
    changed = {s.register for s in statements(body) if isinstance(s, (Update, Assign))}
    several = {name for name, of in powers.items() if len(of) > 1} - changed
    fresh: list[Statement] = []
    made: dict[str, str] = {}

    def by_reciprocal(value: Value) -> Value | None:
        found = inverse_power(value)
        if found is None or found[0] not in several:
            return None
        name, exponent = found
        assert isinstance(value, Call)
        if name not in made:
            made[name] = next(names)
            fresh.append(Let(made[name], value.dtype, Call("reciprocal", (Register(name),), value.dtype)))
        return integer_power(Register(made[name]), exponent, value.dtype)
    for statement in body:
        if several and not isinstance(statement, Nest):
            statement = with_values(statement, lambda v: replaced_value(v, by_reciprocal))
        fresh.append(inside(statement, names))
    return tuple(fresh)


def inverse_power(value: Value) -> tuple[str, int] | None:
    """The register and the exponent n of register⁻ⁿ, None where a value is no such power."""
    if type(value) is not Call or value.function != "reciprocal":
        return None
    power = value.args[0]
    if isinstance(power, Register):
        return power.name, 1
    if not isinstance(power, Call) or not isinstance(power.args[0], Register):
        return None
    if power.function == "power_int":
        exponent = power.args[1]
        return (power.args[0].name, int(exponent.value)) if isinstance(exponent, Literal) and exponent.value > 0 else None
    return (power.args[0].name, EXPONENTS[power.function]) if power.function in EXPONENTS else None
