"""Dead code: stores that nothing loads, registers that nothing reads, loops with nothing in them.

before:  t0[i] = exp(x[i]); y[i] = r0; y[i] = r1       (t0 is never loaded: its value went on in a register)
after:   y[i] = r1
"""

from __future__ import annotations

from msgspec.structs import replace

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    CarryingLoop,
    Fill,
    If,
    Let,
    MatMul,
    MatVec,
    Mirror,
    Program,
    Statement,
    Store,
    TileLoop,
    Update,
)
from codegen.loop_ir.walks import disjoint, is_told_by, loads, panels_of, statements, used_registers


def drop_dead_code(program: Program) -> Program:
    """The program without statements that no output depends on."""
    while True:
        live = live_buffers(program)
        sections = []
        for section in program.sections:
            registers = set[str]().union(*[used_registers(s) for s in statements(section.body)])
            sections.append(replace(section, body=swept(section.body, live, registers)))
        fresh = replace(program, sections=tuple(s for s in sections if s.body),
                        buffers=tuple(b for b in program.buffers if b.name in live or b.role in ("arg", "const", "out")))
        if fresh == program:
            return program
        program = fresh


def live_buffers(program: Program) -> set[str]:
    """Outputs, and what is loaded somewhere."""
    live = {b.name for b in program.buffers if b.role == "out"}
    for section in program.sections:
        for statement in statements(section.body):
            live.update([panel.buffer for panel in panels_of(statement)[:2]])
            live.update([name for name, _ in loads(statement)])
    return live


def swept(body: tuple[Statement, ...], live: set[str], registers: set[str]) -> tuple[Statement, ...]:
    """A body without dead statements."""
    kept: list[Statement] = []
    for statement in without_overwritten(body):
        if type(statement) is Let:  # most statements are that
            if statement.register in registers:
                kept.append(statement)
            continue
        match statement:
            case Update() | Assign():
                if statement.register in registers:
                    kept.append(statement)
            case Store() | Accumulate() | Fill() | Mirror():
                if statement.buffer in live:
                    kept.append(statement)
            case MatMul():
                if statement.C.buffer in live:
                    kept.append(statement)
            case MatVec():
                if statement.y.buffer in live:
                    kept.append(statement)
            case CarryingLoop():
                inner = swept(statement.body, live, registers)
                carried = tuple(c for c in statement.carried if c.name in registers)
                if inner:
                    kept.append(replace(statement, body=inner, carried=carried))
                else:  # what it would have carried may be read behind it
                    kept += [Let(c.name, c.dtype, c.initial) for c in carried]
            case TileLoop() | If():
                inner = swept(statement.body, live, registers)
                if inner:
                    kept.append(replace(statement, body=inner))
            case _:
                kept.append(statement)
    return tuple(kept)


def without_overwritten(body: tuple[Statement, ...]) -> list[Statement]:
    """A body without the stores whose elements it stores again before anything reads them."""
    kept: list[Statement] = []
    # The indices of each buffer that are stored further on, and not read before that.
    again: dict[str, list[tuple[Affine, ...]]] = {}
    for statement in reversed(body):
        if type(statement) is Store and statement.index in again.get(statement.buffer, ()):
            continue
        if statement.__class__ is Let and not loads(statement):
            kept.append(statement)
            continue
        for inner in statements((statement,)) if again else ():
            for name, index in (*loads(inner), (inner.buffer, inner.index)) if type(inner) is Accumulate else loads(inner):
                if name in again:
                    again[name] = [place for place in again[name] if disjoint(place, index)]
            if inner.__class__ is Let:
                continue
            for panel in panels_of(inner):
                again.pop(panel.buffer, None)
            if isinstance(inner, Mirror):
                again.pop(inner.buffer, None)
            if isinstance(inner, (Update, Assign)):
                again = {name: [place for place in places if not is_told_by(place, inner.register)]
                         for name, places in again.items()}
        if type(statement) is Store:
            again.setdefault(statement.buffer, []).append(statement.index)
        kept.append(statement)
    return kept[::-1]
