"""The operators and methods that expressions answer to, installed into `symdiff.expression.METHODS`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from symdiff import sizes
from symdiff.binding.demands import shortened
from symdiff.errors import TypeMismatch
from symdiff.expression import METHODS, VALUE_ASKED, Map, Node, Product
from symdiff.functions import ROWS
from symdiff.normal_form import number_of
from symdiff.operators import (
    arithmetic,
    contraction,
    creation,
    elementwise,
    indexing,
    matrices,
    rearranging,
    reductions,
    shaping,
)
from symdiff.operators.coercion import user_line

MODULES = (arithmetic, elementwise, shaping, rearranging, matrices, contraction, reductions, creation)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name) for module in MODULES for name in module.__all__}
# NumPy's keyword arguments that have another name here.
KEYWORDS = {"a": "x", "m": "x", "array": "x", "arr": "x", "v": "x", "x1": "x", "x2": "y", "b": "y", "obj": "x",
            "object": "x", "a_min": "min", "a_max": "max", "ddof": "correction", "N": "n_rows", "M": "n_cols",
            "reps": "repetitions", "newshape": "shape"}
NOT_GIVEN = getattr(np, "_NoValue", None)
UFUNC_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
                    "logical_or": "any", "logaddexp": "logsumexp"}


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
    raise TypeMismatch("an expression has no truth value", where=f"{shortened(str(node))} at {user_line()}",
                       mend="use sd.where(condition, a, b) instead of if, and & | ~ instead of and, or, not")


def equals(x: Node, y: Any) -> Any:
    """x == y as an expression; False where y is nothing that x can be compared with, as in a search of a list."""
    if y is None or isinstance(y, (str, dict, set)):
        return NotImplemented
    if isinstance(y, Node) and y is not x:
        sizes = zip(x.shape[::-1], y.shape[::-1], strict=False)
        if any(a not in (b, 1) and b != 1 for a, b in sizes):
            return False
    return compared("equal", x, y)


def differs(x: Node, y: Any) -> Any:
    """x != y as an expression."""
    same = equals(x, y)
    return same if same is NotImplemented else True if same is False else compared("not_equal", x, y)


def compared(name: str, x: Node, y: Any) -> Node:
    """The comparison; whoever compares with a number asks for the value, so that one has no truth value yet."""
    result: Node = ROWS[name](x, y)
    if not isinstance(y, Node):
        result.settled |= VALUE_ASKED
    return result


def swapped(function: Callable[[Any, Any], Node]) -> Callable[[Any, Any], Node]:
    """The function with its two arguments exchanged, for reflected operators."""
    return lambda x, y: function(y, x)


def array_ufunc(self: Node, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's ufuncs on expressions; `np.add.reduce` and its like are reductions."""
    name = ufunc.__name__
    given = {key: value for key, value in kwargs.items() if value is not None and value is not NOT_GIVEN}
    if method == "reduce" and name in UFUNC_REDUCTIONS:
        axis = kwargs.get("axis", 0)
        return call(f"numpy.{name}.reduce", FUNCTIONS[UFUNC_REDUCTIONS[name]], inputs, {**given, "axis": axis})
    if method == "outer" and len(inputs) == 2:
        x, y = (creation.asarray(v) for v in inputs)
        return FUNCTIONS[name](shaping.expand_dims(x, tuple(range(x.ndim, x.ndim + y.ndim))), y)
    if method != "__call__" or name not in FUNCTIONS:
        raise unknown(f"numpy.{name}" + ("" if method == "__call__" else f".{method}"))
    dtype = given.pop("dtype", None)
    result = call(f"numpy.{name}", FUNCTIONS[name], inputs, given)
    return result if dtype is None else arithmetic.astype(result, dtype)


