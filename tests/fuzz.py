"""The campaign of random graphs: reference, loop-IR interpreter and compiled kernel must agree, and differences too.

    python tests/fuzz.py --count 10000 --seed 0 --jobs 2 [--target cpu|numba|interpreter|all] [--wide]

Of each graph (`tests/fuzz_graphs.py`) the loss, one part, all gradients and all Hessian-vector products are compared,
for two sets of sizes; several graphs share a kernel.  A graph that fails is shrunk to the fewest lines that still
fail, and printed so that it can be pasted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import symdiff as sd
from symdiff.evaluation import bind_symbols
from symdiff.expression import Constant
from symdiff.normal_form import number_of
from symdiff.reference import value_of_node
from symdiff.traversal import topological
from tests.fuzz_graphs import KINKED, Array, Graph, flat, generate, run, values_for
from tests.fuzz_operations import NAMES

TARGETS = ("interpreter", "numba", "cpu")
IN_ONE_KERNEL = 4
STEP = 1e-5
MOST_TRIES = 80


def faults(graphs: Sequence[Graph], target: str) -> dict[int, str]:
    """What is wrong, by seed, with graphs that share one kernel (they must agree in sizes)."""
    found: dict[int, str] = {}
    built: dict[int, tuple[Graph, list[Any], dict[str, Any]]] = {}
    for graph in graphs:
        try:
            built[graph.seed] = (graph, *graph.build(f"g{graph.seed}__"))
        except Exception as error:
            found[graph.seed] = f"building: {type(error).__name__}: {error}"
    if not built:
        return found
    try:
        inputs = [s for _, symbols, _ in built.values() for s in symbols]
        kernel = sd.compile({seed: outputs for seed, (_, _, outputs) in built.items()}, inputs, target=target, cache=False)
        if graphs[0].seed % 2:  # code for every size, planned by the first ones; the others stand in it as numbers
            kernel.most_variants = 0
        for other in (False, True):
            for seed, text in called(kernel, built, other):
                found.setdefault(seed, text)
    except Exception as error:
        text = f"{target}: {type(error).__name__}: {error}"
        if len(graphs) == 1:
            return {graphs[0].seed: text}
        apart = {seed: fault for graph in graphs for seed, fault in faults([graph], target).items()}
        return apart or {graphs[0].seed: f"{text} (only with {[g.seed for g in graphs]} in one kernel)"}
    return found


def called(kernel: Any, built: dict[int, tuple[Graph, list[Any], dict[str, Any]]], other: bool) -> Iterator[tuple[int, str]]:
    """The outputs that differ from the reference in one call, with the seeds of their graphs.

    At its own sizes a graph writes over not-a-numbers: what it leaves out is seen.
    """
    first = next(iter(built.values()))[0]
    sizes = first.other_sizes() if other else first.sizes
    values = {seed: values_for(symbols, sizes, seed) for seed, (_, symbols, _) in built.items()}
    expected = {seed: sd.evaluate(outputs, values[seed]) for seed, (_, _, outputs) in built.items()}
    results = kernel(*[v for own in values.values() for v in own.values()], out=None if other else unwritten(expected))
    for seed, (graph, _, outputs) in built.items():
        names = names_of(outputs)
        for name, e, f in zip(names, flat(expected[seed]), flat(results[seed]), strict=True):
            text = difference(np.asarray(e), np.asarray(f), graph.tolerance)
            if text and not within_noise(name, outputs, values[seed], np.asarray(f), graph.tolerance):
                yield seed, f"{name} at {sizes}: {text}"


def unwritten(tree: Any) -> Any:
    """Arrays of the shapes and dtypes of a tree, full of what no graph gives: not-a-numbers, large integers, and True."""
    if isinstance(tree, dict):
        return {key: unwritten(part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(unwritten(part) for part in tree)
    array = np.asarray(tree)
    return np.full(array.shape, np.nan if array.dtype.kind == "f" else True if array.dtype.kind == "b" else 12345, array.dtype)


def names_of(outputs: dict[str, Any]) -> list[str]:
    """The names of the outputs in the order of `flat`."""
    return ["loss", "part", *[f"{kind} {k}" for kind in ("gradients", "hvps") for k in range(len(outputs[kind]))]]


def difference(e: Array, f: Array, tolerance: float) -> str:
    """How two arrays differ, empty where they agree."""
    if e.dtype != f.dtype or e.shape != f.shape:
        return f"{f.dtype} {f.shape} instead of {e.dtype} {e.shape}"
    if e.dtype.kind != "f":
        return "" if np.array_equal(e, f) else f"{f.tolist()} instead of {e.tolist()}"
    finite = np.isfinite(e)
    scale = np.max(np.abs(e), where=finite, initial=0.0)
    # Where 1 - tanh(x)² and the like cancel altogether, a few roundings of 1 are left.
    floor = 1e-6 if tolerance > 1e-6 else 1e-14
    with np.errstate(all="ignore"):
        same = np.where(finite, np.abs(e - f) <= tolerance * (np.abs(e) + scale) + floor, (e == f) | (np.isnan(e) & np.isnan(f)))
    if same.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{f[at]} instead of {e[at]} at {at}, {np.sum(~same)} of {e.size} differ"


def within_noise(name: str, outputs: dict[str, Any], values: dict[Any, Array], f: Array, tolerance: float) -> bool:
    """Whether the reference itself moves as far when every value on its way is rounded otherwise (digits that cancel)."""
    root = flat(outputs)[names_of(outputs).index(name)]
    if f.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        spread = np.stack([rounded_otherwise(root, values, seed) for seed in range(12)])
        low, high = spread.min(axis=0), spread.max(axis=0)
        # The noise of the whole array, for one element may stand still by luck.
        wide = np.max(high - low, where=np.isfinite(high - low), initial=0.0)
        slack = 100 * wide + tolerance * np.abs(high)
        # Where samples change their sign or are infinite, a quotient's denominator is nothing but roundings.
        lost = ~np.isfinite(spread).all(axis=0) | ((low < 0) & (high > 0) & (high - low > 1))
        return bool(np.all(lost | ((f >= low - slack) & (f <= high + slack))))


def rounded_otherwise(root: Any, values: dict[Any, Array], seed: int) -> Array:
    """The reference value of a root where each node's value, but for numbers, is moved by up to four roundings.

    Monte Carlo arithmetic: Parker, Pierce, Eggert, Computing in Science & Engineering 2 (4), 2000.
    """
    rng = np.random.default_rng(seed)
    arrays, sizes = bind_symbols([root], values)
    known: dict[Any, Array] = {}
    for node in topological([root]):
        value = np.asarray(arrays[node] if node in arrays else value_of_node(node, known, sizes))
        if value.dtype.kind == "f" and not isinstance(node, Constant) and number_of(node) is None:
            value = (value * (1 + 4 * np.finfo(value.dtype).eps * rng.choice([-1, 1], value.shape))).astype(value.dtype)
        known[node] = value
    return known[root].astype(np.float64)


def difference_fault(graph: Graph) -> str:
    """What central differences say against the reference gradient and Hessian-vector products, along one direction."""
    if graph.has("float32", *KINKED):
        return ""
    try:
        symbols, outputs = graph.build()
        values = values_for(symbols, graph.sizes, graph.seed)
    except Exception as error:
        return f"building: {type(error).__name__}: {error}"
    vectors = [v for v in symbols if v.name.endswith("_v")]
    way = {s: values[v] for v in vectors for s in symbols if s.name == v.name[:-2]}

    def at(step: float) -> tuple[float, list[Array]]:
        moved = {**values, **{s: values[s] + step * way[s] for s in way}}
        loss, gradients = sd.evaluate((outputs["loss"], outputs["gradients"]), moved)
        return float(loss), [np.asarray(g) for g in gradients]
    _, gradients = at(0.0)
    products = [np.asarray(h) for h in sd.evaluate(outputs["hvps"], values)]
    (wide, wide_g), (narrow, narrow_g) = [
        ((up - down) / (2 * h), [(a - b) / (2 * h) for a, b in zip(gu, gd, strict=True)])
        for h in (2 * STEP, STEP) for (up, gu), (down, gd) in [(at(h), at(-h))]]
    claimed = sum(float(np.sum(g * way[s])) for s, g in zip(way, gradients, strict=True))
    pairs = [("slope", np.asarray(claimed), np.asarray(wide), np.asarray(narrow))]
    pairs += [(f"hvp {k}", *three) for k, three in enumerate(zip(products, wide_g, narrow_g, strict=True))]
    for name, e, w, n in pairs:
        if not all(np.isfinite(v).all() for v in (e, w, n)):
            continue
        scale = 1 + max(np.max(np.abs(v), initial=0.0) for v in (e, n))
        if np.max(np.abs(w - n), initial=0.0) < 1e-5 * scale < np.max(np.abs(e - n), initial=0.0) / 10:
            return f"reference {name}: {e} against differences {n}"
    return ""


def all_faults(graph: Graph, target: str) -> str:
    """What is wrong with one graph alone."""
    return difference_fault(graph) if target == "differences" else faults([graph], target).get(graph.seed, "")


def sliced(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The lines that the last one needs."""
    needed = {lines[-1][0], "z"}
    kept = []
    for name, value in reversed(lines):
        if name in needed:
            kept.append((name, value))
            needed |= set(re.findall(r"\b[a-z]\d+\b", value))
    return kept[::-1]


