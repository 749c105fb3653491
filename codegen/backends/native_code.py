"""The machine: what writes machine code for the processor at hand, links it into the process, and keeps it on disk."""

from __future__ import annotations

import ctypes
import math
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from codegen.backends import crew_code, fast_call_code, fast_calls
from codegen.backends.object_keys import text_key
from codegen.backends.piece_writers import SHORT_TURNS, PieceWriters
from codegen.backends.processor_caches import second_cache_bytes
from codegen.backends.protocol import Array
from codegen.emitters.llvm.entries import DATA_OFFSET
from codegen.emitters.llvm.processor import Processor
from codegen.emitters.llvm.split_modules import Pieces
from codegen.runtime import blas
from codegen.runtime.forks import WRITING, renewed_in_children
from codegen.runtime.kernel_store import KernelStore
from symdiff.settings import default_threads

Loaded = TypeVar("Loaded")

# A module of more lines is straight code of thousands of operations, for which LLVM's best takes quadratic time.
LONG = 12_000
# So many lines are written at a time, by whichever thread is free.
PIECE = 1000
# How the code that shares calls is called, without the interpreter's lock.
SHARE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
CALL_SHARED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
# How objects are kept, as `packed` lays them out: code that was kept otherwise has another key.
LAYOUT = "packed objects"


class SharedCalls(NamedTuple):
    """The functions of `shared_call_code` and `crew_code`, and the address of the one that runs a call."""

    share: Callable[[int, int], int]
    call: Callable[[Any, Any, Any], None]
    address: int


class Machine:
    """The processor at hand, and the linker that holds all kernels of the process."""

    def __init__(self) -> None:
        from llvmlite import __version__, binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self.binding = binding
        # llvmlite's lock, which its objects take when they die too.
        known = getattr(getattr(binding.ffi.lib, "_lock", None), "_lock", None)
        WRITING.locks += [known] if hasattr(known, "acquire") else []
        self.cpu = binding.get_host_cpu_name()
        features = binding.get_host_cpu_features()
        self.features = features.flatten()
        avx512 = bool(features.get("avx512f"))
        vector_bytes = 64 if avx512 else 32 if features.get("avx2") else 16
        self.processor = Processor(vector_bytes, second_cache_bytes(), avx512, blas.vector_bytes)
        self.target = binding.Target.from_default_triple()
        self.linker = binding.create_lljit_compiler(self.described(), use_jit_link=True)
        # What machine code depends on beside the program and the options.
        self.circumstances = (LAYOUT, self.target.triple, self.cpu, self.features, vector_bytes, self.processor.cache_bytes, avx512,
                              __version__, binding.llvm_version_info)
        self.count = 0
        self.fast: tuple[Any, list[int]] | None = None
        self.shared: tuple[SharedCalls, Any] | None = None
        self.objects = objects_are_known()
        self.lock = threading.RLock()
        renewed_in_children(self)

    def described(self, opt: int = 3) -> Any:
        """The processor as LLVM knows it.

        Code and constants of a module are loaded side by side, so that they reach one another by short ways, and functions of
        libraries through tables (the small model of code; the large one takes LLVM up to ten times as long).
        """
        return self.target.create_target_machine(cpu=self.cpu, features=self.features, opt=opt, reloc="pic", codemodel="small",
                                                 jit=True)

    @cached_property
    def unlocked(self) -> Callable[[Any, Any], bytes] | None:
        """What writes a module's machine code beside others that do so; None where llvmlite has only one at a time do so.

        LLVM itself has modules of different contexts written at once (that is how its linkers work); the lock is llvmlite's.
        """
        ffi = self.binding.ffi
        try:
            emit, known = ctypes.CDLL(ffi.lib._name).LLVMPY_TargetMachineEmitToMemory, ffi.lib.LLVMPY_TargetMachineEmitToMemory
            emit.argtypes, emit.restype = known.argtypes, known.restype
        except (AttributeError, OSError):
            return None

        def written(target_machine: Any, module: Any) -> bytes:
            with ffi.OutputString() as fault:
                memory = emit(target_machine, module, 1, fault)
                if not memory:
                    raise RuntimeError(str(fault))
            try:
                return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(memory), ffi.lib.LLVMPY_GetBufferSize(memory))
            finally:
                ffi.lib.LLVMPY_DisposeMemoryBuffer(memory)
        return written

    def object_of(self, chunks: Iterable[str], quick: bool = False) -> bytes:
        """The machine code of a module, as `load` takes it; that of a long one is written by several threads, as it is emitted."""
        threads = default_threads() if self.unlocked else 1
        pieces = Pieces(PIECE if threads > 1 else math.inf)
        writers = PieceWriters(self.written, threads - 1)
        lines = 0
        with WRITING:
            try:
                SHORT_TURNS.begin()
                for chunk in chunks:
                    lines += chunk.count("\n")
                    piece = pieces.add(chunk)
                    if piece is not None:
                        writers.give(piece, effort(lines, quick))
                rest = pieces.rest()
                if rest is not None:
                    writers.give(rest, effort(lines, quick), is_last=True)
                writers.help()
            except BaseException:
                writers.stopped = True
                raise
            finally:
                try:
                    writers.end()
                finally:
                    SHORT_TURNS.end()
        return packed(writers.results())

    def written(self, text: str, opt: int) -> bytes:
        """The machine code of one module."""
        described, context = self.described(opt), self.binding.create_context()
        module = self.binding.parse_assembly(text, context)
        try:
            return self.unlocked(described, module) if self.unlocked else described.emit_object(module)
        finally:
            module.close()  # before its context, whoever else holds the two

    def assembly_of(self, text: str) -> str:
        """The machine code of a module, to read."""
        with WRITING:
            return str(self.described(effort(text.count("\n"))).emit_assembly(self.binding.parse_assembly(text)))

    def load(self, code: bytes, *names: str) -> tuple[Any, list[int]]:
        """(what keeps it loaded, the addresses of its functions)."""
        with WRITING, self.lock:
            self.count += 1
            builder = self.binding.JITLibraryBuilder().add_current_process()
            for made in unpacked(code):
                builder = builder.add_object_img(made)
            for name in names:
                builder = builder.export_symbol(name)
            library = builder.link(self.linker, f"kernel{self.count}")
            return library, [library[name] for name in names]

    def fast_call(self, store: KernelStore | None) -> int | None:
        """The address of the code of fast calls; None where the interpreter is not as it takes it to be."""
        if self.fast is None and fast_calls.numpy_functions() is not None:
            # Once, whichever threads ask at the same time: a second library would take the place of one that is in use.
            with WRITING, self.lock:
                if self.fast is None:
                    key = text_key(fast_call_code.CODE, self.circumstances)
                    self.fast, _ = compiled([fast_call_code.CODE], key, store, lambda made: self.load(made, "fast_call"))
        return None if self.fast is None else self.fast[1][0]

    def shared_calls(self, store: KernelStore | None) -> SharedCalls:
        """The code by which threads share a call."""
        if self.shared is None:
            with WRITING, self.lock:
                if self.shared is None:
                    text = crew_code.code(self.target.triple)
                    (library, (share, call)), _ = compiled([text], text_key(text, self.circumstances), store,
                                                           lambda made: self.load(made, "share", "call_shared"))
                    self.shared = SharedCalls(SHARE(share), CALL_SHARED(call), call), library
        return self.shared[0]


