"""Formulas: expressions as text in matrix, index, LaTeX, ASCII and NumPy style.

Importing this package gives expressions their `str` and `repr`, and notebooks their LaTeX.
"""

from functools import partial

from symdiff.expression import METHODS, member
from symdiff.printing.formulas import brief, document, formula, latex, notebook_latex, text_of

METHODS["str"], METHODS["repr"] = text_of, brief
member("_repr_latex_", lambda node: partial(notebook_latex, node))

__all__ = ["brief", "document", "formula", "latex", "notebook_latex", "text_of"]
