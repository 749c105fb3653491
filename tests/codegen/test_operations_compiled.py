"""Every operation and every function of the tables through the loop-IR interpreter and kernels of both compilers.

The reference is `evaluate`.  Of each row: the value, and where it is smooth the gradient and a Hessian-vector product of
Σ c ⊙ (y + y²/2) in float64 (where linear operations have second derivatives too) and of Σ c ⊙ y in float32, with random
weights c; of integers and booleans the value.  Compiled rows share kernels, a few in each.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pytest

import symdiff as sd
from symdiff.expression import Map, Product, Reduce
from symdiff.functions import REDUCTIONS, ROWS
from symdiff.sizes import value_of
from symdiff.traversal import topological
from tests.operations import OPERATIONS, Operation, dtypes, row

SMALL = {"n": 6, "m": 4, "d": 3, "k": 2}
# One axis is long enough to become the sample axis, which is cut into tiles.
TALL = {"n": 66, "m": 3, "d": 3, "k": 2}
IN_ONE_KERNEL = {True: 6, False: 20}
MOST_INTERPRETED = 100_000
# Where the reference would need more elements at once, the tall axis is a shorter one.
MOST_EVALUATED, LESS_TALL = 30_000_000, {**TALL, "n": 22}
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def table_row(name: str) -> Operation:
    """A row for a scalar function that no operation is named after; truth values are made by a comparison."""
    function = ROWS[name]
    logical = "logical" in function.traits

    def formula(xp: Any, *args: Any) -> Any:
        return function(*[a > 0.5 if logical else a for a in args])
    shapes = (("n", "m"),) * function.arity
    smooth = function.result == "float" and any(p is not None for p in function.partials or ())
    return Operation(f"row-{name}", formula, shapes, function.domain, "f", smooth)


OTHERS = [
    *[table_row(name) for name in "direction ratio softsign exp_difference step guard one_hot class_number number as_integer "
      "weighted sigmoid_difference log1mexp xlog1py sech_squared one_less_square log_ndtr inverse_mills mills_excess "
      "shift".split()],
    # What only derivatives would hold otherwise: guards as factors, the weights of a maximum where there are ties.
    row("guard-factor", lambda xp, x, y: x * ROWS["guard"](x > y) * y, ("n", "m"), ("m",)),
    row("ties", lambda xp, x: xp.max(xp.round(x), axis=0) * x, ("n", "m")),
]
ROWS_TESTED = [*OPERATIONS, *OTHERS]


@dataclass(frozen=True)
class Case:
    """One row in one dtype, with symbols whose names start with a prefix of its own."""

    row: Operation
    dtype: str
    prefix: str

    @property
    def name(self) -> str:
        return f"{self.row.name}-{self.dtype}"

    @property
    def differentiated(self) -> bool:
        return self.row.smooth and self.dtype.startswith("float")

    def build(self, sizes: dict[str, int] | None = None) -> tuple[list[Any], dict[str, Any]]:
        """The symbols and, by name, the outputs; with `sizes` there are integers in place of named sizes."""
        shapes = [[(sizes or {}).get(s, s) for s in shape] for shape in self.row.shapes]
        xs = [sd.symbol(f"{self.prefix}x{k}", shape, self.dtype) for k, shape in enumerate(shapes)]
        y = self.row.formula(sd, *xs)
        outputs = {"value": y}
        if not self.differentiated:
            return xs, outputs
        c = sd.symbol(f"{self.prefix}c", y.shape, self.dtype)
        vs = [sd.symbol(f"{self.prefix}v{k}", x.shape, self.dtype) for k, x in enumerate(xs)]
        loss = sd.sum(c * (y + y**2 / 2 if self.dtype == "float64" else y))
        for k, (g, h) in enumerate(zip(sd.grad(loss, xs), sd.hvp(loss, xs, vs), strict=True)):
            outputs |= {f"gradient {k}": g, f"hvp {k}": h}
        return [*xs, c, *vs], outputs

    def values(self, symbols: list[Any], sizes: dict[str, int]) -> dict[Any, Any]:
        """Values for the symbols: arguments from the domain of the row, weights and directions from (½, 1½)."""
        rng = np.random.default_rng([*self.name.encode(), sizes["n"]])
        found = {}
        for k, symbol in enumerate(symbols):
            low, high = (0.5, 1.5) if k >= len(self.row.shapes) else \
                self.row.domains[k] if self.row.domains else (-2.0, 2.0)
            shape = tuple(value_of(s, sizes) for s in symbol.shape)
            if self.dtype == "bool":
                found[symbol] = rng.random(shape) < 0.5
            elif self.dtype.startswith("int"):
                found[symbol] = rng.integers(math.ceil(low), math.floor(high) + 1, shape).astype(self.dtype)
            else:
                found[symbol] = rng.uniform(low, high, shape).astype(self.dtype)
        return found


CASES = [Case(r, dtype, f"r{k}_") for k, r in enumerate(ROWS_TESTED) for dtype in dtypes(r)]
CHUNKS = [chunk[lo:lo + size]
          for smooth, size in IN_ONE_KERNEL.items() for dtype in ("float64", "float32", "int64", "int32", "bool")
          for chunk in [[c for c in CASES if c.dtype == dtype and c.differentiated == smooth]]
          for lo in range(0, len(chunk), size)]


def faults(case: Case, expected: dict[str, Any], found: dict[str, Any], where: str) -> Iterator[str]:
    """What differs between two dicts of outputs, in words."""
    for key, e in expected.items():
        e, f = np.asarray(e), np.asarray(found[key])
        title = f"{case.name}, {key}, {where}"
        if e.dtype != f.dtype or e.shape != f.shape:
            yield f"{title}: {f.dtype} {f.shape} instead of {e.dtype} {e.shape}"
        elif e.dtype.kind != "f":
            if not np.array_equal(e, f):
                yield f"{title}: {f.tolist()} instead of {e.tolist()}"
        elif e.size:
            finite = np.isfinite(e)
            rtol = TOLERANCE[e.dtype.name]
            scale = np.max(np.abs(e), where=finite, initial=0.0)
            same = np.where(finite, np.abs(e - f) <= rtol * (np.abs(e) + scale), (e == f) | (np.isnan(e) & np.isnan(f)))
            if not same.all():
                at = tuple(int(i) for i in np.argwhere(~same)[0])
                yield f"{title}: {f[at]} instead of {e[at]} at {at}, {np.sum(~same)} of {e.size} differ"


def elements(outputs: dict[str, Any], sizes: dict[str, int]) -> int:
    """The largest number of index combinations that one node runs over."""
    most = 0
    for node in topological(list(outputs.values())):
        axes = node.extents if isinstance(node, Product) else node.arg.shape if isinstance(node, Reduce) else node.shape
        most = max(most, math.prod(value_of(s, sizes) for s in axes))
    return most


def report(lines: list[str]) -> None:
    """Fail with all lines, if there are any."""
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_interpreted(case: Case) -> None:
    lines: list[str] = []
    for where, sizes, named in (("small", SMALL, None), ("literal", SMALL, SMALL), ("tall", TALL, None)):
        symbols, outputs = case.build(named)
        if (where == "small" or case.dtype != "float32") and elements(outputs, sizes) <= MOST_INTERPRETED:
            values = case.values(symbols, sizes)
            kernel = sd.compile(outputs, symbols, target="interpreter")
            expected = sd.evaluate(outputs, values)
            lines += faults(case, expected, kernel(*values.values()), where)
    report(lines)


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Numba without LLVM's optimiser and without garbage collection, in a third of the time.

    The random graphs, and the tests of kernels, are compiled with it.
    """
    level = type(numba.config.OPT)
    monkeypatch.setattr(numba.config, "OPT", level(0))
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("target", ["cpu", "numba"])
@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda chunk: f"{chunk[0].name}-to-{chunk[-1].row.name}")
def test_compiled(chunk: list[Case], target: str) -> None:
    # Named sizes are planned once, with a tall first call, and take every size after that; literal ones are known.
    named = chunk[0].dtype == "float64"
    built = {case: case.build(None if named else SMALL) for case in chunk}
    symbols = [s for own, _ in built.values() for s in own]
    outputs = {case.name: out for case, (_, out) in built.items()}
    kernel = sd.compile(outputs, symbols, target=target)
    kernel.most_variants = 0
    lines: list[str] = []
    tall = TALL if all(elements(out, TALL) <= MOST_EVALUATED for _, out in built.values()) else LESS_TALL
    for where, sizes in (("tall", tall), ("small", SMALL)) if named else (("literal", SMALL),):
        values = {s: v for case, (own, _) in built.items() for s, v in case.values(own, sizes).items()}
        expected = sd.evaluate(outputs, values)
        try:
            found = kernel(*values.values())
        except Exception as error:
            report([f"{where}: {type(error).__name__}: {error}", *guilty(built, sizes, target)])
        for case in chunk:
            lines += faults(case, expected[case.name], found[case.name], where)
    report(lines)


def guilty(built: dict[Case, Any], sizes: dict[str, int], target: str) -> Iterator[str]:
    """The rows of a kernel that fail alone."""
    for case, (symbols, outputs) in built.items():
        try:
            sd.compile(outputs, symbols, target=target)(*case.values(symbols, sizes).values())
        except Exception as error:
            yield f"{case.name} alone: {type(error).__name__}: {error}"


def test_every_row_of_the_tables_is_tested() -> None:
    used: set[str] = set()
    for case in CASES:
        for node in topological(list(case.build()[1].values())):
            if isinstance(node, (Map, Reduce)):
                used.add(node.function.name)
    assert set(ROWS) | set(REDUCTIONS) <= used
