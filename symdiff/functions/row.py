"""What a row of the function tables holds, and the tables.

A scalar function states its NumPy reference, its partial derivatives, its notation, its traits and where to sample it;
everything else (evaluation, both modes of differentiation, printing, lowering, tests) reads the row.  Rows are callable
on expressions: `ROWS["sin"](x)`.  A partial is written with the arguments and the result, so `exp` says `y`, and uses
Python's operators and other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

Expression = Any
Partial = Callable[..., Expression] | None


class ScalarRow(Struct, frozen=True, eq=False):
    """One elementwise function.

    name      the key, also the word that kernels use, unless `expansion` is given
    numpy     reference implementation on arrays
    partials  one per argument: `partial(*args, result)` gives ∂f/∂arg, `None` says that it is zero almost everywhere;
              `partials=None` says that no derivative is known (NotDifferentiable)
    result    dtype rule: "float" (integers become float64), "same" (of the promoted arguments), "bool", or a dtype
    text      notation, a template with {0}, {1}, … or a plain function name; `latex` likewise
    infix     precedence class where the template is an operator: "sum", "product", "power", "comparison", "atom", ""
    traits    facts: even, odd, increasing, commutative, zero_at_zero, positive, nonnegative, idempotent, guard,
              numeric (it takes no booleans), …
    domain    (low, high) from which each argument is drawn in tests
    kinks     points where the derivative jumps or is infinite; the partials give the value named in DESIGN's table
    expansion formula in known vocabulary, for functions that need no code of their own in any emitter
    """

    name: str
    numpy: Callable[..., Any]
    partials: tuple[Partial, ...] | None
    result: str = "float"
    text: str = ""
    latex: str = ""
    infix: str = ""
    traits: frozenset[str] = frozenset()
    domain: tuple[tuple[float, float], ...] = ((-2.0, 2.0),)
    kinks: tuple[float, ...] = ()
    expansion: Callable[..., Expression] | None = None
    arity: int = field(default=1)
    doc: str = ""

    def __call__(self, *args: Expression) -> Expression:
        """The expression f(args); numbers and same-or-broadcastable shapes are taken."""
        return BUILDERS["map"](self, args)


class ReduceRow(Struct, frozen=True, eq=False):
    """One reduction along axes.

    numpy     reference: `numpy(array, axis=tuple)`
    weight    `weight(x, y, axes)` gives W of the shape of x with dy = Σ_axes W · dx, where y is the reduced result;
              None says that it has no derivative (argmax)
    result    "same", "float", "bool" or a dtype
    fold      how a kernel combines two values: add, mul, max, min, logsumexp, argmax
    """

    name: str
    numpy: Callable[..., Any]
    weight: Callable[..., Expression] | None
    fold: str
    result: str = "same"
    text: str = ""
    latex: str = ""
    domain: tuple[float, float] = (-2.0, 2.0)
    needs_elements: bool = True
    doc: str = ""

    def __call__(self, arg: Expression, axes: tuple[int, ...]) -> Expression:
        """The expression of the reduction of `arg` along `axes` (dropped)."""
        return BUILDERS["reduce"](self, arg, axes)


ROWS: dict[str, ScalarRow] = {}
REDUCTIONS: dict[str, ReduceRow] = {}
BUILDERS: dict[str, Callable[..., Expression]] = {}


def define(name: str, numpy: Callable[..., Any], partials: tuple[Partial, ...] | None, *, traits: str = "",
           **fields: Any) -> ScalarRow:
    """Add a scalar function to the table and return its row; `traits` are words separated by spaces."""
    arity = len(partials) if partials is not None else fields.pop("arity", 1)
    domain = fields.pop("domain", (-2.0, 2.0))
    if not isinstance(domain[0], tuple):
        domain = (domain,) * arity
    row = ScalarRow(name, numpy, partials, traits=frozenset(traits.split()), arity=arity, domain=domain, **fields)
    ROWS[name] = row
    return row


def define_reduction(name: str, numpy: Callable[..., Any], weight: Callable[..., Expression] | None, fold: str,
                     **fields: Any) -> ReduceRow:
    """Add a reduction to the table and return its row."""
    row = ReduceRow(name, numpy, weight, fold, **fields)
    REDUCTIONS[name] = row
    return row
