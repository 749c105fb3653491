"""The demo: models on real data, from the formula to a fit that reaches published numbers.

For each model: loss, gradient and Hessian as formulas, the check of the derivatives, the loops of the kernel, the fit
beside the reference numbers, and the time of a call beside plain NumPy, measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.compiler import compile
from codegen.runtime.kernel import Kernel
from symdiff.demo_models import MODELS, Fit, Model
from symdiff.derivations import derive_all
from symdiff.differentiation import grad
from symdiff.errors import BackendUnavailable
from symdiff.expression import Symbol
from symdiff.operators.loops import fori
from symdiff.substitution import substitute
from symdiff.training.minimization import minimize
from symdiff.training.objectives import Objective
from symdiff.training.results import Result
from symdiff.verification import check_derivatives

KERNEL_LINES = 24
CHECK_ROWS = 12
SEEDS = 100
ENOUGH = 95
STEPS = 10_000


def run_demo(names: Sequence[str] = (), *, seeds: int = SEEDS, write: Callable[[str], Any] = print) -> bool:
    """Show the models of the names given (all unless given); whether every number was reached."""
    results = []
    for name in names or MODELS:
        try:
            model = MODELS[name]()
        except BackendUnavailable as error:
            write(f"{name}: {error}\n")
            results.append((name, False))
            continue
        results.append((name, show_model(model, seeds, write)))
    write(heading("Summary"))
    for name, good in results:
        write(f"{name:<10} {'every number reached' if good else 'NOT REACHED'}")
    return all(good for _, good in results)


def objective_of(model: Model) -> Objective:
    """The loss on the data of the first fit, at a point near zero."""
    return Objective("demo", model.loss, model.wrt, model.fits[0].data, seed=1, spread=0.1)


def show_model(model: Model, seeds: int, write: Callable[[str], Any]) -> bool:
    """Print everything about one model; whether its fits reach the published numbers."""
    write(heading(model.title))
    write(section("Formulas", str(derive_all(model.loss, model.wrt))))
    first = model.fits[0]
    at = {**first.data, **{s.name: start_value(s, first) for s in symbols(model)}}
    report = check_derivatives(model.loss, model.wrt, at)
    write(section("Derivatives, symbolic against numeric",
                  str(report) if len(report.checks) <= CHECK_ROWS else report.summary()))
    objective = objective_of(model)
    kernel = objective.kernel(model.kernel)
    write(section(f"The kernel ({kernel.source.count(chr(10)) + 1} lines; its pass over the data)", loops_of(kernel)))
    good = True
    for fit in model.fits:
        result = minimize(model.loss, model.wrt, fit.data, **fit.options)
        write(section(f"Fit: {fit.title}", str(result)))
        text, reached = comparison(fit, result)
        write(text + "\n")
        good = good and reached
    if model.solved is not None:
        good = show_seeds(model, first, seeds, write) and good
        good = show_training(model, first, result, write) and good
    write(section("Time per call", timing(model, objective, kernel)))
    return good


def symbols(model: Model) -> list[Symbol]:
    """The parameters of a model."""
    return [s for s in model.wrt.values() if isinstance(s, Symbol)]


def start_value(parameter: Symbol, fit: Fit) -> Any:
    """Small random values for a parameter: a point where nothing is zero by symmetry."""
    columns = fit.data["X"].shape[1]
    shape = tuple(s if isinstance(s, int) else columns for s in parameter.shape)
    return 0.1 * np.random.default_rng(0).normal(size=shape)


def comparison(fit: Fit, result: Result) -> tuple[str, bool]:
    """The table of published and reached numbers, and whether all are near enough."""
    lines = [f"{'':<20} {'published':>20} {'here':>22} {'difference':>11}"]
    good = True
    for target in fit.targets:
        ours = float(target.ours(result))
        gap = abs(ours - target.published)
        near = gap <= target.tolerance
        good = good and near
        published = "" if "at most" in target.name else f"{target.published:.14g}"
        lines.append(f"{target.name:<20} {published:>20} {ours:>22.16g} "
                     f"{f'{gap:.1e}' if published else '':>11}  {'ok' if near else 'TOO FAR'}")
    return "\n".join(lines), good


def show_seeds(model: Model, fit: Fit, seeds: int, write: Callable[[str], Any]) -> bool:
    """Fit from many random starts; whether enough of them are solved."""
    assert model.solved is not None
    begun = time.perf_counter()
    solved = sum(model.solved(minimize(model.loss, model.wrt, fit.data, **{**fit.options, "seed": seed}))
                 for seed in range(seeds))
    write(f"solved from {solved} of {seeds} random starts, in {time.perf_counter() - begun:.1f} s\n")
    return solved * SEEDS >= ENOUGH * seeds


def show_training(model: Model, fit: Fit, result: Result, write: Callable[[str], Any]) -> bool:
    """Train in one call: the steps are a loop in the kernel; whether the model is solved by it."""
    assert model.solved is not None
    wrt = list(model.wrt.values())
    gradients, rate = grad(model.loss, wrt), fit.options["learning_rate"]

    def step(_: Any, parameters: list[Any]) -> list[Any]:
        known = dict(zip(wrt, parameters, strict=True))
        return [p - rate * substitute(g, known) for p, g in zip(parameters, gradients, strict=True)]
    kernel = compile(fori(0, STEPS, step, wrt))
    start = {name: start_value(s, fit) for name, s in zip(model.wrt, symbols(model), strict=True)}
    kernel(**start, **fit.data)
    begun = time.perf_counter()
    trained = kernel(**start, **fit.data)
    spent = time.perf_counter() - begun
    solved = model.solved(replace(result, parameters=dict(zip(model.wrt, trained, strict=True))))
    write(f"{STEPS} steps of gradient descent in one call: {1e3 * spent:.2f} ms, {'solved' if solved else 'NOT SOLVED'}\n")
    return solved


def timing(model: Model, objective: Objective, kernel: Kernel) -> str:
    """Microseconds of a call of the kernel and of plain NumPy, which must give the same numbers."""
    arrays = objective.arrays(objective.start)
    arguments = [*arrays, *objective.data.values()]
    parameters = dict(zip(model.wrt, arrays, strict=True))
    data = {s.name: v for s, v in objective.data.items()}
    for ours, theirs in zip(kernel(*arguments), model.plain(parameters, data), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    seconds = alternating([lambda: kernel(*arguments), lambda: model.plain(parameters, data)])
    what = {"hessian": "value, gradient and Hessian", "gradient": "value and gradient"}[model.kernel]
    return (f"{what}: kernel {1e6 * seconds[0]:.1f} µs, plain NumPy {1e6 * seconds[1]:.1f} µs "
            f"({seconds[1] / seconds[0]:.1f} times as long)")


def alternating(calls: Sequence[Callable[[], Any]], rounds: int = 15, duration: float = 0.02) -> list[float]:
    """The least seconds of one call of each, measured in turn so that both see the same machine."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for k, call in enumerate(calls):
            count, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < duration / len(calls) or not count:
                call()
                count += 1
            best[k] = min(best[k], spent / count)
    return best


def loops_of(kernel: Kernel, lines: int = KERNEL_LINES) -> str:
    """The first lines of the source from where its loops begin."""
    source = kernel.source.splitlines()
    start = next((k for k, line in enumerate(source) if line.startswith("def range_")), 0)
    shown = source[start:start + lines]
    rest = len(source) - start - len(shown)
    return "\n".join(shown + ([f"… {rest} more lines"] if rest > 0 else []))


def heading(text: str) -> str:
    """A line of its own, underlined."""
    return f"{text}\n{'=' * len(text)}\n"


def section(title: str, body: str) -> str:
    """A titled part of the output, indented."""
    return f"{title}\n" + "\n".join(f"  {line}".rstrip() for line in body.splitlines()) + "\n"
