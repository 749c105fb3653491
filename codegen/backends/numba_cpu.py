"""The Numba backend: the Python emitter's source, compiled with Numba for the processor at hand."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from codegen.backends.llvm_library import preload
from codegen.backends.protocol import Array, BuildOptions, Code, DirectCall, Executable, Pass
from codegen.emitters import python
from codegen.loop_ir.nodes import MatMul, MatVec, Program
from codegen.loop_ir.walks import INPUTS, parameters, statements
from codegen.runtime import blas
from codegen.runtime.hashes import sha256
from codegen.scheduling.schedule import SCHEDULE


class NumbaExecutable:
    """A compiled kernel, called through the entry of its one signature, past Numba's dispatch."""

    cache = "off"
    own_bytes = 0

    def __init__(self, module: dict[str, Any], program: Program) -> None:
        import numba
        from numba.core import types

        self.module, self.program = module, program
        self.inlined: Any = None
        kernel = module["kernel"]
        # Arguments are declared read-only, which takes writeable arrays as well: so one signature serves all calls.
        arrays = [types.Array(numba.from_dtype(np.dtype(b.dtype)), len(b.shape), "C",
                              readonly=b.role in INPUTS) for b in parameters(program)]
        signature = (*arrays, *[types.int64] * len(program.sizes))
        kernel.compile(signature)
        kernel.disable_compile()
        self.entry = kernel.overloads[signature].entry_point
        products = any(isinstance(s, (MatMul, MatVec)) for section in program.sections for s in statements(section.body))
        self.context = blas.one_thread if products else nullcontext

    def __call__(self, arrays: Sequence[Array], sizes: Sequence[int], threads: int = 1) -> None:
        """Run on arrays and sizes in the order of `parameters`."""
        with self.context():
            self.entry(*arrays, *sizes)

    def inline(self, constants: Sequence[Array] = ()) -> Any:
        """`run`, compiled: it may be called from the user's own Numba code."""
        if self.inlined is None:
            self.inlined = inlined(self.module, self.program, constants)
        return self.inlined

    def is_settled(self, sizes: Sequence[int], threads: int) -> bool:
        """There is one way."""
        return True

    def direct(self, call: DirectCall) -> None:
        """Numba's own entry is what there is."""


def inlined(module: dict[str, Any], program: Program, constants: Sequence[Array]) -> Any:
    """The `run` of an emitted module, compiled with Numba, its constants already in place."""
    import numba

    run = numba.njit(error_model="numpy")(module["run"])
    if not constants:
        return run
    names = [b.name for b in program.buffers if b.role == "const"]
    given = [b.name for b in program.buffers if b.role == "arg"]
    namespace = {"run": run, **dict(zip(names, constants, strict=True))}
    source = f"def inline({', '.join(given)}):\n    return run({', '.join([*given, *names])})\n"
    exec(compile(source, "<symdiff inline>", "exec"), namespace)
    return numba.njit(error_model="numpy")(namespace["inline"])


class NumbaCpu:
    """Target "numba"."""

    NAME = "numba"
    SCHEDULE: tuple[Pass, ...] = SCHEDULE
    MOST_VARIANTS = 0

    def prepare(self) -> None:
        """Numba loads LLVM too."""
        preload()

    def emit(self, program: Program, options: BuildOptions) -> Iterable[str]:
        """A Python module with njit functions."""
        yield self.source(program, options)

    def source(self, program: Program, options: BuildOptions) -> str:
        """The same, which is what is compiled."""
        return python.emit(program, options.fast_math)

    def build(self, program: Program, code: Code, options: BuildOptions) -> Executable:
        """Execute the module and compile its kernel."""
        return NumbaExecutable(load_module(code.text()), program)

    def listings(self, code: Code) -> Mapping[str, Callable[[], str]]:
        """None: the source is what is compiled."""
        return {}


def load_module(source: str) -> dict[str, Any]:
    """The names that a source defines; tracebacks show its lines."""
    digest = sha256(source.encode()).hexdigest()[:16]
    filename = f"<symdiff kernel {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module: dict[str, Any] = {"__name__": f"symdiff_kernel_{digest}"}
    exec(compile(source, filename, "exec"), module)
    return module
