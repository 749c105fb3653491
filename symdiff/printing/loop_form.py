"""A loop as a formula: scan(c ← a c + sin(x_t), c = b, t < T)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from symdiff.bodies import replaced
from symdiff.expression import Node, Symbol
from symdiff.loops import STACK, loop_of, split_args
from symdiff.printing.pieces import ATOM, Piece
from symdiff.printing.style import MatrixStyle
from symdiff.sizes import named_sizes
from symdiff.traversal import symbols_of

LETTERS = "chszuvwpqr"


class Surroundings(Protocol):
    """What a loop needs from the writer."""

    style: MatrixStyle
    indices: bool

    def explicit(self, node: Node) -> Piece:
        """The node as one piece of full shape."""
        ...


def loop_piece(writer: Surroundings, node: Node, make: Callable[..., Any]) -> Piece:
    """The loop of a result as one piece; `make` gives the writer of its bodies.

    A carry is a letter, a slice of x is x_t, what does not change stands in the body as it is.  Of several carries, or for a
    kept value, what is taken of the loop follows: the carry's letter, or the value of each turn.
    """
    def texts(nodes: Sequence[Node]) -> list[str]:
        inner = make(nodes, writer.style, writer.indices, limit=None)
        shared = "; ".join(inner.where())
        return [f"{inner.text(root)} ({shared})" if shared and k == 0 else inner.text(root) for k, root in enumerate(inner.roots)]
    loop, kind, k = loop_of(node)
    inits, xs, outside = split_args(loop, node.children)
    taken = {s.name for s in symbols_of(node.children)} | set(named_sizes(loop.length))
    turn = next(c for c in [*"tkijnm", *LETTERS, "turn"] if c not in taken)
    taken.add(turn)
    letters = [c for c in LETTERS if c not in taken] + [f"{c}{n}" for n in range(2, 100) for c in LETTERS]
    count = len(loop.carries)
    names: dict[Node, Node] = {s: Symbol(letters[i], s.type) for i, s in enumerate(loop.carries)}
    for j, (symbol, x) in enumerate(zip(loop.slices, xs, strict=True)):
        base = x.name if isinstance(x, Symbol) and "_" not in x.name else letters[count + j]
        names[symbol] = Symbol(f"{base}_{turn}", symbol.type)
    names.update(zip(loop.invariants, outside, strict=True))
    names[loop.turn] = Symbol(turn, loop.turn.type)
    taking = [loop.stacks[k]] if kind == STACK else [loop.carries[k]] if count > 1 else []
    bodies = replaced([*loop.nexts, *taking], names)
    shown = texts(bodies)
    style = writer.style
    walked = [f"{texts([names[s]])[0]} {style.element} {writer.explicit(x).text}" for s, x in zip(loop.slices, xs, strict=True)
              if not isinstance(x, Symbol)]
    steps = [f"{texts([names[s]])[0]} {style.becomes} {text}" for s, text in zip(loop.carries, shown, strict=False)]
    starts = [f"{texts([names[s]])[0]} = {writer.explicit(init).text}" for s, init in zip(loop.carries, inits, strict=True)]
    size = style.size(loop.length).text
    turns = [f"{turn} = {size} - 1, {style.dots}, 0"] if loop.backward else [f"{turn} < {size}"]
    text = ", ".join([*steps, *starts, *walked, *turns]) + (f"; {shown[count]}" if taking else "")
    return Piece(style.call_word("scan", text).text, ATOM, node.ndim)
