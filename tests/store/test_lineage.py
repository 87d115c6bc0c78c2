"""Columns say which trial another one comes from, whichever release wrote its row."""

from typing import Any

import pytest
from sqlalchemy import select, update

from tests.store.fleet import Fleet
from tests.store.populations import copies, population, run
from tests.store.samples import spec, study_row, trial_row
from tuner.errors import Unreadable
from tuner.search.rules import Rules
from tuner.service import overview
from tuner.service.searches import observe
from tuner.spec.states import StudyState
from tuner.spec.study import StudySpec
from tuner.store import lineage, studies
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage
from tuner.store.tables import Trial


def _confirmed(pruner: str = "none") -> StudySpec:
    """A study of two trials that confirms one leader with two fresh seeds."""
    search: dict[str, Any] = {"sampler": "random", "pruner": pruner, "trials": 2}
    return spec(search={**search, "confirm": {"top": 1, "seeds": 2}})


def _as_written_before(database: Database) -> None:
    """Leave of every trial what the release before the columns would have written."""
    with database.transaction() as session:
        session.execute(update(Trial).values(parent=None, replica=None))


def _rows(database: Database) -> list[tuple[str, int | None, int | None]]:
    with database.reading() as session:
        query = select(Trial.source, Trial.parent, Trial.replica).order_by(Trial.number)
        return [(source, parent, replica) for source, parent, replica in session.execute(query)]


def test_a_confirmation_names_its_leader_and_its_seed(database: Database) -> None:
    """Trials that were drawn name neither."""
    fleet = Fleet(database)
    fleet.submit(_confirmed())
    for value in (0.4, 0.6):
        fleet.train(fleet.take(), value=value)

    drawn = [("base", None, None), ("sampler", None, None)]
    assert [*drawn, ("confirm", 1, 0), ("confirm", 1, 1)] == _rows(database)


def test_a_copy_names_its_model_and_no_sampler_hears_of_it(database: Database) -> None:
    """What searches and Optuna's samplers get back are the sampler's own attributes."""
    fleet = Fleet(database)
    study = population(8)
    run(fleet, study)
    numbers = copies(fleet)
    rows = _rows(database)

    assert numbers
    assert all(rows[number][:1] == ("copy",) and rows[number][1] is not None for number in numbers)
    with database.reading() as session:
        seen = observe(session, studies.find(session, study.name), Rules(study))
    assert [{}] * len(numbers) == [dict(seen[number].attrs) for number in numbers]
    storage = OptunaStorage(database.url)
    trials = storage.get_all_trials(storage.get_study_id_from_name(study.name), deepcopy=False)
    storage.remove_session()
    for number in numbers:
        assert not {"copies", "confirms"} & trials[number].system_attrs.keys()
        assert rows[number][1] == trials[number].user_attrs["parent"]


def test_rows_of_the_release_before_are_read_right(database: Database) -> None:
    """A server of it may have written them after the migration: their columns are empty."""
    fleet = Fleet(database)
    fleet.submit(_confirmed())
    for value in (0.4, 0.6):
        fleet.train(fleet.take(), value=value)
    _as_written_before(database)

    for value in (0.58, 0.62):  # the store knows which seeds are in training, and adds no third
        fleet.train(fleet.take(), value=value)

    shown = overview.trials(database, "streets").items
    assert [None, None, 1, 1] == [trial.confirms for trial in shown]
    assert StudyState.FINISHED is overview.study(database, "streets").state
    found = overview.best(database, "streets").confirmation
    assert found is not None
    assert [(0.58, 0.62)] == [leader.values for leader in found.leaders]


def test_the_release_before_finds_what_it_reads(database: Database) -> None:
    """It may come back, or still run beside this one: it asks the attributes."""
    fleet = Fleet(database)
    fleet.submit(_confirmed())
    for value in (0.4, 0.6):
        fleet.train(fleet.take(), value=value)

    with database.reading() as session:
        found = session.scalars(select(Trial.attrs).where(Trial.source == "confirm")).all()
    assert [{"confirms": 1, "seed": 0}, {"confirms": 1, "seed": 1}] == sorted(
        found, key=lambda attrs: attrs["seed"]
    )


@pytest.mark.parametrize("attrs", [{}, {"confirms": 1}, {"seed": 0}, [], "confirms", 3])
def test_a_confirmation_of_nothing_is_named(attrs: Any) -> None:
    """A damaged row gives one clear error with the number of the trial."""
    study = study_row(spec())
    study.id = 1
    row = trial_row(study, 7, source="confirm", attrs=attrs)

    with pytest.raises(Unreadable, match="trial 7 does not say which trial it confirms"):
        lineage.confirmed(row)
