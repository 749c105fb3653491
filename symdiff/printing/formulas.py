"""What users call: the formula of an expression in a style, with a where block for shared parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from symdiff.errors import TypeMismatch
from symdiff.expression import Node
from symdiff.printing.numpy_source import numpy_function
from symdiff.printing.other_styles import AsciiStyle, LatexStyle
from symdiff.printing.style import MatrixStyle
from symdiff.printing.writer import Writer
from symdiff.provenance import plain, user_line
from symdiff.traversal import symbols_of
from symdiff.trees import flatten

STYLES: dict[str, Callable[[Sequence[str]], MatrixStyle]] = {
    "matrix": lambda names: MatrixStyle(), "index": lambda names: MatrixStyle(), "ascii": AsciiStyle, "latex": LatexStyle}
SHORT = 60
Tree = Any


def document(roots: Sequence[Node], style: str = "matrix") -> tuple[list[str], list[str]]:
    """The formulas of several expressions and the lines of the where block that they share."""
    writer = Writer(roots, STYLES[style]([s.name for s in symbols_of(roots)]), indices=style == "index")
    return [writer.text(root) for root in writer.roots], writer.where()


def with_where(text: str, where: Sequence[str]) -> str:
    """A formula with its where block below."""
    return text + "".join(f"\n  where {line}" if k == 0 else f"\n        {line}" for k, line in enumerate(where))


def formula(x: Tree, style: str = "matrix") -> str:
    """The formula of an expression as text.

    Styles: "matrix" (index form where no matrix form exists), "index", "latex", "ascii", and "numpy": the source of a
    function `f` of the symbols, in order of first appearance, that computes the expression (or the list, tuple or dict
    of expressions) with NumPy alone; a size that no symbol's shape tells is a last argument.  Raises `TypeMismatch` for
    another style.

    >>> import symdiff as sd
    >>> X, w, y = sd.symbol("X", ("n", "d")), sd.symbol("w", "d"), sd.symbol("y", "n")
    >>> loss = sd.sum((X @ w - y) ** 2)
    >>> print(formula(loss), "or", formula(loss, style="ascii"))
    ‖X w - y‖² or norm(X w - y)^2
    >>> print(formula(loss, style="numpy"))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def f(X, w, y):
        return np.sum((X @ w - y)**2)
    <BLANKLINE>
    """
    if style == "numpy":
        return numpy_source(x)
    if style not in STYLES:
        raise TypeMismatch(f"{plain(style)} is not a style of formulas", where=user_line(),
                           mend="use one of " + ", ".join([*STYLES, "numpy"]))
    if not isinstance(x, Node):
        raise TypeMismatch(f"{plain(x)} is not an expression", where=user_line(), mend="give one expression")
    (text,), where = document([x], style)
    return latex_where(text, where) if style == "latex" else with_where(text, where)


def numpy_source(x: Tree) -> str:
    """The source of a NumPy function for a tree of expressions; named tuples come back as plain ones.

    Raises `TypeMismatch` for keys of a dict that source cannot write.
    """
    leaves, _ = flatten(x, lambda v: isinstance(v, Node), "expression")
    return numpy_function(leaves, lambda texts: tree_text(x, iter(texts)))


def tree_text(tree: Tree, texts: Iterator[str]) -> str:
    """A tree as source, with the next text for each leaf."""
    if isinstance(tree, Node):
        return next(texts)
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{key_text(key)}: {tree_text(value, texts)}' for key, value in tree.items())}}}"
    items = ", ".join(tree_text(value, texts) for value in tree)
    if isinstance(tree, list):
        return f"[{items}]"
    return f"({items},)" if len(tree) == 1 else f"({items})"


def key_text(key: object) -> str:
    """A key of a dict as source."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(part is None or type(part) in (str, int, float, bool) for part in parts):
        raise TypeMismatch(f"{key!r:.40} cannot be a key in source", mend="use strings or numbers as keys")
    return repr(key)


def latex_where(text: str, where: Sequence[str]) -> str:
    """A formula and its where block in LaTeX."""
    if not where:
        return text
    lines = [(r"\text{where } " if k == 0 else r"\phantom{\text{where }} ") + line for k, line in enumerate(where)]
    body = r" \\ & ".join([text, *lines])
    return rf"\begin{{aligned}} & {body} \end{{aligned}}"


def latex(x: Node) -> str:
    r"""The formula of an expression in LaTeX.

    >>> import symdiff as sd
    >>> print(latex(sd.symbol("lam") * sd.sum(sd.symbol("w", "d") ** 2)))
    \lambda \left\|w\right\|^{2}
    """
    return formula(x, style="latex")


def notebook_latex(x: Node) -> str:
    """`_repr_latex_`."""
    return f"$\\displaystyle {latex(x)}$"


def text_of(node: Node) -> str:
    """`str(x)`: the formula in one line, and below it what its shared parts are."""
    (text,), where = document([node])
    return with_where(text, where)


def brief(node: Node) -> str:
    """`repr(x)`: the formula, shortened, with dtype and shape."""
    (text,), _ = document([node])
    return f"<{text if len(text) <= SHORT else text[:SHORT - 1] + '…'}: {node.type}>"
