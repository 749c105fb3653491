"""The phases of simplification, in order, in one list.

    stabilise → (differentiate) → collect and stabilise

Collecting, factoring and the rest of the normal form happen as nodes are built (`symdiff.normal_form`); a phase here is a
table of named rules that is applied to a whole expression.
"""

from __future__ import annotations

from typing import TypeVar

from symdiff.expression import Node
from symdiff.long_calls import long_call
from symdiff.simplification.collect import RULES as COLLECT
from symdiff.simplification.rule import Rule, apply_rules
from symdiff.simplification.stabilise import RULES as STABILISE
from symdiff.trees import flatten

Tree = TypeVar("Tree")
BEFORE: tuple[Rule, ...] = STABILISE
AFTER: tuple[Rule, ...] = (*COLLECT, *STABILISE)
PHASES: tuple[tuple[str, tuple[Rule, ...]], ...] = (("before differentiation", BEFORE), ("after differentiation", AFTER))


def before_differentiation(node: Node) -> Node:
    """The expression with every unstable pattern replaced, so that its derivatives and its kernel are stable too."""
    return apply_rules([node], BEFORE)[0]


@long_call
def simplify(x: Tree) -> Tree:
    """The expression, or each of a tree of them, after all phases; simplifying twice changes nothing.

    >>> import symdiff as sd
    >>> x = sd.symbol("x")
    >>> print(sd.simplify(sd.log(1 + sd.exp(x))))
    softplus(x)
    """
    nodes, back = flatten(x, lambda v: isinstance(v, Node), "expression")
    simplified: Tree = back(apply_rules(nodes, AFTER))
    return simplified
