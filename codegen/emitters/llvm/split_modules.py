"""A module in pieces: modules whose machine code can be written at the same time, and is linked as one.

Each function stands in one piece; the others that call it declare it.  What is no function (declarations, constants,
attributes) stands in every piece.
"""

from __future__ import annotations

import re

FUNCTION = re.compile(r"^define .*?^}\n*", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"@([\w.]+)")
# What a declaration leaves out of the line that begins a function.
PARAMETER = re.compile(r" %[\w.]+(?=[,)])")


def pieces(module: str, count: int) -> list[str]:
    """The text of a module as that of at most `count` modules, whose functions are together about equally long."""
    functions = FUNCTION.findall(module)
    count = min(count, len(functions))
    if count < 2:
        return [module]
    # What stands behind the last function, attributes, may stand before the first as well.
    shared = FUNCTION.sub("", module)
    names = [opening_name(function) for function in functions]
    declarations = {name: declaration(function) for name, function in zip(names, functions, strict=True)}
    held: list[list[int]] = [[] for _ in range(count)]
    lengths = [0] * count
    for k in sorted(range(len(functions)), key=lambda k: -len(functions[k])):
        shortest = lengths.index(min(lengths))
        held[shortest].append(k)
        lengths[shortest] += len(functions[k])
    made = []
    for own in held:
        body = "".join(visible(functions[k]) for k in sorted(own))
        others = declarations.keys() & set(NAME.findall(body)) - {names[k] for k in own}
        made.append("\n".join([shared, *[declarations[name] for name in names if name in others], "", body]))
    return made


def opening_name(function: str) -> str:
    """The name of a function."""
    found = NAME.search(function)
    assert found is not None
    return found[1]


def visible(function: str) -> str:
    """The function as other pieces may call it."""
    return function.replace("define internal ", "define ", 1)


def declaration(function: str) -> str:
    """The line that tells other pieces of a function."""
    opening = visible(function).partition(" {\n")[0]
    return PARAMETER.sub("", opening.replace("define ", "declare ", 1))