def array_function(self: Node, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's functions on expressions."""
    module, name = getattr(function, "__module__", "numpy"), function.__name__
    own = FUNCTIONS.get(name)
    if module == "numpy.linalg":
        own = {"trace": matrices.matrix_trace, "diagonal": matrices.matrix_diagonal}.get(name, own)
    if own is None or module not in ("numpy", "numpy.linalg"):
        raise unknown(f"{module}.{name}")
    return call(f"{module}.{name}", own, args, kwargs)


def unknown(name: str) -> TypeMismatch:
    """The error for a function of NumPy that has no counterpart."""
    return TypeMismatch(f"{name} is not known for expressions", where=user_line(),
                        mend="use the functions of symdiff; print(dir(symdiff)) lists them")


def call(name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """function(*args, **kwargs) for NumPy's arguments; raises `TypeMismatch` for those that are not known."""
    known = inspect.signature(function).parameters
    fitted = {}
    for key, value in kwargs.items():
        own = key if key in known else KEYWORDS.get(key, key)
        if own in known:
            fitted[own] = value
        elif not leaves_as_is(key, value):
            raise TypeMismatch(f"{name} with {key}= is not known for expressions", where=user_line(),
                               mend=f"leave {key}= out")
    try:
        inspect.signature(function).bind(*args, **fitted)
    except TypeError as error:
        raise TypeMismatch(f"{name}: {error}", where=user_line(),
                           mend=f"symdiff's own form is {function.__name__}{inspect.signature(function)}") from None
    return function(*args, **fitted)


def leaves_as_is(key: str, value: Any) -> bool:
    """Whether a keyword argument of NumPy has a value that changes nothing."""
    same = {"order": ("C", "K", "A"), "casting": ("same_kind", "safe", "unsafe"), "where": (True,),
            "copy": (True, False), "subok": (True, False),
            "optimize": (True, False, "greedy", "optimal"), "stable": (True,)}
    plain = isinstance(value, (str, bool))
    return value is None or value is NOT_GIVEN or (plain and value in same.get(key, ()))


def bound(name: str) -> Callable[[Node], Callable[..., Any]]:
    """A function of the table as a method."""
    return lambda self: lambda *args, **kwargs: FUNCTIONS[name](self, *args, **kwargs)


def namespace(self: Node, api_version: str | None = None) -> ModuleType:
    """The module whose functions take expressions by their Array API names: symdiff itself."""
    return sys.modules[__name__.partition(".")[0]]


def install() -> None:
    """Fill METHODS."""
    binary: dict[str, Callable[[Any, Any], Any]] = {
        "add": arithmetic.add, "sub": arithmetic.subtract, "mul": arithmetic.multiply, "truediv": arithmetic.divide,
        "floordiv": arithmetic.floor_divide, "mod": elementwise.remainder, "pow": arithmetic.power,
        "matmul": contraction.matmul, "and": arithmetic.bitwise_and, "or": arithmetic.bitwise_or,
        "xor": arithmetic.bitwise_xor}
    for name, function in binary.items():
        METHODS[name] = guarded(function)
        METHODS["r" + name] = guarded(swapped(function))
    for name, function in (("lt", elementwise.less), ("le", elementwise.less_equal), ("gt", elementwise.greater),
                           ("ge", elementwise.greater_equal)):
        METHODS[name] = guarded(function)
    METHODS.update({"eq": equals, "ne": differs, "neg": arithmetic.negative, "pos": arithmetic.positive,
                    "abs": elementwise.abs, "invert": arithmetic.invert, "getitem": indexing.getitem, "truth": truth,
                    "round": lambda x, digits=0: elementwise.round(x, digits or 0),
                    "array_ufunc": array_ufunc, "array_function": array_function, "array_namespace": namespace,
                    "full_like": creation.full_like})
    for name in ("sum mean prod max min argmax argmin any all var std squeeze ravel astype clip trace diagonal "
                 "round dot repeat swapaxes reshape").split():
        METHODS["." + name] = bound(name)
    METHODS[".transpose"] = lambda self: lambda *axes: shaping.permute_dims(
        self, (axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None)
    METHODS[".flatten"] = bound("ravel")
    METHODS[".T"] = shaping.permute_dims
    METHODS[".mT"] = shaping.matrix_transpose
    METHODS[".size"] = lambda self: sizes.product(self.shape)


def guarded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator, giving way to other types' own operators where the value is nothing that symdiff knows."""
    def method(x: Any, y: Any) -> Any:
        for value in (x, y):
            if value is None or isinstance(value, (str, bytes, dict, set)):
                raise TypeMismatch(f"{value!r:.40} cannot be combined with an expression", where=user_line(),
                                   mend="use expressions, numbers or NumPy arrays")
        return function(x, y)
    return method


def from_numpy(function: Callable[..., Any], **shapes: Any) -> Any:
    """The result of an ordinary NumPy-style function on symbols: `from_numpy(f, X=(n, d), w=(d,))`.

    A keyword is a symbol's shape, or an expression to pass on as it is.

    >>> import numpy as np
    >>> import symdiff as sd
    >>> print(sd.from_numpy(lambda X, w: np.sum((X @ w) ** 2), X=("n", "d"), w="d"))
    ‖X w‖²
    """
    given = {name: value if isinstance(value, Node) else creation.symbol(name, value) for name, value in shapes.items()}
    return function(**given)


install()
