"""Programs: from planned roots to sections of nests and the buffers they use.

Each pass over the data is three sections.  `init` computes what needs no sample of this pass and sets accumulators to
their neutral value; `range` computes per-sample nodes tile by tile and folds into the accumulators; what needs the finished
sums is in the `init` of the next pass, or in the `finish` of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from codegen.loop_ir.folds import identity
from codegen.loop_ir.nodes import Buffer, Fill, Fold, Mirror, Program, Role, Section, Statement
from codegen.loop_ir.walks import section_buffers
from codegen.lowering.explanation import Note, notes_of
from codegen.lowering.loops import LoopNests
from codegen.lowering.nests import Nests, fold_of, use_counts
from codegen.lowering.scopes import Names
from codegen.planning.costs import Hints
from codegen.planning.cuts import parts, plan_passes, tile_rows
from codegen.planning.layouts import choose_layouts
from codegen.planning.matrices import Layouts, MatrixForm, matrix_form
from codegen.planning.passes import Passes, is_leaf, is_of_numbers
from symdiff.expression import Constant, Node, Product, Symbol
from symdiff.gathers import children_read
from symdiff.loops import deep, is_scan, loop_of
from symdiff.sizes import Size, named_sizes
from symdiff.traversal import topological


class Lowered(Struct, frozen=True):
    """A program, the arrays of its constant buffers, and what was stored or recomputed, for people."""

    program: Program
    constants: tuple[np.ndarray[Any, Any], ...]
    notes: Callable[[], list[Note]]


def lower(roots: Sequence[Node], inputs: Sequence[Symbol], hints: Hints) -> Lowered:
    """The program that computes the roots (in order, one out buffer each) from the inputs."""
    distinct = list(dict.fromkeys(roots))
    everything = topological(distinct, children_read)
    passes, stored = plan_passes(everything, distinct, hints)
    order = [node for node in everything if node in stored and not is_leaf(node)]
    layouts = choose_layouts(distinct, everything, stored, passes, hints)
    found = [(node, matrix_form(node, hints, passes.label.get(node), layouts)) for node in order if isinstance(node, Product)]
    # Layouts may make a product of what none was thought to be, and whose operands are stored nowhere then.
    forms: dict[Node, MatrixForm] = {node: form for node, form in found if form is not None and all(
        f.node in stored or is_leaf(f.node) for f in (form.A, form.B))}
    inside = deep(distinct)
    bodies = [body for node in inside if is_scan(node) for body in (*loop_of(node)[0].nexts, *loop_of(node)[0].stacks)]
    naming = Naming(roots, inputs, [*everything, *topological(bodies, children_read)], order, passes, layouts)
    shared = use_counts(everything)
    sections: list[Section] = []
    names = Names()
    count = max(passes.count, 1 + max((passes.level[n] for n in order), default=0))
    ranged = {k for k in range(count) if any(in_range(n, passes) and passes.level[n] == k for n in order)}
    for number in range(count + 1):
        before = [n for n in order if passes.level[n] == number and not in_range(n, passes)]
        during = [n for n in order if passes.level[n] == number and in_range(n, passes)]
        # A sum over samples is whole when its pass is.
        whole = [Mirror(naming.buffers[n], len(forms[n].rows)) for n in order
                 if n in passes.folded and passes.level[n] == number - 1 and n in forms and forms[n].symmetric]
        body = [*fills(during, naming, passes)]
        once = LoopNests(passes, naming.buffers, shared, names, hints, naming.scratch)
        once.elements.layouts = layouts
        for node in before:
            once.compute(node, forms.get(node))
        body = [*whole, *once.statements(), *body]
        if body:
            last = number > 0 and number not in ranged and number - 1 in ranged
            kind = "finish" if last else "init"
            sections.append(Section(kind, number - last, tuple(body)))  # type: ignore[arg-type]
        if during:
            multiplies = any(node in forms and forms[node].columns for node in during)
            rows = tile_rows(during, passes, hints, multiplies)
            nests = Nests(passes, naming.buffers, shared, rows, names)
            nests.elements.layouts = layouts
            for node in during:
                nests.compute(node, forms.get(node))
            cut = parts(everything, passes, number, rows, hints)
            sections.append(Section("range", number, nests.statements(), passes.size, cut=cut))
    if naming.copies:
        nests = Nests(passes, naming.buffers, shared, None, names)
        nests.elements.layouts = layouts
        for name, node in naming.copies:
            nests.copy(name, node)
        sections.append(Section("finish", count, nests.statements()))
    sizes = tuple(sorted({name for buffer in naming.table for s in buffer.shape for name in named_sizes(s)}
                         | {name for node in inside if not is_of_numbers(node) for name in sizes_of(node)}))
    program = kept_whole(Program("kernel", sizes, tuple(naming.table), tuple(sections)))
    return Lowered(program, tuple(naming.constants), lambda: notes_of(everything, naming.buffers, stored, forms, passes,
                                                                                 layouts))


def kept_whole(program: Program) -> Program:
    """The program with every tile buffer that more than one section uses stored at full length.

    Tiles and full buffers are indexed alike, so only the role changes.
    """
    if not any(buffer.role == "tile" for buffer in program.buffers):
        return program
    uses: dict[str, list[str]] = {}
    for section in program.sections:
        for buffer in section_buffers(section, program):
            uses.setdefault(buffer.name, []).append(section.kind)
    return replace(program, buffers=tuple(
        replace(b, role="full") if b.role == "tile" and uses.get(b.name, ["range"]) != ["range"] else b for b in program.buffers))


def sizes_of(node: Node) -> set[str]:
    """The names of sizes that a node mentions."""
    found: set[str] = set()
    sizes: list[Size] = [*node.shape]
    if isinstance(node, Product):
        sizes += node.extents
    if is_scan(node):
        sizes.append(loop_of(node)[0].length)
    if isinstance(node, Constant) and not isinstance(node.value, (np.ndarray, str)):
        sizes.append(node.value)
    for size in sizes:
        found |= named_sizes(size)
    return found


def in_range(node: Node, passes: Passes) -> bool:
    """Whether the node is computed sample by sample, or folds over samples."""
    return node in passes.sample or node in passes.folded


def fills(during: Sequence[Node], naming: Naming, passes: Passes) -> list[Statement]:
    """Neutral values of the accumulators of a pass."""
    return [Fill(naming.buffers[node], identity(fold_of(node), node.dtype)) for node in during if node in passes.folded]


class Naming:
    """Buffers: arguments a0 …, constants c0 …, outputs o0 …, temporaries t0 and so on."""

    def __init__(self, roots: Sequence[Node], inputs: Sequence[Symbol], everything: Sequence[Node], order: Sequence[Node],
                 passes: Passes, layouts: Layouts) -> None:
        self.layouts = layouts
        self.table: list[Buffer] = []
        self.buffers: dict[Node, str] = {}
        self.constants: list[np.ndarray[Any, Any]] = []
        self.symbols: dict[str, str] = {}
        for k, symbol in enumerate(inputs):
            axis = passes.sample.get(symbol)
            self.add(symbol, f"a{k}", "arg", axis)
        for node in everything:
            if isinstance(node, Constant) and isinstance(node.value, np.ndarray) and node not in self.buffers:
                self.add(node, f"c{len(self.constants)}", "const", None)
                self.constants.append(node.value)
        self.copies: list[tuple[str, Node]] = []
        for k, node in enumerate(roots):
            name = f"o{k}"
            if is_leaf(node) or node in self.buffers:
                # An output that is an input, a number, or another output too, is copied at the end.
                self.table.append(Buffer(name, node.dtype, node.shape, "out"))
                self.copies.append((name, node))
            else:
                self.add(node, name, "out", passes.sample.get(node), fold_of(node) if node in passes.folded else None)
        count = 0
        for node in order:
            if node in self.buffers or is_leaf(node):
                continue
            axis = passes.sample.get(node)
            role: Role = "accumulator" if node in passes.folded else "tile" if axis is not None and node not in passes.full \
                and not used_later(node, order, passes) else "full"
            self.add(node, f"t{count}", role, axis, fold_of(node) if node in passes.folded else None)
            count += 1

    def scratch(self, dtype: str, shape: tuple[Size, ...]) -> str:
        """The name of a buffer that no node of the outputs owns."""
        name = f"b{sum(1 for b in self.table if b.name.startswith('b'))}"
        self.table.append(Buffer(name, dtype, shape, "full"))
        return name

    def add(self, node: Node, name: str, role: Role, axis: int | None, fold: Fold | None = None) -> None:
        """One more buffer."""
        shape = tuple([node.shape[k] for k in self.layouts.get(node, range(node.ndim))])
        self.table.append(Buffer(name, node.dtype, shape, role, axis, fold=fold))
        self.buffers[node] = name


def used_later(node: Node, order: Sequence[Node], passes: Passes) -> bool:
    """Whether a stored node of a later pass reads the node, through nodes that are not stored."""
    level = passes.level[node]
    later = [n for n in order if passes.level[n] > level]
    if not later:
        return False
    seen: set[Node] = set()
    stack = [child for n in later for child in children_read(n)]
    boundary = set(order)
    while stack:
        child = stack.pop()
        if child is node:
            return True
        if child in seen or child in boundary:
            continue
        seen.add(child)
        stack.extend(children_read(child))
    return False
