"""The compiler: from outputs to a kernel, station by station.

| station | input                | output                   | where                              |
|---------|----------------------|--------------------------|------------------------------------|
| plan    | expressions          | expressions, ordered     | `codegen.planning`                 |
| lower   | ordered expressions  | loop IR `Program`        | `codegen.lowering.programs`        |
| check   | program              | the same, proved legal   | `codegen.loop_ir.checks`           |
| schedule| program              | program                  | the backend's `SCHEDULE`           |
| emit    | program              | Python or LLVM IR        | the backend's `emit`               |
| build   | that text            | executable               | the backend's `build`              |

Planning waits for the first call, whose sizes are its hints; the code is valid for every size, but for small named sizes, which
stand in it as numbers where the backend compiles quickly enough to have several variants.  Code that is kept on disk is
loaded instead of emitted and built.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from codegen.backends.protocol import BuildOptions, Code, Executable
from codegen.backends.reference import Reference
from codegen.backends.registry import REFERENCE, backend
from codegen.loop_ir.checks import check as check_program
from codegen.loop_ir.interpreter import interpret
from codegen.loop_ir.nodes import Program
from codegen.lowering.explanation import explain
from codegen.lowering.programs import lower
from codegen.planning.absorbed_loops import absorb_loops
from codegen.planning.common_windows import join_windows
from codegen.planning.contractions import order_contractions
from codegen.planning.costs import Hints
from codegen.planning.dead_carries import drop_dead_carries
from codegen.planning.expansions import expand_functions, narrow_truths
from codegen.planning.gathers import separate_gathers, with_numbers_added
from codegen.planning.hoisting import hoist
from codegen.planning.joint_sums import join_scatters
from codegen.planning.lifted_stacks import lift
from codegen.planning.loops import plan_loops
from codegen.planning.openings import open_contractions
from codegen.planning.passes import are_numbers
from codegen.planning.shared_products import join_companions, share_products
from codegen.planning.shared_terms import share_terms
from codegen.planning.side_by_side import join_parts
from codegen.planning.single_places import without_single_places
from codegen.planning.sinking import sink
from codegen.planning.sliding import sum_over_windows
from codegen.planning.square_roots import take_square_roots
from codegen.planning.windows import write_in_windows
from codegen.runtime.kernel import Kernel, Planned
from codegen.runtime.kernel_store import KernelStore
from symdiff.binding import argument_of, demands_of, refuse_inner, told_size
from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.expression import METHODS, Node, Symbol
from symdiff.long_calls import long_call
from symdiff.loops import is_scan
from symdiff.namesakes import refuse_doubles, refuse_namesakes
from symdiff.option_values import check_number, check_switch
from symdiff.reference import evaluate_nodes
from symdiff.resizing import NotFinite, resized
from symdiff.settings import cache_folder, checks_programs, default_target, default_threads
from symdiff.simplification.phases import before_differentiation
from symdiff.sizes import Dim
from symdiff.tensor_type import dtype_name
from symdiff.traversal import symbols_of, topological
from symdiff.trees import flatten, flatten_like, places

Tree = Any


def compile(outputs: Tree, inputs: Sequence[Node | Dim] | Node | Dim | None = None, *, target: str | None = None, dtype: Any = None,
            threads: int | None = None, cache: bool | str | os.PathLike[str] = True, fast_math: bool = False,
            check: bool = False) -> Kernel:
    """A kernel that computes `outputs` (an expression, or a list, tuple or dict of them) from `inputs`.

    `inputs` is one symbol, or a list or tuple of them; without it the order is that of first appearance.  A named size
    among them is told by a number, as the turns of a loop that no array is as long as.  `target` is
    "cpu" (unless SYMDIFF_TARGET names another), "numba", "numpy" (the reference) or "interpreter" (of the loop IR);
    `check=True` refuses NaN and infinities in arguments, and values that are not as they were declared.  With target "cpu" the
    machine code is kept on disk, in the folder `cache` or (True) in that of `symdiff.settings.cache_folder`; False keeps it in
    memory alone.  Large calls run on at most `threads` threads (target "cpu"; without it SYMDIFF_THREADS, or as many as there are
    processors), with the same results, bit by bit, for any number of them.  An input named `out` is passed by position, as `out=`
    at a call means the arrays for the outputs.
    Raises `TypeMismatch`, `ArgumentMismatch`, `BackendUnavailable`.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", 3)
    >>> f = sd.compile([sd.sum(x**2), 2 * x], target="interpreter")
    >>> f([1.0, 2.0, 3.0])
    [np.float64(14.0), array([2., 4., 6.])]
    """
    leaves, unflatten = flatten(outputs, lambda v: isinstance(v, Node), "expression")
    if not leaves:
        raise TypeMismatch("there is nothing to compile", mend="give at least one expression")
    target = default_target() if target is None else target
    chosen = backend(target)
    check_options(threads, cache, fast_math, check)
    if target != REFERENCE:
        chosen.prepare()
    symbols = chosen_inputs(leaves, inputs)
    if dtype is not None and any(s.dtype != dtype_name(dtype) and s.dtype.startswith("float") for s in symbols):
        raise TypeMismatch(f"dtype={dtype!r} differs from the symbols'", mend="declare the symbols with that dtype")
    options = BuildOptions(fast_math=fast_math, store=store_of(cache))
    arguments = [argument_of(s) for s in symbols]
    structure = unflatten(leaves)

    @long_call
    def plan(sizes: dict[str, int] | None, fixed: dict[str, int]) -> Planned:
        start = time.perf_counter()
        hints = Hints(sizes or {})
        try:
            written, inputs = resized(leaves, symbols, fixed) if fixed else (leaves, symbols)
        except NotFinite:  # the code for every size asks first
            fixed, written, inputs = {}, leaves, symbols
        simple = [before_differentiation(leaf) for leaf in written]
        expanded = of_turns(simple, hints)

        def arranged(nodes: list[Node]) -> list[Node]:
            nodes = narrow_truths(nodes)
            if are_numbers(nodes):
                return join_windows(share_terms(nodes))
            plain = without_single_places(nodes)
            parted = separate_gathers(join_parts(write_in_windows(join_companions(plain), hints)), hints)
            ordered = share_products(order_contractions(open_contractions(sum_over_windows(parted, hints), hints), hints))
            return join_scatters(join_windows(with_numbers_added(share_terms(take_square_roots(ordered, hints)))))
        roots = plan_loops(arranged(expanded), lambda bodies: arranged(of_turns(bodies, hints)))
        planned = time.perf_counter()
        lowered = lower(roots, inputs, hints)
        checked = check_program if checks_programs() else unchecked
        program = checked(lowered.program)
        for schedule in chosen.SCHEDULE:
            program = checked(schedule(program))
        lowered_at = time.perf_counter()
        seconds = {"plan": planned - start, "lower": lowered_at - planned}

        code = Code(lambda: chosen.emit(program, options), seconds)

        @long_call
        def build() -> Executable:
            if target == REFERENCE:
                return Reference(written, inputs, program.sizes, len(lowered.constants))
            return chosen.build(program, code, options)

        def stations(arrays: Sequence[Any], sizes: dict[str, int]) -> list[tuple[str, list[Any]]]:
            values: dict[Node, Any] = dict(zip(inputs, arrays, strict=True))
            steps = (("written", written), ("simplified", simple), ("expanded", expanded), ("ordered", roots))
            found = [(name, evaluate_nodes(nodes, values, sizes)) for name, nodes in steps]
            return [*found, ("loop IR", interpret(program, [*arrays, *lowered.constants], sizes))]
        return Planned(program, lambda: chosen.source(program, options), build,
                       lambda: explain(program, lowered.notes(), hints, [s.name for s in inputs], fixed), seconds,
                       lowered.constants, stations=stations, listings=chosen.listings(code))

    def regroup(values: Tree) -> list[Any]:
        return [array for _, array in flatten_like(values, structure, "out", "the output")]

    return Kernel(plan, arguments, unflatten, regroup, check=check, names=[f"out{place}" for place in places(structure)],
                  demands=demands_of(leaves), structure=structure,
                  threads=default_threads() if threads is None else int(threads), most_variants=chosen.MOST_VARIANTS,
                  formula=lambda: "\n".join(str(METHODS["str"](leaf)) for leaf in leaves))


def of_turns(nodes: Sequence[Node], hints: Hints) -> list[Node]:
    """The nodes in the vocabulary of the loop IR, with loops that do what is asked for alone, and in their turns what changes."""
    has_loops = any(map(is_scan, topological(nodes)))
    return expand_functions(sink(lift(hoist(drop_dead_carries(absorb_loops(nodes)), hints), hints)) if has_loops else nodes, hints)


def unchecked(program: Program) -> Program:
    """The program as it is: passes are trusted, and checked in tests."""
    return program


def store_of(cache: bool | str | os.PathLike[str]) -> KernelStore | None:
    """Where kernels are kept on disk, None for nowhere."""
    if isinstance(cache, (str, os.PathLike)):
        return KernelStore(os.fsdecode(cache))
    return KernelStore(cache_folder()) if cache else None


def check_options(threads: int | None, cache: bool | str | os.PathLike[str], fast_math: bool, check: bool) -> None:
    """Raise `TypeMismatch` or `ArgumentMismatch` for options that mean nothing."""
    check_number("threads", threads, least=1, whole=True, optional=True)
    if not isinstance(cache, (str, os.PathLike)):
        check_switch("cache", cache)
    elif not os.fspath(cache):
        raise ArgumentMismatch("cache='' names no folder", mend="give the path of a folder, True or False")
    check_switch("fast_math", fast_math)
    check_switch("check", check)


def chosen_inputs(leaves: Sequence[Node], inputs: Sequence[Node | Dim] | Node | Dim | None) -> list[Symbol]:
    """The input symbols in order; raises where one is missing, repeated, or no symbol, or two share a name."""
    used = symbols_of(leaves)
    refuse_inner(used)
    symbols = used if inputs is None else listed(inputs)
    refuse_namesakes(symbols, used, "the outputs")
    given = set(symbols)
    missing = [s for s in used if s not in given]
    if missing:
        raise ArgumentMismatch(f"the outputs use {', '.join(s.name for s in missing)}, which inputs= leaves out",
                               mend="name every symbol that the outputs use")
    refuse_doubles(symbols)
    for symbol, count in Counter(symbols).items():
        if count > 1:
            raise ArgumentMismatch(f"{symbol.name} is named twice in inputs=", mend="give every input once")
    return symbols


def listed(inputs: Sequence[Node | Dim] | Node | Dim) -> list[Symbol]:
    """The symbols of `inputs=`; raises `TypeMismatch` for anything that has no order, or holds no symbols."""
    items = [inputs] if isinstance(inputs, (Node, Dim)) else inputs
    if not isinstance(items, (list, tuple)):
        raise TypeMismatch(f"inputs={items!r:.60} is no list of symbols", mend="give a list, in the order of the arguments")
    items = [told_size(item) if isinstance(item, Dim) else item for item in items]
    symbols = [item for item in items if isinstance(item, Symbol)]
    if len(symbols) < len(items):
        wrong = next(item for item in items if not isinstance(item, Symbol))
        raise TypeMismatch(f"{wrong!s:.60} cannot be an input", mend="inputs are symbols, made by sd.symbol, or named sizes")
    return symbols
