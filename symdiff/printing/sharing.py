"""What is printed once and named: uses of nodes, letters for shared parts, and cutting formulas that are too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from symdiff.expression import Add, Map, Node, Product, Reduce, Symbol
from symdiff.normal_form import number_of
from symdiff.tensor_type import TensorType
from symdiff.traversal import rebuild, symbols_of

LIMIT = 2000
ELLIPSIS = "…"
LETTERS = {"sigmoid": "p", "exp_difference": "p", "tanh": "h", "relu": "h", "sin": "s", "cos": "c", "exp": "e",
           "sqrt": "d", "safe_sqrt": "d", "abs": "a"}


def uses_of(roots: Iterable[Node], children: Callable[[Node], Sequence[Node]]) -> Counter[Node]:
    """How often each node is written when every shared node is written once."""
    uses: Counter[Node] = Counter()
    seen: set[Node] = set()
    stack = list(roots)
    for root in stack:
        uses[root] += 1
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for child in children(node):
            uses[child] += 1
            stack.append(child)
    return uses


def can_be_named(node: Node) -> bool:
    """Whether a node is a part worth a name: no leaf, no number, no mere view of something else."""
    if isinstance(node, Product):
        return node.is_core or len([f for f, _ in node.factors if f.shape]) > 1
    return isinstance(node, (Add, Map, Reduce)) and number_of(node) is None


def letter(node: Node) -> str:
    """The letter that a mathematician would give: r for residuals, p for probabilities, z for sums, h for hidden layers."""
    if isinstance(node, Map):
        name = LETTERS.get(node.function.name, "t")
    elif isinstance(node, Add):
        residual = any(c < 0 for c, _ in node.terms) and number_of(node.terms[0][1]) is None and len(node.terms) == 2
        name = "r" if residual and node.shape and all(number_of(t) is None for _, t in node.terms) else "z" if node.shape else "s"
    elif isinstance(node, Reduce):
        name = {"max": "m", "min": "m", "logsumexp": "m"}.get(node.function.name, "t")
    else:
        name = "t" if node.shape else "s"
    return name.upper() if node.ndim == 2 and name != "t" else name


class Names:
    """Names that are not taken yet: r, then r2, r3, …; t1, t2, … for parts without a letter of their own."""

    def __init__(self, roots: Iterable[Node]) -> None:
        self.taken = {s.name for s in symbols_of(roots)} | {"I"}
        self.last: Counter[str] = Counter()

    def fresh(self, base: str) -> str:
        """A name that nothing else bears."""
        while True:
            self.last[base] += 1
            count = self.last[base]
            name = f"{base}{count}" if count > 1 or base == "t" else base
            if name not in self.taken:
                self.taken.add(name)
                return name


def shortened(roots: Sequence[Node], limit: int = LIMIT) -> list[Node]:
    """The roots with everything beyond about `limit` nodes, breadth first, replaced by `…`."""
    seen: set[Node] = set()
    order: list[Node] = []
    layer = list(dict.fromkeys(roots))
    seen.update(layer)
    while layer and len(order) < limit:
        order += layer
        below: list[Node] = []
        for node in layer:
            for child in node.children:
                if child not in seen:
                    seen.add(child)
                    below.append(child)
        layer = below
    if not layer:
        return list(roots)
    kept = set(order)
    done: dict[Node, Node] = {}
    # Depth may differ from layer: children come first here by a walk over what is kept alone.
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if node not in kept:
            done[node] = Symbol(f"{ELLIPSIS}{len(done)}", TensorType(node.dtype, node.shape)) if node.children else node
        elif ready:
            done[node] = rebuild(node, [done[child] for child in node.children])
        else:
            stack.append((node, True))
            stack += [(child, False) for child in node.children if child not in done]
    return [done[root] for root in roots]
