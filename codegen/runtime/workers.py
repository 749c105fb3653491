"""Workers: threads that help with calls, started when first needed and kept; each has a desk, where it is given work.

A worker is a thread of machine code alone (`codegen.backends.worker_code`), which never asks for the interpreter's lock.  Who
wants help offers it a call; a worker that is late, or busy with the call of another thread, holds nobody up: the asking thread
works too, and takes its offer back when all is done.  A child after a fork has no workers, and starts its own.

The desks are lines of eight 64-bit words.  A head (the lock that nobody gives back, on which who waits sleeps for a while); then
for each desk its state, the call that is offered, the place at it, the lock on which its worker sleeps, the head's lock, and how
many offers there have been, in all and when the worker last looked.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import time
from typing import Any

import numpy as np

# Words of a line; desks, more than processors that share a call; the words of the head and of a desk.
LINE, DESKS = 8, 255
NAP = 0
STATE, CALL, PLACE, LOCK, OWN_NAP, OFFERS, SEEN = range(7)
# Nobody works there; the worker looks for work; it sleeps; somebody writes an offer; there is one; it works.
NOBODY, LOOKING, ASLEEP, HELD, OFFERED, WORKING = range(6)
# How long the end of the process waits for workers to fall asleep, which takes them a millisecond or two.
PATIENCE = 1.0


class Workers:
    """The desks of this process."""

    def __init__(self) -> None:
        memory = np.zeros((DESKS + 2) * LINE, np.int64)
        start = -(memory.ctypes.data // memory.itemsize) % LINE
        self.table: np.ndarray[Any, np.dtype[np.int64]] = memory[start:start + (DESKS + 1) * LINE].reshape(-1, LINE)
        self.address = int(self.table.ctypes.data)
        self.forget()

    def forget(self) -> None:
        """Let there be nobody, as in a forked child, where a lock may be one that some thread of the parent was about to change."""
        self.table[1:, STATE] = NOBODY
        self.table[0, NAP] = taken_lock()

    def rest(self) -> None:
        """Wait until no worker is at work, or looks for some: its code goes when the process ends."""
        end = time.monotonic() + PATIENCE
        while not np.isin(self.table[1:, STATE], (NOBODY, ASLEEP)).all() and time.monotonic() < end:
            time.sleep(1e-4)


def taken_lock() -> int:
    """The address of a lock of the interpreter's kind, which is taken."""
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    api.PyThread_acquire_lock.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lock = api.PyThread_allocate_lock()
    api.PyThread_acquire_lock(lock, 1)
    return int(lock)


WORKERS = Workers()
atexit.register(WORKERS.rest)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.forget)
