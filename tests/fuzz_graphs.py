"""Random typed graphs, each a few lines of Python drawn from a seed; `tests/fuzz.py` checks them.

Sizes are the named ones fn, fd, fk (one of them long at times, so that it is cut into tiles), small integers, and 1.  In wide
graphs all of them are of a vector or several, and what is left of one.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import symdiff as sd
from symdiff.errors import NotDifferentiable, ShapeMismatch, TypeMismatch
from symdiff.expression import Product, Reduce
from symdiff.sizes import value_of
from symdiff.traversal import symbols_of, topological

Array = np.ndarray[Any, Any]
Line = tuple[str, str]
NAMES = ("fn", "fd", "fk")
REFUSED = (ShapeMismatch, TypeMismatch, NotDifferentiable)
MOST_ELEMENTS, MOST_WORK, LARGEST = 4_000, 30_000, 1e3
# How many times as much work a wide graph may be; its sizes.
WIDER = 30
WIDE = {"fn": (5, 33, 70, 129, 600), "fd": (8, 12, 17, 32, 40, 67), "fk": (4, 7, 10, 16, 21)}
# What has a jump or a kink somewhere, so that differences do not check it.
KINKED = "abs relu max min where sign floor ceil round trunc clip stop_gradient astype 99".split()

SMOOTH = """sd.exp(0.4 * {0}); sd.sin({0}); sd.cos({0}); sd.tanh({0}); sd.sigmoid({0}); sd.softplus({0}); {0}**2; {0}**3
sd.square({0}); sd.sqrt({0}**2 + 1); sd.log({0}**2 + 0.5); 1 / ({0}**2 + 1.5); sd.erf({0}); sd.expm1(0.3 * {0})
sd.log1p({0}**2); sd.atan({0}); sd.asinh({0}); 2 - {0}; -{0}; {0} / 3; 0.5 * {0} + 1; sd.sinh(0.3 * {0}); sd.cosh({0} / 4)
({0}**2 + 0.7)**1.5; 2**(0.3 * {0}); sd.erfc({0}); sd.exp2({0} / 2); sd.acos(0.9 * sd.tanh({0})); ({0}**2 + 1)**-2"""
KINKY = """sd.abs({0}); sd.relu({0}); sd.sign({0}); sd.stop_gradient({0}); sd.clip({0}, -0.513, 0.777); sd.floor({0} + 0.123)
sd.round(3 * {0}); sd.ceil({0} - 0.317); sd.trunc(2 * {0}); sd.where({0} > 0.1234, {0}, 0); sd.where({0} < 0.21, {0}**2, 1)
sd.where({0} > 0.0517, sd.log({0}), {0}); sd.where(sd.isfinite(1 / {0}), {0}, 0.0)"""
RISKY = "sd.sqrt({0}); sd.log({0}); 1 / {0}; sd.acos({0}); {0}**0.3; sd.log1p({0}); {0} / sd.relu({0}); sd.log(sd.relu({0}))"
PAIRS = """{0} + {1}; {0} - {1}; {0} * {1}; {0} / ({1}**2 + 1.3); 2 * {0} - {1} / 3; sd.hypot({0}, {1}**2 + 1); {0} * {1} * {1}
sd.logaddexp({0}, {1}); sd.atan2({0}, {1}**2 + 1); sd.exp(-({0} - {1})**2); ({0} - {1})**2; sd.xlogy({0}, {1}**2 + 0.4)
({0}**2 + 0.3)**(0.4 * sd.tanh({1}))"""
KINKY_PAIRS = """sd.maximum({0}, {1}); sd.minimum({0}, {1}); sd.where({1} > 0.1357, {0}, {1}); sd.where({0} > 0.0613, {0} * {1}, 0)
sd.where(({0} > 0.11) & ~({1} > 0.22), {0}, {1}); sd.where(({0} < -0.3) | ({1} < 0.4), sd.sin({0}), {1})"""
MIXED = """{0} * {1}; {0} + {1}; sd.where({1} > 0, {0}, 2); sd.astype({1}, "float64") - {0}; sd.where({1} == 1, {0}, -{0})
{0} * ({1} > 0); sd.maximum({0} + 0.1357, {1})"""
INTEGRAL = "{0} + 1; -{0}; {0} * {0}; {0} // 2; {0} % 3; {0} > 0; sd.sum({0}, axis=0); sd.max({0}); sd.argmax({0}, axis=0)"
BOOLEAN = "~{0}; sd.any({0}, axis=0); sd.all({0}); sd.sum({0}); sd.astype({0}, 'int64'); {0} ^ True"
PARTS = ": : : 1: :-1 ::2 ::-1 1:-1 ::-2 -1::-3 0 -1 1 None,: 1:3 3:0:-1 -3:-1 1::2 2::-1 ...".split()
FOLDS = "sum sum sum mean mean max min prod logsumexp var std norm".split()
ENDS = """sd.sum({0}); sd.mean({0}**2); sd.sum(sd.sin({0})); sd.logsumexp({0}); sd.sum({0} * {0}) / 3; sd.mean(sd.tanh({0}))
sd.norm(sd.ravel({0}) + 0.3); sd.sum(sd.softplus({0})); sd.sum({0})**2 / 50"""


def choices(text: str) -> list[str]:
    """The templates of a table."""
    return [part.strip() for part in re.split(r";|\n", text)]


class Pool:
    """The names at hand while a graph is drawn."""

    def __init__(self, rng: np.random.Generator, risky: bool) -> None:
        self.rng, self.risky = rng, risky
        self.nodes: dict[str, Any] = {}
        self.used: set[str] = set()
        self.leaves = 0

    def one(self, items: Any) -> Any:
        """One of the items."""
        items = list(items)
        return items[int(self.rng.integers(len(items)))] if items else None

    def axis(self, ndim: int) -> int:
        """An axis, at times counted from the end."""
        k = int(self.rng.integers(ndim))
        return k - ndim if self.rng.random() < 0.3 else k

    def pick(self, least: int = 0, most: int = 9, kind: str = "float", fits: Callable[[Any], bool] | None = None) -> str | None:
        """A name of the kind with so many axes, rather a late one."""
        found = [n for n, v in self.nodes.items()
                 if least <= v.ndim <= most and v.dtype.startswith(kind) and (fits is None or fits(v))]
        if not found:
            return None
        return found[-1] if self.rng.random() < 0.35 else self.one(found)  # type: ignore[no-any-return]

    def shape(self, name: str) -> tuple[Any, ...]:
        return self.nodes[name].shape  # type: ignore[no-any-return]

    def take(self, template: str, *names: str | None) -> str | None:
        """The template over names, None where one is missing."""
        if any(name is None for name in names):
            return None
        return template.format(*names)

    def draw_leaves(self) -> list[Line]:
        """Symbols and a few arrays that are known."""
        rng = self.rng
        floats = self.one(["float64"] * 8 + ["float32", "mixed"])
        # An input that nothing uses tells every size.
        lines = [("z", "symbol('z', ('fn', 'fd', 'fk'), 'bool')")]
        sizes: list[Any] = ["fn", "fn", "fd", "fd", "fk", 1, 3, 2]
        for k in range(int(rng.integers(2, 5))):
            shape = tuple(self.one(sizes) for _ in range(int(rng.choice([0, 1, 1, 2, 2, 2, 3]))))
            if rng.random() < 0.2:
                shape = (*shape[:1], "fd", "fd")
            dtype = self.one(["float64", "float32"]) if floats == "mixed" else floats
            lines.append((f"x{k}", f"symbol('x{k}', {shape!r}, '{dtype}')"))
        if rng.random() < 0.35:
            kind = self.one(["int64", "int64", "int32", "bool", "bool"])
            shape = tuple(self.one(["fn", "fd", 3]) for _ in range(int(rng.integers(0, 3))))
            lines.append(("b0", f"symbol('b0', {shape!r}, '{kind}')"))
        if rng.random() < 0.15:
            numbers = np.round(rng.uniform(-1, 1, tuple(rng.integers(1, 4, 2))), 2).tolist()
            lines.append(("c0", f"sd.constant({numbers})"))
        if rng.random() < 0.15:
            lines.append(("c1", self.one(["sd.arange(fn) / 100.0", "sd.eye(fd)", "sd.arange(fd, dtype='float64') - 1",
                                          "sd.linspace(0, 1, fn)"])))
        self.leaves = len(lines)
        return lines

    def scalar(self, name: str) -> str:
        """A scalar of a name."""
        if not self.nodes[name].ndim:
            return self.one([name, f"sd.sin({name})", f"{name}**2"])  # type: ignore[no-any-return]
        return self.one(choices(ENDS)).format(name)  # type: ignore[no-any-return]


def broadcasts(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two shapes go together."""
    return all(s == t or s == 1 or t == 1 for s, t in zip(a[::-1], b[::-1], strict=False))


