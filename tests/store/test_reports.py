"""Reports are stored once, in order, or not at all."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.store.fleet import Fleet
from tuner.errors import Conflict, InvalidInput
from tuner.service import overview, studies, upkeep
from tuner.store.engine import Database
from tuner.store.reports import pack, unpack
from tuner.store.tables import Report

COUNTS = st.integers(min_value=0, max_value=2**63 - 1)
SQUARES = st.integers(min_value=1, max_value=6).flatmap(
    lambda size: st.lists(
        st.lists(COUNTS, min_size=size, max_size=size), min_size=size, max_size=size
    )
)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Workers of a database with one queued study of three epochs per trial."""
    fleet = Fleet(database)
    fleet.submit()
    return fleet


def stored(fleet: Fleet) -> list[tuple[int, float]]:
    """Steps and values of trial 0 as the store has them."""
    steps = overview.steps(fleet.db, "streets", 0)
    return [(step.step, step.metrics["miou"]) for step in steps]


def test_a_report_sent_again_is_not_stored_again(fleet: Fleet) -> None:
    """A retry after a lost answer changes nothing, whatever it says."""
    held = fleet.take()
    assert fleet.report(held, 1, 2, value=0.4).stored == 2
    assert fleet.report(held, 1, 2, value=0.9).stored == 0
    assert stored(fleet) == [(1, 0.4), (2, 0.4)]
    assert overview.study(fleet.db, "streets").epochs == 2


def test_a_batch_that_is_half_known_adds_the_rest(fleet: Fleet) -> None:
    """A worker whose outbox has grown sends old and new steps together."""
    held = fleet.take()
    fleet.report(held, 1, value=0.4)
    assert fleet.report(held, 1, 2, 3, value=0.5).stored == 2
    assert stored(fleet) == [(1, 0.4), (2, 0.5), (3, 0.5)]


def test_a_gap_is_refused_whole(fleet: Fleet) -> None:
    """A step that does not follow stores nothing of its batch, and tells no event."""
    held = fleet.take()
    before = len(overview.events(fleet.db, "streets"))
    with pytest.raises(Conflict, match="step 3"):
        fleet.report(held, 1, 3)
    assert stored(fleet) == []
    assert len(overview.events(fleet.db, "streets")) == before


def test_a_step_beyond_the_budget_is_refused(fleet: Fleet) -> None:
    """A trial of three epochs has no fourth."""
    held = fleet.take()
    with pytest.raises(InvalidInput, match="3 epochs"):
        fleet.report(held, 1, 2, 3, 4)
    assert stored(fleet) == []


def test_last_and_best_values_follow_the_direction(fleet: Fleet) -> None:
    """A trial's value is its last step's; its best value is the highest when maximizing."""
    held = fleet.take()
    for step, value in enumerate((0.2, 0.6, 0.4), start=1):
        fleet.report(held, step, value=value)
    trial = overview.trial(fleet.db, "streets", 0)
    assert (trial.value, trial.best_value, trial.seconds) == (0.4, 0.6, 6.0)


def test_reports_go_with_their_study(fleet: Fleet) -> None:
    """Deleting a study leaves none of its rows behind."""
    fleet.train(fleet.take())
    studies.delete(fleet.db, "streets")
    upkeep.remove_deleted(fleet.db, timedelta(0))
    with fleet.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Report)) == 0


@given(SQUARES)
def test_confusion_matrices_survive_packing(confusion: list[list[int]]) -> None:
    """Counts come back exactly, up to the largest that an int64 holds."""
    assert unpack(pack(confusion)) == tuple(tuple(row) for row in confusion)
