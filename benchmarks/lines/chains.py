"""A long program over scalars without any structure: what a recorded trace or a hand-unrolled formula looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.lines.line import Array, Line, Values, Work, scaled

INPUTS, REACH = 8, 32
KINDS = ("sin", "cos", "tanh", "times", "mean")


def chain_data(length: int) -> Callable[[float], Values]:
    """The inputs, and the program: a kind and two operands a step, each among the latest results."""
    def data(scale: float) -> Values:
        rng = np.random.default_rng(0)
        steps = INPUTS + np.arange(scaled(length, scale))
        oldest = np.maximum(0, steps - REACH)
        program = np.stack([rng.integers(0, len(KINDS), len(steps)), rng.integers(oldest, steps), rng.integers(oldest, steps)], 1)
        return {"p": rng.uniform(-1, 1, INPUTS), "program": program}
    return data


def run_program(program: Array, inputs: list[Any], sin: Any, cos: Any, tanh: Any) -> Any:
    """The sum of the last results, for numbers of any kind."""
    results = list(inputs)
    for kind, i, j in program.tolist():
        a, b = results[i], results[j]
        match KINDS[kind]:
            case "sin":
                results.append(sin(a))
            case "cos":
                results.append(cos(a))
            case "tanh":
                results.append(tanh(a))
            case "times":
                results.append(a * b)
            case _:
                results.append(0.5 * (a + b))
    return sum(results[-INPUTS:])


def chain(v: Values) -> list[Any]:
    """Value and gradient, the latter by carrying the tangents of all inputs along."""
    values, tangents = list(v["p"]), list(np.eye(INPUTS))
    for kind, i, j in v["program"].tolist():
        a, b, da, db = values[i], values[j], tangents[i], tangents[j]
        value, tangent = {"sin": (np.sin(a), np.cos(a) * da), "cos": (np.cos(a), -np.sin(a) * da),
                          "tanh": (np.tanh(a), (1 - np.tanh(a) ** 2) * da), "times": (a * b, a * db + b * da),
                          "mean": (0.5 * (a + b), 0.5 * (da + db))}[KINDS[kind]]
        values.append(value)
        tangents.append(tangent)
    return [sum(values[-INPUTS:]), sum(tangents[-INPUTS:])]


def nothing(values: Values) -> Work:
    """No limit of memory or of products."""
    return Work()


LINES = [Line("chain", "a program of 5,000 operations over scalars, value and gradient", "chain", chain_data(5_000), chain,
              nothing, group="chain")]
