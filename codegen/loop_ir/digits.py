"""Digits: what quotients and remainders of indices make when they stand together again."""

from __future__ import annotations

from typing import Any

from codegen.loop_ir.nodes import Quotient, Remainder
from symdiff.sizes import Size, combine, multiply


def put_together(terms: dict[Any, Size]) -> Size:
    """Put quotients and remainders of an index together again, c n (i / n) + c (i mod n) as c i; what the indices add is returned.

    So an axis that was taken apart, or several that were merged, are walked along as they lie.
    """
    constant: Size = 0
    for variable in [v for v in terms if isinstance(v, Remainder)]:
        scale = terms.get(variable, 0)
        whole = Quotient(variable.index, variable.divisor)
        if scale != 0 and terms.get(whole) == multiply(scale, variable.divisor):
            del terms[variable], terms[whole]
            constant = combine(((1, constant), (1, multiply(scale, variable.index.const))))
            for inner, c in variable.index.terms:
                terms[inner] = combine(((1, terms.get(inner, 0)), (1, multiply(scale, c))))
            return combine(((1, constant), (1, put_together(terms))))
    return constant
