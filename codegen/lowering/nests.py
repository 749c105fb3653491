"""Nests: the loops that compute one stored node into its buffer.

Three shapes: an element nest stores a value at every position; a fold nest reduces over loops, in a carried register where
the loops of the result are all outside, else into the buffer; a push nest adds at the positions of a diagonal or scatter.
Nests over samples of one tile share their sample loop, so what they have in common is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.loop_ir.folds import identity
from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Call,
    Carried,
    Fold,
    If,
    IndexValue,
    Inside,
    Let,
    Literal,
    MatMul,
    MatVec,
    Mirror,
    Panel,
    Register,
    Statement,
    Store,
    TileLoop,
    Update,
    Value,
)
from codegen.lowering.affine import placed, proved_inside, variable
from codegen.lowering.elements import Elements, guarded, is_masked
from codegen.lowering.scalars import cast, conjunction, literal, times
from codegen.lowering.scopes import At, Names, Scopes
from codegen.planning.materialisation import is_contraction
from codegen.planning.matrices import Group, MatrixForm, Operand, axes_of
from codegen.planning.passes import Passes, is_pattern
from codegen.planning.pulled_windows import pulled
from codegen.planning.windows import fills_axis
from symdiff.expression import Add, Node, Number, Product, Reduce
from symdiff.gathers import children_read, is_scatter, solved_labels
from symdiff.index_notation import injective, labels_of
from symdiff.sizes import Size, product


def fold_of(node: Node) -> Fold:
    """How the node folds: a core adds, a reduction as its row says."""
    return node.function.fold if isinstance(node, Reduce) else "add"  # type: ignore[return-value]


def use_counts(order: Sequence[Node]) -> dict[Node, int]:
    """How many places among the nodes read each node."""
    counts: dict[Node, int] = {}
    for node in order:
        for child in children_read(node):
            counts[child] = counts.get(child, 0) + 1
    return counts


class Nests:
    """Writes the statements of one section."""

    def __init__(self, passes: Passes, buffers: Mapping[Node, str], shared: Mapping[Node, int],
                 rows: int | None, names: Names, scopes: Scopes | None = None) -> None:
        self.passes, self.buffers, self.rows = passes, buffers, rows
        self.scopes = Scopes(names) if scopes is None else scopes
        self.elements = Elements(self.scopes, buffers, shared)
        self.tiled = rows is not None
        if self.tiled:
            self.scopes.chain.append(type(self.scopes.inner)())
        self.floor = len(self.scopes.chain)

    def statements(self) -> tuple[Statement, ...]:
        """The finished body of the section."""
        self.close_samples()
        if self.tiled:
            tile = self.scopes.chain.pop()
            if tile.body:
                start = self.scopes.names.fresh("s")
                self.scopes.inner.body.append(TileLoop(start, self.rows or 1, tuple(tile.body)))
        return tuple(self.scopes.inner.body)

    def open_samples(self) -> str:
        """The sample variable of the open sample loop, opened where there is none."""
        base = self.scopes.chain[1:]
        if len(base) > 1 and base[1].sample:
            return base[1].var
        assert self.passes.size is not None
        return self.scopes.open(self.passes.size, sample=True)

    def close_samples(self) -> None:
        """Close the sample loop, if one is open."""
        if self.tiled and len(self.scopes.chain) > 2:
            self.scopes.close()

    def open_loops(self, labels: Sequence[int], extents: Sequence[Size], sample: int | None) -> dict[int, Affine]:
        """Loops over labels, the sample label outermost; returns the index of each label."""
        found: dict[int, Affine] = {}
        if sample is not None and sample in labels:
            found[sample] = variable(self.open_samples())
        for label in labels:
            if label != sample:
                found[label] = Affine(0) if extents[label] == 1 else variable(self.scopes.open(extents[label]))
        return found

    def close_loops(self, down_to: int) -> None:
        """Close loops until the chain has the given length."""
        while len(self.scopes.chain) > down_to:
            self.scopes.close()

    def base_depth(self, sample: int | None) -> int:
        """The length of the chain below a nest: the sample loop stays open for the next one."""
        return self.floor + (sample is not None)

    def compute(self, node: Node, form: MatrixForm | None) -> None:
        """Write the nests of one stored node."""
        if form is not None:
            self.matrix(node, form)
        elif is_scatter(node):
            self.push(node, node, 1, fresh=node not in self.passes.folded)
        elif is_contraction(node):
            self.fold(node)
        elif isinstance(node, Add) and node.children[0] in self.passes.joint:
            for k, (c, term) in enumerate(node.terms):
                self.push(node, term, c, fresh=k == 0 and node not in self.passes.folded)  # type: ignore[arg-type]
        elif isinstance(node, Add) and any(is_pattern(term) and term not in self.buffers for _, term in node.terms):
            self.structured_sum(node)
        elif is_pattern(node):
            self.push(node, node, 1, fresh=True)  # type: ignore[arg-type]
        else:
            self.element(node, node)

    def element(self, node: Node, formula: Node | None) -> None:
        """buffer[i] = formula at i, for every position i (zero for no formula).

        A formula that is no child of the node is computed even where it is stored too: that may come later.
        """
        sample = self.passes.sample.get(node) if self.tiled else None
        loops = self.open_loops(self.elements.layouts.get(node, range(node.ndim)), node.shape, sample)
        at = tuple(loops[k] for k in range(node.ndim))
        value: Value = literal(0, node.dtype) if formula is None else \
            self.elements.value(formula, at, computing=all(formula is not child for child in node.children))
        if formula is node:
            self.store(node, at, value)
        else:
            # Patterns are added to it later: what is stored here is not its value yet.
            self.scopes.inner.body.append(Store(self.buffers[node], self.elements.index(node, at), value))
        self.close_loops(self.base_depth(sample))

    def copy(self, name: str, node: Node, before: At = ()) -> None:
        """name[before, i] = node[i] for a node that is stored already, or is a leaf."""
        loops = self.open_loops(range(node.ndim), node.shape, None)
        at = tuple(loops[k] for k in range(node.ndim))
        self.scopes.inner.body.append(Store(name, (*before, *at), self.elements.value(node, at)))
        self.close_loops(self.floor)

    def store(self, node: Node, at: At, value: Value) -> None:
        """buffer[at] = value; in a sample loop the value is named, so that the nests after need not load it again."""
        scope = self.scopes.inner
        if scope.sample and self.scopes.depth_of(at) == len(self.scopes.chain) - 1:
            if not isinstance(value, (Register, Literal)):
                register = self.scopes.names.fresh("v")
                scope.body.append(Let(register, node.dtype, value))
                value = Register(register)
            scope.known[node, at] = value
        scope.body.append(Store(self.buffers[node], self.elements.index(node, at), value))

    def structured_sum(self, node: Add) -> None:
        """A sum of patterns: the dense part at every position, then each pattern at its own (R11)."""
        dense = tuple(t for t in node.terms if not is_pattern(t[1]) or t[1] in self.buffers)
        formula: Node | None = None
        if len(dense) == 1 and dense[0][0] == 1 and dense[0][1].dtype == node.dtype:
            formula = dense[0][1]
        elif dense:
            formula = Add(dense, node.type)
        once = not dense and fills_axis(node)
        if not once:
            self.element(node, formula)
        for c, term in node.terms:
            if is_pattern(term) and term not in self.buffers:
                self.push(node, term, c, fresh=False, once=once)  # type: ignore[arg-type]

    def push(self, target: Node, node: Product, c: Number, fresh: bool, once: bool = False) -> None:
        """buffer[out(labels)] += c · Π factors, over the labels; a fresh buffer is zero before.

        Where each position is written `once`, nothing is added.
        """
        windows = None if once else pulled(node)
        # Samples in windows, and sums over samples, are added to by several tiles.
        if windows is not None and (not self.tiled or self.passes.label.get(node) in (None, *node.out)):
            self.pull(target, node, c, fresh, windows)
            return
        if fresh:
            self.element(target, None)
        over = target in self.passes.sample or target in self.passes.folded
        sample = self.passes.label.get(node) if self.tiled and over else None
        solved = {s.label: s for s in solved_labels(node)}
        # Positions are read in the outer loops, so that the inner ones walk along rows.
        telling = [label for s in solved.values() for index in s.at for label in labels_of(index)]
        order = dict.fromkeys([*telling, *range(len(node.extents))])
        labels = self.open_loops([k for k in order if k not in solved], node.extents, sample)
        for label, s in solved.items():
            labels[label] = self.elements.position(node.factors[s.position][0], s, labels)
        value, conditions = self.drive(node, labels)
        at = tuple(placed(index, labels) for index in node.out)
        tests = self.write_tests(at, target)
        rest = [c for c in conditions if c not in tests]
        if solved and not once:
            # Nothing is added where it is zero: many such additions may go to one position, each waiting for the one before.
            while is_masked(value):
                tests, value = [*tests, value.args[0]], value.args[1]
            tests, rest = [*tests, *rest], []
        value = guarded(value, rest, node.dtype)
        value = times(c, cast(value, node.dtype, target.dtype), target.dtype)
        once = once or (fresh and not solved and injective(node.out, dict(enumerate(node.extents))))
        name, place = self.buffers[target], self.elements.index(target, at)
        write: Statement = Store(name, place, value) if once else Accumulate("add", name, place, value)
        self.scopes.inner.body.append(If(conjunction(tests), (write,)) if tests else write)
        self.close_loops(self.base_depth(sample))

    def pull(self, target: Node, node: Product, c: Number, fresh: bool, windows: Product) -> None:
        """buffer[p] += c · Σ Π factors of the windows at p: what a pattern writes, summed for each position."""
        sample = self.passes.sample.get(target) if self.tiled else None
        places = self.open_loops(self.elements.layouts.get(target, range(target.ndim)), target.shape, sample)
        at = tuple(places[k] for k in range(target.ndim))
        first = len(self.scopes.chain)
        labels = dict(zip(windows.out, at, strict=True)) | self.open_loops(windows.summed, windows.extents, None)
        value, conditions = self.drive(windows, labels)  # type: ignore[arg-type]
        value = guarded(value, list(dict.fromkeys(conditions)), node.dtype)
        if len(self.scopes.chain) > first:
            register = self.scopes.names.fresh("r")
            self.scopes.chain[first].carried.append(Carried(register, node.dtype, identity("add", node.dtype)))
            self.scopes.inner.body.append(Update("add", register, value))
            self.close_loops(first)
            value = Register(register)
        value = times(c, cast(times(node.coefficient, value, node.dtype), node.dtype, target.dtype), target.dtype)
        name, place = self.buffers[target], self.elements.index(target, at)
        self.scopes.inner.body.append(Store(name, place, value) if fresh else Accumulate("add", name, place, value))
        self.close_loops(self.base_depth(sample))

    def write_tests(self, at: At, target: Node) -> list[Value]:
        """Conditions under which a position is inside the buffer."""
        sizes = self.scopes.sizes
        return [Inside(index, target.shape[k]) for k, index in enumerate(at) if not proved_inside(index, target.shape[k], sizes)]

    def drive(self, node: Product, labels: dict[int, Affine]) -> tuple[Value, list[Value]]:
        """The product of the factors at given labels, and its conditions."""
        return self.elements.drive(self.elements.factors_rule(node, labels, [], True))

    def fold(self, node: Node) -> None:
        """A reduction over labels."""
        if isinstance(node, Reduce):
            if node.function.fold in ("argmax", "argmin"):
                self.position(node)
                return
            extents: Sequence[Size] = node.arg.shape
            kept = [a for a in range(node.arg.ndim) if a not in node.axes]
            summed = list(node.axes)
            axis = self.passes.sample.get(node.arg)
            sample = axis if self.tiled and (node in self.passes.folded or node in self.passes.sample) else None
        else:
            assert isinstance(node, Product)
            extents = node.extents
            kept = list(node.out)  # type: ignore[arg-type]
            summed = list(node.summed)
            sample = self.passes.label.get(node) if self.tiled else None
        fold = fold_of(node)
        over_samples = sample in summed if sample is not None else False
        base = self.base_depth(sample)
        labels: dict[int, Affine] = {}
        if over_samples:
            labels.update(self.open_loops([sample], extents, sample))  # type: ignore[list-item]
        lying = [kept[k] for k in self.elements.layouts.get(node, range(len(kept)))]
        labels.update(self.open_loops([k for k in lying if k not in labels], extents, sample))
        at = tuple(labels[k] for k in kept)
        rest = [k for k in summed if k not in labels]
        register: str | None = None
        first = len(self.scopes.chain)
        if rest:
            labels.update(self.open_loops(rest, extents, sample))
        looped = len(self.scopes.chain) > first
        value = self.folded_value(node, labels)
        if over_samples and not kept:
            # One number over all samples: it lives in a register of the sample loop and is added once a tile.
            around = next(scope for scope in self.scopes.chain if scope.sample)
            register = self.scopes.names.fresh("r")
            around.carried.append(Carried(register, node.dtype, identity(fold, node.dtype)))
            around.after.append(Accumulate(fold, self.buffers[node], (), Register(register)))
            self.scopes.inner.body.append(Update(fold, register, value))
            self.close_loops(base)
            return
        if looped:
            register = self.scopes.names.fresh("r")
            self.scopes.chain[first].carried.append(Carried(register, node.dtype, identity(fold, node.dtype)))
            self.scopes.inner.body.append(Update(fold, register, value))
            self.close_loops(first)
            value = Register(register)
        if over_samples:
            self.scopes.inner.body.append(Accumulate(fold, self.buffers[node], self.elements.index(node, at), value))
        else:
            self.store(node, at, value)
        self.close_loops(base)

    def folded_value(self, node: Node, labels: dict[int, Affine]) -> Value:
        """What is folded, at given labels."""
        if isinstance(node, Reduce):
            at = tuple(labels[k] for k in range(node.arg.ndim))
            return cast(self.elements.value(node.arg, at), node.arg.dtype, node.dtype)
        assert isinstance(node, Product)
        value, conditions = self.drive(node, labels)
        return guarded(value, conditions, node.dtype)

    def position(self, node: Reduce) -> None:
        """argmax or argmin: the first position of the extreme, NaN counting as extreme; axes count in row-major order."""
        word = "greater" if node.function.fold == "argmax" else "less"
        dtype = node.arg.dtype
        sample = self.passes.sample.get(node.arg) if self.tiled and node in self.passes.sample else None
        base = self.base_depth(sample)
        kept = [a for a in range(node.arg.ndim) if a not in node.axes]
        labels = self.open_loops(kept, node.arg.shape, sample)
        at = tuple(labels[k] for k in kept)
        best, place = self.scopes.names.fresh("r"), self.scopes.names.fresh("r")
        first = len(self.scopes.chain)
        for axis in node.axes:
            labels[axis] = variable(self.scopes.open(node.arg.shape[axis]))
        start = identity("max" if word == "greater" else "min", dtype)
        self.scopes.chain[first].carried += [Carried(best, dtype, start), Carried(place, "int64", Literal(-1, "int64"))]
        flat = Affine(0)
        for axis in node.axes:
            size = node.arg.shape[axis]
            flat = Affine(flat.const, tuple((var, c * size) for var, c in flat.terms) + labels[axis].terms)
        value = self.elements.value(node.arg, tuple(labels[k] for k in range(node.arg.ndim)))
        register = self.scopes.names.fresh("v")
        self.scopes.inner.body.append(Let(register, dtype, value))
        value = Register(register)
        better: Value = Call(word, (value, Register(best)), "bool")
        if dtype in ("float64", "float32"):
            nan = Call("logical_and", (Call("isnan", (value,), "bool"),
                                       Call("logical_not", (Call("isnan", (Register(best),), "bool"),), "bool")), "bool")
            better = Call("logical_or", (better, nan), "bool")
        unset = Call("equal", (Register(place), Literal(-1, "int64")), "bool")
        better = Call("logical_or", (better, unset), "bool")
        self.scopes.inner.body.append(If(better, (Assign(best, value), Assign(place, IndexValue(flat, "int64")))))
        self.close_loops(first)
        where = self.elements.index(node, at)
        self.scopes.inner.body.append(Store(self.buffers[node], where, cast(Register(place), "int64", node.dtype)))
        self.close_loops(base)

    def matrix(self, node: Node, form: MatrixForm) -> None:
        """A matrix product over whole tiles (or whole arrays), batch labels looped over around it."""
        assert isinstance(node, Product)
        sample = self.passes.label.get(node) if self.tiled else None
        beta = 1.0 if node in self.passes.folded and self.tiled else 0.0
        if beta == 0 and any(label in node.summed for label in form.batch):
            self.element(node, None)
            beta = 1.0
        if sample is not None and sample in form.batch:
            loops = self.open_loops(form.batch, node.extents, sample)
            base = self.base_depth(sample)
        else:
            self.close_samples()
            loops = self.open_loops(form.batch, node.extents, None)
            base = self.floor

        def extent(labels: Sequence[int]) -> Size | None:
            return None if sample in labels else product(tuple(node.extents[label] for label in labels))

        values = {label: loops.get(label, Affine(0)) for label in range(len(node.extents))}

        def panel(operand: Operand, rows: Group, columns: Group) -> Panel:
            lying = operand.lying(self.elements.layouts)
            index = self.elements.index(operand.node, tuple(placed(i, values) for i in operand.at))
            before = len(index) - len(lying.at)
            spans = [axes_of(rows, columns, lying), axes_of(columns, rows, lying)]
            (row, row_axes), (column, column_axes) = [(before + s[-1], len(s)) if s else (None, 1) for s in spans]
            return Panel(self.buffers[operand.node], index, row or 0, column, row_axes, column_axes)
        result = Operand(node, node.out)
        a = panel(form.A, form.rows, form.inner)
        if not form.columns:
            b, c = panel(form.B, form.inner, ()), panel(result, form.rows, ())
            leads = a.row_axis < (a.column_axis or 0)
            self.scopes.inner.body.append(MatVec("dot" if leads else "axpy", a, b, c, extent(form.rows), extent(form.inner), beta))
        else:
            b = panel(form.B, form.inner, form.columns)
            c = panel(result, form.rows, form.columns)
            self.scopes.inner.body.append(MatMul(a, b, c, extent(form.rows), extent(form.columns), extent(form.inner), 1.0, beta,
                                                 "symmetric" if form.symmetric else "gemm"))
        self.close_loops(base)
        if form.symmetric and node not in self.passes.folded:
            self.scopes.inner.body.append(Mirror(self.buffers[node], len(form.rows)))
