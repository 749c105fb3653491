"""Sizes and indices of the loop IR as 64-bit integers: what does not change in a loop is added up outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from codegen.emitters.llvm.instructions import Function, Ssa, counted, literal
from codegen.loop_ir.nodes import Affine, Quotient, Remainder, Variable
from codegen.loop_ir.walks import index_variables
from symdiff.sizes import Monomial, Named, Size, monomials

ZERO, ONE = literal(0, "i64"), literal(1, "i64")


class Place(NamedTuple):
    """A position in each lane: base + lane · step, plus `apart` where the lanes follow no such rule."""

    base: Ssa
    step: Ssa = ZERO
    apart: Ssa | None = None


def is_whole(value: Ssa) -> bool:
    """Whether a value is an integer that is written out."""
    return value.name.lstrip("-").isdigit()


class IndexWriter(Function):
    """Knows the named sizes, the registers, the loop variables and which of them counts lanes."""

    def __init__(self, sizes: dict[str, Ssa]) -> None:
        super().__init__()
        self.sizes = sizes
        self.variables: dict[str, Ssa] = {}
        self.registers: dict[str, Ssa] = {}
        self.lane_variable = ""
        # Whether the vectors of the loop begin at multiples of their lanes.
        self.from_zero = False
        self.lanes = 1

    def plus(self, a: Ssa, b: Ssa) -> Ssa:
        """a + b."""
        if a.name == "0":
            return b
        if b.name == "0":
            return a
        if is_whole(a) and is_whole(b):
            return literal(int(a.name) + int(b.name), "i64")
        return self.binary("add nsw", a, b)

    def times(self, a: Ssa, b: Ssa) -> Ssa:
        """a · b."""
        for x, y in ((a, b), (b, a)):
            if x.name == "0":
                return ZERO
            if x.name == "1":
                return y
        if is_whole(a) and is_whole(b):
            return literal(int(a.name) * int(b.name), "i64")
        return self.binary("mul nsw", a, b)

    def minus(self, a: Ssa, b: Ssa) -> Ssa:
        """a − b."""
        if is_whole(a) and is_whole(b):
            return literal(int(a.name) - int(b.name), "i64")
        return a if b.name == "0" else self.binary("sub nsw", a, b)

    def quotient(self, op: str, a: Ssa, b: Ssa) -> Ssa:
        """a / b or a mod b of integers that are not negative."""
        if b.name == "1":
            return a if op == "udiv" else ZERO
        if is_whole(a) and is_whole(b):
            return literal(int(a.name) // int(b.name) if op == "udiv" else int(a.name) % int(b.name), "i64")
        return self.binary(op, a, b)

    def size(self, size: Size) -> Ssa:
        """A size."""
        if isinstance(size, int):
            return literal(size, "i64")
        total = ZERO
        for monomial, c in monomials(size):
            total = self.plus(total, self.times(self.monomial(monomial), literal(c, "i64")))
        return total

    def monomial(self, monomial: Monomial) -> Ssa:
        """A product of named sizes and floor quotients."""
        result = ONE
        for atom, power in monomial:
            value = self.sizes[atom.name] if isinstance(atom, Named) else \
                self.quotient("udiv", self.size(atom.numerator), self.size(atom.denominator))
            for _ in range(power):
                result = self.times(result, value)
        return result

    def variable(self, variable: Variable) -> Ssa:
        """A loop variable (in a vector loop that of the first lane), a quotient or a remainder."""
        if isinstance(variable, str):
            return self.variables[variable] if variable in self.variables else self.registers[variable]
        op = "udiv" if isinstance(variable, Quotient) else "urem"
        return self.quotient(op, self.place(variable.index.const, variable.index.terms).base, self.size(variable.divisor))

    def differs(self, variable: Variable) -> bool:
        """Whether a register, quotient or remainder differs from lane to lane."""
        if self.lanes == 1 or variable == self.lane_variable:
            return False
        if isinstance(variable, str):
            return variable not in self.variables and self.registers[variable].lanes > 1
        if isinstance(variable, Quotient) and self.in_one_block(variable):
            return False
        return any(name == self.lane_variable or self.differs(name) for name in index_variables(variable.index))

    def in_one_block(self, variable: Quotient | Remainder) -> bool:
        """Whether no vector crosses a multiple of the divisor: its lanes have one quotient, and remainders one after another."""
        index, lanes = variable.index, self.lanes
        numbers = [variable.divisor, index.const, *[c for v, c in index.terms if v != self.lane_variable]]
        return self.from_zero and (self.lane_variable, 1) in index.terms and all(
            isinstance(c, int) and c % lanes == 0 for c in numbers) and not any(
            v != self.lane_variable and self.differs(v) for v, _ in index.terms)

    def differing(self, variable: Variable) -> Ssa:
        """The value in each lane of a variable that differs from lane to lane."""
        if isinstance(variable, str):
            return self.registers[variable]
        op = "udiv" if isinstance(variable, Quotient) else "urem"
        inner = self.spread(self.place(variable.index.const, variable.index.terms))
        return self.quotient(op, inner, self.splat(self.size(variable.divisor), self.lanes))

    def place(self, constant: Size, terms: Sequence[tuple[Variable | Ssa, Size]]) -> Place:
        """constant + Σ coefficient · variable in each lane."""
        if not terms:
            return Place(self.size(constant), ZERO, None)
        parts = [self.size(constant)]
        step = ZERO
        apart: Ssa | None = None
        for variable, c in terms:
            coefficient = self.size(c)
            if isinstance(variable, Ssa):
                parts.append(self.times(variable, coefficient))
            elif isinstance(variable, Remainder) and self.lanes > 1 and self.in_one_block(variable):
                parts.append(self.times(self.variable(variable), coefficient))
                step = self.plus(step, coefficient)
            elif self.differs(variable):
                value = self.differing(variable)
                value = self.binary("mul", value, coefficient) if coefficient.name != "1" else value
                apart = value if apart is None else self.binary("add", apart, value)
            else:
                parts.append(self.times(self.variable(variable), coefficient))
                if self.lanes > 1 and variable == self.lane_variable:
                    step = self.plus(step, coefficient)
        total = ZERO
        for part in sorted(parts, key=lambda p: p.depth):
            total = self.plus(total, part)
        return Place(total, step, apart)

    def affine(self, index: Affine) -> Place:
        """An index in each lane."""
        return self.place(index.const, index.terms)

    def spread(self, place: Place) -> Ssa:
        """The positions as a vector; as a scalar where they are all the same."""
        if place.apart is None and place.step.name == "0":
            return place.base
        result = self.splat(place.base, self.lanes)
        if place.step.name != "0":
            steps = counted(self.lanes)
            if place.step.name != "1":
                steps = self.binary("mul", self.splat(place.step, self.lanes), steps)
            result = self.binary("add", result, steps)
        return result if place.apart is None else self.binary("add", result, place.apart)
