"""The interpreter as a backend: slow, exact, without a compiler; the oracle of tests and of `explain(check=True)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from codegen.backends.protocol import Array, BuildOptions, Code, DirectCall, Executable, Pass
from codegen.loop_ir.checks import check
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Program
from codegen.loop_ir.text import program_text
from codegen.loop_ir.walks import INPUTS, parameters
from codegen.scheduling.schedule import SCHEDULE
from symdiff.errors import BackendUnavailable


class InterpretedExecutable:
    """A program that is interpreted at each call."""

    cache = "off"
    own_bytes = 0

    def __init__(self, program: Program) -> None:
        self.program = program
        roles = [b.role for b in parameters(program)]
        self.inputs = [k for k, role in enumerate(roles) if role in INPUTS]
        self.outputs = [k for k, role in enumerate(roles) if role == "out"]

    def __call__(self, arrays: Sequence[Array], sizes: Sequence[int], threads: int = 1) -> None:
        """Run on arrays and sizes in the order of `parameters`; scratch is the interpreter's own."""
        inputs = [arrays[k] for k in self.inputs]
        results = interpret(self.program, inputs, dict(zip(self.program.sizes, sizes, strict=True)))
        for k, result in zip(self.outputs, results, strict=True):
            arrays[k][...] = result

    def inline(self, constants: Sequence[Array] = ()) -> Any:
        """Interpreted programs cannot be called from compiled code."""
        raise BackendUnavailable("a kernel of target \"interpreter\" cannot be called from Numba code",
                                 mend="compile with target=\"numba\"")

    def is_settled(self, sizes: Sequence[int], threads: int) -> bool:
        """There is one way."""
        return True

    def direct(self, call: DirectCall) -> None:
        """There is no machine code to call."""


class Interpreted:
    """Target "interpreter"."""

    NAME = "interpreter"
    SCHEDULE: tuple[Pass, ...] = SCHEDULE
    MOST_VARIANTS = 0

    def prepare(self) -> None:
        """There is nothing to wait for."""

    def emit(self, program: Program, options: BuildOptions) -> Iterable[str]:
        """The text of the loop IR, which is what runs."""
        yield self.source(program, options)

    def source(self, program: Program, options: BuildOptions) -> str:
        """The same."""
        return program_text(program)

    def build(self, program: Program, code: Code, options: BuildOptions) -> Executable:
        """Check the program; there is nothing to compile."""
        return InterpretedExecutable(check(program))

    def listings(self, code: Code) -> Mapping[str, Callable[[], str]]:
        """None: the text is what runs."""
        return {}
