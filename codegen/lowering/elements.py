"""The value of a node at an index: a load where it is stored, else its formula over the values of its children.

The walk is a loop over generators: a rule yields the (child, index) it needs and is sent the value, so depth is not bounded
by Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeGuard, TypeVar

import numpy as np
from msgspec import Struct

from codegen.loop_ir.nodes import Affine, Call, IndexValue, Inside, Let, Literal, Load, Register, SizeValue, Value
from codegen.lowering.affine import placed, proved_inside, solve, variable
from codegen.lowering.scalars import add, cast, conjunction, element, integer_power, literal, times
from codegen.lowering.scopes import At, Scopes
from codegen.planning.materialisation import is_costly
from codegen.planning.matrices import AS_WRITTEN, Layouts
from symdiff.errors import CannotLower
from symdiff.expression import Add, Constant, Map, Node, Product
from symdiff.gathers import Solved, is_gather, solved_labels
from symdiff.normal_form import number_of
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.sizes import Dim
from symdiff.tensor_type import FLOATING, promote

DEEPEST = 5
# What is as short as a name for it.
SHORTEST = frozenset({Register, Literal, SizeValue, IndexValue})
# So many terms of a sum stand in one expression.
LONGEST = 16


class Request(Struct, frozen=True):
    """A value that a rule needs; `free` is False where it must stay inside a guarded branch."""

    node: Node
    at: At
    free: bool


Rule = Generator[Request, Value, Value]
Answer = TypeVar("Answer")


class Elements:
    """Writes values of nodes into scopes."""

    def __init__(self, scopes: Scopes, buffers: Mapping[Node, str], shared: Mapping[Node, int]) -> None:
        self.scopes, self.buffers, self.shared = scopes, buffers, shared
        # Inside a loop: the first indices of what is kept for every turn, and the values of symbols that have no buffer.
        self.prefixes: dict[Node, At] = {}
        self.outside: dict[Node, Callable[[At], Value]] = {}
        self.depths: dict[int, tuple[Value, int]] = {}
        self.layouts: Layouts = AS_WRITTEN

    def value(self, node: Node, at: At, computing: bool = False) -> Value:
        """The value of the node at an index; `computing` writes the formula of a node that has a buffer itself."""
        return self.run(Request(node, at, True), computing)

    def run(self, request: Request, computing: bool) -> Value:
        """Answer a request by running rules until the first one ends."""
        stack: list[tuple[Request, Rule]] = []
        answer: Value | None = None if computing else self.at_hand(request)
        if answer is not None:
            return answer
        stack.append((request, self.rule(request)))
        sent: Value | None = None
        while stack:
            current, rule = stack[-1]
            try:
                wanted = rule.send(sent)  # type: ignore[arg-type]
            except StopIteration as done:
                stack.pop()
                sent = done.value if computing and not stack else self.settle(current, done.value)
                continue
            if not wanted.at and not wanted.free:
                wanted = Request(wanted.node, (), True)  # a number can be read anywhere, and is then read once
            sent = self.at_hand(wanted)
            if sent is None:
                stack.append((wanted, self.rule(wanted)))
        assert sent is not None
        return sent

    def drive(self, rule: Generator[Request, Value, Answer]) -> Answer:
        """What a rule returns, its requests answered one after the other."""
        sent: Value | None = None
        while True:
            try:
                wanted = rule.send(sent)  # type: ignore[arg-type]
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            sent = self.run(wanted, False)

    def position(self, mark: Node, s: Solved, labels: dict[int, Affine]) -> Affine:
        """The position that an index tells."""
        return self.drive(self.pointed_rule(mark, s, labels))

    def at_hand(self, request: Request) -> Value | None:
        """The value where it needs no formula: a number, a size, an index, a known register or a load."""
        node, at = request.node, request.at
        c = number_of(node)
        if c is not None:
            return literal(c, node.dtype)
        depth = self.scopes.depth_of(at)
        known = self.scopes.chain[depth].known.get((node, at))
        if known is not None:
            return known
        name = self.buffers.get(node)
        if name is not None:
            return self.settle(request, Load(name, self.index(node, at)))
        if node in self.outside:
            return self.outside[node](at)
        if isinstance(node, Constant):
            if isinstance(node.value, Dim):
                return SizeValue(node.value, node.dtype)
            if not isinstance(node.value, np.ndarray):
                return IndexValue(at[0], node.dtype)
        return None

    def index(self, node: Node, at: At) -> At:
        """Where an element of a node stands in its buffer."""
        layout = self.layouts.get(node)
        return (*self.prefixes.get(node, ()), *(at if layout is None else [at[k] for k in layout]))

    def settle(self, request: Request, value: Value) -> Value:
        """Name the value in its scope where that saves work or keeps expressions short."""
        node, at = request.node, request.at
        if not request.free or value.__class__ in SHORTEST:
            return value
        depth = self.scopes.depth_of(at)
        scope = self.scopes.chain[depth]
        named = depth < len(self.scopes.chain) - 1 or (type(value) is not Load and (self.shared.get(node, 0) > 1 or (
            isinstance(node, Map) and is_costly(node)) or self.height(value) > DEEPEST))
        if not named:
            return value
        result = scope.known[node, at] = self.named(value, node.dtype, at)
        return result

    def named(self, value: Value, dtype: str, at: At) -> Register:
        """A register with the value, in the scope of `at`."""
        register = self.scopes.names.fresh("v")
        self.scopes.chain[self.scopes.depth_of(at)].body.append(Let(register, dtype, value))
        return Register(register)

    def height(self, value: Value) -> int:
        """The depth of an expression."""
        if type(value) is not Call:
            return 0
        known = self.depths.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        result = 1
        for arg in value.args:
            if type(arg) is Call:
                result = max(result, 1 + self.height(arg))
        self.depths[id(value)] = (value, result)
        return result

    def rule(self, request: Request) -> Rule:
        """The formula of a node."""
        node = request.node
        if isinstance(node, Add):
            return self.sum_rule(node, request)
        if isinstance(node, Map):
            return self.map_rule(node, request)
        if isinstance(node, Product) and (not node.is_core or is_gather(node)):
            if not node.extents and not node.out and not any([at for _, at in node.factors]):
                return self.numbers_rule(node, request)
            return self.product_rule(node, request)
        raise CannotLower(f"{type(node).__name__} has no formula", where=str(node))

    def sum_rule(self, node: Add, request: Request) -> Rule:
        """Σ c · term; −(a + b) by a + b, which other places may need as well."""
        if all(c < 0 for c, _ in node.terms):
            opposite = Add(tuple((-c, term) for c, term in node.terms), node.type)
            if opposite not in self.buffers:  # where it is stored, that may be later
                value = yield Request(opposite, request.at, request.free)
                return Call("neg", (value,), node.dtype)
        result: Value | None = None
        # As it is written, a − b + c as (a − b) + c, for what is small beside a and b: but what begins is nothing negative.
        terms = list(node.terms)
        terms.insert(0, terms.pop(next((k for k, (c, _) in enumerate(terms) if not c < 0), 0)))
        for k, (c, term) in enumerate(terms):
            value = yield Request(term, request.at, request.free)
            result = add(result, c, cast(value, term.dtype, node.dtype), node.dtype)
            if request.free and k % LONGEST == LONGEST - 1 and k < len(terms) - 1:
                result = self.named(result, node.dtype, request.at)
        assert result is not None
        return result

    def map_rule(self, node: Map, request: Request) -> Rule:
        """function(args)."""
        args: list[Value] = []
        for arg in node.args:
            if node.function.name == "power" and arg is node.args[1] and number_of(arg) is not None:
                args.append(literal(number_of(arg), arg.dtype))  # type: ignore[arg-type]
                continue
            value = yield Request(arg, request.at, request.free)
            args.append(value)
        return element(node, args)

    def product_rule(self, node: Product, request: Request) -> Rule:
        """coefficient · Π factors at the labels that out = at gives, zero where there are none."""
        sizes = self.scopes.sizes
        solution = solve(node.out, request.at, node.extents, sizes)
        if solution is None:
            raise CannotLower("a scatter cannot be read element by element", where=str(node))
        value, conditions = yield from self.factors_rule(node, solution.labels, solution.conditions, request.free)
        return guarded(value, conditions, node.dtype)

    def numbers_rule(self, node: Product, request: Request) -> Rule:
        """coefficient · Π factors, all of them numbers."""
        value, conditions = yield from self.multiplied(node, [(f, ()) for f, _ in node.factors], [], request.free)
        return guarded(value, conditions, node.dtype)

    def factors_rule(self, node: Product, labels: dict[int, Affine], conditions: list[Value],
                     free: bool) -> Generator[Request, Value, tuple[Value, list[Value]]]:
        """coefficient · Π factors at given labels, and all conditions under which it is not zero."""
        conditions = list(conditions)
        labels = dict(labels)
        solved = solved_labels(node)
        for s in solved:
            labels[s.label] = yield from self.pointed_rule(node.factors[s.position][0], s, labels)
        sizes = self.scopes.sizes
        marks = {s.position for s in solved}
        factors = [factor for position, factor in enumerate(node.factors) if position not in marks]
        conditions += [Inside(labels[s.label], s.size) for s in solved if all(
            placed(i, labels) != labels[s.label] for _, at in factors for i in at)]
        reads = []
        for f, at in factors:
            there = tuple(placed(i, labels) for i in at)
            tests: list[Value] = [Inside(index, f.shape[k]) for k, index in enumerate(there)
                                  if not proved_inside(index, f.shape[k], sizes)]
            conditions += tests
            reads.append((f, there))
        return (yield from self.multiplied(node, reads, conditions, free))

    def multiplied(self, node: Product, reads: list[tuple[Node, At]], conditions: list[Value],
                   free: bool) -> Generator[Request, Value, tuple[Value, list[Value]]]:
        """coefficient · Π factors, each read at an index, and all conditions under which it is not zero."""
        kind = promote(node.type.dtype, *[f.type.dtype for f, _ in reads])
        plain = free and not conditions
        above: Value | None = None
        below: Value | None = None
        for f, there in reads:
            if isinstance(f, Map) and "guard" in f.function.traits:
                truth = yield Request(f, there, plain)
                conditions.append(truth)
                continue
            base, p = base_and_exponent(f)
            if isinstance(p, int) and p < 0 and f not in self.buffers and kind in FLOATING and number_of(base) is None:
                value = yield Request(base, there, plain)
                value = integer_power(cast(value, base.dtype, kind), -p, kind)
                below = value if below is None else Call("mul", (below, value), kind)
                continue
            value = yield Request(f, there, plain)
            value = cast(value, f.dtype, kind)
            word = "logical_and" if kind == "bool" else "mul"
            above = value if above is None else Call(word, (above, value), kind)
        c = node.coefficient
        result = literal(c, kind) if above is None else above if kind == "bool" else times(c, above, kind)
        if below is not None:
            result = Call("div", (result, below), kind)
        return cast(result, kind, node.dtype), conditions


    def pointed_rule(self, mark: Node, s: Solved, labels: dict[int, Affine]) -> Generator[Request, Value, Affine]:
        """The position that an index tells, in a register: it is read once in the scope that knows where."""
        at = tuple(placed(i, labels) for i in s.at)
        scope = self.scopes.chain[self.scopes.depth_of(at)]
        known = scope.known.get((mark, at))
        if known is None:
            tests: list[Value] = [Inside(i, s.given.shape[k]) for k, i in enumerate(at)
                                  if not proved_inside(i, s.given.shape[k], self.scopes.sizes)]
            value = yield Request(s.given, at, not tests)
            value = cast(value, s.given.dtype, "int64")
            if tests:
                value = Call("select", (conjunction(tests), value, Literal(-1 << 62, "int64")), "int64")
            if not isinstance(value, Register):
                given = self.scopes.names.fresh("v")
                scope.body.append(Let(given, "int64", value))
                value = Register(given)
            register = self.scopes.names.fresh("v")
            negative = Call("less", (value, Literal(0, "int64")), "bool")
            behind = Call("add", (value, SizeValue(s.size, "int64")), "int64")
            scope.body.append(Let(register, "int64", Call("select", (negative, behind, value), "int64")))
            scope.positions.add(register)
            known = scope.known[mark, at] = Register(register)
        assert isinstance(known, Register)
        return variable(known.name)


def guarded(value: Value, conditions: list[Value], dtype: str) -> Value:
    """The value under conditions, else zero."""
    if not conditions:
        return value
    return Call("select", (conjunction(conditions), value, literal(0, dtype)), dtype)


def is_masked(value: Value) -> TypeGuard[Call]:
    """Whether a value is zero where a condition does not hold."""
    return isinstance(value, Call) and value.function == "select" and value.args[2] == literal(0, value.dtype)
