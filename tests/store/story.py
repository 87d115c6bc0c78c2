"""What must hold of every study's events, however they came about."""

from collections.abc import Sequence

from tuner.spec.states import TRIAL_MOVES, TrialState
from tuner.spec.views import Event


def assert_story_is_legal(events: Sequence[Event]) -> None:
    """Numbers are 1 to n, and each trial's states follow one another as they may.

    A trial that two workers held at once would be started twice without waiting in between.
    """
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    states: dict[int, TrialState] = {}
    for event in events:
        if event.trial is None or "state" not in event.data:
            continue
        state = TrialState(event.data["state"])
        assert state in TRIAL_MOVES[states.get(event.trial, TrialState.WAITING)], event
        states[event.trial] = state
