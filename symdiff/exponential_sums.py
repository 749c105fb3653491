"""Sums of exponentials in what is less than them or a share of them: x − log Σ eᶻ and e^(x − log Σ eᶻ).

Rounded as a whole, log Σ eᶻ = m + log Σ e^(z − m) has no room for the logarithm where m = max z is large: whoever computes these
takes m from x first, which loses nothing where x is near m, and then the logarithm.
"""

from __future__ import annotations

from symdiff.expression import Map, Node, Product, Reduce


def logsumexp_in(node: Node) -> Reduce | None:
    """The log Σ eᶻ that a node is, or that it places along other axes; None for any other node."""
    placed = isinstance(node, Product) and not node.is_core and len(node.factors) == 1 and node.coefficient == 1
    total = node.children[0] if placed else node
    return total if isinstance(total, Reduce) and total.function.fold == "logsumexp" else None


def sum_shared(node: Node) -> Reduce | None:
    """The log Σ eᶻ of a node e^(x − log Σ eᶻ); None for any other node."""
    return logsumexp_in(node.args[1]) if isinstance(node, Map) and node.function.name == "exp_difference" else None
