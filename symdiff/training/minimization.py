"""`minimize`: the loop around a method, with convergence, history, callback and progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.option_values import check_number, check_switch, suggestion
from symdiff.training.methods import EPSILON, METHODS, Options, Point
from symdiff.training.objectives import Objective
from symdiff.training.results import Result, Step

Tree = Any
PROGRESS_SECONDS = 0.4


def minimize(loss: Any, wrt: Tree, data: Mapping[Any, Any] | None = None, method: str = "newton", *, start: Tree = None,
             steps: int | None = None, tolerance: float = 1e-9, learning_rate: float | None = None,
             momentum: float = 0.9, line_search: bool | None = None, damping: float = 0.0,
             callback: Callable[[Step, Tree], Any] | None = None, progress: bool = False, seed: int | None = None,
             spread: float = 1.0, target: str = "cpu") -> Result:
    """Minimise a scalar expression over the symbols of `wrt` (a symbol, or a list, tuple or dict of them).

    `data` gives values for the other symbols.  Methods: "newton" (value, gradient and Hessian in one kernel; damped by
    at least `damping`, searched along unless `line_search=False`; exact for quadratics in one step), "gd" (steps of
    `learning_rate`, or searched where none is given), "momentum" (heavy ball).  The start is zero, or `start` (a tree
    like `wrt`), or with `seed` normal numbers times `spread`.

    It has converged where the gradient norm is at most `tolerance` times the value (or 1, if that is more), or where
    no step decreases the value by more than its rounding while the gradient is small.  `callback(step, parameters)`
    ends the run by returning something true.  `progress` writes a line now and then to standard error.  Raises
    `ArgumentMismatch` for an unknown method, a number out of its range, missing or superfluous data, and a loss that is
    not finite at the start.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", 2)
    >>> result = minimize(sd.sum((x - 3) ** 2), x, target="interpreter")
    >>> result.parameters, result.steps
    (array([3., 3.]), 1)
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ArgumentMismatch(f"method {method!r:.60} is not known", where="minimize",
                               mend=f"{suggestion(method, METHODS)}methods are {', '.join(METHODS)}")
    check_number("steps", steps, least=0, whole=True, optional=True)
    check_number("tolerance", tolerance, least=0)
    check_number("learning_rate", learning_rate, above=0, optional=True)
    check_number("momentum", momentum, least=0, below=1)
    check_number("damping", damping, least=0)
    check_switch("line_search", line_search, optional=True)
    check_switch("progress", progress)
    if callback is not None and not callable(callback):
        raise TypeMismatch(f"callback={callback!r:.60} is no function", mend="give a function of (step, parameters)")
    begun = time.perf_counter()
    objective = Objective("minimize", loss, wrt, data, start, seed=seed, spread=spread, target=target)
    walker = METHODS[method](Options(learning_rate, momentum, line_search, damping))
    point = walker.evaluate(objective, objective.start)
    if not np.isfinite(point.value):
        raise ArgumentMismatch(f"the loss is {point.value} at the start", where="minimize",
                               mend="start elsewhere with start=, or look for NaN in the data")
    history = [Step(0, point.value, point.norm, 0.0, time.perf_counter() - begun)]
    limit = walker.steps if steps is None else steps
    shown = time.perf_counter()
    converged, reason = False, f"{limit} steps are done"
    while True:
        if point.norm <= tolerance * max(1.0, min(abs(point.value), abs(history[0].value))):
            converged, reason = True, "the gradient vanishes"
            break
        if len(history) > limit:
            break
        fresh, size = walker.advance(objective, point)
        if size == 0.0:
            converged = stalled(point, history[0].gradient_norm)
            reason = "no step decreases the value any more"
            break
        if not np.isfinite(fresh.value):
            reason = f"the value became {fresh.value}"
            break
        point = fresh
        step = Step(len(history), point.value, point.norm, size, time.perf_counter() - begun)
        history.append(step)
        if progress and time.perf_counter() - shown > PROGRESS_SECONDS:
            shown = time.perf_counter()
            show(step, limit)
        if callback is not None and callback(step, objective.tree(point.x)):
            reason = "the callback ended it"
            break
    if progress:
        show(history[-1], limit)
    return Result(objective.tree(point.x), point.value, point.norm, len(history) - 1, converged, reason, method, history)


def stalled(point: Point, first_norm: float) -> bool:
    """Whether the gradient at a point that no step improves is small enough to call it a minimum."""
    return bool(point.norm <= EPSILON**0.5 * max(1.0, first_norm, abs(point.value)))


def show(step: Step, limit: int) -> None:
    """One line of progress."""
    print(f"step {step.number}/{limit}  value {step.value:.10g}  gradient norm {step.gradient_norm:.2e}  "
          f"{step.seconds:.1f} s", file=sys.stderr, flush=True)
