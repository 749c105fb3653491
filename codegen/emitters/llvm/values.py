"""Values of the loop IR as instructions, one lane or many: loads, literals, calls, selections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from codegen.emitters.llvm import recurring_functions
from codegen.emitters.llvm.indices import ZERO, IndexWriter, Place
from codegen.emitters.llvm.instructions import BITS, KINDS, Ssa, literal, type_of
from codegen.emitters.llvm.scalars import CODES, cast, resized
from codegen.loop_ir.digits import put_together
from codegen.loop_ir.nodes import (
    TURNS_AT_ONCE,
    Affine,
    Buffer,
    Call,
    IndexValue,
    Inside,
    Literal,
    Load,
    Register,
    SizeValue,
    Value,
    Variable,
)
from codegen.loop_ir.walks import storage_shape, subvalues
from symdiff.sizes import Size, combine, multiply

# Where a read that must not happen goes.
NOWHERE = "@nowhere"
# Bytes of a line of the cache; and how far ahead data is fetched: some 200 ns at the 40 GB/s at which a core reads memory at most,
# a sixth of a first cache.
LINE, AHEAD = 64, 8192
# One of so many lines of the next tile is fetched beside the first reading of a tile.
SHARE = 4
# Bytes of a vector of AVX-512.
WIDE = 64
BYTES = {"double": 8, "float": 4, "i64": 8, "i32": 4, "i8": 1}


def memory_kind(dtype: str) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if dtype == "bool" else KINDS[dtype]


class ValueWriter(IndexWriter):
    """Writes values; knows the buffers, registers, and the start of the present tile."""

    def __init__(self, sizes: dict[str, Ssa], buffers: Mapping[str, Buffer], rows: Mapping[str, int]) -> None:
        super().__init__(sizes)
        self.buffers = buffers
        self.pointers: dict[str, Ssa] = {}
        self.tile_start = ZERO
        self.stored = {b.name: storage_shape(b, rows) for b in buffers.values()}
        self.strides = {name: strides(shape) for name, shape in self.stored.items()}
        # The loop over samples that is written, and for each buffer of the data the one, and the vector loop in it, that fetch it
        # ahead; what has been fetched, and how many lanes into its turn a vector is.
        self.samples = ""
        self.streams: dict[str, str] = {}
        self.fetching: dict[str, str] = {}
        self.fetched: set[tuple[str, str]] = set()
        # What loops over the samples of the present tile read twice, and how often places of it have been met in a block.
        self.read_again: frozenset[str] = frozenset()
        self.fetches: dict[tuple[str, str], int] = {}
        self.lanes_before = 0
        # Which lanes of a first vector are at work, while that is written.
        self.lead: Ssa | None = None
        # Arrays that nothing writes here, and what has been gathered of them, by the block and the positions.
        self.fixed: set[str] = set()
        self.gathers: dict[tuple[str, ...], list[tuple[frozenset[str], Ssa]]] = {}
        # The functions that the loop that is written takes so often that they are called.
        self.recurring: frozenset[str] = frozenset()
        # How often functions that take long for numbers, too, have been written in straight code.
        self.written_alone: Counter[str] = Counter()
        # Rows of the tile that is written, 0 outside of tiles.
        self.tile_rows = 0
        self.told: dict[tuple[str, int], tuple[tuple[Affine, ...], tuple[Size, list[tuple[Variable | Ssa, Size]]]]] = {}

    def memory(self, name: str) -> str:
        """The LLVM type of the elements of a buffer."""
        return memory_kind(self.buffers[name].dtype)

    def value(self, value: Value, mask: Ssa | None = None) -> Ssa:
        """The value; reads in it happen only where the mask holds."""
        # Most values are of these kinds: to ask for a class takes less than to match it.
        if isinstance(value, Register):
            return self.registers[value.name]
        if isinstance(value, Call):
            return self.applied(value, mask)
        if isinstance(value, Load):
            return self.load(value.buffer, value.index, mask)
        return self.known_value(value)

    def known_value(self, value: Literal | SizeValue | IndexValue | Inside) -> Ssa:
        """A number, a size, an index, or whether one is inside a size."""
        match value:
            case Literal(number, dtype):
                return literal(number, KINDS[dtype])
            case SizeValue(size, dtype):
                return cast(self, self.size(size), KINDS[dtype])
            case IndexValue(index, dtype):
                return cast(self, self.spread(self.affine(index)), KINDS[dtype])
            case Inside(index, size):
                # One comparison without sign: a negative index is a very large number.
                return self.compare("icmp ult", self.spread(self.affine(index)), self.size(size))

    def applied(self, value: Call, mask: Ssa | None) -> Ssa:
        """A function of values; of some only one is read."""
        function, args = value.function, value.args
        if function == "select":
            return self.choice(args[0], args[1], args[2], mask)
        if function == "logical_and":
            first = self.value(args[0], mask)
            return self.logic("and", first, self.value(args[1], self.narrowed(mask, first, args[1])))
        values = [self.value(a, mask) for a in args]
        if len(values) > 1 and function != "power_int" and any([v.lanes != values[0].lanes for v in values]):
            values = list(self.alike(*values))
        kind = KINDS[value.dtype]
        if (self.is_long_alone(function) if values[0].lanes == 1 else function in self.recurring) and all(
                [v.kind == kind for v in values]):
            return recurring_functions.called(self, function, CODES[function], values, kind)
        return CODES[function](self, *values, kind)

    def is_long_alone(self, function: str) -> bool:
        """Whether a function of numbers, in straight code, is better called: it is long, and has been written some times."""
        if function not in recurring_functions.LONG_ALONE or self.depth > 0:
            return False
        self.written_alone[function] += 1
        return self.written_alone[function] > recurring_functions.WRITTEN_ALONE

    def narrowed(self, mask: Ssa | None, condition: Ssa, value: Value) -> Ssa | None:
        """The mask of a value that is read only where the condition holds."""
        if not any(isinstance(v, Load) for v in subvalues(value)):
            return None
        return condition if mask is None else self.logic("and", mask, condition)

    def choice(self, condition: Value, a: Value, b: Value, mask: Ssa | None) -> Ssa:
        """a where the condition holds, else b; of the two only what is taken is read."""
        c = self.value(condition, mask)
        first = self.value(a, self.narrowed(mask, c, a))
        second = self.value(b, self.narrowed(mask, self.negation(c), b))
        return self.select(c, first, second)

    def offset(self, name: str, index: tuple[Affine, ...]) -> Place:
        """The position of an element in its buffer, counted in elements."""
        buffer = self.buffers[name]
        constant, terms = self.flat(name, index)
        if buffer.role == "tile" and self.tile_start.name != "0":
            assert buffer.sample_axis is not None
            terms = [*terms, (self.tile_start, multiply(-1, self.strides[name][buffer.sample_axis]))]
        return self.place(constant, terms)

    def flat(self, name: str, index: tuple[Affine, ...]) -> tuple[Size, list[tuple[Variable | Ssa, Size]]]:
        """The number, and the variables with their factors, whose sum is an index into the elements of a buffer one by one.

        A statement may be written many times; its indices are told once.
        """
        found = self.told.get((name, id(index)))
        if found is not None:
            return found[1]
        constant: Size = 0
        terms: dict[Variable | Ssa, Size] = {}
        for affine, stride in zip(index, self.strides[name], strict=True):
            if affine.const != 0:
                constant = combine(((1, constant), (1, multiply(affine.const, stride))))
            for variable, c in affine.terms:
                terms[variable] = combine(((1, terms.get(variable, 0)), (1, multiply(c, stride))))
        constant = combine(((1, constant), (1, put_together(terms))))
        flat = constant, [(v, c) for v, c in terms.items() if c != 0]
        # The index is kept beside it, so that no other one gets its number.
        self.told[name, id(index)] = index, flat
        return flat

    def pointer(self, name: str, offset: Ssa) -> Ssa:
        """The address of an element."""
        return self.moved(self.pointers[name], offset, self.memory(name))

    def addresses(self, name: str, place: Place, mask: Ssa | None, elsewhere: Callable[[], Ssa]) -> list[Ssa]:
        """The address of the element of each lane, and that of what stands elsewhere in lanes without one."""
        if place.apart is not None:
            spread = self.spread(place)
            if mask is not None:
                # All at once: to take the bits of a mask one by one is slow.
                chosen = self.select(mask, self.pointer(name, spread), elsewhere())
                return [self.lane(chosen, k) for k in range(self.lanes)]
            return [self.pointer(name, self.lane(spread, k)) for k in range(self.lanes)]
        steps = [self.plus(place.base, self.times(place.step, literal(k, "i64"))) for k in range(self.lanes)]
        found = [self.pointer(name, step) for step in steps]
        return found if mask is None else [self.select(self.lane(mask, k), p, elsewhere()) for k, p in enumerate(found)]

    def load(self, name: str, index: tuple[Affine, ...], mask: Ssa | None = None) -> Ssa:
        """buffer[index] in each lane."""
        dtype, kind = self.buffers[name].dtype, self.memory(name)
        place = self.offset(name, index)
        if self.lanes == 1 or (place.apart is None and place.step.name == "0"):
            value = self.read(kind, self.pointer(name, place.base), None if mask is None else self.any_lane(mask))
        elif place.apart is None and place.step.name == "1" and (kind != "i8" or mask is None):
            pointer = self.pointer(name, place.base)
            if mask is None or mask is self.lead:
                self.fetch_ahead(name, pointer)
            value = self.read_lanes(kind, pointer, mask)
        else:
            value = self.gather(name, index, place, mask)
        if dtype == "bool":
            return self.compare("icmp ne", value, literal(0, "i8", value.lanes))
        return value

    def told_addresses(self, name: str, index: tuple[Affine, ...], mask: Ssa | None) -> list[Ssa] | None:
        """The address of the element of each lane where registers tell it, and nothing else differs; None where that is not so.

        The registers are taken apart once, for all arrays and columns.  Where a mask does not hold, it is the first row, which is
        there; where one may not be, None.
        """
        if self.lanes == 1 or not (mask is None or self.first_is_inside(name, index)):
            return None
        constant, terms = self.flat(name, index)
        told = [(v, c) for v, c in terms if isinstance(v, str) and v != self.lane_variable and self.differs(v)]
        rest = [(v, c) for v, c in terms if (v, c) not in told]
        base = self.place(constant, rest)
        if not told or self.buffers[name].role == "tile" or base.apart is not None or base.step.name != "0":
            return None
        places = [base.base] * self.lanes
        for variable, c in told:
            register = self.registers[str(variable)]
            if mask is not None:
                register = self.select(mask, register, literal(0, register.kind, self.lanes))
            for k in range(self.lanes):
                places[k] = self.plus(places[k], self.times(self.lane(register, k), self.size(c)))
        return [self.pointer(name, place) for place in places]

    def first_is_inside(self, name: str, index: tuple[Affine, ...]) -> bool:
        """Whether an index is inside of its array where each register in it is 0."""
        return all(isinstance(size, int) and isinstance(i.const, int) and 0 <= i.const < size and all(
            isinstance(v, str) and v != self.lane_variable and v not in self.variables for v, _ in i.terms)
            for i, size in zip(index, self.buffers[name].shape, strict=True))

    def gather(self, name: str, index: tuple[Affine, ...], place: Place, mask: Ssa | None) -> Ssa:
        """Elements that stand apart; what nothing changes is gathered once in straight code, under a mask as wide."""
        read, conditions = (self.block.label, name, self.spread(place).name), self.conditions(mask)
        for before, value in self.gathers.get(read, ()) if name in self.fixed else ():
            if before <= conditions:
                return value
        kind = self.memory(name)
        places = self.told_addresses(name, index, mask) or self.addresses(name, place, mask, lambda: Ssa(NOWHERE, "ptr"))
        value = self.gathered([self.read(kind, pointer, None) for pointer in places])
        self.gathers.setdefault(read, []).append((conditions, value))
        return value

    @property
    def few_rows(self) -> bool:
        """Whether the present tile is one of few long rows."""
        return 0 < self.tile_rows <= TURNS_AT_ONCE

    def fetch_ahead(self, name: str, pointer: Ssa) -> None:
        """Fetch from memory what a pass over the data reads some rows later, in the first loop that reads it there.

        A loop with folds in it waits for them, and asks for the next rows too late.
        """
        buffer = self.buffers[name]
        place = self.block.label, pointer.name
        if buffer.role != "arg" or buffer.sample_axis != 0 or len(buffer.shape) < 2 or place in self.fetched:
            return
        again = self.streams.setdefault(name, self.samples) != self.samples
        if self.few_rows:
            # Tiles of so few rows, long ones, are read row beside row.
            if name in self.read_again and len(buffer.shape) == 2:
                self.fetched.add(place)
                count = self.fetches[self.block.label, name] = self.fetches.get((self.block.label, name), -1) + 1
                if (count % SHARE == 0) != again:
                    self.fetch_next(name, pointer)
        elif not again and self.fetching.setdefault(name, self.lane_variable) == self.lane_variable and (
                self.lanes_before * BYTES[self.memory(name)] % LINE == 0):
            self.fetched.add(place)
            self.fetch(pointer, AHEAD, 3)

    def fetch_next(self, name: str, pointer: Ssa) -> None:
        """Where a tile is read twice, fetch the next one meanwhile: a part of it beside the first reading, most beside the second.

        It comes into the second cache, as the first one is full of this tile.  (Regression with 512 columns: on Zen 5 1.15
        times as long as memory is read once, 1.3 with all of it beside the second; with 1,000 1.1 to 1.2, and 1.37 without; tiles
        of more rows, read one after the other, take longer with it.)
        """
        size = BYTES[self.memory(name)]
        there = self.moved(pointer, self.size(multiply(self.tile_rows, self.strides[name][0])), self.memory(name))
        for position in range(0, self.lanes * size, LINE):
            self.fetch(there, position, 2)

    def fetch(self, pointer: Ssa, ahead: int, cache: int) -> None:
        """Fetch what stands so many bytes further on: into the first cache (3) or the second (2).

        At the end of an array this is outside of it, which does no harm.
        """
        self.declare("llvm.prefetch.p0", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        place = self.here(f"getelementptr i8, ptr {pointer.name}, i64 {ahead}", "ptr")
        self.do(f"call void @llvm.prefetch.p0(ptr {place.name}, i32 0, i32 {cache}, i32 1)")

    def read(self, kind: str, pointer: Ssa, mask: Ssa | None) -> Ssa:
        """One element, or whatever stands nowhere in its place."""
        if mask is not None:
            pointer = self.select(mask, pointer, Ssa(NOWHERE, "ptr"))
        return self.here(f"load {kind}, ptr {pointer.name}, align {BYTES[kind]}", kind)

    def read_lanes(self, kind: str, pointer: Ssa, mask: Ssa | None) -> Ssa:
        """Elements that stand side by side."""
        vector = type_of(kind, self.lanes)
        if mask is None or mask.lanes == 1:
            if mask is not None:
                pointer = self.select(mask, pointer, Ssa(NOWHERE, "ptr"))
            return self.here(f"load {vector}, ptr {pointer.name}, align {BYTES[kind]}", kind, self.lanes)
        suffix = {"double": "f64", "float": "f32"}.get(kind, kind)
        full = f"llvm.masked.load.v{self.lanes}{suffix}.p0"
        self.declare(full, f"declare {vector} @{full}(ptr, i32, {mask.type}, {vector})")
        read = self.here(f"call {vector} @{full}(ptr {pointer.name}, i32 {BYTES[kind]}, {mask.type} {mask.name}, "
                         f"{vector} zeroinitializer)", kind, self.lanes)
        return self.opaque(read) if self.processor.vector_bytes == WIDE else read

    def opaque(self, value: Ssa) -> Ssa:
        """The same value, of which LLVM does not know what read it.

        With AVX-512 it joins a masked read and masked arithmetic to one instruction, and parts them again where registers ask
        for it, into a read of all lanes (seen in LLVM 22): beyond the end of an array, which may be the end of memory.
        """
        widest, least = WIDE * 8 // BITS[value.kind], 128 // BITS[value.kind]
        if value.lanes > widest:
            half = value.lanes // 2
            first, second = (self.opaque(self.part(value, start, half)) for start in (0, half))
            return self.chosen(first, second, range(value.lanes))
        whole = value if value.lanes >= least else self.chosen(value, value, [k % value.lanes for k in range(least)])
        read = self.here(f'call {whole.type} asm "", "=v,0"({whole.type} {whole.name})', whole.kind, whole.lanes)
        return read if read.lanes == value.lanes else self.part(read, 0, value.lanes)

    def store(self, name: str, index: tuple[Affine, ...], value: Ssa, mask: Ssa | None = None) -> None:
        """buffer[index] = value in each lane; only where the mask holds."""
        kind = self.memory(name)
        if value.kind == "i1":
            value = resized(self, value, "i8")
        place = self.offset(name, index)
        if self.lanes == 1:
            self.write(kind, self.pointer(name, place.base), value, mask)
            return
        value = self.splat(value, self.lanes)
        if place.apart is None and place.step.name == "1" and (mask is None or (mask.lanes > 1 and kind != "i8")):
            self.write_lanes(kind, self.pointer(name, place.base), value, mask)
            return
        for k, pointer in enumerate(self.addresses(name, place, mask, lambda: self.slot(kind))):
            self.write(kind, pointer, self.lane(value, k), None)

    def write(self, kind: str, pointer: Ssa, value: Ssa, mask: Ssa | None) -> None:
        """Store one element."""
        if mask is not None:
            # Where it must not be written, the old value is put back.
            slot = self.slot(kind)
            pointer = self.select(mask, pointer, slot)
        self.do(f"store {kind} {value.name}, ptr {pointer.name}, align {BYTES[kind]}")

    def write_lanes(self, kind: str, pointer: Ssa, value: Ssa, mask: Ssa | None) -> None:
        """Store elements side by side."""
        if mask is None:
            self.do(f"store {value.type} {value.name}, ptr {pointer.name}, align {BYTES[kind]}")
            return
        suffix = {"double": "f64", "float": "f32"}.get(kind, kind)
        full = f"llvm.masked.store.v{value.lanes}{suffix}.p0"
        self.declare(full, f"declare void @{full}({value.type}, ptr, i32, {mask.type})")
        self.do(f"call void @{full}({value.type} {value.name}, ptr {pointer.name}, i32 {BYTES[kind]}, {mask.type} {mask.name})")


def strides(shape: tuple[Size, ...]) -> tuple[Size, ...]:
    """How many elements a step along each axis is, rows one after another."""
    found: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        found.append(step)
        step = multiply(step, size)
    return tuple(reversed(found))

