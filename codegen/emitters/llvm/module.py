"""The LLVM emitter: a program as a module of LLVM IR text.

The module holds a function for each section (`init_0`, `range_0` with the ends of its range, `finish_0`), and `kernel`, which
runs them on storage: `void kernel(ptr arrays, ptr sizes, ptr routines)`.  `arrays` points to the addresses of the arrays in
the order of `parameters` (for `kernel_of_objects` to NumPy's array objects, which hold their address at DATA_OFFSET), `sizes`
to the named sizes, `routines` to the addresses of the BLAS routines of `ROUTINES`.  No address and no text of the user stands
in the module, so it may be kept.  A program with matrix products sets BLAS to one thread, and back in the end.

Where a range is cut into parts, `codegen.emitters.llvm.parts` writes `kernel`, and with it entries for the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from codegen.emitters.llvm.entries import (
    STORAGE,
    Callee,
    EntryWriter,
    call_section,
    callee,
    entry_text,
    size_names,
)
from codegen.emitters.llvm.equal_nests import NestCall, shared_nests
from codegen.emitters.llvm.instructions import Ssa
from codegen.emitters.llvm.lanes import whole_rows
from codegen.emitters.llvm.parts import cut_kernel, objects_text
from codegen.emitters.llvm.processor import USUAL, Processor
from codegen.emitters.llvm.products import ProductWriter
from codegen.emitters.llvm.values import NOWHERE
from codegen.loop_ir.nodes import MatMul, MatVec, Nest, Program, Statement
from codegen.loop_ir.walks import buffers_of, parameters, section_name, statements, tile_rows, written
from codegen.runtime.blas import ROUTINES
from codegen.scheduling.independent_parts import with_instances

HEAD = f"""\
{NOWHERE} = private unnamed_addr constant [64 x i8] zeroinitializer, align 64
attributes #0 = {{ nounwind willreturn memory(none) }}
"""
# Where BLAS has no such functions, these stand for them.
STUBS = """
define internal i32 @.tell() {
  ret i32 1
}

define internal void @.keep(i32 %.n) {
  ret void
}
"""
# The number of threads is set only where it is another one, and by null addresses never.
ONE_THREAD = [
    f"%.told = getelementptr inbounds ptr, ptr %.routines, i64 {len(ROUTINES)}", "%.given = load ptr, ptr %.told, align 8",
    f"%.set = getelementptr inbounds ptr, ptr %.routines, i64 {len(ROUTINES) + 1}", "%.put = load ptr, ptr %.set, align 8",
    "%.none = icmp eq ptr %.given, null", "%.get = select i1 %.none, ptr @.tell, ptr %.given", "%.threads = call i32 %.get()",
    "%.one = icmp eq i32 %.threads, 1", "%.switch = select i1 %.one, ptr @.keep, ptr %.put", "call void %.switch(i32 1)",
]
# So many addresses are read from array objects where they are needed; more are put into a table first.
FEW_ARRAYS = 16
AS_BEFORE = "call void %.switch(i32 %.threads)"


def emit(program: Program, processor: Processor = USUAL, fast_math: bool = False) -> str:
    """The module of a program for a processor."""
    return "".join(chunks(program, processor, fast_math))


def chunks(program: Program, processor: Processor, fast_math: bool) -> Iterator[str]:
    """The text of the module as it is written: function by function, each behind what it calls and declares first."""
    yield HEAD
    declared: dict[str, str] = {}
    callees: list[Callee] = []
    taken: set[str] = set()
    cut = any(section.cut for section in program.sections)
    program = with_instances(program)
    rows = tile_rows(program)
    calls = shared_nests(program, rows)

    def written(function: Callee, nests: Mapping[int, NestCall], whole: int = 1, tile: int = 0) -> str:
        before = len(declared)
        text = section_function(function, program, rows, processor, fast_math, declared, nests, whole, tile)
        return "\n".join([*[*declared.values()][before:], "", text, ""])
    for call in {call.to.name: call for call in calls.values()}.values():
        yield written(call.to, {}, call.whole, call.rows)
    for section in program.sections:
        if not section.body:
            continue
        called = callee(section_name(section, taken), section, program)
        yield written(called, calls, whole_rows(section))
        for function in (called.clear, called.fold):
            if function is not None:
                yield written(function, calls)
        callees.append(called)
    products = multiplies(program)
    if products:
        yield STUBS
    if cut:
        entries = cut_kernel(program, callees, ONE_THREAD if products else [], [AS_BEFORE] if products else [])
    else:
        entries = [kernel_function(program, callees, False, products),
                   kernel_function(program, callees, True, products) if len(parameters(program)) <= FEW_ARRAYS
                   else objects_text(program)]
    for text in entries:
        yield f"\n{text}\n"


def multiplies(program: Program) -> bool:
    """Whether a program calls BLAS."""
    return any(type(s) is MatMul for section in program.sections for s in nested(section.body))


def nested(body: tuple[Statement, ...]) -> Iterable[Statement]:
    """The statements of a body that holds more than straight code, none of any other: walking through long programs takes time."""
    kinds = {s.__class__ for s in body}
    return statements(body) if any([issubclass(kind, (Nest, MatMul, MatVec)) for kind in kinds]) else ()


def section_function(of: Callee, program: Program, rows: dict[str, int], processor: Processor,
                     fast_math: bool, declared: dict[str, str], nests: Mapping[int, NestCall], whole: int, tile: int) -> str:
    """The function of a section, in which some nests are calls; or that of such a nest, for the range that is one tile.

    `whole` divides the samples of each tile.
    """
    numbers = size_names(program)
    sizes = {size: Ssa(numbers[size], "i64") for size in of.sizes}
    known = buffers_of(program)
    writer = ProductWriter(sizes, {name: known[name] for name in of.storages}, rows)
    writer.processor = processor
    writer.flags = "fast" if fast_math else ""
    writer.nests, writer.tile_rows, writer.whole = nests, tile, whole
    writer.pointers = {name: Ssa(f"%{storage}", "ptr") for name, storage in of.storages.items()}
    changed = {of.storages[name] for s in nested(of.section.body) for name in written(s) if name in of.storages}
    writer.fixed = {name for name, storage in of.storages.items() if storage not in changed}
    ends = []
    if of.section.kind == "range":
        writer.lo, writer.hi = Ssa("%.lo", "i64"), Ssa("%.hi", "i64")
        ends = ["i64 %.lo", "i64 %.hi"]
        writer.tile_start = writer.lo if tile else writer.tile_start
    writer.body(of.section.body)
    writer.block.end = "ret void"
    declared.update(writer.declared)
    given = [*ends, *[f"ptr noalias %{name}" for name in dict.fromkeys(of.storages.values())],
             *[f"i64 {v.name}" for v in sizes.values()], "ptr %.routines"]
    linkage = "internal " if of.name.startswith(".") else ""  # such names are the module's own
    return "\n".join([f"define {linkage}void @{of.name}({', '.join(given)}) {{", *writer.lines(), "}"])


def kernel_function(program: Program, callees: list[Callee], objects: bool, products: bool) -> str:
    """The function that takes the storage apart, addresses or `objects`, and runs the sections in order, maybe with BLAS."""
    writer = EntryWriter(program, ONE_THREAD if products else (), objects)
    for called in callees:
        call_section(writer, called)
    if products:
        writer.do(AS_BEFORE)
    return entry_text("kernel_of_objects" if objects else "kernel", STORAGE, writer)
