"""Statements of the loop IR as blocks of instructions: loops in one lane or many, folds, branches, masks.

A vector loop is written up to three times: several vectors a turn, one vector a turn, and once under a mask for what is left.
In it each value has a lane for each turn of the loop; a register that the loop folds into has a partial result in each lane,
and these are put together after the loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from codegen.emitters.llvm.aligned_rows import COMMUTING, RowAligner
from codegen.emitters.llvm.indices import ONE, ZERO, is_whole
from codegen.emitters.llvm.instructions import KINDS, Ssa, counted, literal
from codegen.emitters.llvm.lanes import (
    MOST_HELD,
    MOST_WRITTEN,
    HeldRow,
    changed_registers,
    folds_of,
    held_rows,
    is_written_out,
    lanes_for,
    parts_of,
    vectors_at_once,
    vectors_in_one,
)
from codegen.emitters.llvm.recurring_functions import functions_of, recurring
from codegen.emitters.llvm.square_roots import waits_for_roots
from codegen.loop_ir.folds import identity, unchanging
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Barrier,
    Buffer,
    Carried,
    Fill,
    Fold,
    If,
    Let,
    Loop,
    MatMul,
    MatVec,
    Mirror,
    SampleLoop,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.loop_ir.walks import read, statements
from symdiff.errors import CannotLower
from symdiff.sizes import combine, monomials


class StatementWriter(RowAligner):
    """Writes statements."""

    # What divides the samples between them.
    whole = 1

    def __init__(self, sizes: dict[str, Ssa], buffers: Mapping[str, Buffer], rows: Mapping[str, int]) -> None:
        super().__init__(sizes, buffers, rows)
        # The registers that hold parts of rows of buffers, by the positions at which they start.
        self.held: dict[str, dict[int, str]] = {}
        # What is written in place of nests that functions of their own hold, by their identity.
        self.nests: Mapping[int, Callable[[StatementWriter], None]] = {}

    def body(self, body: Iterable[Statement]) -> None:
        """Statements one after another."""
        for statement in body:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        """One statement."""
        if isinstance(statement, Let):  # most statements are that
            self.registers[statement.register] = self.value(statement.value, self.mask)
            return
        match statement:
            case Store(buffer, index, value):
                self.store(buffer, index, self.value(value, self.mask), self.mask)
            case Accumulate(op, buffer, index, value):
                self.accumulate(op, buffer, index, value)
            case Update(op, register, value):
                self.set(register, self.folded(op, self.registers[register], value))
            case Assign(register, value):
                self.set(register, self.value(value, self.mask))
            case If(condition, body):
                self.branch(condition, body)
            case Loop() | SampleLoop() | MatMul() if id(statement) in self.nests:
                self.nests[id(statement)](self)
            case Loop():
                self.loop(statement, self.size(statement.lo), self.size(statement.hi), statement.step)
            case SampleLoop(step=step, rest=rest):
                if rest and self.whole % rest == 0:
                    return
                self.samples, self.fetching, self.samples_at_once = statement.var, {}, 0 if rest else step
                group = literal(rest or step, "i64")
                whole = self.hi if self.whole % (rest or step) == 0 else self.plus(
                    self.lo, self.times(self.quotient("udiv", self.minus(self.hi, self.lo), group), group))
                self.loop(statement, *((whole, self.hi) if rest else (self.lo, whole)), step)
                self.samples_at_once = 0
            case TileLoop():
                self.tiles(statement)
            case Fill(buffer, value):
                self.fill(buffer, literal(value.value, KINDS[value.dtype]))
            case Mirror(buffer, axes):
                self.mirror(buffer, axes)
            case Barrier():
                pass  # one thread runs it: nothing to wait for
            case MatMul() | MatVec():
                self.matrix_product(statement)

    def matrix_product(self, product: MatMul | MatVec) -> None:
        """Products are written by the class below that knows BLAS."""
        raise CannotLower(f"{type(product).__name__} is opened before it is emitted")

    def set(self, register: str, value: Ssa) -> None:
        """register = value, in the lanes at work."""
        old = self.registers[register]
        if self.mask is not None:
            value = self.select(self.mask, *self.alike(value, self.splat(old, self.lanes)))
        self.registers[register] = value

    def accumulate(self, op: Fold, name: str, index: tuple[Affine, ...], value: Value) -> None:
        """buffer[index] = buffer[index] op value in each lane, the lanes in their order where they may meet."""
        if name in self.held:
            (var, _), = index[-1].terms
            part = self.held[name][int(self.variables[str(var)].name)]
            self.registers[part] = self.folded(op, self.registers[part], value)
            return
        place = self.offset(name, index)
        alone = self.lanes == 1 or (place.apart is None and place.step.name == "1")
        if alone:
            self.store(name, index, self.folded(op, self.load(name, index, self.mask), value), self.mask)
            return
        given = self.splat(self.value(value, self.mask), self.lanes)
        lanes, mask = self.lanes, self.mask
        if place.apart is None and place.step.name == "0":
            if mask is not None:
                given = self.select(mask, given, literal(identity(op, self.buffers[name].dtype).value, given.kind, lanes))
            given, self.lanes, self.mask = self.reduced(op, given), 1, None
            self.store(name, index, self.combined(op, self.load(name, index), given))
        else:
            # The lanes may write one element: each reads what the last one left.  What stands elsewhere waits for none.
            kind = self.memory(name)
            places = self.told_addresses(name, index, mask)
            if places is None:
                places = self.addresses(name, place, mask, lambda: self.slot(kind) if place.apart is None else self.moved(
                    self.slot(kind, lanes), counted(lanes), kind))
            elif mask is not None:
                given = self.select(mask, given, literal(unchanging(op, self.buffers[name].dtype), given.kind, lanes))
            self.lanes, self.mask = 1, None
            for k, pointer in enumerate(places):
                self.write(kind, pointer, self.combined(op, self.read(kind, pointer, None), self.lane(given, k)), None)
        self.lanes, self.mask = lanes, mask

    def branch(self, condition: Value, body: tuple[Statement, ...]) -> None:
        """Run the body where the condition holds: by a jump, or in the lanes where it does."""
        c = self.value(condition, self.mask)
        if c.name == "true":
            self.body(body)
        elif c.lanes > 1:
            before = self.mask
            self.mask = c if before is None else self.logic("and", before, c)
            self.body(body)
            self.mask = before
        elif c.name != "false":
            changed = [name for name in changed_registers(body) if name in self.registers]
            before_values = {name: self.registers[name] for name in changed}
            start, inside, after = self.block, self.begin_block(), self.begin_block()
            start.end = f"br i1 {c.name}, label %{inside.label}, label %{after.label}"
            self.open(inside, branch=True)
            self.body(body)
            end = self.close()
            end.end = f"br label %{after.label}"
            self.move_to(after)
            for name in changed:
                new, old = self.alike(self.registers[name], before_values[name])
                self.registers[name] = self.phi((new, end.label), (old, start.label))

    def loop(self, loop: Loop | SampleLoop, lo: Ssa, hi: Ssa, step: int) -> None:
        """A loop of the language, by its kind."""
        for c in loop.carried:
            self.carry(c)
        if loop.kind == "unrolled" and lo.name[0] != "%" and hi.name[0] != "%":
            for k in range(int(lo.name), int(hi.name), step):
                self.variables[loop.var] = literal(k, "i64")
                self.body(loop.body)
        elif loop.kind == "lane" and self.lanes == 1 and not (self.few_rows and isinstance(loop, SampleLoop)):
            # Few samples come as numbers, and are read as such: a vector of them would wait until all of them are written.
            self.in_lanes(loop, lo, hi)
        else:
            held = held_rows(loop, self.buffers, self.processor.vector_bytes) if self.lanes == 1 and self.mask is None else {}
            for name, row in held.items():
                self.held[name] = {start: f"{name}[{start}]" for start, _ in row.parts}
                self.each_part(row, lambda row, part: self.registers.update({part: self.load(row.buffer, row.index, None)}))
            parts = [part for name in held for part in self.held[name].values()]
            changed = [*changed_registers(loop.body), *parts]

            def turn() -> None:
                self.fetch_rows(loop, hi)
                self.body(loop.body)
            self.turns(loop.var, lo, hi, literal(step, "i64"), changed, turn)
            for row in held.values():
                self.each_part(row, lambda row, part: self.store(row.buffer, row.index, self.registers[part], None))
            for name in held:
                del self.held[name]

    def each_part(self, row: HeldRow, do: Callable[[HeldRow, str], None]) -> None:
        """Do something with each part of a row that registers hold."""
        for start, width in row.parts:
            self.variables[row.var], self.lanes, self.lane_variable = literal(start, "i64"), width, row.var if width > 1 else ""
            do(row, self.held[row.buffer][start])
        self.lanes, self.lane_variable = 1, ""

    def carry(self, c: Carried) -> None:
        """Set a carried register before the first turn."""
        value = self.value(c.initial, self.mask)
        self.registers[c.name] = self.splat(value, self.lanes) if self.lanes > 1 else value

    def in_lanes(self, loop: Loop | SampleLoop, lo: Ssa, hi: Ssa) -> None:
        """A vector loop: see the head of this module."""
        width = lanes_for(loop.body, self.buffers, self.processor.vector_bytes)
        folds = {name: op for name, op in folds_of(loop.body).items() if name in self.registers}
        functions = functions_of(loop)
        self.lane_variable, before, self.recurring = loop.var, self.recurring, self.recurring | recurring(loop, functions)
        self.from_zero, outer, self.waits_for_roots = lo.name == "0", self.waits_for_roots, waits_for_roots(functions)
        if isinstance(loop, Loop) and any(c < 0 for _, c in monomials(combine(((1, loop.hi), (-1, loop.lo))))):
            hi = self.select(self.compare("icmp slt", hi, lo), lo, hi)  # vectors are counted without a sign
        start = lo
        wide, at_once = width * vectors_in_one(loop.body), vectors_at_once(loop.body)
        for lanes, vectors in dict.fromkeys(((wide, at_once), (width, at_once), (width, 1))):
            turn = lanes * vectors
            stop = hi if isinstance(loop, SampleLoop) and self.whole % turn == 0 else self.plus(start, self.times(
                self.quotient("udiv", self.minus(hi, start), literal(turn, "i64")), literal(turn, "i64")))
            if stop.name == start.name:
                continue
            start = self.vectors(loop, start, stop, lanes, vectors, folds, hi)
        if start.name != hi.name:
            left = self.minus(hi, start)
            if is_written_out(loop, width, self.most_written()):
                for lanes in parts_of(int(left.name), width)[:-1]:
                    start = self.vectors(loop, start, self.plus(start, literal(lanes, "i64")), lanes, 1, folds)
                left = self.minus(hi, start)
            # As many lanes as are left, where that is known: half a vector needs no mask.
            narrow = width if left.name[0] == "%" else 1 << (int(left.name) - 1).bit_length()
            if narrow == 1:
                self.lane_variable, self.variables[loop.var] = "", start
                self.body(loop.body)
            elif left.name == str(narrow):
                self.vectors(loop, start, hi, narrow, 1, folds)
            else:
                self.rest(loop, start, hi, narrow, folds)
        self.lane_variable, self.recurring, self.from_zero, self.waits_for_roots = "", before, False, outer

    def most_written(self) -> int:
        """How many vectors of a loop are written out: all that a row can have, where registers hold one, for one straight body."""
        return MOST_HELD if self.held else MOST_WRITTEN

    def vectors(self, loop: Loop | SampleLoop, lo: Ssa, hi: Ssa, width: int, vectors: int, folds: dict[str, Fold],
                end: Ssa | None = None) -> Ssa:
        """Turns of so many vectors each; gives where they end, at `hi` or nearer to `end`."""
        outside = {name: self.registers[name] for name in folds}
        parts = {(name, k): f"{name}.{k}" for name in folds for k in range(vectors)}
        for (name, _), part in parts.items():
            self.registers[part] = self.neutral(folds[name], outside[name], width)

        whole, turn = self.mask, width * vectors

        def vector(first: Ssa, k: int = 0, mask: Ssa | None = whole, lanes: int = width) -> None:
            self.lanes, self.mask = lanes, mask
            self.lanes_before = k * width + (0 if first.name.startswith("%") else int(first.name))
            self.variables[loop.var] = self.plus(first, literal(k * width, "i64"))
            self.registers.update({name: self.registers[parts[name, k]] for name in folds})
            self.fetch_rows(loop, hi)
            self.body(loop.body)
            self.registers.update({parts[name, k]: self.splat(self.registers[name], lanes) for name in folds})
            self.lanes, self.mask, self.lanes_before = 1, whole, 0

        def body() -> None:
            first = self.variables[loop.var]
            for k in range(vectors):
                vector(first, k)
        before = self.before_rows(loop, lo, hi) if COMMUTING.issuperset(folds.values()) and (folds or vectors == 1) else ZERO
        reached = hi
        if before.name != "0":
            # What folds nothing goes by single vectors where masks are, and on to the last whole one.
            single = width if folds else self.line_lanes(loop)
            step, each = literal(single, "i64"), literal(turn, "i64")
            upto = hi if folds or end is None else self.plus(lo, self.times(self.quotient("udiv", self.minus(end, lo), step), step))

            def row() -> None:
                start, stop, self.from_zero = self.minus(lo, before), self.minus(upto, before), False
                self.lead = self.compare("icmp sge", counted(single), before)
                vector(start, 0, self.lead, single)
                self.lead = None
                for k in range(1, vectors):
                    vector(start, k)
                start, left = self.plus(start, each if folds else step), self.minus(self.minus(upto, lo), each if folds else step)
                last = self.plus(start, left if folds else self.times(self.quotient("udiv", left, each), each))
                self.turns(loop.var, start, last, each, list(parts.values()), body)
                if not folds:
                    self.turns(loop.var, last, stop, step, (), lambda: vector(self.variables[loop.var], lanes=single))
                vector(stop, 0, self.compare("icmp slt", counted(single), before), single)
            if is_whole(hi):
                row()
                reached = upto
            else:  # once, or not at all where no vector is whole; as rows stand where that is how they begin
                aside = self.compare("icmp ne", before, ZERO)
                walks = self.logic("and", aside, self.compare("icmp sgt", hi, ZERO))
                self.turns("row", ZERO, self.select(walks, ONE, ZERO), ONE, list(parts.values()), row)
                self.turns(loop.var, lo, self.select(aside, lo, hi), each, list(parts.values()), body)
                reached = self.select(walks, upto, hi)
        elif self.minus(hi, lo).name == str(turn):
            self.variables[loop.var] = lo
            body()
        elif is_written_out(loop, width, self.most_written()):
            for first in range(int(lo.name), int(hi.name), turn):
                self.variables[loop.var] = literal(first, "i64")
                body()
        else:
            self.turns(loop.var, lo, hi, literal(turn, "i64"), list(parts.values()), body)
        alike: dict[tuple[Fold, str], dict[str, Ssa]] = {}
        for name, op in folds.items():
            total = self.halves(op, [self.registers[parts[name, k]] for k in range(vectors)])
            alike.setdefault((op, total.kind), {})[name] = total
        for (op, _), totals in alike.items():
            for name, total in zip(totals, self.reduced_together(op, [*totals.values()]), strict=True):
                self.registers[name] = self.combined(op, outside[name], total)
        return reached

    def rest(self, loop: Loop | SampleLoop, lo: Ssa, hi: Ssa, width: int, folds: dict[str, Fold]) -> None:
        """The last, incomplete vector, under a mask."""
        outside = {name: self.registers[name] for name in folds}
        left = self.minus(hi, lo)
        start, inside, after = self.block, self.begin_block(), self.begin_block()
        some = self.compare("icmp sgt", left, ZERO) if left.name[0] == "%" else literal(True, "i1")
        start.end = f"br i1 {some.name}, label %{inside.label}, label %{after.label}"
        self.open(inside, branch=True)
        self.variables[loop.var] = lo
        self.registers.update({name: self.neutral(op, outside[name], width) for name, op in folds.items()})
        self.lanes, self.mask = width, self.compare("icmp slt", counted(width), left)
        self.body(loop.body)
        self.lanes, self.mask = 1, None
        results = {name: self.combined(op, outside[name], self.reduced(op, self.registers[name])) for name, op in folds.items()}
        end = self.close()
        end.end = f"br label %{after.label}"
        self.move_to(after)
        for name, value in results.items():
            self.registers[name] = self.phi((value, end.label), (outside[name], start.label))

    def tiles(self, loop: TileLoop) -> None:
        """The loop over the tiles of the range."""
        lo, hi, tile_start = self.lo, self.hi, self.tile_start
        rows, self.tile_rows, self.read_again = literal(loop.rows, "i64"), loop.rows, read_twice(loop.body)

        def body() -> None:
            start = self.variables[loop.var]
            end = self.plus(start, rows)
            self.lo, self.hi, self.tile_start = start, self.select(self.compare("icmp slt", end, hi), end, hi), start
            self.body(loop.body)
        self.turns(loop.var, lo, hi, rows, changed_registers(loop.body), body)
        self.lo, self.hi, self.tile_start, self.tile_rows, self.read_again = lo, hi, tile_start, 0, frozenset()


def read_twice(body: tuple[Statement, ...]) -> frozenset[str]:
    """The arrays that loops over samples of a body read one after the other; those with one variable are ways, or parts, of one."""
    reads = {(loop.var, name) for loop in statements(body) if isinstance(loop, SampleLoop)
             for s in statements((loop,)) for name in read(s)}
    return frozenset([name for name, count in Counter([name for _, name in reads]).items() if count > 1])

