"""One damaged study, trial or worker stops nobody else: it is shown with its reason, and left."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text, update

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.errors import InvalidSpec, NewerDocument, Problem, SegtuneError, StorageError, Unreadable
from tuner.search.suggest import Suggester
from tuner.service import assignments, overview, planning, scheduling, studies, upkeep
from tuner.service.searches import Searches
from tuner.spec.messages import LeaseRequest
from tuner.spec.states import StudyState, TrialState
from tuner.spec.upgrades import SPEC_VERSION
from tuner.spec.views import CloneRequest, StudyChange
from tuner.store import studies as study_rows
from tuner.store.engine import Database
from tuner.store.group import Job
from tuner.store.tables import Study, Trial, Worker

DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a foreign key": lambda document: {**document, "colour": "blue"},
    "a missing key": lambda document: {k: v for k, v in document.items() if k != "dataset"},
    "a wrong type": lambda document: {**document, "search": "thorough"},
    "a foreign value": lambda document: {**document, "objectives": [{"metric": 3}]},
    "an empty object": lambda document: {},
    "a list": lambda document: [document],
    "a number": lambda document: 7,
}


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with two queued studies; the first is asked first."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec("broken", priority=90))
    fleet.submit(spec("sound"))
    return fleet


def damage(fleet: Fleet, change: Callable[[dict[str, Any]], Any], name: str = "broken") -> None:
    """Change the stored document of a study behind the service's back."""
    with fleet.db.transaction() as session:
        row = study_rows.find(session, name)
        session.execute(update(Study).where(Study.id == row.id).values(spec=change(row.spec)))


