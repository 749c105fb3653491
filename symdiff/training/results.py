"""What a minimisation hands back: the parameters, how it went, and a report for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tree = Any
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One step: value and gradient norm after it, its Euclidean length in the parameters, seconds since the start."""

    number: int
    value: float
    gradient_norm: float
    step_size: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """The end of a minimisation; `parameters` has the structure of `wrt`, `history` starts with the start as step 0."""

    parameters: Tree
    value: float
    gradient_norm: float
    steps: int
    converged: bool
    reason: str
    method: str
    history: list[Step]

    @property
    def seconds(self) -> float:
        """How long it took, compilation included."""
        return self.history[-1].seconds

    def __str__(self) -> str:
        state = "converged" if self.converged else "not converged"
        lines = [f"{self.method}: {state} after {self.steps} steps, {self.reason}",
                 f"value {self.value:.15g}, gradient norm {self.gradient_norm:.2e}, {self.seconds:.2f} s", "",
                 f"{'step':>6}  {'value':>22}  {'gradient norm':>13}  {'step size':>9}  {'seconds':>8}"]
        shown = self.history
        if len(shown) > SHOWN:
            stride = (len(shown) - 1) / (SHOWN - 1)
            shown = [self.history[round(k * stride)] for k in range(SHOWN)]
        lines += [f"{s.number:>6}  {s.value:>22.15g}  {s.gradient_norm:>13.3e}  {s.step_size:>9.3g}  {s.seconds:>8.3f}"
                  for s in shown]
        return "\n".join(lines)

    __repr__ = __str__
