"""Source that generated NumPy functions bring along: the reference functions of the tables, reads and scatters."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.printing.numpy_words import Words

READ = '''
def read(x, *indices):
    """x at arrays of indices; zero outside."""
    indices = np.broadcast_arrays(*indices)
    inside = np.all([(i >= 0) & (i < s) for i, s in zip(indices, x.shape)], axis=0)
    nothing = np.zeros((), x.dtype)
    found = x[tuple(np.clip(i, 0, s - 1) for i, s in zip(indices, x.shape))] if x.size else nothing
    return np.where(inside, found, nothing)
'''
INSIDE = '''
def inside(x, *indices):
    """Whether arrays of indices stay inside x."""
    indices = np.broadcast_arrays(*indices)
    return np.all([(i >= 0) & (i < s) for i, s in zip(indices, x.shape)], axis=0)
'''
SCATTER = '''
def scatter(shape, values, *indices):
    """Zeros with the values added at arrays of indices; what falls outside is dropped."""
    values, *indices = np.broadcast_arrays(values, *indices)
    inside = np.all([(i >= 0) & (i < s) for i, s in zip(indices, shape)], axis=0)
    result = np.zeros(shape, values.dtype)
    np.add.at(result, tuple(i[inside] for i in indices), values[inside])
    return result
'''
OWN = {"read": READ, "inside": INSIDE, "scatter": SCATTER}


def unwrapped(function: Callable[..., Any]) -> Any:
    """The function without its decorators."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def word_of(function: Callable[..., Any]) -> str:
    """The name by which source calls a reference function: `np.exp`, or that of a helper."""
    while True:
        name: str = function.__name__
        for found in (name, {"absolute": "abs", "amax": "max", "amin": "min"}.get(name, name)):
            if getattr(np, found, None) is function:
                return f"np.{found}"
        if not hasattr(function, "__wrapped__"):
            return name
        function = function.__wrapped__


class Helpers:
    """The helper functions that a source needs, each once, in order of dependency."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.sources: dict[str, str] = {}
        self.uses_math = False

    def own(self, name: str) -> str:
        """One of the helpers above."""
        word = self.words.function(name)
        self.sources.setdefault(name, OWN[name].strip().replace(f"def {name}(", f"def {word}("))
        return word

    def call(self, function: Callable[..., Any]) -> str:
        """The word for a reference function, whose source is brought along where NumPy does not have it."""
        word = word_of(function)
        if word == "<lambda>":
            # Of the tables only functions that change nothing but the derivative are written so.
            word = "np.asarray"
        if word.startswith("np."):
            return word
        if word not in self.sources:
            self.bring(unwrapped(function))
        return self.words.function(word)

    def bring(self, function: Any) -> None:
        """Add the source of a function of the tables, after what it calls."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.decorator_list, definition.returns = [], None
        for argument in definition.args.args:
            argument.annotation = None
        known = function.__globals__
        for name in sorted({n.id for n in ast.walk(definition) if isinstance(n, ast.Name)}):
            value = known.get(name)
            if name in self.sources or value is None or value is np or name == function.__name__:
                continue
            if value is math:
                self.uses_math = True
            elif isinstance(value, np.vectorize):
                self.uses_math = True
                word = f"math.{value.pyfunc.__name__}"
                self.sources[name] = f"{self.words.function(name)} = np.vectorize({word}, otypes=[np.float64])"
            elif isinstance(value, float):
                self.sources[name] = f"{self.words.function(name)} = {value!r}"
            elif inspect.isfunction(value):
                self.bring(unwrapped(value))
        definition.name = self.words.function(function.__name__)
        for n in ast.walk(definition):
            if isinstance(n, ast.Name) and n.id in self.sources:
                n.id = self.words.function(n.id)
        self.sources[function.__name__] = ast.unparse(definition)
