"""Cutting formulas that are too long: what is left out is shown as `…`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from symdiff.expression import Add, Node, Number, Symbol
from symdiff.normal_form import add
from symdiff.tensor_type import TensorType
from symdiff.traversal import rebuild

LIMIT = 2000
MOST_TERMS = 100
ELLIPSIS = "…"


def shortened(roots: Sequence[Node], limit: int = LIMIT) -> list[Node]:
    """The roots with everything beyond about `limit` nodes, breadth first, replaced by `…`.

    Of a sum the first terms are kept, and one `…` stands for the others.
    """
    if len(nearest(roots, limit + 1, lambda node: node.children)) <= limit:
        return list(roots)
    parts = cache(shown_children)
    kept = nearest(roots, limit, parts)
    done: dict[Node, Node] = {}
    # Depth may differ from layer: children come first here by a walk over what is kept alone.
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if node not in kept:
            done[node] = ellipsis(node, len(done)) if node.children else node
        elif not ready:
            stack.append((node, True))
            stack += [(child, False) for child in parts(node) if child not in done]
        elif isinstance(node, Add):
            terms = first_terms(node)
            shown = [(c, done[t]) for c, t in terms if t in kept or not t.children]
            cut = len(shown) < len(terms) or len(shown) == MOST_TERMS
            done[node] = add([*shown, (1, ellipsis(node, len(done)))] if cut else shown, node.type)
        else:
            done[node] = rebuild(node, [done[child] for child in parts(node)])
    return [done[root] for root in roots]


def nearest(roots: Sequence[Node], limit: int, children: Callable[[Node], Sequence[Node]]) -> set[Node]:
    """About `limit` nodes, breadth first."""
    seen: set[Node] = set()
    layer = list(dict.fromkeys(roots))
    seen.update(layer)
    while layer and len(seen) < limit:
        below: list[Node] = []
        for node in layer:
            for child in children(node):
                if child not in seen and len(seen) < limit:
                    seen.add(child)
                    below.append(child)
        layer = below
    return seen


def shown_children(node: Node) -> Sequence[Node]:
    """The children of a node, of a sum the first terms."""
    return [t for _, t in first_terms(node)] if isinstance(node, Add) else node.children


def first_terms(node: Add) -> list[tuple[Number, Node]]:
    """The first terms of a sum, with sums inside opened."""
    found: list[tuple[Number, Node]] = []
    stack: list[tuple[Number, Node]] = [(1, node)]
    while stack and len(found) < MOST_TERMS:
        c, term = stack.pop()
        if isinstance(term, Add) and term.dtype == node.dtype and (c == 1 or term is node):
            stack += reversed(term.terms)
        else:
            found.append((c, term))
    return found


def ellipsis(node: Node, number: int) -> Symbol:
    """A symbol of the type of a node that is left out."""
    return Symbol(f"{ELLIPSIS}{number}", TensorType(node.dtype, node.shape))
