"""Forks: a child has one thread, and must find no lock that another one of its parent held, nor LLVM in the middle of something."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet


class Gate:
    """Work that no fork happens in the middle of: `with gate:` around it, in any number of threads at the same time.

    A fork waits until all of it is done, but for what the thread that forks is doing itself.

    >>> gate = Gate()
    >>> with gate, gate:
    ...     gate.close()
    ...     gate.open()
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: dict[int, int] = {}
        # Locks of others that are held over a fork, once nobody is inside.
        self.locks: list[Any] = []

    def __enter__(self) -> None:
        with self.changed:
            me = threading.get_ident()
            self.inside[me] = self.inside.get(me, 0) + 1

    def __exit__(self, *_: object) -> None:
        with self.changed:
            me = threading.get_ident()
            self.inside[me] -= 1
            if not self.inside[me]:
                del self.inside[me]
                self.changed.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until everybody else is out."""
        self.changed.acquire()
        while self.inside.keys() - {threading.get_ident()}:
            self.changed.wait()
        for lock in self.locks:
            lock.acquire()

    def open(self) -> None:
        """Let others in again."""
        for lock in self.locks:
            lock.release()
        self.changed.release()


# What LLVM does, for whichever kernel.
WRITING = Gate()
# Objects with a `lock` of their own.
HOLDERS: WeakSet[Any] = WeakSet()


def renewed_in_children(holder: Any) -> None:
    """Give `holder.lock` anew in each forked child: the thread that holds it is not there to give it back."""
    HOLDERS.add(holder)


def renew() -> None:
    """What a forked child does."""
    for holder in list(HOLDERS):
        holder.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=WRITING.close, after_in_parent=WRITING.open, after_in_child=WRITING.open)
    os.register_at_fork(after_in_child=renew)
