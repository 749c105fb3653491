"""How one node passes derivatives on: the adjoint of each child, and the tangent from the children's tangents.

An adjoint of a node has the shape S + shape of the node, S being the axes of the seed.  A rule returns the adjoint of
each child, None where nothing passes.
"""

from __future__ import annotations

from symdiff.errors import NotDifferentiable
from symdiff.expression import METHODS, Add, Factor, Map, Node, Product, Reduce
from symdiff.index_notation import Index, form_of, tidy
from symdiff.normal_form import add, expand, product
from symdiff.sizes import Size
from symdiff.tensor_type import FLOATING, TensorType


def shifted(indices: tuple[Index, ...], by: int) -> tuple[Index, ...]:
    """The indices with every label moved up by `by`."""
    return tuple([moved(i, by) for i in indices]) if by else indices


def moved(index: Index, by: int) -> Index:
    """The index with every label moved up by `by`."""
    if index.__class__ is int:
        return index + by
    constant, terms = form_of(index)
    return tidy(constant, {label + by: c for label, c in terms})


def passes(node: Node) -> bool:
    """Whether derivatives can pass through a value of this dtype."""
    return node.type.dtype in FLOATING


def unknown(node: Node, why: str) -> NotDifferentiable:
    """The error for a node without a derivative."""
    text = METHODS["str"](node).split("\n")[0] if "str" in METHODS else type(node).__name__
    return NotDifferentiable(why, where=f"`{text[:80]}`" + (f" written at {node.origin}" if node.origin else ""),
                             mend="wrap it in sd.stop_gradient where its derivative shall be zero")


def child_adjoints(node: Node, adjoint: Node, wanted: set[Node]) -> list[tuple[Node, Node]]:
    """(child, adjoint) pairs for the children in `wanted`; a child may come more than once."""
    if isinstance(node, Add):
        return [(child, scaled(c, adjoint, child)) for c, child in node.terms if child in wanted]
    if isinstance(node, Product):
        return [(child, factor_adjoint(node, k, adjoint)) for k, (child, _) in enumerate(node.factors) if child in wanted
                and passes(child)]
    if isinstance(node, Map):
        return map_adjoints(node, adjoint, wanted)
    if isinstance(node, Reduce):
        return [(node.arg, reduce_adjoint(node, adjoint))] if node.arg in wanted and passes(node.arg) else []
    raise unknown(node, "this operation has no known derivative")


def scaled(c: object, adjoint: Node, child: Node) -> Node:
    """c · adjoint in the dtype of the child."""
    if c == 1 and child.type.dtype == adjoint.type.dtype:
        return adjoint
    return add([(c, adjoint)], TensorType(child.dtype, adjoint.shape))  # type: ignore[list-item]


def factor_adjoint(node: Product, k: int, adjoint: Node) -> Node:
    """The adjoint of the k-th factor (R10): out = S + its own index tuple, the other factors and the seed multiplied."""
    s = adjoint.ndim - node.ndim
    child, at = node.factors[k]
    seed = tuple(range(s))
    factors: list[Factor] = [(adjoint, (*seed, *shifted(node.out, s)))]
    factors += [(other, shifted(indices, s)) for j, (other, indices) in enumerate(node.factors) if j != k]
    extents: dict[int, Size] = dict(enumerate((*adjoint.shape[:s], *node.extents)))
    type = TensorType(child.dtype, (*adjoint.shape[:s], *child.shape)) if s else child.type
    return product(node.coefficient, factors, [*seed, *shifted(at, s)], extents, type)


def partial_of(node: Map, k: int) -> Node | None:
    """∂f/∂arg_k as an expression of the shape of the node."""
    partials = node.function.partials
    if partials is None:
        raise unknown(node, f"the derivative of {node.function.name} is not known")
    rule = partials[k]
    if rule is None:
        return None
    result = rule(*node.args, node)
    return METHODS["full_like"](node, result) if not isinstance(result, Node) else expand(result, node.shape, ()) \
        if result.ndim == 0 and node.ndim else result


