"""A checkpoint waits until it is worth its time."""

import pytest

from tuner.training import cadence
from tuner.training.cadence import Cadence


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """A clock that the test moves."""
    clock = _Clock()
    monkeypatch.setattr(cadence, "perf_counter", clock)
    return clock


def test_a_checkpoint_is_due_when_it_takes_two_percent_of_the_time(clock: _Clock) -> None:
    """One that was seen to take a second is written every 50 seconds."""
    spacing = Cadence(0, most=1_000)
    spacing.saved(1.0)

    clock.now += 49
    assert not spacing.is_due
    clock.now += 1
    assert spacing.is_due


def test_the_first_one_waits_by_a_guess_from_its_size(clock: _Clock) -> None:
    """Before any was measured, 500 MiB count as a second."""
    spacing = Cadence(500 * 2**20, most=1_000)

    assert not spacing.is_due
    clock.now += 50
    assert spacing.is_due


def test_no_checkpoint_waits_longer_than_the_setting_says(clock: _Clock) -> None:
    """The worker's setting bounds what a killed run loses."""
    spacing = Cadence(0, most=30)
    spacing.saved(10.0)

    clock.now += 30
    assert spacing.is_due


def test_without_patience_every_checkpoint_is_due(clock: _Clock) -> None:
    """Zero seconds mean a checkpoint after every epoch."""
    spacing = Cadence(2**40, most=0)

    assert spacing.is_due
