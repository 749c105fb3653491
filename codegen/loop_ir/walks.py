"""Walks over programs: statements, values and the loop variables, registers and buffers that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Buffer,
    Call,
    CarryingLoop,
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
    Section,
    SizeValue,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
    Walked,
)
from symdiff.sizes import Size, named_sizes

AnyStatement = TypeVar("AnyStatement", bound=Statement)
Found = TypeVar("Found")
INPUTS = ("arg", "const")
# The kinds that change a buffer that they read.
CHANGING = frozenset({Accumulate, Mirror})
# The kinds that have one value.
VALUED = frozenset({Let, Store, Accumulate, Update, Assign, Fill})
# Puts facts where they are looked for: for all others a statement never changes.
put_facts = vars(Walked)["facts"].__set__
# Parts of a range have a multiple of so many rows: whole vectors.
WHOLE_ROWS = 16
# An element of a buffer.
Place = tuple[str, tuple[Affine, ...]]


def parameters(program: Program) -> list[Buffer]:
    """The arrays in the order in which `kernel` takes them: arguments, constants, outputs, scratch."""
    order = {"arg": 0, "const": 1, "out": 2}
    return sorted(program.buffers, key=lambda b: order.get(b.role, 3))


def buffers_of(program: Program) -> Mapping[str, Buffer]:
    """The buffers of a program by name."""
    return places_of(program)[0]


def places_of(program: Program) -> tuple[Mapping[str, Buffer], Mapping[str, int]]:
    """The buffers of a program by name, and the place of each among them."""
    facts: tuple[dict[str, Buffer], dict[str, int]] | None = getattr(program, "facts", None)
    if facts is None:
        facts = {b.name: b for b in program.buffers}, {b.name: k for k, b in enumerate(program.buffers)}
        put_facts(program, facts)
    return facts


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement of a body, outer before inner, in order."""
    stack = [iter(body)]
    while stack:
        for statement in stack[-1]:
            yield statement
            if isinstance(statement, Nest):
                stack.append(iter(statement.body))
                break
        else:
            stack.pop()


def straight_length(program: Program) -> int:
    """How many statements a program runs once, where they are all but a few; 0 where much stands in loops or is run in parts."""
    if any(section.cut for section in program.sections):
        return 0
    straight = looped = 0
    for section in program.sections:
        for statement in section.body:
            if isinstance(statement, Nest):
                looped += sum(1 for _ in statements((statement,)))
            else:
                straight += 1
    return straight if 10 * looped < straight else 0


def values_of(statement: Statement) -> tuple[Value, ...]:
    """The values that stand in a statement itself (not in the statements of its body)."""
    kind = statement.__class__
    if kind in VALUED:
        return (statement.value,)  # type: ignore[union-attr]
    if isinstance(statement, If):
        return (statement.condition,)
    if isinstance(statement, CarryingLoop):
        return tuple([c.initial for c in statement.carried])
    return ()


def panels_of(statement: Statement) -> tuple[Panel, ...]:
    """The matrix and vector operands of a statement; the last one is written."""
    if type(statement) is MatMul:
        return statement.A, statement.B, statement.C
    return (statement.A, statement.x, statement.y) if type(statement) is MatVec else ()


def subvalues(value: Value) -> Sequence[Value]:
    """A value and all that it is made of."""
    if value.__class__ is not Call:
        return (value,)
    found: list[Value] = []
    stack: list[Value] = [value]
    while stack:
        value = stack.pop()
        found.append(value)
        if type(value) is Call:
            stack.extend(value.args[::-1])
    return found


