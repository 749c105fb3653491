"""Modules in pieces, whose machine code several threads write: the same functions, the same bits."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends import native_code
from codegen.backends.native_code import packed, unpacked
from codegen.backends.piece_writers import SHORT_TURNS
from codegen.emitters.llvm.split_modules import Pieces

RNG = np.random.default_rng(11)
FUNCTION = re.compile(r"^define .*?^}", re.DOTALL | re.MULTILINE)
n = sd.dim("n")


def network() -> tuple[Any, list[Any]]:
    """Matrix products in registers and by BLAS, over a range that is cut into parts."""
    X, W, V = sd.symbol("X", (n, 24)), sd.symbol("W", (24, 40)), sd.symbol("V", (40, 3))
    loss = sd.mean(sd.logsumexp(sd.tanh(X @ W) @ V, axis=1))
    return sd.value_and_grad(loss, [W, V]), [RNG.normal(size=s) for s in ((500, 24), (24, 40), (40, 3))]


def rows_of_a_matrix() -> tuple[Any, list[Any]]:
    """Passes over samples with exponentials, constants and tiles."""
    X, w = sd.symbol("X", (n, 70)), sd.symbol("w", 70)
    return sd.value_and_grad(sd.sum(sd.softplus(X @ w) ** 2), [w]), [RNG.normal(size=(300, 70)), RNG.normal(size=70)]


def straight_code() -> tuple[Any, list[Any]]:
    """Some thousand scalar operations, which are quick code first."""
    x = sd.symbol("x", 6)
    values = [x[i] for i in range(6)]
    for _ in range(60):
        values.append(sd.sin(values[-1]) * values[-5] + values[-3])
    return sd.value_and_grad(values[-1], x), [RNG.normal(size=6) / 4]


PROGRAMS = [network, rows_of_a_matrix, straight_code]


def flat(results: Any) -> np.ndarray[Any, Any]:
    value, gradient = results
    return np.concatenate([np.ravel(r) for r in (value, *(gradient if isinstance(gradient, (list, tuple)) else [gradient]))])


@pytest.mark.parametrize("threads", ["2", "3", "16"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_code_written_by_several_threads(program: Any, threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, arguments = program()
    monkeypatch.setattr(native_code, "PIECE", 10**9)
    whole = flat(sd.compile(outputs, cache=False)(*arguments))
    counts = []
    monkeypatch.setattr(native_code, "PIECE", 20)
    monkeypatch.setattr(native_code, "packed", lambda objects: counts.append(len(objects)) or packed(objects))
    monkeypatch.setenv("SYMDIFF_THREADS", threads)
    usual = sys.getswitchinterval()
    assert flat(sd.compile(outputs, cache=False, threads=1)(*arguments)).tobytes() == whole.tobytes()
    assert counts[0] > 1 and sys.getswitchinterval() == usual


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_every_function_stands_in_one_piece(program: Any) -> None:
    outputs, arguments = program()
    kernel = sd.compile(outputs, cache=False)
    kernel(*arguments)
    text = kernel.llvm
    functions = [f.replace("define internal", "define") for f in FUNCTION.findall(text)]
    for lines in (1, 60, 10**9):
        pieces = Pieces(lines)
        found = [*map(pieces.add, re.split(r"(?<=^}\n)", text, flags=re.MULTILINE)), pieces.rest()]
        made = [piece for piece in found if piece is not None]
        assert [f for piece in made for f in FUNCTION.findall(piece)] == functions
        assert len(made) == (len(functions) if lines == 1 else 1 if lines > 60 else len(made)) and pieces.rest() is None
        for piece in made:
            native_code.machine().binding.parse_assembly(piece)


def test_without_a_way_past_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where llvmlite has it otherwise, one thread writes."""
    outputs, arguments = rows_of_a_matrix()
    expected = flat(sd.compile(outputs, cache=False)(*arguments))
    monkeypatch.setattr(native_code, "PIECE", 20)
    monkeypatch.setattr(native_code, "packed", lambda objects: packed(objects) if len(objects) == 1 else pytest.fail("pieces"))
    monkeypatch.setattr(native_code.machine(), "unlocked", None)
    assert flat(sd.compile(outputs, cache=False)(*arguments)).tobytes() == expected.tobytes()


