"""What users call: the formula of an expression in a style, with a where block for shared parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.errors import TypeMismatch
from symdiff.expression import Node
from symdiff.printing.style import MatrixStyle
from symdiff.printing.writer import Writer

STYLES: dict[str, MatrixStyle] = {"matrix": MatrixStyle(), "index": MatrixStyle()}
SHORT = 60


def document(roots: Sequence[Node], style: str = "matrix") -> tuple[list[str], list[str]]:
    """The formulas of several expressions and the lines of the where block that they share."""
    writer = Writer(roots, STYLES[style], indices=style == "index")
    return [writer.text(root) for root in writer.roots], writer.where()


def text_of(node: Node) -> str:
    """`str(x)`."""
    (text,), where = document([node])
    return text + "".join(f"\n  where {line}" if k == 0 else f"\n        {line}" for k, line in enumerate(where))


def brief(node: Node) -> str:
    """`repr(x)`."""
    (text,), _ = document([node])
    return f"<{text if len(text) <= SHORT else text[:SHORT - 1] + '…'}: {node.type}>"
