"""The explanation of a kernel: its passes, what each reads and computes, and what was stored or recomputed, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from codegen.loop_ir.counts import body_flops
from codegen.loop_ir.nodes import Buffer, Program, Section, TileLoop
from codegen.loop_ir.walks import INPUTS, buffers_of, part_ends, section_buffers, storage_shape, tile_rows
from codegen.planning.costs import Hints
from codegen.planning.matrices import Layouts, MatrixForm
from codegen.planning.passes import Passes, is_leaf
from symdiff.expression import Node
from symdiff.gathers import children_read
from symdiff.simplification.rule import brief

MOST_NOTES = 40
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


class Note(Struct, frozen=True):
    """What became of a value: its formula, the buffer that it is stored in (none: it is recomputed), how, and why."""

    formula: str
    buffer: str
    how: str
    why: str


def notes_of(order: Sequence[Node], buffers: Mapping[Node, str], stored: Mapping[Node, str], forms: Mapping[Node, MatrixForm],
             passes: Passes, layouts: Layouts) -> list[Note]:
    """Notes of the stored values, in order, then of those that several readers compute each for themselves."""
    users: dict[Node, int] = {}
    for node in order:
        for child in dict.fromkeys(children_read(node)):
            users[child] = users.get(child, 0) + 1
    notes = []
    for node in order:
        if node in stored and node in buffers and not is_leaf(node):
            how = "matrix product" if node in forms else "folded over samples" if node in passes.folded else \
                "per sample" if node in passes.sample else "once"
            if node in layouts:
                how += f", axes in the order {', '.join(map(str, layouts[node]))}"
            notes.append(Note(brief(node), buffers[node], f"pass {passes.level[node]}, {how}", stored[node]))
    notes += [Note(brief(node), "", f"at {users[node]} places", "cheaper than to store and load it")
              for node in order if users.get(node, 0) > 1 and node.shape and node not in stored and not is_leaf(node)]
    return notes


def explain(program: Program, notes: Sequence[Note], hints: Hints, names: Sequence[str], fixed: Mapping[str, int]) -> str:
    """The explanation of a program at the sizes of the hints: its arguments, sections and storage, and the notes on its values.

    The `fixed` ones of the sizes stand in the program as numbers.
    Operations are counted as `codegen.loop_ir.counts` does; the bytes of a section are those of the arrays that it reads or
    writes outside of the cache, each once.
    """
    buffers, rows = buffers_of(program), tile_rows(program)
    sizes = {name: hints.named(name) for name in program.sizes}
    ranges = [s for s in program.sections if s.kind == "range"]
    told = [*(f"{name} = {value}, a number in the code" for name, value in fixed.items()),
            *(f"{name} = {value}" for name, value in sizes.items())]
    lines = [f"sizes: {'; '.join(told)}"] if told else []
    over = sorted({str(s.extent) for s in ranges})
    lines.append("arguments: " + ", ".join(f"a{k} = {name}" for k, name in enumerate(names)))
    lines.append(f"passes over the data: {len(ranges)}" + (f", along the axis of size {', '.join(over)}" if over else ""))
    for section in program.sections:
        lines.append(section_line(section, program, buffers, sizes, hints))
    scratch = [b for b in program.buffers if b.role not in (*INPUTS, "out")]
    slots = {b.slot if b.slot is not None else b.name for b in scratch}
    lines.append(f"storage: {len(scratch)} buffers in {len(slots)} places, of which the largest has "
                 f"{scaled(max((bytes_of(b, rows, hints) for b in scratch), default=0))}B")
    kept = [note for note in notes if note.buffer in buffers]
    gone = [note for note in notes if note.buffer and note.buffer not in buffers]
    again = [note for note in notes if not note.buffer]
    lines += listed("stored:", [f"{n.buffer}: {buffers[n.buffer].role}, {n.how}, since {n.why}: {n.formula}" for n in kept])
    lines += listed("handed on in registers, never stored:", [n.formula for n in gone])
    lines += listed("recomputed where it is read:", [f"{n.how}, {n.why}: {n.formula}" for n in again])
    return "\n".join(lines)


def listed(title: str, items: Sequence[str]) -> list[str]:
    """A title and its items, indented; nothing where there are none, and not all where they are many."""
    rest = [f"  and {len(items) - MOST_NOTES} more"] if len(items) > MOST_NOTES else []
    return [title, *[f"  {item}" for item in items[:MOST_NOTES]], *rest] if items else []


def section_line(section: Section, program: Program, buffers: Mapping[str, Buffer], sizes: Mapping[str, int], hints: Hints) -> str:
    """One line on a section."""
    used = [b for b in section_buffers(section, program) if b.role != "tile"]
    moved = sum(bytes_of(b, {}, hints) for b in used)
    flops = body_flops(section.body, section, sizes, buffers)
    tiles = [s.rows for s in section.body if isinstance(s, TileLoop)]
    cut = section.cut
    parts = ""
    if cut is not None and section.extent is not None:
        ends = part_ends(cut, hints.value(section.extent))
        parts = f", {len(ends)} parts of {ends[0][1]}"
    return (f"{section.kind} {section.pass_number}: " + (f"tiles of {tiles[0]} rows{parts}, " if tiles else "")
            + f"{scaled(flops)}flop, {scaled(moved)}B: {' '.join(b.name for b in used)}")


def bytes_of(buffer: Buffer, rows: Mapping[str, int], hints: Hints) -> int:
    """The bytes of a buffer as it is stored."""
    return hints.count(storage_shape(buffer, rows)) * np.dtype(buffer.dtype).itemsize


def scaled(number: float) -> str:
    """A number with a unit of thousands, and a space.

    >>> scaled(12345), scaled(0)
    ('12.3 k', '0 ')
    """
    for unit, letter in UNITS:
        if number >= unit:
            return f"{number / unit:.3g} {letter}"
    return "0 "
