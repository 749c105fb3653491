"""Folds: their neutral values, and the scalar functions that they are."""

from __future__ import annotations

from codegen.loop_ir.nodes import Call, Fold, Literal, Value

FOLDED: dict[Fold, str] = {"add": "add", "mul": "mul", "max": "maximum", "min": "minimum"}
IDENTITIES: dict[str, float] = {"add": 0.0, "mul": 1.0, "max": float("-inf"), "min": float("inf")}
INTEGER_EXTREMES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def folded(fold: Fold, before: Value, value: Value, dtype: str) -> Call:
    """What a fold makes of what was there and a value; of truth values, whether one of them holds, or both.

    >>> folded("add", Literal(False, "bool"), Literal(True, "bool"), "bool").function
    'logical_or'
    """
    word = FOLDED[fold] if dtype != "bool" else "logical_or" if fold in ("add", "max") else "logical_and"
    return Call(word, (before, value), dtype)


def identity(fold: str, dtype: str) -> Literal:
    """The neutral value of a fold.

    >>> identity("max", "float64")
    Literal(value=-inf, dtype='float64')
    """
    if dtype == "bool":
        return Literal(fold in ("min", "mul"), dtype)
    if fold in ("max", "min") and dtype in INTEGER_EXTREMES:
        return Literal(INTEGER_EXTREMES[dtype][fold == "min"], dtype)
    number = IDENTITIES[fold]
    return Literal(int(number) if dtype in INTEGER_EXTREMES else number, dtype)


def unchanging(fold: str, dtype: str) -> float | int | bool:
    """The neutral value of a fold that leaves what is there as it is, the sign of a zero too.

    >>> unchanging("add", "float32")
    -0.0
    """
    return -0.0 if fold == "add" and dtype.startswith("float") else identity(fold, dtype).value
