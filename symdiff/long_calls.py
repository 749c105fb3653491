"""Calls that build a great many nodes: Python's garbage collector waits, and the user's line is looked for once.

Nodes hold no circles: they die by their reference counts, and a collector that walks over all of them again and again
while a large expression is differentiated or compiled takes a fifth of the time and finds nothing.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from symdiff.provenance import CALLER, user_line

# So many new objects take the collector some milliseconds.
MANY = 20_000

Function = TypeVar("Function", bound=Callable[..., Any])


class Pause:
    """How many calls, in any threads, have asked the collector to wait, and whether it ran before the first."""

    lock = threading.Lock()
    asked = 0
    ran = False


def long_call(function: Function) -> Function:
    """The function, while which runs the collector waits (it stays off where it was off before) and nodes are the caller's.

    >>> import gc
    >>> long_call(gc.isenabled)(), gc.isenabled()
    (False, True)
    """
    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        outer = CALLER.line
        if outer is None:
            CALLER.line = user_line()
        with Pause.lock:
            if Pause.asked == 0:
                Pause.ran = gc.isenabled()
                gc.disable()
            Pause.asked += 1
        try:
            return function(*args, **options)
        finally:
            CALLER.line = outer
            with Pause.lock:
                Pause.asked = max(Pause.asked - 1, 0)
                if Pause.asked == 0 and Pause.ran:
                    grow_old()
                    gc.enable()
    return cast(Function, called)


def forget_calls() -> None:
    """In a forked child no other thread's call goes on."""
    Pause.lock = threading.Lock()
    if Pause.asked and Pause.ran:
        gc.enable()
    Pause.asked = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_calls)


def grow_old() -> None:
    """Count all objects among the collector's oldest, so that it does not walk over many new ones as soon as it runs again.

    What a user has frozen stays so.
    """
    if gc.get_count()[0] > MANY and gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()