def newer(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a later release might write it."""
    return {**document, "spec_version": SPEC_VERSION + 1, "colour": "blue"}


def damaged(fleet: Fleet) -> list[str]:
    """Names of studies that are damaged in every way, all asked before the sound one."""
    names = []
    for kind, change in DAMAGE.items():
        names.append(kind.replace(" ", "-"))
        fleet.submit(spec(names[-1], priority=90))
        damage(fleet, change, names[-1])
    return names


def test_studies_that_cannot_be_read_are_failed_and_passed_over(fleet: Fleet) -> None:
    """The worker gets another study's trial; the list shows what is wrong with each."""
    names = damaged(fleet)
    assert fleet.take().study == "broken"
    listed = {one.name: one for one in overview.studies(fleet.db).items}
    for name in names:
        assert (listed[name].state, listed[name].readable) == (StudyState.FAILED, False)
        assert f"study '{name}' (id {listed[name].id}) cannot be read" in listed[name].reason
        with fleet.db.reading() as session:
            row = study_rows.find(session, name)
            assert (row.state, row.reason) == (StudyState.FAILED, listed[name].reason)
    assert (listed["broken"].state, listed["broken"].readable) == (StudyState.RUNNING, True)


def test_a_study_that_cannot_be_read_is_a_clear_problem_and_can_be_deleted(fleet: Fleet) -> None:
    """Every direct look at it names it; deleting it needs no look, even while a trial runs."""
    fleet.take(study="broken")
    damage(fleet, DAMAGE["a foreign key"])
    for name in ("broken", *damaged(fleet)):
        looks: list[Callable[[], object]] = [
            partial(overview.study, fleet.db, name),
            partial(overview.trials, fleet.db, name),
            partial(overview.curves, fleet.db, name),
            partial(overview.history, fleet.db, name),
            partial(overview.best, fleet.db, name),
            partial(overview.pareto, fleet.db, name),
            partial(studies.enqueue, fleet.db, name, {}),
            partial(studies.clone, fleet.db, name, CloneRequest()),
            partial(studies.change, fleet.db, name, StudyChange(trials=3)),
        ]
        for look in looks:
            with pytest.raises(Unreadable, match=name):
                look()
        studies.delete(fleet.db, name)
    assert [one.name for one in overview.studies(fleet.db).items] == ["sound"]


def test_a_document_that_is_no_json_spoils_no_other(sqlite_url: str) -> None:
    """SQLite keeps any text in a JSON column; the studies around such a one are read."""
    fleet = Fleet(Database(sqlite_url))
    fleet.submit(spec("broken", priority=90))
    fleet.submit(spec("sound"))
    with fleet.db.transaction() as session:
        session.execute(text("UPDATE studies SET spec = '{\"name\": ' WHERE name = 'broken'"))
    assert fleet.take().study == "sound"
    assert [one.readable for one in overview.studies(fleet.db).items] == [True, False]
    fleet.db.dispose()


def test_a_study_of_a_later_release_is_left_to_it(fleet: Fleet) -> None:
    """It is passed over, shown with what to do, and not changed: its own servers go on with it."""
    damage(fleet, newer)
    assert fleet.take().study == "sound"
    assert upkeep.run(fleet.db) == 0
    _, broken = overview.studies(fleet.db).items
    assert (broken.state, broken.readable) == (StudyState.FAILED, False)
    assert f"spec_version {SPEC_VERSION + 1} is newer than this release" in broken.reason
    with pytest.raises(NewerDocument, match="install the release that wrote it"):
        overview.study(fleet.db, "broken")
    damage(fleet, lambda document: {k: v for k, v in document.items() if k != "colour"} | OURS)
    assert fleet.take().study == "broken"


OURS = {"spec_version": SPEC_VERSION}


def test_a_study_that_was_deleted_meanwhile_is_passed_over(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of studies and the lock of one, it may be gone."""
    listed = scheduling.in_turn

    def then_deleted(db: Database, request: LeaseRequest) -> Any:
        found = listed(db, request)
        studies.delete(db, "broken")
        return found

    monkeypatch.setattr("tuner.service.assignments.in_turn", then_deleted)
    assert fleet.take().study == "sound"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidSpec([Problem(("model", "decoder"), "no such pair")]), "model.decoder: no such"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (KeyError("miou"), "KeyError: 'miou'"),
        (SegtuneError("the sampler gave up"), "the sampler gave up"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_study_whose_draw_fails_is_failed_with_its_reason(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    """Whatever a sampler raises, the worker gets another study's trial."""
    draw = Suggester.draw

    def fails(self: Suggester, seen: Any, number: int, **how: Any) -> Any:
        if number == 1:
            raise error
        return draw(self, seen, number, **how)

    monkeypatch.setattr(Suggester, "draw", fails)
    running = fleet.take()
    assert running.study == "broken"
    assert fleet.take("w2").study == "sound"
    broken = overview.study(fleet.db, "broken")
    assert broken.state is StudyState.FAILED
    assert broken.reason.startswith("the next trial could not be drawn: ")
    assert told in broken.reason
    assert fleet.heartbeat(running).verdict.action == "stop"


def test_params_that_make_no_config_fail_their_study_alone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corner of the space that submission did not try is found at the draw."""

    def refuses(*_: object, **__: object) -> None:
        raise InvalidSpec([Problem(("model",), "ocr has no option 'rates'")])

    with monkeypatch.context() as patch:
        patch.setattr(assignments, "trial_config", refuses)
        assert fleet.ask() is None
    for name in ("broken", "sound"):
        view = overview.study(fleet.db, name)
        assert view.state is StudyState.FAILED
        assert "ocr has no option 'rates'" in view.reason


def test_a_database_that_refuses_one_study_is_no_fault_of_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next study is asked; only where none gives a trial does the worker hear of it."""
    together = fleet.db.together

    def refuses(job: Job[Any]) -> Any:
        if job.need.study == broken:
            raise StorageError("the disk is full")
        return together(job)

    broken = overview.study(fleet.db, "broken").id
    monkeypatch.setattr(fleet.db, "together", refuses)
    assert fleet.take().study == "sound"
    assert overview.study(fleet.db, "broken").state is StudyState.QUEUED
    with pytest.raises(StorageError, match="the disk is full"):
        fleet.ask("w2", study="broken")


def test_a_trial_whose_config_cannot_be_read_is_failed_and_the_next_one_given(
    fleet: Fleet,
) -> None:
    """Of a study with a waiting trial by hand that is damaged, a worker gets the trial after it."""
    studies.enqueue(fleet.db, "broken", {})
    with fleet.db.transaction() as session:
        session.execute(update(Trial).values(config={"training": {"epochs": "many"}}))
    held = fleet.take()
    assert (held.study, held.trial) == ("broken", 1)
    first = next(iter(overview.trials(fleet.db, "broken").items))
    assert first.state is TrialState.FAILED
    assert "cannot be read" in first.reason


def test_a_damaged_trial_spoils_no_list(fleet: Fleet) -> None:
    """It is shown as failed with its reason, and counts as failed; the others are as they were."""
    for worker in ("w1", "w2", "w3"):
        fleet.train(fleet.take(worker, study="broken"))
    changes: tuple[dict[str, Any], ...] = (
        {"state": "dreaming"},
        {"source": "oracle"},
        {"metrics": {"miou": "high"}},
    )
    for number, change in enumerate(changes):
        with fleet.db.transaction() as session:
            session.execute(update(Trial).where(Trial.number == number).values(**change))
    listed = overview.trials(fleet.db, "broken").items
    assert [one.state for one in listed] == [TrialState.FAILED] * 3
    assert all("cannot be read" in one.reason for one in listed)
    assert overview.study(fleet.db, "broken").counts.failed == 1
    assert len(overview.history(fleet.db, "broken")) == 3
    assert len(overview.curves(fleet.db, "broken")) == 3
    assert [one.name for one in overview.studies(fleet.db).items] == ["sound", "broken"]


def test_a_damaged_trial_is_a_clear_problem_and_spoils_no_search(fleet: Fleet) -> None:
    """Looked at by itself it is refused with its reason; the search goes on without it."""
    changes: tuple[dict[str, Any], ...] = (
        {"state": "dreaming", "config": {}},
        {"metrics": {"miou": "high"}},
        {"metrics": ["miou"]},
        {"config": 3},
    )
    for _ in changes:
        fleet.train(fleet.take(study="broken"))
    for number, change in enumerate(changes):
        with fleet.db.transaction() as session:
            session.execute(update(Trial).where(Trial.number == number).values(**change))
    fleet.searches = Searches()  # as a server that was started since then
    assert fleet.take(study="broken").trial == len(changes)
    for number in range(len(changes)):
        with pytest.raises(Unreadable, match=f"trial {number}"):
            overview.trial(fleet.db, "broken", number)
    assert overview.study(fleet.db, "broken").state is StudyState.RUNNING


def test_a_study_in_a_state_of_another_release_is_a_clear_problem(fleet: Fleet) -> None:
    """It is shown as failed in the list, and refused by itself."""
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(state="dreaming"))
    assert fleet.take().study == "sound"
    assert [one.readable for one in overview.studies(fleet.db).items] == [True, False]
    with pytest.raises(Unreadable, match="'dreaming' is not a valid StudyState"):
        overview.study(fleet.db, "broken")


def test_a_verdict_of_another_release_is_none(fleet: Fleet) -> None:
    """The trial goes on, whatever its last verdict was called."""
    held = fleet.take()
    with fleet.db.transaction() as session:
        session.execute(update(Trial).values(verdict={"action": "ponder"}))
    assert fleet.report(held, 1).verdict.action == "continue"


def test_a_worker_that_says_what_we_do_not_know_spoils_no_list(fleet: Fleet) -> None:
    """What is understood of its capabilities is shown; another worker is as it was."""
    fleet.take("w1")
    fleet.take("w2")
    odd = {"hostname": "node-7", "cpus": 4, "device": {"kind": "tpu", "pods": 2}, "mood": "fine"}
    with fleet.db.transaction() as session:
        session.execute(update(Worker).where(Worker.name == "w1").values(capabilities=odd))
    shown = {one.name: one.capabilities for one in overview.workers(fleet.db)}
    assert (shown["w1"].hostname, shown["w1"].cpus) == ("node-7", 4)
    assert shown["w2"].hostname == ""
    assert [one.name for one in overview.studies(fleet.db).items] == ["sound", "broken"]


def test_a_lease_of_a_damaged_study_is_released_with_the_others(fleet: Fleet, clock: Clock) -> None:
    """The trials of both lost their workers; that of the damaged one is not asked for again."""
    fleet.take("w1")
    fleet.take("w2", study="sound")
    damage(fleet, DAMAGE["a foreign key"])
    clock.advance(LEASE_SECONDS + 1)
    assert upkeep.run(fleet.db) == 2
    assert overview.trial(fleet.db, "sound", 0).state is TrialState.WAITING
    with fleet.db.reading() as session:
        row = study_rows.find(session, "broken")
        assert row.state == StudyState.FAILED
        assert study_rows.count_trials(session, [row.id])[row.id] == {TrialState.CANCELLED: 1}


def test_leases_that_cannot_be_released_hide_none_behind_them(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep takes the oldest first, a batch at a time; those it must leave are passed over."""
    monkeypatch.setattr(upkeep, "BATCH", 1)
    for worker in ("w1", "w2"):
        fleet.take(worker, study="broken")
    clock.advance(1)
    fleet.take("w3", study="sound")
    damage(fleet, newer)
    clock.advance(LEASE_SECONDS + 1)
    assert upkeep.run(fleet.db) == 1
    assert overview.trial(fleet.db, "sound", 0).state is TrialState.WAITING


def test_a_damaged_study_keeps_no_other_from_its_deadline(
    clocked_database: Database, clock: Clock
) -> None:
    """Hours that passed while nobody asked end the sound study, whatever stands beside it."""
    fleet = Fleet(clocked_database)
    limits = {"sampler": "random", "pruner": "none", "trials": 8, "max_wall_hours": 1.0}
    for name in ("broken", "sound"):
        fleet.submit(spec(name, search=limits))
        fleet.train(fleet.take(study=name))
    damage(fleet, DAMAGE["a wrong type"])
    clock.advance(3700)
    assert upkeep.run(fleet.db) == 1
    assert overview.study(fleet.db, "sound").state is StudyState.FINISHED


def test_one_duty_that_fails_keeps_no_other_waiting(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that raises is logged, and the leases that ran out are released all the same."""
    fleet.take("w1")
    clock.advance(LEASE_SECONDS + 1)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(study_rows, "list_in", fails)
    monkeypatch.setattr(study_rows, "forget", fails)
    assert upkeep.run(fleet.db) == 1


def test_a_plan_is_priced_beside_a_damaged_study(fleet: Fleet) -> None:
    """The pace of an epoch is looked for in every study; what cannot be read has none."""
    fleet.train(fleet.take(study="broken"))
    damage(fleet, DAMAGE["a missing key"])
    assert planning.plan(fleet.db, spec("third")).cost is None
    fleet.train(fleet.take(study="sound"))
    assert planning.plan(fleet.db, spec("third")).cost is not None


def test_a_damaged_trial_of_an_earlier_study_teaches_nothing(
    clocked_database: Database,
) -> None:
    """A study that is warm-started from it learns from its other trials."""
    fleet = Fleet(clocked_database)
    small = {"sampler": "random", "pruner": "none", "trials": 3}
    fleet.submit(spec("earlier", search=small))
    for _ in range(3):
        fleet.train(fleet.take())
    with fleet.db.transaction() as session:
        changed = update(Trial).where(Trial.number == 1)
        session.execute(changed.values(metrics={"miou": "high"}, config=[1]))
    fleet.submit(spec("later", search={**small, "sampler": "tpe", "warm_start": ["earlier"]}))
    for _ in range(2):
        fleet.train(fleet.take())
    assert overview.study(fleet.db, "later").state is StudyState.RUNNING


def test_a_worker_that_asks_of_nothing_readable_is_still_known(fleet: Fleet) -> None:
    """It gets no trial, no error, and stands on the list of workers."""
    damage(fleet, DAMAGE["a list"], "broken")
    damage(fleet, DAMAGE["a number"], "sound")
    request = LeaseRequest(worker="w9")
    found = assignments.take(
        fleet.db, request, lease_seconds=LEASE_SECONDS, searches=fleet.searches
    )
    assert found is None
    assert [worker.name for worker in overview.workers(fleet.db)] == ["w9"]
