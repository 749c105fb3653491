"""Instructions of AVX-512 for floating numbers that fill a register, of which LLVM's own language has none."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.emitters.llvm.instructions import BITS, Function, Ssa, number_text

REGISTER_BITS = 512
SUFFIXES = {"double": "pd", "float": "ps"}
# Rounding as it is set.
CURRENT = Ssa("4", "i32")
# How `getmant` is asked for m in [1, 2), NaN for what is below zero.
MANTISSA = Ssa("8", "i32")
ENTRIES = 16


def fills_register(w: Function, x: Ssa) -> bool:
    """Whether there are these instructions for x: its numbers fill a register of a processor that has them."""
    return w.processor.avx512 and x.lanes * BITS[x.kind] == REGISTER_BITS


def instruction(w: Function, name: str, x: Ssa, *given: Ssa) -> Ssa:
    """The value, of x's type, of an intrinsic of x86's."""
    full = f"llvm.x86.avx512.{name}"
    w.declare(full, f"declare {x.type} @{full}({', '.join([v.type for v in given])})")
    written = ", ".join([f"{v.type} {v.name}" for v in given])
    return w.pure(f"call {x.type} @{full}({written})", x.kind, x.lanes, max([v.depth for v in given]))


def unmasked(w: Function, name: str, x: Ssa, *more: Ssa) -> Ssa:
    """Such an instruction in all lanes."""
    return instruction(w, f"mask.{name}.{SUFFIXES[x.kind]}.512", x, x, *more, x, Ssa("-1", f"i{x.lanes}"), CURRENT)


def times_power(w: Function, x: Ssa, k: Ssa) -> Ssa:
    """x · 2^⌊k⌋, rounded once."""
    return unmasked(w, "scalef", x, k)


def looked_up(w: Function, table: Sequence[float], at: Ssa, x: Ssa) -> Ssa:
    """The entry of sixteen, of x's type, at the last four bits of an integer in each lane."""
    numbers = [f"{x.kind} {number_text(v, x.kind)}" for v in table]
    parts = [Ssa(f"<{', '.join(numbers[k:k + x.lanes])}>", x.kind, x.lanes) for k in range(0, ENTRIES, x.lanes)]
    if len(parts) == 1:
        return instruction(w, "permvar.sf.512", x, parts[0], at)
    return instruction(w, "vpermi2var.pd.512", x, parts[0], at, parts[1])


def exponent(w: Function, x: Ssa) -> Ssa:
    """k with |x| = 2ᵏ m and 1 ≤ m < 2, as a number; −∞ of 0, ∞ of ∞."""
    return unmasked(w, "getexp", x)


def mantissa(w: Function, x: Ssa) -> Ssa:
    """m with x = 2ᵏ m and 1 ≤ m < 2, or 1 of infinity; NaN of what is below zero."""
    return unmasked(w, "getmant", x, MANTISSA)


def inverse_root(w: Function, x: Ssa) -> Ssa:
    """1/√x, to 14 bits."""
    return instruction(w, f"rsqrt14.{SUFFIXES[x.kind]}.512", x, x, x, Ssa("-1", f"i{x.lanes}"))
