"""Loops of generated NumPy functions: `for t in np.arange(T):` over a variable for each carry, and an array for what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from symdiff.bodies import replaced
from symdiff.expression import Node, Symbol
from symdiff.loops import STACK, is_scan, loop_of, split_args
from symdiff.normal_form import number_of
from symdiff.printing.numpy_style import NumpyStyle
from symdiff.printing.numpy_words import Words
from symdiff.printing.pieces import Piece

INDENT = "    "


class Surroundings(Protocol):
    """What a loop needs from the writer of the source around it."""

    words: Words
    numpy: NumpyStyle
    body: list[str]
    named: dict[Node, Piece]

    def name(self, node: Node) -> Piece:
        """A line that gives the node a variable."""
        ...

    def literal(self, c: object, node: Node) -> str:
        """A number in the dtype of a node."""
        ...

    def known(self, node: Node, name: str) -> Piece:
        """The node is in a variable from now on."""
        ...


def alike(node: Node, others: Sequence[Node]) -> list[Node]:
    """The results, the node among them, of the loop of one."""
    loop = loop_of(node)[0]
    return [n for n in others if is_scan(n) and loop_of(n)[0] == loop and [*map(id, n.children)] == [*map(id, node.children)]]


def write_loop(writer: Surroundings, results: Sequence[Node], inner: Callable[[Sequence[Node]], Any]) -> None:
    """Write the loop of the results to the lines of the writer; `inner` gives the writer of what a turn computes."""
    loop, _, _ = loop_of(results[0])
    inits, xs, outside = split_args(loop, results[0].children)
    words, numpy = writer.words, writer.numpy
    walked = [variable(writer, x) for x in xs]
    names: dict[Node, Node] = {}

    def called(symbol: Symbol, name: str) -> str:
        """The variable of a symbol of the loop, which is written as the symbol of that name: its order in sums hangs on names."""
        names[symbol] = Symbol(name, symbol.type)
        return words.bound(names[symbol], name)
    for symbol, node in zip(loop.invariants, outside, strict=True):
        called(symbol, variable(writer, node))
    carries, slices, (turn,) = ([called(symbol, words.inside((results[0], symbol), letter)) for symbol in group]
                                for group, letter in ((loop.carries, "c"), (loop.slices, "h"), ((loop.turn,), "t")))
    kept = {k: words.temporary((results[0], k)) for _, kind, k in map(loop_of, results) if kind == STACK}
    length = numpy.size(loop.length).text
    for name, init in zip(carries, inits, strict=True):
        value = number_of(init) if init.ndim == 0 else None
        kind = "bool_" if init.dtype == "bool" else init.dtype
        writer.body.append(f"{name} = {variable(writer, init) if value is None else f'np.{kind}({writer.literal(value, init)})'}")
    for k, name in kept.items():
        shape = numpy.shape((loop.length, *loop.stacks[k].shape))
        writer.body.append(f"{name} = np.empty({shape}, {loop.stacks[k].dtype!r})")
    writer.body.append(f"for {turn} in np.arange({length}){'[::-1]' if loop.backward else ''}:")
    lines = [f"{name} = {x}[{turn}]" for name, x in zip(slices, walked, strict=True)]
    roots = replaced([*loop.nexts, *[loop.stacks[k] for k in kept]], names)
    below = inner(roots)
    texts = [below.text(root) for root in roots]
    lines += below.body
    lines += [f"{name}[{turn}] = {text}" for name, text in zip(kept.values(), texts[len(carries):], strict=True)]
    if carries:
        lines.append(f"{', '.join(carries)} = {', '.join(texts[:len(carries)])}")
    writer.body += [INDENT + line for line in lines]
    for node in results:
        _, kind, k = loop_of(node)
        writer.known(node, kept[k] if kind == STACK else carries[k])


def variable(writer: Surroundings, node: Node) -> str:
    """A variable that holds the node."""
    if isinstance(node, Symbol):
        return writer.words.argument(node)
    return (writer.named[node] if node in writer.named else writer.name(node)).text
