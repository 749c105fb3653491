"""Loops that are written around blocks of instructions: turns, and those that fill or mirror an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from codegen.emitters.llvm.indices import ONE, ZERO
from codegen.emitters.llvm.instructions import BITS, KINDS, Ssa, literal
from codegen.emitters.llvm.lane_folds import FoldWriter
from symdiff.sizes import product as product_of

Body = Callable[[], None]


class TurnWriter(FoldWriter):
    """Writes turns; `lo` and `hi` are the ends of the present range or tile."""

    lo: Ssa = ZERO
    hi: Ssa = ZERO

    def turns(self, var: str, lo: Ssa, hi: Ssa, step: Ssa, changed: Sequence[str], body: Body) -> None:
        """for var in range(lo, hi, step): a test before the first turn, and one at the end of each."""
        names = [name for name in changed if name in self.registers]
        initial = {name: self.registers[name] for name in names}
        before, first, after = self.block, self.begin_block(), self.begin_block()
        certain = lo.name[0] != "%" and hi.name[0] != "%" and int(lo.name) < int(hi.name)
        if certain:
            before.end = f"br label %{first.label}"
        else:
            some = self.compare("icmp slt", lo, hi)
            before.end = f"br i1 {some.name}, label %{first.label}, label %{after.label}"
        self.open(first)
        counter = Ssa(self.fresh(), "i64", 1, self.depth)
        inside = {name: Ssa(self.fresh(), v.kind, v.lanes, self.depth) for name, v in initial.items()}
        self.variables[var] = counter
        self.registers.update(inside)
        body()
        following = self.here(f"add nsw i64 {counter.name}, {step.name}", "i64")
        again = self.here(f"icmp slt i64 {following.name}, {hi.name}", "i1")
        results = {name: self.alike(self.registers[name], inside[name])[0] for name in names}
        last = self.close()
        last.end = f"br i1 {again.name}, label %{first.label}, label %{after.label}"
        first.phis.append(f"{counter.name} = phi i64 [ {lo.name}, %{before.label} ], [ {following.name}, %{last.label} ]")
        for name, value in inside.items():
            first.phis.append(f"{value.name} = phi {value.type} [ {initial[name].name}, %{before.label} ], "
                              f"[ {results[name].name}, %{last.label} ]")
        self.move_to(after)
        for name in names:
            self.registers[name] = replace(results[name], depth=self.depth) if certain else \
                self.phi((initial[name], before.label), (results[name], last.label))

    def fill(self, name: str, value: Ssa) -> None:
        """Every element of a buffer, or of the present rows of a tile buffer, which lie side by side."""
        buffer = self.buffers[name]
        kind = self.memory(name)
        count = ONE
        for axis in range(len(buffer.shape)):
            cut = buffer.role == "tile" and axis == buffer.sample_axis
            count = self.times(count, self.minus(self.hi, self.lo) if cut and axis == 0 else self.size(self.stored[name][axis]))
        if kind == "i8":
            value = literal(value.name == "true", "i8")
        width = self.processor.vector_bytes * 8 // BITS[kind]
        whole = self.times(self.quotient("udiv", count, literal(width, "i64")), literal(width, "i64"))

        def vector() -> None:
            pointer = self.pointer(name, self.variables["fill"])
            splat = self.splat(value, width)
            self.write_lanes(kind, pointer, splat, None)

        def single() -> None:
            self.write(kind, self.pointer(name, self.variables["fill"]), value, None)
        self.turns("fill", ZERO, whole, literal(width, "i64"), (), vector)
        self.turns("fill", whole, count, ONE, (), single)

    def mirror(self, name: str, axes: int) -> None:
        """buffer[j, i] = buffer[i, j] for i > j, where i and j count the last two groups of axes."""
        shape = self.buffers[name].shape
        count = self.size(product_of(shape[len(shape) - axes:]))
        matrices = self.size(product_of(shape[:len(shape) - 2 * axes]))

        def element(row: Ssa, column: Ssa) -> Ssa:
            row = self.plus(self.times(self.variables["matrix"], count), row)
            return self.pointer(name, self.plus(self.times(row, count), column))

        def copy() -> None:
            row, column = self.variables["row"], self.variables["column"]
            kind = KINDS[self.buffers[name].dtype]
            value = self.here(f"load {kind}, ptr {element(row, column).name}, align 1", kind)
            self.do(f"store {kind} {value.name}, ptr {element(column, row).name}, align 1")

        def rows() -> None:
            self.turns("row", ONE, count, ONE, (), lambda: self.turns(
                "column", ZERO, self.variables["row"], ONE, (), copy))
        self.turns("matrix", ZERO, matrices, ONE, (), rows)
