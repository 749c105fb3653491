"""What is shown for functions that are there for the sake of numbers: `xlogy(x, y)` is written x log y."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.expression import Map, Node
from symdiff.functions.row import ROWS
from symdiff.traversal import transform

PLAIN: dict[str, Callable[..., Any]] = {
    "xlogy": lambda x, y: x * ROWS["log"](y),
    "ratio": lambda x, y: x / y,
    "direction": lambda x, y: x / ROWS["hypot"](x, y),
}


def plainly(roots: Sequence[Node]) -> list[Node]:
    """The roots with the functions of the table as the products and quotients that they are for ordinary values."""
    return transform(roots, plain_node)


def plain_node(node: Node) -> Node | None:
    """One node in plain notation, None where it is already."""
    if not isinstance(node, Map) or node.function.name not in PLAIN:
        return None
    shown: Node = PLAIN[node.function.name](*node.args)
    return shown
