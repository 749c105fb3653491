"""The LLVM backend: our own vectorised LLVM IR, turned into machine code by llvmlite alone, without Numba."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from codegen.backends import fast_calls
from codegen.backends.llvm_library import preload
from codegen.backends.native_code import compiled, machine
from codegen.backends.numba_cpu import inlined, load_module
from codegen.backends.object_keys import ChangedSource, object_key, text_key
from codegen.backends.parted_calls import PartedCalls, timed
from codegen.backends.protocol import Array, BuildOptions, Code, DirectCall, Executable, Pass
from codegen.emitters import python
from codegen.emitters.llvm import module as llvm_module
from codegen.emitters.llvm.parts import entry_names
from codegen.loop_ir.nodes import Program
from codegen.loop_ir.walks import parameters, straight_length
from codegen.runtime import blas
from codegen.runtime.forks import renewed_in_children
from codegen.runtime.kernel_store import KernelStore
from codegen.scheduling.independent_parts import with_instances
from codegen.scheduling.schedule import VECTOR_SCHEDULE

# Straight code of so many statements is first written quickly; better code, whose writing takes so many seconds for a
# statement, follows when calls have taken some times as long.
LONG_STRAIGHT, BETTER_SECONDS, PATIENCE = 500, 2e-4, 4
ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Better:
    """Better machine code for a program that runs as quickly written one: when it is worth writing, and who wants it.

    It is written when the calls have taken some times as long as the writing will; results are the same, bit by bit.
    """

    def __init__(self, seconds: float, make: Callable[[], LlvmExecutable]) -> None:
        self.left, self.make = PATIENCE * seconds, make
        self.lock = threading.RLock()
        renewed_in_children(self)
        # The tables of fast calls, and how many calls of each have been counted.
        self.tables: list[tuple[Any, int]] = []

    def is_due(self, seconds: float) -> bool:
        """Whether it is time, after one more call that took so long, and all that went past it."""
        passed = 0
        for k, (table, counted) in enumerate(self.tables):
            now = int(table[fast_calls.CALLS])
            passed += now - counted
            self.tables[k] = table, now
        self.left -= seconds * (1 + passed)
        self.seconds = seconds
        return self.left <= 0

    def follow(self, table: Any) -> None:
        """Let the calls of a table come back when it may be time."""
        table[fast_calls.LIMIT] = max(int(self.left / max(self.seconds, 1e-7)), 1)
        self.tables.append((table, 0))

    def adopt(self, address: int) -> None:
        """Let all tables call the better code."""
        for table, _ in self.tables:
            table[fast_calls.KERNEL], table[fast_calls.LIMIT] = address, fast_calls.NEVER


class LlvmExecutable:
    """A compiled kernel, called by address."""

    cache = "off"
    own_bytes = 0
    store: KernelStore | None = None

    def __init__(self, program: Program, code: bytes, fast_math: bool, better: Better | None = None) -> None:
        self.better = better
        self.library, addresses = machine().load(code, *entry_names(program))
        self.address = addresses[0]
        self.entry = ENTRY(addresses[machine().objects])
        self.program, self.fast_math, self.objects = program, fast_math, machine().objects
        self.arrays = ctypes.c_void_p * max(len(parameters(with_instances(program))), 1)
        self.sizes = ctypes.c_int64 * max(len(program.sizes), 1)
        self.routines = blas.addresses() if llvm_module.multiplies(program) else None
        self.inlined: Any = None
        named = dict(zip(entry_names(program), addresses, strict=True))
        self.parted = PartedCalls(program, named.__getitem__, self.routines) if len(named) > 2 else None

    def __call__(self, arrays: Sequence[Array], sizes: Sequence[int], threads: int = 1) -> None:
        """Run on arrays and sizes in the order of `parameters`; other Python threads go on meanwhile."""
        if self.parted is None:
            self.run(arrays, sizes)
            return
        frame, pace = self.parted.storage(sizes)
        own = frame.take()
        arrays = [*arrays, *own]
        try:
            if threads == 1:
                self.run(arrays, sizes)
            elif pace.threaded():
                given, parted, call = self.sizes(*sizes), self.parted, machine().shared_calls(self.store).call

                def run() -> None:
                    parted.run_threaded(call, arrays, sizes, given, threads)
                if pace.is_short() and not pace.is_settled():
                    run()  # what is timed then is a call of many in a row: nobody sleeps
                timed(pace, True, run)
            else:
                timed(pace, False, lambda: self.run(arrays, sizes))
        finally:
            frame.give(own)
            self.own_bytes = max(self.own_bytes, frame.scratch_bytes + self.parted.part_bytes)

    def run(self, arrays: Sequence[Array], sizes: Sequence[int]) -> None:
        """Run on one thread."""
        places = map(id, arrays) if self.objects else [a.ctypes.data for a in arrays]
        begin = time.perf_counter()
        self.entry(self.arrays(*places), self.sizes(*sizes), self.routines)
        if self.better is not None and self.better.is_due(time.perf_counter() - begin):
            self.turn_into(self.better)

    def turn_into(self, better: Better) -> None:
        """Run better machine code of the same program from now on."""
        with better.lock:
            if self.better is None:
                return
            made = better.make()
            better.adopt(made.address)
            # Another thread may still be in the old code: it stays loaded.
            self.library = (made.library, self.library)
            self.address, self.entry, self.cache, self.better = made.address, made.entry, made.cache, None

    def inline(self, constants: Sequence[Array] = ()) -> Any:
        """The same program through Numba, which inlines it into the user's own code."""
        if self.inlined is None:
            self.inlined = inlined(load_module(python.emit(self.program, self.fast_math)), self.program, constants)
        return self.inlined

    def is_settled(self, sizes: Sequence[int], threads: int) -> bool:
        """Whether it is known how calls of these sizes run best."""
        return self.parted is None or threads == 1 or self.parted.storage(sizes)[1].is_settled()

    def direct(self, call: DirectCall) -> Any:
        """A built-in function for calls on one thread, or on those that share a large call."""
        code = machine().fast_call(self.store)
        if code is None:
            return None
        address, routines, kept = self.address, self.routines, None
        if self.parted is not None:
            frame, pace = self.parted.storage(call.sizes)
            call = replace(call, scratch=[*call.scratch, *frame.take()])
            if call.gives_lock and call.threads > 1 and pace.threaded():
                kept = self.parted.crew(call.sizes, call.threads)
                address, routines = machine().shared_calls(self.store).address, kept.words
        function = fast_calls.bound(code, address, routines, call, kept)
        if self.better is not None:
            self.better.follow(function.__self__)
        return function


