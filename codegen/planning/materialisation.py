"""Materialisation: which nodes are stored; all others are recomputed where they are read.

Stored are outputs, contractions and reductions, scatters, operands of matrix products, what another pass or sample needs,
costly nodes that are used at several places or broadcast up, what is read at several positions, such as by a stencil, and sums
that several stored nodes share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from codegen.planning.costs import Hints
from codegen.planning.matrices import matrix_form, unordered_operands
from codegen.planning.passes import (
    Passes,
    is_function_of_leaves,
    is_leaf,
    is_made_of_numbers,
    is_of_numbers,
    is_pattern,
    is_small_power,
)
from codegen.planning.pulled_windows import as_read
from symdiff.expression import Add, Apply, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import children_read, factors_read, is_gather, solved_labels
from symdiff.index_notation import Index, injective, inside, labels_of
from symdiff.normal_form.numbers import base_and_exponent
from symdiff.sizes import Size

Position = tuple[tuple[tuple[Index, ...], tuple[Size, ...]], ...]
COSTLY_OPERATIONS = 4
# An array is stored where so many times as many elements are read as it has.
REREAD = 1.5
# No more are looked for.
MOST_POSITIONS = 8
# Fewer operations on arrays that are there are done again at each position.
AGAIN_OF_LEAVES = 8
# Operations that are done again in another pass rather than that their result is stored and loaded.
LITTLE = 6
CHEAP = {"abs", "sign", "minimum", "maximum", "floor", "ceil", "trunc", "round", "where", "guard", "number", "as_integer",
         "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not",
         "logical_xor", "isnan", "isfinite", "isinf"}

# Functions that jump: what they read must be right to the last digit where the result is a whole number, as 49 / 49 is.
STEPS = {"floor", "ceil", "trunc", "round", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "as_integer"}


def is_contraction(node: Node) -> bool:
    """Whether the node sums or folds over labels."""
    return isinstance(node, Reduce) or (isinstance(node, Product) and node.is_core and not is_gather(node))


def must_push(node: Node) -> bool:
    """Whether a scatter may add two values at one position, so that it cannot be read element by element."""
    return isinstance(node, Product) and is_pattern(node) and not injective(node.out, dict(enumerate(node.extents)))


def is_costly(node: Node) -> bool:
    """Whether one element takes a division, a root or a transcendental function."""
    return isinstance(node, Map) and node.function.name not in CHEAP and not is_small_power(node)


def operations(
        node: Node, reads: Callable[[Node], Mapping[Node, int]], stored: Mapping[Node, str], work: Mapping[Node, int]) -> int:
    """How many sums and products an element takes with all that is not stored, read so many times; what is spread counts as one."""
    if is_leaf(node):
        return 0
    if not node.shape:
        return 1  # it is read once, in whatever is made of it
    below = [count * (work[child] if child.ndim >= node.ndim else min(work[child], 1)) for child, count in reads(node).items()
             if child not in stored]
    return min((COSTLY_OPERATIONS if is_costly(node) else 1) + sum(below), 1 << 30)


def choose_stored(roots: Sequence[Node], order: Sequence[Node], passes: Passes, hints: Hints) -> dict[Node, str]:
    """The nodes that get a buffer, each with the reason; `order` has all under the roots, what is read first."""
    stored = dict.fromkeys(roots, "an output")
    for node in passes.full:
        if not is_leaf(node):
            stored.setdefault(node, "another pass reads it, or another sample")
    if all([is_leaf(node) or is_function_of_leaves(node) or (is_made_of_numbers(node) and not must_push(node)) for node in order]):
        return stored
    users: dict[Node, list[Node]] = {}
    for node in order:
        for child in dict.fromkeys(children_read(node)):
            users.setdefault(child, []).append(node)
    # What takes a costly function to compute that is not stored.
    dear: set[Node] = set()
    divisors = exact_divisors(order)
    for node in order:
        if is_leaf(node) or is_of_numbers(node):
            continue
        if isinstance(node, Add) and node.children[0] in passes.joint:
            stored.setdefault(node, "it sums")
        if node not in passes.joint and (is_contraction(node) or must_push(node)):
            stored.setdefault(node, "it sums" if not isinstance(node, Reduce) else "it folds")
        if isinstance(node, Apply):
            stored.setdefault(node, "a loop writes it")
            for arg in node.children:
                if not is_leaf(arg):
                    stored.setdefault(arg, "a loop reads it")
        if isinstance(node, Product):
            form = matrix_form(node, hints, passes.label.get(node))
            for f in (form.A.node, form.B.node) if form is not None else unordered_operands(node, hints):
                if not isinstance(f, Symbol):
                    stored.setdefault(f, "an operand of a matrix product")
            windows = as_read(node)
            for f, at in factors_read(windows):
                if not is_leaf(f) and guarded(windows, f, at):
                    stored.setdefault(f, "it is read under a range test")
        if is_pattern(node) or node in divisors:
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
            elif not is_spread(node) and broadcast_up(node, users.get(node, ())):
                stored[node] = "costly, and read again along another axis"
                dear.discard(node)
    if any(node.shape and not is_leaf(node) for node in order):
        store_windows(order, stored, users, hints, divisors)
        share(order, stored, users, passes, divisors)
    # What is stored after all is so at full length where another pass or sample reads it.
    passes.full |= {node for node in passes.recomputed if node in stored}
    return stored


def exact_divisors(order: Sequence[Node]) -> set[Node]:
    """Inverses 1 / y in quotients x / y that a function reads which jumps: x · (1 / y) may miss a whole number that x / y meets."""
    found: set[Node] = set()
    seen: set[Node] = set()
    pending = [arg for node in order if isinstance(node, Map) and node.function.name in STEPS for arg in node.args]
    while pending:
        node = pending.pop()
        if node in seen or is_leaf(node) or is_contraction(node):
            continue
        seen.add(node)
        if isinstance(node, Product):
            found.update([f for f, _ in node.factors if base_and_exponent(f)[1] == -1])
        pending.extend(node.children)
    return found


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


def store_windows(order: Sequence[Node], stored: dict[Node, str], users: Mapping[Node, Sequence[Node]], hints: Hints,
                  divisors: set[Node]) -> None:
    """Store array nodes of some operations whose elements are read at several positions: x[i - 1] + x[i + 1].

    What is not stored is computed at each, so that a few stencils in a row would take exponential time.
    """
    work: dict[Node, int] = {}
    for node in order:
        work[node] = operations(node, lambda node: Counter([child for child, _, _ in readings(node)]), stored, work)
        if work[node] < least_work(node) or not node.shape or node in stored or is_pattern(node) or is_view(node) or (
                node in divisors):
            continue
        read = sum([hints.count(sizes) for sizes in positions(node, users).values()])
        if read >= REREAD * hints.count(node.shape):
            stored[node] = f"{work[node]} operations, and read at several positions"


def least_work(node: Node) -> int:
    """The operations of which a value is worth storing that is read at several places."""
    parts = [part for child in node.children for part in (child.children or (child,))]
    return AGAIN_OF_LEAVES if all(map(is_leaf, parts)) else COSTLY_OPERATIONS


def readings(node: Node) -> list[tuple[Node, tuple[Index, ...], tuple[Size, ...]]]:
    """What a node reads, once for each position: the child, its indices, and how far their labels go."""
    if isinstance(node, Product):
        node = as_read(node)
        return [(f, at, node.extents) for f, at in dict.fromkeys(factors_read(node))]
    return [(child, tuple(range(child.ndim)), child.shape) for child in dict.fromkeys(children_read(node))]


def positions(node: Node, users: Mapping[Node, Sequence[Node]]) -> dict[Position, tuple[Size, ...]]:
    """The positions at which a node is read, also through views of it: indices, each with the sizes of what reads there."""
    found: dict[Position, tuple[Size, ...]] = {}
    pending: list[tuple[Node, Position]] = [(node, ())]
    while pending:
        seen, way = pending.pop()
        here = tuple(range(seen.ndim)), seen.shape
        for user in users.get(seen, ()):
            for at, extents in [(at, extents) for child, at, extents in readings(user) if child is seen]:
                position = way if (at, extents) == here else (*way, (at, extents))
                if is_view(user) and len(found) < MOST_POSITIONS:
                    pending.append((user, position))
                else:
                    found[position] = tuple([extents[label] for label in {i for index in at for i in labels_of(index)}])
    return found


def share(order: Sequence[Node], stored: dict[Node, str], users: dict[Node, list[Node]], passes: Passes,
          divisors: set[Node]) -> None:
    """Store array nodes of some size that several stored nodes would otherwise recompute each.

    What is read once in each of several passes is not worth it where it is little to compute from one array, or, in two passes,
    from two: to store it and load it moves no less.
    """
    readers: dict[Node, set[Node]] = {}
    work: dict[Node, int] = {}
    for node in order:
        work[node] = operations(node, lambda node: dict.fromkeys(children_read(node), 1), stored, work)
    for node in reversed(order):
        found: set[Node] = set()
        for user in users.get(node, ()):
            found |= {user} if user in stored else readers.get(user, set())
            if len(found) > 8:
                break
        readers[node] = found
        if len(found) > 1 and work[node] >= least_work(node) and node.shape and node not in stored and not (
                is_leaf(node) or is_pattern(node) or is_view(node) or node in divisors):
            if len({passes.level[reader] for reader in found}) == len(found) and is_little(
                    node, stored, passes, 2 if len(found) == 2 else 1):
                continue
            stored[node] = f"{work[node]} operations that {len(found)} stored values share"


def is_little(node: Node, stored: Mapping[Node, str], passes: Passes, most: int) -> bool:
    """Whether a value of a sample is a few sums and products of so many arrays of samples and what is the same for all of them."""
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
    return node in passes.sample and len(arrays) <= most
