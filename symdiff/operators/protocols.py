"""What Python asks of any value, and how expressions answer: truth, length, items, numbers, text, other libraries' attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from symdiff.errors import TypeMismatch, UnknownAttribute
from symdiff.expression import METHODS, VALUE_ASKED, Map, Node, Product
from symdiff.normal_form import number_of
from symdiff.operators.coercion import where_written
from symdiff.provenance import user_line
from symdiff.tensor_type import shape_text

TO_NUMBERS = "use sd.evaluate or sd.compile to get numbers"
# What other libraries' arrays have, and how it is said here.
HABITS = {
    **dict.fromkeys(("item", "tolist", "numpy", "values", "view", "data"), TO_NUMBERS),
    "cumsum": "sd.tril(sd.ones((n, n))) @ x is the cumulative sum of x with n elements",
    "fill": "use sd.full_like(x, value)",
    "sort": "sorting is not known here; sd.max and sd.min give the extremes",
    "imag": "expressions are real",
    "nonzero": "use sd.where(condition, a, b)",
    "grad": "use sd.grad(loss, x)", "backward": "use sd.grad(loss, x)",
}


def truth(node: Node) -> bool:
    """The truth value of `a == b` (or `!=`) of two expressions says whether they are the same one; nothing else has one."""
    inner = node
    while isinstance(inner, Product) and len(inner.factors) == 1 and inner.dtype == "bool":
        inner = inner.factors[0][0]
    if isinstance(inner, Map) and inner.function.name in ("equal", "not_equal") and not node.settled & VALUE_ASKED:
        return (inner.args[0] is inner.args[1]) == (inner.function.name == "equal")
    known = number_of(inner)
    if known is not None:
        return bool(known)
    raise TypeMismatch("an expression has no truth value", where=where_written("truth value", node),
                       mend="use sd.where(condition, a, b) instead of if, and & | ~ instead of and, or, not")


def length(node: Node) -> int:
    """`len(x)`: the first size, where it is an integer."""
    size = node.shape[0] if node.shape else None
    if not isinstance(size, int):
        raise TypeMismatch(f"an expression of shape {shape_text(node.shape)} has no length",
                           where=where_written("len", node), mend="use x.shape[0], which may be symbolic")
    return size


def items(node: Node) -> Iterator[Node]:
    """`for part in x`: the parts along the first axis, where its size is an integer."""
    if not node.shape or not isinstance(node.shape[0], int):
        raise TypeMismatch(f"an expression of shape {shape_text(node.shape)} cannot be iterated over",
                           where=where_written("iteration", node),
                           mend="iterate over an axis of integer size, or write the formula with whole arrays")
    return (METHODS["getitem"](node, k) for k in range(node.shape[0]))


def no_number(node: Node) -> NoReturn:
    """`float(x)`, `int(x)`: raises `TypeMismatch`."""
    raise TypeMismatch("an expression has no numeric value", where=where_written("conversion to a number", node),
                       mend=TO_NUMBERS)


def no_array(node: Node, *args: object, **kwargs: object) -> NoReturn:
    """`np.asarray(x)`: raises `TypeMismatch`."""
    raise TypeMismatch("an expression cannot become a NumPy array", where=where_written("conversion to an array", node),
                       mend=TO_NUMBERS + "; np.sin(x), np.sum(x) work on expressions, and sd.stack([a, b]) is an array of several")


def no_assignment(node: Node, item: Any, value: Any = None) -> NoReturn:
    """`x[item] = value`: raises `TypeMismatch`."""
    raise TypeMismatch("an expression never changes, so its elements cannot be set", where=where_written("x[…] = …", node),
                       mend="build another one: sd.where(condition, value, x), or sd.concat([value, x[1:]])")


def formatted(node: Node, spec: str) -> str:
    """`f"{x:>20}"`: the formula as text; raises `TypeMismatch` for the formats of numbers."""
    try:
        return format(str(node), spec)
    except ValueError:
        raise TypeMismatch(f"an expression has no digits that {spec!r} could format", where=where_written("format", node),
                           mend=f"leave {spec!r} out to print the formula; {TO_NUMBERS}") from None


def no_attribute(name: str, mend: str) -> Callable[[Node], NoReturn]:
    """`x.name`, which other libraries' arrays have and expressions have not: raises `UnknownAttribute`."""
    def refuse(node: Node) -> NoReturn:
        raise UnknownAttribute(f"an expression has no attribute {name!r}", mend=mend,
                               where=f".{name} of an expression of type {node.type} at {user_line()}")
    return refuse


def names(node: Node) -> list[str]:
    """`dir(x)`: what an expression has, for completion and for Python's own "did you mean"."""
    return sorted(name for name in object.__dir__(node) if name not in HABITS)


ANSWERS: dict[str, Callable[..., Any]] = {"bool": truth, "len": length, "iter": items, "array": no_array, "setitem": no_assignment,
           "delitem": no_assignment, "format": formatted, "dir": names,
           **dict.fromkeys(("float", "int", "index", "complex"), no_number)}
