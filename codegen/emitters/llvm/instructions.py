"""LLVM IR as text in static single assignment: blocks, scopes, and values that know how deep they were made.

LLVM's optimiser never runs on what is written here, so the writer does its work on the way: an instruction without side
effects is written once in a scope, and in the outermost scope in which all its operands are known.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeVar

from msgspec import Struct, field

from codegen.emitters.llvm.processor import USUAL

T = TypeVar("T")
KINDS = {"float64": "double", "float32": "float", "int64": "i64", "int32": "i32", "bool": "i1"}
LITERAL = re.compile(r"^(?:splat \((?:double|float) )?0x([0-9A-F]{16})\)?$")
BITS = {"double": 64, "float": 32, "i64": 64, "i32": 32, "i8": 8, "i1": 1, "ptr": 64}


class Ssa(Struct, frozen=True):
    """A value: its name or literal, LLVM scalar type, number of lanes (1 for a scalar), and the scope it was made in."""

    name: str
    kind: str
    lanes: int = 1
    depth: int = 0

    @property
    def type(self) -> str:
        """The LLVM type."""
        return self.kind if self.lanes == 1 else f"<{self.lanes} x {self.kind}>"


class Block(Struct):
    """A basic block: its label, phis, instructions, and the last one."""

    label: str
    phis: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    end: str = ""


class Scope(Struct):
    """A region of blocks that follow each other: the function, a loop's body, one side of a branch."""

    block: Block
    branch: bool = False
    known: dict[str, Ssa] = field(default_factory=dict)


def type_of(kind: str, lanes: int) -> str:
    """The LLVM type of so many lanes."""
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


def number_text(value: float | int | bool, kind: str) -> str:
    """A literal that reads back as the same number."""
    if kind == "i1":
        return "true" if value else "false"
    if kind in ("double", "float"):
        exact = float(value) if kind == "double" else struct.unpack("f", struct.pack("f", float(value)))[0]
        return f"0x{struct.unpack('>Q', struct.pack('>d', exact))[0]:016X}"
    return str(int(value))


def literal(value: float | int | bool, kind: str, lanes: int = 1) -> Ssa:
    """A literal, the same in every lane."""
    if kind == "i64" and lanes == 1:
        return Ssa(str(int(value)), kind)
    text = number_text(value, kind)
    return Ssa(text if lanes == 1 else f"splat ({kind} {text})", kind, lanes)


def counted(lanes: int) -> Ssa:
    """The number of each lane."""
    return Ssa("<" + ", ".join([f"i64 {k}" for k in range(lanes)]) + ">", "i64", lanes)


def number_of(value: Ssa) -> float | None:
    """The number that a literal of a floating type holds, in each of its lanes; None for what is no literal."""
    found = LITERAL.search(value.name)
    return struct.unpack(">d", bytes.fromhex(found.group(1)))[0] if found else None


