"""Where the user wrote something, and values in plain words: the middle part of every error message."""

from __future__ import annotations

import os
import re
import sys
import threading
import unicodedata
from types import FrameType
from typing import Any

import numpy as np

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# NumPy is passed through on the way to the user: np.ones(n) asks n for its value.
# `<frozen runpy>` and its like start our command line: no line of the user's either.
PACKAGES = (*(os.path.join(HOME, name) + os.sep for name in ("symdiff", "codegen")), os.path.dirname(np.__file__) + os.sep,
            "<frozen ")
OURS: dict[str, bool] = {}
LONGEST = 60


class Caller(threading.local):
    """`file:line` of the user's call that runs in this thread, where a long one does (see `symdiff.long_calls`)."""

    line: str | None = None


CALLER = Caller()


def is_own(filename: str) -> bool:
    """Whether a source file is one of ours (or NumPy's), and not the user's."""
    own = OURS.get(filename)
    if own is None:
        own = OURS[filename] = filename.startswith(PACKAGES)
    return own


def user_line() -> str:
    """`file:line` of the nearest caller outside symdiff."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (OURS[name] if (name := frame.f_code.co_filename) in OURS else is_own(name)):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""


def spelled(name: str) -> str:
    """A name as Python spells it in the keywords of a call (NFKC; The Python Language Reference, 2.3).

    >>> spelled("\u03f5") == "\u03b5", spelled("w1")
    (True, 'w1')
    """
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def plain(value: Any) -> str:
    """A value that is no expression, in words of few letters: never the address of an object.

    >>> import numpy as np
    >>> plain(None), plain(np.ones((3, 4))), plain(v for v in ()), plain(int)
    ('None', 'an array of shape (3, 4)', 'a generator', 'the type int')
    """
    if isinstance(value, type):
        return f"the type {value.__name__}"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    if re.search(r" at 0x[0-9a-f]", text):
        name = type(value).__name__
        return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
