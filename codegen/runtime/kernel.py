"""Kernel: what `compile` returns.  Planned and built at the first call or the first look, then only called."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any

import numpy as np
from msgspec import Struct, field

from codegen.backends.fast_calls import CALLS
from codegen.backends.protocol import DirectCall, Executable
from codegen.loop_ir.counts import flops_of, least_bytes
from codegen.loop_ir.nodes import Program
from codegen.loop_ir.text import program_text
from codegen.loop_ir.walks import statements
from codegen.runtime.forks import renewed_in_children
from codegen.runtime.inlined import Inlined
from codegen.runtime.storage import Frame, Storage, fresh_outputs, given_outputs
from symdiff.binding.arguments import NO_DEMANDS, Argument, Binder, values_by_name
from symdiff.binding.demands import Demands
from symdiff.errors import ArgumentMismatch, BackendUnavailable, TypeMismatch

Array = np.ndarray[Any, Any]
Tree = Any
# Up to this size the lock of the interpreter is kept for a call: some ten microseconds.
SMALL_BYTES, SMALL_FLOPS = 1 << 17, 100_000
# The most scratch that calls past Python hold; where more is needed, what Python takes is little beside the work.
MOST_HELD = 1 << 22
# Up to this size, a named size is worth code of its own: loops of few turns are written out, or fill vectors.
SMALL_SIZE = 128


class Planned(Struct, frozen=True):
    """A planned kernel.

    `build` compiles it, once; `source` writes it for people, `listings` give other forms of it; `seconds` is what each
    station before took.
    """

    program: Program
    source: Callable[[], str]
    build: Callable[[], Executable]
    explanation: Callable[[], str] = str
    seconds: dict[str, float] = field(default_factory=dict)
    constants: tuple[Array, ...] = ()
    stations: Callable[[Sequence[Array], dict[str, int]], list[tuple[str, list[Array]]]] | None = None
    listings: Mapping[str, Callable[[], str]] = field(default_factory=dict)


class Variant:
    """A planned kernel and what is built for it; `sizes` says for people for which named sizes it was planned.

    Where it is `fixed`, these stand in the code as numbers; else it is right for every size.
    """

    def __init__(self, planned: Planned, sizes: Mapping[str, int | str], fixed: bool) -> None:
        self.planned, self.sizes, self.fixed = planned, dict(sizes), fixed
        self.storage = Storage(planned.program)
        self.executable: Executable | None = None
        self.build_seconds = 0.0
        self.calls = 0


class Kernel:
    """A compiled function: takes values for the inputs, by position or by name, and returns the outputs.

    `plan` is called with the sizes of a call, or None where someone looks before any call, and those of them that may stand in
    the code as numbers: the small ones, for up to `most_variants` sets of them.  All further calls are served by code that is
    right for every size, planned by the sizes of the first call in which the same of them are small.
    `unflatten` turns the list of outputs into the user's structure, `flatten` does the reverse for `out=`; `structure` is a tree
    of that kind, `names` are the places of the outputs there, as errors tell them.
    """

    def __init__(self, plan: Callable[[dict[str, int] | None, dict[str, int]], Planned], arguments: Sequence[Argument],
                 unflatten: Callable[[list[Any]], Tree], flatten: Callable[[Tree], list[Any]], *,
                 formula: Callable[[], str] = str, check: bool = False, names: Sequence[str] = (),
                 demands: Demands = NO_DEMANDS, structure: Tree = None, threads: int = 1, most_variants: int = 0) -> None:
        self.plan, self.unflatten, self.flatten, self.names = plan, unflatten, flatten, names
        self.structure = structure
        self.binder = Binder(arguments, check, demands=demands)
        self.formula_text, self.threads = formula, threads
        self.lock = threading.RLock()
        renewed_in_children(self)
        self.most_variants = most_variants
        self.variants: dict[tuple[tuple[str, int | str], ...], Variant] = {}
        # Sizes and variant of the latest call, at one: other threads read them.
        self.last: tuple[dict[str, int], Variant] | None = None
        self.scratch_bytes = 0
        # What a call must ask besides shapes, dtypes, and between which numbers elements lie, is asked in Python.
        # A size that is told by a number is an array there.
        self.goes_past = not check and not any(a.is_size for a in arguments)
        self.last_shapes: list[tuple[int, ...]] | None = None
        # The function for calls that go past Python, the variant that it runs, and the shapes that one was last asked for.
        self.fast: Any = None
        self.fast_variant: Variant | None = None
        self.tried_shapes: list[tuple[int, ...]] | None = None

    def __repr__(self) -> str:
        return f"Kernel({', '.join(a.name for a in self.binder.arguments)})"

    def __copy__(self) -> Kernel:
        return self  # as Python's functions do

    def __deepcopy__(self, _: Any) -> Kernel:
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        raise TypeMismatch("a kernel is code of this process, and is not pickled", where=repr(self),
                           mend="pickle the expressions, and compile them again: what is kept on disk loads in milliseconds")

    def __call__(self, /, *args: Any, out: Tree = None, **named: Any) -> Tree:
        """The outputs for the values given; with `out=`, arrays of the same structure, they are written there."""
        if out is None:
            return self.unflatten(self.values(args, named))
        self.refuse_output_as_input(len(args))
        return self.unflatten(self.values(args, named, self.flatten(out)))

    def values(self, args: tuple[Any, ...], named: dict[str, Any], given: list[Any] | None = None) -> list[Any]:
        """The outputs in order, in arrays that are given or in new ones."""
        arrays, sizes = self.binder.bind(args, named)
        variant = self.variant(sizes)
        executable, planned = variant.executable or self.build(variant), variant.planned
        values = self.size_values(planned.program, sizes)
        frame = variant.storage.frame(values)
        targets = fresh_outputs(frame) if given is None else given_outputs(frame, given, arrays, self.names)
        scratch = frame.take()
        try:
            executable([*arrays, *planned.constants, *targets, *scratch], values, self.threads)
        finally:
            frame.give(scratch)
        with self.lock:
            variant.calls += 1
            self.last = sizes, variant
            self.scratch_bytes = max(self.scratch_bytes, frame.scratch_bytes + executable.own_bytes)
        if self.goes_past:
            self.shorten(variant, arrays, sizes, values, frame)
        if given is None:
            return [x if x.ndim else x[()] for x in targets]
        for array, target in zip(given, targets, strict=True):
            if array is not target:
                array[...] = target
        return given

    def shorten(self, variant: Variant, arrays: Sequence[Array], sizes: dict[str, int], values: tuple[int, ...],
                frame: Frame) -> None:
        """Let further calls with arrays of the same shapes go past Python, unless that would hold much storage.

        The instance gets a class of its own, whose `__call__` is the built-in function; every call that differs comes back
        here.  Shapes must be met twice in a row, lest calls in turn build one function after the other, and a kernel that is
        called once waits for what it does not need.
        """
        shapes, before = [a.shape for a in arrays], self.last_shapes
        self.last_shapes = shapes
        executable, planned = variant.executable, variant.planned
        if executable is None or shapes == self.tried_shapes or shapes != before or not executable.is_settled(
                values, self.threads):
            return
        self.tried_shapes = shapes
        if frame.scratch_bytes > MOST_HELD:
            return
        size = frame.scratch_bytes + sum(a.nbytes for a in arrays)
        large = size > SMALL_BYTES or flops_of(planned.program, sizes) > SMALL_FLOPS
        ranges = self.binder.check_positions.ranges(sizes)
        if ranges is None:
            return
        with self.lock:
            call = DirectCall([a.name for a in self.binder.arguments], arrays, planned.constants, frame.outputs, frame.take(),
                              values, self.structure, MethodType(Kernel.__call__, self), ranges, large, self.threads)
            fast = executable.direct(call)
            if fast is None:
                self.goes_past = False
                frame.give(list(call.scratch))
                return
            self.count_fast_calls()
            self.fast, self.fast_variant = fast, variant
            members = {"__slots__": (), "__call__": fast, "__module__": __name__, "__doc__": Kernel.__doc__}
            self.__class__ = type("Kernel", (Kernel,), members)

    def fast_calls(self) -> int:
        """How many calls went past Python."""
        return 0 if self.fast is None else int(self.fast.__self__[CALLS])

    def count_fast_calls(self) -> None:
        """Give the calls of the present fast function to its variant, before another one takes its place."""
        if self.fast_variant is not None:
            self.fast_variant.calls += self.fast_calls()

    def refuse_output_as_input(self, given: int) -> None:
        """Raise `ArgumentMismatch` for `out=` where an input of that name has no value by position."""
        if any(a.name == "out" for a in self.binder.arguments[given:]):
            raise ArgumentMismatch("out= means the arrays for the outputs, but an input is named out too",
                                   where=f"f({', '.join(a.name for a in self.binder.arguments)})",
                                   mend="pass the input by position, or rename its symbol")

    def size_values(self, program: Program, sizes: dict[str, int]) -> tuple[int, ...]:
        """The sizes in the program's order."""
        try:
            return tuple([sizes[name] for name in program.sizes])
        except KeyError as missing:
            raise ArgumentMismatch(f"size {missing.args[0]} is not told by the shape of any input",
                                   mend=f"add an input that has {missing.args[0]} as an axis, or the size itself") from None

    def variant(self, sizes: dict[str, int]) -> Variant:
        """The variant that serves calls of these sizes, planned when it is first asked for."""
        last = self.last
        if last is not None and sizes == last[0]:
            return last[1]
        named = sorted(sizes.items())
        small = {name: size for name, size in named if size <= SMALL_SIZE}
        found = self.variants.get(tuple(small.items()))
        if found is not None and small:
            return found
        with self.lock:
            special = sum(1 for v in self.variants.values() if v.fixed)
            fixed = small if special < self.most_variants else {}
            told: Mapping[str, int | str] = fixed or {
                name: f"{'≤' if name in small else '>'} {SMALL_SIZE}" for name, _ in named}
            key = tuple(told.items())
            if key not in self.variants:
                if not fixed and len(self.variants) - special >= max(self.most_variants, 1):
                    return next(v for v in self.variants.values() if not v.fixed)
                self.variants[key] = Variant(self.plan(sizes, fixed), told, bool(fixed))
            return self.variants[key]

    def looked_at(self, sizes: dict[str, int] | None = None) -> Variant:
        """The variant that someone looks at before any call: for every size, planned by these sizes the first time."""
        with self.lock:
            if () not in self.variants:
                self.variants[()] = Variant(self.plan(sizes, {}), {}, False)
            return self.variants[()]

    def planned(self, sizes: dict[str, int] | None = None) -> Planned:
        """The plan of the latest call; before any call, or for sizes that are given, the one for every size."""
        if sizes is None and self.last is not None:
            return self.last[1].planned
        return self.looked_at(sizes).planned

    def build(self, variant: Variant) -> Executable:
        """The executable of a variant, built when it is first asked for."""
        with self.lock:
            if variant.executable is None:
                seconds = variant.planned.seconds
                start, emitted = time.perf_counter(), seconds.get("emit", 0.0)
                executable = variant.planned.build()
                # The code is written on the way, unless it was kept: that is told apart.
                variant.build_seconds = time.perf_counter() - start - seconds.get("emit", 0.0) + emitted
                variant.executable = executable
            return variant.executable

    @property
    def source(self) -> str:
        """The kernel as Python that runs on its own with NumPy and Numba."""
        return self.planned().source()

    @property
    def llvm(self) -> str:
        """The LLVM IR that was compiled; raises `BackendUnavailable` for a target that has none."""
        return self.listing("llvm")

    @property
    def assembly(self) -> str:
        """The instructions of the processor; raises `BackendUnavailable` for a target that does not tell them."""
        return self.listing("assembly")

    def listing(self, name: str) -> str:
        """One of the other forms of the code."""
        found = self.planned().listings.get(name)
        if found is None:
            raise BackendUnavailable(f"a kernel of this target has no {name}", mend="compile with target=\"cpu\"")
        return found()

    @property
    def loop_ir(self) -> str:
        """The program that the source was emitted from."""
        return program_text(self.planned().program)

    @property
    def formula(self) -> str:
        """The outputs as formulas."""
        return self.formula_text()

    @property
    def njit(self) -> Any:
        """The kernel for the user's own Numba code: takes the inputs in order, returns an output or a tuple of them.

        Positions in arrays of integers are not looked at there: what would be read outside of its axis is 0.
        """
        variant = self.looked_at()
        return Inlined(self.build(variant).inline(variant.planned.constants), self.binder)

    def explain(self, check: Mapping[Any, Any] | None = None) -> str:
        """Where each step of the formulas went; with `check`, values of the inputs, also where numbers part.

        With values the outputs are computed after every station (expressions as written, simplified, ordered; the loop IR;
        the kernel), and each station is told by its largest difference from the first, relative to the largest value.
        """
        if check is None:
            return self.planned().explanation()
        named = values_by_name(check, "f.explain")
        arrays, sizes = self.binder.bind((), named)
        planned = self.variant(sizes).planned
        assert planned.stations is not None
        results = planned.stations(arrays, sizes)
        first, last = results[0][1], self.flatten(self(*arrays))
        lines = [planned.explanation(), "station: largest relative difference from the formulas as written"]
        for name, values in [*results[1:], ("kernel", last)]:
            worst = max((relative_difference(a, b) for a, b in zip(values, first, strict=True)), default=0.0)
            lines.append(f"  {name}: {worst:.1e}")
        return "\n".join(lines)

    def stats(self) -> dict[str, Any]:
        """What is known of the kernel: sizes of the program, seconds of each station, calls, scratch bytes of the largest call.

        `cache` is "hit" for machine code from the disk, "miss" for code that was compiled and kept there, "off" or
        "refused: " and why for code that is not kept, None before it is built.
        `threads` is the most that a call uses; `flops` and `bytes` are those of the last call (of arguments and outputs, each
        once), None before the first.
        """
        sizes, variant = self.last or (None, self.looked_at())
        planned, executable = variant.planned, variant.executable
        program = planned.program
        seconds = dict(planned.seconds)
        if executable is not None:
            seconds["build"] = variant.build_seconds
        past = {self.fast_variant: self.fast_calls()}
        variants = [{"sizes": v.sizes, "calls": v.calls + past.get(v, 0)} for v in self.variants.values()]
        return {
            "sections": len(program.sections),
            "buffers": len(program.buffers),
            "statements": sum(1 for section in program.sections for _ in statements(section.body)),
            "source_lines": planned.source().count("\n") + 1,
            "seconds": seconds,
            "cache": None if executable is None else executable.cache,
            "variants": variants,
            "threads": self.threads,
            "calls": sum(v["calls"] for v in variants),
            "scratch_bytes": self.scratch_bytes,
            "flops": None if sizes is None else flops_of(program, sizes),
            "bytes": None if sizes is None else least_bytes(program, sizes),
        }


def relative_difference(value: Array, reference: Array) -> float:
    """max |value − reference| / max |reference|; infinite where one is NaN and the other is not."""
    a, b = np.asarray(value, float), np.asarray(reference, float)
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    same = (a == b) | np.isnan(b)
    if same.all():
        return 0.0
    return float(np.abs(a - b)[~same].max() / max(np.abs(b[np.isfinite(b)]).max(initial=0.0), np.finfo(float).tiny))
