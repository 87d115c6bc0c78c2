"""Lists of studies: every order pages through every study once, and shows what its page shows."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.store.fleet import Fleet
from tests.store.samples import NOW, spec, study_row, trial_row
from tuner.errors import InvalidInput
from tuner.service import overview, studies, study_lists, tracks
from tuner.service.study_lists import STUDY_SORTS, StudySelection, StudySort
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import StudyState
from tuner.spec.views import StudySummary
from tuner.store.engine import Database
from tuner.store.study_lists import EndedRow
from tuner.store.tables import Study, Trial

FIELDS = ("best_value", "best_trial", "base_value", "epochs_saved", "device_seconds", "counts")


def _pages(db: Database, **wanted: Any) -> list[StudySummary]:
    """Every study, page by page."""
    found = list[StudySummary]()
    cursor: str | None = None
    while True:
        page = study_lists.page(db, StudySelection(cursor=cursor, **wanted))
        assert len(page.items) <= wanted["limit"]
        found += page.items
        cursor = page.next
        if cursor is None:
            assert page.total == len(found)
            return found


def _names(db: Database, **wanted: Any) -> list[str]:
    return [one.name for one in _pages(db, **{"limit": 50, **wanted})]


def _add(session: Session, name: str, **facts: Any) -> None:
    """A study with values of trial 0 and of another one, as `facts` say."""
    document = spec(
        name,
        objectives=[{"metric": facts.get("metric", "miou")}]
        if facts.get("metric") != "train_loss"
        else [{"metric": "train_loss", "direction": "minimize"}],
        priority=facts.get("priority", 50),
        search={"sampler": "random", "trials": facts.get("trials", 4)},
    )
    row = study_row(
        document, state=facts.get("state", "running"), seconds=facts.get("seconds", 0.0)
    )
    session.add(row)
    session.flush()
    values = facts.get("values", ())
    for number, value in enumerate(values):
        session.add(
            trial_row(
                row, number, state="completed", value=value, feasible=True, step=3, finished_at=NOW
            )
        )
    row.trial_count = len(values)


@pytest.fixture
def listed(database: Database) -> Database:
    """Four studies that differ in all that lists are sorted by."""
    with database.transaction() as session:
        _add(session, "bravo", state="finished", values=(0.5, 0.9), seconds=50.0, priority=10)
        _add(session, "alpha", state="running", values=(0.6, 0.7, 0.65), seconds=900.0)
        _add(session, "delta", state="queued", priority=90, trials=9)
        _add(session, "Charlie", state="failed", metric="train_loss", values=(3.0, 1.0), trials=8)
    return database


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("created", "Charlie delta alpha bravo"),
        ("name", "Charlie alpha bravo delta"),
        ("state", "alpha delta bravo Charlie"),
        ("best", "Charlie bravo alpha delta"),
        ("gain", "Charlie bravo alpha delta"),
        ("progress", "alpha bravo Charlie delta"),
        ("priority", "delta Charlie alpha bravo"),
        ("hours", "alpha bravo Charlie delta"),
    ],
)
def test_orders(listed: Database, sort: StudySort, names: str) -> None:
    """By name and state upwards, by all else the most first; of equal ones the newest first."""
    assert _names(listed, sort=sort) == names.split()


def test_an_unknown_value_is_last_both_ways(listed: Database) -> None:
    """A study without a result is neither the best nor the worst."""
    assert _names(listed, sort="gain", descending=False) == ["alpha", "bravo", "Charlie", "delta"]
    assert _names(listed, sort="best", descending=True)[-1] == "delta"


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", 4),
        ("ALP", 1),
        ("a", 4),
        ("lp a", 1),
        ("synthetic", 4),
        ("synthetic brav", 1),
        ("ocr", 4),
        ("%", 0),
        ("_", 4),
        ("'; --", 0),
        ("\0\n", 4),
        ("nowhere", 0),
    ],
)
def test_search(listed: Database, search: str, found: int) -> None:
    """Each word is somewhere in the name, the data set or the networks; signs mean themselves."""
    assert len(_names(listed, search=search)) == found


def test_states_are_counted_for_the_search(listed: Database) -> None:
    """What a filter would show is known before it is chosen; all there are is known too."""
    found = study_lists.listing(
        listed, StudySelection(search="alpha", state=StudyState.RUNNING, limit=1)
    )
    assert (found.states, found.all) == ({"running": 1}, 4)
    assert [one.name for one in found.page.items] == ["alpha"]
    found = study_lists.listing(listed, StudySelection(search="synthetic"))
    assert found.states == {"running": 1, "queued": 1, "failed": 1, "finished": 1}


@pytest.mark.parametrize("sort", STUDY_SORTS)
def test_a_cursor_belongs_to_its_order(listed: Database, sort: StudySort) -> None:
    """One of another order, or of none, is refused, never misread."""
    page = study_lists.page(listed, StudySelection(sort=sort, limit=1))
    other: StudySort = "created" if sort != "created" else "name"
    wrong = [
        StudySelection(sort=other, cursor=page.next),
        StudySelection(sort=sort, descending=sort in {"name", "state"}, cursor=page.next),
        StudySelection(sort=sort, cursor="bm9uc2Vuc2U"),
    ]
    for selection in wrong:
        with pytest.raises(InvalidInput, match="is not a cursor of this list"):
            study_lists.page(listed, selection)


_facts = st.fixed_dictionaries(
    {
        "state": st.sampled_from([state.value for state in StudyState]),
        "priority": st.integers(0, 3),
        "seconds": st.sampled_from([0.0, 1.5, 3e7]),
        "values": st.lists(st.sampled_from([0.1, 0.5, 1 / 3]), max_size=3),
    }
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    many=st.lists(_facts, max_size=7),
    sort=st.sampled_from(STUDY_SORTS),
    descending=st.sampled_from([None, True, False]),
    limit=st.integers(1, 4),
)
def test_every_order_gives_every_study_once(
    database: Database, many: Any, sort: StudySort, descending: bool | None, limit: int
) -> None:
    """Whatever ties there are and however small the pages."""
    with database.transaction() as session:
        session.query(Study).delete()
        for index, facts in enumerate(many):
            _add(session, f"study-{index}", **facts)
    found = _pages(database, sort=sort, descending=descending, limit=limit)
    whole = _pages(database, sort=sort, descending=descending, limit=50)
    assert found == whole
    assert len({one.id for one in found}) == len(many)


def test_a_list_says_what_the_study_says(clocked_database: Database) -> None:
    """Best, base, savings and counts are the same as on the study's own page, at every moment."""
    fleet = Fleet(clocked_database)
    pruning = {
        "sampler": "random",
        "pruner": "none",
        "trials": 8,
        "confirm": {"top": 1, "seeds": 2},
    }
    fleet.submit(spec(search=pruning))
    kinds = [OutcomeKind.COMPLETED] * 3 + [OutcomeKind.PRUNED, OutcomeKind.FAILED]
    for index, kind in enumerate(kinds * 2):
        held = fleet.ask()
        if held is None:
            break
        steps = (1, 2, 3) if kind is OutcomeKind.COMPLETED else (1,)
        fleet.report(held, *steps, value=0.5 + index / 100 * (-1) ** index)
        fleet.finish(held, kind)
        (listed,) = overview.studies(fleet.db).items
        view = overview.study(fleet.db, "streets")
        assert {name: getattr(listed, name) for name in FIELDS} == {
            name: getattr(view, name) for name in FIELDS
        }
        assert listed.seconds_saved == pytest.approx(view.seconds_saved)
    assert view.counts.ended >= 8


