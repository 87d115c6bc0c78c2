"""Deleted studies: hidden at once, restored as they were, removed after a while."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec, study_row
from tuner.errors import Conflict, InvalidSpec, LeaseLost, NotFound
from tuner.service import artifacts, overview, studies, study_lists, upkeep
from tuner.service.fleet import lost as lost_trials
from tuner.spec.kinds import ArtifactKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import CloneRequest, StudyChange
from tuner.store.artifacts import ArtifactStore, Stored, Upload
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage
from tuner.store.tables import Artifact, Attempt, Event, Report, Study, Trial

UNDO = timedelta(minutes=10)


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database on the test's clock, with one study of which a trial has completed."""
    found = Fleet(clocked_database)
    found.submit()
    found.train(found.take())
    return found


def _rows(db: Database) -> dict[str, int]:
    tables = (Study, Trial, Report, Attempt, Event, Artifact)
    with db.reading() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in tables
        }


def test_nothing_sees_a_deleted_study(fleet: Fleet, clocked_database: Database) -> None:
    """It is not found by id or name, not listed, given to no worker, and no source of others."""
    study_id = overview.study(fleet.db, "streets").id
    studies.delete(fleet.db, "streets")

    for wanted in ("streets", study_id, str(study_id)):
        with pytest.raises(NotFound, match=f"`segtune restore {wanted}` brings it back"):
            overview.study(fleet.db, wanted)
        with pytest.raises(NotFound):
            studies.delete(fleet.db, wanted)
        with pytest.raises(NotFound):
            studies.clone(fleet.db, wanted, CloneRequest())
    assert overview.studies(fleet.db).items == ()
    assert fleet.ask() is None
    with pytest.raises(NotFound):
        overview.events(fleet.db, study_id)
    document = spec("next", search={"trials": 2, "warm_start": ["streets"]})
    with pytest.raises(InvalidSpec, match="it was deleted"):
        studies.submit(fleet.db, document)


def test_optuna_sees_no_deleted_study(fleet: Fleet, database_url: str) -> None:
    """Neither by name, nor by id, nor in the list, nor through its trials."""
    storage = OptunaStorage(database_url)
    study_id = storage.get_study_id_from_name("streets")
    trial_id = storage.get_all_trials(study_id)[0]._trial_id
    studies.delete(fleet.db, study_id)

    assert storage.get_all_studies() == []
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("streets")
    with pytest.raises(KeyError):
        storage.get_all_trials(study_id)
    with pytest.raises(KeyError):
        storage.get_trial(trial_id)
    storage.remove_session()


@pytest.mark.parametrize("state", ["queued", "running", "paused", "finished", "cancelled"])
def test_it_comes_back_as_it_was(clocked_database: Database, state: str) -> None:
    """A restored study has its name, state, trials, and work for its workers again."""
    fleet = Fleet(clocked_database)
    study_id = fleet.submit(spec(search={"sampler": "random", "trials": 2})).id
    if state != "queued":
        fleet.train(fleet.take())
    if state == "finished":
        fleet.train(fleet.take())
    if state in {"paused", "cancelled"}:
        studies.change(fleet.db, study_id, StudyChange.model_validate({"state": state}))
    before = overview.study(fleet.db, study_id)
    assert before.state == state

    studies.delete(fleet.db, study_id)
    after = studies.restore(fleet.db, "streets")

    assert after == before.model_copy(update={"last_event": before.last_event + 2})
    assert (fleet.ask() is None) == (state not in {"queued", "running"})


def test_its_name_is_free_meanwhile(fleet: Fleet) -> None:
    """A new study may take the name; the restored one gets the next that is free, and says so."""
    first = overview.study(fleet.db, "streets").id
    studies.delete(fleet.db, "streets")
    second = fleet.submit().id

    restored = studies.restore(fleet.db, first)

    assert (restored.id, restored.name, restored.spec.name) == (first, "streets-2", "streets-2")
    assert overview.study(fleet.db, "streets").id == second
    with pytest.raises(Conflict, match="'streets' is not deleted: it is queued"):
        studies.restore(fleet.db, "streets")


