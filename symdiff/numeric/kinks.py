"""How far a point is from the nearest kink: a place where a derivative jumps or is infinite.

Numeric derivatives mean nothing there.  Kinks of functions of one argument stand in their rows; those of two are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from symdiff.expression import Map, Node, Reduce, Symbol
from symdiff.numeric.complex_field import WIDE
from symdiff.reference import Field, value_of_node
from symdiff.traversal import reaching, topological

Array = Any


def apart(x: Array, z: Array) -> Array:
    """How far the arguments are from being equal."""
    return np.abs(x - z)


def from_base_zero(x: Array, p: Array) -> Array:
    """How far x is from 0, where xᵖ is no polynomial."""
    return np.where((p >= 0) & (p == np.round(p)), np.inf, np.abs(x))


DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    **dict.fromkeys("less less_equal greater greater_equal minimum maximum".split(), apart),
    **dict.fromkeys("hypot direction atan2 ratio xlogy".split(), np.hypot),
    "power": from_base_zero,
}


class Kink(Struct, frozen=True):
    """The nearest kink: its distance in the argument of `node`."""

    distance: float
    node: Node


def nearest_kink(roots: Sequence[Node], targets: Iterable[Node], arrays: Mapping[Node, Array], sizes: Mapping[str, int],
                 field: Field = WIDE) -> Kink | None:
    """The kink nearest to the point among the functions that depend on a target; None where there is none."""
    order = topological(roots)
    moving = reaching(order, targets)
    values: dict[Node, Array] = {}
    nearest: Kink | None = None
    with np.errstate(all="ignore"):
        for node in order:
            values[node] = arrays[node].astype(field.dtype(node.dtype)) if isinstance(node, Symbol) else \
                value_of_node(node, values, sizes, field)
            distance = kink_distance(node, values) if node in moving else None
            if distance is not None and (nearest is None or distance < nearest.distance):
                nearest = Kink(distance, node)
    return nearest


def kink_distance(node: Node, values: Mapping[Node, Array]) -> float | None:
    """How far the arguments of one node are from where its derivative jumps or is infinite."""
    if isinstance(node, Map):
        args = [values[a] for a in node.args]
        if node.function.name in DISTANCES and all(a.dtype.kind == "f" for a in args):
            return least(DISTANCES[node.function.name](*args))
        if node.function.kinks and args[0].dtype.kind == "f":
            return least(np.array([np.abs(args[0] - kink) for kink in node.function.kinks]))
    if isinstance(node, Reduce) and node.function.name in ("max", "min"):
        x = values[node.arg]
        kept = tuple(k for k in range(x.ndim) if k not in node.axes)
        moved = np.transpose(x, kept + node.axes)
        flat = np.sort(moved.reshape(*moved.shape[:len(kept)], -1), axis=-1)
        if flat.shape[-1] > 1:
            gaps = np.diff(flat, axis=-1)
            return least(gaps[..., -1] if node.function.name == "max" else gaps[..., 0])
    return None


def least(distances: Array) -> float | None:
    """The least finite distance."""
    finite = distances[np.isfinite(distances)]
    return float(finite.min()) if finite.size else None
