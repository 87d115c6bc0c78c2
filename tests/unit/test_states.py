"""States move as the design says, and nowhere else."""

import pytest

from tuner.spec.states import STUDY_MOVES, TRIAL_MOVES, StudyState, TrialState


def test_every_state_says_where_it_may_go() -> None:
    """No state is missing from the tables of moves."""
    assert set(STUDY_MOVES) == set(StudyState)
    assert set(TRIAL_MOVES) == set(TrialState)


@pytest.mark.parametrize("state", list(StudyState))
def test_no_study_state_follows_itself(state: StudyState) -> None:
    """Staying put is no move."""
    assert not state.may_become(state)


def test_a_lost_worker_sends_its_trial_back() -> None:
    """A running trial may wait again, and a waiting one may run."""
    assert TrialState.RUNNING.may_become(TrialState.WAITING)
    assert TrialState.WAITING.may_become(TrialState.RUNNING)


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.PRUNED, TrialState.CANCELLED])
def test_ended_trials_stay_ended(state: TrialState) -> None:
    """Nothing follows an end."""
    assert state.has_ended
    assert not any(state.may_become(other) for other in TrialState)


def test_a_failed_trial_has_ended_and_may_be_tried_again() -> None:
    """A user may let it wait once more, and nothing else follows."""
    assert TrialState.FAILED.has_ended
    assert [TrialState.WAITING] == [
        other for other in TrialState if TrialState.FAILED.may_become(other)
    ]


def test_a_finished_study_may_run_on() -> None:
    """A larger budget opens it again; a cancelled one stays cancelled."""
    assert StudyState.FINISHED.may_become(StudyState.RUNNING)
    assert not any(StudyState.CANCELLED.may_become(other) for other in StudyState)
