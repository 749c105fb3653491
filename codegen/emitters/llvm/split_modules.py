"""A module in pieces: modules whose machine code can be written at the same time, and is linked as one.

Each function stands in one piece; those behind it that call it declare it.  What is no function (declarations, constants,
attributes) stands in every piece from there on.
"""

from __future__ import annotations

import re

BEGIN, END = "\ndefine ", "\n}\n"
NAME = re.compile(r"@([\w.]+)")
# What a declaration leaves out of the line that begins a function.
PARAMETER = re.compile(r" %[\w.]+(?=[,)])")


class Pieces:
    """Takes a module as it is written, chunk by chunk, and gives modules of at least so many lines."""

    def __init__(self, lines: float) -> None:
        self.lines = lines
        self.shared: list[str] = []
        self.declarations: dict[str, str] = {}
        self.functions: list[str] = []
        self.length = 0

    def add(self, chunk: str) -> str | None:
        """The next piece, where this chunk makes it whole."""
        others, functions = taken_apart(chunk)
        self.shared.append(others)
        self.functions += functions
        self.length += chunk.count("\n")
        return self.rest() if self.length >= self.lines else None

    def rest(self) -> str | None:
        """What is left as a piece, where anything is."""
        if not self.functions:
            return None
        body = "".join([visible(function) for function in self.functions])
        called = set(NAME.findall(body))
        others = [text for name, text in self.declarations.items() if name in called]
        self.declarations.update((opening_name(function), declaration(function)) for function in self.functions)
        self.functions, self.length = [], 0
        return "\n".join([*self.shared, *others, "", body])


def taken_apart(chunk: str) -> tuple[str, list[str]]:
    r"""What is no function, and the functions, of a text.

    >>> taken_apart("declare void @f()\n\ndefine void @g() {\n  ret void\n}\n")
    ('declare void @f()\n\n', ['define void @g() {\n  ret void\n}\n'])
    """
    others: list[str] = []
    functions: list[str] = []
    text = f"\n{chunk}\n"
    place = 1
    while (start := text.find(BEGIN, place - 1)) >= 0:
        end = text.index(END, start) + len(END)
        others.append(text[place:start + 1])
        functions.append(text[start + 1:end])
        place = end
    others.append(text[place:-1])
    return "".join(others), functions


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