def unary(p: Pool) -> str | None:
    table = RISKY if p.risky and p.rng.random() < 0.3 else KINKY if p.rng.random() < 0.3 else SMOOTH
    return p.take(p.one(choices(table)), p.pick())


def binary(p: Pool) -> str | None:
    x = p.pick()
    y = p.pick(fits=lambda v: x is not None and broadcasts(p.shape(x), v.shape))
    return p.take(p.one(choices(KINKY_PAIRS if p.rng.random() < 0.3 else PAIRS)), x, y)


def mixed(p: Pool) -> str | None:
    kind = p.one(["int", "bool"])
    if p.rng.random() < 0.4:
        return p.take(p.one(choices(INTEGRAL if kind == "int" else BOOLEAN)), p.pick(1, kind=kind))
    b = p.pick(kind=kind)
    return p.take(p.one(choices(MIXED)), p.pick(fits=lambda v: b is not None and broadcasts(p.shape(b), v.shape)), b)


def reduced(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    ndim = len(p.shape(x))
    axes = sorted({p.axis(ndim) % ndim for _ in range(int(p.rng.integers(1, 3)))})
    axis = p.one([None, axes[0], tuple(axes), axes[0] - ndim])
    fold, keep = p.one(FOLDS), bool(p.rng.random() < 0.4)
    if fold == "norm":
        return f"sd.norm({x} + 0.2, axis={axes[0]}, keepdims={keep})"
    inner = f"1 + 0.2 * sd.tanh({x})" if fold == "prod" else f"{x}**2 + {x}" if fold == "std" else x
    return f"sd.{fold}({inner}, axis={axis}, keepdims={keep})" + (" + 0.1" if fold == "std" else "")


def softmax(p: Pool) -> str | None:
    x = p.pick(1)
    return None if x is None else f"sd.{p.one(['softmax', 'log_softmax'])}({x}, axis={p.axis(len(p.shape(x)))})"


def matmul(p: Pool) -> str | None:
    x = p.pick(1)
    y = p.pick(1, fits=lambda v: x is not None and v.shape[max(v.ndim - 2, 0)] == p.shape(x)[-1])
    return p.take(p.one(["{0} @ {1}", "sd.matmul({0}, {1})", "sd.dot({0}, {1})"]), x, y)


def einsum(p: Pool) -> str | None:
    names = [p.pick(1, 3) for _ in range(p.one([1, 2, 2, 2, 3]))]
    letters: dict[str, Any] = {}
    groups = []
    for name in names:
        if name is None:
            return None
        group = ""
        for size in p.shape(name):
            same = [c for c, s in letters.items() if s == size and size != 1]
            letter = p.one(same) if same and p.rng.random() < 0.7 else "ijklpqrst"[len(letters)]
            letters.setdefault(letter, size)
            group += letter
        groups.append(group)
    order = [str(c) for c in p.rng.permutation(list(letters))]
    out = "".join(order[:int(p.rng.integers(0, min(len(order), 3) + 1))])
    return f"sd.einsum('{','.join(groups)}->{out}', {', '.join(map(str, names))})"


def matrices(p: Pool) -> str | None:
    square = p.pick(2, 3, fits=lambda v: v.shape[-1] == v.shape[-2])
    vector, matrix = p.pick(1, 1), p.pick(2)
    line = p.one([("sd.outer({0}, {1})", vector, p.pick(1, 1)), ("sd.diag({0})", vector), ("sd.diag({0}, 1)", vector),
                  ("sd.trace({0}, axis1=-1, axis2=-2)", square), ("sd.diagonal({0}, 0, -2, -1)", square),
                  ("sd.tril({0})", matrix), ("sd.triu({0}, 1)", matrix), ("sd.tril({0}, -1)", square),
                  ("{0} + {0}.mT", square), ("{0} @ {0}.mT", matrix), ("sd.diag({0}) @ {1}", vector, matrix)])
    return p.take(*line)


def sliced(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    parts = [p.one(PARTS) for _ in range(int(p.rng.integers(1, len(p.shape(x)) + 1)))]
    parts = [part for k, part in enumerate(parts) if part != "..." or "..." not in parts[:k]]
    return f"{x}[{', '.join(parts)}]"


def picked(p: Pool) -> str | None:
    """Rows, columns or entries at positions that are known at the call: -2 … 3, inside every named size."""
    axis = p.one([0, 0, 1])
    x = p.pick(axis + 1, fits=lambda v: str(v.shape[axis]) in NAMES)
    i = p.pick(0, 2, kind="int", fits=lambda v: v.dtype in ("int64", "int32"))
    # What arithmetic makes of positions may be outside.
    at = "sd.clip({1}, -4, 3)" if i is not None and i.startswith("t") else "{1}"
    there = f"[{':, ' * axis}{at}]"
    return p.take(p.one(["{0}" + there, "{0}" + there.replace(at, "{1} % 3"), "sd.sin({0})" + there]), x, i)


def joined(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    axis = p.axis(len(p.shape(x)))
    rest = [s for k, s in enumerate(p.shape(x)) if k != axis % len(p.shape(x))]
    y = p.pick(fits=lambda v: v.ndim == len(p.shape(x)) and
               rest == [s for k, s in enumerate(v.shape) if k != axis % v.ndim])
    same = p.pick(fits=lambda v: v.shape == p.shape(x))
    return p.take(*p.one([(f"sd.concat([{{0}}, {{1}}], axis={axis})", x, y), (f"sd.stack([{{0}}, {{1}}], axis={axis})", x, same),
                          (f"sd.concat([{{0}}, 2 * {{0}}[::-1], {{0}}], axis={axis})", x)]))


def shaped(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    ndim = len(p.shape(x))
    axis, order = p.axis(ndim), tuple(int(k) for k in p.rng.permutation(ndim))
    return p.take(p.one([
        f"sd.permute_dims({{0}}, {order})", "{0}.T", f"sd.flip({{0}}, axis={axis})", "sd.flip({0})", "sd.ravel({0})",
        f"sd.roll({{0}}, {int(p.rng.integers(-3, 4))}, axis={axis})", f"sd.expand_dims({{0}}, {axis})", "sd.squeeze({0})",
        f"sd.repeat({{0}}, 2, axis={axis})", "sd.tile({0}, 2)", f"sd.diff({{0}}, axis={axis})", "sd.pad({0}, 1)",
        f"sd.pad({{0}}, {tuple((int(a), int(b)) for a, b in p.rng.integers(0, 3, (ndim, 2)))})", "sd.reshape({0}, (-1, 1))",
        "sd.reshape({0}, (-1, 2))", "sd.reshape({0}, (2, -1))", "sd.pad({0}, (1, 0), constant_values=0.5)",
        "sd.broadcast_to({0}, (3, *{0}.shape))", f"{{0}} - sd.mean({{0}}, axis={axis}, keepdims=True)",
    ]), x)


OPERATIONS: list[Callable[[Pool], str | None]] = [
    unary, unary, unary, binary, binary, binary, mixed, mixed, reduced, reduced, softmax, matmul, matmul, einsum, einsum,
    matrices, sliced, sliced, picked, joined, shaped, shaped]


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
    """The most elements of a node, and the index combinations of all."""
    most = total = 0
    for node in topological(roots):
        axes = node.extents if isinstance(node, Product) else node.arg.shape if isinstance(node, Reduce) else node.shape
        most = max(most, math.prod(value_of(s, sizes) for s in node.shape))
        total += math.prod(value_of(s, sizes) for s in axes)
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
        line = pool.one(OPERATIONS)(pool)
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
