"""Programs whose ranges are cut: entries for the parts, and `kernel`, which runs them one after the other.

Sections that are not cut and follow each other are a stage.  The module holds, for stages and cut ranges by their place,

    stage_k(ptr arrays, ptr sizes, ptr routines)                    the sections of a stage
    part_k(ptr arrays, ptr sizes, ptr routines, i64 lo, i64 hi)     a part of a range, in instances unless it is the first
    fold_k(ptr arrays, ptr sizes, ptr routines, i64 lo, i64 hi)     some rows of the instances, folded into the buffers
    folds_k(…, i64 lo, i64 hi, ptr addresses, i64 count)            the same for so many sets of instances, in order

Whoever runs the parts at the same time hands each an `arrays` with tiles and instances of its own, and folds in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.emitters.llvm.entries import (
    STORAGE,
    Callee,
    EntryWriter,
    call_section,
    entry_text,
)
from codegen.emitters.llvm.indices import ONE, ZERO
from codegen.emitters.llvm.instructions import Ssa, literal
from codegen.loop_ir.nodes import Cut, Program, Section
from codegen.loop_ir.walks import WHOLE_ROWS, parameters
from codegen.scheduling.independent_parts import instance_of


def stages_of(sections: Sequence[Section]) -> list[range]:
    """The places of sections that are called one after the other; a cut one is a stage alone."""
    stages: list[range] = []
    for place, section in enumerate(sections):
        if section.cut is not None or not stages or sections[stages[-1][0]].cut is not None:
            stages.append(range(place, place + 1))
        else:
            stages[-1] = range(stages[-1].start, place + 1)
    return stages


def entry_names(program: Program) -> list[str]:
    """The names of the functions that are called from outside: two, and where a range is cut those of the stages."""
    names = ["kernel", "kernel_of_objects"]
    if any(section.cut for section in program.sections):
        sections = [section for section in program.sections if section.body]
        for k, stage in enumerate(stages_of(sections)):
            names += [f"stage_{k}"] if sections[stage[0]].cut is None else [f"part_{k}", f"folds_{k}"]
    return names


def cut_kernel(program: Program, callees: Sequence[Callee], head: list[str], tail: list[str]) -> list[str]:
    """The entries, and `kernel`; `head` and `tail` are what it does before and after its stages."""
    kernel = EntryWriter(program, head)
    functions: list[str] = []
    for k, stage in enumerate(stages_of([to.section for to in callees])):
        first = callees[stage[0]]
        entry = EntryWriter(program)
        if first.section.cut is None:
            for place in stage:
                call_section(entry, callees[place])
            functions.append(entry_text(f"stage_{k}", STORAGE, entry))
            kernel.do(f"call void @stage_{k}({STORAGE})")
            continue
        functions.append(part_text(k, first, program))
        if first.fold is not None:
            call_section(entry, first.fold, ("%.lo", "%.hi"))
        functions.append(entry_text(f"fold_{k}", f"{STORAGE}, i64 %.lo, i64 %.hi", entry))
        functions.append(folds_text(k, first.section.cut, program))
        run_parts(kernel, k, first, first.section.cut)
    for line in tail:
        kernel.do(line)
    functions.append(entry_text("kernel", STORAGE, kernel))
    return [*functions, objects_text(program)]


def folds_text(k: int, cut: Cut, program: Program) -> str:
    """The function that folds several sets of instances; `addresses` has those of the first set, then those of the next."""
    writer = EntryWriter(program)
    places = [writer.places[instance_of(name)] for name in cut.gathered]

    def fold() -> None:
        first = writer.times(writer.variables["set"], literal(len(places), "i64"))
        for j, place in enumerate(places):
            source = writer.moved(Ssa("%.addresses", "ptr"), writer.plus(first, literal(j, "i64")), "ptr")
            address = writer.here(f"load ptr, ptr {source.name}, align 8", "ptr")
            target = writer.moved(Ssa("%.arrays", "ptr"), literal(place, "i64"), "ptr")
            writer.do(f"store ptr {address.name}, ptr {target.name}, align 8")
        writer.do(f"call void @fold_{k}({STORAGE}, i64 %.lo, i64 %.hi)")
    writer.turns("set", ZERO, Ssa("%.count", "i64"), ONE, (), fold)
    return entry_text(f"folds_{k}", f"{STORAGE}, i64 %.lo, i64 %.hi, ptr %.addresses, i64 %.count", writer)


def part_text(k: int, to: Callee, program: Program) -> str:
    """The function of a part."""
    assert to.section.cut is not None
    writer = EntryWriter(program, ["%.first = icmp eq i64 %.lo, 0"])
    start, sides, after = writer.block, (writer.begin_block(), writer.begin_block()), writer.begin_block()
    start.end = f"br i1 %.first, label %{sides[0].label}, label %{sides[1].label}"
    for own, block in zip(((), to.section.cut.gathered), sides, strict=True):
        writer.move_to(block)
        if own and to.clear is not None:
            call_section(writer, to.clear)
        call_section(writer, to, ("%.lo", "%.hi"), own)
        block.end = f"br label %{after.label}"
    writer.move_to(after)
    return entry_text(f"part_{k}", f"{STORAGE}, i64 %.lo, i64 %.hi", writer)


def run_parts(writer: EntryWriter, k: int, to: Callee, cut: Cut) -> None:
    """Run the parts of a range in order, and fold each but the first; they end where `part_ends` says."""
    section = to.section
    rows_folded = ZERO if to.fold is None or to.fold.section.extent is None else writer.size(to.fold.section.extent)
    samples = literal(0, "i64") if section.extent is None else writer.size(section.extent)
    count = writer.quotient("udiv", samples, literal(cut.rows, "i64"))
    count = writer.smaller(count, literal(cut.most, "i64"))
    share = writer.select(writer.compare("icmp ugt", count, literal(4, "i64")), literal(4, "i64"), literal(2, "i64"))
    count = writer.minus(count, writer.quotient("urem", count, share))
    count = writer.select(writer.compare("icmp ugt", count, ONE), count, ONE)
    span = writer.times(count, literal(WHOLE_ROWS, "i64"))
    vectors = writer.quotient("udiv", writer.plus(samples, writer.minus(span, ONE)), span)
    rows = writer.times(vectors, literal(WHOLE_ROWS, "i64"))
    before = writer.block
    head, part, again, after = [writer.begin_block() for _ in range(4)]
    before.end = f"br label %{head.label}"
    head.phis.append(f"%.lo{k} = phi i64 [ 0, %{before.label} ], [ %.next{k}, %{again.label} ]")
    writer.move_to(head)
    writer.do(f"%.more{k} = icmp ult i64 %.lo{k}, {samples.name}")
    head.end = f"br i1 %.more{k}, label %{part.label}, label %{after.label}"
    writer.move_to(part)
    writer.do(f"%.next{k} = add i64 %.lo{k}, {rows.name}")
    writer.do(f"%.last{k} = icmp ugt i64 %.next{k}, {samples.name}")
    writer.do(f"%.hi{k} = select i1 %.last{k}, i64 {samples.name}, i64 %.next{k}")
    writer.do(f"call void @part_{k}({STORAGE}, i64 %.lo{k}, i64 %.hi{k})")
    writer.do(f"%.first{k} = icmp eq i64 %.lo{k}, 0")
    fold = writer.begin_block()
    part.end = f"br i1 %.first{k}, label %{again.label}, label %{fold.label}"
    writer.move_to(fold)
    writer.do(f"call void @fold_{k}({STORAGE}, i64 0, i64 {rows_folded.name})")
    fold.end = f"br label %{again.label}"
    again.end = f"br label %{head.label}"
    writer.move_to(after)


def objects_text(program: Program) -> str:
    """`kernel_of_objects`, which gives `kernel` the addresses."""
    count = len(parameters(program))
    writer = EntryWriter(program, [f"%.table = alloca ptr, i64 {max(count, 1)}"], objects=True)

    def move() -> None:
        k = writer.variables["array"].name
        address = writer.address(k)
        target = writer.here(f"getelementptr inbounds ptr, ptr %.table, i64 {k}", "ptr")
        writer.do(f"store ptr {address.name}, ptr {target.name}, align 8")
    writer.turns("array", ZERO, literal(count, "i64"), ONE, (), move)
    writer.do("call void @kernel(ptr %.table, ptr %.sizes, ptr %.routines)")
    return entry_text("kernel_of_objects", STORAGE, writer)
