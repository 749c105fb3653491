"""Python's garbage collector waits while a long call runs, and does not make up for it at its end."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from symdiff import long_calls
from symdiff.long_calls import long_call


def many() -> list[list[Any]]:
    """More objects than the collector lets pass."""
    return [[] for _ in range(2 * long_calls.MANY)]


@pytest.fixture
def unfrozen() -> Any:
    """No frozen objects, as in a user's process."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("unfrozen")
def test_new_objects_are_old_after_a_long_call() -> None:
    made = long_call(many)()
    assert gc.isenabled() and gc.get_freeze_count() == 0
    young = {id(o) for generation in (0, 1) for o in gc.get_objects(generation)}
    assert not young & {id(o) for o in made}


@pytest.mark.usefixtures("unfrozen")
def test_the_collector_still_finds_circles_that_a_long_call_left() -> None:
    class Circle:
        left = 0

        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            Circle.left += 1
    long_call(lambda: (many(), Circle()))()
    assert Circle.left == 0
    gc.collect()
    assert Circle.left == 1


def test_what_a_user_froze_or_switched_off_stays_so() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    long_call(many)()
    assert gc.get_freeze_count() > frozen - 1000
    gc.disable()
    try:
        long_call(many)()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_faults_let_the_collector_run_again() -> None:
    @long_call
    def fails() -> None:
        assert not gc.isenabled()
        raise ValueError
    with pytest.raises(ValueError):
        fails()
    assert gc.isenabled()
