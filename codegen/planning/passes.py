"""Passes over the data: the sample axis, and in which pass each node is computed.

A node is *per sample* where one of its axes is the sample axis and its value at a sample needs only that sample's values;
it is then computed tile by tile.  A sum over the sample axis is complete one pass later.  So value, gradient and Hessian of
a sum over samples take one pass, and what needs a finished sum (a mean, a softmax over samples) takes the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from msgspec import Struct, field

from codegen.loop_ir.dtypes import BYTES
from codegen.planning.costs import Hints
from symdiff.expression import Add, Apply, Constant, Map, Node, Product, Reduce, Symbol
from symdiff.gathers import children_read, factors_read, is_scatter, solved_labels
from symdiff.index_notation import labels_in, labels_of
from symdiff.normal_form import number_of
from symdiff.sizes import Size
from symdiff.traversal import topological

# Shorter axes than this are sample axes where arrays along them are larger than what the cache holds as a whole.
SMALLEST_SAMPLE_AXIS, WHOLE_BYTES = 64, 4 * 1024 * 1024
# Operations on leaves that are done again rather than stored for another pass.
FEW_OPERATIONS = 3
FOLDS = ("add", "max", "min", "mul")


class Passes(Struct):
    """Where each node is computed.

    `sample` gives the sample axis of per-sample nodes, `label` the label of a Product that runs over samples, `level` the
    pass (a per-sample node in its range section, others before it), `ready` the first pass that can use the finished
    value, `full` the nodes that must be stored at full length because a later pass or another sample reads them.
    """

    size: Size | None
    sample: dict[Node, int] = field(default_factory=dict)
    label: dict[Node, int] = field(default_factory=dict)
    folded: set[Node] = field(default_factory=set)
    level: dict[Node, int] = field(default_factory=dict)
    ready: dict[Node, int] = field(default_factory=dict)
    full: set[Node] = field(default_factory=set)
    # Nodes that another pass or sample computes again, rather than that they are stored at full length.
    recomputed: set[Node] = field(default_factory=set)
    # Nodes with a sample axis of which each sample needs all.
    across: set[Node] = field(default_factory=set)
    # Scatters that are added up in the table of the sum that alone reads them.
    joint: set[Node] = field(default_factory=set)

    def has_samples(self, node: Node) -> bool:
        """Whether the node is computed sample by sample, or adds up samples."""
        return node in self.sample or node in self.folded or (node in self.joint and node in self.label)

    @property
    def count(self) -> int:
        """The number of passes."""
        return 1 + max((self.level[n] for n in self.level if n in self.sample or n in self.folded), default=-1)


def is_leaf(node: Node) -> bool:
    """Whether the value is there from the start, at every index."""
    return isinstance(node, (Symbol, Constant)) or number_of(node) is not None


def is_of_numbers(node: Node) -> bool:
    """Whether the node is a number that is computed of numbers and elements of leaves: it lives in a register."""
    if node.type.shape:
        return False
    kind = node.__class__
    if kind is Product:
        p: Product = node  # type: ignore[assignment]
        return not p.extents and all([not at or is_leaf(f) for f, at in p.factors])
    return kind is Map or kind is Add


def are_numbers(roots: Sequence[Node]) -> bool:
    """Whether the roots are numbers, computed of such, or at places of arrays: there is nothing to put in order along any axis."""
    return all(is_leaf(node) or is_function_of_leaves(node) or is_made_of_numbers(node) for node in topological(roots))


def is_made_of_numbers(node: Node) -> bool:
    """Whether the node is a number, or an array with numbers at its places, computed of numbers and elements at given places.

    The gradient of a function of a few elements is a sum of such arrays.
    """
    if isinstance(node, Product):
        return not node.is_core and all([not at or ((is_leaf(f) or is_function_of_leaves(f)) and not labels_in(at))
                                         for f, at in node.factors])
    if node.type.shape:
        return isinstance(node, Add) and all([isinstance(term, Product) and is_made_of_numbers(term) for term in node.children])
    return isinstance(node, (Map, Add))


def is_function_of_leaves(node: Node) -> bool:
    """Whether the node is a function of leaves, element by element."""
    return isinstance(node, Map) and all(map(is_leaf, node.args))


def reads_leaves(node: Node) -> bool:
    """Whether the node is a view of leaves, such as a transpose: it is read where it is needed, at any sample, and never stored."""
    return isinstance(node, Product) and node.dense and not node.narrows and all(is_leaf(f) for f in node.children)


def is_cheap(node: Node) -> bool:
    """Whether the node is a few sums and products of leaves or parts of them, by element: to store and load it takes longer."""
    pending, operations = [node], 0
    while pending:
        part = pending.pop()
        if is_leaf(part):
            continue
        plain = isinstance(part, Add) or (isinstance(part, Product) and not part.is_core) or (
            isinstance(part, Map) and is_small_power(part))
        operations += 1
        if not plain or operations > FEW_OPERATIONS:
            return False
        pending.extend(part.children)
    return True


def is_small_power(node: Map) -> bool:
    """Whether the node is x² or x³."""
    from_number = node.args[1] if node.function.name == "power" else None
    return from_number is not None and isinstance(from_number, Product) and from_number.coefficient in (2, 3) \
        and not from_number.factors


def is_pattern(node: Node) -> bool:
    """Whether the node is a structural product that is not written at every position once."""
    return isinstance(node, Product) and not node.is_core and bool(node.extents or node.out) and (
        node.out != tuple(range(len(node.extents))) or node.extents != node.shape)


def sample_sizes(order: Sequence[Node], hints: Hints) -> list[Size | None]:
    """The sizes along which the data may be cut, and None where it need not be.

    A symbolic axis may be long at the next call, however short it is at this one.
    """
    walked = walked_axes(order)
    found: dict[Size | None, None] = {}
    short = {node.shape[0] for node in order if isinstance(node, Symbol) and node.ndim > 2}
    large = {node.shape[0] for node in order if node.ndim > 2 and node.shape[0] in short and not isinstance(node, Symbol)
             and hints.count(node.shape) * BYTES[node.dtype] >= WHOLE_BYTES} if short else set()
    for node in order:
        if isinstance(node, Symbol):
            for axis, size in enumerate(node.shape):
                if (node, axis) in walked and (not isinstance(size, int) or size >= SMALLEST_SAMPLE_AXIS or (
                        axis == 0 and size > 1 and size in large)):
                    found[size] = None
    if all(isinstance(size, int) for size in found):
        found[None] = None
    return list(found)


def walked_axes(order: Sequence[Node]) -> set[tuple[Node, int]]:
    """The axes of symbols along which more is read than what an index tells."""
    found: set[tuple[Node, int]] = set()
    for node in order:
        if is_of_numbers(node):
            continue
        if isinstance(node, Product):
            told = {s.label for s in solved_labels(node)}
            found |= {(f, axis) for f, at in factors_read(node) for axis, i in enumerate(at) if not told.intersection(labels_of(i))}
        else:
            found |= {(child, axis) for child in node.children for axis in range(child.ndim)}
    return found


def joint_terms(order: Sequence[Node], roots: Sequence[Node]) -> set[Node]:
    """The scatters that one sum alone reads, which has no other terms."""
    sums = [node for node in order if isinstance(node, Add) and all(map(is_scatter, node.children))]
    if not sums:
        return set()
    users = Counter(child for node in order for child in children_read(node))
    users.update(roots)
    return {term for node in sums if all([users[t] == 1 for t in node.children]) for term in node.children}


def placed(order: Sequence[Node], size: Size | None, joint: Collection[Node] = ()) -> Passes:
    """The passes with samples along axes of a size."""
    passes = Passes(size, joint=set(joint))
    if size is None:  # there are no samples: all is computed once, before any pass
        passes.level, passes.ready = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
        return passes
    for node in order:
        place(node, passes)
    return passes


def place(node: Node, passes: Passes) -> None:
    """Sample axis, level and readiness of one node, from those of its children."""
    if is_leaf(node):
        if isinstance(node, Symbol) and passes.size is not None and passes.size in node.shape:
            passes.sample[node] = node.shape.index(passes.size)
        passes.level[node] = passes.ready[node] = 0
        return
    aligned: list[Node] = []
    others: list[Node] = []
    axis: int | None = None
    if isinstance(node, (Map, Add)):
        axes = [passes.sample[c] for c in node.children if c in passes.sample]
        axis = axes[0] if axes else None
        if isinstance(node, Add) and axis is not None and any(
                is_pattern(c) and passes.sample.get(c) != axis and not is_at_samples(c, axis, passes) for c in node.children):
            # A pattern is added at its own positions, which must be those of the sample at hand.
            axis = None
        for child in node.children:
            (aligned if axis is not None and passes.sample.get(child) == axis else others).append(child)
        if node.children[0] in passes.joint and folds_jointly(node, passes):
            axis, aligned, others = None, list(node.children), []
    elif isinstance(node, Apply):
        others = list(node.children)
    elif isinstance(node, Reduce):
        axis, aligned, others = place_reduction(node, passes)
    else:
        assert isinstance(node, Product)
        axis, aligned, others = place_product(node, passes)
    level = 0
    for child in aligned:
        level = max(level, passes.level[child])
    for child in others:
        if child in passes.sample and not is_leaf(child) and not reads_leaves(child):
            (passes.recomputed if is_cheap(child) else passes.full).add(child)
            level = max(level, passes.level[child] + 1)
        else:
            level = max(level, passes.ready[child])
    if axis is not None:
        passes.sample[node] = axis
    passes.level[node] = level
    passes.ready[node] = level + 1 if axis is not None or node in passes.folded else level


def is_at_samples(node: Node, axis: int, passes: Passes) -> bool:
    """Whether a pattern that tells nothing of samples is the same for all of them, and written at each; notes their label."""
    if not isinstance(node, Product) or any(part in passes.sample or part in passes.joint for part in (node, *node.children)):
        return False
    label = node.out[axis]
    if type(label) is not int or node.extents[label] != passes.size or node.shape[axis] != passes.size or any(
            s.label == label for s in solved_labels(node)) or sum(label in labels_of(index) for index in node.out) > 1:
        return False
    return passes.label.setdefault(node, label) == label


def folds_jointly(node: Node, passes: Passes) -> bool:
    """Whether a sum of scatters is itself folded over samples, in one pass; where terms differ, each has a table."""
    terms = node.children
    if len({(t in passes.folded, passes.sample.get(t), passes.level[t]) for t in terms}) > 1:
        passes.joint.difference_update(terms)
        return False
    if terms[0] not in passes.folded:
        return False
    passes.folded.difference_update(terms)
    passes.folded.add(node)
    return True


def place_reduction(node: Reduce, passes: Passes) -> tuple[int | None, list[Node], list[Node]]:
    """(sample axis, aligned children, others) of a reduction."""
    a = passes.sample.get(node.arg)
    if a is None:
        return None, [], [node.arg]
    if a not in node.axes:
        return a - sum(1 for other in node.axes if other < a), [node.arg], []
    if node.function.fold in FOLDS:
        passes.folded.add(node)
        return None, [node.arg], []
    return None, [], [node.arg]


def place_product(node: Product, passes: Passes) -> tuple[int | None, list[Node], list[Node]]:
    """(sample axis, aligned children, others) of a product; notes the label that runs over samples."""
    factors = factors_read(node)
    told = {s.label for s in solved_labels(node)}
    candidates = [at[passes.sample[f]] for f, at in factors if f in passes.sample]
    labels = [label for label in candidates if type(label) is int and node.extents[label] == passes.size and label not in told]
    plain = {index for axis, index in enumerate(node.out) if type(index) is int and node.shape[axis] == passes.size}
    kept = [label for label in labels if label in plain]
    summed = [label for label in labels if label in node.summed]
    label = kept[0] if kept else summed[0] if summed else None
    if label is None:
        return None, [], [f for f, _ in factors]
    passes.label[node] = label
    aligned = [f for f, at in factors if f in passes.sample and at[passes.sample[f]] == label]
    # A factor that is read twice, once at the sample and once elsewhere, is needed in full.
    elsewhere = [f for f, at in factors if f not in passes.sample or at[passes.sample[f]] != label]
    passes.across.update(f for f, at in factors if f in passes.sample and label not in labels_of(at[passes.sample[f]]))
    if label in kept:
        # A diagonal beside other rows has the label at two axes, of which one is longer.
        axis = next(k for k, index in enumerate(node.out) if index == label and node.shape[k] == passes.size)
        return axis, aligned, elsewhere
    passes.folded.add(node)
    return None, aligned, elsewhere
