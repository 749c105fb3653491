"""What users call: gradients, Jacobians, Hessians and products with them, for symbols and trees of symbols."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from symdiff.differentiation.blocked import refuse_blocked
from symdiff.differentiation.sweeps import changes, identity_seed, reverse
from symdiff.errors import ArgumentMismatch, NotDifferentiable, ShapeMismatch, TypeMismatch
from symdiff.expression import Add, Map, Node, Product, Symbol
from symdiff.fitting import fitted
from symdiff.long_calls import long_call
from symdiff.namesakes import refuse_namesakes
from symdiff.normal_form import add, number, scale
from symdiff.normal_form.sums import permute
from symdiff.operators.coercion import as_node, describe
from symdiff.simplification.phases import before_differentiation, simplify
from symdiff.tensor_type import FLOATING
from symdiff.traversal import symbols_of, topological
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
    """The gradient of a scalar expression: for each symbol an expression of its shape, for a symmetric one a symmetric one.

    Raises `ShapeMismatch` for an f with axes, `NotDifferentiable` where a derivative is not known.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", "n")
    >>> print(sd.grad(sd.sum(x**2), x))
    2 x
    """
    targets, back = targets_of("grad", wrt, f)
    node = differentiable("grad", scalar("grad", f))
    gradients = simplify(reverse(node, number(1, node.dtype), targets))
    return back([symmetrised(g) if isinstance(t, Symbol) and {"symmetric", "psd"} & {*t.facts} else g
                 for g, t in zip(gradients, targets, strict=True)])


def symmetrised(g: Node) -> Node:
    """(G + Gᵀ) / 2: of all matrices whose product with a symmetric change of A is that of f, the one that is symmetric itself.

    tr(B A) and tr(Bᵀ A) are the same function of a symmetric A, and may be the same node.
    """
    if is_symmetric(g):
        return g
    return simplify([scale(Fraction(1, 2), add([(1, g), (1, permute(g, (1, 0)))], g.type))])[0]


def is_symmetric(matrix: Node) -> bool:
    """Whether a matrix is its own transpose by its form: so itself, or element by element of such."""
    known: set[Node] = set()
    for node in topological([matrix]):
        if node.shape != matrix.shape:
            continue
        by_element = isinstance(node, (Add, Map)) or (isinstance(node, Product) and node.dense and not node.is_core and all(
            at in ((), (0, 1)) for _, at in node.factors))
        if permute(node, (1, 0)) is node or (by_element and all(child in known or not child.shape for child in node.children)):
            known.add(node)
    return matrix in known


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
    vectors = vectors_of("jvp", "tangent", tangent, wrt)
    refuse_blocked(node, targets)
    return simplify(changes([node], vectors)[0])


@long_call
def hvp(f: Any, wrt: Tree, vector: Tree) -> Tree:
    """The Hessian times a vector, as the change of the gradient along the vector: the Hessian is never formed."""
    targets, back = targets_of("hvp", wrt, f)
    node = differentiable("hvp", scalar("hvp", f))
    vectors = vectors_of("hvp", "vector", vector, wrt)
    gradients = simplify(reverse(node, number(1, node.dtype), targets))
    return back(simplify(changes([before_differentiation(g) for g in gradients], vectors)))


def vectors_of(operation: str, what: str, tree: Tree, wrt: Tree) -> dict[Node, Node]:
    """The vector of each symbol of `wrt`: `tree` has its structure."""
    vectors: dict[Node, Node] = {}
    for symbol, value in flatten_like(tree, wrt, f"the {what}", "wrt", error=ShapeMismatch):
        if symbol in vectors:
            raise ArgumentMismatch(f"{symbol.name} stands in wrt twice", where=operation, mend="give each symbol once")
        vectors[symbol] = fitted(value, symbol, f"the {what} of {symbol.name}", operation)
    return vectors
