"""The identity of programs, and the keys made of it: complete, and the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from codegen.backends import object_keys
from codegen.loop_ir import nodes
from codegen.loop_ir.identity import program_identity
from codegen.loop_ir.nodes import Affine, Buffer, Fill, Literal, Program, Section, Store
from symdiff.sizes import Dim, dim
from tests.codegen import programs
from tests.test_architecture import House

TOP = Path(__file__).parents[2]
BUILDERS = [programs.chain, programs.gradient]


def changed(value: Any) -> Iterator[Any]:
    """Values that differ from this one in one place."""
    if isinstance(value, nodes.ProgramNode):
        for name in value.__struct_fields__:
            if name != "comment":
                yield from (replace(value, **{name: other}) for other in changed(getattr(value, name)))
    elif isinstance(value, tuple):
        if value:
            yield value[:-1]
        for k, item in enumerate(value):
            yield from ((*value[:k], other, *value[k + 1:]) for other in changed(item))
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield f"{value}2"
    elif value is None:
        yield 0
    elif isinstance(value, (int, float, Dim)):
        yield value + 1
    else:
        raise AssertionError(f"a {type(value).__name__} in a program")


@pytest.mark.parametrize("build", BUILDERS)
def test_every_field_counts(build: Any) -> None:
    program = build()
    others = [program_identity(other) for other in changed(program)]
    assert program_identity(program) == program_identity(build())
    assert program_identity(program) not in others and len(set(others)) == len(others) > 50


def program(*body: Any) -> Program:
    """A program of a few statements."""
    return Program("p", ("i", "n"), (Buffer("o0", "float64", (dim("n"),), "out"),), (Section("init", 0, tuple(body)),))


LOOKALIKES = [
    (Fill("o0", Literal(1, "int64")), Fill("o0", Literal(True, "int64"))),
    (Fill("o0", Literal(0.0, "float64")), Fill("o0", Literal(-0.0, "float64"))),
    # A size and a loop of one name.
    (Store("o0", (Affine(dim("i")),), Literal(1.0, "float64")), Store("o0", (Affine(0, (("i", 1),)),), Literal(1.0, "float64"))),
    (Store("o0", (Affine(0, (("i + n", 1),)),), Literal(1.0, "float64")),
     Store("o0", (Affine(dim("n"), (("i", 1),)),), Literal(1.0, "float64"))),
]


@pytest.mark.parametrize(("one", "other"), LOOKALIKES)
def test_lookalikes_are_told_apart(one: Any, other: Any) -> None:
    assert program_identity(program(one)) != program_identity(program(other))


def test_remarks_do_not_count() -> None:
    one, other = (replace(program(), sections=(Section("init", 0, (), comment=text),)) for text in "ab")
    assert program_identity(one) == program_identity(other)


def test_what_is_no_node_is_refused() -> None:
    with pytest.raises(TypeError, match="a object in a program"):
        program_identity(program(object()))


CODE = """
import symdiff as sd
from codegen.backends.object_keys import object_key
from examples import gallery
from tests.fuzz_graphs import generate
for name in {names}:
    p = gallery.GALLERY[name].build()
    print(object_key(sd.compile(sd.value_and_grad(p.loss, p.wrt)).planned().program, ()).hex())
for seed in range(4):
    print(object_key(sd.compile(generate(seed).build()[1]).planned().program, ()).hex())
"""


def test_keys_are_the_same_in_every_process() -> None:
    names = ["logistic", "classifier", "attention_scores", "kalman", "mixture"]
    found = {
        subprocess.run([sys.executable, "-c", CODE.format(names=names)], cwd=TOP, capture_output=True, text=True, check=True,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1 and len(set(found.pop().split())) == len(names) + 4


def test_keys_hold_every_source_that_the_emitter_reads() -> None:
    """What the emitter imports has a say in the code; but for errors, and lines in their messages."""
    house = House.of_folder(TOP)
    told = {".".join(path.relative_to(TOP).with_suffix("").parts) for path in object_keys.sources()}
    waiting, reached = ["codegen.emitters.llvm.module"], set()
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in ("symdiff.errors", "symdiff.provenance"):
            reached.add(name)
            waiting += [i.target for i in house.imports[name] if i.target in house.imports]
    assert reached <= told


def test_kinds_of_nodes_differ_in_their_fields() -> None:
    """A node is written by the names of its fields."""
    kinds = [kind for kind in vars(nodes).values() if isinstance(kind, type) and issubclass(kind, nodes.ProgramNode)]
    named = [frozenset(kind.__struct_fields__) for kind in kinds if kind not in (nodes.ProgramNode, nodes.Walked)]
    assert len(set(named)) == len(named) > 25


def test_numbers_that_no_format_holds_are_written_too() -> None:
    """Integers of more than 64 bits, and NumPy's numbers."""
    large = [program(Store("o0", (Affine(size),), Literal(1.0, "float64"))) for size in (2**70, 2**70 + 1, 2**63, 5)]
    numbers = [program(Fill("o0", Literal(kind(1), "float64"))) for kind in (np.float64, np.float32, np.int64, float)]
    assert len({program_identity(p) for p in (*large, *numbers)}) == 8