class Facts:
    """What a statement itself reads: places, positions and the names in them, registers, buffers, and sizes but for numbers.

    `known` has what else was found out about it (`remembered`).
    """

    __slots__ = ("indices", "known", "loads", "read", "registers", "sizes")
    known: dict[Any, Any]

    def __init__(self, statement: Statement) -> None:
        loads: list[Place] = []
        indices: list[Affine] = []
        registers: set[str] = set()
        sizes: list[Size] = []
        panels = () if isinstance(statement, Let) else panels_of(statement)  # most statements name a value
        if isinstance(statement, (Store, Accumulate)):
            indices += statement.index
        for panel in panels:
            indices += panel.index
        # Every statement of a program comes by here: the kind of a value is compared, which takes less than to match it.
        stack: list[Any] = [*values_of(statement)]
        while stack:
            value = stack.pop(0)
            kind = value.__class__
            if kind is Register:
                registers.add(value.name)
            elif kind is Call:
                stack[:0] = value.args
            elif kind is Load:
                loads.append((value.buffer, value.index))
                indices += value.index
            elif kind is Inside:
                indices.append(value.index)
                sizes.append(value.size)
            elif kind is IndexValue:
                indices.append(value.index)
            elif kind is SizeValue:
                sizes.append(value.size)
        for index in indices:
            if index.terms:
                registers.update(index_variables(index))
                sizes += index_sizes(index)
            else:
                sizes.append(index.const)
        self.sizes = tuple([size for size in sizes if size.__class__ is not int]) if sizes else ()
        self.loads, self.indices, self.registers = tuple(loads), tuple(indices), frozenset(registers)
        self.read = tuple([name for name, _ in loads]) if loads else ()
        if panels:
            self.read += tuple([p.buffer for p in panels])
        elif statement.__class__ in CHANGING:
            self.read += (statement.buffer,)


def facts_of(statement: Statement) -> Facts:
    """The facts of a statement, found when they are first asked for."""
    facts: Facts | None = getattr(statement, "facts", None)  # to catch an error instead takes three times as long
    if facts is None:
        facts = Facts(statement)
        put_facts(statement, facts)
    return facts


def remembered(function: Callable[[AnyStatement], Found]) -> Callable[[AnyStatement], Found]:
    """A function of a statement alone, whose result stays with the statement: many passes ask for it, and nothing changes it."""
    @wraps(function)
    def found(statement: AnyStatement) -> Found:
        facts = facts_of(statement)
        try:
            return facts.known[function]  # type: ignore[no-any-return]
        except AttributeError:
            facts.known = {}
        except KeyError:
            pass
        result = facts.known[function] = function(statement)
        return result
    return found


def loads(statement: Statement) -> tuple[Place, ...]:
    """The places that the values of a statement itself load."""
    return facts_of(statement).loads


def indices_of(statement: Statement) -> tuple[Affine, ...]:
    """Every index of a statement, those of its values included."""
    return facts_of(statement).indices


def used_registers(statement: Statement) -> frozenset[str]:
    """The registers and loop variables that a statement itself reads, as values or in positions."""
    return facts_of(statement).registers


def written(statement: Statement) -> tuple[str, ...]:
    """The buffers that a statement itself writes."""
    if statement.__class__ is Let:  # most statements are that
        return ()
    match statement:
        case Store(buffer=name) | Accumulate(buffer=name) | Fill(buffer=name) | Mirror(buffer=name):
            return (name,)
        case MatMul(C=panel) | MatVec(y=panel):
            return (panel.buffer,)
        case _:
            return ()


def read(statement: Statement) -> tuple[str, ...]:
    """The buffers that a statement itself reads (also those that it changes)."""
    return facts_of(statement).read


def index_sizes(index: Affine) -> Iterator[Size]:
    """The sizes in an index."""
    stack = [index]
    while stack:
        index = stack.pop()
        yield index.const
        for variable, coefficient in index.terms:
            yield coefficient
            if not isinstance(variable, str):
                yield variable.divisor
                stack.append(variable.index)


def index_variables(index: Affine) -> Iterator[str]:
    """The loop variables in an index."""
    stack = [index]
    while stack:
        for variable, _ in stack.pop().terms:
            if isinstance(variable, str):
                yield variable
            else:
                stack.append(variable.index)


def is_told_by(index: tuple[Affine, ...], name: str) -> bool:
    """Whether a place of a buffer changes with a variable or register."""
    return any(v == name for i in index for v in index_variables(i))


def disjoint(one: tuple[Affine, ...], other: tuple[Affine, ...]) -> bool:
    """Whether two places of a buffer surely differ: along some axis by a number.

    >>> i = Affine(0, (("i", 1),))
    >>> disjoint((i, Affine(0)), (i, Affine(1)))
    True
    """
    return any(a.terms == b.terms and isinstance(a.const, int) and isinstance(b.const, int) and a.const != b.const
               for a, b in zip(one, other, strict=True))