class Function:
    """Writes the body of one function."""

    def __init__(self) -> None:
        self.count = 0
        self.entry = Block(".entry")
        self.blocks: list[Block] = [self.entry]
        self.chain: list[Scope] = [Scope(self.entry)]
        self.declared: dict[str, str] = {}
        # Flags of floating-point arithmetic that a user wrote; recipes of elementary functions never take them.
        self.flags = ""
        self.processor = USUAL
        # Whether the loop that is written would wait for the unit that takes square roots.
        self.waits_for_roots = False
        self.slots: list[str] = []
        # What was negated, by the name of the result: |−x| is |x|.
        self.negated: dict[str, Ssa] = {}
        # The conditions that masks join, by the name of the mask.
        self.joined: dict[str, dict[str, Ssa]] = {}
        # The conditions that are the same in all lanes of vectors, by the names of those.
        self.spread_of: dict[str, Ssa] = {}

    @property
    def depth(self) -> int:
        """The number of the innermost scope."""
        return len(self.chain) - 1

    @property
    def branch_depth(self) -> int:
        """The number of the innermost scope that may not run at all: dear instructions are not moved out of it."""
        return max((k for k, scope in enumerate(self.chain) if scope.branch), default=0)

    @property
    def block(self) -> Block:
        """The block that is being written."""
        return self.chain[-1].block

    def fresh(self) -> str:
        """A new value name."""
        self.count += 1
        return f"%.{self.count}"

    def begin_block(self) -> Block:
        """A new block, to stand after those before."""
        self.count += 1
        block = Block(f".b{self.count}")
        self.blocks.append(block)
        return block

    def pure(self, line: str, kind: str, lanes: int, depth: int) -> Ssa:
        """The value of an instruction without side effects, whose operands are known at `depth`."""
        scope = self.chain[depth]
        value = scope.known.get(line)
        if value is None:
            name = self.fresh()
            value = scope.known[line] = Ssa(name, kind, lanes, depth)
            scope.block.lines.append(f"{name} = {line}")
        return value

    def here(self, line: str, kind: str, lanes: int = 1) -> Ssa:
        """The value of an instruction that stays where it is written."""
        value = Ssa(self.fresh(), kind, lanes, len(self.chain) - 1)
        self.chain[-1].block.lines.append(f"{value.name} = {line}")
        return value

    def do(self, line: str) -> None:
        """An instruction without a value."""
        self.chain[-1].block.lines.append(line)

    def slot(self, kind: str, lanes: int = 1) -> Ssa:
        """Memory on the stack for one value, for as long as the function runs."""
        self.count += 1
        name = f"%.s{self.count}"
        self.slots.append(f"{name} = alloca {type_of(kind, lanes)}, align 32")
        return Ssa(name, "ptr")

    def open(self, block: Block, branch: bool = False) -> None:
        """Start a scope with a block."""
        self.chain.append(Scope(block, branch))

    def close(self) -> Block:
        """End the innermost scope; its last block is returned."""
        return self.chain.pop().block

    def move_to(self, block: Block) -> None:
        """Go on in another block of the same scope."""
        self.chain[-1].block = block

    def declare(self, name: str, text: str) -> str:
        """The name of an external function, declared once."""
        self.declared[name] = text
        return name

    def splat(self, value: Ssa, lanes: int) -> Ssa:
        """The value in every lane."""
        if value.lanes == lanes:
            return value
        if value.name[0] != "%":
            return Ssa(f"splat ({value.kind} {value.name})", value.kind, lanes)
        vector = type_of(value.kind, lanes)
        if value.kind == "i1":
            # By no shuffle: those of conditions LLVM 22 takes apart by vmovmskps, which knows 16 registers, where it has 32.
            spread = f"select i1 {value.name}, {vector} splat (i1 true), {vector} zeroinitializer"
            result = self.pure(spread, "i1", lanes, value.depth)
            self.spread_of[result.name] = value
            return result
        first = self.pure(f"insertelement {vector} poison, {value.kind} {value.name}, i64 0", value.kind, lanes, value.depth)
        return self.pure(f"shufflevector {vector} {first.name}, {vector} poison, <{lanes} x i32> zeroinitializer",
                         value.kind, lanes, value.depth)

    def alike(self, *values: Ssa) -> tuple[Ssa, ...]:
        """The values with the lanes of the widest."""
        lanes = max([v.lanes for v in values])
        return tuple([v if v.lanes == lanes else self.splat(v, lanes) for v in values])

    def binary(self, op: str, a: Ssa, b: Ssa) -> Ssa:
        """`op a, b` with the type of both."""
        if a.lanes != b.lanes:
            a, b = self.alike(a, b)
        kind = a.kind if a.lanes == 1 else a.type
        return self.pure(f"{op} {kind} {a.name}, {b.name}", a.kind, a.lanes, a.depth if a.depth > b.depth else b.depth)

    def compare(self, op: str, a: Ssa, b: Ssa) -> Ssa:
        """A comparison such as `fcmp olt`."""
        if a.lanes != b.lanes:
            a, b = self.alike(a, b)
        return self.pure(f"{op} {a.type} {a.name}, {b.name}", "i1", a.lanes, max(a.depth, b.depth))

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        """a where the condition holds, else b; both are there."""
        if condition.name == "true" or a.name == b.name:
            return a
        if condition.name == "false":
            return b
        lanes = max(condition.lanes, a.lanes, b.lanes)
        if a.lanes != lanes or b.lanes != lanes:
            a, b = self.splat(a, lanes), self.splat(b, lanes)
        depth = max(condition.depth, a.depth, b.depth)
        return self.pure(f"select {condition.type} {condition.name}, {a.type} {a.name}, {b.type} {b.name}", a.kind, lanes, depth)

    def convert(self, op: str, a: Ssa, kind: str) -> Ssa:
        """A conversion such as `sitofp`."""
        return self.pure(f"{op} {a.type} {a.name} to {type_of(kind, a.lanes)}", kind, a.lanes, a.depth)

    def intrinsic(self, name: str, *args: Ssa, flags: str = "") -> Ssa:
        """The call of an LLVM intrinsic on arguments of one type, which is that of the result."""
        args = self.alike(*args)
        if name == "fabs":
            args = (self.negated.get(args[0].name, args[0]),)
        a = args[0]
        suffix = {"double": "f64", "float": "f32"}.get(a.kind, a.kind)
        full = f"llvm.{name}.{suffix if a.lanes == 1 else f'v{a.lanes}{suffix}'}"
        self.declare(full, f"declare {a.type} @{full}({', '.join([a.type] * len(args))})")
        given = ", ".join([f"{v.type} {v.name}" for v in args])
        return self.pure(f"call {flags}{a.type} @{full}({given})", a.kind, a.lanes, max([v.depth for v in args]))

    def lane(self, value: Ssa, k: int) -> Ssa:
        """One lane of a vector."""
        if value.lanes == 1:
            return value
        return self.pure(f"extractelement {value.type} {value.name}, i64 {k}", value.kind, 1, value.depth)

    def part(self, value: Ssa, first: int, count: int) -> Ssa:
        """So many lanes of a vector, from one on."""
        if count == 1:
            return self.lane(value, first)
        return self.chosen(value, Ssa("poison", value.kind, value.lanes), range(first, first + count))

    def chosen(self, a: Ssa, b: Ssa, places: Sequence[int]) -> Ssa:
        """Lanes of two vectors, those of the second counted behind those of the first."""
        listed = ", ".join(f"i32 {k}" for k in places)
        return self.pure(f"shufflevector {a.type} {a.name}, {b.type} {b.name}, <{len(places)} x i32> <{listed}>", a.kind,
                         len(places), max(a.depth, b.depth))

    def gathered(self, values: list[Ssa]) -> Ssa:
        """The vector of scalars."""
        kind, lanes = values[0].kind, len(values)
        vector = type_of(kind, lanes)
        result = Ssa("poison", kind, lanes)
        for k, v in enumerate(values):
            result = self.pure(f"insertelement {vector} {result.name}, {kind} {v.name}, i64 {k}", kind, lanes,
                               max(result.depth, v.depth))
        return result

    def any_lane(self, mask: Ssa) -> Ssa:
        """Whether a condition holds in some lane."""
        if mask.lanes == 1:
            return mask
        # What holds in all lanes or in none is asked for once.
        parts = self.parts_of(mask).values()
        scalars = [self.spread_of[part.name] for part in parts if part.name in self.spread_of]
        vectors = [part for part in parts if part.name not in self.spread_of]
        found = Ssa("true", "i1")
        if vectors:
            apart = reduce(lambda a, b: self.binary("and", a, b), vectors)
            name = f"llvm.vector.reduce.or.v{apart.lanes}i1"
            self.declare(name, f"declare i1 @{name}({apart.type})")
            found = self.pure(f"call i1 @{name}({apart.type} {apart.name})", "i1", 1, apart.depth)
        for scalar in scalars:
            found = self.logic("and", scalar, found)
        return found

    def logic(self, op: str, a: Ssa, b: Ssa) -> Ssa:
        """`and`, `or` of conditions, folded where one is known."""
        neutral = "true" if op == "and" else "false"
        for known, other in ((a, b), (b, a)):
            if known.lanes == 1 and known.name in ("true", "false"):
                return other if known.name == neutral else self.splat(known, other.lanes)
        a, b = self.alike(a, b)
        result = self.binary(op, a, b)
        if op == "and":
            self.joined[result.name] = self.parts_of(a) | self.parts_of(b)
        return result

    def parts_of(self, mask: Ssa) -> dict[str, Ssa]:
        """The conditions that all hold where a mask does, by their names."""
        return self.joined.get(mask.name, {mask.name: mask})

    def conditions(self, mask: Ssa | None) -> frozenset[str]:
        """The names of the conditions that all hold where a mask does."""
        return frozenset() if mask is None else frozenset(self.parts_of(mask))

    def unary(self, op: str, a: Ssa) -> Ssa:
        """`op a`."""
        value = self.pure(f"{op} {a.type} {a.name}", a.kind, a.lanes, a.depth)
        if op == "fneg":
            self.negated[value.name] = a
        return value

    def negation(self, a: Ssa) -> Ssa:
        """Not a."""
        if a.name in ("true", "false"):
            return literal(a.name == "false", "i1", a.lanes)
        return self.binary("xor", a, literal(True, "i1", a.lanes))

    def either(self, condition: Ssa, usual: Callable[[], Ssa], otherwise: Callable[[], Ssa]) -> Ssa:
        """The value of one side of a branch, of which only that side runs."""
        return self.phi(*self.sides(condition, usual, otherwise))

    def sides(self, condition: Ssa, usual: Callable[[], T], otherwise: Callable[[], T]) -> list[tuple[T, str]]:
        """Both sides of a branch, of which only one runs: what they give, and the labels of the blocks that they end in."""
        start, sides, after = self.block, (self.begin_block(), self.begin_block()), self.begin_block()
        start.end = f"br i1 {condition.name}, label %{sides[0].label}, label %{sides[1].label}"
        found = []
        for block, write in zip(sides, (usual, otherwise), strict=True):
            self.open(block, branch=True)
            value = write()
            end = self.close()
            end.end = f"br label %{after.label}"
            found.append((value, end.label))
        self.move_to(after)
        return found

    def moved(self, address: Ssa, offset: Ssa, kind: str) -> Ssa:
        """An address some elements of a type further on; one for each lane of the offset."""
        if offset.name == "0":
            return address
        return self.pure(f"getelementptr inbounds {kind}, ptr {address.name}, {offset.type} {offset.name}", "ptr", offset.lanes,
                         max(address.depth, offset.depth))

    def phi(self, *sources: tuple[Ssa, str]) -> Ssa:
        """The value that comes with the block before, for each such block by its label; at the head of the present block."""
        first = sources[0][0]
        value = Ssa(self.fresh(), first.kind, first.lanes, self.depth)
        pairs = ", ".join(f"[ {v.name}, %{label} ]" for v, label in sources)
        self.block.phis.append(f"{value.name} = phi {value.type} {pairs}")
        return value

    def lines(self) -> list[str]:
        """The body: every block with its label."""
        found = []
        for block in self.blocks:
            found.append(f"{block.label}:")
            found += [f"  {line}" for line in (*block.phis, *(self.slots if block is self.entry else ()), *block.lines)]
            found.append(f"  {block.end}")
        return found
