"""Hours that a study may take, and what a plan of it costs."""

import pytest

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import overview, planning, studies, upkeep
from tuner.spec.messages import Action, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

HOUR = 3600.0


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a study that may take two hours, with leases that outlast it."""
    fleet = Fleet(clocked_database, lease_seconds=10 * HOUR)
    settings = {"sampler": "random", "pruner": "none", "trials": 8, "max_wall_hours": 2}
    fleet.submit(spec(search=settings))
    return fleet


def state(fleet: Fleet) -> StudyState:
    """The study's state."""
    return overview.study(fleet.db, "streets").state


def test_the_deadline_counts_from_the_first_trial(fleet: Fleet, clock: Clock) -> None:
    """Waiting in the queue costs nothing; then running trials are told to stop, and why."""
    clock.advance(5 * HOUR)
    held = fleet.take()
    clock.advance(2 * HOUR - 1)
    assert fleet.report(held, 1).verdict.action is Action.CONTINUE
    clock.advance(1)
    verdict = fleet.heartbeat(held).verdict
    assert verdict.action is Action.STOP
    assert "2 hours since its first trial" in verdict.reason
    assert fleet.ask("w2") is None
    fleet.finish(held, OutcomeKind.STOPPED)
    assert overview.trial(fleet.db, "streets", held.trial).state is TrialState.PRUNED
    assert state(fleet) is StudyState.FINISHED
    assert overview.study(fleet.db, "streets").reason == verdict.reason


def test_a_trial_that_is_done_is_not_stopped(fleet: Fleet, clock: Clock) -> None:
    """All its reports are in: it completes, and the study's best is kept."""
    held = fleet.take()
    clock.advance(3 * HOUR)
    assert fleet.report(held, 1, 2, 3).verdict.action is Action.CONTINUE
    fleet.finish(held)
    assert (state(fleet), overview.best(fleet.db, "streets").trial) == (StudyState.FINISHED, 0)


def test_a_deadline_passes_without_any_worker(fleet: Fleet, clock: Clock) -> None:
    """Upkeep ends a study that nobody trains any more, a paused one too."""
    fleet.train(fleet.take())
    studies.change(fleet.db, "streets", StudyChange(state="paused"))
    assert upkeep.close_overdue(fleet.db) == 0
    clock.advance(3 * HOUR)
    assert upkeep.run(fleet.db) == 1
    assert state(fleet) is StudyState.FINISHED
    assert upkeep.run(fleet.db) == 0


def test_a_deadline_can_be_moved(fleet: Fleet, clock: Clock) -> None:
    """More hours let the study go on where it stood."""
    fleet.train(fleet.take())
    clock.advance(3 * HOUR)
    upkeep.run(fleet.db)
    assert studies.change(fleet.db, "streets", StudyChange(max_wall_hours=2.5)).state is (
        StudyState.FINISHED
    )
    studies.change(fleet.db, "streets", StudyChange(max_wall_hours=4))
    assert (state(fleet), fleet.take().trial) == (StudyState.RUNNING, 1)


def test_a_study_with_time_left_is_left_alone(fleet: Fleet, clock: Clock) -> None:
    """Upkeep ends nothing before its time, nor a study that never began."""
    clock.advance(9 * HOUR)
    assert upkeep.run(fleet.db) == 0
    assert state(fleet) is StudyState.QUEUED


def test_a_far_deadline_is_no_limit(fleet: Fleet) -> None:
    """The longest that a study may ask for lies beyond any clock that it will see."""
    fleet.train(fleet.take())
    studies.change(fleet.db, "streets", StudyChange(max_wall_hours=1e6))
    assert fleet.take().trial == 1


def test_a_plan_knows_the_pace_of_the_same_data(fleet: Fleet) -> None:
    """Epochs took 2 s in the latest study of this data set; another data set tells nothing."""
    assert planning.plan(fleet.db, spec()).cost is None
    fleet.train(fleet.take())
    found = planning.plan(fleet.db, spec("next"), workers=2).cost
    assert found is not None
    assert (found.epoch_seconds, found.source, found.workers) == (2, "as in study 'streets'", 2)
    assert found.device_hours == pytest.approx(8 * 3 * 2 / HOUR)
    assert found.wall_hours == pytest.approx(4 * 3 * 2 / HOUR)
    dataset = {"format": "synthetic", "classes": ["road", "bus"], "size": [32, 32]}
    assert planning.plan(fleet.db, spec("other", dataset=dataset)).cost is None


def test_a_given_pace_is_believed(fleet: Fleet) -> None:
    """Whoever measured an epoch elsewhere can say so."""
    fleet.train(fleet.take())
    found = planning.plan(fleet.db, spec("next"), epoch_seconds=HOUR).cost
    assert found is not None
    assert (found.source, found.worst_device_hours) == ("as given", 24)
