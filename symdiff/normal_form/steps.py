"""Steps: what sums and products were put together of, where sums in them or products in them opened.

    s = a + b + c,  t = s + d    →    t has the terms a, b, c, d, and remembers that it was put together of s and d

That is no part of a node's identity, but a way to compute it with what others share.  A step is remembered as what it was made
of, not as a node: were it kept alive, formulas that come to be it later would be written in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from symdiff.expression import Add, Map, Node, Number, Product


class Step(NamedTuple):
    """A sum or product as it was: its class, what the class makes it of, and its own steps."""

    kind: type[Add] | type[Product]
    fields: tuple[Any, ...]
    written: Any


Part = Union[Node, Step]


def put_together(node: Node, coefficient: Number, parts: Iterable[tuple[Any, Node]]) -> None:
    """Let a sum (of coefficients and nodes), or coefficient · Π (of indices and nodes), know its steps, the first time."""
    if isinstance(node, (Add, Product)) and node.written is None:
        node.written = coefficient, tuple([(how, step_of(part, node.__class__)) for how, part in parts])


def step_of(part: Node, kind: type[Node]) -> Part:
    """A part as it is remembered."""
    if part.__class__ is not kind or (isinstance(part, Product) and part.is_core):
        return part
    if isinstance(part, Add):
        return Step(Add, (part.terms, part.type), part.written)
    assert isinstance(part, Product)
    return Step(Product, (part.coefficient, part.factors, part.out, part.extents, part.type), part.written)


def restored(part: Part, steps: dict[Node, Any]) -> Node:
    """The node that a part is; what that was put together of goes into `steps`, where the node itself does not know.

    The node may be the user's: were it told, the next walk would find it otherwise than this one did.
    """
    if isinstance(part, Node):
        return part
    node = part.kind(*part.fields)
    steps.setdefault(node, part.written)
    return node


def keep_steps(fresh: Node, node: Node, children: Sequence[Node]) -> None:
    """Let a sum or product over other children know the steps of the one that it was, as far as those are made of its children."""
    if not isinstance(fresh, (Add, Product)) or fresh.__class__ is not node.__class__ or fresh.written is not None:
        return
    if node.written is not None:
        fresh.written = moved_steps(node.written, dict(zip(node.children, children, strict=True)), True)


def moved_steps(written: Any, names: Mapping[Node, Node], is_whole: bool) -> Any:
    """What was put together, over other nodes; None where it is not made of those that have names."""
    coefficient, parts = written
    moved = [(how, moved_part(part, names, is_whole)) for how, part in parts]
    return (coefficient, tuple(moved)) if all([part is not None for _, part in moved]) else None


def moved_part(part: Part, names: Mapping[Node, Node], is_whole: bool) -> Part | None:
    """A part, of what `is_whole` or of a step, over other nodes.

    The steps of a step are those of the node that it is, which is rewritten too where it stands; but a multiple may stand nowhere.
    """
    if isinstance(part, Node):
        return part if isinstance(part, Product) and not part.factors else names.get(part)
    place = 0 if part.kind is Add else 1
    pairs = [(c, names.get(term)) if part.kind is Add else (names.get(c), term) for c, term in part.fields[place]]
    if any([one is None or other is None for one, other in pairs]):
        return None
    fields = (*part.fields[:place], tuple(pairs), *part.fields[place + 1:])
    is_multiple = is_whole and part.written is not None and len(part.written[1]) == 1
    return Step(part.kind, fields, moved_steps(part.written, names, False) if is_multiple else None)


class PutTogether(NamedTuple):
    """coefficient, and each part with how it stands there: its coefficient in a sum, its index in a product."""

    coefficient: Number
    parts: tuple[tuple[Any, Node], ...]


def with_steps(roots: Iterable[Node]) -> dict[Node, PutTogether | None]:
    """Every node under the roots with what it was put together of, children and steps before what is made of them.

    A sum and its double may each have been made of the other, and a product with a guard of itself: of a circle the last link is
    left out.
    """
    order: dict[Node, PutTogether | None] = {}
    open: dict[Node, PutTogether | None] = {}
    steps: dict[Node, Any] = {}
    stack = list(roots)[::-1]
    while stack:
        node = stack.pop()
        if node in order:
            continue
        if node in open:  # what stands above it is done, and nothing that is open is put there
            order[node] = open.pop(node)
            continue
        made = None if node.__class__ is Map else made_of(node, steps)  # most nodes of long programs are that
        if made is not None and any([part is node or part in open for _, part in made.parts]):
            made = None
        below = node.children if made is None else (*node.children, *[part for _, part in made.parts])
        pending = [child for child in reversed(below) if child not in order and child not in open]
        if pending:
            open[node] = made
            stack.append(node)
            stack += pending
        else:
            order[node] = made
    return order


def made_of(node: Node, steps: dict[Node, Any]) -> PutTogether | None:
    """What a node was put together of, as nodes; a number is what it is, whatever came to be it."""
    if not isinstance(node, (Add, Product)) or not node.children:
        return None
    written = steps.get(node) if node.written is None else node.written
    if written is None:
        return None
    coefficient, parts = written
    return PutTogether(coefficient, tuple([(how, restored(part, steps)) for how, part in parts]))