def test_a_llvmlite_of_other_names_has_no_way_past_the_lock() -> None:
    class Others:
        _name = native_code.machine().binding.ffi.lib._name

    class Binding:
        class ffi:
            lib = Others()

    machine = native_code.Machine()
    machine.binding = Binding
    assert machine.unlocked is None and native_code.machine().unlocked is not None


def test_faults_of_any_piece_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [f"define i64 @f{k}(i64 %a) {{\n  %b = add i64 %a, {k}\n  ret i64 %{'b' if k != 2 else 'c'}\n}}\n" for k in range(4)]
    monkeypatch.setattr(native_code, "PIECE", 1)
    monkeypatch.setenv("SYMDIFF_THREADS", "4")
    with pytest.raises(RuntimeError, match="undefined value"):
        native_code.machine().object_of(chunks)


def test_a_fault_of_what_emits_ends_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunks() -> Iterator[str]:
        for k in range(3):
            yield f"define i64 @f{k}(i64 %a) {{\n  ret i64 %a\n}}\n"
        raise ValueError("no more")
    monkeypatch.setattr(native_code, "PIECE", 1)
    monkeypatch.setenv("SYMDIFF_THREADS", "4")
    before, usual = threading.active_count(), sys.getswitchinterval()
    with pytest.raises(ValueError, match="no more"):
        native_code.machine().object_of(chunks())
    assert (threading.active_count(), sys.getswitchinterval()) == (before, usual)


@pytest.mark.parametrize("objects", [[], [b""], [b"abc"], [b"abc", b"", b"d"]])
def test_objects_are_packed(objects: list[bytes]) -> None:
    assert unpacked(packed(objects)) == objects


@pytest.mark.parametrize("code", [b"", b"abc", b"\x7fELF\x02\x01\x01" + bytes(57), packed([b"abc"])[:-1], packed([b"abc"]) + b"d"])
def test_other_bytes_are_refused_as_the_linker_does(code: bytes) -> None:
    """An object as it was kept before it was packed, and what is cut short: the kernel is compiled again."""
    with pytest.raises(RuntimeError, match="it holds"):
        unpacked(code)


INTERRUPTED = """
import gc
import symdiff as sd
from codegen.backends import native_code

def interrupted(described, module):
    raise KeyboardInterrupt

x = sd.symbol("x", 3)
machine = native_code.machine()
for k in range(20):
    machine.unlocked = interrupted
    try:
        sd.compile(sd.sin(x) * k + x, [x], cache=False)([1, 2, 3])
    except KeyboardInterrupt:
        pass
    gc.collect()
del machine.unlocked
print(sd.compile(sd.sin(x), [x], cache=False)([0, 0, 0])[0])
"""


def test_an_interrupt_leaves_nothing_that_cannot_be_freed() -> None:
    """What LLVM made is freed in the right order, whatever holds it: else the process ends with the next collection."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["0.0"]), done.stderr


def test_an_interrupt_waits_for_the_threads_that_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while others write is raised once they have ended, so that no fork meets LLVM at work."""
    outputs, arguments = network()
    sd.compile(outputs, cache=False)(*arguments)
    join, before, usual = threading.Thread.join, threading.active_count(), sys.getswitchinterval()
    calls: list[int] = []

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join(thread, timeout)
    monkeypatch.setattr(native_code, "PIECE", 20)
    monkeypatch.setenv("SYMDIFF_THREADS", "4")
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sd.compile(outputs, cache=False)(*arguments)
    assert calls and threading.active_count() == before and not native_code.WRITING.inside
    assert sys.getswitchinterval() == usual


def test_an_interrupt_leaves_turns_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, real = sys.getswitchinterval(), sys.setswitchinterval

    def interrupted(seconds: float) -> None:
        real(seconds)
        monkeypatch.setattr(sys, "setswitchinterval", real)
        raise KeyboardInterrupt
    monkeypatch.setattr(sys, "setswitchinterval", interrupted)
    with pytest.raises(KeyboardInterrupt):
        native_code.machine().object_of(["define void @f() {\n  ret void\n}\n"])
    assert sys.getswitchinterval() == usual
    SHORT_TURNS.begin()
    SHORT_TURNS.begin()
    SHORT_TURNS.end()
    assert sys.getswitchinterval() < usual
    SHORT_TURNS.end()
    assert sys.getswitchinterval() == usual
