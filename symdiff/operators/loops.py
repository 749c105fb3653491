"""Loops that stay loops: `scan` and `fori`.

The body is a Python function that is called once, with symbols; what it returns is one turn.  What it uses from outside and
what does not change becomes an argument, computed once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from symdiff.bodies import closed, private
from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.loops import TURN, final, stacked
from symdiff.normal_form import number_of
from symdiff.operators.arithmetic import add
from symdiff.operators.coercion import as_node, broadcast_onto, describe, located, to_dtype
from symdiff.operators.parameters import whole_size
from symdiff.provenance import plain, user_line
from symdiff.sizes import Size, combine
from symdiff.tensor_type import TensorType, shape_text
from symdiff.trees import Unflatten, flatten, places

Tree = Any


def scan(step: Callable[[Tree, Tree], tuple[Tree, Tree]], init: Tree, xs: Tree = None, length: Any = None,
         reverse: bool = False) -> tuple[Tree, Tree]:
    """(c_T, y) with c₀ = init, (c_{t+1}, y_t) = step(c_t, x_t), as one loop in the kernel, whatever T is.

    `step` is called once, with symbols for the carry (of the structure, shapes and dtypes of `init`, which it must return
    again) and for a slice of each of `xs` along its first axis.  `y` holds what the turns return, along a new first axis;
    None where they return None.  Without `xs`, `length` says how many turns there are.  `reverse` goes from the last slice
    to the first.  Differentiable in both modes to any order: the forward loop keeps what its derivative needs.
    Raises `TypeMismatch` and `ShapeMismatch` for a step whose carry changes its structure, shape or dtype.

    >>> import symdiff as sd
    >>> x, a = sd.symbol("x", "t"), sd.symbol("a")
    >>> total, sums = sd.scan(lambda c, x: (a * c + x, c), 0.0, x)
    >>> sd.evaluate([total, sums], {"x": [1.0, 2.0, 3.0], "a": 2.0})
    [np.float64(11.0), array([0., 1., 4.])]
    """
    carried, carry_back = leaves_of(init, "init")
    sliced, slice_back = leaves_of(xs, "xs") if xs is not None else ([], no_values)
    turns = turns_of(sliced, length)
    carry, row = called_by(step, ("carry", "slice"))
    carries = [private(node.type, name) for node, name in zip(carried, names_of(carry, init), strict=True)]
    slices = [private(TensorType(node.dtype, node.shape[1:]), name)
              for node, name in zip(sliced, names_of(row, xs) if sliced else (), strict=True)]
    answer = step(carry_back(list(carries)), slice_back(list(slices)) if xs is not None else None)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise TypeMismatch(f"the step of a scan returns {plain(answer)}", where=f"scan at {user_line()}",
                           mend="return two things: the new carry, and what is kept of the turn (or None)")
    nexts = [continued(value, like, "scan") for value, like in matched(answer[0], init, carried, "scan")]
    kept, kept_back = leaves_of(answer[1], "what the step keeps") if answer[1] is not None else ([], no_values)
    loop, invariants = closed(carries, slices, private(TURN.type), nexts, kept, turns, bool(reverse))
    args = (*carried, *sliced, *invariants)
    ends = [located(final(loop, args, k)) for k in range(len(carries))]
    rows = [located(stacked(loop, args, k)) for k in range(len(kept))]
    return carry_back(ends), kept_back(rows) if answer[1] is not None else None


def fori(lower: Any, upper: Any, body: Callable[[Node, Tree], Tree], init: Tree) -> Tree:
    """The value after c = body(i, c) for i = lower … upper − 1, from c = init, as one loop in the kernel.

    `body` is called once, with an int64 symbol for i and symbols of the structure, shapes and dtypes of `init`.  The ends are
    ints or named sizes; one that no array tells is an input of `compile`, and a number at the call.
    Differentiable in both modes to any order.  Raises `TypeMismatch` and `ShapeMismatch` as `scan` does.

    >>> import symdiff as sd
    >>> a = sd.symbol("a")
    >>> float(sd.evaluate(sd.fori(0, 10, lambda i, x: (x + a / x) / 2, 1.0), {"a": 2.0}))
    1.414213562373095
    >>> turns = sd.dim("turns")
    >>> float(sd.evaluate(sd.fori(0, turns, lambda i, x: x + i * a, 0.0), {a: 2.0, turns: 4}))
    12.0
    """
    low, high = whole_size(lower, "lower", "fori"), whole_size(upper, "upper", "fori")
    carried, back = leaves_of(init, "init")
    index_name, carry = called_by(body, ("turn", "carry"))
    carries = [private(node.type, name) for node, name in zip(carried, names_of(carry, init), strict=True)]
    turn = private(TURN.type, index_name)
    index = turn if low == 0 else add(turn, low)
    answer = body(index, back(list(carries)))
    nexts = [continued(value, like, "fori") for value, like in matched(answer, init, carried, "fori")]
    turns = combine(((1, high), (-1, low)))
    turns = max(turns, 0) if isinstance(turns, int) else turns
    loop, invariants = closed(carries, [], turn, nexts, [], turns, False)
    return back([located(final(loop, (*carried, *invariants), k)) for k in range(len(carries))])


def no_values(values: list[Any]) -> None:
    """The structure of nothing."""
    return None


def called_by(function: Callable[..., Any], usual: tuple[str, str]) -> tuple[str, str]:
    """What a function calls its two arguments; the usual words where that cannot be told."""
    try:
        first, second, *_ = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return usual
    plainly = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return (first.name, second.name) if first.kind in plainly and second.kind in plainly else usual


def names_of(argument: str, tree: Tree) -> list[str]:
    """What a function calls the leaves of an argument."""
    return [f"{argument}{place}" for place in places(tree)]


def leaves_of(tree: Tree, name: str) -> tuple[list[Node], Unflatten]:
    """The leaves of a tree of expressions, numbers and arrays."""
    leaves, back = flatten(tree, lambda v: not isinstance(v, (tuple, list, dict)), name)
    nodes = [as_node(leaf) for leaf in leaves]
    return [to_dtype(n, "float64") if isinstance(leaf, float) else n for n, leaf in zip(nodes, leaves, strict=True)], back


def turns_of(sliced: Sequence[Node], length: Any) -> Size:
    """How many turns there are; raises where that is not told, or in two ways."""
    sizes: list[tuple[Size, Node | None]] = []
    for node in sliced:
        if not node.ndim:
            raise ShapeMismatch(f"{describe(node)} has no axis to scan over", where=f"scan at {user_line()}",
                                mend="give arrays whose first axis is walked along; constants may be used in the step as they are")
        sizes.append((node.shape[0], node))
    if length is not None:
        sizes.append((whole_size(length, "length", "scan", least=0), None))
    if not sizes:
        raise TypeMismatch("a scan without xs needs a length", where=f"scan at {user_line()}", mend="give length=")
    for size, what in sizes[1:]:
        if size != sizes[0][0]:
            one, other = (describe(teller) if teller is not None else "length" for teller in (sizes[0][1], what))
            raise ShapeMismatch(f"{one} tells {sizes[0][0]} turns, {other} tells {size}", where=f"scan at {user_line()}",
                                mend="give xs with the same first axis, and that length or none")
    return sizes[0][0]


def matched(answer: Tree, init: Tree, carried: Sequence[Node], operation: str) -> list[tuple[Any, Node]]:
    """The new carry beside the old one; raises `TypeMismatch` where the structures differ."""
    leaves, _ = flatten(answer, lambda v: not isinstance(v, (tuple, list, dict)), "carry")
    if shape_of(answer) != shape_of(init):
        raise TypeMismatch(f"the step returns a carry with the structure {shape_of(answer)}, but init has {shape_of(init)}",
                           where=f"{operation} at {user_line()}", mend="return the carry as it is taken")
    return list(zip(leaves, carried, strict=True))


def shape_of(tree: Tree) -> str:
    """The structure of a tree."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {shape_of(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        return "(" + ", ".join(shape_of(value) for value in tree) + ")"
    return "·"


def continued(value: Any, like: Node, operation: str) -> Node:
    """A new carry, of the shape and dtype of the old one."""
    node = as_node(value, like.dtype)
    if node.dtype != like.dtype or node.shape != like.shape:
        if number_of(node) is not None or (node.ndim == 0 and node.dtype == like.dtype):
            return to_dtype(broadcast_onto(operation, node, like.shape), like.dtype)
        error = TypeMismatch if node.dtype != like.dtype else ShapeMismatch
        raise error(f"the carry starts as {like.dtype} {shape_text(like.shape)}, but one turn makes it {node.dtype} "
                    f"{shape_text(node.shape)}", where=f"{operation} at {user_line()}",
                    mend="give an init of the shape and dtype that the step returns")
    return node
