"""What users call: gradients, Jacobians, Hessians and products with them, for symbols and trees of symbols."""

from __future__ import annotations

from typing import Any

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.sweeps import forward, identity_seed, reverse
from symdiff.errors import ArgumentMismatch, NotDifferentiable, ShapeMismatch, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.fitting import fitted
from symdiff.long_calls import long_call
from symdiff.namesakes import refuse_namesakes
from symdiff.normal_form import number
from symdiff.operators.coercion import as_node, describe
from symdiff.simplification.phases import before_differentiation, simplify
from symdiff.tensor_type import FLOATING
from symdiff.traversal import symbols_of
from symdiff.trees import Unflatten, flatten, flatten_like

Tree = Any


def targets_of(operation: str, wrt: Tree, f: Any) -> tuple[list[Node], Unflatten]:
    """The symbols of `wrt`, by which f is to be differentiated; one that f does not hold is a constant to it.

    Raises `TypeMismatch` or `NotDifferentiable` for what is no floating symbol, `ArgumentMismatch` for one of which f
    holds another with the same name.
    """
    leaves, back = flatten(wrt, lambda v: isinstance(v, Node), "symbol")
    for leaf in leaves:
        if not isinstance(leaf, Symbol):
            raise TypeMismatch(f"{describe(leaf)} is not a symbol", where=operation,
                               mend="differentiate with respect to symbols; name the part as a symbol first")
        if leaf.dtype not in FLOATING:
            raise NotDifferentiable(f"{leaf.name} has dtype {leaf.dtype}: there is no derivative with respect to it",
                                    where=operation, mend="declare it with dtype float64 or float32")
    refuse_namesakes(leaves, symbols_of([as_node(f)]), "f")
    return leaves, back


def some_targets(operation: str, wrt: Tree, f: Any) -> tuple[list[Node], Unflatten]:
    """As `targets_of`; raises `ArgumentMismatch` where `wrt` holds no symbol."""
    leaves, back = targets_of(operation, wrt, f)
    if not leaves:
        raise ArgumentMismatch("wrt holds no symbol", where=operation, mend="give at least one symbol")
    return leaves, back


def differentiable(operation: str, f: Any) -> Node:
    """The expression to differentiate, stabilised; raises `NotDifferentiable` for integers and booleans."""
    node = as_node(f)
    if node.dtype not in FLOATING:
        raise NotDifferentiable(f"{describe(node)} has dtype {node.dtype}: it has no derivative",
                                where=operation, mend="differentiate a floating expression")
    return before_differentiation(node)


def scalar(operation: str, f: Any) -> Node:
    """A scalar expression; raises `ShapeMismatch` where it has axes."""
    node = as_node(f)
    if node.shape:
        raise ShapeMismatch(f"{operation} needs a scalar, but {describe(node)} has {node.ndim} axes",
                            where=operation, mend="sum or average it first, or use sd.jacobian")
    return node


@long_call
def grad(f: Any, wrt: Tree) -> Tree:
    """The gradient of a scalar expression: for each symbol an expression of its shape.

    Raises `ShapeMismatch` for an f with axes, `NotDifferentiable` where a derivative is not known.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", "n")
    >>> print(sd.grad(sd.sum(x**2), x))
    2 x
    """
    targets, back = targets_of("grad", wrt, f)
    node = differentiable("grad", scalar("grad", f))
    return back(simplify(reverse(node, number(1, node.dtype), targets)))


@long_call
def value_and_grad(f: Any, wrt: Tree) -> tuple[Node, Tree]:
    """(f, gradient)."""
    gradient = grad(f, wrt)
    return simplify(before_differentiation(as_node(f))), gradient


@long_call
def jacobian(f: Any, wrt: Tree) -> Tree:
    """All partial derivatives: for each symbol an expression of shape f.shape + symbol.shape."""
    targets, back = targets_of("jacobian", wrt, f)
    node = differentiable("jacobian", f)
    return back(simplify(reverse(node, identity_seed(node), targets)))


@long_call
def hessian(f: Any, wrt: Tree) -> Tree:
    """Second partial derivatives of a scalar expression: shape wrt.shape + wrt.shape; for a tree a tree of trees.

    >>> import symdiff as sd
    >>> x, A = sd.symbol("x", "n"), sd.symbol("A", ("n", "n"))
    >>> print(sd.hessian(x @ A @ x, x))
    A + Aᵀ
    """
    targets, back = targets_of("hessian", wrt, f)
    node = differentiable("hessian", scalar("hessian", f))
    gradients = simplify(reverse(node, number(1, node.dtype), targets))
    rows = []
    for g in gradients:
        # What the phases recognise in a gradient (softmax, σ) has its own second derivative.
        g = before_differentiation(g)
        rows.append(back(simplify(reverse(g, identity_seed(g), targets, written=False))))
    return back(rows)


@long_call
def vjp(f: Any, wrt: Tree, cotangent: Any) -> Tree:
    """Σ cotangent · ∂f: for each symbol an expression of its shape; the cotangent has the shape of f."""
    targets, back = targets_of("vjp", wrt, f)
    node = differentiable("vjp", f)
    seed = fitted(cotangent, node, "the cotangent", "vjp")
    return back(simplify(reverse(node, seed, targets)))


@long_call
def jvp(f: Any, wrt: Tree, tangent: Tree) -> Node:
    """∂f · tangent: an expression of the shape of f; `tangent` has the structure and shapes of `wrt`.

    Raises `ShapeMismatch` where structure or shapes differ, `TypeMismatch` for a tangent of a wider dtype.

    >>> import symdiff as sd
    >>> x, z = sd.symbols("x z")
    >>> print(sd.jvp(x**2 + 3 * z, {"x": x, "z": z}, {"z": 10.0, "x": 1.0}))
    2 (x + 15)
    """
    targets, _ = targets_of("jvp", wrt, f)
    node = differentiable("jvp", f)
    changes = vectors_of("jvp", "tangent", tangent, wrt)
    refuse_blocked(node, targets)
    return simplify(forward(node, changes))


@long_call
def hvp(f: Any, wrt: Tree, vector: Tree) -> Tree:
    """The Hessian times a vector, as the change of the gradient along the vector: the Hessian is never formed."""
    targets, back = targets_of("hvp", wrt, f)
    node = differentiable("hvp", scalar("hvp", f))
    changes = vectors_of("hvp", "vector", vector, wrt)
    gradients = simplify(reverse(node, number(1, node.dtype), targets))
    return back(simplify([forward(before_differentiation(g), changes) for g in gradients]))


def vectors_of(operation: str, what: str, tree: Tree, wrt: Tree) -> dict[Node, Node]:
    """The vector of each symbol of `wrt`: `tree` has its structure."""
    vectors: dict[Node, Node] = {}
    for symbol, value in flatten_like(tree, wrt, f"the {what}", "wrt", error=ShapeMismatch):
        if symbol in vectors:
            raise ArgumentMismatch(f"{symbol.name} stands in wrt twice", where=operation, mend="give each symbol once")
        vectors[symbol] = fitted(value, symbol, f"the {what} of {symbol.name}", operation)
    return vectors