def test_a_trend_is_the_best_so_far(clocked_database: Database) -> None:
    """It has a point for each improvement, and goes on to the last trial that ended."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    for value in (0.5, 0.4, 0.7, 0.6):
        fleet.train(fleet.take(), value=value)
        (listed,) = overview.studies(fleet.db).items  # read anew each time, from where it was
    assert listed.trend == ((1, 0.5), (3, 0.7), (4, 0.7))


def test_a_list_reads_no_trial_twice(
    clocked_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended trials are read once for all studies, then only what changed since."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    fleet.train(fleet.take())
    overview.studies(fleet.db)
    fleet.train(fleet.take(), value=0.9)
    asked = list[int]()

    def ended(session: Session, study_ids: Sequence[int]) -> Iterator[EndedRow]:
        asked.extend(study_ids)
        return iter(())

    monkeypatch.setattr("tuner.store.study_lists.ended", ended)
    (listed,) = overview.studies(fleet.db).items
    assert (listed.best_value, listed.counts.completed, asked) == (0.9, 2, [])


def test_a_track_that_is_wrong_is_read_anew(clocked_database: Database) -> None:
    """Where a trial that had ended has changed again, nothing of it is counted twice."""
    fleet = Fleet(clocked_database)
    study = fleet.submit().id
    fleet.train(fleet.take(), value=0.9)
    fleet.train(fleet.take(), value=0.5)
    overview.studies(fleet.db)
    with clocked_database.transaction() as session:
        session.execute(update(Study).values(event_seq=Study.event_seq + 1))
        again = update(Trial).where(Trial.study_id == study, Trial.number == 0)
        session.execute(again.values(revision=10_000, state="failed"))
    (listed,) = overview.studies(fleet.db).items
    assert (listed.best_value, listed.trend) == (0.5, ((2, 0.5),))


@pytest.mark.parametrize("size", [1, 2, 29, 30, 31, 1000])
def test_points_are_thinned_evenly(size: int) -> None:
    """At most 30 are left, the first and the last among them, in order."""
    points = [(index, float(index)) for index in range(size)]
    found = tracks.thinned(points, 30)
    assert len(found) == min(size, 30)
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert sorted(set(found)) == list(found)


def test_deleted_studies_are_listed_by_themselves(listed: Database) -> None:
    """The last deleted comes first, by the name that it had."""
    studies.delete(listed, "alpha")
    studies.delete(listed, "delta")
    found = study_lists.listing(listed, StudySelection())
    assert [one.name for one in found.deleted] == ["delta", "alpha"]
    assert all(one.deleted_at for one in found.deleted)
    assert {one.name for one in found.page.items} == {"bravo", "Charlie"}
    assert "alpha" not in _names(listed, sort="name")
