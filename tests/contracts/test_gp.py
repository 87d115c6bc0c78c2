"""The Gaussian process gets what it can use of a history, and uses it."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.samplers import BaseSampler, GPSampler
from optuna.study import Study
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tests.unit.samples import SPACE, completed, study, toy_value
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.configs import catalog
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.states import TrialState


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[FrozenTrial]]:
    """The trials that Optuna's sampler gets, draw by draw."""
    found: list[list[FrozenTrial]] = []

    def note(sampler: Any, inner: Study, trial: Any, ranges: dict[str, Any]) -> dict[str, Any]:
        found.append(
            [t for t in inner.get_trials(deepcopy=False) if t.params.keys() == ranges.keys()]
        )
        return {}

    monkeypatch.setattr(GPSampler, "sample_relative", note)
    return found


def test_it_is_better_than_chance() -> None:
    """Thirty draws on a sphere."""
    start = [dict.fromkeys(CUBE, -3.0)]
    spec = study(space=CUBE, search={"sampler": "gp", "trials": 30})
    _, trials = search(spec, sphere, before=start, workers=2)
    _, random = search(
        study(space=CUBE, search={"sampler": "random", "trials": 30}), sphere, before=start
    )
    assert best(trials) > best(random) / 2  # both are below zero


def test_it_is_fitted_on_the_highest_rung_with_enough_results(
    told: list[list[FrozenTrial]],
) -> None:
    """Trials that were stopped or paused there count, with the value that they had."""
    spec = study(
        space={"augment.rotate": {"float": [0, 30]}},
        search={"sampler": {"name": "gp", "startup": 3}, "pruner": "asha"},
    )
    states = [TrialState.PRUNED, TrialState.PAUSED, TrialState.PRUNED, TrialState.COMPLETED]
    seen = [
        Observation(k, state, {"augment.rotate": float(k)}, (0.9,), {2: k / 10, 6: 0.5 + k / 10})
        for k, state in enumerate(states)
    ]
    started = Observation(4, TrialState.RUNNING, {"augment.rotate": 9.0}, None, {2: 0.8})
    Suggester(Rules(spec)).draw([*seen, started], 5)
    assert [trial.values for trial in told[0][:4]] == [[0.5], [0.6], [0.7], [0.8]]
    assert told[0][4].state is OptunaState.RUNNING


def test_of_a_long_history_the_best_and_the_latest_remain(told: list[list[FrozenTrial]]) -> None:
    """Ten each, where twenty may be kept; running trials come on top."""
    spec = study(
        space={"augment.rotate": {"float": [0, 30]}},
        search={"sampler": {"name": "gp", "history": 20}, "pruner": "none"},
    )
    trials = [completed(k, {"augment.rotate": 0.1 * k}, 1 - k / 100) for k in range(60)]
    running = Observation(60, TrialState.RUNNING, {"augment.rotate": 29.0})
    Suggester(Rules(spec)).draw([*trials, running], 61)
    assert [trial.number for trial in told[0]] == [*range(10), *range(50, 61)]


def test_what_was_switched_off_counts_with_the_middle(told: list[list[FrozenTrial]]) -> None:
    """Under sgd, adamw's learning rate is as if it were in the middle of its range."""
    ranges = {path: SPACE[path] for path in ("optimizer.name", "optimizer.lr")}
    spec = study(space=ranges, search={"sampler": {"name": "gp", "startup": 1}})
    params = {"optimizer.name": "sgd", "optimizer.lr": 0.05}
    Suggester(Rules(spec)).draw([completed(0, params, toy_value(params))], 1)
    (seen,) = told[0]
    assert seen.params["optimizer.lr#0"] == 0.05
    assert seen.params["optimizer.lr#1"] == pytest.approx((1e-5 * 3e-3) ** 0.5)


def test_a_trial_outside_of_the_space_is_left_out(told: list[list[FrozenTrial]]) -> None:
    """A value beyond its range is not one that was switched off."""
    spec = study(
        space={"augment.rotate": {"int": [5, 9]}}, search={"sampler": {"name": "gp", "startup": 1}}
    )
    inside = completed(1, {"augment.rotate": 7}, 0.5)
    Suggester(Rules(spec)).draw([completed(0, {}, 0.5), inside], 2)
    assert [trial.number for trial in told[0]] == [1]


def test_a_restart_changes_nothing() -> None:
    """The model is fitted anew for each draw, from trials alone."""
    start = [dict.fromkeys(CUBE, -3.0)]
    spec = study(
        space=CUBE, search={"sampler": {"name": "gp", "startup": 4}, "trials": 12, "seed": 5}
    )
    whole, _ = search(spec, sphere, before=start, workers=2)
    broken, _ = search(spec, sphere, before=start, workers=2, restart_at=(8,))
    assert whole == broken


@pytest.mark.filterwarnings("ignore")  # the suites provoke warnings of Optuna's own on purpose
class TestSuites(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours, as Optuna's suites want it, without random draws before the model."""
        return lambda: catalog.load("sampler", "gp").build(Rules(study()), 0, startup=0)
