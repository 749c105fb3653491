"""What users call: gradients, Jacobians, Hessians and products with them, for symbols and trees of symbols."""

from __future__ import annotations

from typing import Any

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.sweeps import forward, identity_seed, reverse
from symdiff.errors import NotDifferentiable, ShapeMismatch, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.normal_form import number
from symdiff.operators.coercion import as_node, broadcast_one, broadcast_shape, describe, to_dtype
from symdiff.provenance import user_line
from symdiff.simplification.phases import before_differentiation, simplify
from symdiff.tensor_type import FLOATING
from symdiff.trees import Unflatten, flatten

Tree = Any


def targets_of(operation: str, wrt: Tree) -> tuple[list[Node], Unflatten]:
    """The symbols of `wrt`; raises `TypeMismatch` or `NotDifferentiable` for what is no floating symbol."""
    leaves, back = flatten(wrt, lambda v: isinstance(v, Node), "symbol")
    for leaf in leaves:
        if not isinstance(leaf, Symbol):
            raise TypeMismatch(f"{describe(leaf)} is not a symbol", where=f"{operation} at {user_line()}",
                               mend="differentiate with respect to symbols; name the part as a symbol first")
        if leaf.dtype not in FLOATING:
            raise NotDifferentiable(f"{leaf.name} has dtype {leaf.dtype}: there is no derivative with respect to it",
                                    where=f"{operation} at {user_line()}", mend="declare it with dtype float64 or float32")
    return leaves, back


def differentiable(operation: str, f: Any) -> Node:
    """The expression to differentiate, stabilised; raises `NotDifferentiable` for integers and booleans."""
    node = as_node(f)
    if node.dtype not in FLOATING:
        raise NotDifferentiable(f"{describe(node)} has dtype {node.dtype}: it has no derivative",
                                where=f"{operation} at {user_line()}", mend="differentiate a floating expression")
    return before_differentiation(node)


def scalar(operation: str, f: Any) -> Node:
    """A scalar expression; raises `ShapeMismatch` where it has axes."""
    node = as_node(f)
    if node.shape:
        raise ShapeMismatch(f"{operation} needs a scalar, but {describe(node)} has {node.ndim} axes",
                            where=f"{operation} at {user_line()}", mend="sum or average it first, or use sd.jacobian")
    return node


def grad(f: Any, wrt: Tree) -> Tree:
    """The gradient of a scalar expression: for each symbol an expression of its shape.

    Raises `ShapeMismatch` for an f with axes, `NotDifferentiable` where a derivative is not known.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", "n")
    >>> print(sd.grad(sd.sum(x**2), x))
    2 x
    """
    targets, back = targets_of("grad", wrt)
    node = differentiable("grad", scalar("grad", f))
    return back([simplify(g) for g in reverse(node, number(1, node.dtype), targets)])


def value_and_grad(f: Any, wrt: Tree) -> tuple[Node, Tree]:
    """(f, gradient)."""
    gradient = grad(f, wrt)
    return simplify(before_differentiation(as_node(f))), gradient


def jacobian(f: Any, wrt: Tree) -> Tree:
    """All partial derivatives: for each symbol an expression of shape f.shape + symbol.shape."""
    targets, back = targets_of("jacobian", wrt)
    node = differentiable("jacobian", f)
    return back([simplify(j) for j in reverse(node, identity_seed(node), targets)])


def hessian(f: Any, wrt: Tree) -> Tree:
    """Second partial derivatives of a scalar expression: shape wrt.shape + wrt.shape; for a tree a tree of trees.

    >>> import symdiff as sd
    >>> x, A = sd.symbol("x", "n"), sd.symbol("A", ("n", "n"))
    >>> print(sd.hessian(x @ A @ x, x))
    A + Aᵀ
    """
    targets, back = targets_of("hessian", wrt)
    node = differentiable("hessian", scalar("hessian", f))
    gradients = [simplify(g) for g in reverse(node, number(1, node.dtype), targets)]
    rows = []
    for g in gradients:
        # What the phases recognise in a gradient (softmax, σ) has its own second derivative.
        g = before_differentiation(g)
        rows.append(back([simplify(h) for h in reverse(g, identity_seed(g), targets, written=False)]))
    return back(rows)


def vjp(f: Any, wrt: Tree, cotangent: Any) -> Tree:
    """Σ cotangent · ∂f: for each symbol an expression of its shape; the cotangent has the shape of f."""
    targets, back = targets_of("vjp", wrt)
    node = differentiable("vjp", f)
    seed = fitted("cotangent", cotangent, node)
    return back([simplify(g) for g in reverse(node, seed, targets)])


def jvp(f: Any, wrt: Tree, tangent: Tree) -> Node:
    """∂f · tangent: an expression of the shape of f; `tangent` has the structure and shapes of `wrt`."""
    targets, _ = targets_of("jvp", wrt)
    node = differentiable("jvp", f)
    changes = vectors_of("tangent", tangent, targets)
    refuse_blocked(node, targets)
    return simplify(forward(node, dict(zip(targets, changes, strict=True))))


def hvp(f: Any, wrt: Tree, vector: Tree) -> Tree:
    """The Hessian times a vector, as the change of the gradient along the vector: the Hessian is never formed."""
    targets, back = targets_of("hvp", wrt)
    node = differentiable("hvp", scalar("hvp", f))
    vectors = vectors_of("vector", vector, targets)
    gradients = reverse(node, number(1, node.dtype), targets)
    changes = dict(zip(targets, vectors, strict=True))
    return back([simplify(forward(before_differentiation(g), changes)) for g in gradients])


def fitted(what: str, value: Any, like: Node) -> Node:
    """A value of the shape of an expression; raises `ShapeMismatch`."""
    node = to_dtype(as_node(value, like.dtype), like.dtype)
    if node.shape != like.shape:
        if node.ndim > like.ndim or broadcast_shape(what, (node, like)) != like.shape:
            raise ShapeMismatch(f"the {what} is {describe(node)}, but must have the shape of {describe(like)}",
                                where=f"at {user_line()}", mend=f"give a {what} of the same shape")
        node = broadcast_one(node, like.shape)
    return node


def vectors_of(what: str, tree: Tree, targets: list[Node]) -> list[Node]:
    """One vector for each target."""
    leaves, _ = flatten(tree, lambda v: not isinstance(v, (list, tuple, dict)), what) if len(targets) > 1 or \
        isinstance(tree, (tuple, dict)) else ([tree], None)
    if len(targets) == 1 and isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], Node):
        leaves = tree
    if len(leaves) != len(targets):
        raise ShapeMismatch(f"{len(leaves)} {what}s for {len(targets)} symbols", where=f"at {user_line()}",
                            mend=f"give the {what}s in the structure of wrt")
    return [fitted(what, leaf, target) for leaf, target in zip(leaves, targets, strict=True)]


