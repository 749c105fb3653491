"""What is shown for expressions that stand as they do for the sake of numbers: x log y for `xlogy(x, y)`, `tril(A)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from symdiff.expression import Add, Apply, Constant, Factor, Map, Node, Number, Product
from symdiff.functions.row import ROWS, ScalarRow
from symdiff.index_notation import labels_of
from symdiff.normal_form import add, map_node, number_of, product, scale
from symdiff.normal_form.numbers import broadcast_axes, number
from symdiff.tensor_type import TensorType
from symdiff.traversal import transform

PLAIN: dict[str, Callable[..., Any]] = {
    "xlogy": lambda x, y: x * ROWS["log"](y),
    "ratio": lambda x, y: x / y,
    "softsign": lambda x: x / (1 + ROWS["abs"](x)),
    "direction": lambda x, y: x / ROWS["hypot"](x, y),
}
CLIP = ScalarRow("clip", np.clip, None, result="same", text="clip({0}, {1}, {2})", arity=3,
                 latex=r"\operatorname{{clip}}\left({0}, {1}, {2}\right)")


class Word(Struct, frozen=True):
    """An operation that is only ever shown."""

    name: str


def plainly(roots: Sequence[Node], matrices: bool) -> list[Node]:
    """The roots in plain notation; with words for operations on whole `matrices` where those are wanted."""
    rules = [plain_function, clipped, cancelled] + ([triangle] if matrices else [])

    def rule(node: Node) -> Node | None:
        return next((shown for r in rules if (shown := r(node)) is not None), None)
    return transform(roots, rule)


def plain_function(node: Node) -> Node | None:
    """A function of the table as the product or quotient that it is for ordinary values."""
    if not isinstance(node, Map) or node.function.name not in PLAIN:
        return None
    shown: Node = PLAIN[node.function.name](*node.args)
    return shown


def clipped(node: Node) -> Node | None:
    """where(t > b, b, t) for t = where(x < a, a, x) as clip(x, a, b)."""
    upper = bounded(node, "greater")
    lower = bounded(upper[0], "less") if upper is not None else None
    return map_node(CLIP, (lower[0], lower[1], upper[1])) if upper is not None and lower is not None else None


def bounded(node: Node, comparison: str) -> tuple[Node, Node] | None:
    """(x, limit) where the node is where(x > limit, limit, x)."""
    if not isinstance(node, Map) or node.function.name != "where":
        return None
    condition, limit, x = node.args
    if not isinstance(condition, Map) or condition.function.name != comparison:
        return None
    return (x, limit) if condition.args[0] is x and condition.args[1] is limit else None


def cancelled(node: Node) -> Node | None:
    """c (a - p) - c (a - q) as c (q - p): terms that share all but a sum are put together where that cancels terms."""
    if not isinstance(node, Add):
        return None
    groups: dict[object, list[tuple[Number, Node, Product]]] = {}
    for c, term in node.terms:
        if not isinstance(term, Product) or not term.dense:
            continue
        sums = [f for f, at in term.factors if isinstance(f, Add) and f.type == node.type and at == term.out]
        if len(sums) == 1:
            rest = frozenset(factor for factor in term.factors if factor[0] is not sums[0])
            groups.setdefault(rest, []).append((c * term.coefficient, sums[0], term))
    for group in groups.values():
        if len(group) < 2:
            continue
        first = group[0][2]
        together = add([(c, f) for c, f, _ in group], node.type)
        count = len(together.terms) if isinstance(together, Add) else 1
        if count < sum(len(f.children) for _, f, _ in group):
            factors = [(together if f is group[0][1] else f, at) for f, at in first.factors]
            shared = product(1, factors, list(first.out), dict(enumerate(first.extents)), first.type)
            gone = {term for _, _, term in group}
            return add([*((c, t) for c, t in node.terms if t not in gone), (1, shared)], node.type)
    return None


def triangle(node: Node) -> Node | None:
    """A ⊙ [i ≥ j] as tril(A), in a product that has more factors too."""
    if not isinstance(node, Product):
        return None
    for k, (f, at) in enumerate(node.factors):
        found = mask_of(f)
        if found is None or len(set(at)) != 2 or not all(isinstance(label, int) for label in at):
            continue
        word, offset = found
        others = [*node.factors[:k], *node.factors[k + 1:]]
        types = TensorType(node.dtype, f.shape)
        parameters = (offset,) if offset else ()
        if node.dense and at == node.out:
            inner = product(1, others, list(node.out), dict(enumerate(node.extents)), node.type)
            return scale(node.coefficient, Apply(Word(word), (inner,), parameters, types))
        matrix = next((factor for factor in others if factor[1] == at and factor[0].shape == f.shape), None)
        kept: list[Factor] = [factor for factor in others if factor is not matrix]
        shown = Apply(Word(word), (matrix[0] if matrix else number(1, node.dtype, f.shape),), parameters, types)
        return product(node.coefficient, [(shown, at), *kept], list(node.out), dict(enumerate(node.extents)), node.type)
    return None


def mask_of(node: Node) -> tuple[str, int] | None:
    """("tril", k) for the condition i + k ≥ j on rows i and columns j, ("triu", k) for i + k ≤ j."""
    words = {"greater_equal": "tril", "less_equal": "triu"}
    if not isinstance(node, Map) or "guard" not in node.function.traits or node.ndim != 2:
        return None
    test = node.args[0]
    if not isinstance(test, Map) or test.function.name not in words:
        return None
    rows, columns = (counted(arg) for arg in test.args)
    if rows is None or columns is None or (rows[0], columns[0]) != (0, 1) or columns[1] != 0:
        return None
    return words[test.function.name], rows[1]


def counted(node: Node) -> tuple[int, int] | None:
    """(axis, k) where the node is k plus the index along an axis."""
    if not isinstance(node, Product) or len(node.factors) != 1 or node.coefficient != 1 or len(broadcast_axes(node)) != 1:
        return None
    inner, at = node.factors[0]
    axis = next(label for index in at for label in labels_of(index))
    terms = inner.terms if isinstance(inner, Add) else ((1, inner),)
    counts = [c for c, t in terms if isinstance(t, Constant) and isinstance(t.value, str)]
    numbers = [c * value for c, t in terms if (value := number_of(t)) is not None]
    whole = counts == [1] and len(counts) + len(numbers) == len(terms) and all(isinstance(k, int) for k in numbers)
    return (axis, int(sum(numbers))) if whole and at == (axis,) else None
