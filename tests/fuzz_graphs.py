"""Random typed graphs, each a few lines of Python drawn from a seed; `tests/fuzz.py` checks them.

Sizes are the named ones fn, fd, fk (one of them long at times, so that it is cut into tiles), small integers, and 1.  In wide
graphs all of them are of a vector or several, and what is left of one.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import symdiff as sd
from symdiff.errors import NotDifferentiable, ShapeMismatch, TypeMismatch
from symdiff.expression import Product, Reduce
from symdiff.loops import is_scan, loop_of
from symdiff.sizes import value_of
from symdiff.traversal import symbols_of, topological
from tests.fuzz_operations import MORE_FROM, MORE_OPERATIONS, NAMES, OPERATIONS, Line, Pool

Array = np.ndarray[Any, Any]
REFUSED = (ShapeMismatch, TypeMismatch, NotDifferentiable)
MOST_ELEMENTS, MOST_WORK, LARGEST = 4_000, 30_000, 1e3
# How many times as much work a wide graph may be, and how many times as much again at its other sizes; its sizes.
WIDER, MUCH_LARGER = 30, 100
WIDE = {"fn": (5, 33, 70, 129, 600), "fd": (8, 12, 17, 32, 40, 67), "fk": (4, 7, 10, 16, 21)}
# What has a jump or a kink somewhere, so that differences do not check it.
KINKED = ("abs relu max min where sign floor ceil round trunc clip stop_gradient astype 99 "
          "nn.elu hard_tanh huber rint 1.37").split()


@dataclass
class Graph:
    """The lines of a graph (a name and what it is) and its sizes."""

    seed: int
    sizes: dict[str, int]
    lines: list[Line] = field(default_factory=list)
    wide: bool = False

    def source(self) -> str:
        """The graph as Python."""
        return "\n".join(f"{name} = {value}" for name, value in self.lines)

    def has(self, *words: str) -> bool:
        """Whether one of the words stands in a line."""
        return any(word in value for _, value in self.lines for word in words)

    @property
    def tolerance(self) -> float:
        """Relative to the largest element of an output."""
        return 3e-4 if self.has("float32") else 1e-9

    def build(self, prefix: str = "") -> tuple[list[Any], dict[str, Any]]:
        """All symbols, and the outputs: loss, a part of it, gradients, Hessian-vector products."""
        scope = run(self.lines, prefix)
        loss = scope["loss"]
        symbols = [v for name, v in scope.items() if isinstance(v, sd.Node) and symbols_of([v]) == [v]]
        symbols = list(dict.fromkeys(s for s in symbols if hasattr(s, "name")))
        wrt = [s for s in symbols_of([loss]) if s.dtype.startswith("float")]
        vectors = [sd.symbol(f"{s.name}_v", s.shape, s.dtype) for s in wrt]
        outputs = {"loss": loss, "part": scope[self.lines[-2][0]],
                   "gradients": sd.grad(loss, wrt) if wrt else [], "hvps": sd.hvp(loss, wrt, vectors) if wrt else []}
        return [*symbols, *vectors], outputs

    def other_sizes(self) -> dict[str, int]:
        """Sizes for a second call of the same kernel."""
        if self.wide:
            return {name: sizes[sizes.index(self.sizes[name]) - 1] for name, sizes in WIDE.items()}
        return {"fn": 4 + self.seed % 3, "fd": self.sizes["fd"] + 1, "fk": self.sizes["fk"]}


def run(lines: Sequence[Line], prefix: str = "") -> dict[str, Any]:
    """The names that lines define."""
    scope: dict[str, Any] = {"sd": sd, "symbol": lambda name, *rest: sd.symbol(prefix + name, *rest)}
    scope |= {name: sd.dim(name, minimum=4) for name in NAMES}
    for name, value in lines:
        scope[name] = eval(value, scope)
    return scope


def values_for(symbols: Sequence[Any], sizes: dict[str, int], seed: int) -> dict[Any, Array]:
    """Values that depend on a symbol's name without its prefix, and on the seed."""
    found = {}
    for s in symbols:
        rng = np.random.default_rng([seed, *s.name.rpartition("__")[2].encode()])
        shape = tuple(value_of(size, sizes) for size in s.shape)
        found[s] = np.asarray(
            rng.random(shape) < 0.5 if s.dtype == "bool" else rng.integers(-2, 4, shape) if s.dtype.startswith("int")
            else rng.uniform(-1.5, 1.5, shape)).astype(s.dtype)
    return found


