"""The edges of loops: the few turns before and after those that are written otherwise.

before:  for i in 0 : n; body
after:   for i in 0 : lo; body
         for i in lo : hi; body                                      what it is about
         for i in hi : n; body

Where it is not proved that there are turns between the edges, each turn of an edge asks whether the loop has it, and whether no
other edge does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from codegen.loop_ir.copies import copy_of
from codegen.loop_ir.nodes import Affine, Call, If, IndexValue, Loop, SizeValue
from symdiff.bounds import at_least
from symdiff.sizes import Size, combine

# The most turns of an edge, as they are asked for; so few turns in all are not worth it.
MOST_APART, SHORT = 4, 16


class Edges(NamedTuple):
    """The loops over the turns before others, and over those after them: one each, or none."""

    before: list[Loop]
    after: list[Loop]


def edges_of(loop: Loop, lo: Size, hi: Size, name: Iterator[str]) -> Edges:
    """The turns of a loop that are not in lo : hi, as copies with names of their own."""
    head, tail = loop.body, loop.body
    if not at_least(combine(((1, hi), (-1, lo))), 0):
        here = IndexValue(Affine(0, ((loop.var, 1),)), "int64")
        head = (If(Call("less", (here, SizeValue(loop.hi, "int64")), "bool"), loop.body),)
        tail = (If(Call("less_equal", (SizeValue(lo, "int64"), here), "bool"), loop.body),)
    return Edges([copy_of(replace(loop, hi=lo, body=head), name)] if lo != loop.lo else [],
                 [copy_of(replace(loop, lo=hi, body=tail), name)] if hi != loop.hi else [])
