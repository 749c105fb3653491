"""Copies and pickles of expressions: a copy is the node itself, a pickle a flat list that any graph fits, deep as it is.

A node is written as (kind, fields, origin) after its children, which its fields name by their places in the list; reading
builds and interns them in that order, so what is equal to a living node becomes that node.  Sizes are written by name.
"""

from __future__ import annotations

import copyreg
from typing import Any

from symdiff.expression import METHODS, Add, Apply, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.functions import REDUCTIONS, ROWS
from symdiff.normal_form.cores import core
from symdiff.sizes import NAMED, Dim, Named, Quotient, dim
from symdiff.tensor_type import TensorType
from symdiff.traversal import topological

Record = tuple[str, tuple[Any, ...], str | None]


def reduced(node: Node) -> Any:
    """What pickle stores for a node: `restored`, and the nodes below it and itself, children first."""
    order = topological([node])
    places = {each: place for place, each in enumerate(order)}
    return restored, ([(type(each).__name__, fields(each, places), each.origin) for each in order],)


def fields(node: Node, places: dict[Node, int]) -> tuple[Any, ...]:
    """The fields of a node, its children by their places."""
    below = tuple([places[child] for child in node.children])
    if isinstance(node, Symbol):
        return node.name, tuple(node.type), node.facts
    if isinstance(node, Constant):
        return node.value, tuple(node.type)
    if isinstance(node, Add):
        return tuple([c for c, _ in node.terms]), below, tuple(node.type)
    if isinstance(node, Product):
        at = tuple([indices for _, indices in node.factors])
        return node.coefficient, below, at, node.out, node.extents, tuple(node.type), node.is_core
    if isinstance(node, Map):
        return node.function.name, below, tuple(node.type)
    if isinstance(node, Reduce):
        return node.function.name, below, node.axes, tuple(node.type)
    assert isinstance(node, Apply)
    return node.operation, below, node.parameters, tuple(node.type)


def restored(records: list[Record]) -> Node:
    """The last of the nodes that records tell."""
    nodes: list[Node] = []
    for kind, values, origin in records:
        node = BUILDERS[kind](nodes, *values)
        node.origin = node.origin or origin
        nodes.append(node)
    return nodes[-1]


def read_add(nodes: list[Node], coefficients: tuple[Any, ...], below: tuple[int, ...], type: Any) -> Node:
    """An Add."""
    return Add(tuple(zip(coefficients, [nodes[k] for k in below], strict=True)), TensorType(*type))


def read_product(nodes: list[Node], coefficient: Any, below: tuple[int, ...], at: tuple[Any, ...], out: tuple[Any, ...],
                 extents: tuple[Any, ...], type: Any, is_core: bool) -> Node:
    """A Product; the canonical form of a core is found again."""
    factors = [(nodes[k], indices) for k, indices in zip(below, at, strict=True)]
    if not is_core:
        return Product(coefficient, tuple(factors), out, extents, TensorType(*type))
    summed = set(range(len(extents))) - set(out)
    return core(factors, summed, dict(enumerate(extents)), type[0])[0]


def read_map(nodes: list[Node], name: str, below: tuple[int, ...], type: Any) -> Node:
    """A Map."""
    return Map(ROWS[name], tuple([nodes[k] for k in below]), TensorType(*type))


def read_reduce(nodes: list[Node], name: str, below: tuple[int, ...], axes: tuple[int, ...], type: Any) -> Node:
    """A Reduce."""
    return Reduce(REDUCTIONS[name], nodes[below[0]], axes, TensorType(*type))


def read_apply(nodes: list[Node], operation: Any, below: tuple[int, ...], parameters: tuple[Any, ...], type: Any) -> Node:
    """An Apply."""
    return Apply(operation, tuple([nodes[k] for k in below]), parameters, TensorType(*type))


BUILDERS: dict[str, Any] = {
    "Symbol": lambda nodes, name, type, facts: Symbol(name, TensorType(*type), facts),
    "Constant": lambda nodes, value, type: Constant(value, TensorType(*type)),
    "Add": read_add, "Product": read_product, "Map": read_map, "Reduce": read_reduce, "Apply": read_apply,
}


def named_size(name: str, minimum: int, typical: int | None) -> Named:
    """The named size, which keeps what is declared here; a larger minimum holds, since a proof may rest on it."""
    if name not in NAMED:
        dim(name, minimum=minimum, typical=typical)
    atom = NAMED[name]
    atom.minimum = max(atom.minimum, minimum)
    return atom


copyreg.pickle(Named, lambda atom: (named_size, (atom.name, atom.minimum, atom.typical)))
copyreg.pickle(Dim, lambda size: (Dim, (size.terms,)))
copyreg.pickle(Quotient, lambda atom: (Quotient, (atom.numerator, atom.denominator)))
METHODS.update({"copy": lambda node: node, "deepcopy": lambda node, memo: node, "reduce": reduced})