class LlvmCpu:
    """Target "cpu"."""

    NAME = "cpu"
    SCHEDULE: tuple[Pass, ...] = VECTOR_SCHEDULE
    MOST_VARIANTS = 4

    def prepare(self) -> None:
        """Load LLVM, which is asked for once a program is planned."""
        preload()

    def emit(self, program: Program, options: BuildOptions) -> Iterable[str]:
        """A module of LLVM IR."""
        return llvm_module.chunks(program, machine().processor, options.fast_math)

    def source(self, program: Program, options: BuildOptions) -> str:
        """The same program as a Python module."""
        return python.emit(program, options.fast_math)

    def build(self, program: Program, code: Code, options: BuildOptions) -> Executable:
        """Load the machine code that is kept on disk, or write the module and compile it."""
        store, key, quick_key, refused = options.store, b"", b"", ""
        length = straight_length(program)
        # With fast_math LLVM may join a product and a sum in one of the two codes alone: their bits would differ.
        quick = length >= LONG_STRAIGHT and not options.fast_math
        if store is not None:
            try:
                library = (machine().processor.library_is_narrow,) if llvm_module.multiplies(program) else ()
                key = object_key(program, (self.NAME, options.choices(), *machine().circumstances, *library))
                quick_key = text_key("quick", (key,)) if quick else b""
            except ChangedSource as fault:
                store, refused = None, f"refused: {fault}"

        def finished(better: Better | None = None) -> LlvmExecutable:
            executable, state = compiled(code, quick_key if better else key, store,
                                         lambda made: LlvmExecutable(program, made, options.fast_math, better), quick=bool(better))
            executable.cache, executable.store = refused or state, options.store
            return executable
        if quick and (store is None or store.load(key) is None):
            return finished(Better(length * BETTER_SECONDS, finished))
        return finished()

    def listings(self, code: Code) -> Mapping[str, Callable[[], str]]:
        """The module, and the instructions of the processor."""
        return {"llvm": code.text, "assembly": lambda: machine().assembly_of(code.text())}
