"""Trees: lists, tuples and dicts of expressions, flattened and put together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.errors import TypeMismatch
from symdiff.provenance import plain, user_line

Unflatten = Callable[[list[Any]], Any]


def flatten(tree: Any, leaf: Callable[[Any], bool], what: str) -> tuple[list[Any], Unflatten]:
    """The leaves of a tree in order, and the function that puts new leaves into its structure.

    Raises `TypeMismatch` for something that is neither a leaf nor a list, tuple or dict.

    >>> leaves, back = flatten({"a": 1, "b": [2, 3]}, lambda v: isinstance(v, int), "int")
    >>> leaves, back([10, 20, 30])
    ([1, 2, 3], {'a': 10, 'b': [20, 30]})
    """
    if leaf(tree):
        return [tree], lambda values: values[0]
    if isinstance(tree, dict):
        parts = [flatten(value, leaf, what) for value in tree.values()]
        keys = list(tree)
        return joined(parts, lambda items: dict(zip(keys, items, strict=True)))
    if isinstance(tree, (list, tuple)):
        parts = [flatten(value, leaf, what) for value in tree]
        if hasattr(tree, "_fields"):
            kind = type(tree)
            return joined(parts, lambda items: kind(*items))
        return joined(parts, tuple if isinstance(tree, tuple) else list)
    article = "an" if what[0] in "aeiou" else "a"
    raise TypeMismatch(f"{plain(tree)} is no {what}", where=user_line(),
                       mend=f"give {article} {what}, or a list, tuple or dict of them")


def joined(parts: list[tuple[list[Any], Unflatten]], build: Callable[[list[Any]], Any]) -> tuple[list[Any], Unflatten]:
    """One flat list of the parts, and their common unflattening."""
    leaves = [value for values, _ in parts for value in values]

    def unflatten(values: list[Any]) -> Any:
        items = []
        start = 0
        for own, back in parts:
            items.append(back(values[start:start + len(own)]))
            start += len(own)
        return build(items)
    return leaves, unflatten
