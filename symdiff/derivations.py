"""A loss with its gradient and Hessian as one set of formulas, shared parts named once."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import chain, count
from typing import Any

from symdiff.differentiation import grad, hessian
from symdiff.errors import TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.operators.coercion import as_node
from symdiff.printing import document, latex
from symdiff.provenance import plain, user_line
from symdiff.simplification import simplify
from symdiff.sizes import named_sizes
from symdiff.traversal import topological
from symdiff.trees import flatten

Tree = Any


class Derivation:
    """A loss, its gradient and (for order 2) its Hessian, with formulas as text, LaTeX and HTML."""

    def __init__(self, loss: Node, wrt: Tree, order: int = 2) -> None:
        self.loss = simplify(loss)
        self.wrt = wrt
        self.order = order
        self.gradient: Tree = grad(loss, wrt) if order else None
        self.hessian: Tree = hessian(loss, wrt) if order > 1 else None

    def rows(self, names: Sequence[str] = ()) -> list[tuple[str, str, Node]]:
        """(text label, LaTeX label, expression) of each formula; of a Hessian the blocks on and below the diagonal.

        `names` is the LaTeX of each symbol, where a document has shown them.
        """
        symbols = self.leaves(self.wrt)
        shown = names or [latex(s) for s in symbols]
        one, two = self.label()
        rows = [(one, two, self.loss)]
        if self.order:
            rows += [(f"∇{s.name} {one}", rf"\nabla_{{{name}}} {two}", g)
                     for s, name, g in zip(symbols, shown, self.leaves(self.gradient), strict=True)]
        if self.order > 1:
            blocks = self.leaves(self.hessian)
            for k, s in enumerate(symbols):
                for j, t in enumerate(symbols[:k + 1]):
                    text = f"∇²{s.name}" if s is t else f"∇{s.name}∇{t.name}"
                    below = rf"\nabla^2_{{{shown[k]}}}" if s is t else rf"\nabla_{{{shown[k]}}} \nabla_{{{shown[j]}}}"
                    rows.append((f"{text} {one}", f"{below} {two}", blocks[k * len(symbols) + j]))
        return rows

    def label(self) -> tuple[str, str]:
        """The name of the loss in text and LaTeX: L, or another one where a symbol or a size is called so."""
        nodes = topological([self.loss, *self.leaves(self.wrt)])
        taken = {node.name for node in nodes if isinstance(node, Symbol)}
        taken |= {name for node in nodes for size in node.shape for name in named_sizes(size)}
        names = chain([("L", "L"), ("F", "F"), ("J", "J")], ((f"L{k}", f"L_{{{k}}}") for k in count(1)))
        return next(pair for pair in names if pair[0] not in taken)

    def leaves(self, tree: Tree) -> list[Any]:
        """The expressions of a tree."""
        return flatten(tree, lambda v: isinstance(v, Node), "expression")[0]

    def __str__(self) -> str:
        rows = self.rows()
        formulas, where = document([node for _, _, node in rows])
        width = max(len(label) for label, _, _ in rows)
        lines = [f"{label:<{width}} = {text}" for (label, _, _), text in zip(rows, formulas, strict=True)]
        return "\n".join(lines + [f"{'  where ' if k == 0 else '        '}{line}" for k, line in enumerate(where)])

    __repr__ = __str__

    @property
    def latex(self) -> str:
        """The formulas as an aligned block of LaTeX."""
        nodes = [node for _, _, node in self.rows()]
        formulas, where = document([*nodes, *self.leaves(self.wrt)], "latex")
        rows = self.rows(formulas[len(nodes):])
        lines = [f"{label} &= {text}" for (_, label, _), text in zip(rows, formulas[:len(nodes)], strict=True)]
        where = [line.replace(" = ", " &= ", 1) for line in where]
        lines += [rf"\text{{where }} {line}" if k == 0 else line for k, line in enumerate(where)]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def _repr_html_(self) -> str:
        return f'<pre class="symdiff">{html.escape(str(self))}</pre>'


def derive_all(loss: Any, wrt: Tree, order: int = 2) -> Derivation:
    """The loss with its gradient and, for order 2, its Hessian; printing it shows shared parts once, in a where block.

    `wrt` is a symbol or a list, tuple or dict of symbols.  Raises `TypeMismatch` for an order other than 0, 1, 2.

    >>> import symdiff as sd
    >>> X, w, y = sd.symbol("X", ("n", "d")), sd.symbol("w", "d"), sd.symbol("y", "n")
    >>> print(derive_all(sd.sum((X @ w - y) ** 2) / 2, w))
    L     = ‖r‖² / 2
    ∇w L  = Xᵀ r
    ∇²w L = Xᵀ X
      where r = X w - y
    """
    if order not in (0, 1, 2):
        raise TypeMismatch(f"a derivation of order {plain(order)} is not known", where=user_line(), mend="use order 0, 1 or 2")
    return Derivation(as_node(loss), wrt, order)



