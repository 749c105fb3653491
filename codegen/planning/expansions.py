"""Expansions: functions that have no scalar word of their own become formulas of those that have.

logsumexp(x) → where(isfinite(m), m + log Σ e^(x − m), m) with m = max x
rows with an `expansion` → that formula
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.loop_ir.scalars import SCALARS
from codegen.planning.rewriting import over, rewritten
from symdiff.expression import Map, Node, Product, Reduce
from symdiff.functions.row import REDUCTIONS, ROWS
from symdiff.normal_form import add, expand, map_node, number, product, reduce_node
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological, transform

# Rows that lowering writes by other words of the loop IR.
WRITTEN = {"where": "select", "guard": "", "number": "cast", "as_integer": "cast", "power": "power",
           "one_hot": "equal"}


def expand_functions(roots: Sequence[Node]) -> list[Node]:
    """The roots in the scalar vocabulary of the loop IR."""
    current = list(roots)
    while any(is_expandable(node) for node in topological(current)):
        current = transform(current, expansion)
    return current


def narrow_truths(roots: Sequence[Node]) -> list[Node]:
    """The roots with truth values as numbers of the dtype of the product that they stand in, not wider."""
    def narrowed(node: Node) -> Node:
        if not isinstance(node, Product) or node.dtype != "float32":
            return node
        return over(node, [Map(f.function, f.children, TensorType(node.dtype, f.shape))
                           if isinstance(f, Map) and f.function.name == "number" else f for f in node.children])
    return rewritten(roots, narrowed)


def is_expandable(node: Node) -> bool:
    """Whether a node has no word in the vocabulary, but a formula."""
    if node.__class__ is Map:
        row = node.function
        return row.expansion is not None and row.name not in SCALARS and row.name not in WRITTEN
    return node.__class__ is Reduce and node.function.fold == "logsumexp"


def expansion(node: Node) -> Node | None:
    """The formula of one node, None where it is in the vocabulary."""
    if not is_expandable(node):
        return None
    if isinstance(node, Map):
        assert node.function.expansion is not None
        return node.function.expansion(*node.args)  # type: ignore[no-any-return]
    assert isinstance(node, Reduce)
    return logsumexp(node)


def logsumexp(node: Reduce) -> Node:
    """log Σ eˣ by its largest element; right for infinities of either sign."""
    x = node.arg
    largest = reduce_node(REDUCTIONS["max"], x, node.axes)
    finite = map_node(ROWS["isfinite"], (largest,))
    shift = map_node(ROWS["where"], (finite, largest, number(0, x.dtype, largest.shape)))
    kept = tuple(a for a in range(x.ndim) if a not in node.axes)
    moved = map_node(ROWS["exp"], (add([(1, x), (-1, expand(shift, x.shape, kept))], x.type),))
    labels = tuple(range(x.ndim))
    total = product(1, [(moved, labels)], list(kept), dict(enumerate(x.shape)), TensorType(x.dtype, largest.shape))
    value = add([(1, largest), (1, map_node(ROWS["log"], (total,)))], node.type)
    return map_node(ROWS["where"], (finite, value, largest))
