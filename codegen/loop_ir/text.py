"""Loop IR as text: deterministic, one statement a line, for golden files and people.

Every dtype that does not follow from the rest is written.  Keys of kept kernels are made of `codegen.loop_ir.identity`.
"""

from __future__ import annotations

from collections.abc import Iterator

from codegen.loop_ir.arithmetic import affine_text, size_text
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Barrier,
    Call,
    Carried,
    Cut,
    Fill,
    If,
    IndexValue,
    Inside,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    MatVec,
    Mirror,
    Nest,
    Panel,
    Program,
    Register,
    SampleLoop,
    SizeValue,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from symdiff.sizes import Size, named_sizes

INFERRED = frozenset({"float64", "int64", "bool"})


class SizeNames(dict[str, str]):
    """Sizes keep their own names in loop IR text."""

    def __missing__(self, name: str) -> str:
        return name


NAMES = SizeNames()


def program_text(program: Program) -> str:
    """The text of a whole program.

    >>> print(program_text(Program("empty", ("n",), (), ())))
    program empty(n)
    """
    lines = [f"program {program.name}({', '.join(program.sizes)})"]
    for b in program.buffers:
        shape = ", ".join(size(s) for s in b.shape)
        sample = "" if b.sample_axis is None else f" sample {b.sample_axis}"
        slot = "" if b.slot is None else f" slot {b.slot}"
        fold = "" if b.fold is None else f" fold {b.fold}"
        lines.append(f"  {b.role} {b.name}: {b.dtype}[{shape}]{sample}{slot}{fold}")
    for section in program.sections:
        over = "" if section.extent is None else f" over {size(section.extent)}"
        lines.append(f"{section.kind} {section.pass_number}{over}{cut_text(section.cut)}{comment(section.comment)}")
        lines += body_lines(section.body)
    return "\n".join(lines)


def cut_text(cut: Cut | None) -> str:
    """How a range is cut."""
    if cut is None:
        return ""
    apart = f", each but the first with its own {', '.join(cut.gathered)}" if cut.gathered else ""
    return f" in at most {cut.most} parts of at least {cut.rows}{apart}"


def body_lines(body: tuple[Statement, ...], depth: int = 1) -> Iterator[str]:
    """The lines of a body, indented."""
    for statement in body:
        yield "  " * depth + statement_text(statement)
        if isinstance(statement, Nest):
            yield from body_lines(statement.body, depth + 1)


def statement_text(statement: Statement) -> str:
    """A statement on one line; a body follows it, indented."""
    match statement:
        case Let(register, dtype, value):
            return f"let {register}: {dtype} = {value_text(value)}"
        case Store(buffer, index, value):
            return f"{element(buffer, index)} = {value_text(value)}"
        case Accumulate(op, buffer, index, value):
            return f"{element(buffer, index)} {op}= {value_text(value)}"
        case Update(op, register, value):
            return f"{register} {op}= {value_text(value)}"
        case Assign(register, value):
            return f"{register} = {value_text(value)}"
        case If(condition, _):
            return f"if {value_text(condition)}"
        case Loop(var, lo, hi, _, step, kind, carried, remark):
            by = "" if step == 1 else f" by {step}"
            return f"for {var} in {size(lo)} : {size(hi)}{by} {kind}{carried_text(carried)}{comment(remark)}"
        case TileLoop(var, rows, _, remark):
            return f"tile {var} by {rows}{comment(remark)}"
        case SampleLoop(var, _, kind, carried, remark, step, rest):
            part = f" by {step}" if step > 1 else f" after {rest}" if rest else ""
            return f"sample {var}{part} {kind}{carried_text(carried)}{comment(remark)}"
        case Fill(buffer, value):
            return f"fill {buffer} = {value_text(value)}"
        case MatMul(a, b, c, m, n, k, alpha, beta, kind):
            extents = ", ".join(extent(s) for s in (m, n, k))
            factors = f"{alpha!r} * {panel_text(a)} @ {panel_text(b)} + {beta!r} * C"
            return f"matmul {kind} ({extents}) {panel_text(c)} = {factors}"
        case MatVec(form, a, x, y, m, k, beta):
            factors = f"{panel_text(a)} @ {panel_text(x)} + {beta!r} * y"
            return f"matvec {form} ({extent(m)}, {extent(k)}) {panel_text(y)} = {factors}"
        case Mirror(buffer, axes) if axes > 1:
            return f"mirror {buffer} over {axes} axes"
        case Mirror(buffer):
            return f"mirror {buffer}"
        case Barrier():
            return "barrier"


def value_text(value: Value) -> str:
    """A value in prefix form."""
    match value:
        case Literal(number, dtype):
            number = float(number) if dtype.startswith("float") else number
            return f"{number!r}" if dtype in INFERRED else f"{number!r}:{dtype}"
        case Register(name):
            return name
        case SizeValue(s, dtype):
            return f"size:{dtype}({size(s)})"
        case IndexValue(index, dtype):
            return f"index:{dtype}({affine_text(index, NAMES)[0]})"
        case Load(buffer, index):
            return element(buffer, index)
        case Inside(index, s):
            return f"inside({affine_text(index, NAMES)[0]}, {size(s)})"
        case Call(function, args, dtype):
            suffix = f":{dtype}" if function == "cast" else ""
            return f"{function}{suffix}({', '.join(value_text(a) for a in args)})"


def carried_text(carried: tuple[Carried, ...]) -> str:
    """The registers that a loop carries, with their first values."""
    return "".join(f"; {c.name}: {c.dtype} = {value_text(c.initial)}" for c in carried)


def panel_text(panel: Panel) -> str:
    """A matrix operand: the axes of its rows and columns are marked."""
    axes = []
    for axis, index in enumerate(panel.index):
        mark = "rows" if axis in panel.row_group else "columns" if axis in panel.column_group else ""
        start = affine_text(index, NAMES)[0]
        axes.append(mark if mark and start == "0" else f"{mark} from {start}" if mark else start)
    return f"{panel.buffer}[{', '.join(axes)}]"


def element(buffer: str, index: tuple[Affine, ...]) -> str:
    """buffer[index]."""
    return f"{buffer}[{', '.join(affine_text(i, NAMES)[0] for i in index)}]"


def size(s: Size) -> str:
    """A size in its own names."""
    return size_text(s, NAMES)[0] if named_sizes(s) else str(s)


def extent(s: Size | None) -> str:
    """A size of a matrix product; None stands for the rows of the tile."""
    return "rows" if s is None else size(s)


def comment(text: str) -> str:
    """A remark behind a line."""
    return f"  # {text}" if text else ""
