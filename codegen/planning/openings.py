"""Openings: a contraction that only another contraction reads becomes part of it where a cheaper path is found then.

before:  Σ_j (Σ_k A[i,k] B[k,j]) x[j]        n³ multiplications
after:   Σ_jk A[i,k] B[k,j] x[j]             n², by the path A (B x)

before:  M[i,j] = Σ_k A[i,k] B[k,j],  Σ_j M[i,j] x[j],  Σ_i M[i,j] y[i]        n³ multiplications
after:   Σ_jk A[i,k] B[k,j] x[j],  Σ_ik A[i,k] B[k,j] y[i]                     n², though each reads A and B

before:  Σ_n (u[n,j] + w[n] Σ_i v[n,i] L[i,j])       a product of matrices for all n
after:   Σ_n u[n,j] + Σ_ni w[n] v[n,i] L[i,j]         a sum over n first
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod

from codegen.planning.contractions import path_cost
from codegen.planning.costs import Hints
from codegen.planning.rewriting import made, over
from codegen.planning.views import plain, with_views
from symdiff.expression import Add, Factor, Node, Number, Product
from symdiff.gathers import solved_labels
from symdiff.index_notation import Label, labels_in, rename
from symdiff.normal_form import is_guard
from symdiff.normal_form.numbers import times
from symdiff.sizes import Size
from symdiff.traversal import topological

# An opening must save at least this much of the cost: what is opened is no longer at hand for others.
WORTH = 0.7
MOST_FACTORS = 8
# What is written out in all that read it: matrix products run at a better rate than the products with vectors that it leaves.
WORTH_FOR_ALL = 0.5
MOST_FACTORS_FOR_ALL = 6


def open_contractions(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with single-use cores, and terms of single-use sums, opened into the cores around them where that saves work."""
    order = topological(roots)
    uses: Counter[Node] = Counter(roots)
    for node in order:
        uses.update(node.children)
    done: dict[Node, Node] = {}
    single: set[Node] = set()
    # What only one sum reads, in several terms, as it is or turned: M and its transpose.
    owned: dict[Node, set[Node]] = {}
    for node in order:
        fresh = over(node, [done[child] for child in node.children])
        if isinstance(fresh, Product) and fresh.is_core and not solved_labels(fresh):
            fresh = with_views(fresh, hints)
        if isinstance(fresh, Product) and opens(fresh):
            fresh = spread(fresh, single, hints)
        if uses[node] == 1 and (isinstance(fresh, Add) or opens(fresh)):
            single.add(fresh)
        if isinstance(fresh, Add):
            inside = Counter([part for child in node.children for part in (child, *turned(child, uses))])
            owned[fresh] = {done[part] for part, count in inside.items() if uses[part] == count and opens(done[part])}
            single |= owned[fresh] if uses[node] == 1 else set()
        done[node] = fresh
    return open_for_all(spread_for_all([done[root] for root in roots], owned, hints), hints)


def spread_for_all(roots: Sequence[Node], owned: dict[Node, set[Node]], hints: Hints) -> list[Node]:
    """The roots with sums that several cores read, gradient and Hessian times vector for instance, written out in all of them.

    Only where that saves work, for sums of cores that nothing else reads.
    """
    order = topological(roots)
    readers = readers_of(order)
    kept = set(roots)
    now: dict[Node, list[tuple[Number, Product]]] = {}
    for node in order:
        around = list(readers.get(node, ()))
        own = owned.get(node, set()) if isinstance(node, Add) else set()
        if not own or node in kept or len(around) < 2 or not all(opens(reader) and reader not in now for reader in around):
            continue
        places = [next(k for k, (f, _) in enumerate(reader.factors) if f is node) for reader in around]
        spreads = [spread for reader, place in zip(around, places, strict=True)
                   if (spread := term_by_term(reader, place, own, hints)) is not None]  # type: ignore[arg-type]
        parts = [part for spread in spreads for _, part in spread]
        inside = read_in_terms([node], own)
        left = read_in_terms(parts, inside)
        if len(spreads) == len(around) and cost_of([*parts, *left], hints) < WORTH_FOR_ALL * cost_of([*around, *inside], hints):
            now.update(zip(around, spreads, strict=True))
    if not now:
        return list(roots)
    done: dict[Node, Node] = {}
    for node in order:
        if node in now:
            terms = [(c, over(part, [done[child] for child in part.children])) for c, part in now[node]]
            done[node] = Add(tuple(terms), node.type)
        else:
            done[node] = over(node, [done[child] for child in node.children])
    return [done[root] for root in roots]


