"""Sums of exponentials in what is a share of them: e^(x − log Σ eᶻ), where log Σ eᶻ may be placed along other axes."""

from __future__ import annotations

from symdiff.expression import Map, Node, Product, Reduce


def sum_shared(node: Node) -> Reduce | None:
    """The log Σ eᶻ of a node e^(x − log Σ eᶻ); None for any other node.

    Rounded as a whole, log Σ eᶻ = m + log Σ e^(z − m) has no room for the logarithm where m = max z is large: whoever computes
    such a node takes m from x first, which loses nothing where x is near m, and then the logarithm.
    """
    if node.__class__ is not Map or node.function.name != "exp_difference":
        return None
    below = node.args[1]
    total = below.factors[0][0] if isinstance(below, Product) and len(below.factors) == 1 and below.coefficient == 1 else below
    return total if isinstance(total, Reduce) and total.function.fold == "logsumexp" else None
