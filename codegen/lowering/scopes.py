"""Scopes: the loops that are open while a nest is written, and the values that are known in each.

A value is put at the outermost scope that defines its variables, which hoists what does not change in a loop; in one scope
the same value is written once.
"""

from __future__ import annotations

from msgspec import Struct, field

from codegen.loop_ir.nodes import Affine, Carried, Loop, Quotient, Remainder, SampleLoop, Statement, Value
from symdiff.expression import Node
from symdiff.sizes import Size

At = tuple[Affine, ...]


class Scope(Struct):
    """A body of statements: a section, or the inside of a loop over `var`; `positions` are the registers that index."""

    var: str = ""
    size: Size = 0
    sample: bool = False
    body: list[Statement] = field(default_factory=list)
    known: dict[tuple[Node, At], Value] = field(default_factory=dict)
    positions: set[str] = field(default_factory=set)
    carried: list[Carried] = field(default_factory=list)
    after: list[Statement] = field(default_factory=list)
    comment: str = ""

    def close(self) -> Statement:
        """The loop statement of the scope."""
        if self.sample:
            return SampleLoop(self.var, tuple(self.body), carried=tuple(self.carried), comment=self.comment)
        return Loop(self.var, 0, self.size, tuple(self.body), carried=tuple(self.carried), comment=self.comment)


def variables(index: Affine) -> set[str]:
    """The loop variables and registers of an index."""
    found: set[str] = set()
    for var, _ in index.terms:
        if isinstance(var, (Quotient, Remainder)):
            found |= variables(var.index)
        else:
            found.add(var)
    return found


class Names:
    """Fresh names for loop variables and registers."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        """The next of prefix0, prefix1 and so on."""
        count = self.counts.get(prefix, 0)
        self.counts[prefix] = count + 1
        return f"{prefix}{count}"


class Scopes:
    """The chain of open scopes, outermost (the section) first."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.chain: list[Scope] = [Scope()]
        # Inside a loop of the formula nothing is put outside of it: its carries change.
        self.least = 0

    @property
    def sizes(self) -> dict[str, Size]:
        """The extents of the open loop variables."""
        return {scope.var: scope.size for scope in self.chain if scope.var}

    def depth_of(self, at: At) -> int:
        """The position in the chain of the innermost scope that defines what an index holds; 0 is the section."""
        if not at:
            return self.least
        used: set[str] = set()
        for index in at:
            if index.terms:
                used |= variables(index)
        if not used:
            return self.least
        found = max((k for k, scope in enumerate(self.chain) if scope.var in used or scope.positions & used), default=0)
        return max(found, self.least)

    def open(self, size: Size, sample: bool = False, comment: str = "") -> str:
        """Open a loop and return its variable."""
        var = self.names.fresh("i")
        self.chain.append(Scope(var, size, sample, comment=comment))
        return var

    def close(self) -> None:
        """Close the innermost loop into the scope around it."""
        scope = self.chain.pop()
        self.chain[-1].body.append(scope.close())
        self.chain[-1].body.extend(scope.after)

    @property
    def inner(self) -> Scope:
        """The innermost scope."""
        return self.chain[-1]
