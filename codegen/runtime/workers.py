"""Workers: threads that run the parts of a job beside the thread that asks, started when first needed and kept.

The parts of a job are taken one after the other by whoever is free, so a worker that is late, or busy with the job of another
thread, holds nobody up: the asking thread works too, and waits only for parts that are being run.  A child after a fork
begins with no workers.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue

# work(place, part): a part, run at a place of its own among the threads of the job; 0 is the asking thread.
Work = Callable[[int, int], None]


class Job:
    """Parts to be run, each once."""

    def __init__(self, parts: int, work: Work) -> None:
        self.parts, self.work = parts, work
        self.next_part, self.next_place, self.ended = count(), count(1), count(1)
        self.finished = threading.Lock()
        self.finished.acquire()
        self.failure: BaseException | None = None
        # The places at which parts are run at the moment.
        self.busy: set[int] = set()

    def help(self) -> None:
        """Run parts at the next place."""
        self.run_parts(next(self.next_place))

    def run_parts(self, place: int) -> None:
        """Run parts until none is left to begin."""
        self.busy.add(place)
        try:
            for part in self.next_part:
                if part >= self.parts:
                    return
                try:
                    if self.failure is None:
                        self.work(place, part)
                except BaseException as failure:  # told by the thread that asked
                    self.failure = failure
                if next(self.ended) == self.parts:
                    self.finished.release()
        finally:
            self.busy.discard(place)

    def abandon(self) -> None:
        """Begin no more parts, and wait for those that are being run: they write to storage that others will use.

        Whatever is raised meanwhile, such as by Ctrl-C once more, waits for them too.
        """
        self.parts = 0
        raised: BaseException | None = None
        waiting = True
        while waiting:
            try:
                while self.busy - {0}:
                    time.sleep(1e-4)
                waiting = False
            except BaseException as another:
                raised = another
        if raised is not None:
            raise raised


class Pool:
    """The workers of this process, and the jobs that wait for them."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.lock = threading.Lock()
        self.workers = 0

    def hire(self, workers: int) -> None:
        """Have at least so many workers."""
        with self.lock:
            while self.workers < workers:
                self.workers += 1
                threading.Thread(target=self.serve, name=f"symdiff-{self.workers}", daemon=True).start()

    def serve(self) -> None:
        """What a worker does."""
        while True:
            self.jobs.get().help()


POOL = [Pool()]


def forget_workers() -> None:
    """A forked child has none of its parent's threads."""
    POOL[0] = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_workers)


def run(parts: int, work: Work, threads: int) -> None:
    """Run all parts on at most so many threads, this one among them; raises what a part raised.

    >>> found = []
    >>> run(3, lambda place, part: found.append(part), 2)
    >>> sorted(found)
    [0, 1, 2]
    """
    if parts == 0:
        return  # nobody would tell that the last one has ended
    pool, helpers = POOL[0], min(threads, parts) - 1
    if pool.workers < helpers:
        pool.hire(helpers)
    job = Job(parts, work)
    for _ in range(helpers):
        pool.jobs.put(job)
    try:
        job.run_parts(0)
        job.finished.acquire()
    except BaseException:  # Ctrl-C
        job.abandon()
        raise
    if job.failure is not None:
        raise job.failure
