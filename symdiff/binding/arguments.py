"""Binding: the values of a call, by position and by name, become arrays in order and a value for each size."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from symdiff.binding.conversions import as_argument, check_finite
from symdiff.binding.declared_facts import check_facts
from symdiff.binding.demands import Demands, PositionCheck, check_demands
from symdiff.binding.solving import SizeSource, size_sources
from symdiff.binding.told_sizes import as_length, is_told
from symdiff.errors import ArgumentMismatch, TypeMismatch
from symdiff.expression import Symbol
from symdiff.loops import BOUND, shown_name
from symdiff.provenance import plain, spelled
from symdiff.sizes import NAMED, Dim, Size, named_sizes, value_of
from symdiff.tensor_type import shape_text

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int, ...], ...]
REMEMBERED = 256
NO_DEMANDS = Demands()


class Argument(Struct, frozen=True):
    """What a kernel expects of one input; `where` is the text that errors show (shape, the user's line).

    `is_size` says that a number is given, and the argument is an array of that length; `facts` are what was declared of its values.
    """

    name: str
    dtype: str
    shape: tuple[Size, ...]
    where: str = ""
    is_size: bool = False
    facts: tuple[str, ...] = ()

    def axis(self, axis: int) -> str:
        """An axis, as errors tell it."""
        return f"the number {self.name}" if self.is_size else f"axis {axis} of {self.name}"

    @property
    def more(self) -> str:
        """What to pass where a size is too small."""
        return "a larger number" if self.is_size else "more data"

    def with_elements(self, count: int, axis: int) -> str:
        """What to pass so that an axis has so many elements."""
        return f"pass {self.name}={count}" if self.is_size else f"pass {self.name} with {count} along axis {axis}"


def argument_of(symbol: Symbol) -> Argument:
    """What is expected of the value of a symbol."""
    if is_told(symbol):
        return Argument(symbol.name, symbol.dtype, symbol.shape, f"{symbol.name}, a size", True)
    declared = f", declared at {symbol.origin}" if symbol.origin else ""
    return Argument(symbol.name, symbol.dtype, symbol.shape,
                    f"{symbol.name} of dtype {symbol.dtype} and shape {shape_text(symbol.shape)}{declared}", facts=symbol.facts)


def refuse_inner(symbols: Iterable[Symbol]) -> None:
    """Raise `ArgumentMismatch` for a symbol that a loop gave its body, and that got out of it: nobody can give its value."""
    for symbol in symbols:
        if BOUND in symbol.name:
            raise ArgumentMismatch(f"{shown_name(symbol)}, which a loop gives its body in each turn, is used outside of that loop",
                                   mend="return it from the body: as a carry, or as what the step of a scan keeps of each turn")


def named_values(values: Any, callee: str, keys: tuple[type, ...] = (str, Symbol)) -> Mapping[Any, Any]:
    """Values by symbol or name, as a user gives them; raises `TypeMismatch` for what is no dict of that kind."""
    if not isinstance(values, Mapping):
        raise TypeMismatch(f"{plain(values)} is no dict of values", where=callee,
                           mend="give the values by symbol or by name: {\"x\": 1.0}")
    for key in values:
        if not isinstance(key, keys):
            raise TypeMismatch(f"{plain(key)} is no symbol", where=callee, mend="use symbols or their names as keys")
    return values


def values_by_name(values: Any, callee: str) -> dict[str, Any]:
    """As `named_values`, of sizes too, every key a name; raises `ArgumentMismatch` for what is given by its name too."""
    named: dict[str, Any] = {}
    for key, value in named_values(values, callee, (str, Symbol, Dim)).items():
        name = key.name if isinstance(key, Symbol) else str(key)
        if name in named:
            raise ArgumentMismatch(f"{name} is given twice, by symbol and by name", where=callee,
                                   mend="leave out one of the two")
        named[name] = value
    return named


class Binder:
    """Binds calls to a list of arguments.

    `check` also refuses NaN, infinities and values that are not as they were declared, `callee` is the name in errors, `demands`
    are what the outputs ask of sizes and of arrays that index.
    """

    def __init__(self, arguments: Sequence[Argument], check: bool = False, callee: str = "f",
                 demands: Demands = NO_DEMANDS) -> None:
        self.arguments = tuple(arguments)
        self.demands = demands
        self.check, self.callee = check, callee
        self.expected = [(np.dtype(a.dtype), len(a.shape)) for a in arguments]
        self.sources = size_sources([a.shape for a in arguments])
        self.solved: dict[Shapes, dict[str, int]] = {}
        self.check_positions = PositionCheck(demands.positions)

    def bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[list[Array], dict[str, int]]:
        """The arrays in the order of the arguments, and the sizes that their shapes tell.

        Raises `ArgumentMismatch` for a wrong, unknown, missing or doubled name, a wrong rank, size or dtype.
        """
        if named or len(args) != len(self.arguments):
            args = self.in_order(args, named)
        arrays = []
        for k, (value, (dtype, rank)) in enumerate(zip(args, self.expected, strict=True)):
            if type(value) is np.ndarray and value.dtype == dtype and value.ndim == rank:
                flags = value.flags
                if flags.c_contiguous and flags.aligned:
                    arrays.append(value)
                    continue
            a = self.arguments[k]
            arrays.append(as_length(value, a.name, a.where) if a.is_size else as_argument(value, dtype, a.name, a.where))
        shapes = tuple([array.shape for array in arrays])
        sizes = self.solved.get(shapes)
        if sizes is None:
            sizes = solve_sizes(self.arguments, shapes, self.sources)
            check_demands(self.demands.sizes, sizes)
            if len(self.solved) >= REMEMBERED:
                self.solved.clear()
            self.solved[shapes] = sizes
        if self.demands.positions:
            self.check_positions({a.name: array for a, array in zip(self.arguments, arrays, strict=True)}, sizes)
        if self.check:
            for a, array in zip(self.arguments, arrays, strict=True):
                check_finite(array, a.name, a.where)
                check_facts(array, a.facts, a.name, a.where)
        return arrays, sizes

    def in_order(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values by position."""
        names = [a.name for a in self.arguments]
        call = f"{self.callee}({', '.join(names)})"
        if len(args) > len(names):
            raise ArgumentMismatch(f"{len(args)} values are given, but there are {len(names)} inputs", where=call,
                                   mend=f"pass {len(names)}, in this order or by name")
        values = dict(zip(names, args, strict=False))
        for given, value in named.items():
            name = spelled(given)
            if name not in names:
                near = difflib.get_close_matches(name, names, 1, 0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ArgumentMismatch(f"there is no input {name!r}", where=call,
                                       mend=f"{hint}inputs are {', '.join(names) or 'none'}")
            if name in values:
                raise ArgumentMismatch(f"{name} is given twice, by position and by name", where=call,
                                       mend=f"leave out one of the two values of {name}")
            values[name] = value
        missing = [a for a in self.arguments if a.name not in values]
        if missing:
            raise ArgumentMismatch(f"no value is given for {', '.join(a.name for a in missing)}", where=call,
                                   mend="pass " + ", ".join(f"{a.name}=…" for a in missing))
        return tuple(values[name] for name in names)


def solve_sizes(arguments: Sequence[Argument], shapes: Shapes, sources: Sequence[SizeSource]) -> dict[str, int]:
    """The value of each named size; raises `ArgumentMismatch` where shapes do not fit the arguments or each other."""
    for a, shape in zip(arguments, shapes, strict=True):
        if len(shape) != len(a.shape):
            raise ArgumentMismatch(
                f"{a.name} has {count(len(shape), 'axis', 'axes')} (shape {shape}), but {len(a.shape)} expected: "
                f"{shape_text(a.shape)}", where=a.where, mend=f"reshape {a.name} to {shape_text(a.shape)}")
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    for s in sources:
        a, got = arguments[s.argument], shapes[s.argument][s.axis]
        slope, rest = value_of(s.coefficient, sizes), value_of(s.rest, sizes)
        if slope == 0 or (got - rest) % slope:
            raise ArgumentMismatch(
                f"axis {s.axis} of {a.name} has {got} elements, but {a.shape[s.axis]} of them are expected, and no "
                f"{s.name} makes that so", where=a.where, mend=f"pass {a.name} with a shape {shape_text(a.shape)}")
        sizes[s.name] = (got - rest) // slope
        origin[s.name] = a.axis(s.axis)
        check_minimum(a, s.axis, s.name, sizes[s.name], got)
    for a, shape in zip(arguments, shapes, strict=True):
        for axis, (size, got) in enumerate(zip(a.shape, shape, strict=True)):
            check_axis(a, axis, size, got, sizes, origin)
    return sizes


def check_minimum(a: Argument, axis: int, name: str, value: int, got: int) -> None:
    """Raise `ArgumentMismatch` where a size that is read off an axis is smaller than it may be."""
    least = NAMED[name].minimum if name in NAMED else 0
    if value >= least:
        return
    size = a.shape[axis]
    if value < 0:
        raise ArgumentMismatch(f"axis {axis} of {a.name} has {got} elements, but {size} of them are expected, so {name} would "
                               f"be {value}", where=a.where, mend=f"pass {a.name} with more elements along axis {axis}")
    raise ArgumentMismatch(
        f"size {name} is {value} by {a.axis(axis)}, but it is at least {least}", where=a.where,
        mend=f"pass {a.more}, or declare the size with dim({name!r}, minimum={value}) before it is used")


def check_axis(a: Argument, axis: int, size: Size, got: int, sizes: dict[str, int], origin: dict[str, str]) -> None:
    """Raise `ArgumentMismatch` unless an axis has the length that its size says."""
    names = sorted(named_sizes(size))
    unknown = [name for name in names if name not in sizes]
    if unknown:
        raise ArgumentMismatch(f"size {unknown[0]} cannot be told from axis {axis} of {a.name}, which is {size}",
                               where=a.where, mend=f"pass an array that has {unknown[0]} as an axis of its own")
    expected = value_of(size, sizes)
    if got == expected:
        return
    mend = a.with_elements(expected, axis)
    if not names:
        raise ArgumentMismatch(f"axis {axis} of {a.name} has {got} elements, but {expected} are expected",
                               where=a.where, mend=mend)
    name = names[0]
    if str(size) == name:
        raise ArgumentMismatch(f"size {name} is {expected} by {origin[name]}, but {got} by {a.axis(axis)}",
                               where=a.where, mend=f"{mend}, or change {origin[name]}")
    known = ", ".join(f"{n} = {sizes[n]} by {origin[n]}" for n in names)
    raise ArgumentMismatch(f"axis {axis} of {a.name} has {got} elements, but {size} is {expected} ({known})",
                           where=a.where, mend=mend)


def count(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"