def compiled(code: Iterable[str], key: bytes, store: KernelStore | None, load: Callable[[bytes], Loaded],
             quick: bool = False) -> tuple[Loaded, str]:
    """What `load` makes of a module's machine code, and whether that was kept on disk, as `Executable.cache` says it."""
    kept = None if store is None else store.load(key)
    if store is not None and kept is not None:
        try:
            return load(kept), "hit"
        except RuntimeError:
            store.distrust(key, "it does not fit the libraries of this process")
    made = machine().object_of(code, quick)
    loaded = load(made)
    if store is None:
        return loaded, "off"
    store.save(key, made)
    return loaded, f"refused: {store.refused}" if store.refused else "miss"


def effort(lines: int, quick: bool = False) -> int:
    """How hard LLVM works on a module that has so many lines: 3 is its best, 1 takes time linear in the length.

    0 takes a tenth of the time, and has every value in memory between two uses.
    """
    return 0 if quick else 1 if lines > LONG else 3


def packed(objects: Sequence[bytes]) -> bytes:
    """Objects as one sequence of bytes: how many, how long each is, then they themselves."""
    return struct.pack(f"<{len(objects) + 1}Q", len(objects), *map(len, objects)) + b"".join(objects)


def unpacked(code: bytes) -> list[bytes]:
    """The objects that were packed; raises `RuntimeError` for other bytes, as the linker does."""
    count = struct.unpack_from("<Q", code)[0] if len(code) >= 8 else len(code)
    if 8 * (count + 1) > len(code):
        raise RuntimeError("it holds no objects")
    ends = list(accumulate(struct.unpack_from(f"<{count}Q", code, 8), initial=8 * (count + 1)))
    if ends[-1] != len(code):
        raise RuntimeError("it holds other objects than it says")
    return [code[begin:end] for begin, end in pairwise(ends)]


def objects_are_known() -> bool:
    """Whether NumPy's array objects hold the address of their elements where compiled code looks for it."""
    if sys.implementation.name != "cpython":
        return False
    probes: list[Array] = [np.zeros(3), np.zeros((2, 2), np.float32)[1:], np.broadcast_to(np.zeros(1), (4,)), np.zeros(())]
    return all(ctypes.c_void_p.from_address(id(a) + DATA_OFFSET).value == a.ctypes.data for a in probes)


MACHINES: list[Machine] = []
LOCK = threading.Lock()


def machine() -> Machine:
    """The machine, described when it is first asked for."""
    if MACHINES:
        return MACHINES[0]
    with WRITING, LOCK:
        if not MACHINES:
            MACHINES.append(Machine())
        return MACHINES[0]
