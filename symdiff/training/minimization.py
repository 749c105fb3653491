"""`minimize`: the loop around a method, with convergence, history, callback and progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.option_values import check_number, check_switch, suggestion
from symdiff.training.convergence import Criterion, Ending
from symdiff.training.methods import METHODS, Options
from symdiff.training.objectives import Objective
from symdiff.training.points import Point, length
from symdiff.training.results import Result, Step

Tree = Any
PROGRESS_SECONDS = 0.4


def minimize(loss: Any, wrt: Tree, data: Mapping[Any, Any] | None = None, method: str = "newton", *, start: Tree = None,
             steps: int | None = None, tolerance: float = 1e-9, learning_rate: float | None = None,
             momentum: float = 0.9, decay: float | None = None, memory: int = 10, line_search: bool | None = None,
             damping: float = 0.0, callback: Callable[[Step, Tree], Any] | None = None, progress: bool = False,
             seed: int | None = None, spread: float = 1.0, target: str = "cpu") -> Result:
    """Minimise a scalar expression over the symbols of `wrt` (a symbol, or a list, tuple or dict of them).

    `data` gives values for the other symbols.  The start is zero, or `start` (a tree like `wrt`), or with `seed` normal
    numbers times `spread`.  Methods, with the most steps they take unless `steps` says otherwise:

    - "newton" (100): value, gradient and Hessian in one kernel; full steps where they work, else within a trust region;
      exact for quadratics in one step.  `damping` is added to the Hessian's diagonal, `line_search=False` takes each step.
    - "lbfgs" (1000): curvature from the last `memory` steps, with a Wolfe line search.
    - "gd" (10 000): steps of `learning_rate` times the gradient, or searched where none is given.
    - "momentum", "rmsprop", "adam" (10 000): fixed rates, 0.01, 0.001 and 0.001 unless `learning_rate` is given.
      `momentum` is the heavy ball's β and Adam's β₁; `decay` is that of the squared gradient, 0.9 for "rmsprop" and
      0.999 for "adam" unless given.

    Formulas and sources stand with the classes in `symdiff/training/methods.py`.

    It has converged where the gradient norm is at most `tolerance` times the largest of the run (times 1, if that is
    less), where no step decreases the value by more than its rounding, or where the gradient is no more than rounding; the
    precision is that of the loss and its parameters.  Newton's method does not stop at a saddle or a maximum while a step
    down is left, and says so if it must.  A first-order method can not tell them from a minimum, and the rates of "rmsprop"
    and "adam" may be too long for a small gradient: then the steps run out.

    `callback(step, parameters)` ends the run by returning something true.  `progress` writes a line now and then to
    standard error.  Raises `ArgumentMismatch` for an unknown method, a number out of its range, missing or superfluous
    data, and a loss that is not finite at the start.

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
    check_number("decay", decay, least=0, below=1, optional=True)
    check_number("memory", memory, least=1, whole=True)
    check_number("damping", damping, least=0)
    check_switch("line_search", line_search, optional=True)
    check_switch("progress", progress)
    if callback is not None and not callable(callback):
        raise TypeMismatch(f"callback={callback!r:.60} is no function", mend="give a function of (step, parameters)")
    walker = METHODS[method](Options(learning_rate, momentum, decay, memory, line_search, damping))
    begun = time.perf_counter()
    objective = Objective("minimize", loss, wrt, data, start, seed=seed, spread=spread, target=target)
    criterion = Criterion(objective, walker, tolerance)
    point = first_point(criterion)
    if not np.isfinite(point.value):
        raise ArgumentMismatch(f"the loss is {point.value} at the start", where="minimize",
                               mend="start elsewhere with start=, or look for NaN in the data")
    history = [Step(0, point.value, point.norm, 0.0, time.perf_counter() - begun)]
    limit = walker.steps if steps is None else steps
    shown = time.perf_counter()
    while True:
        fresh = next_point(criterion, point, history, limit)
        if isinstance(fresh, Ending):
            converged, reason = fresh
            break
        size, point = length(fresh.x - point.x), fresh
        step = Step(len(history), point.value, point.norm, size, time.perf_counter() - begun)
        history.append(step)
        if progress and time.perf_counter() - shown > PROGRESS_SECONDS:
            shown = time.perf_counter()
            show(step, limit)
        if callback is not None and callback(step, objective.tree(point.x)):
            converged, reason = Ending(False, "the callback ended it")
            break
    if progress:
        show(history[-1], limit)
    return Result(objective.tree(point.x), point.value, point.norm, len(history) - 1, converged, reason, method, history)


@np.errstate(all="ignore")
def first_point(criterion: Criterion) -> Point:
    """Where the run starts."""
    return criterion.method.evaluate(criterion.objective, criterion.objective.start)


@np.errstate(all="ignore")
def next_point(criterion: Criterion, point: Point, history: list[Step], limit: int) -> Point | Ending:
    """The point after one more step, or how the run ends."""
    reached = criterion.reached(point, history)
    if reached is not None:
        return Ending(True, reached)
    if len(history) > limit:
        return Ending(False, f"{limit} steps are done")
    fresh = criterion.method.advance(criterion.objective, point)
    if fresh is None:
        return criterion.stopped(point)
    return fresh if np.isfinite(fresh.value) else Ending(False, f"the value became {fresh.value}")


def show(step: Step, limit: int) -> None:
    """One line of progress."""
    print(f"step {step.number}/{limit}  value {step.value:.10g}  gradient norm {step.gradient_norm:.2e}  "
          f"{step.seconds:.1f} s", file=sys.stderr, flush=True)