def work(roots: Sequence[Any], sizes: dict[str, int]) -> tuple[int, int]:
    """The most elements of a node, and the index combinations of all, those in the turns of loops too."""
    most = total = 0
    loops = set()
    for node in topological(roots):
        axes = node.extents if isinstance(node, Product) else node.arg.shape if isinstance(node, Reduce) else node.shape
        most = max(most, math.prod(value_of(s, sizes) for s in node.shape))
        total += math.prod(value_of(s, sizes) for s in axes)
        if is_scan(node):
            loops.add(loop_of(node)[0])
    for loop in loops:
        largest, turn = work([*loop.nexts, *loop.stacks], sizes)
        most, total = max(most, largest), total + turn * value_of(loop.length, sizes)
    return most, total


def generate(seed: int, wide: bool = False) -> Graph:
    """The graph of a seed."""
    for attempt in itertools.count():
        graph = draw(seed, np.random.default_rng([seed, attempt]), wide)
        if graph is not None:
            return graph
    raise AssertionError


def draw(seed: int, rng: np.random.Generator, wide: bool) -> Graph | None:
    """A graph, or None where it comes out too large."""
    if wide:
        sizes = {name: int(rng.choice(WIDE[name])) for name in NAMES}
    else:
        sizes = {name: int(rng.integers(4, 7)) for name in NAMES}
        if rng.random() < 0.35:
            sizes["fn"] = int(rng.choice([65, 70, 129]))
    larger = WIDER if wide else 1
    graph, pool = Graph(seed, sizes, wide=wide), Pool(rng, bool(rng.random() < 0.08))
    graph.lines += pool.draw_leaves()
    scope = run(graph.lines)
    pool.nodes = {name: scope[name] for name, _ in graph.lines[1:]}
    values = values_for(symbols_of([scope[name] for name, _ in graph.lines]), sizes, seed)
    wanted = int(rng.integers(2, 9))
    for _ in range(12 * wanted):
        if len(graph.lines) - pool.leaves == wanted:
            break
        line = pool.one(MORE_OPERATIONS if seed >= MORE_FROM else OPERATIONS)(pool)
        line = line and acceptable(line, scope, values, graph, pool.risky)
        if line:
            name = f"t{len(graph.lines) - pool.leaves}"
            pool.used |= {n for n in pool.nodes if re.search(rf"\b{n}\b", line)}
            scope[name] = pool.nodes[name] = eval(line, scope)
            graph.lines.append((name, line))
    ends = [n for n, v in pool.nodes.items() if n not in pool.used and v.dtype.startswith("float") and n[0] in "tx"]
    if not ends:
        return None
    graph.lines.append(("loss", " + ".join(pool.scalar(name) for name in ends)))
    try:
        _, outputs = graph.build()
    except REFUSED:
        return None
    except Exception:
        return graph
    if wide and work(flat(outputs), graph.other_sizes())[1] > MUCH_LARGER * larger * MOST_WORK:
        return None
    return graph if work(flat(outputs), sizes)[1] <= larger * MOST_WORK else None


def acceptable(line: str, scope: dict[str, Any], values: dict[Any, Array], graph: Graph, risky: bool) -> str:
    """The line, made small where its values are large; empty where symdiff refuses it or it is not finite."""
    try:
        node = eval(line, scope)
    except (*REFUSED, AttributeError, IndexError):
        return ""
    shape = [value_of(s, graph.sizes) for s in node.shape]
    if work([node], graph.sizes)[0] > MOST_ELEMENTS * (WIDER if graph.wide else 1) or min(shape, default=1) < 1 or node.ndim > 4:
        return ""
    largest = np.max(np.abs(np.asarray(sd.evaluate(node, values), np.float64)), initial=0.0)
    if largest <= LARGEST or (risky and not np.isfinite(largest)):
        return line
    return f"sd.tanh({line})" if node.dtype.startswith("float") and np.isfinite(largest) else ""


def flat(outputs: dict[str, Any]) -> list[Any]:
    """The outputs in one list."""
    return [outputs["loss"], outputs["part"], *outputs["gradients"], *outputs["hvps"]]
