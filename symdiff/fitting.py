"""Values that stand for a symbol or an expression: brought to its shape and dtype, never narrowed."""

from __future__ import annotations

from typing import Any

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.operators.coercion import as_node, broadcast_one, broadcast_shape, describe, to_dtype
from symdiff.tensor_type import promote, shape_text


def fitted(value: Any, like: Node, name: str, operation: str) -> Node:
    """The value, which errors call `name`, in the shape and dtype of `like`; Python's numbers fit any floating dtype.

    Raises `ShapeMismatch` unless it broadcasts to the shape, `TypeMismatch` where the dtype does not hold its dtype.
    """
    node = as_node(value, like.dtype)
    if promote(node.dtype, like.dtype) != like.dtype:
        raise TypeMismatch(f"{name} has dtype {node.dtype}, but {target_of(like)} has dtype {like.dtype}",
                           where=f"{operation} with {describe(node)} for {describe(like)}",
                           mend=f"convert it: sd.astype(value, {like.dtype!r})")
    if node.shape != like.shape:
        if node.ndim > like.ndim or broadcast_shape(operation, (node, like)) != like.shape:
            shapes = shape_text(node.shape), shape_text(like.shape)
            raise ShapeMismatch(f"{name} has shape {shapes[0]}, but {target_of(like)} has shape {shapes[1]}",
                                where=f"{operation} with {describe(node)} for {describe(like)}",
                                mend="give a value of the same shape, or one that broadcasts to it")
        node = broadcast_one(node, like.shape)
    return to_dtype(node, like.dtype)


def target_of(like: Node) -> str:
    """What is to be fitted, as errors name it."""
    return like.name if isinstance(like, Symbol) else describe(like)
