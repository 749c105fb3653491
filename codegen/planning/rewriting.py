"""Plans are rewritten node by node, children first, as they are written: the normal form would merge what planning parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import is_

from symdiff.expression import Add, Apply, Factor, Map, Node, Product, Reduce
from symdiff.index_notation import Index, labels_in, labels_of, rename
from symdiff.normal_form.steps import keep_steps
from symdiff.sizes import Size
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological


def rewritten(roots: Sequence[Node], change: Callable[[Node], Node]) -> list[Node]:
    """The roots with every node changed, over children that are."""
    done: dict[Node, Node] = {}
    for node in topological(roots):
        fresh = change(over_changed(node, done))
        if fresh is not node:
            done[node] = fresh
    return [done.get(root, root) for root in roots]


def over_changed(node: Node, done: Mapping[Node, Node]) -> Node:
    """The node over what its children have become, its steps kept; the node itself where `done` tells of none."""
    if done:
        for child in node.children:
            if child in done:
                return over(node, [done.get(child, child) for child in node.children])
    return node


def over(node: Node, children: Sequence[Node]) -> Node:
    """The node over other children, its steps kept; the node itself where they are its own."""
    fresh = as_written(node, children)
    if fresh is not node:
        keep_steps(fresh, node, children)
    return fresh


def as_written(node: Node, children: Sequence[Node]) -> Node:
    """The node over other children, without its steps; the node itself where they are its own."""
    if all(map(is_, children, node.children)):
        return node
    if isinstance(node, Map):  # most nodes of long programs are that
        return Map(node.function, tuple(children), node.type)
    if isinstance(node, Add):
        return Add(tuple([(c, child) for (c, _), child in zip(node.terms, children, strict=True)]), node.type)
    if isinstance(node, Product):
        factors = tuple([(child, at) for (_, at), child in zip(node.factors, children, strict=True)])
        return Product(node.coefficient, factors, node.out, node.extents, node.type)
    if isinstance(node, Reduce):
        return Reduce(node.function, children[0], node.axes, node.type)
    assert isinstance(node, Apply)
    return Apply(node.operation, tuple(children), node.parameters, node.type)


def made(factors: Sequence[Factor], out: tuple[Index, ...], extents: Sequence[Size], dtype: str) -> Node:
    """Σ Π factors at `out` with labels numbered anew, those of `out` first."""
    used = list(dict.fromkeys([label for index in out for label in labels_of(index)]))
    used += sorted({label for _, at in factors for label in labels_in(at)} - set(used))
    names = {label: k for k, label in enumerate(used)}
    places = tuple(rename(index, names) for index in out)
    if len(factors) == 1 and tuple(rename(i, names) for i in factors[0][1]) == places == tuple(range(len(used))) and \
            factors[0][0].dtype == dtype:
        return factors[0][0]
    shape = tuple(extents[index] for index in out)  # type: ignore[index]
    return Product(1, tuple((f, tuple(rename(i, names) for i in at)) for f, at in factors), places,
                   tuple(extents[label] for label in used), TensorType(dtype, shape))
