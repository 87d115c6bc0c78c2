"""The default search says who drew each trial, and what the next draws are shared by."""

from copy import deepcopy
from typing import Any

import pytest
from sqlalchemy import update

from tests.store.fleet import Fleet
from tests.store.samples import spec, study_row, trial_row
from tuner.errors import NotFound
from tuner.search.suggest import Suggester
from tuner.service import overview, sources, studies
from tuner.service.charts import sources as source_chart
from tuner.service.charts.reading import ReadChart, read
from tuner.service.charts.selection import ChartSelection
from tuner.spec.states import TrialSource
from tuner.spec.views import StudyChange
from tuner.store import lineage
from tuner.store.engine import Database
from tuner.store.tables import Study

SPACE = {
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "augment.rotate": {"int": [0, 30]},
}
SEARCH = {"sampler": "portfolio", "pruner": "none", "trials": 60, "seed": 3}
PRIOR = {"configs": [{"augment.rotate": 10}]}


def trained(db: Database, trials: int) -> Fleet:
    """A study with so many completed trials, each better than the one before."""
    fleet = Fleet(db)
    fleet.submit(spec("streets", space=SPACE, search={**SEARCH, "prior": PRIOR}))
    for _ in range(trials):
        held = fleet.take("w1")
        fleet.report(held, 1, 2, 3, value=held.trial / 100)
        fleet.finish(held)
    return fleet


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Suggester]:
    """The searches that were built to know what sources have earned."""
    built: list[Suggester] = []

    def build(*arguments: Any) -> Suggester:
        built.append(Suggester(*arguments))
        return built[-1]

    monkeypatch.setattr(sources, "Suggester", build)
    return built


def shown(db: Database, reader: ReadChart) -> source_chart.Sources:
    """What a chart of sources finds in the study."""
    found: source_chart.Sources = read(db, "streets", ChartSelection(), reader)
    return found


def test_each_source_has_its_trials_and_its_share(database: Database) -> None:
    """Shares are a whole; the base recipe, which nothing drew, has none."""
    trained(database, 24)
    found = {each.source: each for each in sources.sources(database, "streets")}
    assert set(found) == {"gp", "rung_tpe", "random", "prior"}
    assert sum(each.trials for each in found.values()) == 23
    assert sum(each.share for each in found.values()) == pytest.approx(1)
    assert all(each.among_best <= each.results <= each.trials for each in found.values())


def test_a_trial_says_who_drew_it(database: Database) -> None:
    """The base recipe and the prior's are not a sampler's."""
    trained(database, 16)
    trials = overview.trials(database, "streets").items
    assert all((one.drawn_by is None) == (one.source != TrialSource.SAMPLER) for one in trials)
    assert {one.drawn_by for one in trials} >= {None, "random", "gp"}


def test_one_sampler_by_itself_has_no_share(database: Database) -> None:
    """There is nothing to share."""
    Fleet(database).submit(spec("streets", space=SPACE, search={"sampler": "random"}))
    assert sources.sources(database, "streets") == ()
    with pytest.raises(NotFound):
        sources.sources(database, "roads")


def test_earnings_are_worked_out_once_for_all_who_look(
    database: Database, searches: list[Suggester]
) -> None:
    """Until something happens in the study."""
    fleet = trained(database, 12)
    first = sources.sources(database, "streets")
    assert shown(database, source_chart.read_with_earnings).earning == first
    assert sources.sources(database, "streets") == first
    assert len(searches) == 1

    fleet.train(fleet.take(), value=0.5)
    assert sources.sources(database, "streets") != first
    assert len(searches) == 2


def test_charts_do_without_earnings(database: Database, searches: list[Suggester]) -> None:
    """Only the table of the tab has them."""
    trained(database, 3)
    assert len(shown(database, source_chart.read).trials) == 3
    assert searches == []


def test_a_study_that_has_ended_has_no_shares(database: Database) -> None:
    """There are no draws to come."""
    trained(database, 12)
    studies.change(database, "streets", StudyChange(state="cancelled"))
    assert sources.sources(database, "streets") == ()


def test_a_sampler_that_is_gone_has_no_shares(database: Database) -> None:
    """Its plugin is not installed any more; the trials can still be looked at."""
    trained(database, 3)
    with database.transaction() as session:
        document = deepcopy(session.query(Study).one().spec)
        document["search"]["sampler"] = {"name": "zzz"}
        session.execute(update(Study).values(spec=document))
    assert sources.sources(database, "streets") == ()
    assert len(shown(database, source_chart.read_with_earnings).trials) == 3


def test_damaged_attributes_name_no_sampler() -> None:
    """The rest of the trial can be shown."""
    trial = trial_row(study_row(spec()))
    damaged: Any = ["gp"]
    trial.attrs = damaged
    assert lineage.drawn_by(trial) is None
