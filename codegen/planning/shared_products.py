"""Shared products: a sum reads the product of its factors where a matrix product needs that product anyway.

    G = Σ_n x[n,i] (r[n,j] m[n,j]),  b = Σ_n r[n,j] m[n,j]    →    p = r m,  G = Σ_n x[n,i] p[n,j],  b = Σ_n p[n,j]

The gradients of a layer's weights and bias are such a pair: the bias then reads one array instead of two, and what r and m are
made of need not be stored for it.

And costly factors that are never read apart are one:

    a e f,  Σ_n b[n] e[n] f[n]  with  f = 1 / (1 + e)    →    p = e f,  a p,  Σ_n b[n] p[n]

so that one array is stored for both, where one is.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.planning.materialisation import is_costly
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


def join_companions(roots: Sequence[Node]) -> list[Node]:
    """The roots with costly factors as one that several products read, each together with the other."""
    order = topological(roots)
    users: dict[Node, list[Node]] = {root: [root] for root in roots}
    for node in order:
        for child in dict.fromkeys(node.children):
            users.setdefault(child, []).append(node)
    joined: dict[Node, tuple[Node, Node, Product]] = {}
    for node in order:
        other = companion(node, users) if is_costly(node) and node.ndim and len(users[node]) > 1 else None
        if other is not None and node not in joined and other not in joined:
            axes = tuple(range(node.ndim))
            whole = Product(1, ((other, axes), (node, axes)), axes, node.shape, node.type)
            joined[node] = joined[other] = other, node, whole
    if not joined:
        return list(roots)
    done: dict[Node, Node] = {}
    for node in order:
        fresh = node
        for pair in {joined[child] for child in node.children if child in joined} if isinstance(node, Product) else ():
            fresh = with_pair(fresh, *pair)
        children = [done[child] if child in done else over(child, [done[part] for part in child.children])
                    for child in fresh.children]
        done[node] = over(fresh, children)
    return [done[root] for root in roots]


def companion(node: Node, users: dict[Node, list[Node]]) -> Node | None:
    """The costly factor that all users of a node read at the same place as it, and that serves nothing else but the node."""
    places = [place_of(node, user) for user in users[node]]
    if None in places:
        return None
    first = users[node][0]
    for other, at in first.factors if isinstance(first, Product) else ():
        if other is not node and at == places[0] and is_costly(other) and other.type == node.type and all(
                place_of(other, user) == place for user, place in zip(users[node], places, strict=True)) and all(
                any(user is reader for reader in users[node]) or leads_to(user, node, users) for user in users[other]):
            return other
    return None


def place_of(node: Node, user: Node) -> tuple[Index, ...] | None:
    """Where a product reads a node, at labels each of its own, once; None where it does not so."""
    found = [at for f, at in user.factors if f is node] if isinstance(user, Product) and user.dtype == node.dtype else []
    return found[0] if len(found) == 1 and all(type(i) is int for i in found[0]) and len(set(found[0])) == len(found[0]) else None


def leads_to(node: Node, goal: Node, users: dict[Node, list[Node]]) -> bool:
    """Whether a node serves a goal alone."""
    while node is not goal:
        above = users[node]
        if len(above) != 1 or above[0] is node:
            return False
        node = above[0]
    return True


def with_pair(node: Node, one: Node, other: Node, whole: Product) -> Node:
    """The product with two of its factors as one."""
    assert isinstance(node, Product)
    at = next(at for f, at in node.factors if f is one)
    rest = [(f, there) for f, there in node.factors if f is not one and f is not other]
    if not rest and at == node.out and node.coefficient == 1 and node.type == whole.type:
        return whole
    return Product(node.coefficient, ((whole, at), *rest), node.out, node.extents, node.type)


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
