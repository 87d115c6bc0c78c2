"""A study whose trials differ in their epochs, from draw to importance, on both databases."""

from typing import Any

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import importance, overview
from tuner.spec.messages import Action
from tuner.spec.states import TrialState
from tuner.store.engine import Database

SPACE = {"training.epochs": {"int": [1, 6]}, "augment.rotate": {"int": [0, 30]}}


def fleet_of(database: Database, pruner: Any = "none", trials: int = 12) -> Fleet:
    """A queued study of base recipe 3 epochs."""
    fleet = Fleet(database)
    search = {"sampler": "random", "pruner": pruner, "trials": trials, "parallel": 8}
    fleet.submit(spec(space=SPACE, search=search))
    return fleet


def test_each_trial_has_its_own_budget(database: Database) -> None:
    """It ends with the last of its own epochs, and the study counts what was trained."""
    fleet = fleet_of(database)
    drawn = []
    while held := fleet.ask():
        drawn.append(held.config.training.epochs)
        fleet.train(held)
    table = overview.trials(database, "streets").items
    assert {trial.epochs for trial in table} == set(drawn)
    assert all(trial.step == trial.epochs for trial in table)
    assert all(trial.state is TrialState.COMPLETED for trial in table)
    assert overview.study(database, "streets").epochs == sum(drawn)
    assert drawn[0] == 3
    assert len(set(drawn)) > 2


def test_nothing_is_stopped_at_its_own_last_epoch(database: Database) -> None:
    """A bound that is missed there ends nothing that has not ended by itself; before, it does."""
    fleet = fleet_of(database, {"name": "threshold", "lower": 0.4}, trials=20)
    seen = set()
    while held := fleet.ask():
        epochs = held.config.training.epochs
        if epochs > 1:
            fleet.report(held, *range(1, epochs), value=0.5)
        verdict = fleet.report(held, epochs, value=0.1).verdict
        assert verdict.action is Action.CONTINUE
        fleet.finish(held)
        seen.add(epochs)
    assert len(seen) > 2


def test_a_bound_missed_earlier_prunes(database: Database) -> None:
    """Also at epochs that the base recipe does not have."""
    fleet = fleet_of(database, {"name": "threshold", "lower": 0.4}, trials=30)
    while held := fleet.ask():
        if held.config.training.epochs < 5:
            fleet.train(held)
            continue
        fleet.report(held, 1, 2, 3, value=0.5)
        assert fleet.report(held, 4, value=0.1).verdict.action is Action.PRUNE
        break
    else:
        raise AssertionError("no trial drew 5 epochs or more")


def test_importance_compares_trials_at_their_own_ends(database: Database) -> None:
    """However long each of them trained; epochs count as a param among others."""
    fleet = fleet_of(database, trials=30)
    while held := fleet.ask():
        fleet.train(held, value=held.config.training.epochs / 10)
    found = importance.ped_anova(database, "streets")
    assert (found.trials, found.epoch) == (30, 0)
    assert next(iter(found.shares)) == "training.epochs"
