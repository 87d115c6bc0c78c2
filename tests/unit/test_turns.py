"""Workers wait for each other's slow draws for a hundredth of their time, and no longer."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.service.turns import DrawingTurn, WaitingTime


class Clock:
    """A clock that the test sets, which notes that it was looked at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.was_asked = threading.Event()

    def __call__(self) -> float:
        """The time in seconds."""
        self.was_asked.set()
        return self.now


def test_a_round_of_long_trials_has_time_for_slow_draws() -> None:
    """Eight workers that ask at once after a minute wait 2.8 s in all: less than a hundredth."""
    left = WaitingTime(workers=8).at(60.0)
    for others in range(8):
        left = left.less(0.1 * others)
    assert not left.is_used_up


def test_where_trials_take_no_time_one_draw_is_waited_for_in_many() -> None:
    """Sixteen workers, of which fifteen have waited for a tenth of a second each."""
    left = WaitingTime(workers=16).less(1.5)
    assert left.at(9.0).is_used_up
    assert not left.at(9.5).is_used_up


def test_a_new_study_has_time_for_a_draw_that_nobody_waits_for() -> None:
    """Nothing is saved up, and nothing used up."""
    assert not WaitingTime().is_used_up


@few
@given(st.integers(1, 1000), st.floats(0, 1e9))
def test_no_more_than_five_seconds_are_saved_for_each_worker(workers: int, idle: float) -> None:
    """After a long night those that ask in the same second do not wait for minutes."""
    left = WaitingTime(workers=workers).at(idle)
    assert 0 <= left.seconds <= 5 * workers


@few
@given(st.integers(0, 100), st.floats(-10, 10), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_look_between_changes_nothing(
    workers: int, seconds: float, first: float, then: float
) -> None:
    """Time is gained whether or not somebody looks."""
    left = WaitingTime(min(seconds, 5.0 * workers), 0.0, workers)
    once, twice = left.at(first + then), left.at(first).at(first + then)
    assert abs(once.seconds - twice.seconds) < 1e-6


def test_a_worker_that_finds_it_free_has_not_waited() -> None:
    """However long it was held by itself: simulated studies depend on no machine's load."""
    clock = Clock()
    turn = DrawingTurn(clock)
    for now in range(5):
        with turn.taken(must_wait=False) as is_held:
            clock.now = now + 0.9
        assert is_held
    assert not turn.is_used_up


def waits(turn: DrawingTurn, clock: Clock, seconds: float) -> bool:
    """Whether a worker that has waited for so long holds the turn then."""
    held: list[bool] = []

    def ask() -> None:
        with turn.taken(must_wait=False) as is_held:
            held.append(is_held)

    with turn.taken(must_wait=True):
        clock.was_asked.clear()
        worker = threading.Thread(target=ask)
        worker.start()
        assert clock.was_asked.wait(10)  # it has begun to wait
        clock.now += seconds
    worker.join(10)
    return held[0]


def test_a_worker_that_has_waited_enough_goes_on_without_it() -> None:
    """Nor do those that come after it wait, until the time is gained again."""
    clock = Clock()
    turn = DrawingTurn(clock)
    turn.note_workers(10)
    assert not waits(turn, clock, 1.0)
    assert turn.is_used_up
    clock.now += 11.0
    assert not turn.is_used_up


def test_a_worker_that_may_wait_holds_it_then() -> None:
    """A hundred seconds of ten workers are worth ten of waiting."""
    clock = Clock()
    turn = DrawingTurn(clock)
    turn.note_workers(10)
    clock.now = 100.0
    assert waits(turn, clock, 1.0)
    assert not turn.is_used_up


def test_what_is_saved_stays_when_all_have_ended_and_one_asks() -> None:
    """Eight workers that trained for an hour, and ask in the same second."""
    clock = Clock()
    turn = DrawingTurn(clock)
    turn.note_workers(8)
    clock.now = 3600.0
    turn.note_workers(1)
    for seconds in (2.0, 3.0, 4.0):
        assert waits(turn, clock, seconds)
    assert not turn.is_used_up


def test_a_worker_that_must_wait_holds_it_then_and_nothing_is_counted() -> None:
    """There is nothing else to do for it."""
    clock, held = Clock(), list[bool]()
    turn = DrawingTurn(clock)

    def ask() -> None:
        with turn.taken(must_wait=True) as is_held:
            held.append(is_held)

    with turn.taken(must_wait=True):
        worker = threading.Thread(target=ask)
        worker.start()
        clock.now += 100.0
    worker.join(10)
    assert held == [True]
    assert not turn.is_used_up


def test_a_moment_that_was_read_earlier_gains_nothing_twice() -> None:
    """Threads read the clock before they come to count."""
    left = WaitingTime(workers=10).at(100.0)
    assert left.at(50.0).at(100.0) == left


def test_it_is_free_again_after_an_error() -> None:
    """A draw that fails holds up nobody."""
    turn = DrawingTurn(Clock())
    with pytest.raises(RuntimeError), turn.taken(must_wait=False):
        raise RuntimeError
    with turn.taken_if_free() as is_held:
        assert is_held


def test_what_is_not_urgent_does_not_wait_for_it() -> None:
    """It is left to whoever holds it."""
    turn = DrawingTurn(Clock())
    with turn.taken(must_wait=False), turn.taken_if_free() as is_held:
        assert not is_held