def readers_of(order: Sequence[Node]) -> dict[Node, dict[Node, None]]:
    """The nodes that read each node, in order."""
    readers: dict[Node, dict[Node, None]] = {}
    for node in order:
        for child in node.children:
            readers.setdefault(child, {})[node] = None
    return readers


def open_for_all(roots: Sequence[Node], hints: Hints) -> list[Node]:
    """The roots with cores that only other cores read, as value and gradient do, opened into each where that saves work."""
    order = topological(roots)
    readers = readers_of(order)
    kept, now = set(roots), {node: node for node in order}
    for node in reversed(order):
        inner, around = now[node], list(readers.get(node, ()))
        if node in kept or not opens(inner) or not around or not all(opens(now[reader]) for reader in around):
            continue
        own = cost_of([inner], hints)
        before = own + cost_of([now[reader] for reader in around], hints)
        if own < (1 - WORTH_FOR_ALL) * before:
            continue
        wholes = [written_out(node, inner, now[reader]) for reader in around]  # type: ignore[arg-type]
        if any(len(whole.factors) > MOST_FACTORS_FOR_ALL for whole in wholes) or cost_of(
                wholes, hints) >= WORTH_FOR_ALL * before:
            continue
        for reader, whole in zip(around, wholes, strict=True):
            now[reader] = whole
            for child in inner.children:
                readers[child][reader] = None
        for child in inner.children:
            readers[child].pop(node, None)
    done: dict[Node, Node] = {}
    for node in order:
        done[node] = over(now[node], [done[child] for child in now[node].children])
    return [done[root] for root in roots]


def written_out(node: Node, inner: Product, reader: Product) -> Product:
    """The reader with what the node is, `inner`, in its place wherever it stands."""
    whole = reader
    while len(whole.factors) <= MOST_FACTORS_FOR_ALL:
        place = next((k for k, (f, _) in enumerate(whole.factors) if f is node), None)
        if place is None:
            break
        whole = together(whole, (*whole.factors[:place], (inner, whole.factors[place][1]), *whole.factors[place + 1:]), place)
    return whole


def turned(node: Node, uses: Counter[Node]) -> Sequence[Node]:
    """What the node shows, if it only turns a core, for one reader."""
    return node.children if uses[node] == 1 and isinstance(node, Product) and len(node.factors) == 1 and not node.is_core else ()


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
    parts = term_by_term(node, place, single, hints)
    if parts is None:
        return whole
    inside = read_in_terms([node.factors[place][0]], single)
    left = read_in_terms([part for _, part in parts], inside)
    before, after = cost_of([node, *inside], hints), cost_of([*[part for _, part in parts], *left], hints)
    return Add(tuple(parts), node.type) if after < WORTH * before else whole


def term_by_term(node: Product, place: int, single: set[Node], hints: Hints) -> list[tuple[Number, Product]] | None:
    """The terms, each a core, of a core that reads a sum at a place; those of `single` are opened where that saves work."""
    parts: list[tuple[Number, Product]] = []
    terms, at = node.factors[place]
    assert isinstance(terms, Add)
    for c, term in terms.terms:
        factors = (*node.factors[:place], (term, at), *node.factors[place + 1:])
        if isinstance(term, Product) and not term.is_core and term.dense and plain(term):
            c, part = times(c, term.coefficient), together(node, factors, place)
        else:
            part = Product(node.coefficient, factors, node.out, node.extents, node.type)
        # A term that is the same along a label that is summed is counted as often as that goes.
        absent = [i for i in part.summed if not any(i in labels_in(there) for _, there in part.factors)]
        counted = [part.extents[i] for i in absent]
        if absent and all(isinstance(count, int) for count in counted):
            c = times(c, prod(counted))  # type: ignore[arg-type]
            part = made(part.factors, part.out, part.extents, part.dtype)  # type: ignore[assignment]
        elif absent:
            return None
        if not part.children or not opens(part) or len(part.factors) > MOST_FACTORS:
            return None
        parts.append((c, opened(part, single, hints)))
    return parts


def read_in_terms(nodes: Iterable[Node], single: set[Node]) -> set[Node]:
    """The cores among `single` that the terms of sums, or the factors of products, are, or are made of."""
    return {f for node in nodes for term in node.children for f in (term, *term.children) if f in single and isinstance(f, Product)}


def cost_of(nodes: Iterable[Node], hints: Hints) -> int:
    """What the cores among the nodes cost."""
    return sum([path_cost(node, hints) for node in nodes if isinstance(node, Product)])


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
