"""The tables of scalar functions and reductions: one row, one function; importing this package fills them."""

from symdiff.functions import arithmetic, exponential, gaussian, logic, reductions, trigonometric
from symdiff.functions.row import REDUCTIONS, ROWS, ReduceRow, ScalarRow, define, define_reduction

__all__ = [
    "REDUCTIONS", "ROWS", "ReduceRow", "ScalarRow", "arithmetic", "define", "define_reduction", "exponential", "gaussian", "logic",
    "reductions", "trigonometric",
]
