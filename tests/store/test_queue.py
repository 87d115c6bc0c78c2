"""The queue says what waits and why, and the next worker that asks proves it right."""

from typing import Any

import pytest

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec, study_row
from tests.store.test_promotion import promoting
from tuner.service import fleet as fleet_use
from tuner.service import overview, studies
from tuner.service.acting import acting_as
from tuner.service.queue import depth, queue
from tuner.spec.access import EVERYTHING, Caller
from tuner.spec.fleet import QueueDepth, QueueEntry, Why
from tuner.spec.messages import Capabilities, Device, OutcomeKind
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

SEARCH = {"sampler": "random", "pruner": "none", "trials": 8, "parallel": 8}


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of an empty database."""
    return Fleet(clocked_database)


def entries(fleet: Fleet) -> dict[str, QueueEntry]:
    """The queue by study, in its order."""
    return {entry.study: entry for entry in queue(fleet.db).entries}


def only(fleet: Fleet) -> QueueEntry:
    """The one study of the queue."""
    (entry,) = queue(fleet.db).entries
    return entry


def test_an_empty_queue(fleet: Fleet) -> None:
    """Nothing waits, and nobody is there."""
    assert queue(fleet.db).model_dump() == {"entries": (), "workers": 0, "free": ()}


def test_a_study_waits_for_a_worker(fleet: Fleet) -> None:
    """None is there; then one that is free, and takes it; then all are busy."""
    fleet.submit()
    assert (only(fleet).why, only(fleet).reason) == (
        Why.NO_WORKER,
        "no worker is there; start one with `segtune worker`",
    )
    fleet.ask("w1", study="none")
    entry = only(fleet)
    assert (entry.place, entry.why, entry.free) == (1, Why.NEXT, ("w1",))
    assert entry.reason == "w1 is free and takes it next"
    fleet.take("w1")
    entry = only(fleet)
    assert (entry.why, entry.running, entry.left) == (Why.BUSY, 1, 7)
    assert entry.reason == "the only worker that fits is busy"


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"gpus": 1}, "it asks for a GPU, and no worker has one"),
        ({"gpus": 0, "labels": {"site": "x"}}, "it asks for the label site=x, and no worker has"),
        ({"gpus": 0, "memory_gb": 80}, "it asks for 80 GB of device memory, and no worker has"),
    ],
)
def test_a_study_waits_for_a_worker_that_fits(
    fleet: Fleet, resources: dict[str, Any], reason: str
) -> None:
    """Device, memory and labels: what is missing is named, as where the study is shown."""
    fleet.submit(spec(resources=resources))
    assert fleet.ask("w1") is None
    entry = only(fleet)
    assert (entry.place, entry.why, entry.workers) == (None, Why.NO_WORKER, ())
    assert entry.reason.startswith(reason)


def test_a_study_that_no_worker_can_read_the_data_of(fleet: Fleet, clock: Clock) -> None:
    """What the worker lacks is the reason, until it may try again."""
    fleet.submit()
    fleet.give_back(fleet.take("w1"))
    entry = only(fleet)
    assert (entry.why, entry.waiting) == (Why.NO_WORKER, 1)
    assert "root 'set' is not there" in entry.reason
    clock.advance(600)
    fleet.ask("w2", study="none")
    assert only(fleet).why is Why.NEXT


def test_a_drained_worker_fits_nothing(fleet: Fleet) -> None:
    """It is there, and neither free nor fit."""
    fleet.submit()
    fleet.ask("w1", study="none")
    fleet_use.drain(fleet.db, "w1")
    assert "w1: it is drained" in only(fleet).reason
    assert (queue(fleet.db).workers, queue(fleet.db).free) == (1, ())


def test_as_many_run_as_may(fleet: Fleet) -> None:
    """A study at its `parallel` waits for itself."""
    fleet.submit(spec(search={**SEARCH, "parallel": 1}))
    fleet.take("w1")
    fleet.ask("w2", study="none")
    entry = only(fleet)
    assert (entry.place, entry.why) == (None, Why.PARALLEL)
    assert entry.reason == "1 trial of it runs, as many as its `parallel` allows"


def test_all_is_drawn(fleet: Fleet) -> None:
    """A study whose last trials run waits for nobody."""
    fleet.submit(spec(search={**SEARCH, "trials": 2}))
    fleet.take("w1"), fleet.take("w2")
    entry = only(fleet)
    assert (entry.why, entry.left) == (Why.DRAWN, 0)
    assert entry.reason == "all is drawn: it ends with 2 trials that run"


def test_a_paused_study_and_a_spent_one(fleet: Fleet, clock: Clock) -> None:
    """Both stand behind what is served, with their reasons."""
    fleet.submit(spec("rest", priority=90))
    fleet.submit(spec("spent", priority=80, search={**SEARCH, "max_wall_hours": 1}))
    fleet.submit(spec("streets"))
    fleet.take("w1", study="spent")
    studies.change(fleet.db, "rest", StudyChange(state="paused"))
    clock.advance(3601)
    found = entries(fleet)
    assert list(found) == ["streets", "rest", "spent"]
    assert (found["rest"].why, found["rest"].reason) == (Why.PAUSED, "paused by a user")
    assert found["spent"].why is Why.SPENT
    assert found["spent"].reason == "the study's limit of 1 hour since its first trial has passed"


def test_paused_trials_wait_for_their_rung(fleet: Fleet) -> None:
    """Through a whole search that pauses, a free worker gets a trial exactly when the queue says
    so; at its end nothing that is paused may go on while another trains to the same rung.
    """
    fleet.submit(promoting(6))
    assert fleet.take("base").trial == 0
    seen = set[Why]()
    for value in (0.1, 0.9, 0.2, 0.8, 0.3, 0.85, 0.4, 0.5, 0.95):
        fleet.ask("w1", study="none")
        entry = only(fleet)
        held = fleet.ask("w1")
        assert (held is not None) == (entry.free == ("w1",)), entry
        seen.add(entry.why)
        if held is None:
            break
        steps = range(held.last_step + 1, 3 if held.last_step < 2 else 10)
        verdict = fleet.report(held, *steps, value=value).verdict
        fleet.finish(held, verdict.action.outcome or OutcomeKind.YIELDED)
    assert {Why.NEXT, Why.AT_RUNG} <= seen


def test_a_document_that_cannot_be_read(fleet: Fleet) -> None:
    """It is named, and hides no other study."""
    fleet.submit()
    with fleet.db.transaction() as session:
        session.add(study_row(spec("broken"), spec={"name": "broken", "search": 3}))
    found = entries(fleet)
    assert found["broken"].why is Why.UNREADABLE
    assert "'broken'" in found["broken"].reason
    assert found["streets"].why is Why.NO_WORKER


def test_the_order_is_that_in_which_workers_get_trials(fleet: Fleet) -> None:
    """Priority, then running trials by weight, then age: each worker gets the first of the queue
    that it fits, until nothing is left.
    """
    gpu = Capabilities(device=Device(kind="cuda", memory_gb=16))
    fleet.submit(spec("old", search={**SEARCH, "trials": 3}))
    fleet.submit(spec("heavy", weight=2.0, search={**SEARCH, "trials": 4}))
    fleet.submit(spec("urgent", priority=90, search={**SEARCH, "trials": 2, "parallel": 1}))
    fleet.submit(spec("gpu", priority=95, resources={"gpus": 1}, search={**SEARCH, "trials": 2}))
    for index in range(12):
        name, can = f"w{index:02}", gpu if index % 3 == 0 else Capabilities()
        fleet.ask(name, study="none", can=can)
        takes = [entry.study for entry in queue(fleet.db).entries if name in entry.free]
        held = fleet.ask(name, can=can)
        assert takes == ([] if held is None else [held.study]), queue(fleet.db)


def test_a_free_worker_goes_to_the_first(fleet: Fleet) -> None:
    """Where there is one worker and two studies, the second says who comes first."""
    fleet.submit(spec("one", priority=80))
    fleet.submit(spec("two"))
    fleet.ask("w1", study="none")
    found = entries(fleet)
    assert (found["two"].why, found["two"].behind) == (Why.BEHIND, ("one",))
    assert found["two"].reason == "w1 is free, but one comes first"
    fleet.take("w1")
    assert entries(fleet)["two"].reason == "the only worker that fits is busy, and one comes first"


def test_what_is_ready(fleet: Fleet) -> None:
    """As many trials as more workers would be given: what is left, within `parallel`."""
    fleet.submit(spec("wide", search={**SEARCH, "trials": 5, "parallel": 3}))
    assert queue(fleet.db).ready == 3
    fleet.take("w1")
    assert (queue(fleet.db).ready, only(fleet).why) == (2, Why.BUSY)
    fleet.take("w2"), fleet.take("w3")
    assert (queue(fleet.db).ready, only(fleet).why) == (0, Why.PARALLEL)
    fleet.submit(spec("last", search={**SEARCH, "trials": 1}))
    assert [entry.ready for entry in queue(fleet.db).entries] == [1, 0]
    studies.change(fleet.db, "last", StudyChange(state="paused"))
    assert queue(fleet.db).ready == 0


def test_a_worker_says_how_many_trials_it_holds(fleet: Fleet) -> None:
    """One that works on several at once is one worker, with their number."""
    fleet.submit()
    fleet.take("w1"), fleet.take("w1"), fleet.ask("w2", study="none")
    found = {worker.name: worker.running for worker in overview.workers(fleet.db)}
    assert found == {"w1": 2, "w2": 0}


def test_the_depth_counts_what_more_workers_could_begin(fleet: Fleet) -> None:
    """Within `parallel`, with or without a worker that is there; a paused study has nothing."""
    fleet.submit(spec(search={**SEARCH, "parallel": 3}))
    assert depth(queue(fleet.db)) == QueueDepth(ready=3, running=0, workers=0, free=0)
    fleet.take("w1")
    assert depth(queue(fleet.db)) == QueueDepth(ready=2, running=1, workers=1, free=0)
    studies.change(fleet.db, only(fleet).study_id, StudyChange(state="paused"))
    assert depth(queue(fleet.db)) == QueueDepth(ready=0, running=1, workers=1, free=0)


def test_owners_have_equal_shares_whatever_their_studies(fleet: Fleet) -> None:
    """Two of one owner get as many trials together as the one of another; priority comes first."""
    for owner, name in (("ada", "a1"), ("ada", "a2"), ("bob", "b1")):
        with acting_as(Caller(owner, owner, EVERYTHING)):
            fleet.submit(spec(name=name, search=SEARCH))
    free = [f"w{number}" for number in range(8)]
    for worker in free:
        fleet.ask(worker, study="none")
    told = {worker: name for name, entry in entries(fleet).items() for worker in entry.free}
    given = [fleet.take(worker).study for worker in free]
    assert given == [told[worker] for worker in free]
    assert [given.count(name) for name in ("a1", "a2", "b1")] == [2, 2, 4]
    urgent = spec(name="a3", search=SEARCH, priority=60)
    with acting_as(Caller("ada", "ada", EVERYTHING)):
        fleet.submit(urgent)
    assert fleet.take("late").study == "a3"