def test_of_several_deleted_ones_the_last_comes_back(fleet: Fleet, clock: Clock) -> None:
    """A name that was deleted twice means the later study; the other still has its id."""
    first = overview.study(fleet.db, "streets").id
    studies.delete(fleet.db, "streets")
    clock.advance(5)
    second = fleet.submit().id
    studies.delete(fleet.db, "streets")

    assert studies.restore(fleet.db, "streets").id == second
    assert studies.restore(fleet.db, str(first)).name == "streets-2"


def test_a_retried_submission_makes_a_new_study(clocked_database: Database) -> None:
    """The key of a deleted study is forgotten with it."""
    first, _ = studies.submit(clocked_database, spec(), idempotency_key="once")
    studies.delete(clocked_database, first.id)
    second, is_new = studies.submit(clocked_database, spec(), idempotency_key="once")
    assert is_new
    assert second.id != first.id


def test_its_workers_lose_their_leases_on_request(fleet: Fleet) -> None:
    """Without it deletion is refused; with it nothing is accepted of them, ever after."""
    held = fleet.take()
    fleet.report(held, 1)
    with pytest.raises(Conflict, match="1 running trial; cancel it first, or let deletion cancel"):
        studies.delete(fleet.db, "streets")

    studies.delete(fleet.db, "streets", cancel=True)

    for use in (fleet.heartbeat, fleet.finish, lambda lease: fleet.report(lease, 2)):
        with pytest.raises(LeaseLost):
            use(held)
    studies.restore(fleet.db, "streets")
    with pytest.raises(LeaseLost):
        fleet.heartbeat(held)


@pytest.mark.parametrize("state", ["running", "paused"])
def test_undo_gives_running_trials_back(fleet: Fleet, state: str) -> None:
    """The study is in its former state, and its trials wait, as if their workers had yielded."""
    taken = [fleet.take("w1"), fleet.take("w2")]
    fleet.report(taken[0], 1)
    if state == "paused":
        studies.change(fleet.db, "streets", StudyChange(state="paused"))

    studies.delete(fleet.db, "streets", cancel=True)
    (hidden,) = study_lists.deleted(fleet.db)
    restored = studies.restore(fleet.db, "streets")

    assert (hidden.state, restored.state) == (state, state)
    assert (restored.counts.waiting, restored.counts.running) == (2, 0)
    assert restored.finished_at is None
    for held in taken:
        trial = overview.trial(fleet.db, "streets", held.trial)
        (attempt,) = trial.attempt_history
        assert (attempt.outcome, attempt.error, trial.error) == ("yielded", None, None)
        assert trial.reason == attempt.reason == "its study was deleted for a while"
    assert [worker.lost for worker in overview.workers(fleet.db)] == [0, 0]
    if state == "paused":
        studies.change(fleet.db, "streets", StudyChange(state="running"))
    again = [fleet.take("w1"), fleet.take("w2")]
    assert [held.trial for held in again] == [held.trial for held in taken]
    assert again[0].last_step == 1


def test_deletion_spends_no_attempt(clocked_database: Database) -> None:
    """A trial of which every attempt ended by a deletion is trained all the same."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(resources={"attempts": 1}))
    for _ in range(3):
        held = fleet.take()
        studies.delete(fleet.db, "streets", cancel=True)
        studies.restore(fleet.db, "streets")
    held = fleet.take()
    assert (held.trial, held.attempt) == (0, 4)
    fleet.train(held)


def test_a_trial_that_is_to_stop_stays_so(fleet: Fleet) -> None:
    """What a user cancelled before the deletion is cancelled after the undo."""
    held = fleet.take()
    studies.cancel_trial(fleet.db, "streets", held.trial)
    studies.delete(fleet.db, "streets", cancel=True)
    studies.restore(fleet.db, "streets")
    assert overview.trial(fleet.db, "streets", held.trial).state is TrialState.CANCELLED


def test_trials_of_a_cancelled_study_end_with_it(fleet: Fleet) -> None:
    """Its workers were told to stop: their trials are cancelled, and so is the study."""
    held = fleet.take()
    studies.change(fleet.db, "streets", StudyChange(state="cancelled"))
    studies.delete(fleet.db, "streets", cancel=True)
    restored = studies.restore(fleet.db, "streets")
    assert restored.state is StudyState.CANCELLED
    trial = overview.trial(fleet.db, "streets", held.trial)
    assert trial.state is TrialState.CANCELLED
    assert trial.finished_at is not None


@pytest.mark.parametrize("state", ["queued", "running", "paused", "finished"])
def test_a_server_of_the_release_before_serves_no_hidden_study(
    clocked_database: Database, state: str
) -> None:
    """It knows of no hiding, only of states: the row's own is over for good."""
    db = clocked_database
    with db.transaction() as session:
        session.add(study_row(state=state))
    studies.delete(db, "streets", cancel=True)
    with db.reading() as session:
        row = session.execute(select(Study.state, Study.deleted_state)).one()
    assert tuple(row) == ("cancelled", state)


