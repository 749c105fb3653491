"""Registers for elements: what a body has stored in an element of an array it reads from a register.

before:  for t in 0 : n
           b[] = s[] * a
           s[] = b[] + x[t]
after:   r = s[]
         for t in 0 : n; r
           let v = r * a
           b[] = v                               (dropped, where nothing else loads it)
           r = v + x[t]
         s[] = r

before:  for i in 0 : n
           s[] add= x[i]
after:   for i in 0 : n; r = 0
           r add= x[i]
         s[] add= r

(Scalar replacement: Callahan, Carr, Kennedy: Improving register allocation for subscripted variables, 1990.)  `hand_on` names
what is stored and read in one turn, `carry` what goes on to the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from codegen.loop_ir.folds import folded, identity
from codegen.loop_ir.nodes import (
    Accumulate,
    Assign,
    Call,
    Carried,
    CarryingLoop,
    Fold,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Nest,
    Program,
    Register,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.rewriting import replaced_value, with_values
from codegen.loop_ir.walks import (
    Place,
    buffers_of,
    disjoint,
    fresh_names,
    index_variables,
    is_told_by,
    loads,
    panels_of,
    statements,
    used_registers,
    written,
)
from codegen.scheduling.vector_loops import independent

# Elements that one loop carries at most: more do not fit the registers.
MOST = 24


def hand_on(program: Program) -> Program:
    """The program whose loops read from registers what they have stored in the same turn."""
    registers = HandedOn(program)
    return replace(program, sections=tuple(replace(s, body=registers.loops(s.body)) for s in program.sections))


def carry(program: Program) -> Program:
    """The program whose loops carry single elements in registers from turn to turn."""
    dtypes = {name: b.dtype for name, b in buffers_of(program).items()}
    name = fresh_names(program, "c")
    return replace(program, sections=tuple(replace(s, body=tuple(carried(s.body, dtypes, name))) for s in program.sections))


class HandedOn:
    """Hands values on; names them."""

    def __init__(self, program: Program) -> None:
        self.dtypes = {name: b.dtype for name, b in buffers_of(program).items()}
        self.register = fresh_names(program, "f")

    def loops(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """A body outside of loops, with values handed on in its loops."""
        return tuple([replace(s, body=self.body(s.body, {})) if isinstance(s, CarryingLoop) else
                      replace(s, body=self.loops(s.body)) if isinstance(s, (TileLoop, If)) else s for s in body])

    def body(self, body: Sequence[Statement], known: dict[Place, Value]) -> tuple[Statement, ...]:
        """A body in which what it has stored, or is `known` before it, is read from a register."""
        found: list[Statement] = []
        inside = list(statements(tuple(body)))
        read = {place for s in inside for place in loads(s)}
        read |= {(s.buffer, s.index) for s in inside if isinstance(s, Accumulate)}
        changed = {s.register for s in inside if isinstance(s, (Update, Assign))}

        def seen(value: Value) -> Value | None:
            return known.get((value.buffer, value.index)) if type(value) is Load else None
        for statement in body:
            fresh = with_values(statement, lambda v: replaced_value(v, seen))
            if isinstance(fresh, Accumulate) and (fresh.buffer, fresh.index) in known:
                before = known[fresh.buffer, fresh.index]
                fresh = Store(fresh.buffer, fresh.index,
                              folded(fresh.op, before, fresh.value, self.dtypes[fresh.buffer]))
            if isinstance(fresh, If):
                fresh = replace(fresh, body=self.body(fresh.body, dict(known)))
            forget(known, statement)
            if isinstance(fresh, (Loop, SampleLoop, TileLoop)):
                fresh = replace(fresh, body=self.body(fresh.body, dict(known)))
            if isinstance(fresh, Store) and (fresh.buffer, fresh.index) in read:
                value = fresh.value
                if not isinstance(value, (Register, Literal)) or (isinstance(value, Register) and value.name in changed):
                    name = next(self.register)
                    found.append(Let(name, self.dtypes[fresh.buffer], value))
                    value = Register(name)
                    fresh = replace(fresh, value=value)
                known[fresh.buffer, fresh.index] = value
            place = before_with(found, fresh, self.dtypes) if isinstance(fresh, Accumulate) and fresh.op == "add" else None
            if place is not None:
                first = found.pop(place)
                assert isinstance(first, Accumulate) and isinstance(fresh, Accumulate)
                fresh = replace(fresh, value=Call("add", (first.value, fresh.value), self.dtypes[fresh.buffer]))
            found.append(fresh)
        return tuple(found)


def before_with(found: Sequence[Statement], fresh: Accumulate, dtypes: Mapping[str, str]) -> int | None:
    """Where what is added to an element may wait for what is added to it next: nothing between changes or reads it."""
    if not dtypes[fresh.buffer].startswith("float") or any(name == fresh.buffer for name, _ in loads(fresh)):
        return None
    changed: set[str] = set()
    for place in range(len(found) - 1, -1, -1):
        statement = found[place]
        if isinstance(statement, Accumulate) and (statement.op, statement.buffer, statement.index) == (
                fresh.op, fresh.buffer, fresh.index):
            used = {name for name, _ in loads(statement)} | used_registers(statement)
            told = any(is_told_by(fresh.index, name) for name in changed)
            return None if used & changed or told else place
        if not isinstance(statement, (Let, Store, Accumulate, Update)) or any(name == fresh.buffer for name, _ in loads(statement)):
            return None
        if isinstance(statement, (Store, Accumulate)) and statement.buffer == fresh.buffer:
            return None
        changed |= {statement.buffer} if isinstance(statement, (Store, Accumulate)) else {statement.register}
    return None


def forget(known: dict[Place, Value], statement: Statement) -> None:
    """Forget the elements that a statement, or one in it, may write, and those at positions that it changes."""
    for inner in statements((statement,)):
        if isinstance(inner, (Update, Assign)):
            for place in [p for p in known if is_told_by(p[1], inner.register)]:
                del known[place]
        places = [inner.index] if isinstance(inner, (Store, Accumulate)) else []
        for name in written(inner):
            for place in [p for p in known if p[0] == name and not (places and disjoint(p[1], places[0]))]:
                del known[place]


def carried(body: Sequence[Statement], dtypes: Mapping[str, str], name: Iterator[str]) -> Iterator[Statement]:
    """A body whose loops carry single elements."""
    for statement in body:
        if isinstance(statement, Nest):
            places = elements_of(statement) if isinstance(statement, Loop) else []
            folds = folded_in(statement) if isinstance(statement, CarryingLoop) else {}
            registers = {place: next(name) for place in (*places, *folds)}
            inner = tuple(carried(in_registers(statement.body, registers), dtypes, name))
            statement = replace(statement, body=inner)
            if isinstance(statement, CarryingLoop) and registers:
                more = tuple(Carried(register, dtypes[place[0]], identity(folds[place], dtypes[place[0]]) if place in folds else
                                     Load(*place)) for place, register in registers.items())
                yield replace(statement, carried=(*statement.carried, *more))
                yield from (Accumulate(folds[place], *place, Register(register)) if place in folds else
                            Store(*place, Register(register)) for place, register in registers.items())
                continue
        yield statement


def elements_of(loop: Loop) -> list[Place]:
    """The elements that a loop writes, one turn after the other, and that are the same in each turn."""
    if loop.kind != "serial" or independent(loop):
        return []
    moving = {loop.var, *(c.name for c in loop.carried)}
    places: dict[str, set[Place]] = {}
    refused: set[str] = set()
    for statement in statements(loop.body):
        match statement:
            case Loop(var=var, carried=more) | SampleLoop(var=var, carried=more):
                moving |= {var, *(c.name for c in more)}
            case Let(register=register) | Update(register=register) | Assign(register=register):
                moving.add(register)
            case Store() | Accumulate():
                places.setdefault(statement.buffer, set()).add((statement.buffer, statement.index))
            case _:
                refused |= {*written(statement), *(p.buffer for p in panels_of(statement))}
        for place in loads(statement):
            places.setdefault(place[0], set()).add(place)
    direct = {s.buffer for s in loop.body if isinstance(s, (Store, Accumulate))}
    below = {name for outer in loop.body if not isinstance(outer, (Store, Accumulate))
             for s in statements((outer,)) for name in written(s)}
    found: list[Place] = []
    for buffer in [b for b in places if b in direct - below - refused]:
        own = sorted(places[buffer], key=repr)
        still = not any(v in moving for _, index in own for i in index for v in index_variables(i))
        if still and all(disjoint(a[1], b[1]) for k, a in enumerate(own) for b in own[:k]):
            found += own
    return found if len(found) <= MOST else []


def folded_in(loop: Loop | SampleLoop) -> dict[Place, Fold]:
    """The elements that are the same in each turn of a loop and that it only folds into, its turns in any order."""
    direct = {(s.buffer, s.index): s.op for s in loop.body if isinstance(s, Accumulate)}
    if loop.kind != "serial" or not direct or not independent(loop):
        return {}
    moving = {loop.var}
    for s in statements(loop.body):
        moving |= {s.var} if isinstance(s, CarryingLoop) else {s.register} if isinstance(s, (Let, Update, Assign)) else set()
    touched = Counter([name for s in statements(loop.body) for name in (*written(s), *(place[0] for place in loads(s)))])
    own = Counter([name for name, _ in direct])
    found = {place: op for place, op in direct.items() if touched[place[0]] == own[place[0]] and not any(
        v in moving for i in place[1] for v in index_variables(i))}
    return found if len(found) <= MOST else {}


def in_registers(body: Iterable[Statement], registers: Mapping[Place, str]) -> tuple[Statement, ...]:
    """A body with registers for elements."""
    if not registers:
        return tuple(body)

    def seen(value: Value) -> Value | None:
        name = registers.get((value.buffer, value.index)) if type(value) is Load else None
        return None if name is None else Register(name)
    found: list[Statement] = []
    for statement in body:
        fresh = with_values(statement, lambda v: replaced_value(v, seen))
        if isinstance(fresh, Nest):
            fresh = replace(fresh, body=in_registers(fresh.body, registers))
        elif isinstance(fresh, (Store, Accumulate)) and (fresh.buffer, fresh.index) in registers:
            name = registers[fresh.buffer, fresh.index]
            fresh = Assign(name, fresh.value) if isinstance(fresh, Store) else Update(fresh.op, name, fresh.value)
        found.append(fresh)
    return tuple(found)
