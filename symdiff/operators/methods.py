"""The operators and methods that expressions answer to, installed into `symdiff.expression.METHODS`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from symdiff import sizes
from symdiff.errors import TypeMismatch
from symdiff.expression import METHODS, VALUE_ASKED, Node, member, operator
from symdiff.functions import ROWS
from symdiff.operators import (
    arithmetic,
    contraction,
    creation,
    elementwise,
    indexing,
    matrices,
    protocols,
    rearranging,
    reductions,
    shaping,
    size_arithmetic,
)
from symdiff.operators.coercion import as_node
from symdiff.provenance import plain, user_line

MODULES = (arithmetic, elementwise, shaping, rearranging, matrices, contraction, reductions, creation)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name) for module in MODULES for name in module.__all__}
# What other libraries call NumPy's keywords.
NUMPYS_WORDS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims", "other": "y"}
# NumPy's keyword arguments that have another name here.
KEYWORDS = {"a": "x", "m": "x", "array": "x", "arr": "x", "v": "x", "x1": "x", "x2": "y", "b": "y", "obj": "x",
            "object": "x", "a_min": "min", "a_max": "max", "ddof": "correction", "N": "n_rows", "M": "n_cols",
            "reps": "repetitions", "newshape": "shape"}
NOT_GIVEN = getattr(np, "_NoValue", None)
UFUNC_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
                    "logical_or": "any", "logaddexp": "logsumexp"}


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
    return call(f"{module}.{name}", own, *placed(function, own, args, kwargs))


def placed(function: Any, own: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments, those by name that NumPy has at another place: np.sum(x, 0, float) gives a dtype, and no keepdims."""
    theirs = list(signature_of(function).parameters.values())
    ours = list(signature_of(own).parameters)
    named = dict(kwargs)
    if any(p.kind is p.VAR_POSITIONAL for p in theirs):
        return args, named
    for k, p in enumerate(theirs[:len(args)]):
        if k >= len(ours) or (k > 0 and p.name != ours[k] and KEYWORDS.get(p.name) != ours[k]):
            return args[:k], {**{q.name: value for q, value in zip(theirs[k:], args[k:], strict=False)}, **named}
    return args, named


def unknown(name: str) -> TypeMismatch:
    """The error for a function of NumPy that has no counterpart."""
    known = protocols.HABITS.get(name.rpartition(".")[2])
    return TypeMismatch(f"{name} is not known for expressions", where=user_line(),
                        mend=known or "use the functions of symdiff; print(dir(symdiff)) lists them")


@lru_cache(maxsize=1024)
def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a function, without their types."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return signature.replace(parameters=plain, return_annotation=signature.empty)


def call(name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """function(*args, **kwargs) for NumPy's arguments; raises `TypeMismatch` for those that are not known."""
    signature = signature_of(function)
    known = signature.parameters
    fitted = {}
    for key, value in kwargs.items():
        own = key if key in known else KEYWORDS.get(key, key)
        if own in known:
            fitted[own] = value
        elif not leaves_as_is(key, value):
            raise TypeMismatch(f"{name} with {key}= is not known for expressions", where=f"{name} at {user_line()}",
                               mend=f"write {NUMPYS_WORDS[key]}=" if NUMPYS_WORDS.get(key) in known else f"leave {key}= out")
    try:
        signature.bind(*args, **fitted)
    except TypeError as error:
        raise TypeMismatch(f"{name}: {error}", where=f"{name} at {user_line()}",
                           mend=f"symdiff's own form is {function.__name__}{signature}") from None
    return function(*args, **fitted)


def leaves_as_is(key: str, value: Any) -> bool:
    """Whether a keyword argument of NumPy has a value that changes nothing."""
    same = {"order": ("C", "K", "A"), "casting": ("same_kind", "safe", "unsafe"), "where": (True,),
            "copy": (True, False), "subok": (True, False),
            "optimize": (True, False, "greedy", "optimal"), "stable": (True,)}
    plain = isinstance(value, (str, bool))
    return value is None or value is NOT_GIVEN or (plain and value in same.get(key, ()))


def size_ufunc(self: sizes.Dim, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's ufuncs on sizes: a size where Python's operator gives one, else an expression."""
    own = None if kwargs or method != "__call__" else size_arithmetic.ufunc_of_sizes(ufunc.__name__, inputs)
    nodes = (as_node(v, "int64") if isinstance(v, sizes.Dim) else v for v in inputs)
    return array_ufunc(as_node(self), ufunc, method, *nodes, **kwargs) if own is None else own


def bound(name: str) -> Callable[[Node], Callable[..., Any]]:
    """A function of the table as a method, which takes the keyword arguments of NumPy's."""
    return lambda self: lambda *args, **kwargs: call(name, FUNCTIONS[name], (self, *args), kwargs)


def namespace(self: Node, api_version: str | None = None) -> ModuleType:
    """The module whose functions take expressions by their Array API names: symdiff itself."""
    return sys.modules[__name__.partition(".")[0]]


def install() -> None:
    """Fill METHODS and BEYOND, and give expressions their members."""
    sizes.BEYOND["array_ufunc"] = size_ufunc
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
                    "abs": elementwise.abs, "invert": arithmetic.invert, "getitem": indexing.getitem,
                    "round": lambda x, digits=0: elementwise.round(x, digits or 0),
                    "array_ufunc": array_ufunc, "array_function": array_function, "array_namespace": namespace,
                    "full_like": creation.full_like})
    for name in ("sum mean prod max min argmax argmin any all var std squeeze ravel astype clip trace diagonal "
                 "round dot repeat swapaxes reshape").split():
        member(name, bound(name))
    for name in ("copy", "conj", "conjugate"):
        member(name, lambda self: lambda: self)
    METHODS.update(protocols.ANSWERS)
    for name, mend in protocols.HABITS.items():
        member(name, protocols.no_attribute(name, mend))
    member("real", lambda self: self)
    member("transpose", lambda self: lambda *axes: shaping.permute_dims(
        self, (axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None))
    member("flatten", bound("ravel"))
    member("T", shaping.permute_dims)
    member("mT", shaping.matrix_transpose)
    member("size", lambda self: sizes.product(self.shape))
    for name, method in METHODS.items():
        operator(name, method)


def guarded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator, giving way to other types' own operators where the value is nothing that symdiff knows."""
    def method(x: Any, y: Any) -> Any:
        for value in () if isinstance(x, Node) and isinstance(y, Node) else (x, y):
            if value is None or isinstance(value, (str, bytes, dict, set)):
                raise TypeMismatch(f"{plain(value)} cannot be combined with an expression", where=user_line(),
                                   mend="use expressions, numbers or NumPy arrays")
        return function(x, y)
    return method


def from_numpy(function: Callable[..., Any], /, **shapes: Any) -> Any:
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