def map_adjoints(node: Map, adjoint: Node, wanted: set[Node]) -> list[tuple[Node, Node]]:
    """adjoint · ∂f/∂arg for each argument."""
    shape = adjoint.type.shape
    s = len(shape) - node.ndim
    labels = tuple(range(len(shape)))
    found = []
    for k, arg in enumerate(node.args):
        if arg not in wanted or not passes(arg):
            continue
        partial = partial_of(node, k)
        if partial is None:
            continue
        type = adjoint.type if arg.type.dtype == adjoint.type.dtype else TensorType(arg.dtype, shape)
        found.append((arg, product(1, [(adjoint, labels), (partial, labels[s:])], list(labels), dict(enumerate(shape)), type)))
    return found


def reduce_weight(node: Reduce) -> Node:
    """W of the shape of the argument, with dy = Σ W · dx."""
    if node.function.weight is None:
        raise unknown(node, f"{node.function.name} has no derivative")
    return node.function.weight(node.arg, node, node.axes)  # type: ignore[no-any-return]


def reduce_adjoint(node: Reduce, adjoint: Node) -> Node:
    """adjoint, broadcast along the reduced axes, · W."""
    s = adjoint.ndim - node.ndim
    weight = reduce_weight(node)
    shape = (*adjoint.shape[:s], *node.arg.shape)
    labels = tuple(range(len(shape)))
    kept = tuple(a + s for a in range(node.arg.ndim) if a not in node.axes)
    return product(1, [(adjoint, (*range(s), *kept)), (weight, labels[s:])], list(labels), dict(enumerate(shape)),
                   TensorType(node.arg.dtype, shape))


def tangent(node: Node, tangents: dict[Node, Node]) -> Node | None:
    """The tangent of a node from those of its children (absent ones are zero); T axes come last: shape + T."""
    terms: list[tuple[object, Node]] = []
    if isinstance(node, Add):
        terms = [(c, tangents[child]) for c, child in node.terms if child in tangents]
    elif isinstance(node, Product):
        terms = [(1, factor_tangent(node, k, tangents[child])) for k, (child, _) in enumerate(node.factors)
                 if child in tangents and passes(child)]
    elif isinstance(node, Map):
        for k, arg in enumerate(node.args):
            partial = partial_of(node, k) if arg in tangents and passes(arg) else None
            if partial is not None:
                terms.append((1, weighted(partial, tangents[arg], node)))
    elif isinstance(node, Reduce):
        if node.arg in tangents and passes(node.arg):
            terms = [(1, reduce_tangent(node, tangents[node.arg]))]
    else:
        raise unknown(node, "this operation has no known derivative")
    if not terms:
        return None
    return add(terms, TensorType(node.dtype, terms[0][1].shape))  # type: ignore[arg-type]


def weighted(partial: Node, change: Node, node: Map) -> Node:
    """partial · change."""
    labels = tuple(range(change.ndim))
    return product(1, [(partial, labels), (change, labels)], list(labels), dict(enumerate(change.shape)),
                   TensorType(node.dtype, change.shape))


def factor_tangent(node: Product, k: int, change: Node) -> Node:
    """The product with its k-th factor replaced by the change of it."""
    factors = [(change if j == k else child, at) for j, (child, at) in enumerate(node.factors)]
    return product(node.coefficient, factors, list(node.out), dict(enumerate(node.extents)), node.type)


def reduce_tangent(node: Reduce, change: Node) -> Node:
    """Σ W · change along the reduced axes."""
    weight = reduce_weight(node)
    labels = tuple(range(change.ndim))
    kept = [a for a in labels if a not in node.axes]
    return product(1, [(weight, labels), (change, labels)], list(kept), dict(enumerate(change.shape)),
                   TensorType(node.dtype, node.shape))
