"""Workers: threads that help with a job beside the thread that asks, started when first needed and kept.

A job is work that any number of threads may do at the same time, each at a place of its own; the parts of it are taken one by
one by whoever is free, so a worker that is late, or busy with the job of another thread, holds nobody up: the asking thread
works too, and waits only for parts that are being run.  A child after a fork begins with no workers.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue

# work(place): do what is left to do, at a place of its own among the threads of the job, 0 for the asking thread; whether all
# of it has been done, and not what others are doing must be waited for.
Work = Callable[[int], bool]
# Who waits for others looks again after so many seconds.
PAUSE = 2e-5


class Job:
    """Work for several threads; after `stop` what is left to do is done no more."""

    def __init__(self, work: Work, stop: Callable[[], None]) -> None:
        self.work, self.stop = work, stop
        self.next_place = count(1)
        self.stopped = False
        self.failure: BaseException | None = None
        # The places at which something is done at the moment.
        self.busy: set[int] = set()

    def help(self) -> None:
        """Work at the next place."""
        self.run(next(self.next_place))

    def run(self, place: int) -> None:
        """Work until all is done."""
        self.busy.add(place)
        try:
            while not self.stopped and not self.work(place):
                time.sleep(PAUSE)
        except BaseException as failure:  # told by the thread that asked
            self.failure = failure
            self.end()
        finally:
            self.busy.discard(place)

    def end(self) -> None:
        """Let nobody begin anything more."""
        self.stopped = True
        self.stop()

    def abandon(self) -> None:
        """Begin nothing more, and wait for what is being done: it writes to storage that others will use.

        Whatever is raised meanwhile, such as by Ctrl-C once more, waits for it too.
        """
        raised: BaseException | None = None
        waiting = True
        while waiting:
            try:
                self.end()
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


def run(work: Work, stop: Callable[[], None], threads: int) -> None:
    """Do work on so many threads, this one among them, and wait for all of it; raises what is raised in any of them.

    >>> numbers = iter(range(5))
    >>> found = []
    >>> run(lambda place: not found.extend(numbers), lambda: None, 2)
    >>> found
    [0, 1, 2, 3, 4]
    """
    pool = POOL[0]
    if pool.workers < threads - 1:
        pool.hire(threads - 1)
    job = Job(work, stop)
    try:
        for _ in range(threads - 1):
            pool.jobs.put(job)
        job.run(0)
        if job.failure is not None:
            raise job.failure
    except BaseException:  # Ctrl-C
        job.abandon()
        raise
