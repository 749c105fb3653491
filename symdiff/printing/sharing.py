"""What is printed once and named: uses of nodes, and letters for shared parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import copy

from symdiff.expression import Add, Constant, Map, Node, Number, Product, Reduce, Symbol
from symdiff.normal_form import add, number_of
from symdiff.normal_form.numbers import base_and_exponent, exact
from symdiff.printing.style import MatrixStyle
from symdiff.printing.sums import divided, shared_coefficient
from symdiff.sizes import Dim, Size, named_sizes
from symdiff.traversal import topological

LETTERS = {"sigmoid": "p q g", "exp_difference": "p q g", "tanh": "h a g", "relu": "h a g", "sin": "s", "cos": "c",
           "exp": "mu e", "max": "m", "min": "m", "logsumexp": "m", "residual": "r e u", "sum": "z u v",
           "scalar": "s c b"}


def uses_of(order: Sequence[Node], roots: Iterable[Node], children: Callable[[Node], Sequence[Node]]) -> Counter[Node]:
    """How often each node of a topological order is written when every part that can have a name is written once."""
    uses: Counter[Node] = Counter(roots)
    for node in reversed(order):
        times = 1 if can_be_named(node) else min(uses[node], 9)
        for child in children(node):
            uses[child] += times
    return uses


def can_be_named(node: Node) -> bool:
    """Whether a node is a part worth a name: no leaf, number or power, no mere view, multiple or product of two."""
    if isinstance(node, Product):
        return len([f for f, _ in node.factors if f.shape]) > (2 if node.is_core and node.shape else 1)
    if isinstance(node, Add):
        return shared_coefficient([c for c, _ in node.terms]) == 1
    if isinstance(node, Map):
        return base_and_exponent(node)[1] == 1 and "guard" not in node.function.traits
    return isinstance(node, Reduce)


def primitive(node: Add, seen: dict[Node, Node]) -> tuple[Number, Node]:
    """(c, sum) with node = c · sum, such that multiples of one sum share it; `seen` maps each sum to the first met."""
    common = shared_coefficient([c for c, _ in node.terms])
    inner = node if common == 1 else add([(divided(c, common), t) for c, t in node.terms], node.type)
    if inner in seen:
        return common, seen[inner]
    opposite = add([(exact(-c), t) for c, t in node.terms], node.type) if common == 1 else \
        add([(exact(-divided(c, common)), t) for c, t in node.terms], node.type)
    if opposite in seen:
        return exact(-common), seen[opposite]
    seen[inner] = inner
    return common, inner


def letters(node: Node) -> list[str]:
    """Letters that a mathematician would give: r for residuals, p for probabilities, z for sums, h for layers."""
    kind = ""
    if isinstance(node, (Map, Reduce)):
        kind = node.function.name
    elif isinstance(node, Add):
        numbers = [t for _, t in node.terms if number_of(t) is not None]
        kind = "residual" if any(c < 0 for c, _ in node.terms) and not numbers else "sum"
    if (not node.shape and kind not in LETTERS) or (not node.shape and kind in ("residual", "sum")):
        kind = "scalar"
    found = LETTERS.get(kind, "t").split()
    if node.ndim != 2:
        return found
    return [x if x == "t" else x.upper() for x in found if len(x) == 1]


def sizes_of(node: Node) -> tuple[Size, ...]:
    """The sizes that the formula of a node may mention."""
    own: tuple[Size, ...] = node.extents if isinstance(node, Product) else ()
    if isinstance(node, Constant) and isinstance(node.value, Dim):
        own = (node.value,)
    return (*node.shape, *own)


class Names:
    """Names that are not taken yet: r, then r2, r3, …; t1, t2, … for parts without a letter of their own."""

    def __init__(self, roots: Iterable[Node]) -> None:
        nodes = topological(roots)
        sizes = {size for node in nodes for size in sizes_of(node)}
        self.sizes = {name for size in sizes for name in named_sizes(size)}
        self.symbols = {node.name for node in nodes if isinstance(node, Symbol)}
        self.taken = self.symbols | self.sizes | {"I"}
        self.last: Counter[str] = Counter()

    def apart(self, style: MatrixStyle) -> MatrixStyle:
        """The style, with other names for sizes that are called like symbols."""
        clashes = self.symbols & self.sizes
        if not clashes or style.symbols:
            return style
        own = copy(style)
        own.symbols = clashes
        self.taken |= {own.size_name(name) for name in clashes}
        return own

    def fresh(self, bases: Sequence[str]) -> str:
        """A name that nothing else bears: the first free letter, else the first one with a number."""
        for base in bases:
            if base not in self.taken and base != "t":
                self.taken.add(base)
                self.last[base] += 1
                return base
        return self.numbered(bases[0])

    def numbered(self, base: str) -> str:
        """The next name of the series t1, t2 and so on."""
        while True:
            self.last[base] += 1
            name = f"{base}{self.last[base]}"
            if name not in self.taken:
                self.taken.add(name)
                return name
