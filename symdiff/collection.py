"""Python's garbage collector, paused while a great many nodes are built.

Nodes hold no circles: they die by their reference counts, and a collector that walks over all of them again and again
while a large expression is differentiated or compiled takes a fifth of the time and finds nothing.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class Pause:
    """How many calls, in any threads, have asked the collector to wait, and whether it ran before the first."""

    lock = threading.Lock()
    asked = 0
    ran = False


def without_collection(function: Function) -> Function:
    """The function, while which runs the collector waits; it stays off where it was off before.

    >>> import gc
    >>> without_collection(gc.isenabled)(), gc.isenabled()
    (False, True)
    """
    @wraps(function)
    def paused(*args: Any, **options: Any) -> Any:
        with Pause.lock:
            if Pause.asked == 0:
                Pause.ran = gc.isenabled()
                gc.disable()
            Pause.asked += 1
        try:
            return function(*args, **options)
        finally:
            with Pause.lock:
                Pause.asked -= 1
                if Pause.asked == 0 and Pause.ran:
                    gc.enable()
    return cast(Function, paused)
