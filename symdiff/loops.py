"""Loops as expressions: what a `scan` does in one turn, over symbols of its own.

    c₀ = init;  for t in 0 … T − 1:  c_{t+1} = nexts(c_t, x_t, p, t),  y_t = stacks(c_t, x_t, p, t)

A loop has several results; each is an `Apply` of `SCAN` to the same arguments (inits, xs, invariants p), with the loop and
the place of the result among its parameters.  Bodies hold no node from outside: what does not change is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from operator import is_
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from symdiff.expression import Apply, Node, Symbol, shape_key
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType

FINAL, STACK = "final", "stack"
BOUND = "⟨"  # stands in the name of every symbol of a body, and in no name that a user gives
T = TypeVar("T")


class Operation(Struct, frozen=True):
    """A row of the structured operations: they are told apart by `name`."""

    name: str


SCAN = Operation("scan")


class Loop(Struct, frozen=True, eq=False):
    """One turn of a loop.

    `carries`, `slices` and `invariants` are the symbols of the body for what is carried, for the present slice of each x and
    for what does not change, `turn` the symbol for t.  `nexts` are the values carried on, `stacks` those that are kept for
    every turn.  A `backward` loop runs t from length − 1 to 0.
    """

    carries: tuple[Symbol, ...]
    slices: tuple[Symbol, ...]
    invariants: tuple[Symbol, ...]
    turn: Symbol
    nexts: tuple[Node, ...]
    stacks: tuple[Node, ...]
    length: Size
    backward: bool = False

    def parts(self) -> tuple[object, ...]:
        """All that tells the loop from others."""
        return (*self.bound, None, *self.nexts, None, *self.stacks, self.length, self.backward)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same loop; nodes are compared as objects, for their == builds an expression."""
        if not isinstance(other, Loop) or self.length != other.length or self.backward != other.backward:
            return False
        mine, theirs = self.parts()[:-2], other.parts()[:-2]
        return len(mine) == len(theirs) and all(map(is_, mine, theirs))

    def __hash__(self) -> int:
        """A hash that agrees with ==."""
        return hash((*map(id, self.parts()[:-2]), self.backward))

    def __repr__(self) -> str:
        """A text that is the same in every process: the structural hash of an Apply rests on it."""
        kinds = [[symbol.key for symbol in group] for group in (self.carries, self.slices, self.invariants)]
        bodies = [[node.key for node in group] for group in (self.nexts, self.stacks)]
        return f"Loop({kinds}, {bodies}, {shape_key((self.length,))}, {self.backward})"

    @property
    def bound(self) -> tuple[Symbol, ...]:
        """All symbols of the body."""
        return (*self.carries, *self.slices, *self.invariants, self.turn)


Key = tuple[Loop, tuple[Node, ...]]


def bound_symbol(role: str, place: int, type: TensorType) -> Symbol:
    """The symbol of a body for its `place`-th carry, slice or invariant: no user's name looks like it."""
    return Symbol(f"{BOUND}{role} {place}⟩", type)


def unused_symbol(role: str, type: TensorType, others: Iterable[Symbol]) -> Symbol:
    """A symbol of a body beside others, whose places may have gaps: what is asked for no more was left out."""
    names = {symbol.name for symbol in others}
    return next(symbol for symbol in (bound_symbol(role, place, type) for place in count()) if symbol.name not in names)


def shown_name(symbol: Symbol) -> str:
    """What a symbol is called in formulas and messages: of one whose body is being traced what its step calls it."""
    return symbol.name.partition(BOUND)[0] or symbol.name


TURN = bound_symbol("turn", 0, TensorType("int64", ()))


def final(loop: Loop, args: Sequence[Node], k: int) -> Node:
    """The k-th carry after the last turn."""
    return Apply(SCAN, tuple(args), (loop, FINAL, k), loop.carries[k].type)


def stacked(loop: Loop, args: Sequence[Node], k: int) -> Node:
    """The k-th kept value of every turn, along a first axis."""
    node = loop.stacks[k]
    return Apply(SCAN, tuple(args), (loop, STACK, k), TensorType(node.dtype, (loop.length, *node.shape)))


def is_scan(node: Node) -> bool:
    """Whether the node is a result of a loop."""
    return node.__class__ is Apply and node.operation == SCAN


def loop_of(node: Node) -> tuple[Loop, str, int]:
    """The loop of a result, whether it is final or stacked, and its place."""
    loop, kind, k = node.parameters
    return loop, kind, k


def key_of(node: Node) -> Key:
    """What results of loops must share to be those of one: the loop, but for what it keeps, and its arguments."""
    return replace(loop_of(node)[0], stacks=()), node.children


def deep(roots: Iterable[Node]) -> list[Node]:
    """Every node under the roots, those of the bodies of loops included."""
    found: dict[Node, None] = {}
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found[node] = None
        pending.extend(node.children)
        if is_scan(node):
            loop = loop_of(node)[0]
            pending += [*loop.nexts, *loop.stacks]
    return list(found)


def split_args(loop: Loop, args: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
    """The inits, the xs and the invariants."""
    a, b = len(loop.carries), len(loop.carries) + len(loop.slices)
    return args[:a], args[a:b], args[b:]
