"""What a backend is: passes that schedule a program for its machine, an emitter, and a build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from codegen.loop_ir.nodes import Program
from codegen.runtime.kernel_store import KernelStore

Array = np.ndarray[Any, Any]
Pass = Callable[[Program], Program]


class Code:
    """The code of a program, in chunks as they are written, which is once, when it is first asked for.

    How long the writing took goes into `seconds`.

    >>> code = Code(lambda: iter(("one ", "after the other")))
    >>> code.text(), list(code)
    ('one after the other', ['one ', 'after the other'])
    """

    def __init__(self, emit: Callable[[], Iterable[str]], seconds: dict[str, float] | None = None) -> None:
        self.emit = emit
        self.written: list[str] | None = None
        self.seconds = {} if seconds is None else seconds

    def __iter__(self) -> Iterator[str]:
        if self.written is not None:
            yield from self.written
            return
        chunks: list[str] = []
        taken, begun = 0.0, time.perf_counter()
        for chunk in self.emit():
            chunks.append(chunk)
            taken += time.perf_counter() - begun
            yield chunk
            begun = time.perf_counter()
        self.written, self.seconds["emit"] = chunks, taken

    def text(self) -> str:
        """All of it."""
        return "".join(self)


class BuildOptions(Struct, frozen=True):
    """What a caller may choose about the code: `fast_math` lets sums be reordered and NaN be ignored; `store` keeps it."""

    fast_math: bool = False
    store: KernelStore | None = None

    def choices(self) -> tuple[tuple[str, object], ...]:
        """What has a say in the code, by name: all but where it is kept."""
        return tuple((name, getattr(self, name)) for name in self.__struct_fields__ if name != "store")


class DirectCall(Struct, frozen=True):
    """What a direct call needs: arguments as they were given, where the result goes, and how it is handed back.

    `structure` is a tree like that of the outputs; every call that is not as the first goes to `fallback`.  `ranges` are, by
    the name of an argument, the least and the greatest number that its elements may be, since positions follow from them;
    `gives_lock` says whether other Python threads go on meanwhile, `threads` how many may share a call.
    """

    names: Sequence[str]
    arguments: Sequence[Array]
    constants: Sequence[Array]
    outputs: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]
    scratch: Sequence[Array]
    sizes: Sequence[int]
    structure: Any
    fallback: Callable[..., Any]
    ranges: Mapping[str, tuple[int, int] | tuple[float, float]]
    gives_lock: bool
    threads: int


class Executable(Protocol):
    """A built program; `cache` says how it came: "hit", "miss" or "off", or "refused: " and why nothing is kept.

    `own_bytes` is the most storage that it has used in a call beside what it was given.
    """

    cache: str
    own_bytes: int

    def __call__(self, arrays: Sequence[Array], sizes: Sequence[int], threads: int = 1) -> None:
        """Run on arrays (arguments, constants, outputs, scratch) and sizes, each in the program's order, on so many threads.

        The results do not depend on their number.

        Every array is C-contiguous, aligned, and of the dtype and shape that its buffer states.
        """

    def inline(self, constants: Sequence[Array] = ()) -> Any:
        """A function that the user's own Numba code can call: arrays in, fresh outputs out."""

    def is_settled(self, sizes: Sequence[int], threads: int) -> bool:
        """Whether it is known how calls of these sizes run best, on one thread or on so many."""

    def direct(self, call: DirectCall) -> Callable[..., Any] | None:
        """A function for calls with arrays of the same shapes, faster than going through Python; None where there is none."""


class Backend(Protocol):
    """A target of `compile`."""

    NAME: str
    SCHEDULE: tuple[Pass, ...]
    # How many variants of a kernel there may be whose small named sizes are numbers.
    MOST_VARIANTS: int

    def prepare(self) -> None:
        """Begin what the first kernel will wait for, beside the planning of it."""

    def emit(self, program: Program, options: BuildOptions) -> Iterable[str]:
        """The code of a program, as `build` takes it, in chunks as they are written."""

    def source(self, program: Program, options: BuildOptions) -> str:
        """The program for people: Python that runs on its own, where there is such a thing."""

    def build(self, program: Program, code: Code, options: BuildOptions) -> Executable:
        """Compile the code, or load what was compiled before."""

    def listings(self, code: Code) -> Mapping[str, Callable[[], str]]:
        """Other forms of the code that a person may look at, by name."""
