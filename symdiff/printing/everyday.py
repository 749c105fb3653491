"""What formulas for people say instead of what runs: 1 − tanh², √(x² + y²), log Σ w eˣ.

The kernel computes the same numbers without overflow or cancellation; the NumPy style, which is run, keeps its forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from symdiff.expression import Map, Node
from symdiff.functions.row import ROWS
from symdiff.loops import FINAL, Loop, deep, final, is_scan, loop_of, stacked
from symdiff.normal_form import add, map_node, number, number_of, product
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.simplification.collect import RULES as COLLECT
from symdiff.simplification.rule import Rule, apply_rules
from symdiff.traversal import transform


def power(x: Node, p: int) -> Node:
    """xᵖ."""
    return map_node(ROWS["power"], (x, number(p, x.dtype, x.shape)))


def square(x: Node) -> Node:
    """x², u where x is √u."""
    return x.children[0] if isinstance(x, Map) and x.function is ROWS["sqrt"] else power(x, 2)


def times(x: Node, y: Node) -> Node:
    """x · y."""
    labels = tuple(range(x.ndim))
    return product(1, [(x, labels), (y, labels)], list(labels), dict(enumerate(x.shape)), x.type)


def root_of_squares(x: Node, y: Node) -> Node:
    """√(x² + y²)."""
    return map_node(ROWS["sqrt"], (add([(1, square(x)), (1, square(y))], x.type),))


FORMS: dict[str, Callable[..., Node | None]] = {
    "sech_squared": lambda x: add([(1, number(1, x.dtype, x.shape)), (-1, power(map_node(ROWS["tanh"], (x,)), 2))], x.type),
    "one_less_square": lambda x: add([(1, number(1, x.dtype, x.shape)), (-1, power(x, 2))], x.type),
    "shift": lambda x: number(0, x.dtype, x.shape),
    "exp_difference": lambda x, m: map_node(ROWS["exp"], (x,)) if number_of(m) == 0 else None,
    "hypot": root_of_squares,
    "direction": lambda x, y: times(x, power(root_of_squares(x, y), -1)),
}


def root_power(node: Node) -> Node | None:
    """(√u)²ᵖ → uᵖ."""
    base, p = base_and_exponent(node)
    if isinstance(base, Map) and base.function is ROWS["sqrt"] and isinstance(p, int) and p % 2 == 0 and base.type == node.type:
        return power(base.args[0], p // 2)
    return None


RULES = (*COLLECT, Rule("root-power", "(√u)²ᵖ → uᵖ", root_power, "power"))


def readable(roots: Sequence[Node]) -> list[Node]:
    """The roots in the forms that people read, the bodies of their loops too."""
    if not any(isinstance(node, Map) and node.function.name in FORMS for node in deep(roots)):
        return list(roots)
    loops: dict[Loop, Loop] = {}
    return apply_rules(transform(roots, lambda node: form(node, loops)), RULES)


def form(node: Node, loops: dict[Loop, Loop]) -> Node | None:
    """The form of one node, None where it stays; what has become of each loop so far."""
    if is_scan(node):
        loop, kind, k = loop_of(node)
        if loop not in loops:
            bodies, count = readable([*loop.nexts, *loop.stacks]), len(loop.nexts)
            loops[loop] = replace(loop, nexts=tuple(bodies[:count]), stacks=tuple(bodies[count:]))
        return (final if kind == FINAL else stacked)(loops[loop], node.children, k)
    return FORMS[node.function.name](*node.args) if isinstance(node, Map) and node.function.name in FORMS else None
