"""Nests that differ in nothing but the buffers that they read and write: their code stands in the module once.

before:  t1 = tanh(t0), loop by loop          after:  call nest_0(t0, t1)
         t3 = tanh(t2), loop by loop                  call nest_0(t2, t3)

Layers of one width are such nests: what they take to compile does not grow with how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from codegen.emitters.llvm.entries import Callee, callee
from codegen.emitters.llvm.lanes import whole_rows
from codegen.emitters.llvm.statements import StatementWriter
from codegen.loop_ir.identity import write
from codegen.loop_ir.nodes import (
    Assign,
    Buffer,
    Call,
    CarryingLoop,
    Let,
    Loop,
    MatMul,
    MatVec,
    Program,
    SampleLoop,
    Section,
    Statement,
    TileLoop,
    Update,
)
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import buffers_of, read, statements, subvalues, used_registers, values_of

# Nests of less are as well written out: what the functions of a body take, and that times its turns, beside which a call is little.
LEAST_COST, LEAST_WORK = 3, 1024
# Turns that a loop is taken to have that has an unknown number of them.
MANY = 64


class NestCall(Struct, frozen=True):
    """A nest as a call: of what function, in tiles of how many rows, and which of its buffers stands for each of the first's.

    `whole` divides the rows of every tile, the last one too.
    """

    to: Callee
    rows: int
    whole: int
    buffers: Mapping[str, str]

    def __call__(self, writer: StatementWriter) -> None:
        """Write the call."""
        ends = [writer.lo, writer.hi] if self.rows else []
        pointers = [writer.pointers[self.buffers[name]] for name in dict.fromkeys(self.to.storages.values())]
        given = [*ends, *pointers, *[writer.sizes[size] for size in self.to.sizes]]
        writer.do(f"call void @{self.to.name}({', '.join(f'{v.type} {v.name}' for v in given)}, ptr %.routines)")


def shared_nests(program: Program, rows: Mapping[str, int]) -> dict[int, NestCall]:
    """What is called in place of nests of the program's sections that are written once, by their identity."""
    known = buffers_of(program)
    alike: dict[str, list[tuple[Statement, int, int, list[str]]]] = {}
    for section in program.sections:
        whole = whole_rows(section)
        for statement, tile in nests(section):
            if stands_alone(statement, known):
                key, order = shape_of(statement, known, rows)
                alike.setdefault(f"{tile} {whole} {key}", []).append((statement, tile, whole, order))
    calls: dict[int, NestCall] = {}
    for number, same in enumerate(group for group in alike.values() if len(group) > 1):
        first, tile, whole, names = same[0]
        to = callee(f".nest_{number}", Section("range" if tile else "init", 0, (first,)), program)
        for statement, _, _, order in same:
            calls[id(statement)] = NestCall(to, tile, whole, dict(zip(names, order, strict=True)))
    return calls


def nests(section: Section) -> Iterator[tuple[Statement, int]]:
    """The nests and products of a section that stand in no loop, or in a range in that over tiles, with the rows of a tile."""
    for outer in section.body:
        if type(outer) is TileLoop:
            yield from ((s, outer.rows) for s in outer.body if isinstance(s, (Loop, SampleLoop, MatMul)))
        elif section.kind != "range" and (type(outer) is Loop or type(outer) is MatMul):
            yield outer, 0


def stands_alone(nest: Statement, known: Mapping[str, Buffer]) -> bool:
    """Whether a nest is long enough to be called, and shares no register with what stands around it.

    Where samples of the data are read first, what is read ahead follows from the place: that stays there.
    """
    if isinstance(nest, MatMul):
        return True
    assert isinstance(nest, CarryingLoop)
    if nest.carried:
        return False
    cost = 0
    inside = list(statements((nest,)))
    for s in inside:
        if isinstance(s, (MatVec, TileLoop)):
            return False
        cost += LEAST_WORK if isinstance(s, MatMul) else 0
        cost += sum([SCALARS[v.function].cost for outer in values_of(s) for v in subvalues(outer) if isinstance(v, Call)])
    changed = {s.register for s in inside if isinstance(s, (Update, Assign))}
    outside = changed.union(*[used_registers(s) for s in inside]) - own_names(nest)
    if cost < LEAST_COST or cost * turns(nest) < LEAST_WORK or outside:
        return False
    buffers = [known[name] for s in inside for name in read(s)]
    return not any(b.role == "arg" and b.sample_axis == 0 and len(b.shape) > 1 for b in buffers)


def turns(nest: Loop | SampleLoop) -> int:
    """How often the innermost body runs, the one that does so most."""
    own = MANY
    if isinstance(nest, Loop) and isinstance(nest.lo, int) and isinstance(nest.hi, int):
        own = (nest.hi - nest.lo) // nest.step
    return own * max((turns(s) for s in nest.body if isinstance(s, CarryingLoop)), default=1)


def shape_of(nest: Statement, known: Mapping[str, Buffer], rows: Mapping[str, int]) -> tuple[str, list[str]]:
    """All that the code of a nest follows from, by any names, and its buffers in the order of their names there."""
    names: dict[str, str] = {}
    storages: dict[int | str, str] = {}
    bound = own_names(nest)
    buffers: dict[str, str] = {}
    parts: list[str] = []

    def named(name: str) -> str:
        if name in known and name not in buffers:
            b = known[name]
            buffers[name] = storages.setdefault(name if b.slot is None else b.slot, f"#{len(storages)}")
            names[name] = f"@{len(buffers)}"
        elif name in bound and name not in names:
            names[name] = f"%{len(names)}"
        return names.get(name, name)
    write(nest, parts.append, named)
    for name, storage in buffers.items():
        parts.append(f"{storage} {rows.get(name)} ")
        write(replace(known[name], name="", slot=None), parts.append)
    return "".join(parts), list(buffers)


def own_names(nest: Statement) -> set[str]:
    """The loop variables and the registers that a nest makes."""
    found: set[str] = set()
    for s in statements((nest,)):
        if isinstance(s, CarryingLoop):
            found |= {s.var, *[c.name for c in s.carried]}
        elif isinstance(s, Let):
            found.add(s.register)
    return found
