"""CasADi: a virtual machine over scalars, called through buffers that are bound once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi
import numpy as np

from benchmarks.lines.chains import run_program
from benchmarks.lines.line import Values

Call = Callable[[], Any]


class Bound:
    """A function whose buffers are bound to arrays; they hold addresses alone, so all of it is kept together."""

    def __init__(self, function: Any, arguments: list[Any], shapes: list[tuple[int, ...]]) -> None:
        self.function = function
        self.arguments = [np.ascontiguousarray(a) for a in arguments]
        self.results = [np.zeros(shape) for shape in shapes]
        self.buffer, self.run = function.buffer()
        for k, array in enumerate(self.arguments):
            self.buffer.set_arg(k, memoryview(array))
        for k, array in enumerate(self.results):
            self.buffer.set_res(k, memoryview(array))

    def __call__(self) -> Any:
        """The results, in arrays that the next call writes again."""
        self.run()
        return self.results


def xor(values: Values) -> Call:
    """Value and gradients."""
    names = ("W1", "b1", "w2", "b2")
    # A matrix of CasADi lies column after column in memory: a symbol holds the transposed of NumPy's.
    shapes = {name: values[name].T.shape for name in ("X", "y", *names)}
    s = {name: casadi.SX.sym(name, *shape) for name, shape in shapes.items()}

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + casadi.exp(-z))
    hidden = sigmoid(casadi.mtimes(s["W1"], s["X"]) + casadi.repmat(s["b1"], 1, 4))
    loss = casadi.sumsqr(sigmoid(casadi.mtimes(s["w2"].T, hidden).T + s["b2"]) - s["y"])
    function = casadi.Function("xor", list(s.values()), [loss, *[casadi.gradient(loss, s[name]) for name in names]])
    return Bound(function, [values[name] for name in s], [(), *[values[name].shape for name in names]])


def chain(values: Values) -> Call:
    """The program over eight scalars that one vector holds."""
    p = casadi.SX.sym("p", len(values["p"]))
    loss = run_program(values["program"], casadi.vertsplit(p), casadi.sin, casadi.cos, casadi.tanh)
    function = casadi.Function("chain", [p], [loss, casadi.gradient(loss, p)])
    return Bound(function, [values["p"]], [(), values["p"].shape])
