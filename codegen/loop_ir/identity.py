"""What makes a program the one that it is, as bytes for the keys of kept kernels.

Every field of every node is written with its kind, those of nodes that are added to the language too, and a tuple with its
length: equal bytes are equal programs.  The text for people (`codegen.loop_ir.text`) leaves out what follows for a reader,
and a size may bear the name of a loop there.  Remarks alone are left out, so that names of symbols make no difference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from codegen.loop_ir.nodes import Program
from symdiff.sizes import Dim

REMARKS = frozenset({"comment"})
FIELDS: dict[type, tuple[str, ...]] = {}


def program_identity(program: Program) -> bytes:
    """The bytes of a program, the same in every process.

    >>> a, b = (Program("empty", (name,), (), ()) for name in "nm")
    >>> program_identity(a) == program_identity(b)
    False
    """
    parts: list[str] = []
    write(program, parts.append)
    return "".join(parts).encode("utf-8", "surrogatepass")


def write(value: Any, put: Callable[[str], None]) -> None:
    """Write a node, or a field of one."""
    kind = type(value)
    if kind is str:
        put(f"{len(value)}'{value}")
    elif kind is tuple:
        put(f"{len(value)}(")
        for item in value:
            write(item, put)
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
        names = FIELDS.get(kind)
        if names is None:
            names = FIELDS[kind] = field_names(kind)
        put(f"{kind.__name__}{{")
        for name in names:
            write(getattr(value, name), put)


def field_names(kind: type) -> tuple[str, ...]:
    """The fields of a node; raises `TypeError` for what is no node, so that nothing is left out unseen."""
    if not is_dataclass(kind):
        raise TypeError(f"a {kind.__name__} in a program has no identity")
    return tuple(f.name for f in fields(kind) if f.name not in REMARKS)
