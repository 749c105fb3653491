"""Openings: a contraction that only another contraction reads becomes part of it where a cheaper path is found then.

before:  Σ_j (Σ_k A[i,k] B[k,j]) x[j]        n³ multiplications
after:   Σ_jk A[i,k] B[k,j] x[j]             n², by the path A (B x)

before:  Σ_n (u[n,j] + w[n] Σ_i v[n,i] L[i,j])       a product of matrices for all n
after:   Σ_n u[n,j] + Σ_ni w[n] v[n,i] L[i,j]         a sum over n first
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from codegen.planning.contractions import path_cost
from codegen.planning.costs import Hints
from codegen.planning.rewriting import over
from codegen.planning.views import plain
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.index_notation import Label, rename
from symdiff.normal_form import is_guard
from symdiff.normal_form.numbers import times
from symdiff.sizes import Size
from symdiff.traversal import topological

# An opening must save at least this much of the cost: what is opened is no longer at hand for others.
WORTH = 0.7
MOST_FACTORS = 8


def open_contractions(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with single-use cores, and terms of single-use sums, opened into the cores around them where that saves work."""
    order = topological(roots)
    uses: Counter[Node] = Counter(roots)
    for node in order:
        uses.update(node.children)
    done: dict[Node, Node] = {}
    single: set[Node] = set()
    for node in order:
        fresh = over(node, [done[child] for child in node.children])
        if isinstance(fresh, Product) and opens(fresh):
            fresh = spread(fresh, single, hints)
        if uses[node] == 1 and (isinstance(fresh, Add) or opens(fresh)):
            single.add(fresh)
        done[node] = fresh
    return [done[root] for root in roots]


def opens(node: Node) -> bool:
    """Whether a node is a core of floats with plain indices and no guard, whose path can be searched."""
    return isinstance(node, Product) and node.is_core and node.dtype.startswith("float") and plain(node) and not any(
        is_guard(f) or f.dtype != node.dtype for f, _ in node.factors)


def spread(node: Product, single: set[Node], hints: Hints) -> Node:
    """The core with its factors opened; a sum among them, which only it reads, term by term where that saves work."""
    whole = opened(node, single, hints)
    place = next((k for k, (f, _) in enumerate(node.factors) if isinstance(f, Add) and f in single), None)
    if place is None:
        return whole
    inside: set[Node] = set()
    parts: list[tuple[Number, Product]] = []
    terms, at = node.factors[place]
    assert isinstance(terms, Add)
    for c, term in terms.terms:
        factors = (*node.factors[:place], (term, at), *node.factors[place + 1:])
        if isinstance(term, Product) and not term.is_core and term.dense and plain(term):
            c, part = times(c, term.coefficient), together(node, factors, place)
        else:
            part = Product(node.coefficient, factors, node.out, node.extents, node.type)
        if not part.factors or not opens(part) or len(part.factors) > MOST_FACTORS:
            return whole
        inside |= {f for f in part.children if f in single and isinstance(f, Product)}
        parts.append((c, opened(part, single, hints)))
    left = inside.intersection([f for _, part in parts for f in part.children])
    before, after = (sum([path_cost(product, hints) for product in products if isinstance(product, Product)])
                     for products in ([node, *inside], [*[part for _, part in parts], *left]))
    return Add(tuple(parts), node.type) if after < WORTH * before else whole


def opened(node: Product, single: set[Node], hints: Hints) -> Product:
    """The core with those of its factors opened that are worth it."""
    progress = True
    while progress:
        progress = False
        for position, (inner, _) in enumerate(node.factors):
            if inner not in single or not isinstance(inner, Product) or len(node.factors) + len(inner.factors) > MOST_FACTORS + 1:
                continue
            whole = together(node, node.factors, position)
            if path_cost(whole, hints) < WORTH * (path_cost(node, hints) + path_cost(inner, hints)):
                node, progress = whole, True
                break
    return node


def together(node: Product, factors: tuple[Factor, ...], position: int) -> Product:
    """The core over other factors, one of them, a product itself, written out but for its coefficient.

    They are no node before: one may be there already that has them in another order.
    """
    inner, at = factors[position]
    assert isinstance(inner, Product)
    names: dict[Label, Label] = dict(zip(inner.out, at, strict=True))  # type: ignore[arg-type]
    extents: list[Size] = list(node.extents)
    for label in inner.summed:
        names[label] = len(extents)
        extents.append(inner.extents[label])
    written: list[Factor] = [(f, tuple(rename(i, names) for i in there)) for f, there in inner.factors]
    return Product(node.coefficient, (*factors[:position], *written, *factors[position + 1:]), node.out, tuple(extents), node.type)
