"""Numbers that the terms of a window have in common: whole multiples of the least of them, whatever kind of number they are."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from codegen.planning.common_windows import common, quotient
from symdiff.expression import Number


@pytest.mark.parametrize(("numbers", "least"), [
    ([0.6, -0.6], 0.6), ([0.2, -0.4, 0.2], 0.2), ([Fraction(1, 2), 3], Fraction(1, 2)), ([0.3, 0.5], 1), ([2, 3], 1), ([0, 0.5], 1),
    ([10**400, -3 * 10**400], 10**400), ([Fraction(10**400, 3), 0.5], 1), ([math.inf, 0.5], 1),
    ([math.inf, 10**400], 1), ([math.nan, 0.5], 1)])
def test_what_numbers_have_in_common(numbers: list[Number], least: Number) -> None:
    assert common(numbers) == least
    if least != 1:
        assert all(isinstance(quotient(c, least), int) and quotient(c, least) * least == c for c in numbers)
