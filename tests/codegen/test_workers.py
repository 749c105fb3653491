"""Workers do a job beside the thread that asks, and whatever ends it waits for what they are doing."""

from __future__ import annotations

import time

import pytest

from codegen.runtime import workers


class Numbers:
    """Work that takes numbers one by one, each of which takes some time."""

    def __init__(self, count: int, seconds: float = 0.0, wrong: int | None = None) -> None:
        self.left, self.seconds, self.wrong = list(range(count)), seconds, wrong
        self.done: list[int] = []
        self.running: set[int] = set()

    def work(self, place: int) -> bool:
        while True:
            try:
                number = self.left.pop(0)
            except IndexError:
                return not self.running
            self.running.add(number)
            time.sleep(self.seconds)
            self.running.discard(number)
            if number == self.wrong:
                raise ValueError(f"number {number}")
            self.done.append(number)

    def run(self, threads: int) -> list[int]:
        workers.run(self.work, self.left.clear, threads)
        return sorted(self.done)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_raised_at_any_place_is_told(threads: int) -> None:
    with pytest.raises(ValueError, match="number 5"):
        Numbers(20, 0.01, wrong=5).run(threads)
    assert Numbers(9).run(threads) == list(range(9))


def test_an_interrupt_waits_for_what_is_being_done() -> None:
    """Ctrl-C in the asking thread: nothing runs any more when it is told, and the workers serve the next job."""
    class Interrupted(Numbers):
        def work(self, place: int) -> bool:
            if place == 0:
                time.sleep(0.02)
                raise KeyboardInterrupt
            return super().work(place)
    numbers = Interrupted(8, 0.05)
    with pytest.raises(KeyboardInterrupt):
        numbers.run(3)
    assert not numbers.running and len(numbers.done) < 8
    assert Numbers(9).run(3) == list(range(9))


def test_an_interrupt_while_work_is_handed_out_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that has the job already writes to arrays of the call."""
    numbers = Numbers(3, 0.05)
    pool = workers.Pool()
    monkeypatch.setattr(workers, "POOL", [pool])
    put = pool.jobs.put

    class Jobs:
        get = pool.jobs.get

        def put(self, job: workers.Job) -> None:
            put(job)
            while not numbers.running:
                time.sleep(1e-4)
            raise KeyboardInterrupt
    monkeypatch.setattr(pool, "jobs", Jobs())
    with pytest.raises(KeyboardInterrupt):
        numbers.run(3)
    assert not numbers.running and len(numbers.done) == 1


def test_whatever_comes_between_waits_for_parts_that_are_being_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C again and again: the storage of the parts is not given back before they end."""
    job = workers.Job(lambda place: True, lambda: None)
    job.busy.add(1)
    asked = 0

    def interrupted(_: float) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            job.busy.discard(1)
        raise KeyboardInterrupt
    monkeypatch.setattr(workers.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.abandon()
    assert asked == 3 and not job.busy


def test_nothing_begins_after_a_failure() -> None:
    numbers = Numbers(50, wrong=0)
    with pytest.raises(ValueError, match="number 0"):
        numbers.run(1)
    assert not numbers.done and not numbers.left
