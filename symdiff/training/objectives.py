"""A loss as a function of one flat vector of parameters, its data bound once, its derivatives compiled together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from codegen.backends.registry import backend
from codegen.compiler import compile
from codegen.runtime.kernel import Kernel
from symdiff.binding import named_values
from symdiff.binding.conversions import as_argument
from symdiff.differentiation import grad, hessian, hvp
from symdiff.differentiation.derivatives import scalar, some_targets
from symdiff.errors import ArgumentMismatch, ShapeMismatch
from symdiff.evaluation import bind_symbols
from symdiff.expression import Node, Symbol
from symdiff.namesakes import refuse_namesakes
from symdiff.operators.coercion import as_node, describe
from symdiff.operators.creation import symbol as new_symbol
from symdiff.option_values import check_number
from symdiff.provenance import spelled
from symdiff.sizes import Dim, named_sizes, value_of
from symdiff.traversal import symbols_of
from symdiff.trees import flatten_like

Array = np.ndarray[Any, Any]
Tree = Any


class Objective:
    """loss(parameters) for bound data; parameters are one vector, in the order of the symbols of `wrt`, row by row.

    Raises `ArgumentMismatch` for a symbol that has neither a value nor a place in `wrt`, and for a bad start.
    """

    def __init__(self, operation: str, loss: Any, wrt: Tree, data: Mapping[Any, Any] | None, start: Tree = None, *,
                 seed: int | None = None, spread: float = 1.0, target: str = "cpu") -> None:
        backend(target)
        check_number("seed", seed, least=0, whole=True, optional=True)
        check_number("spread", spread, least=0)
        self.loss = scalar(operation, as_node(loss))
        leaves, self.unflatten = some_targets(operation, wrt, self.loss)
        self.targets: list[Symbol] = [leaf for leaf in leaves if isinstance(leaf, Symbol)]
        self.wrt, self.target, self.operation = wrt, target, operation
        values_of_data = named_values({} if data is None else data, operation, (str, Symbol, Dim))
        started = self.given_start(start)
        self.refuse_doubles(values_of_data, started)
        known = [s for s in symbols_of([self.loss]) if s not in self.targets or s in started]
        free = [s for s in self.targets if s not in started]
        arrays, self.sizes = bind_symbols([*known, *started], {**values_of_data, **started}, operation)
        self.data = {s: arrays[s] for s in arrays if isinstance(s, Symbol) and s not in self.targets}
        self.shapes = [self.shape_of(s) for s in self.targets]
        rng = np.random.default_rng(seed)
        values = {s: np.zeros(self.shape_of(s)) if seed is None else spread * rng.normal(size=self.shape_of(s))
                  for s in free}
        self.start = self.flat([values.get(s, arrays.get(s)) for s in self.targets])
        self.kernels: dict[str, Kernel] = {}
        kinds = {np.dtype(s.dtype) for s in [self.loss, *self.targets]}
        self.epsilon = max((float(np.finfo(k).eps) for k in kinds if k.kind == "f"), default=float(np.finfo(float).eps))
        self.terms = max([1, *[np.size(v) for v in [*self.data.values(), self.start]]])

    @property
    def rounding(self) -> float:
        """The relative rounding of a value: that of a sum over the data grows like the root of the number of terms."""
        return self.epsilon * (8.0 + math.sqrt(self.terms))

    def given_start(self, start: Tree) -> dict[Symbol, Any]:
        """The values to start from, by symbol: a tree like `wrt`, its dicts in part or whole, or a dict by symbol or name."""
        if start is None:
            return {}
        if isinstance(start, Mapping) and not (isinstance(self.wrt, dict) and set(start) <= set(self.wrt)):
            pairs = [(self.parameter(key), value) for key, value in start.items()]
        else:
            pairs = list(flatten_like(start, self.wrt, "start", "wrt", partial=True))
        found: dict[Symbol, Any] = {}
        for symbol, value in pairs:
            if symbol in found:
                raise ArgumentMismatch(f"start= holds {symbol.name} twice", where=self.operation,
                                       mend="leave out one of the two")
            found[symbol] = value
        return found

    def parameter(self, key: Any) -> Symbol:
        """The parameter that a key of `start=` means."""
        if isinstance(key, Symbol):
            refuse_namesakes([key], self.targets, "wrt")
        for symbol in self.targets:
            if key is symbol or (isinstance(key, str) and spelled(key) == symbol.name):
                return symbol
        raise ArgumentMismatch(f"start= names {key!s:.60}, which is no parameter", where=self.operation,
                               mend=f"the parameters are {', '.join(t.name for t in self.targets)}")

    def refuse_doubles(self, data: Mapping[Any, Any], started: Mapping[Symbol, Any]) -> None:
        """A parameter must not be data too."""
        names = {t.name for t in self.targets}
        for key in data:
            name = key.name if isinstance(key, Symbol) else str(key)
            if name in names:
                raise ArgumentMismatch(f"{name} is a parameter, but data= holds a value for it",
                                       where=self.operation,
                                       mend=f"give it in start=, or take {name} out of wrt")

    def shape_of(self, symbol: Node) -> tuple[int, ...]:
        """The shape of a parameter; raises where no data tells it."""
        unknown = sorted({name for size in symbol.shape for name in named_sizes(size)} - set(self.sizes))
        if unknown:
            raise ShapeMismatch(f"size {unknown[0]} of {describe(symbol)} is not told by the data",
                                where=self.operation,
                                mend=f"give a value for it in start=, or data that has {unknown[0]} as an axis")
        return tuple(value_of(size, self.sizes) for size in symbol.shape)

    def flat(self, values: list[Any]) -> Array:
        """Arrays of the parameters as one vector."""
        return np.concatenate([np.ravel(np.asarray(v, float)) for v in values]) if values else np.zeros(0)

    def vector(self, x: Any, name: str) -> Array:
        """What a caller gives as one vector of the parameters, checked; errors call it `name`."""
        array = as_argument(x, np.dtype(float), name, self.operation)
        if array.shape != self.start.shape:
            parameters = ", ".join(describe(s) for s in self.targets)
            raise ArgumentMismatch(f"{name} has shape {array.shape}, but that of all parameters is {self.start.shape}",
                                   where=f"{self.operation} with {parameters}",
                                   mend=f"give one vector of shape {self.start.shape}, as x0 is")
        return array

    def arrays(self, x: Array) -> list[Array]:
        """One vector as arrays of the parameters."""
        parts = []
        place = 0
        for symbol, shape in zip(self.targets, self.shapes, strict=True):
            size = math.prod(shape)
            parts.append(x[place:place + size].reshape(shape).astype(symbol.dtype, copy=False))
            place += size
        return parts

    def tree(self, x: Array) -> Tree:
        """One vector in the structure of `wrt`."""
        return self.unflatten([part.copy() if part.ndim else part[()] for part in self.arrays(x)])

    def kernel(self, name: str) -> Kernel:
        """The kernel `name`: see `derivative_kernel`."""
        if name not in self.kernels:
            self.kernels[name] = derivative_kernel(name, self.loss, tuple(self.targets), tuple(self.data), self.target)
        return self.kernels[name]

    def gradient(self, x: Array) -> tuple[float, Array]:
        """(value, gradient) at x."""
        value, *gradients = self.kernel("gradient")(*self.arrays(x), *self.data.values())
        return float(value), self.flat(gradients)

    def hessian(self, x: Array) -> tuple[float, Array, Array]:
        """(value, gradient, Hessian) at x, the blocks of a tree put together."""
        value, *rest = self.kernel("hessian")(*self.arrays(x), *self.data.values())
        count = len(self.targets)
        gradients, blocks = rest[:count], iter(rest[count:])
        ends = np.cumsum([0, *[math.prod(shape) for shape in self.shapes]])
        matrix = np.empty((ends[-1], ends[-1]))
        for i in range(count):
            for j in range(i, count):
                rows, columns = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
                block = np.asarray(next(blocks), float).reshape(ends[i + 1] - ends[i], ends[j + 1] - ends[j])
                matrix[rows, columns], matrix[columns, rows] = block, block.T
        return float(value), self.flat(gradients), matrix

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian at x times v, without the Hessian."""
        return self.flat(self.kernel("hvp")(*self.arrays(x), *self.data.values(), *self.arrays(v)))


@lru_cache(maxsize=64)
def derivative_kernel(name: str, loss: Node, targets: tuple[Symbol, ...], data: tuple[Symbol, ...],
                      target: str) -> Kernel:
    """The kernel of a formula, compiled once; its inputs are the parameters, the data and, for "hvp", the vector.

    "gradient" gives value and gradient, "hessian" these and the upper blocks of the Hessian, "hvp" its product.
    """
    inputs = [*targets, *data]
    parameters = list(targets)
    if name == "hvp":
        taken = {s.name for s in inputs}
        vectors = [new_symbol(free_name(f"{s.name}_direction", taken), s.shape, s.dtype) for s in targets]
        return compile(hvp(loss, parameters, vectors), inputs=[*inputs, *vectors], target=target)
    outputs = [loss, *grad(loss, parameters)]
    if name == "hessian":
        blocks = hessian(loss, parameters)
        outputs += [blocks[i][j] for i in range(len(targets)) for j in range(i, len(targets))]
    return compile(outputs, inputs=inputs, target=target)


def free_name(name: str, taken: set[str]) -> str:
    """The name, lengthened until nobody has it."""
    while name in taken:
        name += "_"
    return name
