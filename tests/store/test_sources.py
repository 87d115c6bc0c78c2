"""The default search says who drew each trial, and what the next draws are shared by."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import NotFound
from tuner.service import overview, sources
from tuner.spec.states import TrialSource
from tuner.store.engine import Database

SPACE = {
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "augment.rotate": {"int": [0, 30]},
}
SEARCH = {"sampler": "portfolio", "pruner": "none", "trials": 60, "seed": 3}
PRIOR = {"configs": [{"augment.rotate": 10}]}


def trained(db: Database, trials: int) -> None:
    """A study with so many completed trials, each better than the one before."""
    fleet = Fleet(db)
    fleet.submit(spec("streets", space=SPACE, search={**SEARCH, "prior": PRIOR}))
    for _ in range(trials):
        held = fleet.take("w1")
        fleet.report(held, 1, 2, 3, value=held.trial / 100)
        fleet.finish(held)


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
