"""Functions that code takes many times, one loop of vectors or straight code: theirs stands in the module once, and is called.

before:  s = sin(x) by some forty instructions, t = sin(y) by as many, …        after:  s = call .sin(x), t = call .sin(y), …

A loop with so much in it overflows registers and the processor's store of decoded instructions in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.loop_ir.nodes import Call, Loop, SampleLoop
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import statements, subvalues, values_of

# What a function takes at least that is called, where a sum is 1; all its uses in a loop of few turns, and in a longer one, where
# time that calls take (a twentieth) counts for more than time to write code.
LEAST_COST, LEAST_OF_SHORT, LEAST_OF_LONG = 9, 200, 450
SHORT = 64
# What takes a dozen instructions for a number, too, of which other functions share none; and how often straight code has it
# written out before it is called.
LONG_ALONE = frozenset({"floor_divide", "logaddexp", "remainder", "sech_squared"})
WRITTEN_ALONE = 4


def functions_of(loop: Loop | SampleLoop) -> Counter[str]:
    """How often a loop takes each function."""
    return Counter(v.function for s in statements(loop.body) for outer in values_of(s) for v in subvalues(outer)
                   if isinstance(v, Call))


def recurring(loop: Loop | SampleLoop, found: Counter[str]) -> frozenset[str]:
    """Those of a loop's functions that it takes so often that they are better called."""
    is_short = isinstance(loop, Loop) and isinstance(loop.lo, int) and isinstance(loop.hi, int) and loop.hi - loop.lo <= SHORT
    together = LEAST_OF_SHORT if is_short else LEAST_OF_LONG
    return frozenset(name for name, count in found.items() if SCALARS[name].cost >= max(LEAST_COST, together / count))


def called(w: Function, name: str, code: Callable[..., Ssa], values: Sequence[Ssa], kind: str) -> Ssa:
    """The function of values of one type, by a call."""
    full = f".{name}.{kind}.{'.'.join(v.type.strip('<>').replace(' ', '') for v in values)}"
    if full not in w.declared:
        w.declare(full, definition(w, full, code, values, kind))
    given = ", ".join([f"{v.type} {v.name}" for v in values])
    a = values[0]
    return w.pure(f"call {a.type} @{full}({given}) #0", a.kind, a.lanes, max(w.branch_depth, *[v.depth for v in values]))


def definition(w: Function, full: str, code: Callable[..., Ssa], values: Sequence[Ssa], kind: str) -> str:
    """The function as text."""
    inner = Function()
    inner.processor = w.processor
    given = [Ssa(f"%.v{k}", v.kind, v.lanes) for k, v in enumerate(values)]
    result = code(inner, *given, kind)
    inner.block.end = f"ret {result.type} {result.name}"
    w.declared.update(inner.declared)
    parameters = ", ".join([f"{v.type} {v.name}" for v in given])
    return "\n".join([f"define internal {result.type} @{full}({parameters}) #0 {{", *inner.lines(), "}"])
