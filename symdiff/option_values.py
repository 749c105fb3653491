"""Values of options: numbers in their range, switches and words, each refused with the option's name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from symdiff.errors import ArgumentMismatch, TypeMismatch


def check_number(name: str, value: Any, *, least: float | None = None, above: float | None = None,
                 below: float | None = None, whole: bool = False, optional: bool = False) -> None:
    """Raise `TypeMismatch` unless the option is a finite number, `ArgumentMismatch` unless it is in its range.

    The range is value ≥ `least`, > `above`, < `below`; `optional` lets None pass.

    >>> check_number("steps", -1, least=0, whole=True)
    Traceback (most recent call last):
    symdiff.errors.ArgumentMismatch: steps=-1 is not an integer of at least 0
    ...
    """
    if value is None and optional:
        return
    ranges = [f"of at least {least}" if least is not None else "", f"above {above}" if above is not None else "",
              f"below {below}" if below is not None else ""]
    wanted = f"{'an integer' if whole else 'a number'} {' and '.join(r for r in ranges if r)}".rstrip()
    mend = f"give {wanted}" + (", or leave it out" if optional else "")
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise TypeMismatch(f"{name}={value!r:.60} is not {wanted}", mend=mend)
    number: Any = value
    finite = isinstance(value, Integral) or math.isfinite(value)
    if not finite or (least is not None and number < least) or (above is not None and number <= above) or (
            below is not None and number >= below):
        raise ArgumentMismatch(f"{name}={value!r:.60} is not {wanted}", mend=mend)


def check_switch(name: str, value: Any, *, optional: bool = False) -> None:
    """Raise `TypeMismatch` unless the option is True or False (or None, where it is `optional`)."""
    if not isinstance(value, (bool, np.bool_)) and not (value is None and optional):
        raise TypeMismatch(f"{name}={value!r:.60} is neither True nor False", mend=f"give {name}=True or {name}=False")


def suggestion(value: Any, words: Iterable[str]) -> str:
    """Text for a mend: the word that may be meant."""
    near = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else []
    return f"did you mean {near[0]!r}? " if near else ""
