"""Trees: lists, tuples and dicts of expressions, flattened and put together again, or held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any

from symdiff.errors import ArgumentMismatch, SymdiffError, TypeMismatch
from symdiff.provenance import plain

Unflatten = Callable[[list[Any]], Any]


def flatten(tree: Any, leaf: Callable[[Any], bool], what: str) -> tuple[list[Any], Unflatten]:
    """The leaves of a tree in order, and the function that puts new leaves into its structure.

    Raises `TypeMismatch` for something that is neither a leaf nor a list, tuple or dict.

    >>> leaves, back = flatten({"a": 1, "b": [2, 3]}, lambda v: isinstance(v, int), "int")
    >>> leaves, back([10, 20, 30])
    ([1, 2, 3], {'a': 10, 'b': [20, 30]})
    """
    if leaf(tree):
        return [tree], single
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
    raise TypeMismatch(f"{plain(tree)} is no {what}", mend=f"give {article} {what}, or a list, tuple or dict of them")


def joined(parts: list[tuple[list[Any], Unflatten]], build: Callable[[list[Any]], Any]) -> tuple[list[Any], Unflatten]:
    """One flat list of the parts, and their common unflattening."""
    leaves = [value for values, _ in parts for value in values]
    if all(back is single for _, back in parts):
        return leaves, build
    ends = list(accumulate([len(own) for own, _ in parts], initial=0))
    places = [(back, lo, hi) for (_, back), (lo, hi) in zip(parts, pairwise(ends), strict=True)]

    def unflatten(values: list[Any]) -> Any:
        return build([values[lo] if back is single else back(values[lo:hi]) for back, lo, hi in places])
    return leaves, unflatten


def single(values: list[Any]) -> Any:
    """The value of a leaf."""
    return values[0]


def flatten_like(tree: Any, like: Any, name: str, of: str, *, partial: bool = False,
                 error: type[SymdiffError] = ArgumentMismatch) -> Iterator[tuple[Any, Any]]:
    """(leaf of `like`, what `tree` holds in its place) in the order of `like`; dicts are matched by their keys.

    A list and a tuple are alike.  With `partial`, keys of dicts may be left out.  Where the structures differ, raises
    `error`, which calls the trees `name` and `of`.

    >>> list(flatten_like({"b": [2, 3], "a": 1}, {"a": "x", "b": ("y", "z")}, "start", "wrt"))
    [('x', 1), ('y', 2), ('z', 3)]
    """
    if isinstance(like, dict):
        if not isinstance(tree, Mapping):
            raise error(f"{name} is {kind_of(tree)}, but {of} is {kind_of(like)}", mend=mend_of(name, like))
        extra = [key for key in tree if key not in like]
        missing = [] if partial else [key for key in like if key not in tree]
        if extra or missing:
            wrong = f"has the key {extra[0]!r:.60}" if extra else f"lacks the key {missing[0]!r:.60}"
            raise error(f"{name} {wrong}, but the keys of {of} are {', '.join(f'{key!r:.60}' for key in like)}",
                        mend=mend_of(name, like))
        for key in like:
            if key in tree:
                at = place(key)
                yield from flatten_like(tree[key], like[key], name + at, of + at, partial=partial, error=error)
    elif isinstance(like, (list, tuple)):
        if not isinstance(tree, (list, tuple)):
            raise error(f"{name} is {kind_of(tree)}, but {of} is {kind_of(like)}", mend=mend_of(name, like))
        if len(tree) != len(like):
            raise error(f"{name} has {len(tree)} entries, but {of} has {len(like)}", mend=mend_of(name, like))
        for k, (value, own) in enumerate(zip(tree, like, strict=True)):
            yield from flatten_like(value, own, name + place(k), of + place(k), partial=partial, error=error)
    elif isinstance(tree, Mapping):
        raise error(f"{name} is {kind_of(tree)}, but {of} is no dict", mend=f"give one value for {name}")
    else:
        yield like, tree


def places(tree: Any) -> list[str]:
    """Where each leaf stands, as Python would reach it.

    >>> places({"a": 1, "b": [2, 3]})
    ['["a"]', '["b"][0]', '["b"][1]']
    """
    if isinstance(tree, dict):
        return [place(key) + rest for key, value in tree.items() for rest in places(value)]
    if isinstance(tree, (list, tuple)):
        return [place(k) + rest for k, value in enumerate(tree) for rest in places(value)]
    return [""]


def place(key: Any) -> str:
    """One step into a tree."""
    return f'["{key}"]' if isinstance(key, str) else f"[{key!r:.60}]"


def kind_of(tree: Any) -> str:
    """What a tree is, in words."""
    if isinstance(tree, Mapping):
        return f"a dict with the keys {', '.join(f'{key!r:.60}' for key in tree)}" if tree else "an empty dict"
    if isinstance(tree, (list, tuple)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "None" if tree is None else f"one value of type {type(tree).__name__}"


def mend_of(name: str, like: Any) -> str:
    """How to give a tree the structure that is asked for."""
    return f"give {name} as {sketch(like):.80}"


def sketch(tree: Any) -> str:
    """The structure of a tree as Python writes it, without its leaves."""
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{key!r:.60}: {sketch(value)}' for key, value in tree.items())}}}"
    if isinstance(tree, (list, tuple)):
        return f"[{', '.join(sketch(value) for value in tree)}]"
    return "…"
