"""The operators and methods that expressions answer to, installed into `symdiff.expression.METHODS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.errors import TypeMismatch
from symdiff.expression import METHODS, Map, Node, Product
from symdiff.functions import ROWS
from symdiff.operators import arithmetic, contraction, creation, indexing, reductions, shaping
from symdiff.operators.coercion import user_line

UFUNC_NAMES = {"true_divide": "divide", "conjugate": "positive", "absolute": "abs", "fabs": "abs", "power": "power",
               "float_power": "power", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
               "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "rint": "round", "fmax": "maximum",
               "fmin": "minimum", "logaddexp": "logaddexp", "amax": "max", "amin": "min", "concatenate": "concat",
               "around": "round", "mod": "remainder", "transpose": "permute_dims", "bitwise_and": "logical_and",
               "bitwise_or": "logical_or", "bitwise_xor": "logical_xor", "invert": "logical_not", "pow": "power"}
MODULES = (arithmetic, shaping, contraction, reductions, creation, indexing)
FUNCTIONS: dict[str, Callable[..., Any]] = {}
HIDDEN = {"guard", "number", "as_integer", "step", "exp_difference", "power", "where", "sign", "stop_gradient"}


def fill() -> None:
    """Put every public function into FUNCTIONS: rows of the table first, then functions, then NumPy's other names."""
    for name in ROWS:
        if name not in HIDDEN:
            FUNCTIONS[name] = arithmetic.row_function(name)
    for module in MODULES:
        for name, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not isinstance(value, type):
                FUNCTIONS[name] = value
    FUNCTIONS["astype"] = arithmetic.astype
    FUNCTIONS["round"] = lambda x, decimals=0: ROWS["round"](x) if decimals == 0 else \
        arithmetic.divide(ROWS["round"](arithmetic.multiply(x, 10.0**decimals)), 10.0**decimals)
    for alias, name in UFUNC_NAMES.items():
        FUNCTIONS.setdefault(alias, FUNCTIONS[name])


fill()


def truth(node: Node) -> bool:
    """The truth value of `a == b` (or `!=`) says whether both sides are the same expression; others have none."""
    if isinstance(node, Map) and node.function.name in ("equal", "not_equal"):
        same = node.args[0] is node.args[1]
        return same if node.function.name == "equal" else not same
    if isinstance(node, Product) and len(node.factors) == 1 and node.dtype == "bool":
        return truth(node.factors[0][0])
    raise TypeMismatch("an expression has no truth value", where=user_line(),
                       mend="use sd.where(condition, a, b) instead of if, and & | ~ instead of and, or, not")


def equals(x: Node, y: Any) -> Any:
    """x == y as an expression; False where y is nothing that x can be compared with."""
    if isinstance(y, Node) and (y is x or y.shape == x.shape):
        return ROWS["equal"](x, y)
    if y is None or isinstance(y, (str, dict, set)):
        return NotImplemented
    if isinstance(y, Node):
        sizes = [(a, b) for a, b in zip(x.shape[::-1], y.shape[::-1], strict=False) if a not in (b, 1) and b != 1]
        if sizes:
            return False
    return ROWS["equal"](x, y)


def differs(x: Node, y: Any) -> Any:
    """x != y as an expression."""
    same = equals(x, y)
    return same if same is NotImplemented else True if same is False else ROWS["not_equal"](x, y)


def swapped(function: Callable[[Any, Any], Node]) -> Callable[[Any, Any], Node]:
    """The function with its two arguments exchanged, for reflected operators."""
    return lambda x, y: function(y, x)


def logical(name: str) -> Callable[[Any, Any], Node]:
    """A logical operator of booleans."""
    return lambda x, y: ROWS[name](x, y)


def array_ufunc(self: Node, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's ufuncs on expressions."""
    name = UFUNC_NAMES.get(ufunc.__name__, ufunc.__name__)
    function = FUNCTIONS.get(name)
    if method != "__call__" or function is None or {k for k in kwargs if kwargs[k] is not None} - {"dtype"}:
        if method == "reduce" and name in ("add", "multiply", "maximum", "minimum"):
            short = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}[name]
            return FUNCTIONS[short](inputs[0], axis=kwargs.get("axis", 0), keepdims=bool(kwargs.get("keepdims", False)))
        raise TypeMismatch(f"numpy.{ufunc.__name__} is not known for expressions", where=user_line(),
                           mend="use the functions of symdiff; print(dir(symdiff)) lists them")
    return function(*inputs)


def array_function(self: Node, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's functions on expressions."""
    own = FUNCTIONS.get(UFUNC_NAMES.get(function.__name__, function.__name__))
    module = getattr(function, "__module__", "")
    if own is None or module.startswith(("numpy.fft", "numpy.random")):
        raise TypeMismatch(f"{module}.{function.__name__} is not known for expressions", where=user_line(),
                           mend="use the functions of symdiff; print(dir(symdiff)) lists them")
    kwargs = {key: value for key, value in kwargs.items() if value is not np._NoValue}  # type: ignore[attr-defined]
    for key in ("where", "initial", "out"):
        if kwargs.get(key, True) not in (True, None):
            raise TypeMismatch(f"numpy.{function.__name__} with {key}= is not known for expressions", where=user_line(),
                               mend=f"leave {key}= out")
        kwargs.pop(key, None)
    if "ddof" in kwargs:
        kwargs["correction"] = kwargs.pop("ddof")
    return own(*args, **kwargs)


def bound(name: str) -> Callable[[Node], Callable[..., Any]]:
    """A function of the table as a method."""
    return lambda self: lambda *args, **kwargs: FUNCTIONS[name](self, *args, **kwargs)


def matrix_t(self: Node) -> Node:
    """`.T`: the axes reversed."""
    return shaping.permute_dims(self)


def install() -> None:
    """Fill METHODS."""
    binary: dict[str, Callable[[Any, Any], Any]] = {
        "add": arithmetic.add, "sub": arithmetic.subtract, "mul": arithmetic.multiply, "truediv": arithmetic.divide,
        "floordiv": arithmetic.floor_divide, "mod": FUNCTIONS["remainder"], "pow": arithmetic.power,
        "matmul": contraction.matmul, "and": logical("logical_and"), "or": logical("logical_or"),
        "xor": logical("logical_xor")}
    for name, function in binary.items():
        METHODS[name] = guarded(function)
        METHODS["r" + name] = guarded(swapped(function))
    for name, row in (("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal")):
        METHODS[name] = guarded(logical(row))
    METHODS.update({"eq": equals, "ne": differs, "neg": arithmetic.negative, "pos": lambda x: x, "abs": FUNCTIONS["abs"],
                    "invert": FUNCTIONS["logical_not"], "getitem": indexing.getitem, "truth": truth,
                    "round": lambda x, digits=0: FUNCTIONS["round"](x, digits or 0),
                    "array_ufunc": array_ufunc, "array_function": array_function, "squeeze": shaping.squeeze,
                    "full_like": creation.full_like})
    for name in ("sum mean prod max min argmax argmin any all var std reshape squeeze ravel astype clip trace "
                 "round dot").split():
        METHODS["." + name] = bound(name)
    METHODS[".transpose"] = lambda self: lambda *axes: shaping.permute_dims(
        self, (axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None)
    METHODS[".flatten"] = bound("ravel")
    METHODS[".T"] = matrix_t
    METHODS[".mT"] = shaping.matrix_transpose
    METHODS[".size"] = lambda self: math.prod(self.shape)


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
