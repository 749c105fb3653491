"""Vector loops: in each nest the loop whose turns go best side by side becomes a `lane` loop; short ones are unrolled.

before:  for i in 0 : n serial; y[i] = exp(x[i])
after:   for i in 0 : n lane; y[i] = exp(x[i])

Which loop it is follows from costs: a load of neighbours is one, a load of elements apart is one a lane, and what does not
change from lane to lane costs as before.  A loop may be one where its turns do not meet in memory: `independent` says when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Buffer,
    Call,
    CarryingLoop,
    If,
    IndexValue,
    Inside,
    Let,
    Load,
    Loop,
    MatMul,
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
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import (
    Place,
    buffers_of,
    index_variables,
    loads,
    remembered,
    statements,
    subvalues,
    used_registers,
    values_of,
)
from symdiff.sizes import Size, combine, multiply, product, typical_value

LANES = 4
# Turns that a loop over samples is taken to have, and one over any symbolic axis.
MANY = 100
MOST_UNROLLED = 48
LONGEST_UNROLLED = 8
# Bytes of a page, and of a vector of AVX-512; lines whole pages apart have one place in the first cache, which holds so many.
PAGE, WIDE, PLACES = 4096, 64, 8
# Turns at the end of a row that are not worth the code of a vector loop.
FEW_AT_END = 3
# Places of one buffer of which each two are compared.
MOST_PLACES = 12


def vectorise(program: Program) -> Program:
    """The program with its lane loops and unrolled loops chosen."""
    chooser = Chooser(buffers_of(program))
    return replace(program, sections=tuple([replace(s, body=chooser.outermost(s.body)) for s in program.sections]))


def trips(loop: Loop | SampleLoop) -> float:
    """How often the body is taken to run."""
    if isinstance(loop, SampleLoop):
        return MANY
    span = combine(((1, loop.hi), (-1, loop.lo)))
    if not isinstance(span, int):
        low, high = (s if isinstance(s, int) else min(typical_value(s), MANY) for s in (loop.lo, loop.hi))
        span = high - low
    return max(span / loop.step, 0)


def is_edge(loop: Loop | SampleLoop) -> bool:
    """Whether a loop takes a turn or a few at the end of a named size: of a vector loop all forms would be written for them."""
    if isinstance(loop, SampleLoop) or (isinstance(loop.lo, int) and isinstance(loop.hi, int)):
        return False
    span = combine(((1, loop.hi), (-1, loop.lo)))
    return isinstance(span, int) and span <= FEW_AT_END


class Lane(Struct):
    """The loop variable that counts lanes, the registers that differ from lane to lane, and what has been gathered."""

    var: str
    varying: set[str]
    gathered: set[Place] = field(default_factory=set)

    def moves(self, index: Sequence[Affine]) -> bool:
        """Whether an index differs from lane to lane."""
        return any(v == self.var or v in self.varying for i in index for v in index_variables(i))

    def neighbours(self, index: Sequence[Affine]) -> bool:
        """Whether the next lane takes the next element."""
        if not index or dict(index[-1].terms).get(self.var) != 1 or self.moves(index[:-1]):
            return False
        return not self.moves([Affine(0, ((v, c),)) for v, c in index[-1].terms if v != self.var])


class Chooser:
    """Finds for each loop the cheapest way to run it."""

    def __init__(self, buffers: Mapping[str, Buffer]) -> None:
        self.buffers = buffers

    def outermost(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        """The best form of a body that stands in no loop: what its statements cost together is asked by none."""
        return tuple([self.statement(s)[0] if isinstance(s, Nest) else s for s in body])

    def body(self, body: Sequence[Statement]) -> tuple[tuple[Statement, ...], float]:
        """The best form of a body outside of lane loops, and its cost."""
        found, total = [], 0.0
        for statement in body:
            best, cost = self.statement(statement)
            found.append(best)
            total += cost
        return tuple(found), total

    def statement(self, statement: Statement) -> tuple[Statement, float]:
        """The best form of a statement, and its cost."""
        match statement:
            case CarryingLoop():
                inner, cost = self.body(statement.body)
                serial, total = replace(statement, body=inner), trips(statement) * (cost + 1)
                if unrolls(statement) and not any(is_long(s) for s in statements(inner)):
                    serial, total = replace(serial, kind="unrolled"), trips(statement) * cost
                if is_edge(statement) or not independent(statement):
                    return serial, total
                turns = -(-trips(statement) // LANES)
                folds = sum(isinstance(s, Update) for s in statements(statement.body))
                in_lanes = turns * (self.cost(statement.body, Lane(statement.var, set())) + 1) + 2 + 4 * folds
                return (replace(statement, kind="lane"), in_lanes) if in_lanes < total else (serial, total)
            case TileLoop():
                inner, cost = self.body(statement.body)
                return replace(statement, body=inner), cost
            case If():
                inner, cost = self.body(statement.body)
                return replace(statement, body=inner), cost + self.value(statement.condition, None)
            case _:
                return statement, self.cost((statement,), None)

    def cost(self, body: Sequence[Statement], lane: Lane | None) -> float:
        """The cost of a body; in lanes that of one vector of turns."""
        total = 0.0
        for statement in body:
            values = values_of(statement)
            total += sum(self.value(v, lane) for v in values)
            varying = lane is not None and any(self.varies(v, lane) for v in values)
            match statement:
                case Let(register=register) | Update(register=register) | Assign(register=register):
                    if varying and lane is not None:
                        lane.varying.add(register)
                    total += 1
                case Store(buffer=buffer, index=index):
                    total += self.access(buffer, index, lane) * (2 if lane and self.collides(buffer, index, lane) else 1)
                case Accumulate(buffer=buffer, index=index):
                    total += 2 * self.access(buffer, index, lane) + (8 if lane and not lane.moves(index) else 0)
                case CarryingLoop():
                    if lane is not None:
                        lane.varying |= {c.name for c in statement.carried}
                    total += trips(statement) * (self.cost(statement.body, lane) + 1)
                case If() | TileLoop():
                    total += self.cost(statement.body, lane)
                case _:
                    total += 1
        return total

    def value(self, value: Value, lane: Lane | None) -> float:
        """The cost of a value."""
        total = 0.0
        for part in subvalues(value):
            if type(part) is Load:
                # What is gathered once is at hand after that.
                again = lane is not None and (part.buffer, part.index) in lane.gathered
                total += 0 if again else self.access(part.buffer, part.index, lane)
                if lane is not None:
                    lane.gathered.add((part.buffer, part.index))
            elif type(part) is Call:
                row = SCALARS[part.function]
                total += row.cost * (LANES if row.by_lanes and lane is not None and self.varies(part, lane) else 1)
        return total

    def varies(self, value: Value, lane: Lane) -> bool:
        """Whether a value differs from lane to lane."""
        for part in subvalues(value):
            if type(part) is Register and part.name in lane.varying:
                return True
            if type(part) is Load and lane.moves(part.index):
                return True
            if (type(part) is IndexValue or type(part) is Inside) and lane.moves((part.index,)):
                return True
        return False

    def access(self, name: str, index: tuple[Affine, ...], lane: Lane | None) -> float:
        """The cost of reading or writing an element in each lane."""
        if lane is None or not lane.moves(index):
            return 1
        return 1 if lane.neighbours(index) else 2 * LANES


    def collides(self, name: str, index: tuple[Affine, ...], lane: Lane) -> bool:
        """Whether the lanes write to more lines of one place of the cache than it holds."""
        buffer = self.buffers.get(name)  # an instance of a part lies by itself
        if buffer is None or WIDE // (size := BYTES[buffer.dtype]) <= PLACES:
            return False
        step: Size = 0
        for axis, i in enumerate(index):
            step = combine(((1, step), (1, multiply(dict(i.terms).get(lane.var, 0), product(buffer.shape[axis + 1:])))))
        return isinstance(step, int) and step != 0 and step * size % PAGE == 0


def unrolls(loop: Loop | SampleLoop) -> bool:
    """Whether a loop is short enough to be written out."""
    if isinstance(loop, SampleLoop) or not isinstance(loop.lo, int) or not isinstance(loop.hi, int):
        return False
    count = len(range(loop.lo, loop.hi, loop.step))
    return count <= LONGEST_UNROLLED and count * weight(loop.body) <= MOST_UNROLLED


def is_long(statement: Statement) -> bool:
    """Whether a statement is a loop that is run turn by turn: nothing is gained by writing it several times."""
    return isinstance(statement, SampleLoop) or (isinstance(statement, Loop) and statement.kind == "serial")


def weight(body: Sequence[Statement]) -> int:
    """The number of values and statements that a body is written with, short loops in it written out."""
    total = 0
    for statement in body:
        if isinstance(statement, MatMul):
            return MOST_UNROLLED  # nothing is gained around a call
        own = 1 + sum(1 for v in values_of(statement) for _ in subvalues(v))
        if isinstance(statement, Loop) and unrolls(statement):
            assert isinstance(statement.lo, int) and isinstance(statement.hi, int)
            own += len(range(statement.lo, statement.hi, statement.step)) * weight(statement.body)
        elif isinstance(statement, Nest):
            own += weight(statement.body)
        total += own
    return total


@remembered
def independent(loop: Loop | SampleLoop) -> bool:
    """Whether the turns of a loop may run side by side.

    What it writes it writes at an axis whose index is the same in all places, changes with the loop variable and with
    nothing inside the loop; or it only folds there.  Registers of the outside are only folded into.
    """
    if isinstance(loop, Loop) and loop.step != 1:
        return False
    inside = set()
    own = {c.name for c in loop.carried}
    reads: dict[str, list[tuple[Affine, ...]]] = {}
    stores: dict[str, list[tuple[Affine, ...]]] = {}
    folds: dict[str, list[tuple[str, tuple[Affine, ...]]]] = {}
    updates: dict[str, set[str]] = {}
    used: set[str] = set()
    carried_inside: set[str] = set()
    for statement in statements(loop.body):
        for name, place in loads(statement):
            reads.setdefault(name, []).append(place)
        used |= used_registers(statement)
        match statement:
            case Store(buffer=buffer, index=index):
                stores.setdefault(buffer, []).append(index)
            case Accumulate(op=op, buffer=buffer, index=index):
                folds.setdefault(buffer, []).append((op, index))
            case Update(op=op, register=register):
                updates.setdefault(register, set()).add(op)
            case Assign(register=register):
                updates.setdefault(register, set()).add("assign")
            case Loop(var=var, carried=carried):
                inside.add(var)
                carried_inside |= {c.name for c in carried}
            case Let(register=register):
                # A position that is told in the loop is another one each turn, for all that is known.
                inside.add(register)
            case If():
                pass
            case _:
                return False
    for register, ops in updates.items():
        if register not in carried_inside and (len(ops) > 1 or "assign" in ops or register in used):
            return False
    if any(c.name in used for c in loop.carried) and own:
        return False
    for buffer in {*stores, *folds}:
        places = [*reads.get(buffer, []), *stores.get(buffer, []), *[index for _, index in folds.get(buffer, [])]]
        if not all_apart(places, loop, inside) and (
                buffer in stores or buffer in reads or len({op for op, _ in folds[buffer]}) > 1):
            return False
    return True


def all_apart(places: Sequence[tuple[Affine, ...]], loop: Loop | SampleLoop, inside: set[str]) -> bool:
    """Whether no two places of a buffer are one in different turns of a loop."""
    if apart(places, loop.var, inside):
        return True
    different = list(dict.fromkeys(places))
    return len(different) <= MOST_PLACES and all(
        apart((p, q), loop.var, inside) or (p is not q and never_meet(p, q, loop, inside))
        for k, p in enumerate(different) for q in different[:k + 1])


def never_meet(one: tuple[Affine, ...], other: tuple[Affine, ...], loop: Loop | SampleLoop, inside: set[str]) -> bool:
    """Whether two places are further apart along some axis than a loop goes."""
    if isinstance(loop, SampleLoop) or not isinstance(loop.lo, int) or not isinstance(loop.hi, int):
        return False
    for a, b in zip(one, other, strict=True):
        far = isinstance(a.const, int) and isinstance(b.const, int) and abs(a.const - b.const) >= loop.hi - loop.lo
        if far and a.terms == b.terms and dict(a.terms).get(loop.var) == 1 and not any(v in inside for v in index_variables(a)):
            return True
    return False


def apart(places: Sequence[tuple[Affine, ...]], var: str, inside: set[str]) -> bool:
    """Whether all places share an axis along which different turns are at different positions."""
    first = places[0]
    for axis in range(len(first)):
        index = first[axis]
        if all(place[axis] == index for place in places) and dict(index.terms).get(var, 0) != 0 and \
                not any(v in inside for v in index_variables(index)) and \
                sum(var in index_variables(Affine(0, ((v, c),))) for v, c in index.terms) == 1:
            return True
    return False

