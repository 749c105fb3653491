"""Folds of values in lanes: an operation of one value with another, and of the lanes of a vector with each other."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.emitters.llvm.instructions import KINDS, Ssa, literal
from codegen.emitters.llvm.scalars import CODES
from codegen.emitters.llvm.values import ValueWriter
from codegen.loop_ir.folds import FOLDED, identity
from codegen.loop_ir.nodes import Call, Fold, Value


class FoldWriter(ValueWriter):
    """Writes folds; `mask` says which lanes are at work."""

    mask: Ssa | None = None

    def folded(self, op: Fold, old: Ssa, value: Value) -> Ssa:
        """old op value; a product is added with one rounding."""
        if op == "add" and old.kind in ("double", "float") and isinstance(value, Call) and value.function in ("mul", "square"):
            factors = [self.value(a, self.mask) for a in value.args]
            return self.intrinsic("fmuladd", factors[0], factors[-1], old, flags="contract ")
        return self.combined(op, old, self.value(value, self.mask))

    def combined(self, op: Fold, a: Ssa, b: Ssa) -> Ssa:
        """a op b."""
        a, b = self.alike(a, b)
        return CODES[FOLDED[op]](self, a, b, a.kind)

    def neutral(self, op: Fold, like: Ssa, width: int) -> Ssa:
        """The neutral value of a fold in each lane."""
        dtype = next(d for d, kind in KINDS.items() if kind == like.kind)
        return literal(identity(op, dtype).value, like.kind, width)

    def reduced(self, op: Fold, value: Ssa) -> Ssa:
        """The lanes folded into one: halves upon halves."""
        while value.lanes > 1:
            half = value.lanes // 2
            value = self.combined(op, self.part(value, 0, half), self.part(value, half, half))
        return value

    def halves(self, op: Fold, vectors: list[Ssa]) -> Ssa:
        """Vectors folded into one, halves upon halves."""
        while (half := len(vectors) // 2) > 0:
            vectors = [self.combined(op, a, b) for a, b in zip(vectors[:half], vectors[half:], strict=True)]
        return vectors[0]

    def reduced_together(self, op: Fold, values: Sequence[Ssa]) -> list[Ssa]:
        """The lanes of each value folded into one, as `reduced` does it, two values in the instructions for one.

        Of two vectors, the first halves stand in one and the second halves in another, and these two are folded; with 4
        lanes four sums take 9 instructions instead of 16.
        """
        # Each vector, and the numbers of the values whose lanes stand in it, one group of lanes after another.
        vectors: list[tuple[Ssa, tuple[int, ...]]] = [(value, (k,)) for k, value in enumerate(values)]
        while len(vectors) > 1 and vectors[0][0].lanes > len(vectors[0][1]):
            half = -(-len(vectors) // 2)
            pairs = [(vectors[k], vectors[k + half] if k + half < len(vectors) else vectors[k]) for k in range(half)]
            vectors = [self.halved(op, *pair) for pair in pairs]
        found: dict[int, Ssa] = {}
        for vector, numbers in vectors:
            width = vector.lanes // len(numbers)
            found.update((k, self.reduced(op, self.part(vector, group * width, width))) for group, k in enumerate(numbers))
        return [found[k] for k in range(len(values))]

    def halved(self, op: Fold, one: tuple[Ssa, tuple[int, ...]], other: tuple[Ssa, tuple[int, ...]]
               ) -> tuple[Ssa, tuple[int, ...]]:
        """Two vectors in one: in each group of lanes the second half is folded into the first."""
        (a, numbers), (b, more) = one, other
        width, lanes = a.lanes // len(numbers), a.lanes
        firsts = [start + group * width + k for group in range(len(numbers)) for start in (0, lanes) for k in range(width // 2)]
        first, second = (self.chosen(a, b, [k + further for k in firsts]) for further in (0, width // 2))
        return self.combined(op, first, second), tuple(k for pair in zip(numbers, more, strict=True) for k in pair)
