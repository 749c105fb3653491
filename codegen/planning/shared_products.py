"""Shared products: a sum reads the product of its factors where a matrix product needs that product anyway.

    G = Σ_n x[n,i] (r[n,j] m[n,j]),  b = Σ_n r[n,j] m[n,j]    →    p = r m,  G = Σ_n x[n,i] p[n,j],  b = Σ_n p[n,j]

The gradients of a layer's weights and bias are such a pair: the bias then reads one array instead of two, and what r and m are
made of need not be stored for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.rewriting import over
from codegen.planning.views import plain
from symdiff.expression import Factor, Node, Product
from symdiff.index_notation import Index
from symdiff.normal_form import is_guard
from symdiff.traversal import topological


def share_products(roots: Sequence[Node]) -> list[Node]:
    """The roots with sums over products that others multiply."""
    order = topological(roots)
    made: dict[Node, list[Product]] = {}
    for node in order:
        for f in node.children if isinstance(node, Product) and node.is_core and len(node.factors) > 1 else ():
            if isinstance(f, Product) and is_elementwise(f) and f not in made.setdefault(f.factors[0][0], []):
                made[f.factors[0][0]].append(f)
    if not any(made.values()):
        return list(roots)
    sums = [node for node in order if isinstance(node, Product) and node.is_core]
    opened: dict[Node, Node] = {node: shared for node in sums if (shared := with_product(node, made)) is not node}
    if not opened:
        return list(roots)
    done: dict[Node, Node] = {}
    for node in topological(roots, lambda node: opened.get(node, node).children):
        whole = opened.get(node, node)
        done[node] = over(whole, [done[child] for child in whole.children])
    return [done[root] for root in roots]


def is_elementwise(node: Product) -> bool:
    """Whether a node multiplies arrays of its own shape, element by element."""
    axes = range(node.ndim)
    return node.ndim > 0 and node.coefficient == 1 and not node.is_core and node.dense and not node.narrows and len(
        node.factors) > 1 and node.out == tuple(axes) and all(
        sorted(labels := [i for i in at if type(i) is int]) == [*axes] and f.shape == tuple([node.shape[i] for i in labels])
        for f, at in node.factors) and not any(is_guard(f) for f, _ in node.factors)


def with_product(node: Product, made: dict[Node, list[Product]]) -> Product:
    """A sum over one of the products made elsewhere in place of its factors; the sum itself where there is none."""
    if not plain(node):
        return node
    for f, at in node.factors:
        for product in made.get(f, ()):
            place = dict(zip(product.factors[0][1], at, strict=True))
            rest = without(node.factors, [(g, tuple(place[i] for i in there)) for g, there in product.factors])
            if rest is not None:
                return Product(node.coefficient, ((product, tuple(place[i] for i in range(product.ndim))), *rest), node.out,
                               node.extents, node.type)
    return node


def without(factors: Sequence[Factor], gone: Sequence[tuple[Node, tuple[Index, ...]]]) -> list[Factor] | None:
    """The factors that are left without some of them, None where one of these is not there."""
    rest = list(factors)
    for f, at in gone:
        place = next((k for k, (other, there) in enumerate(rest) if other is f and there == at), None)
        if place is None:
            return None
        del rest[place]
    return rest