def test_losses_of_a_deleted_study_are_not_shown(fleet: Fleet, clock: Clock) -> None:
    """They are listed and counted again when it is restored."""
    fleet.take("w2")
    clock.advance(fleet.lease_seconds + 1)
    upkeep.release_expired(fleet.db)

    def shown() -> tuple[int, int]:
        lost = {worker.name: worker.lost for worker in overview.workers(fleet.db)}
        return len(lost_trials(fleet.db).items), lost["w2"]

    assert shown() == (1, 1)
    studies.delete(fleet.db, "streets")
    assert shown() == (0, 0)
    studies.restore(fleet.db, "streets")
    assert shown() == (1, 1)


def test_its_workers_are_idle(fleet: Fleet) -> None:
    """A worker whose trial went with a study is not shown as busy."""
    fleet.take()
    studies.delete(fleet.db, "streets", cancel=True)
    (worker,) = overview.workers(fleet.db)
    assert (worker.state, worker.study, worker.trial) == ("idle", None, None)


def test_upkeep_removes_it_after_the_undo_time(fleet: Fleet, clock: Clock) -> None:
    """Until then it can be restored; then no row of it is left, and other studies stay."""
    fleet.submit(spec("other"))
    kept = _rows(fleet.db)
    fleet.submit(spec("doomed"))
    fleet.train(fleet.take(study="doomed"))
    studies.delete(fleet.db, "doomed")
    clock.advance(UNDO.total_seconds() - 1)
    upkeep.run(fleet.db, undo=UNDO)
    assert studies.restore(fleet.db, "doomed").counts.completed == 1

    studies.delete(fleet.db, "doomed")
    clock.advance(UNDO.total_seconds())
    upkeep.run(fleet.db, undo=UNDO)

    assert _rows(fleet.db) == kept
    with pytest.raises(NotFound, match="no deleted study has the name 'doomed'; after a while"):
        studies.restore(fleet.db, "doomed")


def test_a_large_one_goes_in_parts(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is begun goes on with the next upkeep, and cannot be restored any more."""
    fleet.train(fleet.take())
    monkeypatch.setattr("tuner.store.deletion._TRIALS", 1)
    monkeypatch.setattr("tuner.service.upkeep.BATCH", 1)
    studies.delete(fleet.db, "streets")
    clock.advance(UNDO.total_seconds())

    assert upkeep.remove_deleted(fleet.db, UNDO) == 0
    assert _rows(fleet.db)["trials"] == 1
    with pytest.raises(NotFound):
        studies.restore(fleet.db, "streets")
    longer = UNDO * 100  # the setting may have changed meanwhile
    rounds = [upkeep.remove_deleted(fleet.db, UNDO) for _ in range(4)]
    assert sum(rounds) == 1
    assert upkeep.remove_deleted(fleet.db, longer) == 0
    assert not any(_rows(fleet.db).values())


def test_its_files_stay_while_it_can_be_restored(fleet: Fleet, tmp_path: object) -> None:
    """An artifact of a deleted study is not given out, but its row goes on naming the file."""
    held = fleet.take()
    store = ArtifactStore(tmp_path / "files")  # type: ignore[operator]
    stored: Stored = store.write([b"log"], sha256=None, limit=9)
    file = Upload("log.txt", ArtifactKind.LOG, None, stored)
    reference = artifacts.attach(fleet.db, held.lease, held.token, file, store=store)
    studies.delete(fleet.db, "streets", cancel=True)

    with pytest.raises(NotFound):
        artifacts.locate(fleet.db, reference.id)
    upkeep.run(fleet.db, store)
    upkeep.sweep(fleet.db, store)
    studies.restore(fleet.db, "streets")
    assert artifacts.locate(fleet.db, reference.id) == reference
