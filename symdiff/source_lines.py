"""Where the user's program stands: the nearest line of code that is not ours."""

from __future__ import annotations

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# `<frozen runpy>` and its like start our command line: no line of the user's.
OWN = (*(os.path.join(HOME, name) + os.sep for name in ("symdiff", "codegen")), "<frozen ")


def user_line() -> str:
    """`file:line` of the nearest caller outside symdiff and codegen; empty where there is none.

    >>> user_line()
    '<doctest symdiff.source_lines.user_line[0]>:1'
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back  # type: ignore[assignment]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
