"""Threads that write the machine code of a module's pieces while the module is still being emitted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

from codegen.runtime.forks import renewed_in_children


class ShortTurns:
    """From `begin` to `end` Python's threads take turns so short that those which wait for LLVM go on as soon as it is done.

    Python's usual turn, 5 ms, is as long as LLVM takes for a piece.  Nothing is learned of turns that are as short as these: an
    interrupt may have left them so, and the next end sets the usual ones.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.usual, self.inside = seconds, sys.getswitchinterval(), 0
        self.lock = threading.RLock()
        renewed_in_children(self)

    def begin(self) -> None:
        """Take short turns."""
        with self.lock:
            self.inside += 1
            now = sys.getswitchinterval()
            if abs(now - self.seconds) > 1e-6:
                self.usual = now
            sys.setswitchinterval(min(now, self.seconds))

    def end(self) -> None:
        """Take the usual ones, where nobody else asks for short ones."""
        with self.lock:
            self.inside = max(self.inside - 1, 0)
            if self.inside == 0:
                sys.setswitchinterval(self.usual)


SHORT_TURNS = ShortTurns(2.9e-4)


class PieceWriters:
    """Has pieces written by this thread and so many others; `write` makes the machine code of a text, with some effort.

    >>> writers = PieceWriters(lambda text, effort: text.encode() * effort, 2)
    >>> for text in "abc":
    ...     writers.give(text, 2)
    >>> writers.help()
    >>> writers.end()
    >>> writers.results()
    [b'aa', b'bb', b'cc']
    """

    def __init__(self, write: Callable[[str, int], bytes], others: int) -> None:
        self.write, self.most = write, others
        self.waiting: SimpleQueue[tuple[int, str, int] | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.objects: dict[int, bytes] = {}
        self.faults: list[BaseException] = []
        self.count, self.stopped = 0, False

    def give(self, text: str, effort: int, is_last: bool = False) -> None:
        """Have a piece written by whoever is free first; for the last one nobody else need begin."""
        self.waiting.put((self.count, text, effort))
        self.count += 1
        if len(self.threads) < self.most and not is_last:
            thread = threading.Thread(target=self.work)
            self.threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads
                self.threads.remove(thread)
                self.most = 0

    def help(self) -> None:
        """Write with the others until all is written, or is being written."""
        self.waiting.put(None)
        self.work()

    def work(self) -> None:
        """Write what waits, until there is an end of it; after a fault nothing more."""
        while (piece := self.waiting.get()) is not None:
            if not self.stopped:
                try:
                    self.objects[piece[0]] = self.write(*piece[1:])
                except BaseException as fault:
                    # Told to the caller, whichever thread met it.  Its frames hold what LLVM made: in a circle of objects that
                    # might be freed in the wrong order.
                    self.faults.append(fault.with_traceback(None))
                    self.stopped = True
        self.waiting.put(None)

    def end(self) -> None:
        """Wait for the threads, whatever is raised meanwhile, such as by Ctrl-C: LLVM is at work in them."""
        raised: BaseException | None = None
        while True:
            try:
                self.waiting.put(None)
                for thread in self.threads:
                    if thread.ident is not None:
                        thread.join()
                break
            except BaseException as fault:
                raised, self.stopped = fault, True
        if raised is not None:
            raise raised

    def results(self) -> list[bytes]:
        """What was written, in the order in which it was given; raises what writing raised."""
        for fault in self.faults:
            raise fault
        return [self.objects[k] for k in range(self.count)]
