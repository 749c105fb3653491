"""Keys of kept machine code: the SHA-256 of all that it depends on.

That is the program, the options, the processor and the format of its objects, LLVM, and the writer of the LLVM IR: the text
of every source file that has a say in it, so that a change of the emitter finds nothing that an older one left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from codegen.loop_ir.identity import program_identity
from codegen.loop_ir.nodes import Program
from codegen.runtime.hashes import sha256

TOP = Path(__file__).parents[2]
# Source files whose text has a say in the machine code of a program; a name of a folder stands for the files in it.
WRITERS = (
    "codegen/emitters/llvm", "codegen/backends/llvm_cpu.py", "codegen/backends/native_code.py", "codegen/backends/object_keys.py",
    "codegen/runtime/blas.py",
    "codegen/loop_ir/arithmetic.py", "codegen/loop_ir/digits.py", "codegen/loop_ir/dtypes.py", "codegen/loop_ir/folds.py",
    "codegen/loop_ir/identity.py", "codegen/loop_ir/nodes.py", "codegen/loop_ir/panels.py", "codegen/loop_ir/references.py",
    "codegen/loop_ir/scalars.py", "codegen/loop_ir/walks.py",
    "codegen/scheduling/independent_parts.py",
    "symdiff/functions/row.py", "symdiff/functions/trigonometric.py", "symdiff/sizes.py",
)
LOADED = time.time()


class ChangedSource(Exception):
    """A source file is not the one that runs, or cannot be read: its text does not tell what the code would be."""


def object_key(program: Program, circumstances: tuple[object, ...]) -> bytes:
    """The key of a program's machine code under circumstances: options, processor, versions, in order.

    Raises `ChangedSource`.
    """
    told = repr(circumstances).encode()
    named = program_identity(program)
    return sha256(b"%s %d %s %d %s" % (writers_digest(), len(told), told, len(named), named)).digest()


def text_key(text: str, circumstances: tuple[object, ...]) -> bytes:
    """The key of the machine code of a module that is known as text."""
    return sha256(repr((text, circumstances)).encode()).digest()


@cache
def writers_digest() -> bytes:
    """The SHA-256 of the source files that have a say; raises `ChangedSource`."""
    total = sha256()
    try:
        for path in sources():
            if path.stat().st_mtime > LOADED:
                raise ChangedSource(f"{path.name} was changed after Python loaded it")
            text = path.read_bytes()
            total.update(b"%s %d %s" % (path.name.encode(), len(text), text))
    except OSError as fault:
        raise ChangedSource(f"the source of the compiler cannot be read: {fault.strerror}") from None
    return total.hexdigest().encode()


def sources() -> Iterator[Path]:
    """The files of WRITERS, in order; raises `OSError`."""
    for name in WRITERS:
        path = TOP / name
        if name.endswith(".py"):
            yield path
        else:
            yield from (path / file for file in sorted(os.listdir(path)) if file.endswith(".py"))
