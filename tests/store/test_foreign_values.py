"""Foreign values beside a study's document stop nobody: neither its own workers nor the others."""

from typing import Any

import pytest
from sqlalchemy import update

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import Conflict, Unreadable
from tuner.service import overview, studies
from tuner.spec.states import StudyState
from tuner.spec.views import StudyChange
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial, Worker

FOREIGN: tuple[Any, ...] = ([], [1], 5, "x", {"": 5}, {"worker w1": 5}, {" ": "x"})


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with two queued studies; the first is asked first."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec("broken", priority=90))
    fleet.submit(spec("sound"))
    return fleet


@pytest.mark.parametrize("stored", FOREIGN, ids=repr)
def test_foreign_json_beside_a_study_keeps_no_worker_from_its_trial(
    fleet: Fleet, stored: Any
) -> None:
    """Warnings, verdict, provenance and unfitness may hold anything: the trial is reported, given
    back for its worker's sake, and taken up again.
    """
    held = fleet.take("w1", study="broken")
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(warnings=stored))
        session.execute(update(Trial).values(verdict=stored, provenance=stored))
        session.execute(update(Worker).values(unfit=stored))
    fleet.report(held, 1)
    fleet.give_back(held, "machine", "disk full")
    assert fleet.take("w2", study="broken").trial == held.trial
    assert "disk full" in overview.study(fleet.db, "broken").warnings[0]
    assert {one.name: one.state for one in overview.workers(fleet.db)}["w1"] == "unfit"


def test_a_running_study_that_cannot_be_shown_can_be_deleted(fleet: Fleet) -> None:
    """It cannot be cancelled first; one that can be shown must be."""
    fleet.take(study="broken")
    with pytest.raises(Conflict, match="cancel it first"):
        studies.delete(fleet.db, "broken")
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(data_versions=[5]))
    with pytest.raises(Unreadable):
        studies.change(fleet.db, "broken", StudyChange(state="cancelled"))
    studies.delete(fleet.db, "broken")
    assert [one.name for one in overview.studies(fleet.db).items] == ["sound"]


def test_a_study_of_no_weight_stops_no_other(fleet: Fleet) -> None:
    """Its share cannot be reckoned; it is failed with the reason, the next study is served."""
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(weight=0))
    assert fleet.take().study == "sound"
    assert overview.study(fleet.db, "broken").state is StudyState.FAILED


def test_no_best_of_a_study_in_a_state_of_another_release(fleet: Fleet) -> None:
    """Asked for its best trial it is as clear a problem as by itself."""
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(state="dreaming"))
    with pytest.raises(Unreadable, match="dreaming"):
        overview.best(fleet.db, "broken")


def test_sums_without_bound_spoil_no_list(fleet: Fleet) -> None:
    """Seconds that are no number any more are shown as none."""
    fleet.train(fleet.take(study="broken"))
    with fleet.db.transaction() as session:
        session.execute(update(Study).where(Study.name == "broken").values(seconds=float("inf")))
        session.execute(update(Trial).values(seconds=float("inf")))
    assert [one.seconds for one in overview.trials(fleet.db, "broken").items] == [0]
    assert {one.name for one in overview.studies(fleet.db).items} == {"broken", "sound"}
