"""Target "numpy": the reference interpreter of expressions behind the interface of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.backends.protocol import Array, DirectCall
from symdiff.errors import BackendUnavailable
from symdiff.expression import Node, Symbol
from symdiff.reference import evaluate_nodes


class Reference:
    """Evaluates the outputs node by node with NumPy at each call."""

    cache = "off"
    own_bytes = 0

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Symbol], names: Sequence[str], constants: int) -> None:
        self.outputs, self.inputs, self.names, self.constants = list(outputs), inputs, names, constants

    def __call__(self, arrays: Sequence[Array], sizes: Sequence[int], threads: int = 1) -> None:
        """Run on arrays (inputs, constants, outputs, scratch) and sizes in the program's order."""
        values: dict[Node, Array] = dict(zip(self.inputs, arrays, strict=False))
        results = evaluate_nodes(self.outputs, values, dict(zip(self.names, sizes, strict=True)))
        start = len(self.inputs) + self.constants
        for result, target in zip(results, arrays[start:start + len(results)], strict=True):
            target[...] = result

    def is_settled(self, sizes: Sequence[int], threads: int) -> bool:
        """There is one way."""
        return True

    def direct(self, call: DirectCall) -> None:
        """There is no machine code to call."""

    def inline(self, constants: Sequence[Array] = ()) -> Any:
        """The reference cannot be called from compiled code."""
        raise BackendUnavailable("a kernel of target \"numpy\" cannot be called from Numba code",
                                 mend="compile with target=\"numba\"")
