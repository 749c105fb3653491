"""Values, indices and sizes of the loop IR as Python expressions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from codegen.emitters.preamble import STRICT, SUFFIXES, TYPES, expand
from codegen.loop_ir.arithmetic import Level, Text, affine_text, enclose, size_text
from codegen.loop_ir.nodes import (
    Affine,
    Buffer,
    Call,
    IndexValue,
    Inside,
    Literal,
    Load,
    Program,
    Register,
    SizeValue,
    Value,
)
from codegen.loop_ir.scalars import SCALARS
from codegen.loop_ir.walks import dtype_of
from symdiff.sizes import Size


class ValueWriter:
    """Writes values; keeps what it has learnt: the dtypes of registers, and the helpers that it needs."""

    def __init__(self, program: Program) -> None:
        self.buffers: dict[str, Buffer] = {b.name: b for b in program.buffers}
        self.names: Mapping[str, str] = {name: f"n{k}" for k, name in enumerate(program.sizes)}
        self.registers: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        self.routines: set[tuple[str, str]] = set()
        self.modules: set[str] = set()
        self.tile_start = ""

    def text(self, value: Value, least: Level = Level.ANY) -> str:
        """The expression of a value, in parentheses where it binds looser than `least`."""
        return enclose(self.value(value), least)

    def value(self, value: Value) -> Text:
        """The expression of a value."""
        match value:
            case Literal(number, dtype):
                return literal_text(number, dtype)
            case Register(name):
                return name, Level.ATOM
            case SizeValue(int() as size, dtype):
                return literal_text(size, dtype)
            case SizeValue(size, dtype):
                return as_number(size_text(size, self.names), dtype)
            case IndexValue(index, dtype):
                return as_number(affine_text(index, self.names), dtype)
            case Load(name, index):
                return self.element(name, index), Level.ATOM
            case Inside(index, size):
                place, bound = affine_text(index, self.names), size_text(size, self.names)
                return f"0 <= {enclose(place, Level.SUM)} < {enclose(bound, Level.SUM)}", Level.COMPARE
            case Call():
                return self.call(value)

    def call(self, call: Call) -> Text:
        """The expression of a call, by its row of the table."""
        function, args, dtype = call.function, call.args, call.dtype
        row = SCALARS[function]
        if function == "cast":
            folded = self.cast(args[0], dtype)
            if folded is not None:
                return folded
        integer = dtype.startswith("int")
        if row.family == "power_int" and not integer:
            args = (args[0], Call("cast", (args[1],), dtype))
        template = row.integer if integer else row.template
        helper = row.integer_helper if integer else row.helper
        if template == "{0}":
            return self.value(args[0])
        name = function + SUFFIXES[dtype]
        if helper and name not in self.helpers:
            self.helpers[name] = f"{STRICT}\n{expand(helper.strip(), dtype, f=name)}\n"
        if "math." in template:
            self.modules.add("math")
        text = expand(template, dtype, f=name).format(*self.arguments(row.level, args))
        if dtype == "int32" and row.family in ("number", "order", "power_int") and row.level != Level.ATOM:
            # Numba computes with 64-bit integers, whatever goes in.
            return f"np.int32({text})", Level.ATOM
        return text, row.level

    def arguments(self, level: Level, args: tuple[Value, ...]) -> list[str]:
        """The texts of arguments; operators group to the left, except that comparisons and powers never chain."""
        if level == Level.ATOM:
            return [self.text(a) for a in args]
        chains = level in (Level.SUM, Level.PRODUCT, Level.AND, Level.OR) and len(args) == 2
        return [self.text(a, level if chains and k == 0 else Level(level + 1)) for k, a in enumerate(args)]

    def cast(self, value: Value, dtype: str) -> Text | None:
        """A cast that needs no conversion at run time, or one to bool."""
        if isinstance(value, Literal):
            return literal_text(np.dtype(value.dtype).type(value.value).astype(dtype).item(), dtype)
        source = dtype_of(value, self.registers, self.buffers)
        if source == dtype:
            return self.value(value)
        if dtype == "bool":
            return self.value(Call("not_equal", (value, Literal(0, source)), "bool"))
        return None

    def element(self, name: str, index: tuple[Affine, ...]) -> str:
        """buffer[index]."""
        if not index:
            return f"{name}[()]"
        buffer = self.buffers[name]
        cut = buffer.sample_axis if buffer.role == "tile" else None
        places = [affine_text(i, self.names, self.tile_start if axis == cut else "")[0] for axis, i in enumerate(index)]
        return f"{name}[{', '.join(places)}]"

    def size(self, size: Size, least: Level = Level.ANY) -> str:
        """The expression of a size."""
        return enclose(size_text(size, self.names), least)


def as_number(text: Text, dtype: str) -> Text:
    """An integer expression as a number of a dtype."""
    return text if dtype == "int64" else (f"{TYPES[dtype]}({text[0]})", Level.ATOM)


def literal_text(number: float | int | bool, dtype: str) -> Text:
    """A literal whose text reads back as exactly the same number."""
    if dtype == "bool":
        return str(bool(number)), Level.ATOM
    if dtype.startswith("int"):
        text = str(int(number))
    elif math.isnan(number):
        text = "np.nan"
    elif math.isinf(number):
        text = "np.inf" if number > 0 else "-np.inf"
    else:
        text = repr(float(number))
    if dtype in ("float64", "int64"):
        return text, Level.SIGN if text.startswith("-") else Level.ATOM
    return f"{TYPES[dtype]}({text})", Level.ATOM
