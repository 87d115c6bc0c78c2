"""Events are numbered per study without gaps, whoever writes at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import overview
from tuner.store.engine import Database

WORKERS = 6


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Workers of a database with one queued study."""
    fleet = Fleet(database)
    fleet.submit()
    return fleet


def test_a_trial_tells_its_story(fleet: Fleet) -> None:
    """Creation, draw, start, each report, each ending: one event each, in order."""
    fleet.train(fleet.take())
    told = [(event.kind, event.trial) for event in overview.events(fleet.db, "streets")]
    assert told == [
        ("study.created", None),
        ("trial.created", 0),
        ("study.changed", None),
        ("trial.started", 0),
        ("trial.reported", 0),
        ("trial.reported", 0),
        ("trial.reported", 0),
        ("trial.ended", 0),
    ]


def test_numbers_have_no_gaps_under_concurrency(fleet: Fleet) -> None:
    """Six workers that train at once leave events 1 to n, each once."""

    def work(worker: str) -> None:
        while (held := fleet.ask(worker)) is not None:
            fleet.train(held)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, [f"w{index}" for index in range(WORKERS)]))
    events = overview.events(fleet.db, "streets", limit=10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "study.finished"
    assert sum(event.kind == "trial.reported" for event in events) == 8 * 3


def test_reading_goes_on_where_it_stopped(fleet: Fleet) -> None:
    """Pages of two, each after the last number seen, give every event once."""
    fleet.train(fleet.take())
    seen: list[int] = []
    while page := overview.events(fleet.db, "streets", after=seen[-1] if seen else 0, limit=2):
        seen += [event.seq for event in page]
    assert seen == [event.seq for event in overview.events(fleet.db, "streets")]


def test_each_study_counts_by_itself(fleet: Fleet) -> None:
    """A second study's events begin at 1."""
    fleet.submit(spec("other"))
    assert [event.seq for event in overview.events(fleet.db, "other")] == [1]