def smaller(graph: Graph) -> Iterator[Graph]:
    """Graphs with fewer or simpler lines: one end alone, a line cut off as a symbol, small sizes."""
    *body, (_, loss) = graph.lines
    for name, _ in body[1:]:
        yield replace(graph, lines=sliced([*body, ("loss", f"sd.sum({name})")]))
    parts = re.split(r" \+ (?=sd|x|t)(?![^()]*\))", loss)
    for k, part in enumerate(parts if len(parts) > 1 else []):
        yield replace(graph, lines=sliced([*body, ("loss", part)]))
        yield replace(graph, lines=sliced([*body, ("loss", " + ".join(parts[:k] + parts[k + 1:]))]))
    try:
        scope = run(body)
    except Exception:
        scope = {}
    for k, (name, value) in enumerate(body):
        node = scope.get(name)
        if node is None or "symbol(" in value:
            continue
        shape = f"({', '.join(str(s) for s in node.shape)}{',' * (node.ndim == 1)})"
        try:
            plain = eval(shape, scope) == node.shape
        except SyntaxError:
            continue
        if plain:
            cut = (name, f"symbol('{name}', {shape}, '{node.dtype}')")
            yield replace(graph, lines=sliced([*body[:k], cut, *body[k + 1:], ("loss", loss)]))
    if max(graph.sizes.values()) > 6:
        yield replace(graph, sizes=dict.fromkeys(NAMES, 4), wide=False)


