"""Materialisation: which nodes are stored; all others are recomputed where they are read.

Stored are outputs, contractions and reductions, scatters, operands of matrix products, what another pass or sample needs,
costly nodes that are used at several places or broadcast up, and sums that several stored nodes share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.planning.costs import Hints
from codegen.planning.gathers import is_gather
from codegen.planning.matrices import matrix_form
from codegen.planning.passes import Passes, is_leaf, is_pattern, is_small_power
from symdiff.expression import Apply, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import children_read, factors_read, solved_labels
from symdiff.index_notation import Index, injective, inside, labels_of
from symdiff.traversal import topological

COSTLY_OPERATIONS = 4
# Operations that are done again in another pass rather than that their result is stored and loaded.
LITTLE = 6
CHEAP = {"abs", "sign", "minimum", "maximum", "floor", "ceil", "trunc", "round", "where", "guard", "number", "as_integer",
         "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not",
         "logical_xor", "isnan", "isfinite", "isinf"}


def is_contraction(node: Node) -> bool:
    """Whether the node sums or folds over labels."""
    return isinstance(node, Reduce) or (isinstance(node, Product) and node.is_core and not is_gather(node))


def must_push(node: Node) -> bool:
    """Whether a scatter may add two values at one position, so that it cannot be read element by element."""
    return isinstance(node, Product) and is_pattern(node) and not injective(node.out, dict(enumerate(node.extents)))


def is_costly(node: Node) -> bool:
    """Whether one element takes a division, a root or a transcendental function."""
    return isinstance(node, Map) and node.function.name not in CHEAP and not is_small_power(node)


def choose_stored(roots: Sequence[Node], passes: Passes, hints: Hints) -> dict[Node, str]:
    """The nodes that get a buffer, each with the reason."""
    order = topological(roots, children_read)
    stored = dict.fromkeys(roots, "an output")
    for node in passes.full:
        if not is_leaf(node):
            stored.setdefault(node, "another pass reads it, or another sample")
    users: dict[Node, list[Node]] = {}
    for node in order:
        for child in dict.fromkeys(children_read(node)):
            users.setdefault(child, []).append(node)
    # What takes a costly function to compute that is not stored.
    dear: set[Node] = set()
    for node in order:
        if is_leaf(node):
            continue
        if is_contraction(node) or must_push(node):
            stored.setdefault(node, "it sums" if not isinstance(node, Reduce) else "it folds")
        if isinstance(node, Apply):
            stored.setdefault(node, "a loop writes it")
            for arg in node.children:
                if not is_leaf(arg):
                    stored.setdefault(arg, "a loop reads it")
        if isinstance(node, Product):
            form = matrix_form(node, hints, passes.label.get(node))
            for operand in (form.A, form.B) if form is not None else ():
                if not isinstance(operand.node, Symbol):
                    stored.setdefault(operand.node, "an operand of a matrix product")
            for f, at in factors_read(node):
                if not is_leaf(f) and guarded(node, f, at):
                    stored.setdefault(f, "it is read under a range test")
        if is_pattern(node):
            continue
        if node.shape and is_costly(node):
            if len(users.get(node, ())) > 1:
                stored.setdefault(node, f"costly, and read at {len(users[node])} places")
            elif broadcast_up(node, users.get(node, ())):
                stored.setdefault(node, "costly, and read again along another axis")
        if node.shape and node not in stored and (is_costly(node) or any(child in dear for child in children_read(node))):
            dear.add(node)
            if node not in passes.sample and not is_spread(node) and read_by_samples(node, users, passes):
                stored[node] = "costly, and read again with every sample"
                dear.discard(node)
    share(order, stored, users, passes)
    # What is stored after all is so at full length where another pass or sample reads it.
    passes.full |= {node for node in passes.recomputed if node in stored}
    return stored


def guarded(node: Product, child: Node, at: tuple[Index, ...]) -> bool:
    """Whether a factor is read under a range test, so that only a load may stand there."""
    extents = dict(enumerate(node.extents))
    told = {s.label for s in solved_labels(node)}
    if any(label in told for index in at for label in labels_of(index)):
        return bool(child.shape)
    return any(not inside(index, child.shape[k], extents) for k, index in enumerate(at))


def is_view(node: Node) -> bool:
    """Whether the node only shows another one, broadcast or turned: not it but the other is worth storing."""
    return isinstance(node, Product) and not node.is_core and len(node.factors) == 1


def broadcast_up(node: Node, users: Sequence[Node]) -> bool:
    """Whether a user reads the node again for each value of another label."""
    return any(isinstance(user, Product) and len(user.extents) > node.ndim for user in users)


def read_by_samples(node: Node, users: Mapping[Node, Sequence[Node]], passes: Passes) -> bool:
    """Whether something that is computed sample by sample reads the node, maybe spread along the samples."""
    return any(user in passes.sample or (is_spread(user) and read_by_samples(user, users, passes)) for user in users.get(node, ()))


def is_spread(node: Node) -> bool:
    """Whether the node is the same along some axis: what it is made of is smaller."""
    return isinstance(node, Product) and not node.is_core and len({i for _, at in node.factors for index in at for i in labels_of(
        index)}) < len(node.extents)


def share(order: Sequence[Node], stored: dict[Node, str], users: dict[Node, list[Node]], passes: Passes) -> None:
    """Store array nodes of some size that several stored nodes would otherwise recompute each.

    What is read once in each of several passes is not worth it where it is little to compute from one array.
    """
    readers: dict[Node, set[Node]] = {}
    work: dict[Node, int] = {}
    for node in order:
        work[node] = 0 if is_leaf(node) else 1 + sum(0 if child in stored else work[child] for child in children_read(node))
        work[node] = min(work[node], 1 << 30)
    for node in reversed(order):
        found: set[Node] = set()
        for user in users.get(node, ()):
            found |= {user} if user in stored else readers.get(user, set())
            if len(found) > 8:
                break
        readers[node] = found
        if len(found) > 1 and work[node] >= COSTLY_OPERATIONS and node.shape and node not in stored and not (
                is_leaf(node) or is_pattern(node) or is_view(node)):
            if len({passes.level[reader] for reader in found}) == len(found) and is_little(node, stored, passes):
                continue
            stored[node] = f"{work[node]} operations that {len(found)} stored values share"


def is_little(node: Node, stored: Mapping[Node, str], passes: Passes) -> bool:
    """Whether a value of a sample is a few sums and products of one array of samples and what is the same for all of them."""
    arrays: set[Node] = set()
    operations, pending = 0, [node]
    while pending:
        part = pending.pop()
        if part in stored or is_leaf(part) or part not in passes.sample:
            if part in passes.sample:
                arrays.add(part)
            continue
        operations += 1
        if operations > LITTLE or is_costly(part) or is_contraction(part) or is_pattern(part):
            return False
        pending.extend(children_read(part))
    return node in passes.sample and len(arrays) <= 1
