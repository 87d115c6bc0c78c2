"""Workers that ask at the same moment share a transaction, and none gets another's trial."""

from functools import partial

import pytest
from sqlalchemy import update

from tests.store.fleet import Fleet
from tests.store.grouped import share
from tests.store.populations import population, save
from tests.store.samples import spec
from tests.store.test_promotion import opened, promoting
from tuner.errors import StorageError
from tuner.service import documents, overview
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.store import hot, studies
from tuner.store.engine import Database
from tuner.store.group import GroupCommit
from tuner.store.tables import Trial

JUDGED = {"sampler": "random", "pruner": "median", "trials": 40, "parallel": 40}


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What broke transactions off that several works shared."""
    found, attempt = list[str](), GroupCommit._attempt

    def watched(group: GroupCommit, batch: list[object]) -> None:
        try:
            attempt(group, batch)  # type: ignore[arg-type]  # it is passed on as it came
        except BaseException as error:
            found.append(repr(error))
            raise

    monkeypatch.setattr(GroupCommit, "_attempt", watched)
    return found


def test_two_workers_promote_two_trials(database: Database, undone: list[str]) -> None:
    """The second to be served knows what the first was given."""
    fleet = opened(database, promoting(12, parallel=30))
    held = [fleet.take(f"w{index}") for index in range(9)]
    for place, one in enumerate(held):
        fleet.report(one, 1, 2, value=0.9 - place / 10)
    for one in held[1:]:  # the base recipe is trained to its end
        fleet.finish(one, OutcomeKind.PAUSED)

    answers = share(database._group, {str(at): partial(fleet.ask, f"x{at}") for at in range(2)})

    assert len({answer.trial for answer in answers.values()}) == 2
    assert undone == []
    assert overview.study(database, "streets").state is StudyState.RUNNING


def test_two_weak_members_give_way_to_two_copies(database: Database, undone: list[str]) -> None:
    """A member that another worker's copy has replaced is not replaced again."""
    fleet = Fleet(database)
    fleet.submit(population(8, parallel=16))
    held = [fleet.take(f"w{index}") for index in range(8)]
    values = (0.5, 0.9, 0.6, 0.7, 0.8, 0.75, 0.1, 0.05)
    for one, value in zip(held, values, strict=True):
        save(fleet, one, 2)
        fleet.report(one, 1, 2, value=value)
    for one in held[-2:]:
        fleet.finish(one, OutcomeKind.PAUSED)

    answers = share(database._group, {str(at): partial(fleet.ask, f"x{at}") for at in range(2)})

    assert {answer.trial for answer in answers.values()} == {8, 9}
    assert undone == []
    assert overview.study(database, "streets").state is StudyState.RUNNING


def test_a_search_forgets_a_trial_whose_lease_was_not_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that waited and was handed out in vain has not begun, for the search neither."""
    fleet = Fleet(database)
    fleet.submit(spec(search=JUDGED, epochs=6))
    fleet.take("a")
    waiting = fleet.take("b")
    fleet.finish(waiting, OutcomeKind.YIELDED)
    _look(fleet)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(hot.Batch, "close", full)
        with pytest.raises(StorageError, match="the disk is full"):
            fleet.ask("c")

    assert _look(fleet)[waiting.trial] is TrialState.WAITING


def test_a_search_knows_of_a_trial_that_failed_before_another_was_taken(
    database: Database,
) -> None:
    """A waiting trial that cannot be read is failed on the way, and counts as failed."""
    fleet = Fleet(database)
    fleet.submit(spec(search=JUDGED, epochs=6))
    fleet.take("a")
    broken, sound = fleet.take("b"), fleet.take("c")
    for one in (broken, sound):
        fleet.finish(one, OutcomeKind.YIELDED)
    with database.transaction() as session:
        session.execute(
            update(Trial).where(Trial.number == broken.trial).values(config={"nonsense": 1})
        )
    _look(fleet)

    assert fleet.take("d").trial == sound.trial
    assert _look(fleet)[broken.trial] is TrialState.FAILED


def _look(fleet: Fleet) -> dict[int, TrialState]:
    """The state of each trial, as the fleet's search knows it."""
    with fleet.db.reading() as session:
        study = studies.find(session, "streets")
        with fleet.searches.of(session, study, documents.rules_of(study)) as search:
            return {at: search.table.of(at).state for at in range(study.trial_count)}
