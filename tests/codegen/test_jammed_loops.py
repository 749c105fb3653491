"""Turns of loops that are taken together read once what is the same in all lanes, but for what a condition guards."""

from __future__ import annotations

import pytest

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Buffer,
    Call,
    Inside,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Section,
    Value,
)
from codegen.loop_ir.walks import statements, subvalues, values_of
from codegen.scheduling.jammed_loops import jam

ROWS, COLUMNS = 16, 8
BEFORE = Affine(-1, (("i", 1),))
GUARDED = Call("select", (Inside(BEFORE, ROWS), Load("a1", (BEFORE,)), Literal(0.0, "float64")), "float64")
HERE = Load("a1", (Affine(0, (("i", 1),)),))


@pytest.mark.parametrize(("scale", "once"), [(HERE, True), (GUARDED, False)], ids=["read", "guarded"])
def test_what_a_condition_guards_is_read_where_it_stands(scale: Value, once: bool) -> None:
    i, j = (Affine(0, ((name, 1),)) for name in "ij")
    added = Accumulate("add", "o0", (j,), Call("mul", (Load("a0", (i, j)), scale), "float64"))
    nest = Loop("i", 0, ROWS, (Loop("j", 0, COLUMNS, (added,), kind="lane"),))
    buffers = (Buffer("a0", "float64", (ROWS, COLUMNS), "arg"), Buffer("a1", "float64", (ROWS,), "arg"),
               Buffer("o0", "float64", (COLUMNS,), "out"))
    program = jam(Program("kernel", (), buffers, (Section("init", 0, (nest,)),)))
    outer, = program.sections[0].body
    assert isinstance(outer, Loop) and outer.step == 4
    before = [s.value for s in outer.body if isinstance(s, Let)]
    assert [v.buffer for v in before if isinstance(v, Load)] == (["a1"] * 4 if once else [])
    inside = [v for s in statements(outer.body) if not isinstance(s, Let) for value in values_of(s) for v in subvalues(value)]
    assert sum(isinstance(v, Load) and v.buffer == "a1" for v in inside) == (0 if once else 4)
