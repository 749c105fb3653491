"""The sizes of a generated NumPy function: read from the shapes of its arguments where these tell them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from symdiff.expression import Constant, Node, Product
from symdiff.loops import is_scan, loop_of
from symdiff.printing.numpy_style import NumpyStyle
from symdiff.sizes import Dim, Size, combine, divide_exactly, monomials, named_sizes
from symdiff.traversal import symbols_of, topological

QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
VARIABLE = re.compile(r"(?<![\w.])[^\W\d]\w*(?![\w=])")


def is_size(node: Node) -> bool:
    """Whether a node is a size as a number."""
    return isinstance(node, Constant) and isinstance(node.value, Dim)


def sizes_under(roots: Sequence[Node]) -> list[str]:
    """The named sizes that the nodes mention, in order."""
    sizes = (size for node in with_turns(roots) for size in (*node.shape, *extra_sizes(node)))
    return list(dict.fromkeys(name for size in sizes for name in sorted(named_sizes(size))))


def with_turns(roots: Sequence[Node]) -> Iterator[Node]:
    """The nodes under the roots, each loop after what it computes in a turn."""
    for node in topological(roots):
        if is_scan(node):
            loop, _, _ = loop_of(node)
            yield from with_turns([*loop.nexts, *loop.stacks])
        yield node


def extra_sizes(node: Node) -> tuple[Size, ...]:
    """The sizes that a node mentions beyond its shape."""
    if isinstance(node, Constant) and isinstance(node.value, Dim):
        return (node.value,)
    if is_scan(node):
        return (loop_of(node)[0].length,)
    return node.extents if isinstance(node, Product) else ()


def size_lines(roots: Sequence[Node], text: str, style: NumpyStyle) -> tuple[list[str], list[str]]:
    """Lines that read the named sizes which a source mentions from shapes, and the sizes that no shape tells."""
    axes = [(s, k, size) for s in symbols_of(roots) for k, size in enumerate(s.shape) if not isinstance(size, int)]
    words = set(variables(text))
    needed = {name for name in sizes_under(roots) if style.words.size(name) in words}
    found: dict[str, str] = {}
    progress = True
    while progress:
        progress = False
        for symbol, k, size in sorted(axes, key=lambda a: isinstance(a[2], Dim) and len(str(a[2]))):
            unknown = named_sizes(size) - set(found)
            if len(unknown) == 1:
                (name,) = unknown
                value = solved(size, name, f"{style.words.argument(symbol)}.shape[{k}]", style)
                if value is not None:
                    found[name] = value
                    progress = True
    for name in reversed(found):
        if name in needed:
            needed |= {other for other in found if style.words.size(other) in variables(found[name])}
    missing = sorted(style.words.size(name) for name in needed - set(found))
    return [f"{style.words.size(name)} = {value}" for name, value in found.items() if name in needed], missing


def variables(text: str) -> Iterator[str]:
    """The names in source that are neither attributes nor keywords of calls, and not in strings."""
    return (match[0] for match in VARIABLE.finditer(QUOTED.sub("''", text)))


def solved(size: Size, name: str, text: str, style: NumpyStyle) -> str | None:
    """The value of a named size from `size = text`, where it stands in one term alone and linearly."""
    held = [(m, c) for m, c in monomials(size) if name in named_sizes(Dim(((m, c),)))]
    if len(held) != 1 or sum(p for a, p in held[0][0] if str(a) == name) != 1:
        return None
    term = Dim(((held[0][0], held[0][1]),))
    rest = combine(((1, size), (-1, term)))
    factor = divide_exactly(term, next(Dim(((((a, 1),), 1),)) for a, _ in held[0][0] if str(a) == name))
    if factor is None:
        return None
    if rest != 0:
        text = f"({text} - ({style.size(rest).text}))"
    return text if factor == 1 else f"{text} // ({style.size(factor).text})"
