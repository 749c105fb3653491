"""What makes a program the one that it is, as bytes for the keys of kept kernels.

Every field of every node is written by its name, those of nodes that are added to the language too: equal bytes are equal
programs, as no two kinds of nodes have fields of the same names.  The text for people (`codegen.loop_ir.text`) leaves out what
follows for a reader, and a size may bear the name of a loop there.  Remarks alone are left out, so that names of symbols make
no difference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from msgspec.msgpack import Encoder
from msgspec.structs import replace

from codegen.loop_ir.nodes import Nest, Program, ProgramNode
from symdiff.sizes import Dim

REMARKS = frozenset({"comment"})
# How each kind of node begins, and what gives its fields.
FIELDS: dict[type, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {}
Remarked = TypeVar("Remarked")


def program_identity(program: Program) -> bytes:
    """The bytes of a program, the same in every process.

    >>> a, b = (Program("empty", (name,), (), ()) for name in "nm")
    >>> program_identity(a) == program_identity(b)
    False
    """
    try:
        return ENCODER.encode(replace(program, sections=tuple([without_remarks(s) for s in program.sections])))
    except (OverflowError, UnicodeEncodeError):
        # Integers of more than 64 bits, names that are no text: Python writes those.
        parts: list[str] = []
        write(program, parts.append)
        return "".join(parts).encode("utf-8", "surrogatepass")


def without_remarks(node: Remarked) -> Remarked:
    """A section or statement without the remarks in it."""
    changes: dict[str, Any] = {"comment": ""} if getattr(node, "comment", "") else {}
    body = getattr(node, "body", ())
    inner = [without_remarks(s) if isinstance(s, Nest) else s for s in body]
    if any([s is not old for s, old in zip(inner, body, strict=True)]):
        changes["body"] = tuple(inner)
    return replace(node, **changes) if changes else node  # type: ignore[type-var]


def plain(value: Any) -> Any:
    """A size by its key, and a number of NumPy by its bytes: what dictionaries of fields are not."""
    if isinstance(value, Dim):
        return {"Dim": value.key}
    if isinstance(value, np.generic):
        return {"NumPy": (value.dtype.str, value.tobytes())}
    raise TypeError(f"a {type(value).__name__} in a program has no identity")


ENCODER = Encoder(enc_hook=plain)


def write(value: Any, put: Callable[[str], None], named: Callable[[str], str] = str) -> None:
    """Write a node, or a field of one; `named` tells what is written for a name of the program."""
    stack = [value]
    texts: dict[str, str] = {}
    while stack:
        value = stack.pop()
        kind = value.__class__
        if kind is str:
            text = texts.get(value)
            if text is None:
                name = named(value)
                text = texts[value] = f"{len(name)}'{name}"
            put(text)
        elif kind is tuple:
            put(f"{len(value)}(")
            stack += value[::-1]
        elif kind in FIELDS:
            opening, fields_of = FIELDS[kind]
            put(opening)
            stack += fields_of(value)
        elif kind is int or kind is bool or value is None:
            put(f"{value};")
        elif kind is float:
            put(f"f{struct.pack('<d', value).hex()}")
        elif isinstance(value, np.generic):
            put(f"{value.dtype}:{value.tobytes().hex()}")
        elif kind is Dim:
            put("D")
            write(value.key, put)
        else:
            FIELDS[kind] = f"{kind.__name__}{{", reader(field_names(kind)[::-1])
            stack.append(value)


def reader(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the fields of those names."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def field_names(kind: type) -> tuple[str, ...]:
    """The fields of a node; raises `TypeError` for what is no node, so that nothing is left out unseen."""
    if not issubclass(kind, ProgramNode):
        raise TypeError(f"a {kind.__name__} in a program has no identity")
    return tuple([name for name in kind.__struct_fields__ if name not in REMARKS])