def statement_sizes(statement: Statement) -> Iterator[Size]:
    """The sizes that a statement itself needs to know, but for numbers."""
    yield from facts_of(statement).sizes
    match statement:
        case Loop(lo=lo, hi=hi):
            yield from (lo, hi)
        case MatMul(m=m, n=n, k=k):
            yield from (s for s in (m, n, k) if s is not None)
        case MatVec(m=m, k=k):
            yield from (s for s in (m, k) if s is not None)


def section_buffers(section: Section, program: Program) -> list[Buffer]:
    """The buffers that a section reads or writes, in the program's order."""
    known, places = places_of(program)
    used: set[str] = set()
    for s in statements(section.body):
        used.update(read(s), written(s))
    return [known[name] for name in sorted(used, key=places.__getitem__)]


def section_sizes(section: Section, program: Program) -> list[str]:
    """The names of the sizes that the statements of a section need, in the program's order."""
    if not program.sizes:
        return []
    used = {name for s in statements(section.body) for size in statement_sizes(s) for name in named_sizes(size)}
    for s in statements(section.body):
        if isinstance(s, (Mirror, Fill)):
            shape = buffers_of(program)[s.buffer].shape
            used |= {name for size in shape for name in named_sizes(size)}
    return [name for name in program.sizes if name in used]


def part_ends(cut: Cut, samples: int) -> list[tuple[int, int]]:
    """Where the parts of a range of so many samples begin and end: a number of parts that two threads share, or four.

    >>> part_ends(Cut(10, 5), 60)
    [(0, 16), (16, 32), (32, 48), (48, 60)]
    """
    count = min(samples // cut.rows, cut.most)
    count = max(count - count % (4 if count > 4 else 2), 1)
    rows = WHOLE_ROWS * -(-samples // (WHOLE_ROWS * count))
    return [(lo, min(lo + rows, samples)) for lo in range(0, samples, max(rows, 1))]


def tile_rows(program: Program) -> dict[str, int]:
    """How many rows each tile buffer must hold: the largest tile of any pass that uses it."""
    rows: dict[str, int] = {}
    tiles = {b.name for b in program.buffers if b.role == "tile"}
    for section in program.sections:
        for loop in statements(section.body):
            if type(loop) is TileLoop:
                for s in statements(loop.body):
                    for name in (*read(s), *written(s)):
                        if name in tiles:
                            rows[name] = max(rows.get(name, 0), loop.rows)
    return rows


def storage_shape(buffer: Buffer, rows: Mapping[str, int]) -> tuple[Size, ...]:
    """The shape that is stored: that of the buffer; of a tile buffer only the rows of one tile."""
    if buffer.role != "tile" or buffer.sample_axis is None:
        return buffer.shape
    k = buffer.sample_axis
    return (*buffer.shape[:k], rows.get(buffer.name, 1), *buffer.shape[k + 1:])


def dtype_of(value: Value, registers: Mapping[str, str], buffers: Mapping[str, Buffer]) -> str:
    """The dtype of a value, given those of the registers."""
    match value:
        case Register(name):
            return registers[name]
        case Load(buffer=name):
            return buffers[name].dtype
        case Inside():
            return "bool"
        case Literal(dtype=dtype) | SizeValue(dtype=dtype) | IndexValue(dtype=dtype) | Call(dtype=dtype):
            return dtype


def section_name(section: Section, taken: set[str]) -> str:
    """The name of a section's function, which is `taken` then: init_0, init_0_part2 and so on."""
    name = first = f"{section.kind}_{section.pass_number}"
    count = 1
    while name in taken:
        count += 1
        name = f"{first}_part{count}"
    taken.add(name)
    return name


def fresh_names(program: Program, prefix: str) -> Iterator[str]:
    """Names prefix0, prefix1 and so on that no buffer, loop or register of the program has."""
    taken = {b.name for b in program.buffers}
    for section in program.sections:
        for statement in statements(section.body):
            match statement:
                case Loop(var=var, carried=carried) | SampleLoop(var=var, carried=carried):
                    taken |= {var, *[c.name for c in carried]}
                case TileLoop(var=var):
                    taken.add(var)
                case Let(register=register):
                    taken.add(register)
    count = 0
    while True:
        if f"{prefix}{count}" not in taken:
            yield f"{prefix}{count}"
        count += 1