def weight(graph: Graph) -> tuple[int, ...]:
    """What shrinking makes smaller."""
    leaves = graph.source().count("symbol(")
    return len(graph.lines) - leaves, leaves, max(graph.sizes.values()) // 60, len(graph.source())


def shrunk(graph: Graph, target: str) -> Graph:
    """A graph that still fails, as small as a few tries make it."""
    tries = 0
    while True:
        for candidate in smaller(graph):
            if weight(candidate) >= weight(graph):
                continue
            tries += 1
            if tries > MOST_TRIES:
                return graph
            try:
                if all_faults(candidate, target):
                    graph = candidate
                    break
            except Exception:
                continue
        else:
            return graph


def check(seeds: Sequence[int], targets: Sequence[str] = TARGETS, differences: bool = True, wide: bool = False) -> list[str]:
    """Reports of the graphs that fail, shrunk; graphs of equal sizes share kernels."""
    graphs = [generate(seed, wide) for seed in seeds]
    bad: dict[int, tuple[str, str]] = {}
    for graph in graphs if differences else []:
        text = difference_fault(graph)
        if text:
            bad.setdefault(graph.seed, ("differences", text))
    for target in targets:
        step = IN_ONE_KERNEL if target == "numba" else 1
        for lo in range(0, len(graphs), step):
            batch = [replace(graph, sizes=graphs[lo].sizes) for graph in graphs[lo:lo + step]]
            for seed, text in faults(batch, target).items():
                bad.setdefault(seed, (target, text))
    reports = []
    for graph in graphs:
        if graph.seed in bad:
            target, text = bad[graph.seed]
            print(f"seed {graph.seed}, {target}: {text[:300]}\nis made smaller", flush=True)
            if target != "interpreter" and not wide and all_faults(graph, "interpreter"):
                target = "interpreter"  # the same fault, found without a compiler
            least = shrunk(graph, target)
            reports.append(f"seed {graph.seed}, {target}: {text}\nsizes {least.sizes}\n{least.source()}\n"
                           f"{all_faults(least, target)}\n")
    return reports


def checked(job: tuple[list[int], tuple[str, ...], bool]) -> tuple[int, list[str]]:
    """One job of the campaign."""
    seeds, targets, wide = job
    return len(seeds), check(seeds, targets, wide=wide)


def campaign(count: int, seed: int, jobs: int, targets: tuple[str, ...], wide: bool) -> int:
    """Check `count` graphs; print progress and failures; return how many failed."""
    todo = [(list(range(lo, min(lo + 20, seed + count))), targets, wide) for lo in range(seed, seed + count, 20)]
    done = failed = 0
    start = said = time.time()
    # A compiled function is never freed, so workers are renewed.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=10) as pool:
        for size, reports in pool.imap_unordered(checked, todo):
            done, failed = done + size, failed + len(reports)
            for report in reports:
                print(report, flush=True)
            if time.time() - said > 30 or done == count:
                said = time.time()
                print(f"{done} of {count} graphs, {failed} failed, {said - start:.0f} s", flush=True)
    return failed


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="the first seed; the others follow it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--wide", action="store_true", help="graphs whose sizes are of a vector or several")
    options = parser.parse_args()
    targets = TARGETS if options.target == "all" else (options.target,)
    sys.exit(1 if campaign(options.count, options.seed, options.jobs, targets, options.wide) else 0)


if __name__ == "__main__":
    main()
