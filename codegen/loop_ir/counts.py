"""Counts: floating-point operations of a program, and the bytes that it must at least read and write, for given sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from codegen.loop_ir.nodes import (
    Accumulate,
    Buffer,
    Call,
    If,
    Loop,
    MatMul,
    MatVec,
    Program,
    SampleLoop,
    Section,
    Statement,
    TileLoop,
    Update,
)
from codegen.loop_ir.walks import buffers_of, subvalues, values_of
from symdiff.sizes import Size, value_of

FREE = frozenset({"cast", "select", "logical_and", "logical_or", "logical_not", "logical_xor"})


def flops_of(program: Program, sizes: Mapping[str, int]) -> int:
    """How many floating-point operations a run takes; a function such as exp counts as one, a multiply-add as two.

    Both sides of a selection count, and so does what stands under a condition: it is a bound, exact where there are none.
    """
    buffers = buffers_of(program)
    return sum(body_flops(section.body, section, sizes, buffers) for section in program.sections)


def body_flops(body: Iterable[Statement], section: Section, sizes: Mapping[str, int], buffers: Mapping[str, Buffer]) -> int:
    """The operations of a body, run once."""
    samples = 0 if section.extent is None else value_of(section.extent, sizes)

    def extent(size: Size | None) -> int:
        return samples if size is None else value_of(size, sizes)
    total = 0
    for statement in body:
        for outer in values_of(statement):
            total += sum(1 for v in subvalues(outer) if isinstance(v, Call) and v.function not in FREE and floating(v.dtype))
        match statement:
            case Loop(lo=lo, hi=hi, step=step, body=inner):
                turns = len(range(value_of(lo, sizes), value_of(hi, sizes), step))
                total += turns * body_flops(inner, section, sizes, buffers)
            case SampleLoop(body=inner, step=step, rest=rest):
                turns = samples % rest if rest else samples // step
                total += turns * body_flops(inner, section, sizes, buffers)
            case TileLoop(body=inner) | If(body=inner):
                total += body_flops(inner, section, sizes, buffers)
            case MatMul(m=m, n=n, k=k):
                total += 2 * extent(m) * extent(n) * extent(k)
            case MatVec(m=m, k=k):
                total += 2 * extent(m) * extent(k)
            case Accumulate(buffer=name):
                total += floating(buffers[name].dtype)
            case Update():
                total += 1
            case _:
                pass
    return total


def floating(dtype: str) -> bool:
    """Whether values of a dtype are floating."""
    return dtype.startswith("float")


def least_bytes(program: Program, sizes: Mapping[str, int]) -> int:
    """The bytes of all arguments, constants and outputs, each read or written once."""
    total = 0
    for b in program.buffers:
        if b.role in ("arg", "const", "out"):
            count = 1
            for size in b.shape:
                count *= value_of(size, sizes)
            total += count * np.dtype(b.dtype).itemsize
    return total
