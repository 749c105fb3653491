"""Independent parts: whether the parts of a range may run at the same time, and in which buffers each gathers values of its own.

A section is cut where every buffer that it writes is a tile, is written at the sample alone, or is one that it folds into.
Each part but the first then has instances of the last kind, which are set to their neutral value before it and folded into the
buffers after it, by the statements of `clearing` and `folding`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from codegen.loop_ir.folds import identity
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Call,
    Fill,
    Fold,
    If,
    IndexValue,
    Inside,
    Load,
    Loop,
    MatMul,
    MatVec,
    Panel,
    Program,
    SampleLoop,
    Section,
    SizeValue,
    Statement,
    Store,
)
from codegen.loop_ir.walks import buffers_of, panels_of, statements, written
from symdiff.sizes import Size, combine


def cut_ranges(program: Program) -> Program:
    """The program whose range sections say which buffers their parts gather in, uncut where parts would meet."""
    buffers = buffers_of(program)
    return replace(program, sections=tuple(settled(section, buffers) for section in program.sections))


def settled(section: Section, buffers: Mapping[str, Buffer]) -> Section:
    """The section with its cut made sure."""
    if section.cut is None:
        return section
    samples = {s.var for s in statements(section.body) if isinstance(s, SampleLoop)}
    gathered = []
    for name in dict.fromkeys(name for s in statements(section.body) for name in written(s)):
        buffer = buffers[name]
        if buffer.fold is not None:
            gathered.append(name)
        elif buffer.sample_axis is None or not all(apart(s, buffer, samples) for s in statements(section.body)):
            return replace(section, cut=None)
    return replace(section, cut=replace(section.cut, gathered=tuple(gathered)))


def apart(statement: Statement, buffer: Buffer, samples: set[str]) -> bool:
    """Whether a statement writes nothing of a buffer but what belongs to the samples of the range."""
    if buffer.name not in written(statement):
        return True
    axis = buffer.sample_axis
    assert axis is not None
    if isinstance(statement, (Store, Accumulate)):
        return at_sample(statement.index[axis], samples)
    if isinstance(statement, Fill):
        return buffer.role == "tile"
    if isinstance(statement, (MatMul, MatVec)):
        return panel_apart(panels_of(statement)[-1], axis, statement.m, statement.n if isinstance(statement, MatMul) else 1,
                           samples)
    return False


def panel_apart(panel: Panel, axis: int, m: Size | None, n: Size | None, samples: set[str]) -> bool:
    """Whether a product is written to rows or columns of the tile, or at one sample."""
    if axis in panel.row_group:
        return m is None
    if axis in panel.column_group:
        return n is None
    return at_sample(panel.index[axis], samples)


def at_sample(index: Affine, samples: set[str]) -> bool:
    """Whether an index is a sample, or one of its group."""
    return any(variable in samples and c == 1 for variable, c in index.terms)


def clearing(section: Section, buffers: Mapping[str, Buffer]) -> tuple[Statement, ...]:
    """What sets the instances of the gathered buffers to their neutral values."""
    return tuple(Fill(instance_of(name), identity(fold, buffers[name].dtype)) for name, fold in gathered_in(section, buffers))


def folding(section: Section, buffers: Mapping[str, Buffer]) -> Section | None:
    """What folds each gathered buffer's instance, named as `instance_of` says, into it: a range, so that threads may share it.

    It goes over the rows of the buffer of most axes, and of those that have as many; the others are folded behind them, in a turn
    of their own, for there may be no rows.
    """
    gathered = list(gathered_in(section, buffers))
    if not gathered:
        return None
    widest = max((buffers[name].shape for name, _ in gathered), key=len)
    rows: Size = widest[0] if widest else 0
    by_rows: list[Statement] = []
    behind: list[Statement] = []
    for name, fold in gathered:
        shape = buffers[name].shape
        index = tuple([Affine(0, ((f"q{axis}", 1),)) for axis in range(len(shape))])
        body: tuple[Statement, ...] = (Accumulate(fold, name, index, Load(instance_of(name), index)),)
        outermost = int(bool(shape) and shape[0] == rows)
        for axis in reversed(range(outermost, len(shape))):
            body = (Loop(f"q{axis}", 0, shape[axis], body, kind="lane" if axis == len(shape) - 1 else "serial"),)
        (by_rows if outermost else behind).extend(body)
    if not behind:
        return Section("range", section.pass_number, (SampleLoop("q0", tuple(by_rows)),), rows)
    turn = Affine(0, (("q0", 1),))
    last = Call("equal", (IndexValue(turn, "int64"), SizeValue(rows, "int64")), "bool")
    sides = [*([If(Inside(turn, rows), tuple(by_rows))] if by_rows else []), If(last, tuple(behind))]
    return Section("range", section.pass_number, (SampleLoop("q0", tuple(sides)),), combine(((1, rows), (1, 1))))


def gathered_in(section: Section, buffers: Mapping[str, Buffer]) -> Iterator[tuple[str, Fold]]:
    """The buffers that the parts of a section gather in, and how."""
    for name in section.cut.gathered if section.cut else ():
        fold = buffers[name].fold
        if fold is not None:
            yield name, fold


def instance_of(name: str) -> str:
    """The name of a part's own instance of a buffer."""
    return f"{name}_part"


def with_instances(program: Program) -> Program:
    """The program with a part's own instances of the buffers that are gathered in, after all others."""
    names = {name for section in program.sections if section.cut for name in section.cut.gathered}
    own = [replace(b, name=instance_of(b.name), role="accumulator", slot=None, fold=None)
           for b in program.buffers if b.name in names]
    return replace(program, buffers=(*program.buffers, *own))
