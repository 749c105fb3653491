"""The legality check of programs: what the grammar of the loop IR cannot say.

Passes are checked in tests and when SYMDIFF_CHECK asks for it: legal in, legal out.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import NoReturn

from codegen.errors import IllegalProgram
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Barrier,
    Buffer,
    Call,
    Carried,
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
    Panel,
    Program,
    Register,
    SampleLoop,
    Section,
    SizeValue,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.text import statement_text
from codegen.loop_ir.walks import dtype_of, index_sizes, index_variables
from symdiff.sizes import Size, named_sizes

FLOATS = frozenset({"float64", "float32"})
INTEGERS = frozenset({"int64", "int32"})
DTYPES = FLOATS | INTEGERS | {"bool"}
NAME = re.compile(r"[a-z]{1,8}[0-9]*(_[a-z0-9]+)*")
EMITTED = re.compile(r"n[0-9]+|(init|range|finish)_.*|.*_end|batch_.*|row|column|.*_(f32|i64|i32|bool)")
# Names that emitted modules use themselves.
RESERVED = frozenset({"np", "math", "njit", "ir", "types", "cgutils", "intrinsic", "blas", "lo", "hi", "abs", "range",
                      "min", "max", "ord", "kernel", "run", "gemm", "symmetric", "gemv", "leading", "multiply", *SCALARS})


def check(program: Program) -> Program:
    """The program itself, if it is legal; else raises `IllegalProgram`, which names the statement."""
    names = [b.name for b in program.buffers]
    if len(set(names)) < len(names):
        raise IllegalProgram(f"two buffers share a name: {names}", where=f"program {program.name}")
    for buffer in program.buffers:
        check_buffer(buffer, program)
    for section in program.sections:
        SectionCheck(program, section).run()
    return program


def check_buffer(buffer: Buffer, program: Program) -> None:
    """Name, dtype, sizes and sample axis of a buffer."""
    where = f"buffer {buffer.name} of program {program.name}"
    if not is_name(buffer.name):
        raise IllegalProgram(f"{buffer.name!r} is not a name that generated source may use", where=where)
    if buffer.dtype not in DTYPES:
        raise IllegalProgram(f"dtype {buffer.dtype} is not in the language", where=where)
    if buffer.sample_axis is not None and not 0 <= buffer.sample_axis < len(buffer.shape):
        raise IllegalProgram(f"sample axis {buffer.sample_axis} of rank {len(buffer.shape)}", where=where)
    unknown = {n for s in buffer.shape for n in named_sizes(s)} - set(program.sizes)
    if unknown:
        raise IllegalProgram(f"sizes {sorted(unknown)} are not among the program's", where=where)


def is_name(name: str) -> bool:
    """Whether generated source may use the name for a buffer, register or loop variable."""
    taken = name in RESERVED or keyword.iskeyword(name) or EMITTED.fullmatch(name)
    return bool(NAME.fullmatch(name)) and not taken


class SectionCheck:
    """The check of one section: what is defined at each point of it."""

    def __init__(self, program: Program, section: Section) -> None:
        self.program, self.section = program, section
        self.buffers = {b.name: b for b in program.buffers}
        self.sizes = set(program.sizes)
        self.registers: dict[str, str] = {}
        self.ever: set[str] = set()
        self.carried: set[str] = set()
        self.variables: set[str] = set()
        self.samples: set[str] = set()
        # Whether the loop over samples takes whole groups, so that others of the group may be reached.
        self.grouped = False
        self.in_tile = False
        self.statement: Statement | None = None

    def fail(self, what: str) -> NoReturn:
        """Raise, naming the present statement."""
        at = "" if self.statement is None else f", statement `{statement_text(self.statement)}`"
        raise IllegalProgram(what, where=f"{self.program.name}, {self.section.kind} {self.section.pass_number}{at}")

    def run(self) -> None:
        """Check the section."""
        if self.section.kind == "range" and self.section.extent is None:
            self.fail("a range section has an extent")
        if self.section.extent is not None:
            self.size(self.section.extent)
        self.body(self.section.body)

    def body(self, body: Iterable[Statement]) -> None:
        """Check statements; registers that they define are not seen after them."""
        outer = dict(self.registers)
        for statement in body:
            self.statement = statement
            self.step(statement)
        self.registers = outer

    def step(self, statement: Statement) -> None:
        """Check one statement."""
        match statement:
            case Let(register, dtype, value):
                self.expect(value, dtype)
                self.define(register, dtype)
            case Store(buffer, index, value) | Accumulate(_, buffer, index, value):
                self.element(self.target(buffer), index)
                self.expect(value, self.buffers[buffer].dtype)
            case Update(_, register, value) | Assign(register, value):
                if register not in self.carried or register not in self.registers:
                    self.fail(f"register {register} is not carried by a loop around the statement")
                self.expect(value, self.registers[register])
            case If(condition, body):
                self.expect(condition, "bool")
                self.body(body)
            case Loop(var, lo, hi, body, step, _, carried):
                self.size(lo)
                self.size(hi)
                if step < 1:
                    self.fail("the step of a loop is at least 1")
                self.loop(var, body, carried)
            case TileLoop(var, rows, body):
                if self.section.kind != "range" or self.in_tile or self.variables:
                    self.fail("a TileLoop stands outermost in a range section")
                if rows < 1:
                    self.fail("a tile has at least one row")
                self.in_tile = True
                self.loop(var, body, ())
                self.in_tile = False
            case SampleLoop(var, body, _, carried, _, step):
                if self.section.kind != "range" or self.samples:
                    self.fail("a SampleLoop stands in a range section and in no other SampleLoop")
                self.samples.add(var)
                self.grouped = step > 1
                self.loop(var, body, carried)
                self.samples.discard(var)
            case Fill(buffer, value):
                self.expect(value, self.target(buffer).dtype)
            case MatMul():
                self.product(statement)
            case MatVec(_, a, x, y, m, k):
                if a.column_axis is None or x.column_axis is not None or y.column_axis is not None:
                    self.fail("a MatVec takes a matrix and two vectors")
                self.operands((a, m, k), (x, k, None), (y, m, None))
            case Mirror(buffer, axes):
                shape = self.target(buffer).shape
                if len(shape) < 2 * axes or shape[-axes:] != shape[-2 * axes:-axes]:
                    self.fail("only square matrices are mirrored")
            case Barrier():
                pass

    def loop(self, var: str, body: tuple[Statement, ...], carried: tuple[Carried, ...]) -> None:
        """Check a loop; its carried registers are seen inside it and after it."""
        for c in carried:
            self.expect(c.initial, c.dtype)
        for c in carried:
            self.define(c.name, c.dtype)
        if var in self.variables or not is_name(var) or var in self.buffers:
            self.fail(f"{var!r} is no free name for a loop variable")
        names = {c.name for c in carried}
        self.carried |= names
        self.variables.add(var)
        self.body(body)
        self.variables.discard(var)
        self.carried -= names

    def define(self, register: str, dtype: str) -> None:
        """Note a new register."""
        if register in self.ever or register in self.buffers or register in self.variables or not is_name(register):
            self.fail(f"register {register!r} is defined twice in the section, or its name is taken")
        if dtype not in DTYPES:
            self.fail(f"dtype {dtype} is not in the language")
        self.ever.add(register)
        self.registers[register] = dtype

    def buffer(self, name: str) -> Buffer:
        """The buffer of a name, where it may be used."""
        if name not in self.buffers:
            self.fail(f"there is no buffer {name}")
        buffer = self.buffers[name]
        if buffer.role == "tile" and not self.in_tile:
            self.fail(f"tile buffer {name} is used outside of a TileLoop")
        return buffer

    def target(self, name: str) -> Buffer:
        """A buffer that may be written."""
        buffer = self.buffer(name)
        if buffer.role in ("arg", "const"):
            self.fail(f"{buffer.role} {name} is written")
        return buffer

    def element(self, buffer: Buffer, index: tuple[Affine, ...]) -> None:
        """An index has one Affine an axis; along the sample axis of a tile buffer it is the sample itself."""
        if len(index) != len(buffer.shape):
            self.fail(f"{buffer.name} has {len(buffer.shape)} axes, and its index {len(index)}")
        for axis, i in enumerate(index):
            self.index(i)
            if buffer.role == "tile" and axis == buffer.sample_axis:
                moved = i.const != 0 or len(i.terms) > 1
                if not any(v in self.samples and c == 1 for v, c in i.terms) or (moved and not self.grouped):
                    self.fail(f"along its sample axis tile buffer {buffer.name} is indexed by the sample alone")

    def index(self, index: Affine) -> None:
        """All variables and sizes of an index are known."""
        unknown = [v for v in index_variables(index) if v not in self.variables and self.registers.get(v) != "int64"]
        if unknown:
            self.fail(f"loop variables {sorted(set(unknown))} are not known here")
        for s in index_sizes(index):
            self.size(s)

    def size(self, size: Size) -> None:
        """All names in a size are known."""
        if size.__class__ is int:
            return
        unknown = named_sizes(size) - self.sizes
        if unknown:
            self.fail(f"sizes {sorted(unknown)} are not among the program's")

    def expect(self, value: Value, dtype: str) -> None:
        """The value is legal and has the dtype."""
        found = self.value(value)
        if found != dtype:
            self.fail(f"a value of dtype {found} stands where {dtype} is meant")

    def value(self, value: Value) -> str:
        """Check a value; its dtype."""
        match value:
            case Register(name):
                if name not in self.registers:
                    self.fail(f"register {name} is not defined here")
            case Load(name, index):
                self.element(self.buffer(name), index)
            case Inside(index, size):
                self.index(index)
                self.size(size)
            case IndexValue(index, _):
                self.index(index)
            case SizeValue(size, _):
                self.size(size)
            case Literal(_, dtype):
                if dtype not in DTYPES:
                    self.fail(f"dtype {dtype} is not in the language")
            case Call():
                self.call(value)
        return dtype_of(value, self.registers, self.buffers)

    def call(self, call: Call) -> None:
        """Arity and dtypes of a call, by the family of its function."""
        row = SCALARS.get(call.function)
        if row is None:
            self.fail(f"there is no scalar function {call.function}")
        if len(call.args) != row.arity:
            self.fail(f"{call.function} takes {row.arity} arguments, not {len(call.args)}")
        got = [self.value(a) for a in call.args]
        result, numbers = call.dtype, FLOATS | INTEGERS
        same = all(d == result for d in got)
        fits = {
            "float": same and result in FLOATS,
            "number": same and result in numbers,
            "order": same,
            "compare": len(set(got)) == 1 and result == "bool",
            "logic": same and result == "bool",
            "test": result == "bool",
            "power_int": result in numbers and got[0] == result and got[-1] in INTEGERS,
            "select": len(got) == 3 and got[0] == "bool" and got[1] == got[2] == result,
            "cast": result in DTYPES,
        }
        if not fits[row.family]:
            self.fail(f"{call.function} of {', '.join(got)} does not give {result}")

    def product(self, product: MatMul) -> None:
        """Extents, dtypes and, of a symmetric one its square form, of a matrix product."""
        a, b = product.A, product.B
        self.operands((a, product.m, product.k), (b, product.k, product.n), (product.C, product.m, product.n))
        if any(p.column_axis is None for p in (a, b, product.C)):
            self.fail("the operands of a MatMul are matrices")
        if product.kind == "symmetric" and (product.m is None or product.m != product.n):
            self.fail("a symmetric product is square")
        if product.C.buffer in (a.buffer, b.buffer):
            self.fail("the result of a product lies in a buffer of its own")

    def operands(self, *operands: tuple[Panel, Size | None, Size | None]) -> None:
        """The operands of a product; the last is written."""
        for panel, rows, columns in operands:
            buffer = self.buffer(panel.buffer)
            axes = {panel.row_axis: rows} | ({} if panel.column_axis is None else {panel.column_axis: columns})
            if len(panel.index) != len(buffer.shape) or not all(0 <= x < len(buffer.shape) for x in axes):
                self.fail(f"the panel of {buffer.name} does not fit its {len(buffer.shape)} axes")
            if panel.column_axis == panel.row_axis:
                self.fail(f"rows and columns of the panel of {buffer.name} are one axis")
            for axis, i in enumerate(panel.index):
                self.index(i)
                if axis in axes and axes[axis] is None and (self.section.kind != "range" or self.samples):
                    self.fail("the rows of a tile are only known in a range section, outside of SampleLoops")
                if buffer.role == "tile" and axis == buffer.sample_axis and axes.get(axis) is not None:
                    self.fail(f"the sample axis of tile buffer {buffer.name} is taken whole")
            for extent in axes.values():
                if extent is not None:
                    self.size(extent)
        if len({self.buffers[p.buffer].dtype for p, _, _ in operands}) > 1:
            self.fail("the operands of a product have one dtype")
        self.target(operands[-1][0].buffer)
