"""Functions that take storage apart and call those of the sections: what `kernel` and the entries of parts are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from codegen.emitters.llvm.instructions import Ssa
from codegen.emitters.llvm.products import ProductWriter
from codegen.loop_ir.nodes import Program, Section
from codegen.loop_ir.walks import buffers_of, parameters, section_buffers, section_sizes
from codegen.scheduling.independent_parts import clearing, folding, instance_of
from symdiff.sizes import named_sizes

# Where an array object of NumPy holds the address of its elements; whoever calls `kernel_of_objects` has tried it.
DATA_OFFSET = 16
# Parameters of an entry, and what it hands on to another.
STORAGE = "ptr %.arrays, ptr %.sizes, ptr %.routines"


def size_names(program: Program) -> dict[str, str]:
    """The values that hold the named sizes."""
    return {name: f"%.n{k}" for k, name in enumerate(program.sizes)}


class Callee(Struct, frozen=True):
    """The function of a section: its name, the storage and the sizes that it is given, and what clears and folds instances.

    `storages` has the name of each buffer of the section, with that of the first one there that lies in the same storage: one
    pointer tells of both.
    """

    name: str
    section: Section
    storages: Mapping[str, str]
    sizes: Sequence[str]
    clear: Callee | None = None
    fold: Callee | None = None


def callee(name: str, section: Section, program: Program) -> Callee:
    """The function of a section, under that name."""
    first: dict[int | str, str] = {}
    used = section_buffers(section, program)
    storages = {b.name: first.setdefault(b.name if b.slot is None else b.slot, b.name) for b in used}
    needed = {*section_sizes(section, program), *[n for b in used for size in b.shape for n in named_sizes(size)]}
    found = Callee(name, section, storages, [n for n in program.sizes if n in needed])
    if section.cut is None or not section.cut.gathered:
        return found
    buffers, number = buffers_of(program), section.pass_number
    clear = callee(f"{name}.clear", Section("init", number, clearing(section, buffers)), program)
    fold = folding(section, buffers)
    return replace(found, clear=clear, fold=None if fold is None else callee(f"{name}.fold", fold, program))


def size_lines(program: Program) -> list[str]:
    """The lines that read the sizes."""
    lines = []
    for k, name in enumerate(size_names(program).values()):
        lines += [f"%.q{k} = getelementptr inbounds i64, ptr %.sizes, i64 {k}", f"{name} = load i64, ptr %.q{k}, align 8"]
    return lines


class EntryWriter(ProductWriter):
    """Writes a function that is given the storage, as addresses or as `objects`, and takes from it what each call needs."""

    def __init__(self, program: Program, lines: Sequence[str] = (), objects: bool = False) -> None:
        super().__init__({name: Ssa(number, "i64") for name, number in size_names(program).items()}, {}, {})
        self.places = {b.name: k for k, b in enumerate(parameters(program))}
        self.objects = objects
        for line in (*size_lines(program), *lines):
            self.do(line)

    def address(self, array: str) -> Ssa:
        """The address of an array, told by its place: read where it is needed, as registers for hundreds of them there are not."""
        place = self.here(f"getelementptr inbounds ptr, ptr %.arrays, i64 {array}", "ptr")
        if self.objects:
            holder = self.here(f"load ptr, ptr {place.name}, align 8", "ptr")
            place = self.here(f"getelementptr inbounds i8, ptr {holder.name}, i64 {DATA_OFFSET}", "ptr")
        return self.here(f"load ptr, ptr {place.name}, align 8", "ptr")


def entry_text(name: str, parameters: str, writer: EntryWriter) -> str:
    """The text of a function that ends where its writer stands."""
    writer.block.end = "ret void"
    return "\n".join([f"define void @{name}({parameters}) {{", *writer.lines(), "}"])


def call_section(writer: EntryWriter, to: Callee, ends: tuple[str, str] | None = None, own: tuple[str, ...] = ()) -> None:
    """Call a section's function, over the whole range or between `ends`; for buffers of its `own` it is given instances."""
    if to.section.kind == "range" and ends is None:
        ends = "0", "0" if to.section.extent is None else writer.size(to.section.extent).name
    arrays = [instance_of(name) if name in own else name for name in dict.fromkeys(to.storages.values())]
    given = [*[f"i64 {end}" for end in ends or ()], *[f"ptr {writer.address(str(writer.places[name])).name}" for name in arrays],
             *[f"i64 {writer.sizes[size].name}" for size in to.sizes], "ptr %.routines"]
    writer.do(f"call void @{to.name}({', '.join(given)})")
