"""A study is warm-started from the rows of others."""

from typing import Any

import pytest

from tests.samples import SPACE
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidSpec
from tuner.service import studies as use_cases
from tuner.service import transfers
from tuner.spec.study import StudySpec
from tuner.store import studies, trials
from tuner.store.engine import Database

RANDOM = {"sampler": "random", "pruner": "none", "trials": 4}


def finished(fleet: Fleet, name: str = "before") -> None:
    """A study of four trials, each a little better than the one before."""
    fleet.submit(spec(name, search=RANDOM))
    for number in range(4):
        held = fleet.take(study=name)
        fleet.report(held, 1, 2, 3, value=0.1 + number / 10)
        fleet.finish(held)


def warm(*names: str, **changes: Any) -> StudySpec:
    """A study that wants to learn from others."""
    return spec("after", search={**RANDOM, "trials": 8, "warm_start": list(names)}, **changes)


def test_the_best_trial_of_an_earlier_study_is_tried_again(clocked_database: Database) -> None:
    """Right after the base recipe, and the trial says so."""
    fleet = Fleet(clocked_database)
    finished(fleet)
    fleet.submit(warm("before"))
    numbers = [fleet.take(study="after").trial for _ in range(2)]
    with clocked_database.reading() as session:
        old, new = studies.find(session, "before"), studies.find(session, "after")
        last = trials.find(session, old, 3)
        again = trials.find(session, new, numbers[1])
        assert again.params == last.params
        assert again.source == "warm"


def test_a_trial_is_read_through_the_new_space(clocked_database: Database) -> None:
    """What was fixed there may be searched here; what lies beyond the new range is left out."""
    fleet = Fleet(clocked_database)
    finished(fleet)
    space = {
        "training.batch_size": SPACE["training.batch_size"],
        "augment.rotate": {"int": [100, 120]},
        "schedule.name": {"choice": ["poly", "cosine"]},
    }
    with clocked_database.reading() as session:
        (found,) = transfers.earlier(session, warm("before", space=space))
        assert len(found) == 4
        assert all(t.params.keys() == {"training.batch_size", "schedule.name"} for t in found)
        assert [round(trial.value, 3) for trial in found] == [0.1, 0.2, 0.3, 0.4]


def test_an_objective_that_was_never_measured_teaches_nothing(clocked_database: Database) -> None:
    """Trials without its metric are passed over."""
    fleet = Fleet(clocked_database)
    finished(fleet)
    with clocked_database.reading() as session:
        other = warm("before", objectives=[{"metric": "dice"}])
        assert transfers.earlier(session, other) == [()]


def test_a_study_that_is_unknown_or_still_runs_is_refused(clocked_database: Database) -> None:
    """Each in its place."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec("running", search=RANDOM))
    with pytest.raises(InvalidSpec) as caught:
        fleet.submit(warm("nobody", "running"))
    first, second = caught.value.problems
    assert first.location == ("search", "warm_start", 0)
    assert "no study has the name 'nobody'" in first.message
    assert second.location == ("search", "warm_start", 1)
    assert "study 'running' is queued; wait until it has ended" in second.message


def test_a_deleted_study_is_done_without(clocked_database: Database) -> None:
    """The search goes on as if it had never been named."""
    fleet = Fleet(clocked_database)
    finished(fleet)
    fleet.submit(warm("before"))
    use_cases.delete(clocked_database, "before")
    assert [fleet.take(study="after").trial for _ in range(2)] == [0, 1]
