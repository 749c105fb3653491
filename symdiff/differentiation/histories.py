"""What a backward loop reads of the forward turns.

Carries, contractions and costly functions are kept by the forward loop, slices are at hand; sums and products of them are
computed again.  Where such a sum or product takes less room than what only it is computed from, it is kept instead: of the
gate of a network one array, which the backward turn multiplies by one adjoint, in the place of three.

What may be infinite, and is read only where a guard holds, is kept under that guard: e^x in the branch that a `where` did not
take.  The backward loop never reads it there, but its own derivative has 0 · ∞ for what was kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from msgspec.structs import replace

from symdiff.bodies import private, replaced
from symdiff.differentiation.vertex_covers import least_cover
from symdiff.expression import Factor, Map, Node, Product, Reduce, Symbol
from symdiff.functions.row import ROWS, ScalarRow
from symdiff.loops import Loop, is_scan, stacked
from symdiff.normal_form import is_guard, map_node, product, silences
from symdiff.sizes import typical_value
from symdiff.tensor_type import TensorType
from symdiff.traversal import reaching, rebuilt, topological

# What each node is computed from: slices, and what is kept unless a sum or a product of it is.
Sources = dict[Node, frozenset[Node]]
# A condition, and the axes along which it holds.
Place = tuple[Node, tuple[int, ...]]


def residuals(loop: Loop, args: tuple[Node, ...], own: Loop, names: Mapping[Symbol, Symbol], bodies: Sequence[Node],
              changing: set[Symbol]) -> tuple[list[Node], dict[Node, Symbol], list[Node]]:
    """The backward bodies over what they read of a forward turn, the symbol of each of that, and the arrays for all turns.

    `own` is the loop over the private symbols of `names`; `changing` are the symbols of the backward turn.
    """
    order = topological(bodies)
    backward = reaching(order, changing)
    forward = reaching(order, [*own.carries, *own.slices, own.turn]) - backward - {own.turn}
    sources = sources_of([node for node in order if node in forward])
    joined = {node: part for node in order if node in backward and (part := joined_factors(node, forward, own.slices))}
    sources |= {whole: frozenset().union(*[sources[f] for f in whole.children]) for whole, _ in joined.values()}
    alone = read_alone(order, bodies, forward, joined)
    kept = worth_keeping([*[whole for whole, _ in joined.values()], *alone], sources, own.slices)
    joined = {node: part for node, part in joined.items() if part[0] in kept}
    alone = read_alone(order, bodies, forward, joined)
    kept = {whole for whole, _ in joined.values()} | worth_keeping(alone, sources, own.slices)
    needed = kept.union(*[sources[node] for node in alone if node not in kept])
    history = [node for node in dict.fromkeys([*order, *[whole for whole, _ in joined.values()]]) if node in needed]
    symbols = {node: private(node.type) for node in history}
    back: dict[Node, Node] = {new: old for old, new in names.items()}
    slices: dict[Node, Node] = dict(zip(own.slices, args[len(loop.carries):], strict=False))
    stored = [node for node in history if node not in slices]
    read = read_from(bodies, symbols, joined)
    guards = guards_of_all({symbols[node]: node for node in stored if is_unbounded(node)}, read, changing)
    known: dict[Node, Node] = {symbol: node for node, symbol in symbols.items()}
    kept_as = [under(node, replaced([c for c, _ in found], known), [at for _, at in found]) if (
        found := sorted(guards.get(symbols[node], ()), key=lambda g: (g[0].key, g[1]))) else node for node in stored]
    longer = replace(loop, stacks=tuple(replaced(kept_as, back)))
    rows = {node: stacked(longer, args, k) for k, node in enumerate(stored)}
    return read, symbols, [slices[node] if node in slices else rows[node] for node in history]


@cache
def is_finite(row: ScalarRow) -> bool:
    """Whether a function of finite numbers is finite, as far as extreme ones tell."""
    points = np.meshgrid(*[np.array([-1e300, -1.0, -1e-300, 0.0, 1e-300, 1.0, 1e300])] * row.arity)
    with np.errstate(all="ignore"):
        return bool(np.isfinite(row.numpy(*points)).all())


def is_unbounded(node: Node) -> bool:
    """Whether what is kept may be infinite, or no number, though what it is computed from is finite."""
    return any([isinstance(part, Map) and not is_finite(part.function) for part in (
        node, *(node.children if isinstance(node, Product) else ()))])


def guards_of_all(kept: Mapping[Node, Node], bodies: Sequence[Node], changing: set[Symbol]) -> dict[Node, set[Place]]:
    """For symbols of what is kept: the conditions, each with its axes there, of the guards beside it wherever it is read.

    Those that the forward turn knows.  A position that an index tells is no condition of one value.
    """
    order = topological(bodies)
    backward = reaching(order, changing)
    found: dict[Node, set[Place]] = {symbol: set() for symbol in kept if symbol in bodies}
    for node in order:
        factors = node.factors if isinstance(node, Product) else [(child, tuple(range(child.ndim))) for child in node.children]
        for symbol, at in factors:
            if symbol not in kept:
                continue
            plain = isinstance(node, Product) and all(type(i) is int for i in at) and len(set(at)) == len(at)
            here = {(g.children[0], tuple([at.index(i) for i in there])) for g, there in factors
                    if silences(g) and g not in backward and set(there) <= set(at)} if plain else set()
            found[symbol] = here if symbol not in found else found[symbol] & here
    return found


def under(node: Node, conditions: Sequence[Node], axes: Sequence[tuple[int, ...]]) -> Node:
    """The node where the conditions hold, each along some of its axes, else 0."""
    labels = tuple(range(node.ndim))
    marks: list[Factor] = [(map_node(ROWS["guard"], (c,)), at) for c, at in zip(conditions, axes, strict=True)]
    return product(1, [(node, labels), *marks], list(labels), dict(enumerate(node.shape)), node.type)


def sources_of(forward: Sequence[Node]) -> Sources:
    """What sums and products are computed again from."""
    sources: Sources = {}
    for node in forward:
        if isinstance(node, Symbol) or is_costly(node):
            sources[node] = frozenset([node])
        else:
            sources[node] = frozenset().union(*[sources[child] for child in node.children if child in sources])
    return sources


def is_costly(node: Node) -> bool:
    """Whether computing a node again would cost more than keeping it.  What a guard reads is kept: an array does not select."""
    if isinstance(node, Product):
        return node.is_core
    return is_scan(node) or (isinstance(node, (Reduce, Map)) and not is_guard(node))


def joined_factors(node: Node, forward: set[Node], slices: Sequence[Node]) -> Factor | None:
    """The product of the factors that the forward turn knows, apart from guards and slices, and where it is read.

    None where they are fewer than two, or are no product of one shape.
    """
    if not isinstance(node, Product) or node.narrows:
        return None
    parts = [(f, at) for f, at in node.factors if f in forward and f not in slices and not is_guard(f)]
    extents = {index: size for f, at in parts for index, size in zip(at, f.shape, strict=True)}
    if len(parts) < 2 or any(extents[index] != size for f, at in parts for index, size in zip(at, f.shape, strict=True)):
        return None
    axes, shape = list(extents), tuple(extents.values())
    own: list[Factor] = [(f, tuple([axes.index(index) for index in at])) for f, at in parts]
    whole = product(1, own, list(range(len(axes))), dict(enumerate(shape)), TensorType(node.dtype, shape))
    return (whole, tuple(axes)) if {f for f, _ in parts} == set(whole.children) else None


def read_alone(order: Sequence[Node], bodies: Sequence[Node], forward: set[Node],
               joined: Mapping[Node, Factor]) -> list[Node]:
    """What is read of the forward turn one by one."""
    read = [child for node in order if node not in forward for child in node.children
            if child in forward and (node not in joined or child not in joined[node][0].children)]
    return list(dict.fromkeys([*read, *[node for node in bodies if node in forward]]))


def worth_keeping(read: Sequence[Node], sources: Sources, slices: Sequence[Node]) -> set[Node]:
    """Those of what is read that are kept themselves, so that they and the sources of the others take the least room."""
    edges = {node: [part for part in sources[node] if part not in slices and part is not node] for node in read}
    edges = {node: parts for node, parts in edges.items() if parts and not is_guard(node)}
    anyhow = {node for node in read if node in sources[node]}
    rooms = {part: 0 if part in anyhow else room(part) for parts in edges.values() for part in parts}
    return least_cover(edges, {node: room(node) for node in edges}, rooms)


def room(node: Node) -> int:
    """Bytes, at typical sizes."""
    return math.prod(typical_value(size) for size in node.shape) * np.dtype(node.dtype).itemsize


def read_from(bodies: Sequence[Node], symbols: Mapping[Node, Node], joined: Mapping[Node, Factor]) -> list[Node]:
    """The bodies over the symbols of what is kept."""
    done: dict[Node, Node] = dict(symbols)
    for node in topological(bodies, lambda n: () if n in symbols else n.children):
        if node in done:
            continue
        if node in joined:
            assert isinstance(node, Product)
            whole, read = joined[node]
            factors: list[Factor] = [(done.get(f, f), at) for f, at in node.factors if f not in whole.children]
            done[node] = product(node.coefficient, [(symbols[whole], read), *factors], list(node.out),
                                 dict(enumerate(node.extents)), node.type)
        else:
            done[node] = rebuilt(node, done)
    return [done[body] for body in bodies]
