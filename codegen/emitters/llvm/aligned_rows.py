"""Long rows that are read twice are read by vectors that begin where lines of the cache do, wherever the rows begin.

NumPy's large arrays begin 16 bytes behind a line, so that each vector of 64 bytes crosses two.  A loop over such rows takes its
turns some elements earlier instead, the first and the last vector under a mask:

    x[0:8] x[8:16] …      becomes      x[-2:6] x[6:14] …      of the first vector six lanes are at work, of the last one two

What is summed in each lane stays what it was, in the same order: only where it stands is another place.  Lanes are folded by
halves, each with the one that stands half of all further on, in a circle the same one wherever the circle begins; so sums and
products are the same, bit by bit, for all places.  (Regression with 1,000 columns on Zen 5: 1.25 times as long as memory is
read once without this.)
"""

from __future__ import annotations

from codegen.emitters.llvm.indices import ZERO, is_whole
from codegen.emitters.llvm.instructions import Ssa, literal
from codegen.emitters.llvm.lanes import lanes_for
from codegen.emitters.llvm.row_fetches import RowFetcher
from codegen.emitters.llvm.values import BYTES
from codegen.loop_ir.nodes import TURNS_AT_ONCE, Affine, Loop, SampleLoop
from codegen.loop_ir.walks import loads, statements

# Shorter rows spare less than the two masks cost.
LEAST_BYTES = 6000
# Folds that give the same, whichever of two lanes comes first; of two zeros the last one is the larger.
COMMUTING = frozenset({"add", "mul"})


class RowAligner(RowFetcher):
    """Writes where vectors begin."""

    # How many samples a turn of the present loop over them takes; 0 where it takes those that are left.
    samples_at_once = 0

    def line_lanes(self, loop: Loop | SampleLoop) -> int:
        """How many turns of a loop one vector of the processor takes."""
        return lanes_for(loop.body, self.buffers, self.processor.vector_bytes)

    def before_rows(self, loop: Loop | SampleLoop, lo: Ssa, hi: Ssa) -> Ssa:
        """How many elements before `lo` the vectors of a loop begin: 0 where they begin there.

        Where sizes are known at the call alone, it is then that they say whether all rows begin alike, and are long.
        """
        width = self.line_lanes(loop)
        if not self.few_rows or self.samples_at_once != TURNS_AT_ONCE or self.mask is not None or lo.name != "0":
            return ZERO
        for name, index in [(place[0], place[1]) for s in statements(loop.body) for place in loads(s)]:
            buffer, kind = self.buffers[name], self.memory(name)
            if buffer.role != "arg" or buffer.sample_axis != 0 or len(index) != 2 or index[1] != Affine(0, ((loop.var, 1),)) or (
                    kind not in ("double", "float")):
                continue
            lanes, size = literal(width, "i64"), literal(BYTES[kind], "i64")
            over, row = self.quotient("urem", self.size(self.strides[name][0]), lanes), self.times(hi, size)
            if (is_whole(over) and over.name != "0") or (is_whole(row) and int(row.name) < LEAST_BYTES):
                continue
            before = self.quotient("urem", self.quotient("udiv", self.convert("ptrtoint", self.pointers[name], "i64"), size), lanes)
            if not is_whole(over):
                before = self.select(self.compare("icmp eq", over, ZERO), before, ZERO)
            if not is_whole(row):
                before = self.select(self.compare("icmp ugt", row, literal(LEAST_BYTES, "i64")), before, ZERO)
            return before
        return ZERO
